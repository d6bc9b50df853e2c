package web

import (
	"net/http"
	"strings"
	"testing"
)

// TestRestOf holds the sentence about the domains that need nothing today: it names what there is.
func TestRestOf(t *testing.T) {
	for want, n := range map[string][3]int64{
		"8 have a warning, 8 can tighten the policy and 7 need no attention.": {8, 8, 7},
		"one has a warning.": {1, 0, 0},
		"one can tighten the policy and one needs no attention.": {0, 1, 1},
		"No other domain is known.":                              {},
	} {
		if got := restOf(n[0], n[1], n[2]); got != want {
			t.Errorf("%v: %q, want %q", n, got, want)
		}
	}
}

// TestEmptyOverview holds that a page without rows says why in place of a table.
func TestEmptyOverview(t *testing.T) {
	for path, want := range map[string]string{"/": "No domain is configured that you may see",
		"/?show=parked": "None of your domains is parked."} {
		w := get(newServer(t, &Memory{}, nil), path)
		body := w.Body.String()
		if w.Code != http.StatusOK || !strings.Contains(body, want) ||
			strings.Contains(body, "<table") {
			t.Errorf("%s: status %d, without %q or with a table", path, w.Code, want)
		}
	}
}

// TestCutNames holds that sentences cut long labels as tables do, and leave paths whole.
func TestCutNames(t *testing.T) {
	long := strings.Repeat("a", 63)
	path := "/var/lib/" + long + "/reports.d"
	for in, want := range map[string]string{
		"SPF passes for " + long + ".example, which": "SPF passes for aaaaaaaaaaaa…(63).example, which",
		"see " + path:  "see " + path,
		"a short text": "a short text",
	} {
		if got := cutNames(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
