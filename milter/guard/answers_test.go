package guard_test

import (
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gomilter "github.com/emersion/go-milter"

	"mailseal/milter/guard"
)

func TestA10NoReplyStages(t *testing.T) {
	for _, c := range []struct {
		name     string
		protocol uint32
		sinks    bool
		header   bool // answered
		eoh      bool
		body     bool
	}{
		{"agreed", allProtocol, false, false, false, false},
		{"agreed, sinks", allProtocol, true, false, false, false},
		{"not offered", 0, false, true, true, true},
		{"not offered, sinks", 0, true, true, true, true},
		{"fields only", uint32(guard.NoReplyHeader), true, false, true, true},
		{"end of header only", uint32(guard.NoReplyEOH), true, true, false, true},
		{"body only", uint32(guard.NoReplyBody), false, true, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := dial(t, defaults, func(r *rig) { r.sinks = c.sinks })
			r.send(guard.Negotiate, string(offer(6, allActions, c.protocol)))
			r.want(guard.Negotiate)
			r.hello()
			step := func(answered bool, code guard.Code, data string) {
				t.Helper()
				r.send(code, data)
				if answered {
					r.want(guard.Continue)
				}
			}
			for range 2 {
				r.ask(guard.Mail, "<a@example.com>\x00")
				r.ask(guard.Rcpt, "<b@example.com>\x00")
				step(c.header, guard.Header, "Subject\x00 one\x00")
				step(c.header, guard.Header, "Empty\x00\x00")
				step(c.eoh, guard.EndOfHeader, "")
				step(c.body, guard.Body, "one")
				step(c.body, guard.Body, "two")
				r.send(guard.EndOfBody, "")
				r.want(guard.Accept)
			}
			if err := r.quit(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A refusal that the MTA would read as the answer to something else must not be sent: the message
// is deferred by the end of the connection.
func TestA10RefusalWithoutReply(t *testing.T) {
	quiet(t)
	r := open(t, defaults, func(r *rig) {
		r.filter.stage = map[string]gomilter.Response{"EOH": always{gomilter.RespReject}}
	})
	r.hello()
	r.message("body")
	r.closed()
	if err := r.end(); !errors.Is(err, guard.ErrNoAnswer) {
		t.Errorf("got %v, want ErrNoAnswer", err)
	}
}

func TestA20OwnClientOfTheLibrary(t *testing.T) {
	client, server := pair(t)
	r := &rig{mta: &mta{t: t}, filter: &recorder{}, conn: make(chan *guard.Conn, 1),
		ended: make(chan error, 1), options: defaults}
	go r.serve(server)
	lib := gomilter.NewClientWithOptions("unix", "", gomilter.ClientOptions{
		Dialer:     dialer{client},
		ActionMask: gomilter.OptAction(allActions),
	})
	s, err := lib.Session()
	if err != nil {
		t.Fatalf("the library's client refuses the guard's version: %v", err)
	}
	if act, err := s.Conn("client.example", gomilter.FamilyInet, 1, "192.0.2.1"); err != nil ||
		act.Code != gomilter.ActContinue {
		t.Errorf("Conn: %v, %v", act, err)
	}
	if act, err := s.Mail("a@example.com", nil); err != nil || act.Code != gomilter.ActContinue {
		t.Errorf("Mail: %v, %v", act, err)
	}
	s.Close()
	r.end()
}

type dialer struct{ conn net.Conn }

func (d dialer) Dial(string, string) (net.Conn, error) { return d.conn, nil }

// One write for the end of a message, and few for the rest.
func TestA21Writes(t *testing.T) {
	client, server := pair(t)
	counted := &countingConn{Conn: server}
	r := &rig{
		mta:    &mta{t: t, nc: client, Framer: guard.NewFramer(client, guard.Limits{})},
		filter: &recorder{}, conn: make(chan *guard.Conn, 1), ended: make(chan error, 1),
		options: defaults, sinks: true,
	}
	r.filter.eom = func(m *gomilter.Modifier, _ *guard.Conn) (gomilter.Response, error) {
		for i := 3; i > 0; i-- {
			if err := errors.Join(m.ChangeHeader(i, "Authentication-Results", ""),
				m.InsertHeader(0, "X", " "+strings.Repeat("y", 5000))); err != nil {
				return nil, err
			}
		}
		return verdictContinue, nil
	}
	go r.serve(counted)
	r.send(guard.Negotiate, string(offer(6, allActions, allProtocol)))
	r.want(guard.Negotiate)
	r.hello()
	for range 2 {
		before := counted.writes.Load()
		r.message("body")
		for range 3 {
			r.want(guard.ChangeHeader)
			r.want(guard.InsertHeader)
		}
		r.want(guard.Continue)
		if got := counted.writes.Load() - before; got != 3 {
			t.Errorf("%d writes for a message, want 3: MAIL, RCPT, end", got)
		}
	}
	if err := r.quit(); err != nil {
		t.Error(err)
	}
}

type countingConn struct {
	net.Conn
	writes, reads atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func (c *countingConn) Read(p []byte) (int, error) {
	c.reads.Add(1)
	return c.Conn.Read(p)
}

func TestA22EditsThatTheMTAWouldMisread(t *testing.T) {
	for _, c := range []struct {
		name    string
		actions uint32
		edit    func(*gomilter.Modifier) error
	}{
		{"NUL in a value", allActions, func(m *gomilter.Modifier) error { return m.InsertHeader(0, "X", "a\x00b") }},
		{"NUL in a name", allActions, func(m *gomilter.Modifier) error { return m.AddHeader("X\x00Y", "a") }},
		{"no name", allActions, func(m *gomilter.Modifier) error { return m.ChangeHeader(1, "", "a") }},
		{"NUL in a reason", allActions, func(m *gomilter.Modifier) error { return m.Quarantine("a\x00b") }},
		{"not offered", 0x1f, func(m *gomilter.Modifier) error { return m.Quarantine("why") }},
		{"not wished", allActions, func(m *gomilter.Modifier) error { return m.ReplaceBody([]byte("x")) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got error
			r := dial(t, defaults, func(r *rig) {
				r.filter.eom = func(m *gomilter.Modifier, _ *guard.Conn) (gomilter.Response,
					error) {
					got = c.edit(m)
					return always{gomilter.RespTempFail}, nil
				}
			})
			r.send(guard.Negotiate, string(offer(6, c.actions, allProtocol)))
			r.want(guard.Negotiate)
			r.hello()
			r.message("")
			r.want(guard.TempFail) // and nothing before it
			if !errors.Is(got, guard.ErrNoAnswer) {
				t.Errorf("the edit returned %v, want ErrNoAnswer", got)
			}
			if err := r.quit(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestA22EditBeforeTheEnd(t *testing.T) {
	var got error
	r := open(t, defaults, func(r *rig) {
		r.filter.stage = map[string]gomilter.Response{"MAIL": verdictContinue}
	})
	conn := <-r.conn
	r.hello()
	_, got = conn.Write(guard.AppendPacket(nil, guard.AddHeader, []byte("X\x00y\x00")))
	if !errors.Is(got, guard.ErrNoAnswer) {
		t.Errorf("got %v", got)
	}
	if err := r.quit(); err != nil {
		t.Error(err)
	}
}

func TestA23Progress(t *testing.T) {
	o := defaults
	o.Limits.Progress = 2 * time.Millisecond
	seen := make(chan struct{})
	r := open(t, o, func(r *rig) {
		r.filter.eom = func(m *gomilter.Modifier, c *guard.Conn) (gomilter.Response, error) {
			c.StartProgress()
			c.StartProgress() // twice is once
			<-seen
			for range 50 {
				if err := m.AddHeader("X", " y"); err != nil {
					return nil, err
				}
			}
			c.StartProgress() // too late
			<-time.After(10 * time.Millisecond)
			return verdictContinue, nil
		}
	})
	r.hello()
	r.message("body")
	for range 3 {
		r.want(guard.Progress)
	}
	close(seen)
	p, err := r.ReadPacket()
	for ; err == nil && p.Code == guard.Progress; p, err = r.ReadPacket() {
	}
	for range 49 {
		r.want(guard.AddHeader)
	}
	r.want(guard.Continue)
	if err := r.quit(); err != nil {
		t.Error(err)
	}
}

// Before the end of a message no one reads a sign of life.
func TestA23ProgressAtTheWrongTime(t *testing.T) {
	o := defaults
	o.Limits.Progress = time.Millisecond
	r := open(t, o, nil)
	conn := <-r.conn
	r.hello()
	conn.StartProgress()
	conn.StopProgress()
	r.ask(guard.Mail, "<>\x00")
	conn.StartProgress()
	<-time.After(10 * time.Millisecond)
	r.ask(guard.Rcpt, "<>\x00")
	if err := r.quit(); err != nil {
		t.Error(err)
	}
}

func TestA23SkipBody(t *testing.T) {
	for _, c := range []struct {
		name     string
		protocol guard.Protocol
		want     guard.Code // of the first piece; 0: no answer
		library  bool       // the body goes through go-milter
	}{
		{"nothing is answered", allProtocol, 0, false},
		{"SKIP", guard.Skip, guard.SkipBody, false},
		{"SKIP, through go-milter", guard.Skip, guard.SkipBody, true},
		{"neither", 0, guard.Continue, false},
		{"neither, through go-milter", 0, guard.Continue, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			pieces := 0
			r := dial(t, defaults, func(r *rig) {
				if c.library {
					skip := gomilter.SimpleResponse(guard.SkipBody)
					r.filter.stage = map[string]gomilter.Response{"BODY": always{skip}}
				} else {
					r.onBody = func([]byte) error { pieces++; return guard.ErrSkip }
				}
			})
			r.send(guard.Negotiate, string(offer(6, allActions, uint32(c.protocol))))
			r.want(guard.Negotiate)
			r.hello()
			for range 2 {
				r.ask(guard.Mail, "<>\x00")
				r.send(guard.EndOfHeader, "")
				if c.protocol != allProtocol {
					r.want(guard.Continue)
				}
				for range 3 {
					r.send(guard.Body, "some")
					if c.want != 0 {
						r.want(c.want)
					}
				}
				r.send(guard.EndOfBody, "")
				r.want(guard.Accept)
			}
			if err := r.quit(); err != nil {
				t.Error(err)
			}
			if pieces += countPrefix(r.filter.log(), "BODY"); pieces != 2 {
				t.Errorf("%d pieces were handed on, want one for each message", pieces)
			}
		})
	}
}

func countPrefix(events []string, prefix string) (n int) {
	for _, e := range events {
		if strings.HasPrefix(e, prefix) {
			n++
		}
	}
	return n
}
