package shadow

import (
	"slices"
	"strings"
)

// Difference is what the two filters do not agree on.
type Difference struct {
	Kind   string `json:"kind"` // one of kinds
	Theirs string `json:"theirs"`
	Ours   string `json:"ours"`
}

// kinds are those of differences, in the order in which they are told.
var kinds = []string{"verdict", "recipients", "signed", "identity", "canonicalization", "fields",
	"length", "expiry", "sealed",
	"dkim", "spf", "dmarc", "removed", "changed"}

// Kinds returns the kinds of differences, in the order in which they are reported.
func Kinds() []string { return slices.Clone(kinds) }

// comparer compares. What an old filter never says of any message it does not do, and that is not a
// difference; what it does, and does not say of one message, is "none".
type comparer struct {
	does   map[string]bool
	ignore []string // kinds
}

func newComparer(ignore []string) *comparer { return &comparer{map[string]bool{}, ignore} }

// comparison is what was found of a message.
type comparison struct {
	differ []Difference // none if the filters agree, of each kind one at most
	// signatures that could not be compared, since the other filter made none like them
	alone []string
}

func (c *comparison) add(kind, theirs, ours string) {
	at := slices.IndexFunc(c.differ, func(d Difference) bool { return d.Kind == kind })
	if at < 0 {
		c.differ = append(c.differ, Difference{kind, theirs, ours})
		return
	}
	c.differ[at].Theirs += "; " + theirs // another signature of the same message
	c.differ[at].Ours += "; " + ours
}

// compare compares. Of a message that was judged without its body, only who signs it, and how, can
// be compared.
func (c *comparer) compare(theirs, ours Outcome, bodiless bool) comparison {
	var out comparison
	add := func(kind, a, b string) {
		if !slices.Contains(c.ignore, kind) {
			out.add(kind, a, b)
		}
	}
	lists := func(kind string, a, b []string) {
		if !slices.Equal(a, b) {
			add(kind, text(a), text(b))
		}
	}
	signed := func() {
		lists("signed", theirs.Signed, ours.Signed)
		p := pairSignatures(theirs.signatures, ours.signatures)
		p.compare(add)
		out.alone = p.alone
	}
	if bodiless {
		signed()
		return out
	}
	if !sameVerdict(theirs.Verdict, ours.Verdict) {
		add("verdict", theirs.Verdict, ours.Verdict)
	}
	if theirs.Refused != ours.Refused {
		add("recipients", number(theirs.Refused)+" refused", number(ours.Refused)+" refused")
	}
	if !theirs.goesOn() || !ours.goesOn() {
		return out // edits of a message that goes nowhere mean nothing
	}
	signed()
	lists("sealed", theirs.Sealed, ours.Sealed)
	for _, m := range []struct {
		name string
		a, b []string
	}{{"dkim", theirs.DKIM, ours.DKIM}, {"spf", theirs.SPF, ours.SPF},
		{"dmarc", theirs.DMARC, ours.DMARC}} {
		if c.does[m.name] = c.does[m.name] || len(m.a) > 0; c.does[m.name] &&
			!sameResults(m.a, m.b) {
			add(m.name, text(m.a), text(m.b))
		}
	}
	lists("removed", theirs.Removed, ours.Removed)
	lists("changed", theirs.Changed, ours.Changed)
	return out
}

func (v Outcome) goesOn() bool { return v.Verdict == "accept" || v.Verdict == "hold" }

// sameVerdict compares codes only where both filters chose one.
func sameVerdict(a, b string) bool {
	what1, code1, _ := strings.Cut(a, " ")
	what2, code2, _ := strings.Cut(b, " ")
	return what1 == what2 && (code1 == code2 || code1 == "" || code2 == "")
}

// sameResults compares with the domains only where both filters name them.
func sameResults(a, b []string) bool {
	if slices.ContainsFunc(slices.Concat(a, b),
		func(s string) bool { return !strings.Contains(s, " ") }) {
		a, b = values(a), values(b)
	}
	return slices.Equal(a, b)
}

// values returns results without their domains.
func values(list []string) []string {
	var out []string
	for _, s := range list {
		value, _, _ := strings.Cut(s, " ")
		out = append(out, value)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// text writes a list, "-" for none.
func text(list []string) string {
	if len(list) == 0 {
		return "-"
	}
	return strings.Join(list, ", ")
}
