package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// groupServer is a server with two groups over the world, with three parked domains.
func groupServer(t *testing.T) *Server {
	t.Helper()
	m := world()
	m.DomainList = append(m.DomainList, Domain{Name: "silent-1.example", Parked: true},
		Domain{Name: "silent-2.example", Parked: true})
	below := func(suffix string) func(string) bool {
		return func(d string) bool { return strings.HasSuffix(d, suffix) }
	}
	s, err := New(Config{Read: m, Access: &Access{Token: tokenOfTests,
		Now: func() time.Time { return clock }}, Now: func() time.Time { return clock },
		Groups: []Group{{"production", below("shop.example")}, {hostile, below(".org")}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestGroups holds that the overview, its exports and the list behind its sum can be limited to a
// group, and that links keep the choice.
func TestGroups(t *testing.T) {
	s := groupServer(t)
	body := get(s, "/?group=production&days=90").Body.String()
	noOrders(t, "/", body)
	for _, want := range []string{`aria-label="Groups"`, "1 domain needs attention: ",
		`group=production&amp;show=all&amp;to=2026-11-29" aria-current="true">production`,
		`>all groups</a>`, `group=production&amp;show=parked`,
		`href="?days=30&amp;group=production"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(body, `id="example-net"`) {
		t.Error("a domain of no group has a row")
	}
	var list struct {
		Rows []struct {
			Domain   string
			Messages int64
		}
	}
	text := get(s, "/domains.json?group=production").Body.Bytes()
	if err := json.Unmarshal(text, &list); err != nil || len(list.Rows) != 1 ||
		list.Rows[0].Domain != "shop.example" {
		t.Fatalf("%s: %v", text, err)
	}
	var records struct{ Rows []struct{ Count, Sum int64 } }
	text = get(s, "/messages/records.json?group=production&show=all").Body.Bytes()
	if err := json.Unmarshal(text, &records); err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, r := range records.Rows {
		sum += r.Count
	}
	if sum != list.Rows[0].Messages || sum == 0 {
		t.Errorf("the list of the group adds up to %d, the overview says %d", sum,
			list.Rows[0].Messages)
	}
	w := get(s, "/?group=none&show=parked")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "parked, group none") {
		t.Errorf("a group that does not exist: status %d, %.300s", w.Code, w.Body)
	}
	if body := get(newServer(t, world(), nil), "/").Body.String(); strings.Contains(body,
		"all groups") {
		t.Error("there are links to groups without groups")
	}
}

// TestFold holds that parked domains without findings take one line, which leads to them, that
// exports have all of them, and that a single one keeps its row.
func TestFold(t *testing.T) {
	s := groupServer(t)
	body := get(s, "/").Body.String()
	if !strings.Contains(body, `show=parked&amp;to=2026-11-29">3 parked domains</a> need no `+
		"attention: 116 messages used their names, and receivers held or refused 116.") {
		t.Errorf("no line for parked domains: %s", body[strings.Index(body, "</tbody>")-400:])
	}
	for _, path := range []string{"/?show=parked", "/domains.csv"} {
		if body := get(s, path).Body.String(); !strings.Contains(body, "old.example") ||
			strings.Contains(body, "parked domains</a>") {
			t.Errorf("%s has no row of old.example, or a line for all", path)
		}
	}
	if strings.Contains(body, `id="old-example"`) {
		t.Error("a parked domain has both")
	}
	one := get(newServer(t, world(), nil), "/").Body.String()
	if !strings.Contains(one, `id="old-example"`) || strings.Contains(one, "parked domains</a>") {
		t.Error("the only parked domain has no row")
	}
}
