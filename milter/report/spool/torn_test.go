package spool

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestTornBlockEndsSegment holds that nothing is written behind a block whose writing failed: it
// could not be read. What comes next begins another segment.
func TestTornBlockEndsSegment(t *testing.T) {
	dir := t.TempDir()
	w, log := newTestWriter(dir, 1<<30)
	list := evaluations(2)
	list[0].Policy.Domain, list[1].Policy.Domain = "one.example", "one.example"
	part := Partition("one.example")
	w.take(Record{Evaluation: &list[0]})
	torn := w.parts[part]
	if err := torn.file.Close(); err != nil { // the disk takes no more
		t.Fatal(err)
	}
	w.flushAll()
	if w.parts[part] != nil || !strings.Contains(log.String(), "cannot be written") {
		t.Errorf("the segment is not given up; log: %s", log)
	}
	w.take(Record{Evaluation: &list[1]})
	if w.parts[part] == nil || w.parts[part] == torn {
		t.Fatal("what comes next does not begin another segment")
	}
	w.close()
	if got := readAll(t, dir); len(got) != 1 {
		t.Errorf("%d records are read, want that behind the failure", len(got))
	}
}

// TestClockSetBack holds that a clock that is set back ends the interval: a segment would otherwise
// stay open until the clock has caught up, and hold reports back for as long.
func TestClockSetBack(t *testing.T) {
	now := noon
	dir := t.TempDir()
	w := NewWriter(dir, 1<<30, slog.New(slog.DiscardHandler), func() time.Time { return now })
	list := evaluations(2)
	w.take(Record{Evaluation: &list[0]})
	now = noon.Add(-3 * time.Hour)
	w.take(Record{Evaluation: &list[1]})
	if names := mustSegments(t, dir); len(names) != 1 ||
		!StartOf(names[0]).Equal(noon.Truncate(Interval)) {
		t.Errorf("%q are to be read, want the segment of before", names)
	}
	if !w.start.Equal(now.Truncate(Interval)) {
		t.Errorf("the interval begins at %s, want %s", w.start, now)
	}
}
