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
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.program, "mailseal", "", "the program; needed")
	flag.StringVar(&o.store, "store", "",
		`measure this store alone: "sqlite:" and a path, or "postgres://..."; `+
			"empty measures a file, and a PostgreSQL that is started for it; both are removed")
	flag.IntVar(&o.postgres, "postgres-records", 200_000,
		"rows for PostgreSQL, about; 0 leaves it out")
	flag.StringVar(&o.out, "out", "", "the file with the figures; empty is standard output")
	flag.BoolVar(&o.write, "write", false, "only write the mails to standard output, as an mbox")
	flag.IntVar(&o.records, "records", 5_000_000, "rows of reports, about")
	flag.IntVar(&o.domains, "domains", 25, "domains")
	flag.IntVar(&o.days, "days", 365, "days of history")
	flag.IntVar(&o.receivers, "receivers", 12, "receivers that report on each domain each day")
	yesterday := time.Now().Unix()/86400 - 1
	flag.Int64Var(&o.firstDay, "first-day", 0,
		"the first day, in days since 1970; 0 lets the last one be yesterday")
	flag.IntVar(&o.largest, "largest", 130_000, "rows of the largest report")
	flag.Parse()
	if o.firstDay == 0 {
		o.firstDay = yesterday - int64(o.days) + 1
	}
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
	firstDay            int64 // since 1970
	largest             int
	postgres            int // rows for PostgreSQL
}

func run(ctx context.Context, o options) error {
	if o.write {
		return o.shape.write(os.Stdout, o.firstDay)
	}
	if o.program == "" {
		return errors.New("-mailseal: name the program")
	}
	var tables []string
	add := func(o options) error {
		table, err := o.both(ctx)
		tables = append(tables, table)
		return err
	}
	if o.store != "" {
		if err := add(o); err != nil {
			return err
		}
		return o.report(tables)
	}
	dir, err := os.MkdirTemp("", "mailseal-intake-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o.store = "sqlite:" + filepath.Join(dir, "reports.db")
	if err := add(o); err != nil {
		return err
	}
	if o.postgres > 0 {
		if err := o.onPostgres(ctx, add); err != nil {
			return err
		}
	}
	return o.report(tables)
}

// onPostgres measures a PostgreSQL, with fewer records: as many days as they fill.
func (o options) onPostgres(ctx context.Context, add func(options) error) error {
	store, stop, err := startPostgres(ctx)
	if errors.Is(err, errNoPostgres) {
		fmt.Fprintln(os.Stderr, "intake:", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer stop()
	o.store = store
	o.days = max(o.days*o.postgres/o.records, 1) // the first ones
	o.records = o.postgres
	return add(o)
}

// both measures many reports and a large one in a store, and returns a table of the figures.
func (o options) both(ctx context.Context) (string, error) {
	small, err := o.measure(ctx, &o.shape, "import", "--json", "-")
	if err != nil {
		return "", err
	}
	before := o
	before.firstDay--
	one := shape{records: o.largest, domains: 1, days: 1, receivers: 1}
	large, err := before.measure(ctx, &one, "import", "--json", "-")
	if err != nil {
		return "", err
	}
	verify, err := o.measure(ctx, nil, "verify", "--json")
	if err != nil {
		return "", err
	}
	return o.table(small, large, verify), nil
}

// figures are what one command took.
type figures struct {
	took, cpu time.Duration
	memory    int64 // at most, in bytes
	Reports   int   `json:"reports"`
	Messages  int64 `json:"messages"`
}

// measure runs a command of the program over the store. Mails of a shape are its standard input;
// another process writes them, since the kernel counts what this one has in memory as the memory of
// the processes that it starts.
func (o options) measure(ctx context.Context, mails *shape, args ...string) (out figures,
	err error) {
	args = append([]string{"reports", args[0], "--store", o.store}, args[1:]...)
	cmd := exec.CommandContext(ctx, o.program, args...)
	var answer bytes.Buffer
	cmd.Stdout, cmd.Stderr = &answer, os.Stderr
	wait := func() error { return nil }
	if mails != nil {
		writer, err := o.writer(ctx, mails)
		if err != nil {
			return out, err
		}
		if cmd.Stdin, err = writer.StdoutPipe(); err != nil {
			return out, err
		}
		if err := writer.Start(); err != nil {
			return out, err
		}
		wait = writer.Wait
	}
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return out, fmt.Errorf("mailseal %v: %w", args, err)
	}
	out.took = time.Since(began)
	if err := wait(); err != nil {
		return out, fmt.Errorf("the mails: %w", err)
	}
	use := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	out.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	out.memory = use.Maxrss << 10
	return out, json.Unmarshal(answer.Bytes(), &out)
}

// writer returns this program as one that writes mails of a shape.
func (o options) writer(ctx context.Context, s *shape) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-write",
		fmt.Sprint("-first-day=", o.firstDay), fmt.Sprint("-records=", s.records),
		fmt.Sprint("-domains=", s.domains), fmt.Sprint("-days=", s.days),
		fmt.Sprint("-receivers=", s.receivers))
	cmd.Stderr = os.Stderr
	return cmd, nil
}

// report writes the figures as a page.
func (o options) report(tables []string) error {
	page := fmt.Sprintf(`# Reports that come in: how long an import takes

Made by `+"`make bench-intake`"+`; do not edit. %s UTC

Mails with a report each are written into "mailseal reports import -". Both programs run on this host
at the same time, and PostgreSQL does, with the settings that it has by itself.
%s`, time.Now().UTC().Format("2006-01-02 15:04"), strings.Join(tables, ""))
	if o.out == "" {
		_, err := os.Stdout.WriteString(page)
		return err
	}
	return os.WriteFile(o.out, []byte(page), 0o644)
}

// table returns the figures of a store.
func (o options) table(all, largest, verify figures) string {
	size := ""
	if path, ok := strings.CutPrefix(o.store, "sqlite:"); ok {
		if info, err := os.Stat(path); err == nil {
			size = fmt.Sprintf(" The store has %d MB afterwards.", info.Size()>>20)
		}
	}
	seconds := all.took.Seconds()
	return fmt.Sprintf(`
## %s

%d mails, for %d domains, %d days and %d receivers.%s

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
`, kindOf(o.store), all.Reports, o.domains, o.days, o.receivers, size,
		o.records, all.took.Round(time.Second), all.cpu.Round(time.Second),
		float64(all.Reports)/seconds, float64(o.records)/seconds, all.memory>>20,
		o.largest, largest.took.Seconds(), largest.memory>>20, verify.took.Seconds())
}
