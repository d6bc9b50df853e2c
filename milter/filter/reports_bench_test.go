package filter

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailseal/contrib/test/allocations"
	"mailseal/contrib/test/rig"
	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/message"
	"mailseal/milter/report/spool"
)

// judging judges one message of a stranger again and again, with all lookups in memory.
type judging struct {
	f   *Filter
	env message.Envelope
	raw string
}

func newJudging(tb testing.TB, r Recorder) *judging {
	tb.Helper()
	f, _ := reportFilter(tb)
	f.Counters, f.Reports.Recorder = nil, r
	return &judging{f: f, raw: strings.ReplaceAll(askingText, "\n", "\r\n"), env: message.Envelope{
		Client: netip.MustParseAddr("198.51.100.7"), Helo: "h.example", Sender: "x@asks.example",
		Recipients: []string{"a@example.net"},
	}}
}

// once judges the message, and returns the judge with what it found.
func (j *judging) once(tb testing.TB) (*inbound, *message.Message) {
	var judge milter.Judge
	m, err := message.Read(strings.NewReader(j.raw), 1<<20,
		func(h message.Header) []message.BodyHash {
			judge = j.f.Begin(tb.Context(), milter.Mail{Envelope: &j.env, Role: action.RoleTheirs,
				MayChange: true, Header: h})
			return judge.Wants().Hashes
		})
	if err != nil {
		tb.Fatal(err)
	}
	judge.Decide(tb.Context(), m, nil)
	return judge.(*inbound), m
}

// cpu is the time that this process has had of a processor, with that of its other goroutines.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// capture judges the message once, and returns what is done for reports after that.
func (j *judging) capture(tb testing.TB) func() {
	tb.Helper()
	in, m := j.once(tb)
	found := judgment{message: m, results: in.run.Results(tb.Context(), m)}
	found.decision, found.facts = in.decide(m, found.results)
	return func() {
		in.filter.Reports.learned(in.Header, found.results)
		in.filter.Reports.judged(in.mail, found, in.run.PublicSuffixList())
	}
}

// TestCaptureAllocates holds what capture allocates for a message: the result of SPF and a reason.
func TestCaptureAllocates(t *testing.T) {
	w := spool.NewWriter(t.TempDir(), 1<<40, slog.New(slog.DiscardHandler), time.Now)
	capturing := newJudging(t, w).capture(t)
	for range 3000 { // the writer's own memory
		capturing()
	}
	before := w.Counts().Recorded
	allocations.Hold(t, "milter/filter: capture of a message for reports", 1000, capturing)
	if n := w.Counts().Recorded - before; n != 1001 && !rig.Race {
		t.Errorf("%d messages were recorded, want 1001", n)
	}
}

// BenchmarkCapture is what capture costs a message in CPU, from the verdict to the file, and as a
// share of judging it. They come at 20,000 in a second, which is what two processors judge: the
// writer gives what came to the disk five times a second, however little it is.
func BenchmarkCapture(b *testing.B) {
	plain := newJudging(b, nil)
	const judged = 20_000
	before := cpu(b)
	for range judged {
		plain.once(b)
	}
	judging := (cpu(b) - before) / judged

	w := spool.NewWriter(b.TempDir(), 1<<40, slog.New(slog.DiscardHandler), time.Now)
	ctx, stop := context.WithCancel(b.Context())
	var writing sync.WaitGroup
	writing.Go(func() { w.Run(ctx) })
	capturing := newJudging(b, w).capture(b)
	b.ReportAllocs()
	before = cpu(b)
	for i := 0; b.Loop(); i++ {
		capturing()
		if i%2000 == 1999 {
			time.Sleep(2 * spool.WriteEvery)
		}
	}
	stop()
	writing.Wait()
	capture := (cpu(b) - before) / time.Duration(b.N)
	b.ReportMetric(float64(judging.Nanoseconds()), "judging-ns")
	b.ReportMetric(float64(capture.Nanoseconds()), "capture-ns")
	b.ReportMetric(100*float64(capture)/float64(judging), "%-of-judging")
	c := w.Counts()
	b.ReportMetric(float64(c.Bytes)/float64(c.Recorded), "bytes/message")
	if c.Dropped > 0 || c.Recorded == 0 {
		b.Errorf("%d rows were recorded, %d dropped", c.Recorded, c.Dropped)
	}
}
