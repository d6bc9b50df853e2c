package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
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

// letter is a message with a body of the given size: text with double and trailing spaces, which canonicalization has to
// look at.
func letter(size int) []byte {
	const header = "Received: from client.example.com (client.example.com [192.0.2.25])\r\n\tby mx.example.com (Postfix) with ESMTPS id ABCDEF\r\n" +
		"\tfor <rcpt@example.net>; Sun, 22 Nov 2026 10:00:00 +0000 (UTC)\r\nFrom: User <user@example.com>\r\nTo: Rcpt <rcpt@example.net>\r\n" +
		"Subject: A message to measure with\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <abc@example.com>\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
	const line = "Nobody has to read  what stands here, but it has to be hashed in full. \r\n"
	return []byte(header + strings.Repeat(line, size/len(line)+1)[:size-2] + "\r\n")
}

// arguments are what the driver is told for a job, apart from how much.
func (b *bench) arguments(j job) ([]string, error) {
	args := []string{"--concurrency", "2", "--per-connection", "20"}
	if j.role == verifies || j.role == judges {
		file, err := b.signed(j.size)
		return append(args, "--client", client, "--client-name", "mx.example.com", "--helo", "mx.example.com", file), err
	}
	file := b.dir + "/plain-" + strconv.Itoa(j.size) + ".eml"
	return append(args, file), writeOnce(file, letter(j.size))
}

// outcome is what a job has shown: for each server its samples, by round, and its latency at half of its own rate.
type outcome struct {
	job
	samples map[string][]sample
	latency map[string]figures
}

// run has all servers do a job in turn, round after round; the first round warms up and does not count.
func (b *bench) run(j job, servers []server, rounds int) (o outcome, err error) {
	o = outcome{j, map[string][]sample{}, map[string]figures{}}
	args, err := b.arguments(j)
	if err != nil {
		return o, err
	}
	running := make([]*process, len(servers))
	for i, s := range servers {
		if running[i], _, err = s.start(b, j.role); err != nil {
			return o, err
		}
		defer running[i].stop()
	}
	for round := range rounds + 1 {
		count := j.messages
		if round == 0 {
			count = max(count/10, 2)
		}
		for i, s := range servers {
			got, err := b.measure(running[i], append([]string{"--count", strconv.Itoa(count)}, args...)...)
			if err != nil {
				return o, fmt.Errorf("%s, %s: %w", j.name, s.name, err)
			}
			if round > 0 {
				o.samples[s.name] = append(o.samples[s.name], got)
			}
		}
	}
	return o, b.latencies(&o, servers, running, args)
}

// latencies measures how long messages take when half as many come as each server could take.
func (b *bench) latencies(o *outcome, servers []server, running []*process, args []string) (err error) {
	if !o.job.latency {
		return nil
	}
	for i, s := range servers {
		rate := spread(o.samples[s.name], func(s sample) float64 { return s.rate }).median / 2
		more := []string{"--duration", "3s", "--rate", strconv.FormatFloat(rate, 'f', 1, 64)}
		if o.latency[s.name], err = b.drive(running[i], append(more, args...)...); err != nil {
			return err
		}
	}
	return nil
}

// ratios are the shares of base's processor time that a server used, round by round.
func (o outcome) ratios(name, base string) []float64 {
	var out []float64
	for i, s := range o.samples[name] {
		out = append(out, float64(s.cpu)/float64(o.samples[base][i].cpu))
	}
	return out
}

// distribution is median, least and most.
type distribution struct{ median, min, max float64 }

func spread[T any](all []T, value func(T) float64) distribution {
	if len(all) == 0 {
		return distribution{}
	}
	values := make([]float64, len(all))
	for i, v := range all {
		values[i] = value(v)
	}
	slices.Sort(values)
	mid := len(values) / 2
	median := values[mid]
	if len(values)%2 == 0 {
		median = (values[mid-1] + values[mid]) / 2
	}
	return distribution{median, values[0], values[len(values)-1]}
}

func same(v float64) float64 { return v }
