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
	for _, want := range []struct {
		code     guard.Code
		buffered int
	}{{guard.Abort, 5}, {guard.Quit, 0}} {
		if p, err := f.ReadPacket(); err != nil || p.Code != want.code || f.Buffered() != want.buffered {
			t.Errorf("got %v, %v, %d octets buffered; want %v, %d", p.Code, err, f.Buffered(), want.code, want.buffered)
		}
	}
	if want := strings.Repeat("\x00\x00\x00\x01c", 3); string(nc.written) != want {
		t.Errorf("written %q", nc.written)
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

// A proxy writes from one goroutine while another waits for the peer, whose deadline is the idle one.
func TestFramerIdle(t *testing.T) {
	left, _ := pair(t)
	f := guard.NewFramer(left, guard.Limits{Idle: 10 * time.Millisecond, InPacket: time.Hour})
	if _, err := f.ReadPacket(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestCodeNames(t *testing.T) {
	for code, want := range map[guard.Code]string{guard.EndOfBody: "EOB", guard.Continue: "'c'", 0: "0x00", 0xff: "0xff"} {
		if got := code.String(); got != want {
			t.Errorf("%d: got %s, want %s", byte(code), got, want)
		}
	}
}

// Of a TCP connection everything works as of another; on Linux it is also set up to acknowledge at once.
func TestTCP(t *testing.T) {
	r := &rig{filter: &recorder{}, conn: make(chan *guard.Conn, 1), ended: make(chan error, 1), options: defaults, sinks: true}
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
