package web

import (
	"context"
	"strings"
	"testing"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// TestStoredOwnMail holds that the pages show what this host sent as a domain and as names below it,
// who writes from it, and the first use of each new key as a mark; and that the advice rests on it.
func TestStoredOwnMail(t *testing.T) {
	s := stored(t, smallWorld())
	s.Now = func() time.Time { return clock }
	b := store.NewOutBatch()
	send := func(back int, domain, selector string, toList bool) {
		b.Sent(&report.Sent{Time: clock.AddDate(0, 0, -back), Domain: domain, Selector: selector, Counted: true, Reply: true, ToList: toList})
	}
	send(20, "shop.example", "s2026a", false)
	send(20, "shop.example", "ed2026a", false)
	send(5, "shop.example", "s2026b", true)
	send(4, "news.shop.example", "n1", false)
	send(95, "shop.example", "s2025z", false)
	ctx := context.Background()
	if _, err := s.Store.Fold(ctx, "1", b, clock); err != nil {
		t.Fatal(err)
	}
	events, err := s.Events(ctx, Filter{From: today - 30, To: today, Domains: []string{"shop.example"}})
	if err != nil {
		t.Fatal(err)
	}
	var marks []string
	for _, e := range events {
		if e.Kind == "key" {
			marks = append(marks, e.At.Format("2 Jan")+" "+e.Text)
		}
	}
	const says = "this host signs with a new key: "
	if got, want := strings.Join(marks, "; "), "10 Nov "+says+"ed2026a._domainkey.shop.example; 10 Nov "+says+
		"s2026a._domainkey.shop.example; 25 Nov "+says+"s2026b._domainkey.shop.example"; got != want {
		t.Errorf("marks %q, want %q", got, want)
	}
	body := get(newServer(t, s, fakeCommands{}), "/d/shop.example").Body.String()
	for _, want := range []string{"This host sent 4 messages as", "4 answers to other mail, and 1 message to mailing lists", "s2026b._domainkey"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if err := s.Store.SetUse(ctx, store.Use{Domain: "shop.example", Word: "machines", By: "anna", At: clock}); err != nil {
		t.Fatal(err)
	}
	list, err := s.Domains(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if d.Name == "shop.example" && (d.Use != advice.UseMachines || d.UseBy != "anna" || d.ToList != 1) {
			t.Errorf("%+v", d)
		}
	}
	body = get(newServer(t, s, fakeCommands{}), "/d/shop.example").Body.String()
	if !strings.Contains(body, "that only machines write from it") || !strings.Contains(body, `value="machines" aria-pressed="true"`) {
		t.Error("the page does not show the answer")
	}
}
