// Intake measures how long "mailseal reports import" takes for millions of records, and how much
// memory: it writes the mails of reporters into the program's standard input. "make bench-intake"
// runs it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.program, "mailseal", "", "the program; needed")
	flag.StringVar(&o.store, "store", "", `the store, "sqlite:" and a path or "postgres://..."; empty is a file that is removed`)
	flag.StringVar(&o.out, "out", "", "the file with the figures; empty is standard output")
	flag.BoolVar(&o.write, "write", false, "only write the mails to standard output, as an mbox")
	flag.IntVar(&o.records, "records", 5_000_000, "rows of reports, about")
	flag.IntVar(&o.domains, "domains", 25, "domains")
	flag.IntVar(&o.days, "days", 365, "days of history")
	flag.IntVar(&o.receivers, "receivers", 12, "receivers that report on each domain each day")
	flag.IntVar(&o.largest, "largest", 130_000, "rows of the largest report")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "intake:", err)
		os.Exit(1)
	}
}

// options is the command line.
type options struct {
	shape
	program, store, out string
	write               bool
	largest             int
}

func run(ctx context.Context, o options) error {
	firstDay := time.Now().Unix()/86400 - int64(o.days)
	if o.write {
		return o.shape.write(os.Stdout, firstDay)
	}
	if o.program == "" {
		return errors.New("-mailseal: name the program")
	}
	if o.store == "" {
		dir, err := os.MkdirTemp("", "mailseal-intake-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.store = "sqlite:" + filepath.Join(dir, "reports.db")
	}
	small, err := o.measure(ctx, func(w io.Writer) error { return o.shape.write(w, firstDay) }, "import", "--json", "-")
	if err != nil {
		return err
	}
	one := shape{records: o.largest, domains: 1, days: 1, receivers: 1}
	large, err := o.measure(ctx, func(w io.Writer) error { return one.write(w, firstDay-1) }, "import", "--json", "-")
	if err != nil {
		return err
	}
	verify, err := o.measure(ctx, nil, "verify", "--json")
	if err != nil {
		return err
	}
	return o.report(small, large, verify)
}

// figures are what one command took.
type figures struct {
	took, cpu time.Duration
	memory    int64 // at most, in bytes
	Reports   int   `json:"reports"`
	Messages  int64 `json:"messages"`
}

// measure runs a command of the program over the store. write fills its standard input.
func (o options) measure(ctx context.Context, write func(io.Writer) error, args ...string) (out figures, err error) {
	args = append([]string{"reports", args[0], "--store", o.store}, args[1:]...)
	cmd := exec.CommandContext(ctx, o.program, args...)
	var answer bytes.Buffer
	cmd.Stdout, cmd.Stderr = &answer, os.Stderr
	began := time.Now()
	var in io.WriteCloser
	if write != nil {
		if in, err = cmd.StdinPipe(); err != nil {
			return out, err
		}
	}
	if err := cmd.Start(); err != nil {
		return out, err
	}
	if write != nil {
		err = errors.Join(write(in), in.Close())
	}
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return out, fmt.Errorf("mailseal %v: %w", args, err)
	}
	out.took = time.Since(began)
	use := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	out.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	out.memory = use.Maxrss << 10
	return out, json.Unmarshal(answer.Bytes(), &out)
}

// report writes the figures as a page.
func (o options) report(all, largest, verify figures) error {
	out := os.Stdout
	if o.out != "" {
		f, err := os.Create(o.out)
		if err != nil {
			return err
		}
		defer f.Close()
		out = f
	}
	kind, size := "PostgreSQL", ""
	if path, ok := pathOf(o.store); ok {
		kind = "SQLite"
		if info, err := os.Stat(path); err == nil {
			size = fmt.Sprintf("; the store has %d MB afterwards", info.Size()>>20)
		}
	}
	seconds := all.took.Seconds()
	fmt.Fprintf(out, `# Reports that come in: how long an import takes

Made by `+"`make bench-intake`"+`; do not edit. %s UTC

%d mails with a report each, for %d domains, %d days and %d receivers, are
written into "mailseal reports import -". Both programs run on this host at the same time.
The store is %s%s.

| | |
|---|---|
| records, about | %d |
| time | %s, of the processor %s |
| reports in a second | %.0f |
| records in a second | %.0f |
| memory at most | %d MB |
| one report of %d rows: time | %.1f s |
| the same: memory at most | %d MB |
| "mailseal reports verify" afterwards | %.1f s |
`, time.Now().UTC().Format("2006-01-02 15:04"), all.Reports, o.domains, o.days, o.receivers, kind, size,
		o.records, all.took.Round(time.Second), all.cpu.Round(time.Second),
		float64(all.Reports)/seconds, float64(o.records)/seconds, all.memory>>20,
		o.largest, largest.took.Seconds(), largest.memory>>20, verify.took.Seconds())
	return nil
}

// pathOf returns the path of a store that is a file.
func pathOf(store string) (string, bool) {
	const prefix = "sqlite:"
	if len(store) < len(prefix) || store[:len(prefix)] != prefix {
		return "", false
	}
	return store[len(prefix):], true
}
