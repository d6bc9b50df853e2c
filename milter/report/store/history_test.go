package store

import (
	"strings"
	"testing"
)

// TestHistoryOfADay holds that a relation is that of the day asked about: what came later is not
// yet part of it, and what is older than Remembered no longer exists.
func TestHistoryOfADay(t *testing.T) {
	const day = 20_000
	for _, tc := range []struct {
		name, text string
		want       Relation
	}{
		{"on the day", "p20000 f20000 nA@20000", Relation{PassDays: 1, FailDays: 1, FailedNets: 1}},
		{"networks that were stored as smaller ones", "f20000 n192.0.2.0/24@20000 n192.0.3.0/24@20000",
			Relation{FailDays: 1, FailedNets: 1}},
		{"later", "p20001 f20005", Relation{}},
		{"the first day that counts", "p19911 p20000 f19911", Relation{PassDays: 2, PassSpan: 89, FailDays: 1}},
		{"too old", "p19910 f19910 nA@19910", Relation{}},
		{"the span is of days that count", "p19000 p19950 p20000 p20060", Relation{PassDays: 2, PassSpan: 50}},
	} {
		if got := parseHistory(tc.text).relation(day); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

// TestNetKeepsItsLastDay holds that rows which a host brings late do not make a network older, so
// that it gives way to one that was seen after it.
func TestNetKeepsItsLastDay(t *testing.T) {
	h := parseHistory("nA@120 nB@119")
	h.net("A", 100)
	h.net("C", 121)
	if got := h.text(0); !strings.Contains(got, "nA@120") || !strings.Contains(got, "nC@121") ||
		strings.Contains(got, "nB") {
		t.Errorf("the history is %q, want A and C", got)
	}
}
