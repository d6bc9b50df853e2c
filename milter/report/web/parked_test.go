package web

import (
	"strings"
	"testing"

	"mailseal/milter/report/store"
)

// TestParked holds what a domain that sends no mail looks like: its sources forge, the advice is
// p=reject and an SPF record without terms, and mail that passes all the same is a warning.
func TestParked(t *testing.T) {
	if testing.Short() {
		t.Skip("it fills a database with 90 days of reports")
	}
	read := stored(t, smallWorld())
	read.Names, read.Parked = []string{"old.example", "shop.example"},
		[]string{"old.example", "silent.example", "example.net"}
	state := &store.OwnState{SPF: "v=spf1 mx ~all", All: "~all",
		Terms: []store.OwnTerm{{Text: "mx"}}}
	if err := read.Store.SetOwnState(t.Context(), "old.example", state, clock); err != nil {
		t.Fatal(err)
	}
	judge(t, read, clockNow)
	s := newServer(t, read, nil)
	for path, want := range map[string][]string{
		"/?show=parked": {"3 domains", "old.example", "silent.example", "example.net",
			"is configured as parked, but"},
		"/domains.csv": {"WARN,example.net", "QUIET,silent.example"},
		"/d/old.example": {"used its name", "sends no mail, and its SPF record " +
			"does not say so", "Publish &#34;v=spf1 -all&#34; at old.example"},
		"/d/example.net":            {"is configured as parked, but"},
		"/d/shop.example":           {"esp.example"},
		"/check?domain=old.example": {`name="sends" value="no" checked`},
	} {
		body := get(s, path).Body.String()
		for _, text := range want {
			if !strings.Contains(body, text) {
				t.Errorf("%s has no %q", path, text)
			}
		}
	}
	csv := get(s, "/d/old.example/sources.csv").Body.String()
	for i, line := range strings.Split(strings.TrimSpace(csv), "\n") {
		if i > 0 && !strings.Contains(line, "spoof") {
			t.Errorf("a source of a parked domain is not a forgery: %s", line)
		}
	}
}
