package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"mailseal/cmd/mailseal/reporting"
	"mailseal/config"
	"mailseal/milter/report/store"
)

// figures are those of the process that folds, so far.
type figures struct {
	Messages, Rows, Domains int64
	Largest                 int64 // rows of one domain
	CPU                     time.Duration
	Peak                    int64 // bytes of memory
	Disk                    int64 // bytes of the store, with its log

	Reports int64         // that were built in the night
	Night   time.Duration // CPU for it
}

// settings are those of the process that folds. All domains are listed, so that each gets a report:
// more than a host ever sends.
const settings = `[reports]
collect = true
send = true
from = "dmarc@reports.example.net"
domains = [".example"]
directory = %q
[keys.k]
domain = "reports.example.net"
selector = "s"
file = "/none"
[[sign]]
from = ["reports.example.net"]
keys = ["k"]
`

// fold folds what is in the spool each time that a line with a time comes in, and answers with
// figures, until there are no more lines.
func fold(ctx context.Context, dir string, in io.Reader, out io.Writer) error {
	reporting.LimitMemory()
	cfg, err := config.Parse("mailseal.toml", fmt.Appendf(nil, settings, dir))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.Reports.SpoolDirectory, 0o700); err != nil {
		return err
	}
	var now time.Time
	p := &reporting.Process{Config: cfg, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Now: func() time.Time { return now }}
	s, err := p.Store(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	for times := bufio.NewScanner(in); times.Scan(); {
		if now, err = time.Parse(time.RFC3339, times.Text()); err != nil {
			return err
		}
		do := look
		if now.After(begin.AddDate(0, 0, 1).Add(time.Hour)) {
			do = night(cfg)
		} else if err := p.Fold(ctx); err != nil {
			return err
		}
		f, err := do(ctx, s, dir, now)
		if err != nil {
			return err
		}
		text, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s\n", text); err != nil {
			return err
		}
	}
	return nil
}

// look takes the figures; those of the store at the end of the day alone.
func look(ctx context.Context, s *store.Store, dir string, now time.Time) (f figures, err error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return f, err
	}
	f.CPU = time.Duration(used.Utime.Nano() + used.Stime.Nano())
	f.Peak = used.Maxrss << 10
	if now.Before(begin.AddDate(0, 0, 1)) {
		return f, nil
	}
	sum, err := s.OutSums(ctx, store.Day(begin))
	if err != nil {
		return f, err
	}
	f.Messages, f.Rows, f.Domains, f.Largest = sum.Messages, sum.Rows, sum.Policies, sum.Largest
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.Contains(d.Name(), ".db") {
			return err
		}
		info, err := d.Info()
		if err == nil {
			f.Disk += info.Size()
		}
		return err
	})
	return f, err
}

// night builds the reports of the day, and returns what that took.
func night(cfg *config.Config) func(context.Context, *store.Store, string, time.Time) (figures,
	error) {
	return func(ctx context.Context, s *store.Store, dir string, now time.Time) (f figures,
		err error) {
		f, err = look(ctx, s, dir, now)
		if err != nil {
			return f, err
		}
		var built lines
		r, err := reporting.NewReporter(cfg, s, slog.New(slog.NewTextHandler(&built, nil)), "bench")
		if err != nil {
			return f, err
		}
		if err := r.Build(ctx, store.Day(begin), now); err != nil {
			return f, err
		}
		after, err := look(ctx, s, dir, now)
		f.Reports, f.Night, f.Peak, f.Disk = built.n, after.CPU-f.CPU, after.Peak, after.Disk
		return f, err
	}
}

// lines counts the log lines of reports that were built.
type lines struct{ n int64 }

func (l *lines) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("report built")) {
		l.n++
	}
	return len(line), nil
}
