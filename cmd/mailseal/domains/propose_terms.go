package domains

import (
	"fmt"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/dns"
	"mailseal/milter/spf"
)

// noteSoft says why a record that ended in -all ends in ~all now.
const noteSoft = "The published record ends in -all, the proposal in ~all: some receivers refuse mail at -all before " +
	"they look at DKIM, such as that of forwarded mail. With a DMARC policy of quarantine or " +
	"reject ~all loses nothing; " +
	"publish -all again if you want it."

// edit takes terms out of a record, and sets how it ends.
func (q SPFWishes) edit(text string) (edited string, notes []string, err error) {
	terms := strings.Fields(text)
	for _, term := range q.Without {
		i := slices.IndexFunc(terms, func(have string) bool { return strings.EqualFold(have, term) })
		if i < 1 {
			notes = append(notes, fmt.Sprintf("The record has no term %q to take out.", term))
			continue
		}
		terms = slices.Delete(terms, i, i+1)
	}
	end := slices.IndexFunc(terms, func(term string) bool { return strings.EqualFold(term, "-all") })
	switch q.All {
	case "":
		if end >= 0 {
			terms[end] = "~all"
			notes = append(notes, noteSoft)
		}
	case "-all", "~all":
		terms = slices.DeleteFunc(terms, isAll)
		terms = append(terms, q.All)
	default:
		return "", nil, answer.NewUsage(fmt.Errorf("a record cannot end in %q; it ends in \"-all\" or \"~all\"", q.All))
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
