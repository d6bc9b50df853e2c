package domains

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dns"
	"mailseal/milter/spf"
)

// droppable are the codes of terms without which a record allows the same hosts.
var droppable = []string{spf.FlawLoop, spf.FlawIncludeGone, spf.FlawIncludeNone, spf.FlawEmpty}

// correctedSPF returns the record that a text was probably meant to be, without the terms
// that have no effect, and its remaining flaws; "" if there is none. It proposes no record
// that would allow no host because a term is lost: only the owner knows which host was
// meant.
func (c *checker) correctedSPF(
	ctx context.Context, text string,
) (repaired string, left []spf.Found) {
	repaired, ok := spf.Repair(text)
	if !ok {
		return "", nil
	}
	dropped := spf.Omitted(text)
	for {
		v := spf.Explore(ctx, dns.Pretend{Resolver: c.Resolver, Name: c.name, Text: repaired},
			c.result.Domain)
		i := slices.IndexFunc(v.Flaws, func(f spf.Found) bool {
			return f.Domain == c.name && slices.Contains(droppable, f.Code) &&
				strings.Contains(repaired, " "+f.Term)
		})
		if i < 0 {
			if slices.ContainsFunc(dropped, allows) &&
				!slices.ContainsFunc(strings.Fields(repaired)[1:], allows) {
				return "", nil
			}
			return repaired, v.Flaws
		}
		term := v.Flaws[i].Term
		dropped = append(dropped, term)
		words := strings.Fields(repaired)
		repaired = strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == term }),
			" ")
	}
}

// allows reports whether a term of a record can have a client pass.
func allows(term string) bool {
	return !strings.ContainsAny(term[:min(1, len(term))], "-~?") &&
		!strings.HasPrefix(strings.ToLower(term), "exp=")
}

// correctSurvey adds the record to publish to the findings about the domain's SPF record, if it
// corrects them.
func (c *checker) correctSurvey(ctx context.Context) {
	root := c.result.SPF.Root
	if root.Text == "" || root.Broken != "" {
		return
	}
	repaired, left := c.correctedSPF(ctx, root.Text)
	if repaired == "" || repaired == root.Text || len(strings.Fields(repaired)) < 2 {
		return
	}
	for i := range c.result.Findings {
		f := &c.result.Findings[i]
		isLeft := slices.ContainsFunc(left, func(l spf.Found) bool {
			return check.Code(l.Code) == f.Code && l.Text == f.Text
		})
		isHere := slices.Contains(droppable, string(f.Code)) && f.Setting == c.name &&
			f.Start < f.End
		if isHere && !isLeft && len(f.Publish) == 0 {
			f.Publish = []publish.Record{{Name: c.name, Text: repaired}}
		}
	}
}

// joinSPF adds to the finding of several SPF records the one that allows what they allow together.
func (c *checker) joinSPF(ctx context.Context, texts []string) {
	records := slices.DeleteFunc(slices.Clone(texts),
		func(t string) bool { return !spf.IsRecord(t) })
	joined, ok := spf.Join(records)
	if !ok {
		return
	}
	v := spf.Explore(ctx, dns.Pretend{Resolver: c.Resolver, Name: c.name, Text: joined},
		c.result.Domain)
	isBroken := func(f spf.Found) bool { return slices.Contains(broken, check.Code(f.Code)) }
	if slices.ContainsFunc(v.Flaws, isBroken) {
		return
	}
	for i := range c.result.Findings {
		if f := &c.result.Findings[i]; f.Code == spf.FlawSeveral && f.Setting == c.name {
			f.Publish = []publish.Record{{Name: c.name, Text: joined}}
			all := strings.Join(records, " ")
			if ends := endings(all); len(ends) > 1 {
				f.Text += fmt.Sprintf(" (they end in %s, which contradict each other: the record "+
					"to publish below ends in %s, keep the one that is meant)",
					strings.Join(ends, " and "), lastWord(joined))
				all = withoutEndings(all)
			}
			f.Text += omission(all, joined)
		}
	}
}

// endings are the different mechanisms "all" of a text.
func endings(text string) []string {
	var out []string
	for _, word := range strings.Fields(strings.ToLower(text)) {
		if isAll(word) && !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	return out
}

func withoutEndings(text string) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(text), isAll), " ")
}

func lastWord(text string) string {
	words := strings.Fields(text)
	return words[len(words)-1]
}
