package spool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailseal/contrib/test/allocations"
	"mailseal/milter/report"
)

var noon = time.Date(2026, 11, 30, 12, 1, 0, 0, time.UTC)

// evaluations makes n that differ in all fields.
func evaluations(n int) []report.Evaluation {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]report.Evaluation, n)
	for i := range out {
		e := report.Evaluation{
			Time:   noon.Add(time.Duration(r.IntN(100)) * time.Second),
			Client: netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(256))}),
			Policy: report.Policy{Domain: fmt.Sprintf("d%d.example", r.IntN(50)),
				Text: "v=DMARC1; p=none", P: "none"},
			Disposition:  "none",
			DKIM:         r.IntN(2) == 0,
			SPF:          r.IntN(2) == 0,
			HeaderFrom:   "from.example",
			EnvelopeFrom: strings.Repeat("x", r.IntN(200)),
		}
		if i%3 == 0 {
			e.Client = netip.MustParseAddr("2001:db8::1")
			e.SPFAuth = &report.SPFAuth{Domain: "mail.example", Result: "pass"}
			e.Reasons = []report.Reason{{Type: "local_policy", Comment: "a < b"}}
			e.Signatures = []report.DKIMAuth{{
				Domain: "a.example", Selector: fmt.Sprint(r.IntN(5000)), Result: "pass", Aligned: true,
			}}
		}
		out[i] = e
	}
	return out
}

// run writes records with a Writer and returns when it has ended.
func run(t *testing.T, w *Writer, list []report.Evaluation) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	for i := range list {
		if i%maxWaiting == maxWaiting-1 { // the ring would be full before the writer runs
			t.Fatal("too many for one ring")
		}
		w.Record(list[i])
	}
	done.Go(func() { w.Run(ctx) })
	cancel()
	done.Wait()
}

func readAll(t *testing.T, dir string) []Record {
	t.Helper()
	names, err := Segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []Record
	for _, n := range names {
		err := Read(filepath.Join(dir, n), func(r Record) error {
			out = append(out, r)
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", n, err)
		}
	}
	return out
}

func newTestWriter(dir string, most int64) (*Writer, *bytes.Buffer) {
	var log bytes.Buffer
	return NewWriter(dir, most, slog.New(slog.NewTextHandler(&log, nil)),
		func() time.Time { return noon }), &log
}

// TestWriteAndRead holds that each record comes back as it was, in its own partition.
func TestWriteAndRead(t *testing.T) {
	dir := t.TempDir()
	w, _ := newTestWriter(dir, 1<<30)
	list := evaluations(5000)
	w.Wrote("friend.example")
	own := []report.Sent{{Time: noon, Domain: "own.example", Selector: "s1", Counted: true,
		Reply: true, ToList: true},
		{Time: noon, Domain: "own.example", Selector: "s2"}}
	for _, s := range own {
		w.Sent(s)
	}
	run(t, w, list)
	want := map[string]int{}
	for i := range list {
		want[asText(t, list[i])]++
	}
	wrote := 0
	for _, r := range readAll(t, dir) {
		if r.Sent != nil {
			if len(own) == 0 || *r.Sent != own[0] {
				t.Fatalf("own mail: %+v, want the first of %+v", *r.Sent, own)
			}
			own = own[1:]
			continue
		}
		if r.Evaluation == nil {
			wrote++
			continue
		}
		want[asText(t, *r.Evaluation)]--
	}
	for k, n := range want {
		if n != 0 {
			t.Fatalf("%d too few or too many of %s", n, k)
		}
	}
	if c := w.Counts(); wrote != 1 || len(own) != 0 || c.Recorded != 5003 || c.Dropped != 0 {
		t.Errorf("domains written to: %d; %+v", wrote, c)
	}
	info, err := os.Stat(filepath.Join(dir, mustSegments(t, dir)[0]))
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v; want 0640 whatever the umask", info.Mode(), err)
	}
}

func asText(t *testing.T, e report.Evaluation) string {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func mustSegments(t *testing.T, dir string) []string {
	t.Helper()
	names, err := Segments(dir)
	if err != nil || len(names) == 0 {
		t.Fatalf("%v, %v", names, err)
	}
	return names
}

// TestOneRecord holds that all fields of a record survive.
func TestOneRecord(t *testing.T) {
	want := evaluations(1)[0]
	dir := t.TempDir()
	w, _ := newTestWriter(dir, 1<<30)
	run(t, w, []report.Evaluation{want})
	got := readAll(t, dir)
	if len(got) != 1 || !reflect.DeepEqual(*got[0].Evaluation, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// TestTornSegments cuts a segment at every length: what was written before the cut is read, once,
// and nothing is made up.
func TestTornSegments(t *testing.T) {
	dir := t.TempDir()
	w, _ := newTestWriter(dir, 1<<30)
	w.start = noon
	list := evaluations(40)
	for i := range list { // a block for each
		list[i].Policy.Domain = "one.example"
		w.take(Record{Evaluation: &list[i]})
		w.flushAll()
	}
	w.close()
	text, err := os.ReadFile(filepath.Join(dir, mustSegments(t, dir)[0]))
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for size := range len(text) + 1 {
		n := 0
		err := read(bytes.NewReader(text[:size]), func(r Record) error {
			if want := list[n]; r.Evaluation.EnvelopeFrom != want.EnvelopeFrom {
				return errors.New("another record")
			}
			n++
			return nil
		})
		if err != nil || n < last {
			t.Fatalf("cut at %d: %d records, %v", size, n, err)
		}
		last = n
	}
	if last != 40 {
		t.Errorf("%d records of the whole", last)
	}
	for at := len(magic) + 8; at < len(text); at += 7 { // a byte that the disk changed
		bad := bytes.Clone(text)
		bad[at] ^= 0x40
		n := 0
		if err := read(bytes.NewReader(bad), func(Record) error { n++; return nil }); err == nil &&
			n == 40 {
			t.Fatalf("a changed byte at %d was not seen", at)
		}
	}
}

// TestFullRing holds that a writer that does not keep up costs rows, and that they are counted.
func TestFullRing(t *testing.T) {
	w, _ := newTestWriter(t.TempDir(), 1<<30)
	e := evaluations(1)[0]
	for range maxWaiting + 100 {
		w.Record(e)
	}
	if c := w.Counts(); c.Recorded != maxWaiting || c.Dropped != 100 {
		t.Errorf("got %+v", c)
	}
}

// TestNoSpool holds that rows are dropped with a hint where there is not a directory, or it is
// full.
func TestNoSpool(t *testing.T) {
	gone, log := newTestWriter(filepath.Join(t.TempDir(), "gone"), 1<<30)
	run(t, gone, evaluations(10))
	if c := gone.Counts(); c.Dropped != 10 || strings.Count(log.String(), "install -d") != 1 {
		t.Errorf("%+v, log %q", c, log)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x"), make([]byte, 2000), 0o600); err != nil {
		t.Fatal(err)
	}
	full, log := newTestWriter(dir, 1000)
	run(t, full, evaluations(10))
	if c := full.Counts(); c.Dropped != 10 || !strings.Contains(log.String(), "the spool is full") {
		t.Errorf("%+v, log %q", c, log)
	}
}

// TestPlantedLinks holds that a link in the spool, which the other process may have put there, is
// neither followed nor replaced with its target.
func TestPlantedLinks(t *testing.T) {
	dir, target := t.TempDir(), filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(target, []byte("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, name(noon, 3, 7)+closeExt)
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if names, err := Segments(dir); err != nil || len(names) != 0 {
		t.Errorf("a link is taken for a segment: %v, %v", names, err)
	}
	if err := Read(link, func(Record) error { return nil }); err == nil {
		t.Error("a link was followed")
	}
	_, err := os.OpenFile(link, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v", err)
	}
	text, err := os.ReadFile(target)
	if err != nil || string(text) != "key" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestAbandoned holds that a segment is left alone while it is written, and read when its writer is
// gone.
func TestAbandoned(t *testing.T) {
	dir := t.TempDir()
	w, _ := newTestWriter(dir, 1<<30)
	e := evaluations(1)[0]
	w.take(Record{Evaluation: &e})
	w.flushAll()
	if names, _ := Segments(dir); len(names) != 0 {
		t.Errorf("a segment that is written is read: %v", names)
	}
	for _, s := range w.parts { // the process dies
		if s != nil {
			s.file.Close()
		}
	}
	if got := readAll(t, dir); len(got) != 1 {
		t.Errorf("%d records", len(got))
	}
}

func TestPartitionOf(t *testing.T) {
	for n := range Partitions {
		if got := PartitionOf(name(noon, n, 1) + closeExt); got != n {
			t.Errorf("got %d, want %d", got, n)
		}
	}
	for _, file := range []string{"", "a-b-c.seg", "x-99-1.seg", "x--1-2.seg", "reports.db"} {
		if got := PartitionOf(file); got != -1 {
			t.Errorf("%q: got %d", file, got)
		}
	}
}

// TestRecordAllocates holds that a message costs no memory of its own: it waits in memory that the
// one before waited in.
func TestRecordAllocates(t *testing.T) {
	w, _ := newTestWriter(t.TempDir(), 1<<30)
	e := evaluations(1)[0]
	for range 2 { // both halves of the memory
		for range 1100 {
			w.Record(e)
		}
		w.takeAll()
	}
	allocations.Hold(t, "milter/report/spool: Record", 1000, func() { w.Record(e) })
}

func FuzzRead(f *testing.F) {
	enc := newEncoder(noon)
	for _, e := range evaluations(3) {
		enc.evaluation(&e)
	}
	enc.wrote("a.example", noon)
	head := append([]byte(magic), 0, 0, 0, 0, 0, 0, 0, 0)
	f.Add(appendBlock(bytes.Clone(head), enc.buf), false)
	f.Add(enc.buf, true)
	f.Fuzz(func(t *testing.T, text []byte, wrap bool) {
		if wrap && len(text) > 0 { // past the checksum, which a fuzzer does not guess
			text = appendBlock(bytes.Clone(head), text)
		}
		if err := read(bytes.NewReader(text), func(Record) error { return nil }); err != nil &&
			!errors.Is(err, ErrCorrupt) {
			t.Errorf("got %v", err)
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	dir := b.TempDir()
	w := NewWriter(dir, 1<<40, slog.New(slog.DiscardHandler), time.Now)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { w.Run(ctx) })
	list := evaluations(1000)
	for i := 0; b.Loop(); i++ {
		w.Record(list[i%len(list)])
		if i%4096 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	cancel()
	done.Wait()
	c := w.Counts()
	b.ReportMetric(float64(c.Bytes)/float64(c.Recorded), "bytes/message")
}

// TestSyncDoesNotHold holds that what was judged is with the kernel before the disk is waited for,
// and that a segment that cannot be written to the disk is given up, and logged.
func TestSyncDoesNotHold(t *testing.T) {
	w, log := newTestWriter(t.TempDir(), 1<<30)
	w.start = noon
	list := evaluations(2)
	for i := range list {
		list[i].Policy.Domain = "one.example"
	}
	part := Partition("one.example")
	w.take(Record{Evaluation: &list[0]})
	before := w.Counts().Bytes
	w.flushAll()
	if w.Counts().Bytes == before || !w.parts[part].dirty {
		t.Errorf("%d bytes written, %d before; dirty: %v", w.Counts().Bytes, before,
			w.parts[part].dirty)
	}
	w.isSyncing = true // a disk that is busy
	w.take(Record{Evaluation: &list[1]})
	before = w.Counts().Bytes
	w.flushAll()
	if w.Counts().Bytes == before {
		t.Error("nothing is written while the disk is busy")
	}
	w.endSync(nil)
	w.startSync()
	w.endSync(<-w.syncs)
	if w.parts[part] == nil || w.parts[part].dirty || w.isSyncing {
		t.Errorf("after a sync: %+v, syncing: %v", w.parts[part], w.isSyncing)
	}
	_, pipe, err := os.Pipe() // it cannot be synced
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(pipe.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	path := w.parts[part].file.Name()
	w.parts[part].file.Close()
	w.parts[part].file, w.parts[part].dirty = os.NewFile(uintptr(fd), path), true
	w.startSync()
	w.endSync(<-w.syncs)
	if w.parts[part] != nil || !strings.Contains(log.String(), "cannot be written") {
		t.Errorf("not given up; log: %s", log)
	}
}

// TestCloseDoesNotHold holds that the end of an interval waits for no disk: the reader gets the
// segments at once, and what comes meanwhile is written. The end of the daemon does wait.
func TestCloseDoesNotHold(t *testing.T) {
	dir := t.TempDir()
	w, log := newTestWriter(dir, 1<<30)
	w.start = noon
	list := evaluations(2)
	w.take(Record{Evaluation: &list[0]})
	w.isSyncing = true // a disk that does not answer
	w.close()
	if got := readAll(t, dir); len(got) != 1 {
		t.Errorf("%d records are to be read while the disk is busy, want 1", len(got))
	}
	w.take(Record{Evaluation: &list[1]})
	w.close()
	if len(w.closing) != 2 || len(mustSegments(t, dir)) != 2 {
		t.Errorf("%d segments wait for the disk, %d are to be read", len(w.closing),
			len(mustSegments(t, dir)))
	}
	waiting := w.closing
	go func() { w.syncs <- nil }() // the disk answers
	w.end()
	for _, s := range waiting {
		if err := s.file.Sync(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s is still open: %v", s.file.Name(), err)
		}
	}
	if len(w.closing) > 0 || w.isSyncing || log.Len() > 0 {
		t.Errorf("%d segments wait after the end; log: %s", len(w.closing), log)
	}
}

// TestClosingIsBounded holds that a disk that never answers does not keep all segments open.
func TestClosingIsBounded(t *testing.T) {
	w, _ := newTestWriter(t.TempDir(), 1<<30)
	w.isSyncing = true
	e := evaluations(1)[0]
	for range maxClosing + 3 {
		w.take(Record{Evaluation: &e})
		w.close()
	}
	if len(w.closing) != maxClosing {
		t.Errorf("%d segments are open, want %d", len(w.closing), maxClosing)
	}
}

// TestFailing holds that a message that failed comes back as it went in, and that those beyond some
// of a domain have no header.
func TestFailing(t *testing.T) {
	dir := t.TempDir()
	w := NewWriter(dir, 1<<30, slog.New(slog.DiscardHandler), time.Now)
	f := report.Failing{
		Failed: report.FailedDMARC, URIs: []string{"mailto:f@a.example"}, MailFrom: "x@b.example",
		Signature: &report.FailedSignature{Domain: "a.example", Selector: "s"},
		Header:    []byte("From: x@a.example\r\n"), Evaluation: evaluations(1)[0],
	}
	const all = maxHeaders + 5
	for range all {
		w.Failed(f)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.Run(ctx)
	got := readAll(t, dir)
	if len(got) != all {
		t.Fatalf("%d records", len(got))
	}
	for i, r := range got {
		want := f
		if i >= maxHeaders {
			want.Header = nil
		}
		if !reflect.DeepEqual(*r.Failing, want) {
			t.Errorf("%d: got %+v\nwant %+v", i, *r.Failing, want)
		}
	}
}

// TestLongTexts holds that texts of strangers which grow in JSON damage no segment: what is behind
// them is read.
func TestLongTexts(t *testing.T) {
	dir := t.TempDir()
	w := NewWriter(dir, 1<<30, slog.New(slog.DiscardHandler), time.Now)
	long := strings.Repeat("<", 50<<10) // six times as much in JSON
	list := evaluations(2)
	list[0].Policy.Text = "v=DMARC1; p=none; x=" + long
	list[1].Policy.Domain = list[0].Policy.Domain
	f := report.Failing{
		Failed: report.FailedDMARC, URIs: []string{"mailto:f@a.example"}, MailFrom: "x@b.example",
		Signature: &report.FailedSignature{Domain: "a.example", Selector: "s", Identifier: long + "@a.example"},
	}
	f.Evaluation = list[1]
	w.Failed(f)
	run(t, w, list)
	var evaluations, failing int
	for _, r := range readAll(t, dir) {
		switch {
		case r.Failing != nil:
			failing++
			if r.Failing.Signature != nil || r.Failing.URIs[0] != f.URIs[0] {
				t.Errorf("got %+v; want the address without the signature", *r.Failing)
			}
		case r.Evaluation != nil:
			evaluations++
		}
	}
	if evaluations != 2 || failing != 1 {
		t.Errorf("%d evaluations and %d failures come back, want 2 and 1", evaluations, failing)
	}
}

// BenchmarkWrite is what a message costs in all: the copy that waits, encoding it, and giving it to
// the kernel.
func BenchmarkWrite(b *testing.B) {
	w := NewWriter(b.TempDir(), 1<<40, slog.New(slog.DiscardHandler),
		func() time.Time { return noon })
	list := evaluations(1000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w.Record(list[i%len(list)])
		if i%256 == 0 {
			w.takeAll()
		}
	}
	w.close()
}

// TestLook holds that what waits in a spool is counted, with the time of the oldest.
func TestLook(t *testing.T) {
	dir := t.TempDir()
	if s, err := Look(filepath.Join(dir, "none")); err != nil || s != (State{}) {
		t.Errorf("no directory: %+v, %v", s, err)
	}
	want := State{Segments: 2, Bytes: 12, Oldest: noon.Add(-time.Minute)}
	for name, size := range map[string]int{
		"20261130T130000Z-01-00000000000000aa.seg": 5, "20261130T120000Z-02-00000000000000aa.seg": 7,
		"20261130T110000Z-02-00000000000000aa.open": 9, "20261130T100000Z.seg": 1, "other": 100,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := Look(dir); err != nil || s != want {
		t.Errorf("got %+v, want %+v; %v", s, want, err)
	}
}
