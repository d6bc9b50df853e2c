package main

import (
	"bytes"
	_ "embed" // reading.md
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"mailseal/contrib/bench/measure"
)

// reading is what the profiles tell of targets that are out of reach.
//
//go:embed reading.md
var reading string

// report is what RESULTS.md says.
type report struct {
	options  options
	servers  []server // OpenDKIM, the plain build, the release build
	beside   []server // without targets: rspamd
	outcomes []outcome
	extra    []finding
	sieges   []siege
	dmarc    server   // OpenDMARC
	noDMARC  string   // why it is not measured
	failed   []string // jobs and steps that are not measured, and why
	profiles []jobProfile
}

// doing are the servers that can do a job.
func (r *report) doing(j job) []server {
	if j.role == judges && r.noDMARC == "" {
		return slices.Concat(r.servers, []server{r.dmarc})
	}
	if j.role != signs {
		return r.servers
	}
	return slices.Concat(r.servers, r.beside)
}

// finding is a measurement other than a ratio of processor time.
type finding struct {
	what   string
	values []string // for OpenDKIM, the plain build, the release build; "" where there is none
	target string
	met    bool // by our builds; true where there is no target
}

// line is what is shown of a job while measuring goes on.
func (r *report) line(o outcome) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-38s", o.name)
	for i, s := range r.doing(o.job) {
		cpu := measure.Spread(o.samples[s.name], microseconds)
		fmt.Fprintf(&b, " %s %.0f µs", s.name, cpu.Median)
		if i > 0 {
			d := measure.Spread(o.ratios(s.name, r.servers[0].name), measure.Same)
			fmt.Fprintf(&b, " = %.2f (%.2f–%.2f)", d.Median, d.Min, d.Max)
		}
	}
	return b.String()
}

func microseconds(s measure.Sample) float64 { return float64(s.CPU) / float64(time.Microsecond) }

// writeSoFar writes the report into its file while measuring goes on, so that a run that is stopped
// has what was found before. It does not write to standard output.
func (r *report) writeSoFar() error {
	if r.options.out == "" {
		return nil
	}
	return r.write()
}

// write writes the report where it is wanted.
func (r *report) write() error {
	var b bytes.Buffer
	r.head(&b)
	r.ratios(&b)
	b.WriteString(reading)
	r.others(&b)
	r.times(&b)
	r.siegeTable(&b)
	r.details(&b)
	if err := r.appendix(&b); err != nil {
		return err
	}
	if r.options.out == "" {
		_, err := os.Stdout.Write(b.Bytes())
		return err
	}
	return os.WriteFile(r.options.out, b.Bytes(), 0o644)
}

func (r *report) head(b *bytes.Buffer) {
	fmt.Fprintf(b, "# What a message costs\n\nMade by `make bench`; do not edit. %s\n\n",
		time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	fmt.Fprintf(b, "* machine: %s\n", measure.Machine())
	for _, s := range r.servers {
		switch s.name {
		case "plain":
			fmt.Fprintf(b, "* plain: %s\n", measure.FirstLine(r.options.plain, "version"))
		case "release":
			fmt.Fprintf(b, "* release: %s\n", measure.FirstLine(r.options.release, "version"))
		default:
			fmt.Fprintf(b, "* %s\n", openDKIMVersion(r.options.opendkim))
		}
	}
	if len(r.beside) > 0 {
		fmt.Fprintf(b, "* %s: dkim_signing and no other module, two processes; their resident "+
			"memory is counted in full for each\n", rspamdVersion(r.options.rspamd))
	}
	fmt.Fprintf(b, "* %d rounds, servers in turn, 2 connections, 20 messages each, unix sockets, "+
		"all pinned to two cores; the key is in a file, and for verifying "+
		"Mailseal has it in its cache, OpenDKIM in a file (TestPublicKeys: its resolver would "+
		"cost it more). OpenDKIM has no Ed25519, SPF, DMARC or iprev: it makes one signature, or verifies it, "+
		"where Mailseal does all that. Mailseal logs a line for each message, OpenDKIM nothing.\n",
		r.options.rounds)
	if r.noDMARC == "" {
		b.WriteString("* OpenDMARC, Debian's, with SPF, behind OpenDKIM: all methods are " +
			"compared with both, one after the other behind the same driver; its DNS is on loopback\n")
	} else {
		fmt.Fprintf(b, "* OpenDMARC is not measured: %s\n", r.noDMARC)
	}
	for _, why := range r.failed {
		fmt.Fprintf(b, "* **not measured**: %s\n", strings.ReplaceAll(why, "\n", " "))
	}
	if speed := openSSL(); speed != "" {
		fmt.Fprintf(b, "* OpenSSL, on which OpenDKIM stands, takes %s\n", speed)
	}
	b.WriteString("* more things, larger things: [GROWTH.md](GROWTH.md), by `make bench-growth`; " +
		"the pages of reports: [PAGES.md](PAGES.md)\n\n")
}

// peerTimes is the processor time of the peers in each round, in milliseconds.
func (r *report) peerTimes(o outcome) (all []float64) {
	base := r.servers[0].name
	for round := range o.samples[base] {
		all = append(all, o.peers(base, round).Seconds()*1000)
	}
	return all
}

// ratios writes the table of shares of OpenDKIM's processor time.
func (r *report) ratios(b *bytes.Buffer) {
	b.WriteString("## Processor time per message, as a share of the peers' in the same " +
		"round\n\nMedian (least–most). Crypto: what the signature, or its verification, and the " +
		"hash of the body take alone\n" +
		"with the libraries of that build, in the same rounds. A server cannot be below " +
		"that.\n\n| job | OpenDKIM, or both peers |")
	for _, s := range r.servers[1:] {
		fmt.Fprintf(b, " %s | crypto | at most | |", s.name)
	}
	for _, s := range r.beside {
		fmt.Fprintf(b, " %s |", s.name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|---|---|---|", len(r.servers)-1) +
		strings.Repeat("---|", len(r.beside)) + "\n")
	for _, o := range r.outcomes {
		fmt.Fprintf(b, "| %s | %.2f ms |", o.name,
			measure.Spread(r.peerTimes(o), measure.Same).Median)
		for _, s := range r.servers[1:] {
			d := measure.Spread(o.ratios(s.name, r.servers[0].name), measure.Same)
			alone := measure.Spread(o.cryptoShares(s.name, r.servers[0].name), measure.Same)
			most, verdict := "", ""
			if target := o.target(s.name, alone.Median); target > 0 {
				most, verdict = fmt.Sprintf("%.2f", target), met(d.Median <= target)
			}
			fmt.Fprintf(b, " **%.2f** (%.2f–%.2f) | %.2f | %s | %s |", d.Median, d.Min, d.Max,
				alone.Median, most, verdict)
		}
		for _, s := range r.beside {
			if d := measure.Spread(o.ratios(s.name, r.servers[0].name),
				measure.Same); d.Median > 0 {
				fmt.Fprintf(b, " %.2f (%.2f–%.2f)", d.Median, d.Min, d.Max)
			}
			b.WriteString(" |")
		}
		b.WriteString("\n")
	}
}

// target is the share of the peers' time that a build is to reach; 0 where there is none.
func (j job) target(build string, crypto float64) float64 {
	const beside = 0.10 // of OpenDKIM's message, for all but the signature
	switch {
	case build != "release":
		return j.plain
	case j.overCrypto:
		return crypto + beside
	}
	return j.release
}

func met(yes bool) string {
	if yes {
		return "met"
	}
	return "**not met**"
}

// others writes the table of findings.
func (r *report) others(b *bytes.Buffer) {
	if len(r.extra) == 0 {
		return
	}
	b.WriteString("\n## Memory, start, cores\n\n| what |")
	for _, s := range r.servers {
		fmt.Fprintf(b, " %s |", s.name)
	}
	b.WriteString(" at most | |\n|---|" + strings.Repeat("---|", len(r.servers)+2) + "\n")
	for _, f := range r.extra {
		verdict := ""
		if f.target != "" {
			verdict = met(f.met)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", f.what, strings.Join(f.values, " | "), f.target,
			verdict)
	}
}

// times writes the latency at half of the saturating rate.
func (r *report) times(b *bytes.Buffer) {
	b.WriteString("\n## Latency at half of the saturating rate, from MAIL to the reply\n\nThe " +
		"driver runs on the same cores where there are only two.\n\n" +
		"Our p99 is to be below that of each peer.\n\n| job | server | messages/s | p50 | p95 | " +
		"p99 | |\n|---|---|---|---|---|---|---|\n")
	for _, o := range r.outcomes {
		for _, s := range r.doing(o.job) {
			if f, ok := o.latency[s.name]; ok {
				fmt.Fprintf(b, "| %s | %s | %.0f | %.2f ms | %.2f ms | %.2f ms | %s |\n", o.name,
					s.name, f.Rate, f.P50, f.P95, f.P99, o.p99(s.name))
			}
		}
	}
}

// p99 reports whether one of our builds is below all peers; of these it says nothing.
func (o outcome) p99(name string) string {
	if name != "plain" && name != "release" {
		return ""
	}
	isBelow := true
	for peer, f := range o.latency {
		if peer != "plain" && peer != "release" {
			isBelow = isBelow && o.latency[name].P99 < f.P99
		}
	}
	return met(isBelow)
}

// details writes times, rates and memory of each job as they are.
func (r *report) details(b *bytes.Buffer) {
	b.WriteString("\n## All figures\n\nResident memory that is not a process's own is that of " +
		"files: the program and its libraries. The kernel\n" +
		"shares it between processes, reads it in large pieces ahead, and takes it back when " +
		"memory is short.\n\n| job | server | ms CPU per message, median (least–most) | " +
		"messages/s | resident MB | of it its own |\n|---|---|---|---|---|---|\n")
	for _, o := range r.outcomes {
		for _, s := range r.doing(o.job) {
			cpu := measure.Spread(o.samples[s.name], microseconds)
			rate := measure.Spread(o.samples[s.name],
				func(s measure.Sample) float64 { return s.Rate })
			resident := measure.Spread(o.samples[s.name],
				func(s measure.Sample) float64 { return float64(s.Resident) / mB })
			own := measure.Spread(o.samples[s.name],
				func(s measure.Sample) float64 { return float64(s.Own) / mB })
			fmt.Fprintf(b, "| %s | %s | %.3f (%.3f–%.3f) | %.0f (%.0f–%.0f) | %.0f | %.0f |\n",
				o.name, s.name,
				cpu.Median/1000, cpu.Min/1000, cpu.Max/1000, rate.Median, rate.Min, rate.Max,
				resident.Median, own.Median)
		}
	}
}

// appendix writes the profiles and the Go benchmarks.
func (r *report) appendix(b *bytes.Buffer) error {
	b.WriteString("\n## Where the plain build's time goes\n\nThe top ten of the profiles of each " +
		"job with a target: processor time in two seconds, and octets allocated.\n")
	for _, p := range r.profiles {
		fmt.Fprintf(b, "\n### %s\n\n```\n%s\n```\n\n%d messages allocate:\n\n```\n%s\n```\n",
			p.name, p.processor, p.messages, p.octets)
	}
	if r.options.benchmarks == "" {
		return nil
	}
	text, err := os.ReadFile(r.options.benchmarks)
	if err != nil {
		return err
	}
	b.WriteString("\n## Go benchmarks of the hot paths\n\n```\n")
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("Benchmark")) || bytes.HasPrefix(line, []byte("pkg:")) {
			b.Write(line)
		}
	}
	b.WriteString("```\n")
	return nil
}

func openDKIMVersion(root string) string {
	run, err := openDKIMCommand(root)
	if err != nil {
		return "OpenDKIM"
	}
	out, _ := run("-V").CombinedOutput()
	first, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimPrefix(strings.TrimSpace(first), "opendkim: ") + ", Debian's"
}
