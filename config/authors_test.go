package config_test

import (
	"strings"
	"testing"

	"mailseal/config"
	"mailseal/milter/action"
)

// TestManyAuthors holds what mail with many domains in From gets, and that the warning's advice
// ends it.
func TestManyAuthors(t *testing.T) {
	for _, tc := range []struct {
		name string
		text string
		want action.Action
		warn string
	}{
		{"nothing set", "", action.Mark, ""},
		{"p_reject", "[policy.dmarc]\np_reject = \"reject\"\n", action.Reject, ""},
		{"both alike", "[policy]\nmany_authors = \"hold\"\n[policy.dmarc]\np_reject = \"hold\"\n", action.Hold, ""},
		{"milder", "[policy]\nmany_authors = \"accept\"\n[policy.dmarc]\np_reject = \"reject\"\n", action.Accept,
			`policy.many_authors: is "accept", but policy.dmarc.p_reject is "reject"`},
		{"the default written out", "[policy]\nmany_authors = \"mark\"\n[policy.dmarc]\np_reject = \"reject\"\n",
			action.Mark,
			`is "mark", but policy.dmarc.p_reject is "reject"`},
		{"harsher", "[policy]\nmany_authors = \"reject\"\n", action.Reject,
			`is "reject", but policy.dmarc.p_reject is "mark"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := parse(t, tc.text)
			if got := aboutAuthors(c); c.Policy.ManyAuthors != tc.want ||
				!strings.Contains(got, tc.warn) || (got != "") != (tc.warn != "") {
				t.Errorf("many_authors is %s, warning %q; want %s, %q", c.Policy.ManyAuthors, got,
					tc.want, tc.warn)
			}
			_, without, found := strings.Cut(tc.text, "many_authors")
			if !found {
				return
			}
			_, without, _ = strings.Cut(without, "\n")
			if c := parse(t, without); c.Policy.ManyAuthors != c.Policy.DMARC.Reject ||
				aboutAuthors(c) != "" {
				t.Errorf("without many_authors it is %s, warning %q", c.Policy.ManyAuthors,
					aboutAuthors(c))
			}
		})
	}
}

// aboutAuthors returns the warning about many_authors.
func aboutAuthors(c *config.Config) string {
	for _, w := range c.Warnings {
		if strings.Contains(w.Error(), "many_authors") {
			return w.Error()
		}
	}
	return ""
}
