package main

import (
	"fmt"
	"path/filepath"

	"mailseal/contrib/bench/measure"
)

var numbersOfConnections = []int{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000}

// room is a configuration that takes more connections than the studies open.
const room = "[limits]\nconnections = 4000\n"

// connections measures the memory that many connections hold, and what a message costs while many
// are sent at a time.
func (g *growth) connections() ([]*chart, error) {
	idle, mid := curve{name: "idle, after HELO"}, curve{name: "each 1 MB into a body"}
	for _, n := range numbersOfConnections {
		if err := g.hold(n, &idle, &mid); err != nil {
			return nil, err
		}
	}
	sending, err := g.sending()
	return []*chart{
		{
			file: "connections-memory", title: "Resident memory by open connections",
			what: "Connections that are open and wait",
			x:    count("connections"), y: resident, each: unit{1e3, "KB for each connection"},
			curves: []curve{mid, idle},
		},
		{
			file: "connections", title: "Processor time by connections that send",
			what: "Connections at a time, 5 messages on each; verifying 4 KB",
			x:    count("connections"), y: processor, each: unit{1e3, "µs for each connection"},
			curves: []curve{sending},
		},
	}, err
}

// hold measures a new daemon's resident memory with n connections, first idle, then in the middle
// of a message.
func (g *growth) hold(n int, idle, mid *curve) error {
	p, err := g.serve(g.Signs("relaxed/relaxed", "rsa") + room)
	if err != nil {
		return err
	}
	defer p.Stop()
	calls, err := measure.Hold(p, n)
	if err != nil {
		return err
	}
	defer calls.Close()
	if err := addResident(idle, n, p); err != nil {
		return err
	}
	if err := calls.Half(p, 1_000_000); err != nil {
		return err
	}
	return addResident(mid, n, p)
}

// sending measures the processor time of a message while n connections send at a time.
func (g *growth) sending() (c curve, err error) {
	const each = 5
	c.name = "verify"
	p, err := g.serve(measure.VerifiesAlone + room)
	if err != nil {
		return c, err
	}
	defer p.Stop()
	file := filepath.Join(g.Dir, "sending.eml")
	if err := g.Signed(file, g.Signs("relaxed/relaxed", "rsa"), measure.Letter(small)); err != nil {
		return c, err
	}
	for _, n := range numbersOfConnections {
		args := append(measure.AsClient(), "--count", fmt.Sprint(max(mostest, each*n)),
			"--concurrency", fmt.Sprint(n), "--per-connection", fmt.Sprint(each), file)
		cost, err := g.median(p, args...)
		if err != nil {
			return c, err
		}
		c.add(n, milliseconds(cost))
	}
	return c, nil
}
