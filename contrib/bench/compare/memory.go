package main

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"mailseal/milter/guard"
)

// The limits of the memory targets, in octets.
const (
	busyLimit = 150 * mB
	idleLimit = 30 * kB
)

// conns is how many connections are held open for the memory targets.
const conns = 1000

// memory measures what 1,000 connections hold: idle after CONNECT and HELO, and each in the middle of a large message.
func (b *bench) memory(r *report) error {
	idle := finding{what: "memory for an idle connection (of 1,000)", target: "30 KB", met: true}
	busy := finding{what: "resident with 1,000 connections, each 2 MB into a message of 25 MB", target: "150 MB", met: true}
	for i, s := range r.servers {
		each, all, err := b.holdOpen(s)
		if err != nil && i == 0 { // the peer's limits are no reason to give up
			b.log("%s: %v", s.name, err)
			idle.values, busy.values = append(idle.values, "–"), append(busy.values, "–")
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		idle.values = append(idle.values, fmt.Sprintf("%.1f KB", float64(each)/kB))
		busy.values = append(busy.values, fmt.Sprintf("%.0f MB", float64(all)/mB))
		if i > 0 {
			idle.met = idle.met && each <= idleLimit
			busy.met = busy.met && all <= busyLimit
		}
		b.log("%s: %s idle, %s busy", s.name, idle.values[i], busy.values[i])
	}
	r.extra = append(r.extra, idle, busy)
	return nil
}

// holdOpen returns what an idle connection adds to the server's resident memory, and that memory once each connection
// is in the middle of a message.
func (b *bench) holdOpen(s server) (each, busy int64, err error) {
	p, _, err := s.start(b, signs)
	if err != nil {
		return 0, 0, err
	}
	defer p.stop()
	if _, err := b.drive(p, "--count", "100", "--concurrency", "2", "--size", "4096"); err != nil {
		return 0, 0, err
	}
	before, err := p.resident()
	if err != nil {
		return 0, 0, err
	}
	calls := make([]*call, 0, conns)
	defer func() {
		for _, c := range calls {
			c.nc.Close()
		}
	}()
	for range conns {
		c, err := dial(p.socket)
		if err != nil {
			return 0, 0, err
		}
		calls = append(calls, c)
	}
	settle()
	idle, err := p.resident()
	if err != nil {
		return 0, 0, err
	}
	for _, c := range calls {
		if err := c.half(2 * mB); err != nil {
			return 0, 0, err
		}
	}
	settle()
	busy, err = p.resident()
	return (idle - before) / conns, busy, err
}

// settle gives a server time to read what is in its sockets.
func settle() { time.Sleep(2 * time.Second) }

// call is a connection as an MTA makes it, with no more than what holding it open needs: a thousand real drivers would
// not fit.
type call struct {
	nc     net.Conn
	framer *guard.Framer
	silent uint32 // steps to which the milter does not answer
	omit   uint32 // steps that it does not want
}

// The protocol's bits, as libmilter's mfdef.h has them: what is left out, and what goes without an answer.
const (
	noConnect, nrConnect = 1 << 0, 1 << 12
	noHelo, nrHelo       = 1 << 1, 1 << 13
	noMail, nrMail       = 1 << 2, 1 << 14
	noRcpt, nrRcpt       = 1 << 3, 1 << 15
	noHeader, nrHeader   = 1 << 5, 1 << 7
	noEOH, nrEOH         = 1 << 6, 1 << 18
	noBody, nrBody       = 1 << 4, 1 << 19
	noData, nrData       = 1 << 9, 1 << 16
)

// dial connects and says hello.
func dial(socket string) (*call, error) {
	nc, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	c := &call{nc: nc, framer: guard.NewFramer(nc, guard.Limits{})}
	offer := []byte("\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff")
	if err := c.framer.WritePacket('O', offer); err != nil {
		return nil, err
	}
	answer, err := c.framer.ReadPacket()
	if err != nil || len(answer.Data) < 12 {
		return nil, fmt.Errorf("no agreement: %d octets, %w", len(answer.Data), err)
	}
	flags := uint32(answer.Data[8])<<24 | uint32(answer.Data[9])<<16 | uint32(answer.Data[10])<<8 | uint32(answer.Data[11])
	c.silent, c.omit = flags, flags
	if err := c.say(noConnect, nrConnect, 'C', "localhost\x004\x30\x39127.0.0.1\x00"); err != nil {
		return nil, err
	}
	return c, c.say(noHelo, nrHelo, 'H', "localhost\x00")
}

// half sends a message's envelope, header and so many octets of its body.
func (c *call) half(octets int) error {
	if err := c.say(noMail, nrMail, 'M', "<user@example.com>\x00"); err != nil {
		return err
	}
	if err := c.say(noRcpt, nrRcpt, 'R', "<rcpt@example.net>\x00"); err != nil {
		return err
	}
	if err := c.say(noData, nrData, 'T', ""); err != nil {
		return err
	}
	for _, f := range []string{"From\x00 <user@example.com>\x00", "Subject\x00 large\x00", "Date\x00 Sun, 22 Nov 2026 10:00:00 +0000\x00"} {
		if err := c.say(noHeader, nrHeader, 'L', f); err != nil {
			return err
		}
	}
	if err := c.say(noEOH, nrEOH, 'N', ""); err != nil {
		return err
	}
	for ; octets > 0; octets -= len(piece) {
		if err := c.say(noBody, nrBody, 'B', piece); err != nil {
			return err
		}
	}
	return c.framer.Flush()
}

// piece is as much of a body as a packet holds.
var piece = string(letter(65535 + 1000)[1000:])

// say sends a packet, if it is wanted, and reads the answer, if there is one.
func (c *call) say(omitted, unanswered uint32, code guard.Code, data string) error {
	if c.omit&omitted != 0 {
		return nil
	}
	if err := c.framer.WritePacket(code, []byte(data)); err != nil || c.silent&unanswered != 0 {
		return err
	}
	answer, err := c.framer.ReadPacket()
	if err == nil && answer.Code != guard.Continue {
		err = fmt.Errorf("%c was answered %c", code, answer.Code)
	}
	return err
}

// cores compares what a message costs a server that may use two cores with one that may use one.
func (b *bench) cores(r *report) error {
	for _, name := range []string{"sign 4 KB, RSA-2048", "verify 4 KB, DKIM alone"} {
		f := finding{what: "CPU per message with GOMAXPROCS=2 against 1, " + name, values: []string{""}, target: "1.10", met: true}
		for i, s := range r.servers[1:] {
			one, two := variant(s, "GOMAXPROCS=1"), variant(s, "GOMAXPROCS=2")
			j := jobNamed(name)
			j.latency = false
			got, err := b.run(j, []server{one, two}, r.options.rounds)
			if err != nil {
				return err
			}
			d := spread(got.ratios(two.name, one.name), same)
			f.values = append(f.values, fmt.Sprintf("%.2f (%.2f–%.2f)", d.median, d.min, d.max))
			f.met = f.met && d.median <= 1.1
			b.log("%s, %s: %s", f.what, s.name, f.values[i+1])
		}
		r.extra = append(r.extra, f)
	}
	return nil
}

// variant is a server with something more in its environment.
func variant(s server, env string) server {
	return server{s.name + " " + env, func(b *bench, r role, more ...string) (*process, time.Duration, error) {
		return s.start(b, r, append(more, env)...)
	}}
}

func jobNamed(name string) job {
	for _, j := range jobs {
		if j.name == name {
			return j
		}
	}
	panic("no job " + strconv.Quote(name))
}
