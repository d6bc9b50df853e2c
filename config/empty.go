package config

// An absent setting has its default. A setting that is there and empty is a mistake, unless its row
// in the tables of settings says what that means: a template that has nothing to fill in must
// neither turn a condition into one that every message meets, nor switch something off without a
// word.

// refusedEmpty notes a list, a table or a list of tables of n entries that must not be empty, and
// reports whether it did.
func (d *decoder) refusedEmpty(at place, doc string, n int) bool {
	return !mayBeEmpty(doc) && d.refused(at, doc, n)
}

// refused is refusedEmpty for what may never be empty.
func (d *decoder) refused(at place, doc string, n int) bool {
	if n > 0 {
		return false
	}
	hint := "leave the setting out"
	if s := settingAt(doc); s != nil && s.instead != "" {
		hint = s.instead
	}
	if s := settingAt(doc); s != nil && s.example != "" {
		hint += ", or fill it in, such as " + s.example
	}
	d.problem(at, "is empty; %s", hint)
	return true
}

// mayBeEmpty reports whether a list or table has a meaning without entries. Doc is its path in the
// tables of settings.
func mayBeEmpty(doc string) bool {
	if s := settingAt(doc); s != nil {
		return s.empty != "" || s.def == "[]"
	}
	if sec := sectionAt(doc); sec != nil {
		return !sec.filled
	}
	return true
}
