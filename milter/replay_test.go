package milter

import (
	"net"
	"slices"
	"strings"
	"testing"

	"mailseal/milter/action"
	"mailseal/milter/guard"
	"mailseal/milter/message"
	"mailseal/milter/miltertest"
)

// recordings are conversations of real MTAs, kept beside the repository.
const recordings = "../../shared/vectors/wire"

// TestReplay plays what Postfix and Sendmail sent through the whole server: each message that they
// sent whole is judged once, with its own envelope, fields and body, and gets one verdict.
func TestReplay(t *testing.T) {
	all, err := miltertest.ReadRecordings(recordings)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Skipf("no recordings in %s", recordings)
	}
	for _, r := range all {
		t.Run(r.Name, func(t *testing.T) {
			judged := 0
			for _, conversation := range r.Conversations {
				judged += replay(t, fromMTA(conversation))
			}
			if judged == 0 {
				t.Error("no message was judged")
			}
		})
	}
}

// fromMTA returns what the MTA said of a conversation.
func fromMTA(conversation []miltertest.Recorded) (said []guard.Packet) {
	for _, p := range conversation {
		if p.MTA {
			said = append(said, p.Packet)
		}
	}
	return said
}

// sent is a message as the packets of an MTA have it.
type sent struct {
	from  string
	rcpts []string
	names []string
	body  int64
	id    bool // a queue id was sent: not by a Sendmail that was asked for no macros
}

// messages returns the messages that an MTA sent whole.
func messages(said []guard.Packet) (whole []sent) {
	var m sent
	for _, p := range said {
		first, _, _ := strings.Cut(string(p.Data), "\x00")
		switch p.Code {
		case guard.Mail:
			m = sent{from: strings.Trim(first, "<>"), id: m.id}
		case guard.Rcpt:
			m.rcpts = append(m.rcpts, strings.Trim(first, "<>"))
		case guard.Header:
			m.names = append(m.names, first)
		case guard.Macro:
			m.id = m.id || strings.HasSuffix(first, "i") && len(first) == 2 ||
				strings.Contains(string(p.Data), "\x00i\x00")
		case guard.Body:
			m.body += int64(len(p.Data))
		case guard.EndOfBody:
			whole = append(whole, m)
			m.id = false
		}
	}
	return whole
}

func replay(t *testing.T, said []guard.Packet) (judged int) {
	t.Helper()
	f := &filter{wants: Wants{Hashes: []message.BodyHash{{Limit: message.Whole}}}}
	r := serve(t, Settings{Filter: f, Roles: ours})
	nc, err := net.Dial("unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	go func() {
		fr := guard.NewFramer(nc, guard.Limits{})
		for _, p := range said {
			fr.WritePacket(p.Code, p.Data)
		}
		fr.Flush()
		nc.(*net.UnixConn).CloseWrite()
	}()
	verdicts, fr := 0, guard.NewFramer(nc, guard.Limits{})
	for p, err := fr.ReadPacket(); err == nil; p, err = fr.ReadPacket() {
		if p.Code == guard.Accept {
			verdicts++
		} else if p.Code != guard.Continue && p.Code != guard.Negotiate {
			t.Errorf("got %v %q", p.Code, p.Data)
		}
	}
	want := messages(said)
	if verdicts != len(want) || len(f.seen) != len(want) || r.counts.event(Malformed) > 0 {
		t.Errorf("%d verdicts, %d judged, %d sent: %s", verdicts, len(f.seen), len(want), r.log)
		return 0
	}
	for i, w := range want {
		compare(t, f.seen[i], w)
	}
	return len(want)
}

func compare(t *testing.T, got seen, want sent) {
	t.Helper()
	var names []string
	for _, f := range got.Header {
		names = append(names, f.Name())
	}
	env := got.envelope
	if env.Sender != want.from || !slices.Equal(env.Recipients, want.rcpts) {
		t.Errorf("%s: from %q to %q, want %q to %q", env.QueueID, env.Sender, env.Recipients,
			want.from, want.rcpts)
	}
	if !slices.Equal(names, want.names) || got.whole.Body.Size() != want.body {
		t.Errorf("%s: fields %q and %d octets, want %q and %d", env.QueueID, names,
			got.whole.Body.Size(), want.names, want.body)
	}
	if want.id && env.QueueID == "" || env.Helo == "" || env.MTA == "" && env.Hostname == "" {
		t.Errorf("the envelope lacks something: %+v", env)
	}
	if wantRole := map[bool]action.Role{true: action.RoleOurs,
		false: action.RoleTheirs}[env.Client.IsLoopback() || env.Local]; got.Role != wantRole {
		t.Errorf("%s: %s by %s", env.QueueID, got.Role, got.Why)
	}
}
