package spf

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"

	"mailseal/milter/lint"
)

// The codes of Lint, and of Survey for what is found behind a record.
const (
	FlawJoined    = "spf-two-in-one"
	FlawNearMiss  = "spf-near-miss"
	FlawPasted    = "spf-pasted"
	FlawSyntax    = "spf-syntax"
	FlawColon     = "spf-equals-for-colon"
	FlawTwice     = "spf-modifier-twice"
	FlawAfterAll  = "spf-terms-after-all"
	FlawRedirect  = "spf-redirect-beside-all"
	FlawPlusAll   = "spf-plus-all"
	FlawNeutral   = "spf-neutral-all"
	FlawNoAll     = "spf-no-all"
	FlawPTR       = "spf-ptr"
	FlawMacro     = "spf-macro-local"
	FlawWide      = "spf-wide-network"
	FlawPrivate   = "spf-private-network"
	FlawDuplicate = "spf-term-twice"
	FlawContained = "spf-network-contained"
	FlawLong      = "spf-long"
)

// longRecord is how many bytes of a record fit with all else into an answer of 512 bytes (RFC 7208
// section 3.4).
const longRecord = 450

// IsRecord reports whether a TXT record is one of SPF, good or not (RFC 7208 section 4.5).
func IsRecord(text string) bool { return isRecord(text) }

// Resembles reports whether a text that is not an SPF record was meant to be one, and what keeps it
// from that.
func Resembles(text string) (flaw lint.Flaw, ok bool) {
	if isRecord(text) {
		return lint.Flaw{}, false
	}
	clean := strings.ToLower(lint.Clean(text))
	squeezed := strings.ReplaceAll(clean, " ", "")
	if !strings.HasPrefix(squeezed, "v=spf") && !strings.HasPrefix(clean, "spf1 ") &&
		!strings.HasPrefix(squeezed, "v:spf1") {
		return misspelled(text)
	}
	if clause, start, end := lint.Pasted(text); clause != "" {
		return lint.Flaw{Code: FlawPasted, Text: clause + ", so receivers do not see an SPF " +
			"record", Start: start, End: end}, true
	}
	if text != strings.TrimLeft(text, " \t\r\n") {
		n := len(text) - len(strings.TrimLeft(text, " \t\r\n"))
		return lint.Flaw{
			Code:  FlawNearMiss,
			Text:  "there is a space before v=spf1, so receivers do not see an SPF record",
			Start: 0,
			End:   n,
		}, true
	}
	end := strings.IndexByte(text+" ", ' ')
	return lint.Flaw{
		Code: FlawNearMiss, Start: 0, End: min(end, len(text)),
		Text: "an SPF record begins with v=spf1 and a space; this one does not and is ignored",
	}, true
}

// misspelled finds a record with other text before it, such as the name and type of a line of a
// zone file, and one that begins with nearly v=spf1.
func misspelled(text string) (flaw lint.Flaw, ok bool) {
	if at := strings.Index(lint.Lower(text), version+" "); at > 0 &&
		strings.ContainsRune(" \"\t", rune(text[at-1])) {
		return lint.Flaw{
			Code: FlawNearMiss, End: at,
			Text: "there is text before v=spf1, so receivers do not see an SPF record: the value " +
				"must " +
				"begin with v=spf1",
		}, true
	}
	first, _, _ := strings.Cut(text, " ")
	if lint.Nearest(first, version) == "" && !strings.EqualFold(first, "spf=v1") {
		return lint.Flaw{}, false
	}
	return lint.Flaw{
		Code: FlawNearMiss, End: len(first),
		Text: "an SPF record begins with v=spf1 and a space; this one does not and is ignored",
	}, true
}

// Lint finds flaws in the text of a record, and points worth knowing about it. It makes no
// DNS lookups; Survey follows includes. A text that is not an SPF record has the flaw of
// Resembles, or none.
func Lint(text string) []lint.Flaw {
	if !isRecord(text) {
		if f, ok := Resembles(text); ok {
			return []lint.Flaw{f}
		}
		return nil
	}
	l := linter{text: text, seen: map[string]bool{}}
	l.run()
	_, err := parseRecord(text)
	isNamed := slices.ContainsFunc(l.flaws, func(f lint.Flaw) bool {
		return f.Code == FlawSyntax || f.Code == FlawTwice || f.Code == FlawPasted
	})
	if err != nil && !isNamed { // behind more flaws than are listed
		l.flaws = append(l.flaws, lint.Flaw{Code: FlawSyntax, Text: err.Error()})
	}
	return l.flaws
}

// linter goes through the terms of one record.
type linter struct {
	text     string
	flaws    lint.List
	all      string // the all term; "" before it
	redirect bool
	leads    [2]int // the position of redirect=
	exp      bool
	seen     map[string]bool
	nets     []term
	broken   bool
}

func (l *linter) run() {
	if clause, start, end := pasted(l.text); clause != "" {
		l.flaws.Add(FlawPasted, clause, start, end)
		return
	}
	if at := strings.IndexAny(l.text, "\t\r\n"); at >= 0 {
		l.flaws.Add(FlawPasted, "there is a tab or line end in the value; only spaces may "+
			"separate terms",
			at, at+1)
		return
	}
	if len(l.text) > longRecord {
		l.flaws.Add(FlawLong,
			fmt.Sprintf("the record has %d bytes; above %d, some answers do not fit into a "+
				"packet", len(l.text), longRecord),
			0, 0)
	}
	for at, word := range terms(l.text) {
		if at > 0 {
			l.term(word, at, at+len(word))
		}
	}
	switch {
	case l.redirect && l.all != "":
		l.flaws.Add(FlawRedirect, "redirect= has no effect together with all", l.leads[0],
			l.leads[1])
	case !l.broken && !l.redirect && l.all == "":
		l.flaws.Add(FlawNoAll, "the record has no all and no redirect, so it says nothing about other "+
			"addresses; end it with ~all", 0, 0)
	}
}

// pasted is lint.Pasted, without what a modifier that means nothing may hold.
func pasted(text string) (clause string, start, end int) {
	for at, word := range terms(text) {
		clause, start, end = lint.Pasted(word)
		if clause == "" {
			continue
		}
		t, err := parseTerm(word)
		if _, notASCII := octetOutside(word); err != nil || t.kind != kindOther || notASCII {
			return clause, at + start, at + end
		}
	}
	return "", 0, 0
}

// terms are the terms of a record, the version among them, and where they stand.
func terms(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		at := 0
		for word := range strings.SplitSeq(text, " ") {
			if word != "" && !yield(at, word) {
				return
			}
			at += len(word) + 1
		}
	}
}

// term looks at one term.
func (l *linter) term(word string, start, end int) {
	if strings.EqualFold(word, version) {
		l.flaws.Add(FlawJoined, "a second record begins here: combine the two into one", start, end)
		return
	}
	if isOther(word) {
		l.flaws.Add(FlawJoined, "a record of another kind begins here: publish it on its own, at "+
			"its own name",
			start, end)
		return
	}
	t, err := parseTerm(word)
	if err != nil {
		l.broken = true
		l.flaws.Add(FlawSyntax, explainTerm(word, err), start, end)
		return
	}
	if name, _, _ := strings.Cut(word, "="); t.kind == kindOther && isMechanism(name) {
		l.flaws.Add(FlawColon,
			fmt.Sprintf("%s is ignored: a colon must follow %s, not =", word, name), start,
			end)
		return
	}
	if l.all != "" && !t.kind.isModifier() {
		l.flaws.Add(FlawAfterAll, fmt.Sprintf("%s comes after %s and is never "+
			"used", word, l.all), start, end)
		return
	}
	switch t.kind {
	case kindAll:
		l.atAll(t, start, end)
	case kindRedirect:
		l.modifier(&l.redirect, word, start, end)
		l.leads = [2]int{start, end}
	case kindExp:
		l.modifier(&l.exp, word, start, end)
	case kindPTR:
		l.flaws.Add(FlawPTR,
			"ptr is slow and depends on the client's own name servers (RFC 7208 section 5.5); "+
				"list the addresses instead",
			start, end)
	case kindIP4, kindIP6:
		l.network(t, start, end)
	}
	if !t.kind.isModifier() && usesLocal(t.spec) {
		l.flaws.Add(FlawMacro,
			"the result depends on the part of the address before the @, so DMARC reports cannot "+
				"confirm it",
			start, end)
	}
	key := strings.ToLower(strings.TrimPrefix(word, "+"))
	if !t.kind.isModifier() && l.seen[key] {
		l.flaws.Add(FlawDuplicate, word+" appears twice", start, end)
	}
	l.seen[key] = true
}

func (l *linter) atAll(t term, start, end int) {
	l.all = t.text
	switch t.value {
	case Pass:
		l.flaws.Add(FlawPlusAll, t.text+" allows every host on the Internet to send as this "+
			"domain", start, end)
	case Neutral:
		l.flaws.Add(FlawNeutral, "?all says nothing about other addresses, as if there were no "+
			"record; change it to ~all once all your senders are listed", start, end)
	}
}

func (l *linter) modifier(seen *bool, word string, start, end int) {
	if *seen {
		l.broken = true
		l.flaws.Add(FlawTwice, word+" is a second one, which makes the whole record "+
			"invalid", start, end)
	}
	*seen = true
}

// The shortest prefixes that a domain is likely to own.
const (
	wide4 = 16
	wide6 = 32
)

func (l *linter) network(t term, start, end int) {
	n := t.net.Masked()
	a := n.Addr()
	switch {
	case isWide(n):
		l.flaws.Add(FlawWide, fmt.Sprintf("%s allows %s", t.text, countAddresses(n)), start, end)
	case a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified():
		l.flaws.Add(FlawPrivate, t.text+" is a private network, which no receiver ever "+
			"sees", start, end)
	}
	isOpposed := func(other term) bool { return other.value != t.value && other.net.Overlaps(n) }
	if slices.ContainsFunc(l.nets, isOpposed) { // the order counts, and none can be removed
		l.nets = append(l.nets, t)
		return
	}
	for _, have := range l.nets {
		other := have.net.Masked()
		if other == n && !l.seen[strings.ToLower(strings.TrimPrefix(t.text, "+"))] {
			l.flaws.Add(FlawContained, fmt.Sprintf("%s is the network %s, which an earlier term "+
				"already lists", t.text, n), start, end)
			break
		}
		if other != n && other.Overlaps(n) {
			l.flaws.Add(FlawContained, fmt.Sprintf("%s overlaps %s; one of them is "+
				"enough", t.text, other), start, end)
			break
		}
	}
	l.nets = append(l.nets, t)
}

// isWide reports whether a network is larger than a domain is likely to own.
func isWide(n netip.Prefix) bool {
	return n.Bits() < wide4 && n.Addr().Is4() || n.Bits() < wide6 && n.Addr().Is6()
}

// countAddresses returns the number of addresses in a network, as text.
func countAddresses(n netip.Prefix) string {
	free := n.Addr().BitLen() - n.Bits()
	if free > 40 {
		return fmt.Sprintf("2^%d addresses", free)
	}
	return fmt.Sprintf("%d addresses", uint64(1)<<free)
}
