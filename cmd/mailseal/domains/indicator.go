package domains

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"mailseal/milter/lint"
	"mailseal/milter/taglist"
)

// indicatorVersion begins a BIMI record (draft-brand-indicators-for-message-identification, section
// 4.2).
const indicatorVersion = "v=BIMI1"

// pixels are file name extensions of images that cannot be logos. An address need not end
// in .svg.
var pixels = []string{".png", ".jpg", ".jpeg", ".gif", ".webp"}

// indicator looks at the BIMI record, which names a logo for receivers to show. Only the record is
// checked, never the image and its certificate. Most domains have none, and none is missed.
func (c *checker) indicator(ctx context.Context) {
	if c.Brief || c.parked {
		return
	}
	name := "default._bimi." + c.name
	a, ok := c.texts(ctx, name)
	if !ok || len(a.Aliases) > 0 && len(a.Texts) == 0 {
		return
	}
	records, shows := count(a.Texts, isExactIndicator), false
	near := 0
	for _, t := range a.Texts {
		if !isIndicator(t) {
			continue
		}
		mistake := indicatorMistake(t)
		if !isExactIndicator(t) && records > 0 {
			isUsed := records == 1 && slices.ContainsFunc(a.Texts, isGoodIndicator)
			c.stray(BIMIStray, name, t, lint.Flaw{Text: mistake}, isUsed)
			continue
		}
		near++
		tags, _ := taglist.ParseLenient(t)
		logo, _ := tags.Value("l")
		shows = shows || logo != ""
		if mistake != "" {
			f := c.reportOn(BIMIBroken, name, mistake, t)
			f.Publish = toPublish(name, correctIndicator(t))
		}
	}
	switch {
	case near == 0:
		c.misspelled(ctx, name, "default._bimi", isIndicator, soundIndicator)
	case records > 1:
		c.report(BIMISeveral, name, fmt.Sprintf("there are %d BIMI records: keep one, and delete "+
			"the others", records))
	case shows && c.result.Policy != "" && !c.enforces:
		c.report(BIMIPolicy, name, "the DMARC policy is "+c.result.Policy+
			"; a logo needs p=quarantine or p=reject, for subdomains as well")
	}
}

// isExactIndicator reports whether a text begins as receivers want it: to them, others are no
// records.
func isExactIndicator(text string) bool {
	tags, _ := taglist.ParseLenient(text)
	return len(tags) > 0 && tags[0].Name == "v" && "v="+tags[0].Value == indicatorVersion
}

func isGoodIndicator(text string) bool { return isIndicator(text) && indicatorMistake(text) == "" }

// isIndicator reports whether a text is a BIMI record, good or not.
func isIndicator(text string) bool {
	squeezed := strings.ToLower(strings.ReplaceAll(lint.Clean(text), " ", ""))
	return strings.HasPrefix(squeezed, "v=bimi")
}

// indicatorMistake describes the mistake in a BIMI record, or returns "".
func indicatorMistake(text string) string {
	if clause, _, _ := lint.Pasted(text); clause != "" {
		return clause
	}
	tags, skipped := taglist.ParseLenient(text)
	if !isExactIndicator(text) {
		return "the record does not begin with " + indicatorVersion + "; in exactly this form"
	}
	if len(skipped) > 0 {
		return fmt.Sprintf("%q is not a tag with a value", skipped[0])
	}
	logo, given := tags.Value("l")
	if !given {
		return "the record has no l=, which names the logo; an empty l= says that the domain has none"
	}
	evidence, _ := tags.Value("a")
	switch {
	case logo != "" && !isHTTPS(logo):
		return fmt.Sprintf("l=%s is not an https address", lint.Short(logo))
	case evidence != "" && !strings.EqualFold(evidence, "self") && !isHTTPS(evidence):
		return fmt.Sprintf("a=%s is not an https address", lint.Short(evidence))
	case slices.Contains(pixels, strings.ToLower(path.Ext(pathOf(logo)))):
		return fmt.Sprintf("l=%s is not an SVG image, which the logo must be", lint.Short(logo))
	}
	return ""
}

func isHTTPS(text string) bool {
	u, err := url.Parse(text)
	return err == nil && strings.EqualFold(u.Scheme, "https") && u.Hostname() != ""
}

func pathOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Path
}

// correctIndicator returns the BIMI record that was probably meant, "" when that is not known.
func correctIndicator(text string) string {
	text = lint.Clean(text)
	if !strings.Contains(text, ";") {
		text = strings.Join(strings.Fields(text), "; ")
	}
	tags, _ := taglist.ParseLenient(text)
	out := []string{indicatorVersion}
	for _, t := range tags {
		if t.Name != "v" && t.Value == taglist.Compact(t.Value) {
			out = append(out, t.Name+"="+t.Value)
		}
	}
	repaired := strings.Join(out, "; ")
	if indicatorMistake(repaired) != "" {
		return ""
	}
	return repaired
}
