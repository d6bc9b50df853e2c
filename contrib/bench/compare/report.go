package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// report is what RESULTS.md says.
type report struct {
	options  options
	servers  []server
	outcomes []outcome
	extra    []finding
	profiles [][2]string // job, table
}

// finding is a measurement that is no ratio of processor time.
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
	for i, s := range r.servers {
		cpu := spread(o.samples[s.name], microseconds)
		fmt.Fprintf(&b, " %s %.0f µs", s.name, cpu.median)
		if i > 0 {
			d := spread(o.ratios(s.name, r.servers[0].name), same)
			fmt.Fprintf(&b, " = %.2f (%.2f–%.2f)", d.median, d.min, d.max)
		}
	}
	return b.String()
}

func microseconds(s sample) float64 { return float64(s.cpu) / float64(time.Microsecond) }

// write writes the report where it is wanted.
func (r *report) write() error {
	var b bytes.Buffer
	r.head(&b)
	r.ratios(&b)
	r.others(&b)
	r.times(&b)
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
	fmt.Fprintf(b, "# What a message costs\n\nMade by `make bench`; do not edit. %s\n\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	fmt.Fprintf(b, "* machine: %s, %d cores, %s; load %s when this was written\n", model(), runtime.NumCPU(), output("uname", "-sr"), load())
	for _, s := range r.servers {
		switch s.name {
		case "plain":
			fmt.Fprintf(b, "* plain: %s\n", output(r.options.plain, "version"))
		case "release":
			fmt.Fprintf(b, "* release: %s\n", output(r.options.release, "version"))
		default:
			fmt.Fprintf(b, "* %s\n", openDKIMVersion(r.options.opendkim))
		}
	}
	fmt.Fprintf(b, "* %d rounds, servers in turn, 2 connections, 20 messages each, unix sockets, all pinned to two cores; the key is in a file, and for verifying "+
		"Mailseal has it in its cache, OpenDKIM in a file (TestPublicKeys: its resolver would cost it more). Mailseal logs a line for each message, OpenDKIM nothing.\n\n", r.options.rounds)
}

// ratios writes the table of shares of OpenDKIM's processor time.
func (r *report) ratios(b *bytes.Buffer) {
	b.WriteString("## Processor time per message, as a share of OpenDKIM's in the same round\n\nMedian (least–most).\n\n| job | OpenDKIM |")
	for _, s := range r.servers[1:] {
		fmt.Fprintf(b, " %s | at most | |", s.name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|---|---|", len(r.servers)-1) + "\n")
	for _, o := range r.outcomes {
		fmt.Fprintf(b, "| %s | %.2f ms |", o.name, spread(o.samples[r.servers[0].name], microseconds).median/1000)
		for _, s := range r.servers[1:] {
			target := o.plain
			if s.name == "release" {
				target = o.release
			}
			d := spread(o.ratios(s.name, r.servers[0].name), same)
			fmt.Fprintf(b, " **%.2f** (%.2f–%.2f) | %.2f | %s |", d.median, d.min, d.max, target, met(d.median <= target))
		}
		b.WriteString("\n")
	}
}

func met(yes bool) string {
	if yes {
		return "met"
	}
	return "**not met**"
}

// others writes the table of findings.
func (r *report) others(b *bytes.Buffer) {
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
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", f.what, strings.Join(f.values, " | "), f.target, verdict)
	}
}

// times writes the latency at half of the saturating rate.
func (r *report) times(b *bytes.Buffer) {
	b.WriteString("\n## Latency at half of the saturating rate, from MAIL to the reply\n\nThe driver runs on the same cores where there are only two.\n\n" +
		"| job | server | messages/s | p50 | p95 | p99 |\n|---|---|---|---|---|---|\n")
	for _, o := range r.outcomes {
		for _, s := range r.servers {
			if f, ok := o.latency[s.name]; ok {
				fmt.Fprintf(b, "| %s | %s | %.0f | %.2f ms | %.2f ms | %.2f ms |\n", o.name, s.name, f.Rate, f.P50, f.P95, f.P99)
			}
		}
	}
}

// details writes times, rates and memory of each job as they are.
func (r *report) details(b *bytes.Buffer) {
	b.WriteString("\n## All figures\n\n| job | server | ms CPU per message, median (least–most) | messages/s | resident MB |\n|---|---|---|---|---|\n")
	for _, o := range r.outcomes {
		for _, s := range r.servers {
			cpu := spread(o.samples[s.name], microseconds)
			rate := spread(o.samples[s.name], func(s sample) float64 { return s.rate })
			resident := spread(o.samples[s.name], func(s sample) float64 { return float64(s.resident) / mB })
			fmt.Fprintf(b, "| %s | %s | %.3f (%.3f–%.3f) | %.0f (%.0f–%.0f) | %.0f |\n", o.name, s.name,
				cpu.median/1000, cpu.min/1000, cpu.max/1000, rate.median, rate.min, rate.max, resident.median)
		}
	}
}

// appendix writes the profiles and the Go benchmarks.
func (r *report) appendix(b *bytes.Buffer) error {
	b.WriteString("\n## Where the plain build's time goes\n\nThe top ten of each job's profile.\n")
	for _, p := range r.profiles {
		fmt.Fprintf(b, "\n### %s\n\n```\n%s\n```\n", p[0], p[1])
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

// output is the first line that a program prints; "unknown" if it does not.
func output(program string, args ...string) string {
	out, _ := exec.Command(program, args...).CombinedOutput()
	first, _, _ := strings.Cut(string(out), "\n")
	return cmp.Or(strings.TrimSpace(first), "unknown")
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

func model() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(text), "model name")
	name, _, _ := strings.Cut(rest, "\n")
	return cmp.Or(strings.TrimLeft(name, "\t :"), "unknown processor")
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(text))
	return strings.Join(f[:min(len(f), 3)], " ")
}
