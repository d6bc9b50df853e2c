package main

import (
	"bufio"
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
}

// fold folds what is in the spool each time that a line with a time comes in, and answers with
// figures, until there are no more lines.
func fold(ctx context.Context, dir string, in io.Reader, out io.Writer) error {
	reporting.LimitMemory()
	cfg, err := config.Parse("mailseal.toml", fmt.Appendf(nil, "[reports]\ncollect = true\ndirectory = %q\n", dir))
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
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if now, err = time.Parse(time.RFC3339, lines.Text()); err != nil {
			return err
		}
		if err := p.Fold(ctx); err != nil {
			return err
		}
		f, err := look(ctx, s, dir, now)
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
