package main

import (
	"fmt"
	"strconv"
	"time"

	"mailseal/contrib/bench/measure"
)

// The limits of the memory targets, in octets.
const (
	busyLimit = 150 * mB
	idleLimit = 30 * kB
)

// conns is how many connections are held open for the memory targets.
const conns = 1000

// memory measures what 1,000 connections hold: idle after CONNECT and HELO, and each in the middle
// of a large message.
func (b *bench) memory(r *report) error {
	idle := finding{what: "memory for an idle connection (of 1,000)", target: "30 KB", met: true}
	busy := finding{what: "resident with 1,000 connections, each 1 MB into a message of 25 MB",
		target: "150 MB", met: true}
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

// holdOpen returns what an idle connection adds to the server's resident memory, and that memory
// once each connection is in the middle of a message.
func (b *bench) holdOpen(s server) (each, busy int64, err error) {
	p, _, err := s.start(b, signs)
	if err != nil {
		return 0, 0, err
	}
	defer p.Stop()
	if _, err := b.Drive(p, "--count", "100", "--concurrency", "2", "--size", "4096"); err != nil {
		return 0, 0, err
	}
	before, err := p.Resident()
	if err != nil {
		return 0, 0, err
	}
	calls, err := measure.Hold(p, conns)
	if err != nil {
		return 0, 0, err
	}
	defer calls.Close()
	idle, err := p.Resident()
	if err != nil {
		return 0, 0, err
	}
	if err := calls.Half(p, mB); err != nil {
		return 0, 0, err
	}
	busy, err = p.Resident()
	return (idle - before) / conns, busy, err
}

// cores compares what a message costs a server that may use two cores with one that may use one.
func (b *bench) cores(r *report) error {
	for _, name := range []string{"sign 4 KB, RSA-2048", "verify 4 KB, DKIM alone"} {
		f := finding{what: "CPU per message with GOMAXPROCS=2 against 1, " + name,
			values: []string{""}, target: "1.10", met: true}
		for i, s := range r.servers[1:] {
			one, two := variant(s, "GOMAXPROCS=1"), variant(s, "GOMAXPROCS=2")
			j := jobNamed(name)
			b.noLatency = true
			got, err := b.run(j, []server{one, two}, r.options.rounds)
			b.noLatency = false
			if err != nil {
				return err
			}
			d := measure.Spread(got.ratios(two.name, one.name), measure.Same)
			f.values = append(f.values, fmt.Sprintf("%.2f (%.2f–%.2f)", d.Median, d.Min, d.Max))
			f.met = f.met && d.Median <= 1.1
			b.log("%s, %s: %s", f.what, s.name, f.values[i+1])
		}
		r.extra = append(r.extra, f)
	}
	return nil
}

// variant is a server with something more in its environment.
func variant(s server, env string) server {
	return server{name: s.name + " " + env, start: func(b *bench, r role,
		more ...string) (*measure.Process, time.Duration, error) {
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
