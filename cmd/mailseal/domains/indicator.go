package domains

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/lint"
	"mailseal/milter/taglist"
)

// indicatorVersion begins a BIMI record (draft-brand-indicators-for-message-identification, section
// 4.2).
const indicatorVersion = "v=BIMI1"

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
	records, shows := 0, false
	for _, t := range a.Texts {
		if !isIndicator(t) {
			continue
		}
		records++
		tags, _ := taglist.ParseLenient(t)
		logo, _ := tags.Value("l")
		shows = shows || logo != ""
		if mistake := indicatorMistake(t); mistake != "" {
			f := c.report(BIMIBroken, name, mistake)
			f.Seen = t
			if mended := mendIndicator(t); mended != "" {
				f.Publish = []publish.Record{{Name: name, Text: mended}}
			}
		}
	}
	switch {
	case records == 0:
		c.misspelled(ctx, name, "default._bimi", isIndicator)
	case records > 1:
		c.report(BIMISeveral, name, fmt.Sprintf("there are %d BIMI records: keep one, and delete "+
			"the others", records))
	case shows && c.result.Policy != "" && !c.enforces:
		c.report(BIMIPolicy, name, "the DMARC policy is "+c.result.Policy+
			"; a logo needs p=quarantine or p=reject, for subdomains as well")
	}
}

// isIndicator reports whether a text is a BIMI record, good or not.
func isIndicator(text string) bool {
	squeezed := strings.ToLower(strings.ReplaceAll(lint.Clean(text), " ", ""))
	return strings.HasPrefix(squeezed, "v=bimi")
}

// indicatorMistake says what is wrong with a BIMI record, "" for nothing.
func indicatorMistake(text string) string {
	if clause, _, _ := lint.Pasted(text); clause != "" {
		return clause
	}
	tags, skipped := taglist.ParseLenient(text)
	if len(tags) == 0 || tags[0].Name != "v" || "v="+tags[0].Value != indicatorVersion {
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
	case logo == "" && evidence != "":
		return "l= is empty, but a= names a certificate"
	case logo != "" && !isHTTPS(logo):
		return fmt.Sprintf("l=%s is not an https address", lint.Short(logo))
	case evidence != "" && !strings.EqualFold(evidence, "self") && !isHTTPS(evidence):
		return fmt.Sprintf("a=%s is not an https address", lint.Short(evidence))
	case logo != "" && !strings.HasSuffix(strings.ToLower(pathOf(logo)), ".svg") &&
		!strings.HasSuffix(strings.ToLower(pathOf(logo)), ".svgz"):
		return fmt.Sprintf("l=%s does not end in .svg: the logo must be an SVG image", lint.Short(logo))
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

// mendIndicator returns the BIMI record that was probably meant, "" when that is not known.
func mendIndicator(text string) string {
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
	mended := strings.Join(out, "; ")
	if indicatorMistake(mended) != "" {
		return ""
	}
	return mended
}
