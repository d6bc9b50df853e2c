package guard_test

import (
	"bytes"
	"errors"
	"io"
	"log"
	"os"
	"strings"
	"testing"
	"time"

	gomilter "github.com/emersion/go-milter"

	"mailseal/milter/guard"
)

func TestA01PacketLengths(t *testing.T) {
	for _, c := range []struct{ name, octets string }{
		{"none", "\x00\x00\x00\x00"},
		{"over a MiB", "\x00\x10\x00\x01L"},
		{"4 GiB", "\xff\xff\xff\xffL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t, defaults, nil)
			r.hello()
			r.sendRaw(c.octets)
			r.closed()
			if err := r.end(); !errors.Is(err, guard.ErrMalformed) {
				t.Errorf("got %v, want ErrMalformed", err)
			}
		})
	}
}

// Nothing is reserved for what a packet says that it will be.
func TestA01BufferGrowsWithWhatArrives(t *testing.T) {
	const announced = "\x00\x10\x00\x00L"
	for _, c := range []struct{ arrived, most int }{{100, 4 << 10}, {5 << 10, 64 << 10},
		{100 << 10, 256 << 10}} {
		nc := &scriptedConn{input: []byte(announced + strings.Repeat("x", c.arrived))}
		_, err := guard.NewFramer(nc, guard.Limits{}).ReadPacket()
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
		if nc.largest > c.most {
			t.Errorf("after %d octets of a packet of 1 MiB there is room for %d", c.arrived,
				nc.largest)
		}
	}
}

func TestA02Deadlines(t *testing.T) {
	short := 30 * time.Millisecond
	for _, c := range []struct {
		name   string
		limits guard.Limits
		octets string
		want   string
	}{
		{"handshake, nothing", guard.Limits{Handshake: short}, "", "no offer within"},
		{"handshake, half", guard.Limits{Handshake: short}, "\x00\x00\x00\x0dO\x00", "no offer within"},
		{"idle", guard.Limits{Idle: short}, handshake, "no packet for"},
		{"inside a length", guard.Limits{InPacket: short}, handshake + "\x00", "not complete after"},
		{"inside a packet", guard.Limits{InPacket: short}, handshake + "\x00\x00\x00\x09DHe", "not complete after"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := defaults
			o.Limits = c.limits
			r := dial(t, o, nil)
			r.sendRaw(c.octets)
			err := r.end()
			if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a deadline with %q", err, c.want)
			}
		})
	}
}

// A peer that sends an octet now and then does not move the deadline of a packet.
func TestA02DripsDoNotHelp(t *testing.T) {
	o := defaults
	o.Limits.InPacket = 50 * time.Millisecond
	r := open(t, o, nil)
	r.sendRaw("\x00\x00\x10\x00D")
	drip := time.NewTicker(5 * time.Millisecond)
	defer drip.Stop()
	for start := time.Now(); time.Since(start) < time.Minute; <-drip.C {
		if _, err := io.WriteString(r.nc, "x"); err != nil {
			if err := r.end(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			return
		}
	}
	t.Error("the connection outlived its deadline by far")
}

func TestA02WriteDeadline(t *testing.T) {
	quiet(t)
	o := defaults
	o.Limits.Write = 30 * time.Millisecond
	big := strings.Repeat("x", 60<<10)
	r := open(t, o, func(r *rig) {
		r.filter.eom = func(m *gomilter.Modifier, _ *guard.Conn) (gomilter.Response, error) {
			for range 100 {
				if err := m.AddHeader("X-Big", big); err != nil {
					return nil, err
				}
			}
			return verdictContinue, nil
		}
	})
	r.hello()
	r.message("")
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	// No one reads.
	<-(<-r.conn).Done()
}

func TestA03PanicEndsOneConnection(t *testing.T) {
	quiet(t)
	bad := open(t, defaults, func(r *rig) {
		r.filter.eom = func(*gomilter.Modifier, *guard.Conn) (gomilter.Response,
			error) {
			panic("scripted")
		}
	})
	good := open(t, defaults, nil)
	bad.hello()
	good.hello()
	bad.message("")
	bad.closed()
	bad.end()
	good.message("")
	good.want(guard.Accept)
	if err := good.quit(); err != nil {
		t.Error(err)
	}
}

func TestA03PanicInASink(t *testing.T) {
	quiet(t)
	client, server := pair(t)
	done := make(chan struct{})
	go func() {
		c, err := guard.Handshake(server, defaults)
		if err != nil {
			t.Error(err)
			close(done)
			return
		}
		c.OnBody(func([]byte) error { panic("scripted") })
		s := gomilter.Server{NewMilter: func() gomilter.Milter { return &recorder{conn: c} }}
		s.Serve(c.Listener(func() { close(done) }))
	}()
	m := &mta{t: t, nc: client, Framer: guard.NewFramer(client, guard.Limits{})}
	m.send(guard.Negotiate, string(offer(6, allActions, allProtocol)))
	m.want(guard.Negotiate)
	m.hello()
	m.message("body")
	if _, err := m.ReadPacket(); err == nil {
		t.Error("an answer after a panic")
	}
	<-done
}

// There is no disconnect callback: the end of Serve is it, also after a bare end of file in the
// middle of a message.
func TestA17Disconnect(t *testing.T) {
	r := open(t, defaults, nil)
	r.hello()
	r.ask(guard.Mail, "<>\x00")
	conn := <-r.conn
	if !conn.Busy() {
		t.Error("not busy after MAIL")
	}
	r.nc.Close()
	if err := r.end(); err != nil {
		t.Errorf("a client that left is no error: %v", err)
	}
	if conn.Busy() {
		t.Error("busy after the end")
	}
}

func TestA17ClosedInsideAPacket(t *testing.T) {
	r := open(t, defaults, nil)
	r.sendRaw("\x00\x00\x00\x05DHb")
	r.nc.Close()
	if err := r.end(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

// A18: ends from several sides at once; the race detector is the judge.
func TestA18CloseFromAnywhere(t *testing.T) {
	r := open(t, defaults, nil)
	conn := <-r.conn
	r.hello()
	go conn.Close()
	go conn.Drain()
	go r.nc.Close()
	conn.Close()
	r.end()
}

func TestA18DrainFinishesTheMessage(t *testing.T) {
	r := open(t, defaults, nil)
	r.hello()
	conn := <-r.conn
	r.ask(guard.Mail, "<>\x00")
	conn.Drain()
	r.send(guard.EndOfHeader, "")
	r.send(guard.EndOfBody, "")
	r.want(guard.Accept)
	r.closed()
	if err := r.end(); err != nil {
		t.Errorf("drained: %v", err)
	}
	idle := open(t, defaults, nil)
	idle.hello()
	(<-idle.conn).Drain()
	idle.closed()
	if err := idle.end(); err != nil {
		t.Errorf("drained: %v", err)
	}
}

// A refused sender ends the message: nothing to wait for.
func TestA18DrainAfterRefusal(t *testing.T) {
	r := open(t, defaults, func(r *rig) {
		r.filter.stage = map[string]gomilter.Response{"MAIL": always{gomilter.RespTempFail}}
	})
	r.hello()
	conn := <-r.conn
	r.send(guard.Mail, "<>\x00")
	r.want(guard.TempFail)
	conn.Drain()
	r.closed()
	r.end()
}

// What strangers send is not printed by the library: it sees an end of file.
func TestA19NothingIsPrinted(t *testing.T) {
	var printed bytes.Buffer
	log.SetOutput(&printed)
	defer log.SetOutput(os.Stderr)
	for _, octets := range []string{"\x00\x00\x00\x00", "\x00\x00\x00\x01Z", "\x00\x00\x00\x05Hab",
		"\x00\x00\x00\x01D"} {
		r := open(t, defaults, nil)
		r.sendRaw(octets)
		r.nc.Close()
		r.end()
	}
	if printed.Len() > 0 {
		t.Errorf("go-milter printed: %s", printed.String())
	}
}
