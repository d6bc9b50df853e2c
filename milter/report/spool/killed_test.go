package spool

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
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

// writeForEver records a message each 200 microseconds, which are 5,000 in a second, and prints when,
// in nanoseconds.
func writeForEver(dir string) {
	w := NewWriter(dir, 1<<40, slog.New(slog.DiscardHandler), time.Now)
	go w.Run(context.Background())
	e := evaluations(1)[0]
	for n := 0; ; n++ {
		e.EnvelopeFrom = strconv.Itoa(n)
		e.Policy.Domain = fmt.Sprintf("d%d.example", n%childDomains)
		w.Record(e)
		fmt.Println(time.Now().UnixNano())
		time.Sleep(200 * time.Microsecond)
	}
}

// killed runs a writer, kills it after a time, and returns when it recorded each message, by its own
// clock, and the numbers of those in the spool.
func killed(t *testing.T, after time.Duration) (recorded []time.Time, read []int) {
	t.Helper()
	dir := t.TempDir()
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
	lines := bufio.NewScanner(out)
	var timer *time.Timer
	for lines.Scan() {
		if timer == nil { // it has begun
			timer = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		nanoseconds, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			break // it was killed as it printed
		}
		recorded = append(recorded, time.Unix(0, nanoseconds))
	}
	_ = cmd.Wait() // it was killed
	for _, r := range readAll(t, dir) {
		n, err := strconv.Atoi(strings.TrimSpace(r.Evaluation.EnvelopeFrom))
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, n)
	}
	return recorded, read
}

// maxLoss is how much of what was recorded last may be missing after a kill.
const maxLoss = 200 * time.Millisecond

// testKilled kills writers at random moments: what is read is what was recorded up to some message,
// each once, and no more than maxLoss is missing. The clock is that of the process that is killed: a
// time in which a busy machine does not run it has no messages either.
func testKilled(t *testing.T, points int) {
	r := rand.New(rand.NewPCG(7, uint64(points)))
	var worst time.Duration
	for range points {
		recorded, read := killed(t, time.Duration(r.IntN(900))*time.Millisecond)
		first := firstMissing(t, read)
		if len(read) > len(recorded)+1 {
			t.Errorf("%d read of %d", len(read), len(recorded))
		}
		if first < len(recorded) {
			worst = max(worst, recorded[len(recorded)-1].Sub(recorded[first]))
		}
	}
	t.Logf("%d kills: at most the last %s is missing", points, worst.Round(time.Millisecond))
	if worst > maxLoss {
		t.Errorf("the last %s is missing, of which %s may be", worst, maxLoss)
	}
}

// firstMissing returns the lowest number that was not read. Each number is there once, and each
// domain's, which are in one partition, are all there up to its last.
func firstMissing(t *testing.T, read []int) int {
	t.Helper()
	slices.Sort(read)
	last := map[int]int{}
	first := -1
	for i, n := range read {
		if i > 0 && n == read[i-1] {
			t.Fatalf("message %d is there twice", n)
		}
		if before, ok := last[n%childDomains]; ok && before != n-childDomains || !ok && n >= childDomains {
			t.Fatalf("message %d is there, and not the one before it in its partition", n)
		}
		last[n%childDomains] = n
		if first < 0 && n != i {
			first = i
		}
	}
	if first < 0 {
		first = len(read)
	}
	return first
}

func TestKilled(t *testing.T) { testKilled(t, 3) }

func TestKilledLong(t *testing.T) {
	if os.Getenv("MAILSEAL_LONG") == "" {
		t.Skip("takes two minutes: set MAILSEAL_LONG=1")
	}
	testKilled(t, 100)
}
