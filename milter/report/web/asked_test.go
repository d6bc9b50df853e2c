package web

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// TestGroupsOfTheRestricted holds that a reader of some domains sees the names of the groups alone
// that have one of them, and that another group answers him as one that does not exist.
func TestGroupsOfTheRestricted(t *testing.T) {
	a, _, _ := accounts(t)
	s, err := New(Config{Read: world(), Access: a, Now: clockNow, Groups: []Group{
		{"customer-x", func(d string) bool { return d == "shop.example" }},
		{"of-carla", func(d string) bool { return d == "example.org" }}}})
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, s: s, cookies: map[string]string{}}
	b.login("carla", "secret of carla")
	body := b.get("/").Body.String()
	if !strings.Contains(body, "group=of-carla") || strings.Contains(body, "customer-x") {
		t.Error("the groups are not those of the reader alone")
	}
	theirs, none := b.get("/?group=customer-x"), b.get("/?group=customer-y")
	plain := func(body, group string) string {
		return csrfField.ReplaceAllString(strings.ReplaceAll(body, group, ""), "")
	}
	if plain(theirs.Body.String(), "customer-x") != plain(none.Body.String(), "customer-y") ||
		theirs.Code != none.Code {
		t.Error("a group of others can be told from one that does not exist")
	}
}

// TestFoldLeavesRows holds that an overview of clean parked domains alone has a row for each.
func TestFoldLeavesRows(t *testing.T) {
	m := &Memory{DomainList: []Domain{{Name: "a.example", Parked: true},
		{Name: "b.example", Parked: true}}}
	body := get(newServer(t, m, nil), "/").Body.String()
	if !strings.Contains(body, `id="a-example"`) || !strings.Contains(body, `id="b-example"`) {
		t.Error("the overview shows no domain")
	}
}

// counting counts how often identifiers are read.
type counting struct {
	*Memory
	identities int
}

func (c *counting) Identities(ctx context.Context, f Filter) ([]Identity, error) {
	c.identities++
	return c.Memory.Identities(ctx, f)
}

// TestAbsentSource holds that a source that sent before the period has a page, and that a name that
// cannot be one is refused without a year of reports being read.
func TestAbsentSource(t *testing.T) {
	m := &counting{Memory: world()}
	s := newServer(t, m, nil)
	for path, want := range map[string]int{"esp.example": 200, "198.51.100.12": 200,
		"nobody.example": 404, "x": 404, "2001:db8::77": 404, "a%20b": 404} {
		w := get(s, "/d/shop.example/s/"+path+"?from=2026-11-30&to=2026-11-30")
		if w.Code != want {
			t.Errorf("%s: status %d, want %d", path, w.Code, want)
		}
	}
	before := m.identities
	for _, path := range []string{"y", "z", "2001:db8::78", "A.example", "q%2Fr"} {
		get(s, "/d/shop.example/s/"+path+"?from=2026-11-30&to=2026-11-30")
	}
	if m.identities != before {
		t.Errorf("identifiers were read %d times for names that no source has",
			m.identities-before)
	}
}

// TestNoResult holds that a report page is refused whose address has a result that is none.
func TestNoResult(t *testing.T) {
	s := newServer(t, world(), nil)
	w := get(s, "/r/1?result=zzz")
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "result=zzz: the "+
		"results are pass, delivered, held and refused.") {
		t.Errorf("status %d, %.300s", w.Code, w.Body)
	}
	if w := get(s, "/r/1?result=held"); w.Code != http.StatusOK {
		t.Errorf("a result that no record has: status %d", w.Code)
	}
}

// TestRecordInWords holds that the record that a report page explains is named by its number.
func TestRecordInWords(t *testing.T) {
	m := world()
	for _, r := range m.RecordList {
		if r.N == 1 || becameOf(&r) != "held" || r.Domain != "shop.example" {
			continue
		}
		body := get(newServer(t, m, nil), "/r/"+itoa(r.Report)+"?result=held").Body.String()
		if strings.Contains(body, "Record 1 in words") {
			for _, first := range m.RecordList {
				if first.Report == r.Report && first.N == 1 && becameOf(&first) != "held" {
					t.Errorf("report %d: record 1 was not held, and is explained", r.Report)
				}
			}
		} else if !strings.Contains(body, " in words") {
			t.Error("no record is explained")
		}
		return
	}
	t.Fatal("no such record")
}

// TestPreviewOfParts holds that the parts of a report have headings and ids of their own, and that
// their messages are added up.
func TestPreviewOfParts(t *testing.T) {
	m := world()
	one, two := previewOf("college.example"), previewOf("college.example")
	two.ID, two.Messages = "20261130zbcdefghijklmnopqrstuv", 88
	m.Previews["college.example"] = []Preview{one, two}
	body := get(newServer(t, m, nil), "/out/d/college.example").Body.String()
	for _, want := range []string{"would get 2 reports on 500 messages", ", part 1 of 2</h2>",
		", part 2 of 2</h2>"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
	id := `<h2 id="r` + itoa(int64(today)) + "-"
	if strings.Count(body, id+"1") != 1 || strings.Count(body, id+"2") != 1 {
		t.Error("the parts do not have ids of their own")
	}
}

// TestPutOff holds that a mail that is tried again by itself has not failed.
func TestPutOff(t *testing.T) {
	for state, want := range map[string]bool{store.Deferred: false, store.Queued: false,
		store.HandedOver: false, store.Failed: true, store.InDoubt: true, store.Suppressed: true} {
		if got := isFailed(store.OutMail{State: state, Address: "d@a.example"}); got != want {
			t.Errorf("%s: failed is %v", state, got)
		}
	}
}

// TestLate holds that a receiver is late by the rule of the warning that it is silent.
func TestLate(t *testing.T) {
	for _, tt := range []struct {
		days int
		last advice.Day
		want bool
	}{{30, today - 31, true}, {30, today - 2, false}, {19, today - 31, false}} {
		first := tt.last - 29
		x := &facts{domain: Domain{Name: "a.example"}, now: today,
			filter:   Filter{From: today - 90, To: today - 1},
			receiver: []Sum{{Receiver: "r.example", Counts: Counts{Messages: 9, Pass: 9}}},
			reporter: []Reporter{{Receiver: "r.example", Days: tt.days, First: first,
				Last: tt.last}}}
		wide, _ := x.receiverCells([]string{"r.example"})
		if isSilent := x.silent() != nil; wide[0].Late != tt.want || isSilent != tt.want {
			t.Errorf("%d days to %d: late %v, silent %v", tt.days, tt.last, wide[0].Late, isSilent)
		}
	}
}
