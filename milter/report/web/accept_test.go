package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// storeCommands write verdicts into the store, as role intake does.
type storeCommands struct {
	fakeCommands
	s *store.Store
}

func (c storeCommands) Judge(ctx context.Context, by string, r Rule) error {
	return c.s.Judge(ctx, store.Verdict{Domain: r.Domain, Subject: r.Source,
		Addresses: r.Addresses, Class: string(r.Class), By: by, At: clock})
}

func (c storeCommands) Undo(ctx context.Context, by string, rule int64) error {
	return c.s.Undo(ctx, rule, by, clock)
}

// TestAcceptSPF has a person accept on the page of a source that its mail passes by SPF alone, and
// take that back: the condition of the advice follows, and the class stays as it is.
func TestAcceptSPF(t *testing.T) {
	if testing.Short() {
		t.Skip("it fills a database with 90 days of reports")
	}
	m := stored(t, smallWorld())
	access, _, _ := accounts(t)
	s, err := New(Config{Read: m, Commands: storeCommands{s: m.Store}, Access: access,
		Now: func() time.Time { return clock }, Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	anna := &browser{t: t, s: s, cookies: map[string]string{}, remote: "198.51.100.1:1"}
	anna.login("anna", "secret of anna")
	const page = "/d/shop.example/s/192.0.2.44"
	send := func(key, value string) {
		t.Helper()
		token := csrfOf(t, anna.get(page))
		w := anna.post(page, url.Values{"csrf": {token}, key: {value}})
		if w.Code != http.StatusSeeOther {
			t.Fatalf("%s=%s: status %d", key, value, w.Code)
		}
	}
	// state returns whether the source is accepted, its class, and whether the advice counts it.
	state := func() (accepted bool, class advice.Class, counts bool) {
		t.Helper()
		domains, err := m.Domains(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(domains, func(d Domain) bool { return d.Name == "shop.example" })
		x, err := s.facts(t.Context(), domains[i], usual(today))
		if err != nil {
			t.Fatal(err)
		}
		h := x.history()
		h.Use, h.Policy.Step, h.Sources = advice.UseMachines, advice.RejectTest, nil
		src := x.find("192.0.2.44")
		src.DKIM = src.Messages - 1 // nearly all is signed
		h.Sources = append(h.Sources, src.Source)
		return src.SPFAccepted, src.Class, slices.Contains(advice.Judge(h).Blockers(), "spf-only")
	}
	want := func(when string, accepted bool, class advice.Class) {
		t.Helper()
		a, c, counts := state()
		if a != accepted || c != class || counts == accepted {
			t.Errorf("%s: accepted %v, class %s, counts %v; want %v, %s, %v", when, a, c, counts,
				accepted, class, !accepted)
		}
	}
	want("before", false, advice.Ours)
	send("class", "accepts spf")
	want("accepted", true, advice.Ours)
	send("class", "service")
	want("judged", true, advice.Service)
	body := anna.get(page).Body.String()
	if !strings.Contains(body, "by SPF alone, which ") || !strings.Contains(body, "accepted on") {
		t.Error("the page does not say who accepted it")
	}
	var undo string
	rules, err := m.Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if r.Class == advice.AcceptsSPF {
			undo = itoa(r.ID)
		}
	}
	send("undo", undo)
	want("taken back", false, advice.Service)
	if advice.AcceptsSPF != store.AcceptsSPF {
		t.Errorf("%q in advice is %q in the store", advice.AcceptsSPF, store.AcceptsSPF)
	}
}
