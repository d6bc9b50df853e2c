package web

import (
	"fmt"
	"net/netip"
	"net/url"
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
		"can go: the service uses its own envelope domain", "no mail yet, too little to know",
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

// TestTermTable holds that a term can go only where the advice says so, too.
func TestTermTable(t *testing.T) {
	const term = "ip4:192.0.2.200"
	unused := []advice.Note{{Code: "spf-unused", Fix: "Remove " + term + "."}}
	for _, tt := range []struct {
		name   string
		notes  []advice.Note
		parked bool
		term   advice.Term
		want   string
	}{
		{"advised", unused, false, advice.Term{Text: term}, "can go: no mail in 90 days"},
		{"another term is", unused, false, advice.Term{Text: "mx"}, "too little to know"},
		{"90 days of few reports", nil, false, advice.Term{Text: term}, "too little to know"},
		{"parked", nil, true, advice.Term{Text: term}, "the domain is parked"},
		{"own host", nil, false, advice.Term{Text: term, OwnHost: true}, "lets this host in"},
		{"used", nil, false, advice.Term{Text: term, Messages: 1}, "in use"},
	} {
		x := &facts{now: today, advice: advice.Advice{Notes: tt.notes}, domain: Domain{
			First: today - 100, Parked: tt.parked, Terms: []advice.Term{tt.term}}}
		if got := string(x.termTable().Rows[0][2].HTML); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestNamesThatDoNotExist holds that np counts for mail that fails alone, and that what-if does
// not guess where the DNS has answered.
func TestNamesThatDoNotExist(t *testing.T) {
	const below = "a.shop.example"
	for _, tt := range []struct {
		name       string
		pass, fail int64
		from       From
		says       string // of names; "" is nothing
		refused    int64  // what-if with np=reject
		guesses    bool
	}{
		{"no, all fails", 0, 5, From{Exists: "no", Policy: "none"}, "5 failing messages use", 5, false},
		{"no, some passes", 9, 1, From{Exists: "no", Policy: "none"}, "1 failing message uses", 1, false},
		{"no, all passes", 9, 0, From{Exists: "no", Policy: "none"}, "", 0, false},
		{"no, refused", 9, 1, From{Exists: "no", Policy: "reject"}, "policy refuses them", 1, false},
		{"yes", 0, 5, From{Exists: "yes", Policy: "none"}, "", 0, false},
		{"no answer, all fails", 0, 5, From{}, "", 5, true},
		{"no answer, some passes", 9, 1, From{}, "", 0, true},
	} {
		x := &facts{now: today, domain: Domain{Name: "shop.example"}, ids: []Identity{
			{From: below, AlignedDKIM: true, Messages: tt.pass}, {From: below, Messages: tt.fail}}}
		if tt.pass == 0 {
			x.ids = x.ids[1:]
		}
		d := Detail{Names: map[string]From{below: tt.from}}
		var notes string
		for _, n := range x.nameSection(d).Notes {
			notes += string(n)
		}
		if !strings.Contains(notes, tt.says) || (tt.says == "") != (notes == "") {
			t.Errorf("%s: the names say %q, want %q", tt.name, notes, tt.says)
		}
		out := x.whatIfSection(visit{q: url.Values{"np": {"reject"}}}, d)
		var refused int64
		for _, row := range out.Table.Rows {
			if strings.Contains(string(row[0].HTML), "refused") {
				refused += row[2].Value.(int64)
			}
		}
		guesses := strings.Contains(fmt.Sprint(out.Text), "nor the DNS show whether")
		if refused != tt.refused || guesses != tt.guesses {
			t.Errorf("%s: refuses %d, guesses %v; want %d, %v", tt.name, refused, guesses,
				tt.refused, tt.guesses)
		}
	}
}

// TestAcceptOf holds that the form says what acceptance excuses, and what it does not.
func TestAcceptOf(t *testing.T) {
	for _, tt := range []struct {
		name     string
		alone    int64 // of 1000
		accepted *Rule
		want     string // "" is no form
	}{
		{"all signed", 0, nil, ""},
		{"1%", 10, nil, "Accepting does not lift that rule"},
		{"all by SPF", 1000, nil, "99% of the mail of the source"},
		{"1%, accepted", 10, &Rule{By: "anna"}, "accepted on"},
		{"all by SPF, accepted", 1000, &Rule{By: "anna"}, "excuses at most 1% of its mail"},
	} {
		form := acceptOf(&source{accepted: tt.accepted, Source: advice.Source{Messages: 1000,
			Pass: 1000, DKIM: 1000 - tt.alone}})
		if (form != nil) != (tt.want != "") ||
			form != nil && !strings.Contains(string(form.Text), tt.want) ||
			tt.alone == 10 && tt.accepted != nil && strings.Contains(string(form.Text), "excuses") {
			t.Errorf("%s: %+v, want %q", tt.name, form, tt.want)
		}
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
