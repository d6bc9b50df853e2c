package filter

import (
	"bytes"
	"strings"
	"testing"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/message"
)

// The fields of DKIM2 are not finished, and belong to others: they are left as they are, are no
// signatures of DKIM, and are not signed.
func TestFieldsOfDKIM2(t *testing.T) {
	const fields = "DKIM2-Signature: i=2; n=1; d=example.com; " +
		"s=a:rsa-sha256:AAAA\nMessage-Instance: m=2; h=sha256:AAAA\n" +
		"DKIM2-Signature: i=1; d=example.com;\n\ts=a:rsa-sha256:BBBB\nMESSAGE-INSTANCE:m=1\n"
	for _, tc := range []struct {
		name   string
		role   action.Role
		why    milter.Reason
		env    message.Envelope
		change func(*Filter)
	}{
		{"ours", action.RoleOurs, milter.ByAuthentication, loggedIn, nil},
		{"ours, old signatures removed", action.RoleOurs, milter.ByAuthentication, loggedIn,
			func(f *Filter) { f.Signer.Table.Rules()[0].RemoveOld = true }},
		{"ours, signed already", action.RoleOurs, milter.ByAuthentication, loggedIn,
			func(f *Filter) { f.Signer.Table.Rules()[0].SkipIfSigned = true }},
		{"theirs", action.RoleTheirs, milter.ByDefault, fromAway, nil},
		{"signed again", action.RoleTheirs, milter.ByDefault, fromAway,
			func(f *Filter) { f.Signer.Table.Rules()[0].Resign = true }},
		{"a relay's", action.RoleRelay, milter.ByRelay, fromAway, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, counts := newFilter(t, "good")
			if tc.change != nil {
				tc.change(f)
			}
			o, h := decide(t, f, tc.role, tc.why, tc.env, fields+plainText)
			var got []string
			for _, field := range h {
				if field.Is("DKIM2-Signature") || field.Is("Message-Instance") {
					got = append(got, string(bytes.ReplaceAll(field.Raw(), []byte("\r\n"),
						[]byte("\n"))))
				}
				if field.Is("DKIM-Signature") &&
					(strings.Contains(strings.ToLower(string(field.Value())), "dkim2") ||
						strings.Contains(strings.ToLower(string(field.Value())),
							"message-instance")) {
					t.Errorf("signed: %s", field.Raw())
				}
			}
			if strings.Join(got, "\n")+"\n" != fields {
				t.Errorf("%s: got\n%s\nwant\n%s", o.Action, strings.Join(got, "\n"), fields)
			}
			words := strings.Join(counts.words, " ")
			if tc.role != action.RoleOurs && !strings.Contains(words, "dkim=none") ||
				tc.role == action.RoleOurs && !strings.Contains(words, "signed") {
				t.Errorf("counted %q", words)
			}
		})
	}
}
