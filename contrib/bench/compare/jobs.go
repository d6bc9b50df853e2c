package main

import (
	"fmt"
	"strconv"
	"time"

	"mailseal/contrib/bench/measure"
)

// job is one line of the table.
type job struct {
	name     string
	role     role
	size     int // octets of body
	messages int // for each round
	// The shares of the peers' processor time that are to be reached, by the plain build and by the
	// release build; 0 where there is no target.
	plain, release float64
	// the release build's is its cryptography's share in the same rounds, and 0.10
	overCrypto bool
}

// hasTarget reports whether some build is to reach a share of the peers' processor time.
func (j job) hasTarget() bool { return j.plain > 0 || j.release > 0 || j.overCrypto }

const (
	kB = 1 << 10
	mB = 1 << 20
)

var jobs = []job{
	{name: "sign 4 KB, RSA-2048", role: signs, size: 4 * kB, messages: 300, plain: 0.65, overCrypto: true},
	{name: "sign 4 KB, RSA-2048, simple", role: signsPlain, size: 4 * kB, messages: 300},
	{name: "sign 4 KB, RSA-2048 + Ed25519", role: signsTwo, size: 4 * kB, messages: 300},
	{name: "sign 100 KB", role: signs, size: 100 * kB, messages: 200, plain: 0.50, release: 0.25},
	{name: "sign 100 KB, simple", role: signsPlain, size: 100 * kB, messages: 200},
	{name: "sign 5 MB", role: signs, size: 5 * mB, messages: 15, plain: 0.17, release: 0.17},
	{name: "sign 5 MB, simple", role: signsPlain, size: 5 * mB, messages: 15, plain: 0.30, release: 0.30},
	{name: "verify 4 KB, DKIM alone", role: verifies, size: 4 * kB, messages: 1000, plain: 0.15, release: 0.15},
	{name: "verify 100 KB, DKIM alone", role: verifies, size: 100 * kB, messages: 500},
	{name: "judge 4 KB, all methods", role: judges, size: 4 * kB, messages: 1000, plain: 0.15, release: 0.15},
}

// arguments are what the driver is told for a job, apart from how much.
func (b *bench) arguments(j job) ([]string, error) {
	args := []string{"--concurrency", "2", "--per-connection", "20"}
	if j.role == verifies || j.role == judges {
		file, err := b.signed(j.size)
		return append(append(args, measure.AsClient()...), file), err
	}
	file := b.Dir + "/plain-" + strconv.Itoa(j.size) + ".eml"
	return append(args, file), measure.WriteOnce(file, measure.Letter(j.size))
}

// outcome is what a job has shown: for each server its samples, by round, and its latency at half
// of its own rate.
type outcome struct {
	job
	samples map[string][]measure.Sample
	crypto  map[string][]time.Duration // of one message, by round
	latency map[string]measure.Figures
}

// run has all servers do a job in turn, round after round; the first round warms up and does not
// count.
func (b *bench) run(j job, servers []server, rounds int) (o outcome, err error) {
	if b.quick {
		j.messages, rounds = max(j.messages/4, 5), min(rounds, 3)
	}
	o = outcome{j, map[string][]measure.Sample{}, map[string][]time.Duration{},
		map[string]measure.Figures{}}
	args, err := b.arguments(j)
	if err != nil {
		return o, err
	}
	running, each := make([]*measure.Process, len(servers)), make([][]string, len(servers))
	for i, s := range servers {
		if running[i], _, err = s.start(b, j.role); err != nil {
			return o, err
		}
		defer running[i].Stop()
		if each[i], err = b.letterFor(s, running[i], j, args); err != nil {
			return o, err
		}
	}
	for round := range rounds + 1 {
		count := j.messages
		if round == 0 {
			count = max(count/10, 2)
		}
		for i, s := range servers {
			got, err := b.Measure(running[i], append([]string{"--count", strconv.Itoa(count)},
				each[i]...)...)
			if err != nil {
				return o, fmt.Errorf("%s, %s: %w", j.name, s.name, err)
			}
			if round == 0 {
				continue
			}
			o.samples[s.name] = append(o.samples[s.name], got)
			if s.crypto != "" {
				alone, err := b.crypto(s.crypto, j)
				if err != nil {
					return o, err
				}
				o.crypto[s.name] = append(o.crypto[s.name], alone)
			}
		}
	}
	return o, b.latencies(&o, servers, running, each)
}

// letterFor is what the driver is told for one server: OpenDMARC gets what OpenDKIM has judged.
func (b *bench) letterFor(s server, p *measure.Process, j job, args []string) ([]string, error) {
	if s.name != "OpenDMARC" {
		return args, nil
	}
	file, err := b.judgedByOpenDKIM(b.openDKIM, j.size)
	if err != nil {
		return nil, err
	}
	return append(args[:len(args)-1:len(args)-1], file), b.passes(p, file, "spf=pass", "dmarc=pass")
}

// latencies measures how long messages take when half as many come as each server could take.
func (b *bench) latencies(o *outcome, servers []server, running []*measure.Process,
	each [][]string) (err error) {
	if b.noLatency {
		return nil
	}
	takes := "2s"
	if b.quick {
		takes = "500ms"
	}
	for i, s := range servers {
		rate := measure.Spread(o.samples[s.name],
			func(s measure.Sample) float64 { return s.Rate }).Median / 2
		more := []string{"--duration", takes, "--rate", strconv.FormatFloat(rate, 'f', 1, 64)}
		if o.latency[s.name], err = b.Drive(running[i], append(more, each[i]...)...); err != nil {
			return err
		}
	}
	return nil
}

// peers is the processor time of base in a round, and of OpenDMARC behind it where both have to
// work.
func (o outcome) peers(base string, round int) time.Duration {
	sum := o.samples[base][round].CPU
	if behind := o.samples["OpenDMARC"]; round < len(behind) {
		sum += behind[round].CPU
	}
	return sum
}

// ratios are the shares of base's processor time that a server used, round by round.
func (o outcome) ratios(name, base string) []float64 {
	var out []float64
	for i, s := range o.samples[name] {
		out = append(out, float64(s.CPU)/float64(o.peers(base, i)))
	}
	return out
}

// cryptoShares are the shares of base's processor time that a server's cryptography takes alone,
// round by round.
func (o outcome) cryptoShares(name, base string) []float64 {
	var out []float64
	for i, alone := range o.crypto[name] {
		out = append(out, float64(alone)/float64(o.peers(base, i)))
	}
	return out
}
