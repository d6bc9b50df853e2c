package guard_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"mailseal/milter/guard"
)

func TestFramerCarriesPackets(t *testing.T) {
	left, right := pair(t)
	a, b := guard.NewFramer(left, guard.Limits{}), guard.NewFramer(right, guard.Limits{})
	sizes := []int{0, 1, 4091, 4096, 16 << 10, 65531, 65535, 65536, 200000, 1<<20 - 1}
	go func() {
		for _, n := range sizes {
			data := bytes.Repeat([]byte{byte(n)}, n)
			if err := a.WritePacket(guard.Body, data[:n/2], data[n/2:]); err != nil {
				t.Error(err)
			}
		}
		if err := a.Flush(); err != nil {
			t.Error(err)
		}
		a.Close()
	}()
	for _, n := range sizes {
		p, err := b.ReadPacket()
		if err != nil {
			t.Fatalf("packet of %d: %v", n, err)
		}
		if p.Code != guard.Body || !bytes.Equal(p.Data, bytes.Repeat([]byte{byte(n)}, n)) {
			t.Fatalf("packet of %d: got %v with %d octets", n, p.Code, len(p.Data))
		}
	}
	if _, err := b.ReadPacket(); err != io.EOF {
		t.Errorf("at the end: %v, want io.EOF itself", err)
	}
}

// What is written waits until a read has to.
func TestFramerJoinsWrites(t *testing.T) {
	nc := &scriptedConn{input: guard.AppendPacket(guard.AppendPacket(nil, guard.Abort), guard.Quit)}
	f := guard.NewFramer(nc, guard.Limits{})
	for range 3 {
		if err := f.WritePacket(guard.Continue); err != nil {
			t.Fatal(err)
		}
	}
	if len(nc.written) > 0 {
		t.Errorf("written at once: %q", nc.written)
	}
	for _, want := range []guard.Code{guard.Abort, guard.Quit} {
		if p, err := f.ReadPacket(); err != nil || p.Code != want {
			t.Errorf("got %v, %v; want %v", p.Code, err, want)
		}
	}
	if want := strings.Repeat("\x00\x00\x00\x01c", 3); string(nc.written) != want {
		t.Errorf("written %q", nc.written)
	}
}

// What other protocols say is told apart from a length that is merely wrong.
func TestFramerOtherProtocols(t *testing.T) {
	for _, c := range []struct{ input, want string }{
		{"EHLO client.example\r\n", `the text "EHLO", so the client may be one for SMTP or HTTP`},
		{"GET /metrics HTTP/1.1\r\n\r\n", `the text "GET "`},
		{"QUIT\r\n", `the text "QUIT"`},
		{"\r\n\r\n", `the text "\r\n\r\n"`},
		{"\x16\x03\x01\x02\x00", "a TLS handshake"},
		{"\x7f\xff\xff\xffO", "a packet of 2147483647 bytes; 1 to 1048576 are allowed"},
		{"\x00\x00\x00\x00O", "a packet of 0 bytes"},
	} {
		_, err := guard.NewFramer(&scriptedConn{input: []byte(c.input)},
			guard.Limits{}).ReadPacket()
		if !errors.Is(err, guard.ErrMalformed) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.input, err, c.want)
		}
	}
}

func TestFramerOwnLimit(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
		ok   bool
	}{{"at the limit", 99, true}, {"above", 100, false}} {
		nc := &scriptedConn{input: guard.AppendPacket(nil, guard.Header, make([]byte, c.size))}
		_, err := guard.NewFramer(nc, guard.Limits{Packet: 100}).ReadPacket()
		if c.ok != (err == nil) || err != nil && !errors.Is(err, guard.ErrMalformed) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Each packet has a clock of its own, which begins with its first octet.
func TestFramerDeadlines(t *testing.T) {
	nc := &scriptedConn{input: bytes.Repeat([]byte("\x00\x00\x00\x02Ax"), 3)}
	f := guard.NewFramer(chopped{nc, true}, guard.Limits{Handshake: 24 * time.Hour,
		InPacket: time.Minute, Idle: time.Hour})
	start := time.Now()
	if _, err := f.ReadPacket(); err != nil {
		t.Fatal(err)
	}
	if d := nc.deadlines; !d[0].Equal(d[5]) || d[0].Sub(start) < 23*time.Hour {
		t.Errorf("deadlines of the first packet: %v", d)
	}
	nc.deadlines = nil
	for range 2 {
		if _, err := f.ReadPacket(); err != nil {
			t.Fatal(err)
		}
	}
	d := nc.deadlines // one for each octet
	for i := range d {
		limit := time.Minute
		if i%6 == 0 {
			limit = time.Hour
		}
		if took := d[i].Sub(start); took < limit || took > limit+10*time.Second {
			t.Errorf("octet %d: a deadline of %v", i, took)
		}
		if inPacket := i%6 > 1; inPacket && !d[i].Equal(d[i-1]) {
			t.Errorf("octet %d moves the deadline of its packet", i)
		}
	}
	if len(d) != 12 || !d[7].After(d[1]) {
		t.Errorf("the second packet has the deadline of the first: %v", d)
	}
}

func TestFramerHandshake(t *testing.T) {
	left, _ := pair(t)
	f := guard.NewFramer(left, guard.Limits{Handshake: 10 * time.Millisecond, InPacket: time.Hour})
	if _, err := f.ReadPacket(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestCodeNames(t *testing.T) {
	for code, want := range map[guard.Code]string{guard.EndOfBody: "EOB", guard.Continue: "'c'",
		0: "0x00", 0xff: "0xff"} {
		if got := code.String(); got != want {
			t.Errorf("%d: got %s, want %s", byte(code), got, want)
		}
	}
}

// Of a TCP connection everything works as of another; on Linux it is also set up to acknowledge at
// once.
func TestTCP(t *testing.T) {
	r := &rig{filter: &recorder{}, conn: make(chan *guard.Conn, 1), ended: make(chan error, 1),
		options: defaults, sinks: true}
	client, server := tcpPair(t)
	r.mta = &mta{t: t, nc: client, Framer: guard.NewFramer(client, guard.Limits{})}
	go r.serve(server)
	r.send(guard.Negotiate, string(offer(6, allActions, allProtocol)))
	r.want(guard.Negotiate)
	r.hello()
	r.message(strings.Repeat("x", 65535))
	r.want(guard.Accept)
	if err := r.quit(); err != nil {
		t.Error(err)
	}
}
