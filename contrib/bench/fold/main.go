// Fold measures what it costs to count the mail of a day for reports: the daemon's writer and the
// process of reports take turns through a day of heavy-tailed mail, as fast as they can. "make
// bench-fold" runs it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"mailseal/milter/report/spool"
)

func main() {
	var o options
	child := flag.String("child", "",
		"fold what is in this directory: how the program calls itself")
	flag.StringVar(&o.out, "out", "", "the file with the figures; empty is standard output")
	flag.IntVar(&o.messages, "messages", 10_000_000, "messages of the day")
	flag.Parse()
	run := func() error { return measure(context.Background(), o) }
	if *child != "" {
		run = func() error { return fold(context.Background(), *child, os.Stdin, os.Stdout) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fold:", err)
		os.Exit(1)
	}
}

// options is the command line.
type options struct {
	out      string
	messages int
}

// begin is the day that is counted.
var begin = time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)

// measure plays a day, with a process of its own that folds, and writes the figures.
func measure(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "mailseal-fold-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-child", dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	written, err := play(dir, o.messages, int(24*time.Hour/spool.Interval), in,
		bufio.NewReader(out))
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return err
	}
	if err := cmd.Wait(); err != nil {
		return err
	}
	return write(o, written)
}

// written is what the writer did, and the folder's answers to the end of the day and of the night.
type written struct {
	bytes  int64
	folder figures
	night  figures
}

// play writes the segments of a day in some intervals, and has the folder look after each.
func play(dir string, messages, intervals int, tell io.WriteCloser, answers *bufio.Reader) (written,
	error) {
	if err := os.MkdirAll(filepath.Join(dir, "spool"), 0o700); err != nil {
		return written{}, err
	}
	w, d := newWriter(dir), newDay(begin, messages)
	last := figures{}
	turn := func(now time.Time) error {
		if _, err := fmt.Fprintln(tell, now.Format(time.RFC3339)); err != nil {
			return err
		}
		line, err := answers.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("the process that folds ended: %w", err)
		}
		return json.Unmarshal(line, &last)
	}
	for i := range intervals {
		now := begin.Add(time.Duration(i) * spool.Interval)
		w.interval(now, d, messages*(i+1)/intervals-d.n)
		if err := turn(now.Add(spool.Interval)); err != nil {
			return written{}, err
		}
		if i%24 == 23 {
			fmt.Fprintf(os.Stderr, "fold: %2d hours: %s CPU, %d MB\n", (i+1)/12,
				last.CPU.Round(time.Second), last.Peak>>20)
		}
	}
	if err := turn(begin.AddDate(0, 0, 1).Add(time.Minute)); err != nil {
		return written{}, err
	}
	counted := last
	if err := turn(begin.AddDate(0, 0, 1).Add(8 * time.Hour)); err != nil {
		return written{}, err
	}
	if err := tell.Close(); err != nil {
		return written{}, err
	}
	if c := w.Counts(); c.Dropped > 0 {
		return written{}, fmt.Errorf("the writer dropped %d messages", c.Dropped)
	}
	if counted.Messages != int64(messages) {
		return written{}, fmt.Errorf("%d messages are in the store, not %d", counted.Messages,
			messages)
	}
	return written{w.Counts().Bytes, counted, last}, nil
}

// writer is the daemon's, on a clock of its own.
type writer struct {
	*spool.Writer
	now time.Time
}

func newWriter(dir string) *writer {
	w := &writer{}
	w.Writer = spool.NewWriter(filepath.Join(dir, "spool"), 1<<40, slog.New(slog.DiscardHandler),
		func() time.Time { return w.now })
	return w
}

// interval writes n messages as segments of one interval.
func (w *writer) interval(now time.Time, d *day, n int) {
	w.now = now
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	const atOnce = 4000 // half of what may wait
	for i := range n {
		if i%atOnce == atOnce-1 {
			for w.Waiting() > 0 {
				time.Sleep(time.Millisecond)
			}
		}
		w.Record(d.next())
	}
	stop()
	<-done
}
