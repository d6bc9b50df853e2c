package domains

import (
	"slices"
	"strings"

	"mailseal/cmd/mailseal/check"
	"mailseal/milter/dmarc"
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

// stray reports a text that is almost a record and is beside real ones. If isUsed, there is one,
// and receivers use it.
func (c *checker) stray(code check.Code, name, text string, flaw lint.Flaw, isUsed bool) {
	beside := "; another record exists at the same name"
	if isUsed {
		beside = "; a valid record exists at the same name"
	}
	f := c.reportOn(code, name, flaw.Text+beside, text)
	f.Start, f.End = flaw.Start, flaw.End
	if isUsed {
		f.Why = "Receivers ignore this text and use the valid record. Delete the text."
	}
}

// isSPFUsed reports whether there is exactly one SPF record among texts, without a mistake for
// which receivers return permerror.
func isSPFUsed(texts []string) bool {
	isBroken := func(f lint.Flaw) bool {
		return f.Code == spf.FlawPasted || slices.Contains(broken, check.Code(f.Code))
	}
	i := slices.IndexFunc(texts, spf.IsRecord)
	return count(texts, spf.IsRecord) == 1 && !slices.ContainsFunc(spf.Lint(texts[i]), isBroken)
}

// isDMARCUsed reports whether there is exactly one DMARC record among texts, and it can be read.
func isDMARCUsed(texts []string) bool {
	i := slices.IndexFunc(texts, dmarc.IsRecord)
	if count(texts, dmarc.IsRecord) != 1 {
		return false
	}
	isLost := func(f lint.Flaw) bool { return whyLost(texts[i], f) != "" }
	_, err := dmarc.Parse(texts[i])
	return err == nil && !slices.ContainsFunc(dmarc.Lint(texts[i]), isLost)
}

// leftOut adds to the first proposal for a text which of its terms the proposed record does not
// have.
func (c *checker) leftOut(name, text string) {
	for i := range c.result.Findings {
		f := &c.result.Findings[i]
		if f.Setting != name || f.Seen != text || len(f.Publish) == 0 || f.Publish[0].Name != name {
			continue
		}
		f.Text += omission(text, f.Publish[0].Text)
		return
	}
}

// omission lists the terms of a text that the record to publish does not have, or returns
// "".
func omission(text, repaired string) string {
	kept := strings.Fields(strings.ToLower(repaired))
	lost := spf.Omitted(text)
	whole, _ := spf.Repair(text)
	for _, term := range strings.Fields(whole) {
		if !isAll(term) && !slices.Contains(kept, strings.ToLower(term)) {
			lost = append(lost, term)
		}
	}
	if len(lost) == 0 {
		return ""
	}
	var quoted []string
	for _, term := range slices.Compact(lost) {
		quoted = append(quoted, lint.Short(term))
	}
	return " (the record to publish below leaves out " + strings.Join(quoted, " and ") +
		": add what was meant)"
}
