package domains

import (
	"fmt"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/dns"
	"mailseal/milter/spf"
)

// noteSoft explains why a record that ended in -all now ends in ~all.
const noteSoft = "The published record ends in -all, the proposal in ~all: with -all, some " +
	"receivers reject mail before they check DKIM, for example forwarded mail. With a DMARC " +
	"policy of quarantine or reject, ~all protects just as well. To keep -all, ask for it " +
	"(--all=-all)."

// noteOpen explains why a record that protected nothing now ends in ~all.
const noteOpen = "The published record says nothing about other addresses. The proposal ends in " +
	"~all: make sure that " +
	"the record lists every server that sends for the domain."

// withEnd has a record end in ~all that ends in ?all, or in nothing.
func withEnd(terms []string) (ended []string, changed bool) {
	for i, term := range terms {
		if strings.EqualFold(term, "?all") {
			ended = slices.Clone(terms)
			ended[i] = "~all"
			return ended, true
		}
		if isAll(term) || strings.HasPrefix(strings.ToLower(term), "redirect=") {
			return terms, false
		}
	}
	return append(slices.Clone(terms), "~all"), true
}

// edit takes terms out of a record, and sets how it ends.
func (q SPFWishes) edit(text string) (edited string, notes []string, err error) {
	terms := strings.Fields(text)
	for _, term := range q.Without {
		i := slices.IndexFunc(terms, func(have string) bool {
			return strings.EqualFold(have, term)
		})
		if i < 1 {
			notes = append(notes, fmt.Sprintf("The record has no term %q to remove.", term))
			continue
		}
		terms = slices.Delete(terms, i, i+1)
	}
	end := slices.IndexFunc(terms,
		func(term string) bool { return strings.EqualFold(term, "-all") })
	switch q.All {
	case "":
		if end >= 0 {
			terms[end] = "~all"
			notes = append(notes, noteSoft)
		} else if softened, ok := withEnd(terms); ok {
			terms = softened
			notes = append(notes, noteOpen)
		}
	case "-all", "~all":
		terms = slices.DeleteFunc(terms, isAll)
		terms = append(terms, q.All)
	default:
		return "", nil, answer.NewUsage(fmt.Errorf("--all is %q; it must be \"-all\" or "+
			"\"~all\"", q.All))
	}
	return strings.Join(terms, " "), notes, nil
}

// isAll reports whether a term is the mechanism "all", with any qualifier.
func isAll(term string) bool {
	return strings.EqualFold(strings.TrimLeft(term, "+-~?"), "all")
}

// SPFTerms are the terms of the SPF record of a name among answers, without its version; nil for
// none.
func SPFTerms(records []Seen, name string) []string {
	for _, r := range records {
		if r.Name != name || r.Type != dns.TXT.String() {
			continue
		}
		for _, text := range r.Values {
			if spf.IsRecord(text) {
				return strings.Fields(text)[1:]
			}
		}
	}
	return nil
}
