package dkim_test

import (
	"slices"
	"strings"
	"testing"

	"mailseal/milter/dkim"
)

// TestAdditionsAreTrue adds every field that is said to be addable, and those that are not, and
// holds that the signature does what is said.
func TestAdditionsAreTrue(t *testing.T) {
	base := "From: a@example.com\r\nTo: b@example.org\r\nSubject: x\r\n"
	for name, o := range map[string]dkim.SignOptions{
		"default": {},
		"own lists": {Fields: []string{"From", "Subject", "X-Own", "Sender"},
			Oversign: []string{"From", "X-Own"}, OversignPresent: []string{"sender"}},
		"mime by others":         {KeepPlain: true},
		"none":                   {Oversign: []string{}, OversignPresent: []string{}},
		"omitted":                {Omit: []string{"To", "Date"}},
		"mime always":            {Oversign: append(dkim.DefaultOversign(), "MIME-Version")},
		"mime, not when present": {OversignPresent: []string{"Date"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := o.Additions()
			fields := append(append(dkim.DefaultFields(), o.Fields...), "Comments", "Bcc")
			for _, field := range fields {
				has := func(list []string) bool {
					return slices.ContainsFunc(list,
						func(n string) bool { return strings.EqualFold(n, field) })
				}
				kinds := 0
				for _, list := range [][]string{a.Always, a.WhenAbsent, a.WhenNotPlain} {
					if has(list) {
						kinds++
					}
				}
				if kinds > 1 {
					t.Errorf("%s is in %d lists", field, kinds)
				}
				absent := strings.Contains(base, "\r\n"+field+":") || field == "From"
				for _, c := range []struct {
					what, header, body string
					want               bool
				}{
					{"a second one", base + field + ": one\r\n", mailBody, has(a.Always)},
					{"the first one, 8 bits", base, "h\xf6\r\n", has(a.Always) ||
						has(a.WhenAbsent) || has(a.WhenNotPlain)},
					{"the first one, plain", base, mailBody, has(a.WhenAbsent) || has(a.Always)},
				} {
					isMIME := slices.Contains([]string{"MIME-Version", "Content-Type",
						"Content-Transfer-Encoding"}, field)
					isFirst := strings.HasPrefix(c.what, "the first")
					if isFirst && absent || c.what == "the first one, plain" && isMIME &&
						!o.KeepPlain {
						// it is not the first; or it is oversigned, though a second one would not
						// be
						continue
					}
					if strings.HasPrefix(field, "Resent-") || field == "From" {
						continue // a block of its own; and of two From there is no author
					}
					value := sign(t, c.header, c.body, rsaSigner(), o)
					signed := "DKIM-Signature:" + value + "\r\n" + c.header
					got := only(t, verify(t, &dkim.Verifier{Resolver: signers(t), Now: testClock,
						NoteUncovered: true}, []byte(field+": two\r\n"+signed+"\r\n"+c.body)))
					if (got.Value == dkim.Pass) != c.want {
						t.Errorf("%s, %s: %s %s, said: %v", field, c.what, got.Value, got.Reason,
							c.want)
					}
				}
			}
		})
	}
}
