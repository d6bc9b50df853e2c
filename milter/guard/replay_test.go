package guard_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	gomilter "github.com/emersion/go-milter"

	"mailseal/milter/guard"
	"mailseal/milter/miltertest"
)

// recordings are conversations of real MTAs, kept beside the repository.
const recordings = "../../../shared/vectors/wire"

// TestReplay plays what Postfix and Sendmail sent, in every recorded conversation, and wants the
// filter to see exactly that, in that order, and the MTA to get one answer for each command that
// has one.
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
			if len(r.Conversations) == 0 {
				t.Fatal("no conversation")
			}
			for _, conversation := range r.Conversations {
				said := fromMTA(conversation)
				for _, sinks := range []bool{false, true} {
					replay(t, said, sinks)
				}
			}
		})
	}
}

// fromMTA returns what the MTA said of a conversation.
func fromMTA(conversation []miltertest.Recorded) (said []packet) {
	for _, p := range conversation {
		if p.MTA {
			said = append(said, packet{p.Code, string(p.Data)})
		}
	}
	return said
}

func replay(t *testing.T, said []packet, sinks bool) {
	t.Helper()
	r := dial(t, defaults, func(r *rig) {
		r.sinks = sinks
		r.filter.eom = func(m *gomilter.Modifier, _ *guard.Conn) (gomilter.Response, error) {
			return always{gomilter.RespAccept}, m.InsertHeader(0, "X", " y")
		}
	})
	go func() {
		var all []byte
		for _, p := range said {
			all = guard.AppendPacket(all, p.code, []byte(p.data))
		}
		r.nc.Write(all)
		r.nc.(*net.UnixConn).CloseWrite()
	}()
	var got []string
	for p, err := r.ReadPacket(); err == nil; p, err = r.ReadPacket() {
		got = append(got, p.Code.String())
	}
	if err := r.end(); err != nil {
		t.Errorf("the conversation ended with %v", err)
	}
	if want := answersTo(said); !slices.Equal(got, want) {
		t.Errorf("the MTA got %q, want %q", got, want)
	}
	if got, want := joinBodies(r.filter.log()), joinBodies(eventsOf(t, said)); !slices.Equal(got,
		want) {
		t.Errorf("sinks %v: the filter saw\n got %q\nwant %q", sinks, got, want)
	}
}

// answersTo returns what an MTA that offers everything is to be told.
func answersTo(said []packet) (answers []string) {
	for _, p := range said {
		switch p.code {
		case guard.Negotiate:
			answers = append(answers, "OPTNEG")
		case guard.Connect, guard.Helo, guard.Mail, guard.Rcpt, guard.Data:
			answers = append(answers, guard.Continue.String())
		case guard.EndOfBody:
			answers = append(answers, guard.InsertHeader.String(), guard.Accept.String())
		}
	}
	return answers
}

// eventsOf reads the packets by other means than the guard does.
func eventsOf(t *testing.T, said []packet) []string {
	t.Helper()
	events := []string{"NEW"}
	for _, p := range said {
		words := strings.Split(strings.TrimSuffix(p.data, "\x00"), "\x00")
		switch p.code {
		case guard.Connect:
			events = append(events, connectEvent(t, p.data))
		case guard.Helo:
			events = append(events, "HELO "+words[0])
		case guard.Mail:
			events = append(events, "ABORT", "MAIL "+words[0]+" "+strings.Join(words[1:], " "))
		case guard.Rcpt:
			events = append(events, "RCPT "+words[0]+" "+strings.Join(words[1:], " "))
		case guard.Header:
			name, value, _ := strings.Cut(strings.TrimSuffix(p.data, "\x00"), "\x00")
			events = append(events, "HEADER "+name+":"+value)
		case guard.EndOfHeader:
			events = append(events, "EOH")
		case guard.Body:
			events = append(events, "BODY "+p.data)
		case guard.EndOfBody:
			events = append(events, "EOM")
		case guard.Abort:
			events = append(events, "ABORT")
		case guard.Negotiate, guard.Macro, guard.Quit:
		default:
			t.Fatalf("a recording has %v", p.code)
		}
	}
	return events
}

func connectEvent(t *testing.T, data string) string {
	t.Helper()
	b := bytes.NewBufferString(data)
	host, _ := b.ReadString(0)
	family, _ := b.ReadByte()
	if family == 'U' {
		return fmt.Sprintf("CONNECT %s unknown 0 <nil>", strings.Trim(host, "\x00"))
	}
	port := binary.BigEndian.Uint16(b.Next(2))
	addr, err := netip.ParseAddr(strings.TrimPrefix(strings.Trim(b.String(), "\x00"), "IPv6:"))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("CONNECT %s tcp%c %d %v", strings.Trim(host, "\x00"), family, port, addr)
}

// joinBodies makes one event of the pieces of a body, which may be cut anywhere.
func joinBodies(events []string) (out []string) {
	for _, e := range events {
		piece, isBody := strings.CutPrefix(e, "BODY ")
		if last := len(out) - 1; isBody && last >= 0 && strings.HasPrefix(out[last], "BODY ") {
			out[last] += piece
			continue
		}
		out = append(out, e)
	}
	return out
}
