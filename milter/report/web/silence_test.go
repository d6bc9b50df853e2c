package web

import (
	"testing"

	"mailseal/milter/report/advice"
)

// TestSilentAfter holds when a receiver counts as silent: it reported on seven days of ten up to
// its last one, and on none of the last four.
func TestSilentAfter(t *testing.T) {
	const now = advice.Day(20_000)
	for _, tc := range []struct {
		name string
		days int
		last advice.Day
		want bool
	}{
		{"reports come a day late", 30, now - 1, false},
		{"the weekend and a day", 30, now - 4, false},
		{"the fifth day", 20, now - 5, true},
		{"seven of ten days are daily", 18, now - 5, true},
		{"fewer are not", 17, now - 5, false},
	} {
		x := &facts{now: now, filter: Filter{From: now - 29, To: now},
			reporter: []Reporter{{Receiver: "mail.example", Days: tc.days,
				First: now - 29, Last: tc.last}}}
		if got := x.silent() != nil; got != tc.want {
			t.Errorf("%s: %d days, the last %d days ago: silent %v, want %v", tc.name, tc.days,
				now-tc.last, got, tc.want)
		}
	}
}

// TestWorstIsLarge holds how many messages a source needs to be named in a domain's health.
func TestWorstIsLarge(t *testing.T) {
	for messages, want := range map[int64]bool{19: false, 20: true} {
		s := source{Source: advice.Source{Name: "a.example", Messages: messages},
			cause: advice.Cause{Severity: advice.Fault, Fix: "sign it"}}
		if got := (&facts{sources: []source{s}}).worst() != nil; got != want {
			t.Errorf("%d messages: named %v, want %v", messages, got, want)
		}
	}
}
