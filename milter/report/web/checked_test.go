package web

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// TestChecked holds that the page of a domain shows what the DNS says of its keys, names and terms,
// and what its check found, the worst first.
func TestChecked(t *testing.T) {
	body := get(newServer(t, world(), nil), "/d/shop.example").Body.String()
	at := 0
	for _, want := range []string{"key in the DNS", "RSA 2048", "1 y</span> ", "replace it",
		"RSA 1024", "Terms of the SPF record", "ip4:192.0.2.0/26", "in use",
		"include:_spf.esp.example",
		"can go: the service uses its own envelope domain", "can go: no mail in 90 days",
		"The check of", "spf-long", "dmarc-np"} {
		i := strings.Index(body[at:], want)
		if i < 0 {
			t.Fatalf("no %q behind byte %d", want, at)
		}
		at += i
	}
	for _, want := range []string{"login.shop.example", "np=reject would have receivers refuse"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
	body = get(newServer(t, world(), nil), "/d/client-24.example").Body.String()
	if !strings.Contains(body, "The records were not checked yet") {
		t.Error("nothing says that the records were not checked")
	}
}

// TestIdentity holds that the page of a source says who it is, where its name comes from, and what
// the DNS says of its addresses and keys today.
func TestIdentity(t *testing.T) {
	s := newServer(t, world(), nil)
	for path, wants := range map[string][]string{
		"/d/shop.example/s/esp.example": {"reverse name", "o12.out.esp.example",
			"AS64500 ESP-EXAMPLE, NL", "softfail by ~all", "e1._domainkey.esp.example",
			"exists, RSA 1024", "judged by admin"},
		"/d/shop.example/s/192.0.2.44": {"its address", "pass by ip4:192.0.2.0/26",
			"that a forward lookup confirms"},
		"/d/shop.example/s/198.51.100.201": {"evaluates the record of"},
		"/d/example.org/s/forward.test":    {"the role dns has not checked the domain yet"},
	} {
		body := get(s, path).Body.String()
		from := strings.Index(body, `<h2 id="ident">`)
		if from < 0 {
			t.Fatalf("%s: no identity", path)
		}
		for _, want := range wants {
			if !strings.Contains(body[from:], want) {
				t.Errorf("%s: no %q", path, want)
			}
		}
	}
}

// TestKeyCells holds which keys need a look: one of ours that signs and is gone, or is old.
func TestKeyCells(t *testing.T) {
	rsa := func(since time.Time) *Key { return &Key{store.KeyThere, "RSA 2048", since} }
	tests := []struct {
		name        string
		key         *Key
		ours        bool
		last        advice.Day
		says, class string
		since       string
	}{
		{"not looked up", nil, true, today, "–", "mute", "–"},
		{"no answer", &Key{State: store.KeyUnknown}, true, today, "–", "mute", "–"},
		{"there", rsa(clock.AddDate(0, 0, -20)), true, today, "RSA 2048", "", "10 Nov"},
		{"old", rsa(clock.AddDate(-2, 0, 0)), true, today, "RSA 2048", "", "replace it"},
		{"old, of others", rsa(clock.AddDate(-2, 0, 0)), false, today, "RSA 2048", "", "2 y"},
		{"gone", &Key{State: store.KeyMissing}, true, today - 2, "missing", "bad", "–"},
		{"gone, and unused", &Key{State: store.KeyMissing}, true, today - 20, "missing", "mute", "–"},
		{"revoked", &Key{State: store.KeyRevoked}, true, today, "revoked", "bad", "–"},
		{"gone, of others", &Key{State: store.KeyMissing}, false, today, "missing", "mute", "–"},
	}
	for _, tt := range tests {
		d := Detail{}
		if tt.key != nil {
			d.Keys = map[string]Key{"s1._domainkey.shop.example": *tt.key}
		}
		n := &tally{key: [2]string{"shop.example", "S1"}, last: tt.last}
		key, since := d.keyCells(n, tt.ours, today)
		if !strings.Contains(string(key.HTML), tt.says) || key.Class != tt.class ||
			!strings.Contains(string(since.HTML), tt.since) ||
			tt.name != "old" && strings.Contains(string(since.HTML), "replace") {
			t.Errorf("%s: %s (%s), %s", tt.name, key.HTML, key.Class, since.HTML)
		}
	}
}

// TestStoredDetail holds that what role dns found out about a domain comes back as it was, with the
// day since when each key of the domain is as it is.
func TestStoredDetail(t *testing.T) {
	s := stored(t, &Memory{})
	ctx := t.Context()
	if d, err := s.Detail(ctx, "shop.example"); err != nil || !d.At.IsZero() {
		t.Fatalf("%+v, %v before any check", d, err)
	}
	old := clock.AddDate(0, -2, 0)
	records := []store.DNSRecord{{Name: "s1._domainkey.shop.example", Kind: "TXT",
		Values: []string{"v=DKIM1; p=MIIB"}}}
	if _, err := s.Store.CompareDNS(ctx, "shop.example", records, old); err != nil {
		t.Fatal(err)
	}
	ip := netip.MustParseAddr("192.0.2.44")
	state := &store.OwnState{Detail: store.OwnDetail{
		Senders: []store.OwnSender{{Address: ip, SPF: "pass", Term: "mx"}},
		Keys: []store.OwnKeySeen{{Name: "s1._domainkey.shop.example", State: store.KeyThere,
			Kind: "RSA 2048"}, {Name: "e1._domainkey.esp.example", State: store.KeyMissing}},
		Names:    []store.OwnName{{Name: "a.shop.example", Exists: "no", Policy: "reject", Tag: "np"}},
		Findings: []store.OwnListed{{Severity: "error", Code: "x", Record: "r", Text: "t"}}}}
	for range 2 {
		if err := s.Store.SetOwnState(ctx, "shop.example", state, clock); err != nil {
			t.Fatal(err)
		}
	}
	d, err := s.Detail(ctx, "shop.example")
	if err != nil || !d.At.Equal(clock.Truncate(time.Second)) {
		t.Fatalf("at %s, %v", d.At, err)
	}
	if d.Senders[ip] != (Judgment{"pass", "mx"}) ||
		d.Keys["s1._domainkey.shop.example"] != (Key{store.KeyThere, "RSA 2048", old}) ||
		d.Keys["e1._domainkey.esp.example"] != (Key{State: store.KeyMissing}) ||
		d.Names["a.shop.example"] != (From{"no", "reject", "np"}) ||
		d.Findings[0] != (Finding{"error", "x", "r", "t"}) {
		t.Errorf("got %+v", d)
	}
}
