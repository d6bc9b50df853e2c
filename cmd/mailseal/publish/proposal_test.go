package publish_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/publish"
)

// TestNotesKeepRecordsWhole holds that lines with records and settings stay as they are at any
// width, and that the sentences around them are broken.
func TestNotesKeepRecordsWhole(t *testing.T) {
	record := "  after 30 days: v=DMARC1; p=quarantine; t=y; np=reject; rua=mailto:" +
		"reports-of-all-our-domains@mail.example.com; ruf=mailto:failures@mail.example.com; fo=1"
	setting := `  from = ["*@a-domain-with-a-long-name.example", "*@another-domain-with-a-long-name.example"]`
	sentence := "Take each step only when the reports on the step before show that none of your mail " +
		"fails, and that all who send for you sign what they send with a key of your domain."
	note := sentence + "\n" + record + "\n" + sentence + "\n\n  [[sign]]\n" + setting
	for _, width := range []int{60, 80, 120} {
		lines := strings.Split(publish.Note(note, width), "\n")
		for _, whole := range []string{record, setting, "  [[sign]]"} {
			if !slices.Contains(lines, whole) {
				t.Errorf("width %d: no line %q in %q", width, whole, lines)
			}
		}
		for _, line := range lines {
			if len(line) > width && line != record && line != setting {
				t.Errorf("width %d: %s", width, line)
			}
		}
	}
	var b bytes.Buffer
	p := publish.Proposal{Domain: "example.com", Notes: []string{note}}
	if err := p.Write(&b, false); err != nil || !strings.Contains(b.String(), "\n"+record+"\n") {
		t.Errorf("got %v and\n%s", err, &b)
	}
}

// TestValueThatCannotBeShown holds that no value is shown with other bytes than it has.
func TestValueThatCannotBeShown(t *testing.T) {
	for text, isShown := range map[string]bool{
		"v=spf1 mx ~all":         true,
		"v=spf1 exp=\u00fc.test": false,
		"a\tb":                   false,
		"a?b":                    true,
	} {
		var b bytes.Buffer
		if err := (publish.Record{Name: "example.com", Text: text}).Write(&b, "", 0); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.String(), "value:\n  "+text+"\n"); got != isShown {
			t.Errorf("%q is shown: %t\n%s", text, got, &b)
		}
		if !isShown && !strings.Contains(b.String(), "not printable ASCII") {
			t.Errorf("%q: nothing says why the value is missing\n%s", text, &b)
		}
	}
}
