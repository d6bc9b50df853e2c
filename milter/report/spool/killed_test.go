package spool

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// childDomains is how many domains the writer of killed has mail of, in turn.
const childDomains = 40

// childDir tells a process that it is the writer of killed, and where.
const childDir = "MAILSEAL_SPOOL_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		writeForEver(dir)
	}
	os.Exit(m.Run())
}

// writeForEver records messages, and prints for each how many bytes the writer has given to the
// kernel so far.
func writeForEver(dir string) {
	w := NewWriter(dir, 1<<40, slog.New(slog.DiscardHandler), time.Now)
	go w.Run(context.Background())
	e := evaluations(1)[0]
	for n := 0; ; n++ {
		e.EnvelopeFrom = strconv.Itoa(n)
		e.Policy.Domain = fmt.Sprintf("d%d.example", n%childDomains)
		w.Record(e)
		for w.Waiting() > maxWaiting/2 {
			runtime.Gosched() // the disk is behind: nothing is to be dropped
		}
		fmt.Println(w.Counts().Bytes)
	}
}

// killed runs a writer, kills it once it has written so many times, and returns how many messages
// it recorded, how many bytes it had written by its own account, and the numbers of those in the
// spool.
func killed(t *testing.T, dir string, writes int) (recorded int, written int64, read []int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		bytes, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil || bytes < written {
			break // it was killed as it printed
		}
		if recorded++; bytes > written {
			written = bytes
			if writes--; writes == 0 {
				_ = cmd.Process.Kill()
			}
		}
	}
	_ = cmd.Wait() // it was killed
	for _, r := range readAll(t, dir) {
		n, err := strconv.Atoi(strings.TrimSpace(r.Evaluation.EnvelopeFrom))
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, n)
	}
	return recorded, written, read
}

// testKilled kills writers at any moment: what is read is what was recorded up to some message,
// each once, and nothing is missing of what the writer had given to the kernel.
func testKilled(t *testing.T, points int) {
	all := 0
	for n := range points {
		dir := t.TempDir()
		recorded, written, read := killed(t, dir, 1+9*(n%5)) // the first writes begin the segments
		all += len(read)
		if len(read) > recorded+1 {
			t.Errorf("%d messages are read, and %d were recorded", len(read), recorded)
		}
		wantEachOnce(t, read)
		if size, err := Size(dir); err != nil || size < written {
			t.Errorf("the spool has %d bytes, of %d that were written; %v", size, written, err)
		}
	}
	if all == 0 {
		t.Error("no message is read")
	}
}

// TestWritesEvery holds that a message is with the kernel WriteEvery after it was recorded at the
// latest, so that a process that is killed takes no more with it.
func TestWritesEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		w := NewWriter(dir, 1<<40, slog.New(slog.DiscardHandler), time.Now)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			w.Run(ctx)
			close(ended)
		}()
		for n := range 5 {
			for _, e := range evaluations(20) {
				w.Record(e)
			}
			time.Sleep(WriteEvery)
			synctest.Wait()
			if got := countOpen(t, dir); got != 20*(n+1) {
				t.Errorf("%d messages are in the spool, of %d", got, 20*(n+1))
			}
			time.Sleep(WriteEvery / 3)
		}
		stop()
		<-ended
	})
}

// countOpen counts the messages in segments that are being written.
func countOpen(t *testing.T, dir string) int {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"+openExt))
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, path := range paths {
		err := Read(path, func(Record) error {
			count++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return count
}

// wantEachOnce fails where a message was read twice, or not one that was recorded before it in its
// partition: those of a domain are all there up to its last.
func wantEachOnce(t *testing.T, read []int) {
	t.Helper()
	slices.Sort(read)
	last := map[int]int{}
	for i, n := range read {
		if i > 0 && n == read[i-1] {
			t.Fatalf("message %d is there twice", n)
		}
		if before, ok := last[n%childDomains]; ok && before != n-childDomains ||
			!ok && n >= childDomains {
			t.Fatalf("message %d is there, and not the one before it in its partition", n)
		}
		last[n%childDomains] = n
	}
}

func TestKilled(t *testing.T) { testKilled(t, 3) }

func TestKilledLong(t *testing.T) {
	if os.Getenv("MAILSEAL_LONG") == "" {
		t.Skip("takes two minutes: set MAILSEAL_LONG=1")
	}
	testKilled(t, 100)
}
