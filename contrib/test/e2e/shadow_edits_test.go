package e2e

import (
	"net"
	"slices"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
	"mailseal/milter/guard"
)

// Old milters that OpenDKIM is not: with every edit there is, and every way of talking.

// editor is an old milter: what it asks for, and what it says at the end of a message.
type editor struct {
	asks  guard.Agreement
	edits []guard.Packet
}

func (e editor) listen(t *testing.T, hostport string) {
	t.Helper()
	l, err := net.Listen("tcp", hostport)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go e.serve(nc)
		}
	}()
}

func (e editor) serve(nc net.Conn) {
	defer nc.Close()
	f := guard.NewFramer(nc, guard.Limits{})
	for {
		p, err := f.ReadPacket()
		switch {
		case err != nil || p.Code == guard.Quit:
			return
		case p.Code == guard.Negotiate:
			_ = f.WritePacket(guard.Negotiate, e.asks.Data())
		case p.Code == guard.EndOfBody:
			for _, edit := range e.edits {
				_ = f.WritePacket(edit.Code, edit.Data)
			}
		case e.asks.Answers(p.Code):
			_ = f.WritePacket(guard.Continue)
		}
	}
}

func edit(code guard.Code, data string) guard.Packet {
	return guard.Packet{Code: code, Data: []byte(data)}
}

// edits are one of each kind; space is what a filter that sees leading space sends before a value.
func edits(space string) []guard.Packet {
	return []guard.Packet{
		edit(guard.Progress, ""),
		edit(guard.ChangeHeader, "\x00\x00\x00\x01Subject\x00"+space+"changed\x00"),
		edit(guard.ChangeHeader, "\x00\x00\x00\x02X-Twice\x00\x00"),
		edit(guard.InsertHeader, "\x00\x00\x00\x00X-First\x00"+space+"one;\n\ttwo\x00"),
		edit(guard.InsertHeader, "\x00\x00\x00\x01X-Second\x00  two spaces\x00"),
		edit(guard.AddHeader, "X-Last\x00"+space+"last\x00"),
		edit(guard.ChangeSender, "<other@home.example>\x00"),
		edit(guard.AddRcpt, "<more@elsewhere.example>\x00"),
		edit(guard.ReplaceBody, "another body\r\n"),
		edit(guard.ReplaceBody, "in two pieces\r\n"),
		edit(guard.Accept, ""),
	}
}

const everyAction = guard.AddHeaders | guard.ChangeHeaders | guard.ChangeBody |
	guard.AddRecipients | guard.ChangeFrom | guard.Quarantine

func TestShadowEditsInMTA(t *testing.T) {
	silent := guard.NoReplyHeader | guard.NoReplyEOH | guard.NoReplyBody |
		guard.NoData | guard.NoUnknown
	for _, k := range []struct {
		name  string
		start startMTA
		old   editor
	}{
		{"Postfix, no leading space", rig.Postfix,
			editor{guard.Agreement{Version: 6, Actions: everyAction}, edits("")}},
		{"Sendmail, no leading space", rig.Sendmail,
			editor{guard.Agreement{Version: 6, Actions: everyAction}, edits("")}},
		{"Postfix, silent, leading space", rig.Postfix,
			editor{guard.Agreement{Version: 6, Actions: everyAction,
				Protocol: silent | guard.LeadingSpace}, edits(" ")}},
		{"Sendmail, silent, leading space", rig.Sendmail,
			editor{guard.Agreement{Version: 6, Actions: everyAction,
				Protocol: silent | guard.LeadingSpace}, edits(" ")}},
		{"Postfix, version 2, without body", rig.Postfix,
			editor{guard.Agreement{Version: 2, Actions: everyAction,
				Protocol: guard.NoBody | guard.NoHeaders}, edits("")}},
		{"Sendmail, version 2, without body", rig.Sendmail,
			editor{guard.Agreement{Version: 2, Actions: everyAction,
				Protocol: guard.NoBody | guard.NoHeaders}, edits("")}},
	} {
		t.Run(k.name, func(t *testing.T) {
			w := newTwinsBefore(t, k.start,
				func(_ *twins, hostport string) { k.old.listen(t, hostport) })
			c := w.user(t)
			m := mail("alice@home.example", "edited@elsewhere.example", "X-Twice: 1", "X-Twice:2",
				"X-Odd:\todd", "X-Folded:\n\tone\n two")
			for range 2 { // on one connection
				got := c.deliver(m)
				edited := strings.HasSuffix(string(got.Data),
					"\r\n\r\nanother body\r\nin two pieces\r\n") &&
					strings.Contains(string(got.Data), "\r\nX-Second:  ")
				if !edited || got.From != "other@home.example" ||
					!slices.Contains(got.To, "more@elsewhere.example") {
					t.Errorf("not edited, from %s to %s\n%s", got.From, got.To, got.Data)
				}
			}
			c.quit()
		})
	}
}
