package milter

import (
	"bytes"
	"io"
	"log"
	"net"
	"strings"
	"testing"
	"time"

	"mailseal/milter/guard"
	"mailseal/milter/message"
)

// FuzzServer sends a connection whatever it likes after a good offer: nothing may panic, and no
// message may be judged that did not come whole.
func FuzzServer(f *testing.F) {
	hello := string(guard.AppendPacket(nil, guard.Connect, []byte(connectData))) +
		string(guard.AppendPacket(nil, guard.Helo, []byte("x\x00")))
	whole := string(packets(letter("Q1")))
	for _, s := range []string{hello, hello + whole, hello + whole + whole, whole + hello,
		strings.ReplaceAll(hello+whole, "\x00N", "\x00E"), hello + whole[:len(whole)/2]} {
		f.Add([]byte(s))
	}
	offer := guard.AppendPacket(nil, guard.Negotiate, []byte(everything))
	f.Fuzz(func(t *testing.T, sent []byte) {
		var said bytes.Buffer // where go-milter tells of panics
		log.SetOutput(&said)
		defer log.SetOutput(io.Discard)
		fl := &filter{wants: Wants{Hashes: []message.BodyHash{{Limit: message.Whole}}, Raw: 100}}
		c := &counts{events: map[Event]int{}, messages: map[string]int{}}
		s := New(Options{Metrics: c, Limits: guard.Limits{InPacket: time.Second}},
			Settings{Filter: fl, Roles: ours, HeaderLimit: 500})
		ours, theirs := net.Pipe()
		s.start(t.Context(), &Listener{name: "x"}, ours)
		go io.Copy(io.Discard, theirs)
		theirs.Write(offer)
		theirs.Write(sent)
		theirs.Close()
		s.wg.Wait()
		if c.event(Panicked) > 0 || strings.Contains(said.String(), "panic") {
			t.Errorf("panic: %s", said.String())
		}
		for _, m := range fl.seen {
			if m.whole.Body == nil || len(m.raw) > 100 {
				t.Errorf("judged by halves: %+v", m)
			}
		}
	})
}
