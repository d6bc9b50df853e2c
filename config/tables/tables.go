// Package tables reads OpenDKIM's data sets, its key table and its signing table as OpenDKIM itself
// reads them, and translates both tables into keys and rules of Mailseal's. What has no equivalent
// it reports: nothing is widened, and nothing is lost, in silence.
package tables

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Source is the input of Translate.
type Source struct {
	Keys     *Dataset // KeyTable
	Signing  *Dataset // SigningTable
	Multiple bool     // MultipleSignatures: all lines that match a sender sign, not only the first
	Compare  bool     // with Multiple: find what OpenDKIM up to 2.11 does not sign
	Dir      string   // the directory that relative file names start from
	Glob     func(pattern string) []string

	TellKey, TellSigning Tell // take notes about lines of the two tables
}

// Key is an entry of Mailseal's key table.
type Key struct {
	Place
	Name, Domain, Selector string // "%" as the domain is the author's
	File, Text             string // where the key is; one of them is ""

	// why it cannot sign: OpenDKIM defers what it should sign with it, and so do we; "" for none
	Fault string
	// with a Fault: OpenDKIM does sign, but so that no receiver can verify it, and we do not
	Useless bool
}

// Rule is a line of Mailseal's signing table.
type Rule struct {
	From       []string // address patterns
	Key        string   // the name of its key
	Identifier string   // i=, where it is at or below d=; "" for none
	Unsigned   bool     // OpenDKIM's signature would be worthless: the mail goes out without
	Places     []Place
}

// Addition is a signature that the tables ask for but OpenDKIM up to 2.11 does not make: of
// several signatures of a message it makes the first and the last only.
type Addition struct {
	From string   // mail from whom
	Keys []string // the names of the keys
}

// Result is the translation of a pair of OpenDKIM tables. With Source.Multiple all rules
// that match a sender sign, otherwise only the first.
type Result struct {
	Keys      []Key
	Rules     []Rule
	Additions []Addition // with Source.Compare, by patterns of the table
	// with Source.Compare: more than two lines may fit the senders that some patterns have in
	// common
	Crossing bool
}

// Translate reads both tables. An error means that OpenDKIM, too, would not have started with them.
func Translate(s Source) (*Result, error) {
	rows, err := signingRows(s.Signing, s.TellSigning)
	if err != nil {
		return nil, err
	}
	if s.Signing.Kind == Refile && !s.Multiple {
		rows = reachable(rows, s.TellSigning)
	}
	if s.Signing.Kind != Refile {
		reportStartFailure(s.Signing, newKeyTable(s.Keys, s.Dir, silently), s.TellSigning)
	}
	t := &translation{
		table: newKeyTable(s.Keys, s.Dir, s.TellKey),
		rows:  rows,
		tell:  s.TellSigning,
		glob:  s.Glob,
		named: map[string]string{},
		taken: map[string]bool{},
	}
	t.addKeys()
	ordered := inOrder(s.Signing.Kind, rows)
	for _, r := range merge(ordered, s.Signing.Kind != Refile) {
		t.addRule(r)
	}
	if s.Multiple && s.Compare {
		t.addAdditions(ordered)
	}
	return &t.Result, nil
}

// translation is the state of Translate.
type translation struct {
	Result

	table *keyTable
	rows  []row
	tell  Tell
	glob  func(string) []string
	named map[string]string // names of OpenDKIM's → of ours
	taken map[string]bool   // names of ours
}

// reportStartFailure reports the line because of which OpenDKIM does not start. OpenDKIM looks up
// the keys of lines with an i= tag, up to the first line without one.
func reportStartFailure(st *Dataset, keys *keyTable, tell Tell) {
	for _, rec := range st.Records {
		name, _, signer := strings.Cut(rec.Value, ":")
		if !signer {
			return
		}
		if _, ok := keys.find(name); !ok {
			tell("start-fails", rec.Place, name)
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
			t.table.tell("key-percent", k.Place)
		case k.fault != "" && !used[k.name] && !byDomain:
			t.table.tell("key-unused", k.Place, k.name, Prose(k.fault))
		default:
			t.addKey(k, byDomain)
		}
	}
}

// missing substitutes a key for one that the key table does not have, so that the mail is
// deferred as it was.
func (t *translation) missing(r row) {
	if r.key == "" {
		t.tell("line-without-key", r.Place, r.pattern)
		if t.named[""] == "" {
			t.addMissing(r, t.name("", "none"), "none", "the line names no key")
		}
		return
	}
	t.tell("key-missing", r.Place, r.key, Prose(t.otherCase(r.key)))
	t.addMissing(r, t.name(r.key, r.key), r.key, "not in KeyTable")
}

func (t *translation) addMissing(r row, name, file, fault string) {
	t.Keys = append(t.Keys, Key{Place: r.Place, Name: name, Domain: "%", Selector: "missing",
		File: nowhere(file), Fault: fault})
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
	out := Key{Place: k.Place, Domain: k.domain, Selector: k.selector, File: k.path, Text: k.text,
		Fault: k.fault, Useless: k.useless}
	if k.fault != "" {
		out.Domain, out.Selector, out.File, out.Text = "%", "unusable", nowhere(k.name), ""
		t.table.tell("key-unusable", k.Place, k.name, Prose(k.fault))
	}
	if !k.perDomain || k.fault != "" {
		out.Name = t.name(k.name, k.name)
		t.Keys = append(t.Keys, out)
		return
	}
	// looked for under the author's domain, which is then its name
	if byDomain && IsDomain(k.name) && strings.Contains(k.name, ".") {
		one := out
		one.Name, one.Domain, one.File = t.name(k.name, k.name), k.name,
			strings.ReplaceAll(k.path, "%", k.name)
		t.Keys = append(t.Keys, one)
	}
	t.addPerDomain(k, out)
}

// addPerDomain makes a key of each file whose name holds a domain.
func (t *translation) addPerDomain(k key, out Key) {
	prefix := strings.ReplaceAll(k.name, "%", "percent") + "."
	domains := domainsOf(k.path, t.glob)
	for slices.ContainsFunc(domains, func(d string) bool { return t.taken[prefix+d] }) {
		prefix += "'"
	}
	t.table.tell("key-file-per-domain", k.Place, k.name, len(domains), Shorten(domains))
	for _, d := range domains {
		one := out
		one.Name, one.Domain, one.File = prefix+d, d, strings.ReplaceAll(k.path, "%", d)
		t.taken[one.Name] = true
		t.Keys = append(t.Keys, one)
	}
	if !IsDomain(k.name) || t.named[k.name] == "" {
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

// addRule translates a rule.
func (t *translation) addRule(r rule) {
	out := Rule{Key: t.ruleName(r.row), Identifier: t.identifier(r), Places: r.places}
	out.Unsigned = t.table.keys[r.key].useless
	for _, p := range r.from {
		out.From = append(out.From, p.String())
	}
	t.Rules = append(t.Rules, out)
	everybody := slices.Contains(r.from, pattern{local: "*"})
	if everybody && (r.key == "%" || t.signsAs(r.row) == "%") {
		t.tell("local-unsigned", r.Place)
	}
}

// addAdditions finds the senders of the table's patterns whom more than two lines fit.
func (t *translation) addAdditions(rows []row) {
	all := newRowSet()
	kinds := map[string]bool{}
	for i, r := range rows {
		r.order = i
		all.add(r)
		kinds[r.signs()] = true
		t.Crossing = t.Crossing || r.isGlob() || r.local != "*" && (r.domain == "" || r.below)
	}
	t.Crossing = t.Crossing && len(kinds) > 1 && len(rows) > 2
	seen := map[pattern]bool{}
	for _, r := range rows {
		if seen[r.pattern] {
			continue
		}
		seen[r.pattern] = true
		fit := all.holding(r.pattern)
		slices.SortFunc(fit, func(a, b row) int { return a.order - b.order })
		first, last := fit[0].signs(), fit[len(fit)-1].signs()
		add := Addition{From: r.pattern.String()}
		for _, lost := range distinct(fit) {
			if lost.signs() != first && lost.signs() != last {
				add.Keys = append(add.Keys, t.ruleName(lost))
			}
		}
		if add.Keys != nil {
			t.Additions = append(t.Additions, add)
		}
	}
}
