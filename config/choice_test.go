package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"mailseal/milter/action"
)

// choiceSettings returns the settings whose type has words, by their paths, and that type.
func choiceSettings() map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for path := range settingsByPath() {
		if t := typeAt(path); isChoice(t) {
			out[path] = t
		}
	}
	return out
}

func isChoice(t reflect.Type) bool {
	_, ok := reflect.New(t).Interface().(choice)
	return ok
}

// decodeOne decodes a text into a setting, whatever the tables of settings hold.
func decodeOne(s *setting, t reflect.Type, text string) (reflect.Value, error) {
	v := reflect.New(t).Elem()
	_, err := setScalar(&file{}, s, text, v)
	return v, err
}

// TestChoices holds the words that a setting takes against those of the package that acts: each is
// read, and means what that package calls by it.
func TestChoices(t *testing.T) {
	all := choiceSettings()
	if len(all) < 30 {
		t.Fatalf("only %d settings have words", len(all))
	}
	for path, typ := range all {
		s := settingAt(path)
		for _, word := range s.choices(typ) {
			v, err := decodeOne(s, typ, word)
			if err != nil || v.IsZero() || fmt.Sprint(v.Interface()) != word {
				t.Errorf("%s = %q: %v, %v", path, word, v, err)
			}
		}
	}
}

// TestUnknownChoices holds that a word which only one side knows is refused: one that only the
// table of settings lists, and one that only the package that acts has.
func TestUnknownChoices(t *testing.T) {
	for path, typ := range choiceSettings() {
		s := *settingAt(path)
		for _, word := range []string{"", "bounce", "Accept", "invalid"} {
			if v, err := decodeOne(&s, typ, word); err == nil || !v.IsZero() {
				t.Errorf("%s = %q is read as %v", path, word, v)
			}
		}
		narrowed := s.choices(typ)
		for _, word := range reflect.Zero(typ).Interface().(interface{ Words() []string }).Words() {
			if slices.Contains(narrowed, word) {
				continue
			}
			if v, err := decodeOne(&s, typ, word); err == nil || !v.IsZero() {
				t.Errorf("%s = %q, which is not among %q, is read as %v", path, word, narrowed, v)
			}
		}
		s.values = append(slices.Clone(narrowed), "bounce")
		if v, err := decodeOne(&s, typ, "bounce"); err == nil || !v.IsZero() {
			t.Errorf("%s: a word that only the settings know is read as %v", path, v)
		}
	}
}

// TestEveryChoiceHasDefault holds that no choice is left invalid where a file says nothing, but in
// an override, where that means the policy's.
func TestEveryChoiceHasDefault(t *testing.T) {
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		if isChoice(v.Type()) {
			if v.IsZero() {
				t.Errorf("%s has no valid default", path)
			}
			return
		}
		if v.Kind() != reflect.Struct || isScalar(v.Type()) {
			return
		}
		for name, f := range fieldsOf(v.Type()) {
			walk(dotted(path, name), v.FieldByIndex(f.index))
		}
	}
	walk("", reflect.ValueOf(*fresh()))
	for doc, v := range prototypes() {
		// a rule has the options of [signing]
		if doc != "policy.override[]" && doc != "policy.rules[]" && doc != "sign[]" {
			walk(doc, v)
		}
	}
	c, err := Parse("mailseal.toml",
		[]byte("[keys.k]\ndomain=\"example.com\"\nselector=\"s\"\nfile=\"k\"\n[[sign]]\nfrom=\"*@example.com\"\nkeys=\"k\"\n"+
			"[[policy.override]]\nauthor_domains=\"example.com\"\nspf={fail=\"mark\"}\n"))
	if err != nil {
		t.Fatal(err)
	}
	walk("sign[0]", reflect.ValueOf(c.Sign[0]))
	c.Policy.Overrides[0].Action = action.Accept // which may be left out
	// an invalid one means what follows from the conditions
	c.Policy.Overrides[0].Reason = action.ReasonOther
	walk("policy.override[0]", reflect.ValueOf(c.Policy.Overrides[0]))
}

// TestUnknownWord holds that a mistake names its place, what there is, and the nearest.
func TestUnknownWord(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"on_internal_error = \"rejct\"",
			`mailseal.toml:1: on_internal_error: "rejct" is not one of "accept", ` +
				`"reject" and "tempfail"; did you mean "reject"?`},
		{"on_internal_error = \"discard\"",
			`mailseal.toml:1: on_internal_error: "discard" is not one of "accept", "reject" and "tempfail"`},
		{"[policy.dmarc]\np_none = \"bounce\"",
			`mailseal.toml:2: policy.dmarc.p_none: "bounce" is not one of "accept", "mark", ` +
				`"hold", "reject" and "tempfail"`},
		{"[policy.dmarc]\np_none = \"quarantine\"", `"reject" and "tempfail"; did you mean "hold"?`},
		{"[policy.dmarc]\np_none = \"None\"", `"reject" and "tempfail"; did you mean "accept"?`},
		{"[sources.db]\ntype = \"postgres\"", `sources.db.type: unknown setting; did you mean "driver"?`},
		{"[sources.db]\nquery = \"SELECT\"", `sources.db.query: unknown setting; did you mean "key_query"?`},
		{"[sources.db]\ndsn = \"x\"", `needs driver: "postgres", "mysql", "sqlite" or "http"`},
		{"[signing]\non_key_error = \"skp\"",
			`mailseal.toml:2: signing.on_key_error: "skp" is not one of "skip", "tempfail", ` +
				`"reject" and "accept"; did you mean "skip"?`},
		{"[senders]\nrequire = \"envelope\"",
			`mailseal.toml:2: senders.require: "envelope" is not one of "none", "envelope_domain" and "login"`},
		{"[[listen]]\nrole = \"our\"",
			`"our" is not one of "auto", "ours", "relay" and "theirs"; did you mean "ours"?`},
		{"[ours]\nunmatched = true", `mailseal.toml:2: ours.unmatched: expected text such as "accept", got true`},
		{"[verify]\norganizational_domain = \"PSL\"", `"PSL" is not one of "walk" and "psl"; did you mean "psl"?`},
	} {
		if _, err := Parse("mailseal.toml", []byte(tc.text)); err == nil ||
			!strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s:\n got %v\nwant %s", tc.text, err, tc.want)
		}
	}
}

// TestOtherNames wants each name that stands for a setting to be none itself, and the setting to
// exist.
func TestOtherNames(t *testing.T) {
	for doc, names := range otherNames {
		i := slices.IndexFunc(sections, func(s section) bool { return s.path == doc })
		if i < 0 {
			t.Errorf("no section %s", doc)
			continue
		}
		sec := sections[i]
		has := func(name string) bool {
			return slices.ContainsFunc(sec.settings, func(s setting) bool { return s.name == name })
		}
		for name, other := range names {
			if has(name) || !has(other) {
				t.Errorf("%s: %s stands for %s", doc, name, other)
			}
		}
	}
}
