package advice

import (
	"strings"
	"testing"
)

func TestDiagnose(t *testing.T) {
	tests := []struct {
		name string
		s    Source
		code string
		says string
	}{
		{"scanner", Source{Class: Scanner, Messages: 50}, "scanner", "failures mean nothing"},
		{"not ours", Source{Class: NotOurs, Messages: 50}, "spoof", "a forgery"},
		{"all fail everywhere", Source{Class: Spoof, Messages: 500, NoDKIM: 500}, "spoof", "nothing to correct"},
		{"mailing list", Source{Class: Unknown, Messages: 41, Listed: 41, BadDKIM: 41}, "list", "p=reject would lose"},
		{"forwarded", Source{Class: Forwarding, Messages: 40, Pass: 38, DKIM: 38}, "forwarding",
			"SPF always fails for forwarded mail"},
		{"forwarded, says the receiver", Source{Class: Unknown, Messages: 40, Forwarded: 40},
			"forwarding", "forwarded by another host"},
		{"key not in DNS", Source{Class: Ours, Messages: 100, BadDKIM: 100, BadSelector: "s2026a", KeyMissing: true},
			"key-missing", "s2026a._domainkey.shop.example"},
		{"temperror", Source{Class: Ours, Messages: 100, TempError: 90}, "dns-trouble", "name server"},
		{"permerror", Source{Class: Ours, Messages: 100, PermError: 90}, "record-broken",
			"record of shop.example: permerror"},
		{"strict alignment", Source{Class: Ours, Messages: 100, Strict: 100, OtherDKIM: 100}, "strict", "adkim=s"},
		{"service, neither aligned", Source{Class: Service, Messages: 4812, OtherDKIM: 4812, OtherSPF: 4793,
			Signer: "esp.example", Envelope: "bounce.esp.example"}, "not-aligned", "would not help"},
		{"DKIM unaligned only", Source{Class: Service, Messages: 10, OtherDKIM: 10, Signer: "esp.example"},
			"dkim-not-aligned", "Sign with d=shop.example"},
		{"SPF unaligned only", Source{Class: Service, Messages: 10, OtherSPF: 10, Envelope: "esp.example"},
			"spf-not-aligned", "would not help"},
		{"one receiver only", Source{Class: Ours, Messages: 100, Pass: 80, DKIM: 80, BadDKIM: 20, Receivers: 5,
			FailReceivers: 1, FailReceiver: "c.example"}, "one-receiver", "one of 5 receivers, c.example, and"},
		{"no address", Source{Name: "108r.166.27.220", NoAddress: true, Class: Unknown,
			Messages: 3}, "no-address", `has "108r.166.27.220" in place of an address`},
		{"no address at all", Source{Name: NoName, NoAddress: true, Class: Unknown, Messages: 300},
			"no-address", "has nothing in place of an address"},
		{"signature broken everywhere", Source{Class: Ours, Messages: 100, BadDKIM: 100, Receivers: 5, FailReceivers: 5,
			BadSelector: "s1"}, "signature-broken", "selector s1"},
		{"subdomain unsigned", Source{Class: Ours, Messages: 100, Pass: 60, DKIM: 60, NoDKIM: 40,
			From: "orders.shop.example"}, "subdomain", "orders.shop.example leaves unsigned"},
		{"own host missing in SPF", Source{Class: Ours, Messages: 100, NoDKIM: 100}, "own-host", "does not name it"},
		{"SPF alone", Source{Class: Ours, Messages: 1240, Pass: 1240, SPF: 1240, NoDKIM: 1240},
			"spf-only", "by SPF alone"},
		{"fine", Source{Class: Ours, Messages: 1240, Pass: 1240, DKIM: 1240, SPF: 1240}, "fine",
			"passes by aligned DKIM"},
		{"few", Source{Class: Unknown, Messages: 3}, "few", "3 messages"},
		{"unknown", Source{Class: Unknown, Messages: 214}, "unknown", "is not known here"},
		{"mixed", Source{Class: Service, Messages: 100, Pass: 10, DKIM: 10, OtherSPF: 40,
			BadDKIM: 40}, "mixed", "90 of 100"},
	}
	if len(tests) < 20 {
		t.Fatalf("%d causes, want 20 or more", len(tests))
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			got := Diagnose(&c.s, "shop.example")
			if got.Code != c.code || !strings.Contains(got.Text, c.says) {
				t.Errorf("cause %s: %q, want %s with %q", got.Code, got.Text, c.code, c.says)
			}
			foreign := c.s.OtherSPF > 0
			if foreign && strings.Contains(got.Text, "include to") &&
				!strings.Contains(got.Text, "not help") {
				t.Errorf("recommends an include although the envelope domain is foreign: %q",
					got.Text)
			}
		})
	}
}

func TestClassify(t *testing.T) {
	ctx := Context{Domain: "shop.example", OwnSelectors: map[string]bool{"s1": true}}
	tests := []struct {
		name string
		s    Source
		want Class
	}{
		{"our network", Source{Network: true, Messages: 5}, Ours},
		{"named by SPF", Source{Messages: 10, Pass: 10, SPF: 10}, Ours},
		{"a name below the domain, and signs", Source{Messages: 10, Pass: 9, DKIM: 9,
			ReverseNames: []string{"mx.shop.example."}}, Ours},
		{"a name below the domain alone", Source{Messages: 10, ReverseNames: []string{"mx.shop.example"}}, Spoof},
		{"a name that only ends like the domain", Source{Messages: 10, Pass: 9, DKIM: 9, Selectors: []string{"s1"},
			ReverseNames: []string{"mx.notshop.example"}}, Forwarding},
		{"known service", Source{Messages: 10, TellTale: KnownBy("o1.ptr.sendgrid.net")}, Service},
		{"selector of its own", Source{Messages: 10, Pass: 10, DKIM: 10, Selectors: []string{"hd1"}}, Service},
		{"our selector from elsewhere",
			Source{Messages: 10, Pass: 10, DKIM: 10, Selectors: []string{"s1"}}, Forwarding},
		{"list, says the receiver", Source{Messages: 10, Listed: 10}, Forwarding},
		{"never passed", Source{Messages: 10}, Spoof},
		{"well kept, not aligned", Source{Messages: 30, OtherDKIM: 30, OtherSPF: 30}, Unknown},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			got, why := Classify(&c.s, ctx)
			if got != c.want || why == "" {
				t.Errorf("class %s (%s), want %s", got, why, c.want)
			}
		})
	}
	ctx.Parked = true
	for _, c := range tests {
		got, why := Classify(&c.s, ctx)
		if want := c.s.Pass == 0; want != (got == Spoof) ||
			want && why != "the domain sends no mail" {
			t.Errorf("of a parked domain: %s is %s (%s)", c.name, got, why)
		}
	}
	own := OwnSelectors([]Source{{Messages: 10, SPF: 10, Selectors: []string{"a"}},
		{Messages: 10, SPF: 1, Selectors: []string{"b"}}})
	if !own["a"] || own["b"] {
		t.Errorf("selectors of one's own: %v", own)
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567",
		-1252: "−1,252"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
	rates := []struct {
		part, whole int64
		want        string
	}{
		{0, 0, "–"}, {0, 5, "0"}, {5, 5, "100"}, {1, 1_000_000, "<0.1"}, {9996, 10000, "99.9"}, {2, 3, "66.6"},
		{1<<60 - 1<<56, 1 << 60, "93.7"},
	}
	for _, r := range rates {
		if got := Rate(r.part, r.whole); got != r.want {
			t.Errorf("Rate(%d, %d) = %q, want %q", r.part, r.whole, got, r.want)
		}
	}
	if d, err := ParseDay("2026-11-29"); err != nil || d.String() != "2026-11-29" ||
		d.Short(d+1) != "29 Nov" ||
		d.Short(d+400) != "29 Nov 2026" || d.Age(d+27) != "27 d" || d.Age(d+800) != "2 y" {
		t.Errorf("day: %s, %v", d, err)
	}
}

// A receiver is not one of the largest because its domain has their name in it.
func TestBig(t *testing.T) {
	for name, want := range map[string]bool{
		"google.com": true, "Google.com": true, "enterprise.protection.outlook.com": true, "dmarc.yahoo.com": true,
		"google.evil.example": false, "evilgoogle.com": false, "google.com.evil.example": false, "org.example": false,
	} {
		if got := isBig(name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}
