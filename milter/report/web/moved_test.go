package web

import (
	"strings"
	"testing"
	"time"

	"mailseal/milter/report/advice"
)

// TestMoved holds when the page says that failures rose or fell: by more than three standard
// deviations of the 28 days before, whatever period it shows, and with the change that came before.
func TestMoved(t *testing.T) {
	const end = advice.Day(20_000)
	// days are 28 days of 1,000 messages with shares of failures that alternate between low and
	// high, in permille, and three with recent.
	days := func(low, high, recent int64) map[advice.Day]Counts {
		out := map[advice.Day]Counts{}
		for back := advice.Day(0); back < 31; back++ {
			fail := low
			if back%2 == 1 {
				fail = high
			}
			if back < 3 {
				fail = recent
			}
			out[end-back] = Counts{Messages: 1000, Pass: 1000 - fail, Delivered: fail}
		}
		return out
	}
	at := func(back advice.Day, text string) Event {
		return Event{At: (end - back).Time().Add(9 * time.Hour), Text: text}
	}
	tests := []struct {
		name   string
		days   map[advice.Day]Counts
		events []Event
		want   string // "" is no sentence
	}{
		{"nothing moves", days(20, 20, 20), nil, ""},
		{"within three deviations", days(10, 30, 49), nil, ""}, // mean 20, deviation 10
		{"above three deviations", days(10, 30, 51), nil,
			"rose to 5.1% of the mail of the last 3 full days; in the 28 days before it was 2.0%."},
		{"a steady rate has some freedom", days(20, 20, 29), nil, ""},
		{"a steady rate that rises", days(20, 20, 31), nil, "rose to 3.1%"},
		{"failures end", days(300, 300, 0), nil, "fell to 0% of the mail"},
		{"after a change", days(20, 20, 200), []Event{at(5, "include:x was removed")},
			"That is 3 days after this change, on"},
		{"on the day of a change", days(20, 20, 200), []Event{at(2, "a new key")}, "on the days of this change"},
		{"the latest change counts", days(20, 20, 200), []Event{at(6, "older"), at(3, "newer")},
			"1 day after this change, on <time datetime=\"2024-10-01\">1 Oct</time>: newer."},
		{"a change after the days", days(20, 20, 200), []Event{at(-1, "later")}, "it was 2.0%."},
		{"a change long ago", days(20, 20, 200), []Event{at(11, "long ago")}, "it was 2.0%."},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			x := &facts{now: end + 2, late: end + 1, events: c.events,
				filter: Filter{From: end - 6, To: end + 1}}
			got := string(x.moved(c.days))
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) ||
				strings.Contains(got, "later") || strings.Contains(got, "long ago") {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if strings.Contains(c.name, "long ago") && strings.Contains(got, "change") {
				t.Errorf("%q names a change that is too old", got)
			}
		})
	}
	few := days(20, 20, 200)
	for d, c := range few {
		if d > end-3 {
			few[d] = Counts{Messages: 19, Pass: 0, Delivered: c.Messages / 100}
		}
	}
	x := &facts{now: end + 2, late: end + 1, filter: Filter{From: end - 6, To: end + 1}}
	if got := x.moved(few); got != "" {
		t.Errorf("of 57 messages: %q", got)
	}
}
