package domains

import (
	"slices"
	"strings"

	"mailseal/cmd/mailseal/check"
	"mailseal/milter/lint"
	"mailseal/milter/spf"
)

// count returns how many texts are records of a kind.
func count(texts []string, isRecord func(string) bool) int {
	n := 0
	for _, t := range texts {
		if isRecord(t) {
			n++
		}
	}
	return n
}

// stray reports a text that is almost a record and is beside a real one, which receivers use.
func (c *checker) stray(code check.Code, name, text string, flaw lint.Flaw) {
	f := c.report(code, name, flaw.Text+"; there is a valid record beside it")
	f.Seen, f.Start, f.End = text, flaw.Start, flaw.End
}

// leftOut adds to the findings about broken terms which of them the proposed record does not have.
func (c *checker) leftOut(name, text, mended string) {
	kept := strings.Fields(strings.ToLower(mended))
	isLost := func(term string) bool {
		if slices.Contains(spf.Omitted(text), term) {
			return true
		}
		alone, _ := spf.Repair("v=spf1 " + term)
		return slices.ContainsFunc(strings.Fields(strings.ToLower(alone)), func(word string) bool {
			return !slices.Contains(kept, word)
		})
	}
	for i := range c.result.Findings {
		f := &c.result.Findings[i]
		if f.Setting != name || f.Seen != text || f.Code != spf.FlawSyntax || len(f.Publish) == 0 {
			continue
		}
		term := strings.TrimSpace(text[f.Start:f.End])
		if isLost(term) {
			f.Text += " (the record to publish below does not have this term: add what was meant)"
		}
	}
}
