package main

import (
	"strconv"
	"time"

	"mailseal/contrib/bench/measure"
	"mailseal/contrib/bench/plot"
)

// How many messages a measurement has: as many as keep the server busy for a while, within bounds.
const (
	busy            = 200 * time.Millisecond
	fewest, mostest = 4, 1000
)

// serve starts the daemon with a configuration.
func (g *growth) serve(config string) (*measure.Process, error) {
	p, _, err := g.Mailseal("grown", g.mailseal, config)
	return p, err
}

// cost is the processor time for each of the messages that the driver sends at the given arguments,
// the median of the rounds. The first messages fill caches and do not count; they tell how many are
// enough.
func (g *growth) cost(p *measure.Process, args ...string) (time.Duration, error) {
	if _, err := g.Drive(p, append([]string{"--count", "2", "--concurrency", "2"},
		args...)...); err != nil {
		return 0, err
	}
	warm, err := g.Measure(p, append([]string{"--count", strconv.Itoa(fewest), "--concurrency",
		"2"}, args...)...)
	if err != nil {
		return 0, err
	}
	count := min(max(int(busy/max(warm.CPU, 1)), fewest), mostest)
	return g.median(p, append([]string{"--count", strconv.Itoa(count), "--concurrency", "2"},
		args...)...)
}

// median is the processor time for each message in the middle one of the rounds.
func (g *growth) median(p *measure.Process, args ...string) (time.Duration, error) {
	var all []time.Duration
	for range g.rounds {
		s, err := g.Measure(p, args...)
		if err != nil {
			return 0, err
		}
		all = append(all, s.CPU)
	}
	return medianOf(all), nil
}

func medianOf(all []time.Duration) time.Duration {
	return time.Duration(measure.Spread(all,
		func(d time.Duration) float64 { return float64(d) }).Median)
}

// curve measures the processor time of a message at each x, with what at says is told to the
// driver, and the resident memory afterwards.
func (g *growth) curve(name string, p *measure.Process, xs []int,
	at func(x int) ([]string, error)) (processor, memory curve, err error) {
	processor.name, memory.name = name, name
	for _, x := range xs {
		args, err := at(x)
		if err != nil {
			return processor, memory, err
		}
		cost, err := g.cost(p, args...)
		if err != nil {
			return processor, memory, err
		}
		processor.add(x, milliseconds(cost))
		if err := addResident(&memory, x, p); err != nil {
			return processor, memory, err
		}
	}
	return processor, memory, nil
}

func addResident(c *curve, x int, p *measure.Process) error {
	octets, err := p.Resident()
	if err == nil {
		c.add(x, float64(octets)/1e6)
	}
	return err
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// add adds a point. What there is without any has no place on a logarithmic axis.
func (c *curve) add(x int, y float64) {
	if x == 0 {
		c.without = y
		return
	}
	c.points = append(c.points, plot.Point{X: float64(x), Y: y})
}
