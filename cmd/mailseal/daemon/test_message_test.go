package daemon

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/cmd/mailseal/control"
	"mailseal/milter/miltertest"
)

// TestTestMessage has a daemon refuse the message that it was told of, once, with what it would
// have done, and treat as any other what a stranger or a second one sends there.
func TestTestMessage(t *testing.T) {
	_, dir, _ := runs(t, "")
	expect := func() string {
		a, err := control.Ask(t.Context(), filepath.Join(dir, "control"),
			control.Request{Command: control.Test})
		if err != nil || !strings.HasSuffix(a.Recipient, ".invalid") {
			t.Fatalf("%v, %+v", err, a)
		}
		return a.Recipient
	}
	send := func(client string, to ...string) miltertest.Outcome {
		t.Helper()
		o := miltertest.Options{Timeout: 30 * time.Second, Client: netip.MustParseAddr(client)}
		c, err := miltertest.Dial(t.Context(), "unix:"+dir+"/s", o)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		out, err := c.Send(miltertest.Message{To: to,
			Raw: []byte("From: postmaster@d0.example\n\nbody\n")})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	recipient := expect()
	if out := send("192.0.2.9", recipient); out.Refused() {
		t.Errorf("a stranger's: %+v", out.Reply)
	}
	if out := send("127.0.0.1", recipient, "bob@other.example"); out.Refused() {
		t.Errorf("with another recipient: %+v", out.Reply)
	}
	out := send("127.0.0.1", recipient)
	if !out.Refused() || !strings.Contains(out.Reply.String(),
		"550 5.7.1 Mailseal test: role ours, by network") ||
		!strings.Contains(out.Reply.String(), "signed by s._domainkey.d0.example") {
		t.Errorf("ours: %+v", out.Reply)
	}
	if out := send("127.0.0.1", recipient); out.Refused() {
		t.Errorf("the second: %+v", out.Reply)
	}
	first := expect()
	for range 16 {
		expect()
	}
	if out := send("127.0.0.1", first); out.Refused() {
		t.Errorf("the oldest of too many: %+v", out.Reply)
	}
}
