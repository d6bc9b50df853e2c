package opendkim

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// outKey is an entry of Mailseal's key table.
type outKey struct {
	name, domain, selector string
	file, text             string
	identifier             string // i= of its signatures
	place
	fault   string // OpenDKIM defers what it should sign with it, and so do we
	useless bool   // or signs so that nobody can verify it, and we do not
}

// outRule is a line of Mailseal's signing table.
type outRule struct {
	from       []string
	keys       []string
	identifier string
	lost       []string // keys that OpenDKIM loses among several
	unsigned   bool     // OpenDKIM's signature would be worthless: let the mail go without
	places     []place
}

// translation is what a pair of OpenDKIM's tables says in Mailseal's words.
type translation struct {
	keys  []outKey
	rules []outRule

	table *keyTable
	rows  []row
	tell  teller
	glob  func(string) []string
	named map[string]string // names of OpenDKIM's → of ours
	taken map[string]bool   // names of ours
}

// translate reads both tables. Multiple is MultipleSignatures. The tellers are for lines of the key table and of the
// signing table.
func translate(kt, st *dataset, multiple bool, dir string, glob func(string) []string, tellKey, tellSign teller) (*translation, error) {
	rows, err := signingRows(st, tellSign)
	if err != nil {
		return nil, err
	}
	if st.kind == refile && !multiple {
		rows = reachable(rows, tellSign)
	}
	rules, err := compile(st.kind, rows, multiple)
	if err != nil {
		return nil, err
	}
	if st.kind != refile {
		tellStart(st, newKeyTable(kt, dir, silently), tellSign)
	}
	t := &translation{table: newKeyTable(kt, dir, tellKey), rows: rows, tell: tellSign, glob: glob, named: map[string]string{}, taken: map[string]bool{}}
	t.addKeys()
	for _, r := range rules {
		t.addRule(r)
	}
	return t, nil
}

func silently(Group, place, string, ...any) {}

// tellStart says which line OpenDKIM does not start with. It looks for the keys of lines that name an i= tag, as they
// stand, up to the first line that names none.
func tellStart(st *dataset, keys *keyTable, tell teller) {
	for _, rec := range st.records {
		name, _, signer := strings.Cut(rec.value, ":")
		if !signer {
			return
		}
		if _, ok := keys.find(name); !ok {
			tell(Never, rec.place, "OpenDKIM does not start with this line: it looks for a key of the name %q, which is not in KeyTable", name)
			return
		}
	}
}

// addKeys translates all keys that can sign or that a line of the signing table names.
func (t *translation) addKeys() {
	for _, r := range t.rows {
		if r.key == "%" {
			continue
		}
		if _, ok := t.table.find(r.key); !ok && t.named[r.key] == "" || r.key == "" {
			t.missing(r)
		}
	}
	used := map[string]bool{}
	byDomain := false
	for _, r := range t.rows {
		used[r.key] = true
		byDomain = byDomain || r.key == "%"
	}
	for _, k := range t.table.list {
		switch {
		case k.name == "%":
			t.table.tell(Never, k.place, "a key whose name is %% is never looked for: %% in the signing table stands for the author's domain")
		case k.fault != "" && !used[k.name] && !byDomain:
			t.table.tell(Dropped, k.place, "key %q cannot sign, and nothing uses it: %s", k.name, k.fault)
		default:
			t.addKey(k, byDomain)
		}
	}
}

// missing puts a key in the place of one that the key table does not have, so that the mail is deferred as it was.
func (t *translation) missing(r row) {
	if r.key == "" {
		t.tell(Never, r.place, "%s names no key: OpenDKIM defers this mail, and so does Mailseal until it names one", r.pattern)
		if t.named[""] == "" {
			t.keys = append(t.keys, outKey{name: t.name("", "none"), domain: "%", selector: "missing", file: nowhere("none"), place: r.place, fault: "the line names no key"})
		}
		return
	}
	t.tell(Never, r.place, "there is no key %q in KeyTable%s: OpenDKIM defers this mail, and so does Mailseal until there is one", r.key, t.otherCase(r.key))
	t.keys = append(t.keys, outKey{name: t.name(r.key, r.key), domain: "%", selector: "missing", file: nowhere(r.key), place: r.place, fault: "not in KeyTable"})
}

func (t *translation) otherCase(name string) string {
	for _, k := range t.table.list {
		if strings.EqualFold(k.name, name) {
			return fmt.Sprintf(" (%q is another name: upper and lower case count)", k.name)
		}
	}
	return ""
}

// nowhere names a file that is not there.
func nowhere(name string) string { return "/nonexistent/" + url.PathEscape(name) }

// name finds a name of ours for a key. "%" has a meaning in ours wherever it stands.
func (t *translation) name(of, want string) string {
	want = strings.ReplaceAll(want, "%", "percent")
	for t.taken[want] {
		want += "'"
	}
	t.taken[want] = true
	t.named[of] = want
	return want
}

func (t *translation) addKey(k key, byDomain bool) {
	out := outKey{domain: k.domain, selector: k.selector, file: k.path, text: k.text, place: k.place, fault: k.fault, useless: k.useless}
	if k.fault != "" {
		out.domain, out.selector, out.file, out.text = "%", "unusable", nowhere(k.name), ""
		t.table.tell(Never, k.place, "key %q: %s", k.name, k.fault)
	}
	if !k.perDomain || k.fault != "" {
		out.name = t.name(k.name, k.name)
		t.keys = append(t.keys, out)
		return
	}
	if byDomain && isDomain(k.name) && strings.Contains(k.name, ".") { // looked for under the author's domain, which is then its name
		one := out
		one.name, one.domain, one.file = t.name(k.name, k.name), k.name, strings.ReplaceAll(k.path, "%", k.name)
		t.keys = append(t.keys, one)
	}
	t.addPerDomain(k, out)
}

// addPerDomain makes a key of each file whose name holds a domain.
func (t *translation) addPerDomain(k key, out outKey) {
	prefix := strings.ReplaceAll(k.name, "%", "percent") + "."
	domains := domainsOf(k.path, t.glob)
	for slices.ContainsFunc(domains, func(d string) bool { return t.taken[prefix+d] }) {
		prefix += "'"
	}
	t.table.tell(Taken, k.place, "key %q has a file for each author's domain; there are %d now (%s). A domain whose file comes later needs its own entry; mail of domains without one is deferred, as before", k.name, len(domains), shorten(domains))
	for _, d := range domains {
		one := out
		one.name, one.domain, one.file = prefix+d, d, strings.ReplaceAll(k.path, "%", d)
		t.taken[one.name] = true
		t.keys = append(t.keys, one)
	}
	if !isDomain(k.name) || t.named[k.name] == "" {
		t.named[k.name] = prefix + "%"
		return
	}
	t.named["\x00"+k.name] = prefix + "%" // as the table's lines name it
}

// ruleName returns the name under which a rule asks for the key of a row.
func (t *translation) ruleName(r row) string {
	if r.key == "%" {
		return "%"
	}
	if n, ok := t.named["\x00"+r.key]; ok {
		return n
	}
	return t.named[r.key]
}

// addRule translates a rule, in two where only some of its senders can have the i= tag that it asks for.
func (t *translation) addRule(r rule) {
	out := outRule{}
	for _, row := range r.rows {
		if k, ok := t.table.keys[row.key]; ok && k.useless {
			continue
		}
		if name := t.ruleName(row); !slices.Contains(out.keys, name) {
			out.keys = append(out.keys, name)
		}
	}
	if len(out.keys) == 0 {
		out.keys, out.unsigned = []string{t.ruleName(r.rows[0])}, true
	}
	for _, row := range r.lost {
		out.lost = append(out.lost, t.ruleName(row))
	}
	for _, row := range r.rows {
		if !slices.Contains(out.places, row.place) {
			out.places = append(out.places, row.place)
		}
	}
	t.sayLocal(r, out)
	if t.oneEach(&out, r) {
		t.rules = append(t.rules, out.to(r.from))
		return
	}
	with, without := r.from, []pattern(nil)
	if out.identifier = t.identifier(r); out.identifier != "" {
		with, without = t.split(r, out.identifier)
	}
	if len(with) > 0 {
		t.rules = append(t.rules, out.to(with))
	}
	if len(without) > 0 {
		out.identifier = ""
		t.rules = append(t.rules, out.to(without))
	}
}

const atLocalhost = "mail of authors at localhost goes unsigned: a signature of a domain of one label cannot be verified (RFC 6376 section 3.5); for other names of one label add such a rule, or their mail is deferred"

// sayLocal lets root@localhost go unsigned where everybody is signed as the own domain: nobody can verify a signature of
// a domain of one label, and Mailseal makes none.
func (t *translation) sayLocal(r rule, out outRule) {
	everybody := slices.Contains(r.from, pattern{local: "*"})
	if !everybody || !slices.ContainsFunc(r.rows, func(row row) bool { return row.key == "%" || t.signsAs(row) == "%" }) {
		return
	}
	out.unsigned, out.identifier = true, ""
	t.rules = append(t.rules, out.to([]pattern{{local: "*", domain: "localhost"}}))
	t.tell(Changed, r.rows[0].place, atLocalhost)
}

func (r outRule) to(ps []pattern) outRule {
	r.from = nil
	for _, p := range ps {
		r.from = append(r.from, p.String())
	}
	return r
}
