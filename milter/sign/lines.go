package sign

import (
	"slices"
	"strings"

	"mailseal/milter/dkim"
	"mailseal/milter/message"
)

// foldedLine is the longest line of a field that is refolded, in bytes: the shortest of the
// limits that MTAs have, Sendmail's 990, is not reached by it.
const foldedLine = 989

// Lines describes how an MTA changes the lines of a message after it has been signed.
type Lines struct {
	Limit     int  // the longest that it leaves as they are, in bytes without the line end; 0: any
	MayChange bool // it lets a field be changed
}

// Fit is the treatment of fields whose lines the MTA would break, which breaks the
// signatures, too.
type Fit struct {
	Change []message.Change // refolded
	Omit   []string         // names that signatures leave out; the MTA may break these fields
}

// needed are fields without which a signature protects nothing that a reader sees. They stay
// signed, though it may break.
var needed = []string{"From", "Subject"}

// fit finds the fields of h, less those to be removed, that covers holds and that have longer lines
// than l allows. They are refolded where that harms no signature with simple header
// canonicalization; isSimple reports whether one of ours covers a name.
func (l Lines) fit(h message.Header, removed []int, covers, isSimple func(name string) bool) Fit {
	var out Fit
	var others *simpleSignatures // found when first needed: hardly any message has a long line
	for i, f := range h {
		if !l.breaks(f) || slices.Contains(removed, i) || !covers(f.Name()) {
			continue
		}
		if others == nil {
			others = findSimple(h, removed)
		}
		folded, ok := f.Refold(foldedLine)
		if ok && l.MayChange && !isSimple(f.Name()) && !others.cover(i, f) {
			out.Change = append(out.Change, message.Change{At: i, Field: folded})
			continue
		}
		if name := f.Name(); !containsName(needed, name) && !containsName(out.Omit, name) {
			out.Omit = append(out.Omit, name)
		}
	}
	// Where a name is left out, no field of that name needs to be changed.
	out.Change = slices.DeleteFunc(out.Change,
		func(c message.Change) bool { return containsName(out.Omit, c.Field.Name()) })
	return out
}

// breaks reports whether the MTA would break a line of f.
func (l Lines) breaks(f message.Field) bool {
	return l.Limit > 0 && len(f.Raw()) > l.Limit && f.LongestLine() > l.Limit
}

// simpleSignatures are those that are in a header already and cover fields byte by byte: with
// simple header canonicalization, which is the default where c= is missing.
type simpleSignatures struct {
	at    map[int]bool    // where they are: each covers itself
	names map[string]bool // of the fields that they cover, in lower case
}

// findSimple looks for such signatures in h, less the fields to be removed. One with a fault counts
// too: other readers may be more lenient.
func findSimple(h message.Header, removed []int) *simpleSignatures {
	out := &simpleSignatures{at: map[int]bool{}, names: map[string]bool{}}
	for i, f := range h {
		if !f.Is(dkim.FieldName) && !f.Is("ARC-Message-Signature") || slices.Contains(removed, i) {
			continue
		}
		tags := dkim.ReadTags(f)
		if canonicalization, _ := tags.Canonicalizations(); canonicalization != message.Simple {
			continue
		}
		out.at[i] = true
		for _, name := range tags.Names() {
			out.names[strings.ToLower(name)] = true
		}
	}
	return out
}

// cover reports whether one of them covers the field f at index i.
func (s *simpleSignatures) cover(i int, f message.Field) bool {
	return s.at[i] || s.names[strings.ToLower(f.Name())]
}

// fit decides how to treat long lines under the rules that have keys for the message.
func (s *Signer) fit(found []Found, removed []int, q Query, h message.Header) Fit {
	is := func(yes func(o dkim.SignOptions) bool) bool {
		return slices.ContainsFunc(found, func(w Found) bool {
			return len(w.Keys) > 0 && yes(w.Rule.Options)
		})
	}
	covers := func(name string) bool {
		return is(func(o dkim.SignOptions) bool { return o.Covers(name) })
	}
	isSimple := func(name string) bool {
		return is(func(o dkim.SignOptions) bool { return o.SimpleHeader && o.Covers(name) })
	}
	return q.Lines.fit(h, removed, covers, isSimple)
}

// Fit decides how to treat long lines in the header h of a message that will be sealed, without the
// fields that are removed.
func (s *Sealer) Fit(l Lines, removed []int, h message.Header) Fit {
	covers := func(name string) bool { return s.Options.Covers(name) }
	return l.fit(h, removed, covers, func(string) bool { return false })
}

func containsName(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// Covered returns the names of the fields that the signatures among fields cover.
func Covered(fields []message.Field) []string {
	var names []string
	for _, f := range fields {
		if f.Is(dkim.FieldName) || f.Is("ARC-Message-Signature") {
			names = append(names, dkim.ReadTags(f).Names()...)
		}
	}
	return names
}
