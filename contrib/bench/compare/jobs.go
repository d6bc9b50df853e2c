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
	latency  bool
	// The shares of OpenDKIM's processor time that are to be reached, by the plain build and by the release build.
	plain, release float64
}

const (
	kB = 1 << 10
	mB = 1 << 20
)

var jobs = []job{
	{name: "sign 4 KB, RSA-2048", role: signs, size: 4 * kB, messages: 300, latency: true, plain: 0.55, release: 0.40},
	{name: "sign 4 KB, RSA-2048, simple", role: signsPlain, size: 4 * kB, messages: 300, plain: 0.55, release: 0.40},
	{name: "sign 4 KB, RSA-2048 + Ed25519", role: signsTwo, size: 4 * kB, messages: 300, plain: 0.60, release: 0.45},
	{name: "sign 100 KB", role: signs, size: 100 * kB, messages: 200, plain: 0.45, release: 0.33},
	{name: "sign 100 KB, simple", role: signsPlain, size: 100 * kB, messages: 200, plain: 0.45, release: 0.33},
	{name: "sign 5 MB", role: signs, size: 5 * mB, messages: 20, plain: 0.20, release: 0.20},
	{name: "sign 5 MB, simple", role: signsPlain, size: 5 * mB, messages: 20, plain: 0.20, release: 0.20},
	{name: "verify 4 KB, DKIM alone", role: verifies, size: 4 * kB, messages: 1000, latency: true, plain: 0.18, release: 0.18},
	{name: "verify 100 KB, DKIM alone", role: verifies, size: 100 * kB, messages: 500, plain: 0.20, release: 0.20},
	{name: "verify 4 KB, with SPF, DMARC, iprev", role: judges, size: 4 * kB, messages: 1000, plain: 0.25, release: 0.25},
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

// outcome is what a job has shown: for each server its samples, by round, and its latency at half of its own rate.
type outcome struct {
	job
	samples map[string][]measure.Sample
	crypto  map[string][]time.Duration // of one message, by round
	latency map[string]measure.Figures
}

// run has all servers do a job in turn, round after round; the first round warms up and does not count.
func (b *bench) run(j job, servers []server, rounds int) (o outcome, err error) {
	o = outcome{j, map[string][]measure.Sample{}, map[string][]time.Duration{}, map[string]measure.Figures{}}
	args, err := b.arguments(j)
	if err != nil {
		return o, err
	}
	running := make([]*measure.Process, len(servers))
	for i, s := range servers {
		if running[i], _, err = s.start(b, j.role); err != nil {
			return o, err
		}
		defer running[i].Stop()
	}
	for round := range rounds + 1 {
		count := j.messages
		if round == 0 {
			count = max(count/10, 2)
		}
		for i, s := range servers {
			got, err := b.Measure(running[i], append([]string{"--count", strconv.Itoa(count)}, args...)...)
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
	return o, b.latencies(&o, servers, running, args)
}

// latencies measures how long messages take when half as many come as each server could take.
func (b *bench) latencies(o *outcome, servers []server, running []*measure.Process, args []string) (err error) {
	if !o.job.latency {
		return nil
	}
	for i, s := range servers {
		rate := measure.Spread(o.samples[s.name], func(s measure.Sample) float64 { return s.Rate }).Median / 2
		more := []string{"--duration", "3s", "--rate", strconv.FormatFloat(rate, 'f', 1, 64)}
		if o.latency[s.name], err = b.Drive(running[i], append(more, args...)...); err != nil {
			return err
		}
	}
	return nil
}

// ratios are the shares of base's processor time that a server used, round by round.
func (o outcome) ratios(name, base string) []float64 {
	var out []float64
	for i, s := range o.samples[name] {
		out = append(out, float64(s.CPU)/float64(o.samples[base][i].CPU))
	}
	return out
}

// cryptoShares are the shares of base's processor time that a server's cryptography takes alone, round by round.
func (o outcome) cryptoShares(name, base string) []float64 {
	var out []float64
	for i, alone := range o.crypto[name] {
		out = append(out, float64(alone)/float64(o.samples[base][i].CPU))
	}
	return out
}
