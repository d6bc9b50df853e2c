package send

import (
	"errors"
	"strings"
	"testing"
)

// TestParseVERP holds that only senders that were made with the key are read, in any case, and that
// others are told from addresses that are none.
func TestParseVERP(t *testing.T) {
	id, key := strings.Repeat("a", 32), []byte("key of a store")
	s := Sender{Domain: "reports.example.net"}
	for _, n := range []int{1, 5, 99} {
		address := s.VERP(key, id, n)
		if local, _, _ := strings.Cut(address, "@"); len(local) > 64 {
			t.Errorf("%s: a local part of %d bytes", address, len(local))
		}
		for _, a := range []string{address, "<" + strings.ToUpper(address) + ">"} {
			if got, gotN, err := ParseVERP(key, a); got != id || gotN != n || err != nil {
				t.Errorf("%s: got %q, %d, %v", a, got, gotN, err)
			}
		}
	}
	good := s.VERP(key, id, 1)
	for _, tc := range []struct {
		address string
		want    error
	}{
		{"", errNotVERP},
		{"r+@x", errNotVERP},
		{"r+" + id + "@x", errNotVERP},
		{"r+" + id + "-x@x", errNotVERP},
		{"r+" + id + "-1x@x", errNotVERP},
		{"r+" + id + "-01-x@x", errNotVERP},
		{"q" + good[1:], errNotVERP},
		{"r+abc-1@x", errNotVERP},
		{"r+" + id + "-1@x", errWrongCode},
		{"r+" + id + "-1-@x", errWrongCode},
		{strings.Replace(good, "@", "a@", 1), errWrongCode},
		{strings.Replace(good, "-1-", "-2-", 1), errWrongCode},
		{strings.Replace(good, "aaa-", "aab-", 1), errWrongCode},
		{s.VERP([]byte("another key"), id, 1), errWrongCode},
	} {
		if _, _, err := ParseVERP(key, tc.address); !errors.Is(err, tc.want) {
			t.Errorf("%q: got %v, want %v", tc.address, err, tc.want)
		}
	}
}

func FuzzParseVERP(f *testing.F) {
	key := []byte("key of a store")
	f.Add("r+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-1@x")
	f.Add(Sender{Domain: "x"}.VERP(key, strings.Repeat("a", 32), 1))
	f.Fuzz(func(t *testing.T, a string) {
		id, n, err := ParseVERP(key, a)
		if err != nil {
			return
		}
		made, _, _ := strings.Cut(Sender{Domain: "x"}.VERP(key, id, n), "@")
		local, _, _ := strings.Cut(strings.ToLower(strings.Trim(a, "<>")), "@")
		if made != local {
			t.Errorf("%q was read, %q is what is made", a, made)
		}
	})
}

// TestForgedBounces holds that bounces to senders that were made up of what is public suppress
// nothing, and are counted.
func TestForgedBounces(t *testing.T) {
	s := newSite(t, friendZone)
	s.friend(t, "friend.example", day0)
	s.mail(t, "friend.example", "mailto:d@friend.example", "192.0.2.1", day0, true, 1)
	s.night(t, day0)
	next := day0.AddDate(0, 0, 1)
	id := s.reports(t)[0].ID
	for _, to := range []string{
		"r+" + id + "-1@reports.example.net",
		s.Sender.VERP([]byte("a guess"), id, 1),
	} {
		x, known, err := Bounced(t.Context(), s.Store, to, strings.NewReader("Action: failed\n"),
			next)
		if err != nil || !known || x.Address != "" {
			t.Errorf("%s: %+v, %v, %v", to, x, known, err)
		}
	}
	if n, err := s.Store.OutForgedCount(t.Context(), next); err != nil || n != 2 {
		t.Errorf("%d are counted, %v", n, err)
	}
	s.mail(t, "friend.example", "mailto:d@friend.example", "192.0.2.1", next, true, 1)
	s.night(t, next)
	if len(s.tr.sent) != 2 {
		t.Errorf("%d mails: a forged bounce kept a report away", len(s.tr.sent))
	}
}
