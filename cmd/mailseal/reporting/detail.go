package reporting

import (
	"cmp"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/domains"
	"mailseal/milter/domain"
	"mailseal/milter/report/store"
	"mailseal/milter/report/web"
)

// Bounds of what is asked and kept for the pages of one domain.
const (
	maxKeysSeen       = 15 // keys in reports, those with the most messages
	maxNamesSeen      = 10 // names in From, likewise
	maxDetailFindings = 50 // findings
)

// signedWith are the names of the records of the keys that signed mail, those with the most
// messages first.
func signedWith(ids []web.Identity) []string {
	sums := map[string]int64{}
	for i := range ids {
		for _, s := range ids[i].DKIM {
			n := strings.ToLower(s.Selector + "._domainkey." + s.Domain)
			if _, err := domain.Parse(n); s.Selector != "" && err == nil {
				sums[n] += ids[i].Messages
			}
		}
	}
	return largest(sums, maxKeysSeen)
}

// namesBelow are the names in From, those with the most messages first.
func namesBelow(name string, ids []web.Identity) []string {
	sums := map[string]int64{}
	for i := range ids {
		from := ids[i].From
		if from == name || strings.HasSuffix(from, "."+name) {
			sums[from] += ids[i].Messages
		}
	}
	return largest(sums, maxNamesSeen)
}

// largest returns the n words with the largest sums.
func largest(sums map[string]int64, n int) []string {
	var out []string
	for word := range sums {
		out = append(out, word)
	}
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(cmp.Compare(sums[b], sums[a]), cmp.Compare(a, b))
	})
	return out[:min(n, len(out))]
}

// findingsOf are the findings of a check with their texts.
func findingsOf(r domains.Result) (out []store.OwnListed) {
	for _, f := range r.Findings[:min(len(r.Findings), maxDetailFindings)] {
		text := f.Text
		if len(text) > maxWorst {
			text = strings.ToValidUTF8(text[:maxWorst], "") + "…"
		}
		out = append(out, store.OwnListed{Severity: string(f.Severity), Code: string(f.Code),
			Record: f.Setting, Text: text})
	}
	return out
}
