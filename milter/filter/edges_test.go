package filter

import (
	"testing"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/message"
	"mailseal/milter/sign"
)

// TestUnsignedAmongOthers holds that one recipient whose mail is not signed is enough, wherever it
// is among the recipients.
func TestUnsignedAmongOthers(t *testing.T) {
	for _, tc := range []struct {
		to   []string
		want string
	}{
		{[]string{"b@example.net"}, "signed"},
		{[]string{"b@example.net", "c@example.org"}, "unsigned"},
		{[]string{"c@example.org", "b@example.net"}, "unsigned"},
	} {
		f, _ := newFilter(t, "good")
		f.UnsignedRecipients = patterns(t, "example.org")
		env := message.Envelope{Client: local.Client, Sender: "a@example.com", Recipients: tc.to}
		_, h := decide(t, f, action.RoleOurs, milter.ByNetwork, env, plainText)
		got := "unsigned"
		if h[0].Is("DKIM-Signature") {
			got = "signed"
		}
		if got != tc.want {
			t.Errorf("to %q: %s, want %s", tc.to, got, tc.want)
		}
	}
}

// TestRefusedIsNotSent holds that mail which is not let out does not count as sent: the advice on
// p=reject rests on these counts.
func TestRefusedIsNotSent(t *testing.T) {
	for _, tc := range []struct {
		onError action.OnKeyError
		check   action.Action
		want    action.Action
		sent    int
	}{
		{action.KeyTempfail, action.Accept, action.Accept, 1},
		{action.KeyTempfail, action.Tempfail, action.Tempfail, 0},
		{action.KeyReject, action.Tempfail, action.Reject, 0},
	} {
		f, rec := reportFilter(t)
		f.Signer.Table = sign.NewTable(
			[]sign.Rule{{Name: "sign[0]", From: patterns(t, "example.com"),
				Keys: []string{"good"}, OnKeyError: tc.onError}})
		f.Signer.Keys, f.Signer.Now = mismatchedKeys{}, nil // whose signatures do not verify
		f.SelfCheck = SelfCheck{Share: 1, Action: tc.check}
		env := message.Envelope{Client: local.Client, Sender: "a@example.com",
			Recipients: []string{"b@example.net"}}
		o, _ := decideRaw(t, f, action.RoleOurs, milter.ByNetwork, env, plainText,
			[]byte("body\r\n"))
		if o.Action != tc.want || len(rec.sent) != tc.sent {
			t.Errorf("%s, %s: got %s and %d sent, want %s and %d", tc.onError, tc.check, o.Action,
				len(rec.sent), tc.want, tc.sent)
		}
	}
}
