package store

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailseal/milter/report"
)

// needLong skips a test that takes minutes.
func needLong(t *testing.T) {
	t.Helper()
	if os.Getenv("MAILSEAL_LONG") == "" {
		t.Skip("takes minutes: set MAILSEAL_LONG=1")
	}
}

// peakMB is the most memory that this process has had, in MB; 0 where the system does not say.
func peakMB(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(rest, "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return n / 1024
		}
	}
	return 0
}

// TestHostileMillionLong floods one domain with a million messages, of which each has names of its
// own.
func TestHostileMillionLong(t *testing.T) {
	needLong(t)
	s := openOut(t, Options{Driver: "sqlite", DSN: t.TempDir() + "/out.db"})
	start := time.Now()
	total := flood(t, s, 1_000_000)
	list, err := s.OutPending(t.Context(), Day(outNoon), "")
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	t.Logf("%d messages, %d rows, %d MB at most, %s",
		list[0].Messages, list[0].Rows, peakMB(t), time.Since(start).Round(time.Second))
	if total != 1_000_000 || list[0].Messages != total || list[0].Rows > report.MaxRows ||
		peakMB(t) > 100 {
		t.Errorf("got %+v, %d MB", list[0], peakMB(t))
	}
}

// TestFoldLong folds a million messages of a heavy-tailed day, in the segments in which the daemon
// writes it.
func TestFoldLong(t *testing.T) {
	needLong(t)
	s := openOut(t, Options{Driver: "sqlite", DSN: t.TempDir() + "/out.db"})
	r := rand.New(rand.NewPCG(8, 9))
	domains := rand.NewZipf(r, 1.15, 10, 200_000)
	clients := rand.NewZipf(r, 1.15, 10, 60_000)
	start := time.Now()
	const messages, size = 1_000_000, 20_000
	for segment := range messages / size {
		b := NewOutBatch()
		for range size {
			d, c := domains.Uint64(), clients.Uint64()
			e := outMail(fmt.Sprintf("d%d.example", d), outNoon, "192.0.2.1", r.IntN(4) > 0)
			e.Client = netip.AddrFrom4([4]byte{byte(1 + d%200), byte(d), byte(c >> 8), byte(c)})
			b.Add(e)
		}
		if _, err := s.Fold(t.Context(), []string{fmt.Sprint(segment)}, b, outNoon); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.OutPending(t.Context(), Day(outNoon), "")
	if err != nil {
		t.Fatal(err)
	}
	var sum, rows int64
	for _, p := range list {
		sum, rows = sum+p.Messages, rows+p.Rows
	}
	t.Logf("%d messages of %d domains, %d rows, %d MB at most, %s",
		sum, len(list), rows, peakMB(t), time.Since(start).Round(time.Second))
	if sum != messages {
		t.Errorf("%d messages, want %d", sum, messages)
	}
}
