package arc_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
	"mailseal/milter/arc"
	"mailseal/milter/authres"
	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
)

// mail is what the tests send through a chain of sealers.
const mail = "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=x; h=from; bh=AAAA; b=AAAA\r\n" +
	"From: Joe <joe@example.com>\r\n" +
	"To: list@example.org\r\n" +
	"Subject: hello\r\n" +
	"\r\n" +
	"Hi.\r\n"

// sealerKey is the key of sealer n, which is s<n>._domainkey.relay<n>.example.
func sealerKey(n int) dkim.Key {
	return dkim.Key{Domain: fmt.Sprintf("relay%d.example", n), Selector: fmt.Sprintf("s%d", n),
		Signer: edKey(n)}
}

func edKey(n int) crypto.Signer {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = byte(n)
	return ed25519.NewKeyFromSeed(seed)
}

// sealers is the zone of the keys of sealers 1 to 60.
func sealers() *dnstest.Zone {
	texts := map[string][]string{}
	for n := 1; n <= 60; n++ {
		name := fmt.Sprintf("s%d._domainkey.relay%d.example", n, n)
		texts[name] = []string{"v=DKIM1; k=ed25519; p=" +
			base64.StdEncoding.EncodeToString(edKey(n).Public().(ed25519.PublicKey))}
	}
	return dnstest.FromMap(texts)
}

// seal adds the set of sealer n to raw. What changes do to the message, the sealer does after it
// has validated it.
func seal(t testing.TB, raw string, n int, changes ...func(string) string) string {
	t.Helper()
	sealed, err := trySeal(t, raw, n, changes...)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func trySeal(t testing.TB, raw string, n int, changes ...func(string) string) (string, error) {
	t.Helper()
	options := arc.SealOptions{Time: testClock()}
	chain, _ := validate(t, sealers(), raw)
	for _, change := range changes {
		raw = change(raw)
	}
	_, m := validate(t, sealers(), raw, options.BodyHash())
	payload := authres.Field{ID: fmt.Sprintf("mx.relay%d.example", n),
		Results: []authres.Result{{Method: "arc", Value: string(chain.Value)}}}.Payload()
	fields, err := arc.Seal(m.Header, m.Body, chain, payload, sealerKey(n), options)
	for _, f := range slices.Backward(fields) {
		raw = string(f.Raw()) + "\r\n" + raw
	}
	return raw, err
}

// chainOf returns mail with n sets.
func chainOf(t testing.TB, n int) string {
	raw := mail
	for i := 1; i <= n; i++ {
		raw = seal(t, raw, i)
	}
	return raw
}

func TestChain(t *testing.T) {
	got, _ := validate(t, sealers(), chainOf(t, 3))
	want := []arc.Set{
		{Instance: 1, Sealer: "relay1.example", Selector: "s1", Chain: arc.None,
			Payload: "mx.relay1.example; arc=none"},
		{Instance: 2, Sealer: "relay2.example", Selector: "s2", Chain: arc.Pass,
			Payload: "mx.relay2.example; arc=pass"},
		{Instance: 3, Sealer: "relay3.example", Selector: "s3", Chain: arc.Pass,
			Payload: "mx.relay3.example; arc=pass"},
	}
	if got.Value != arc.Pass || got.OldestPass != 0 || got.Sealed || got.Reason != "" ||
		!slices.Equal(got.Sets, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestLongestChain(t *testing.T) {
	if rig.Race {
		t.Skip("makes 1,275 signatures; TestChain has the goroutines")
	}
	raw := chainOf(t, 50)
	zone := sealers()
	got, _ := validate(t, zone, raw)
	if got.Value != arc.Pass || len(got.Sets) != 50 || got.OldestPass != 41 {
		t.Errorf("got %s (%s), %d sets, oldest pass %d", got.Value, got.Reason, len(got.Sets),
			got.OldestPass)
	}
	if q := zone.Queries(); len(q) != 50 {
		t.Errorf("%d lookups", len(q))
	}
	if _, err := trySeal(t, raw, 51); !errors.Is(err, arc.ErrNoMore) {
		t.Errorf("set 51: got %v", err)
	}
}

func TestOldestPass(t *testing.T) {
	retitle := func(raw string) string {
		return strings.Replace(raw, "Subject: ", "Subject: [list] ", 1)
	}
	footer := func(raw string) string { return raw + "footer\r\n" }
	for _, c := range []struct {
		name string
		raw  string
		want int
	}{
		{"unchanged", chainOf(t, 3), 0},
		{"one set", chainOf(t, 1), 0},
		{"changed by the second sealer", seal(t, seal(t, chainOf(t, 1), 2, retitle), 3), 2},
		{"changed by the third", seal(t, chainOf(t, 2), 3, retitle), 3},
		{"body changed by the second", seal(t, chainOf(t, 1), 2, footer), 2},
		{"changed by both", seal(t, seal(t, chainOf(t, 1), 2, footer), 3, retitle), 3},
	} {
		if got, _ := validate(t, sealers(), c.raw); got.Value != arc.Pass ||
			got.OldestPass != c.want {
			t.Errorf("%s: got %s (%s), oldest pass %d, want %d", c.name, got.Value, got.Reason,
				got.OldestPass, c.want)
		}
	}
}

func TestCheck55BrokenChains(t *testing.T) {
	two := chainOf(t, 2)
	for _, c := range []struct{ name, old, new, reason string }{
		{"duplicate AMS", "ARC-Message-Signature: a=ed25519-sha256;",
			"ARC-Message-Signature: i=2\r\nARC-Message-Signature: a=ed25519-sha256;",
			"instance 2 has two ARC-Message-Signature fields"},
		{"a gap", "i=2;", "i=3;", "instance 2 has no ARC-Seal"},
		{"no AAR", "ARC-Authentication-Results: i=2;", "X: i=2;", "instance 2 has no ARC-Authentication-Results"},
		{"instance 0", "i=2;", "i=0;", "there is an ARC-Seal field without an instance from 1 to 50"},
		{"instance 51", "i=2;", "i=51;", "there is an ARC-Seal field without an instance from 1 to 50"},
		{"cv=pass at first", "cv=none;", "cv=pass;", "the seal of instance 1 has cv=pass, which must be none"},
		{"cv=none at second", "cv=pass;", "cv=none;", "the seal of instance 2 has cv=none, which must be pass"},
		{"cv=fail", "cv=pass;", "cv=fail;", "the last sealer, instance 2, found the chain broken (cv=fail)"},
		{"no cv", "cv=pass;", "", "the ARC-Seal of instance 2 is wrong: cv= is not one of none, pass and fail"},
		{"a seal with h=", "cv=pass;", "cv=pass; h=from;",
			"the ARC-Seal of instance 2 is wrong: it has an h=, which no seal has"},
		{"rsa-sha1", "a=ed25519-sha256;", "a=rsa-sha1;", "the ARC-Seal of instance 2 is wrong: " +
			"the signature is made with rsa-sha1, which is no longer secure (RFC 8301)"},
		{"a seal in h=", "h=From:", "h=ARC-Seal:From:",
			"the ARC-Message-Signature of instance 2 is wrong: h= names ARC-Seal"},
		{"expired", "c=relaxed/relaxed;", "c=relaxed/relaxed; x=1795000000;",
			"the ARC-Message-Signature of instance 2 is wrong: the signature expires before it " +
				"was made (x= is not after t=)"},
		{"body changed", "Hi.", "Ho.", "the body was changed after instance 2"},
		{"header changed", "Subject: hello", "Subject: Hello",
			"the header was changed after instance 2, or it was signed with another key"},
		{"AAR changed", "mx.relay1.example", "mx.relay9.example",
			"the seal of instance 2 does not match the ARC fields below it, or was made with another key"},
		{"algorithm of another key", "a=ed25519-sha256;", "a=rsa-sha256;",
			"instance 2: the key at s2._domainkey.relay2.example is not for rsa-sha256"},
		{"no key", "s=s2;", "s=none;", "instance 2: there is no key at none._domainkey.relay2.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := strings.Replace(two, c.old, c.new, 1)
			if raw == two {
				t.Fatal("the case changes nothing")
			}
			got, _ := validate(t, sealers(), raw)
			if got.Value != arc.Fail || got.Reason != c.reason {
				t.Errorf("got %s: %s\nwant fail: %s", got.Value, got.Reason, c.reason)
			}
		})
	}
}

func TestCheck55Lookups(t *testing.T) {
	for _, how := range []string{"!SERVFAIL", "!TIMEOUT"} {
		for _, name := range []string{"s1._domainkey.relay1.example",
			"s2._domainkey.relay2.example"} {
			zone := sealers()
			zone.Replace(dnstest.FromMap(map[string][]string{name: {how}}))
			got, _ := validate(t, zone, chainOf(t, 2))
			if got.Value != arc.Fail {
				t.Errorf("%s for %s: got %s", how, name, got.Value)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, _ := validateWith(t, ctx, &arc.Validator{Resolver: sealers(), Now: testClock},
		chainOf(t, 1)); got.Value != arc.Fail {
		t.Errorf("no time left: got %s", got.Value)
	}
}

// TestHostileChains: what cannot pass is found before anything is looked up, and one bad set costs
// the lookups of one.
func TestHostileChains(t *testing.T) {
	set := func(i int) string {
		return fmt.Sprintf("ARC-Seal: a=rsa-sha256; b=AAAA; cv=%s; d=d%d.example; i=%d; s=a\r\n"+
			"ARC-Message-Signature: a=rsa-sha256; b=AAAA; bh=AAAA; d=d%d.example; h=from; i=%d; s=m\r\n"+
			"ARC-Authentication-Results: i=%d; x; none\r\n", map[bool]string{true: "none",
			false: "pass"}[i == 1], i, i, i, i, i)
	}
	sets := func(from, to int) string {
		var all string
		for i := from; i <= to; i++ {
			all = set(i) + all
		}
		return all
	}
	for _, c := range []struct {
		name    string
		header  string
		queries int
		hashes  int
	}{
		{"60 sets", sets(1, 60), 0, 0},
		{"10,000 seals", strings.Repeat("ARC-Seal: i=1; cv=none\r\n", 10000), 0, 0},
		{"10,000 fields without an instance", strings.Repeat("ARC-Authentication-Results: x\r\n", 10000), 0, 0},
		{"50 worthless sets", sets(1, 50), 2, 10},
		{"one worthless set", sets(1, 1), 2, 1},
		{"the first is missing", sets(2, 50), 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			zone := dnstest.FromMap(nil)
			v := &arc.Validator{Resolver: zone, Now: testClock}
			var hashes []message.BodyHash
			m, err := message.Read(strings.NewReader(c.header+mail), 10<<20,
				func(h message.Header) []message.BodyHash {
					hashes = v.Select(h).BodyHashes()
					return hashes
				})
			if err != nil {
				t.Fatal(err)
			}
			got := v.Select(m.Header).Run(t.Context(), m)
			if got.Value != arc.Fail || len(zone.Queries()) != c.queries ||
				len(hashes) != c.hashes {
				t.Errorf("got %s (%s), %d queries, %d hashes", got.Value, got.Reason,
					len(zone.Queries()), len(hashes))
			}
		})
	}
}

func TestManyFieldsCostLittle(t *testing.T) {
	cost := func(n int) float64 {
		h := header(t, strings.Repeat(
			"ARC-Seal: i=1; a=rsa-sha256; b=AAAA; cv=none; d=example.com; s=a\r\n", n)+mail)
		v := &arc.Validator{Resolver: dnstest.FromMap(nil), Now: testClock}
		return testing.AllocsPerRun(5, func() { v.Select(h) })
	}
	if few, many := cost(60), cost(10000); many > 2*few {
		t.Errorf("10,000 seals cost %.0f allocations, 60 cost %.0f", many, few)
	}
}

func TestCheck57Sealing(t *testing.T) {
	broken := strings.Replace(chainOf(t, 2), "Subject: hello", "Subject: Hello", 1)
	raw := seal(t, broken, 3)
	got, _ := validate(t, sealers(), raw)
	if got.Value != arc.Fail || !got.Sealed || len(got.Sets) != 3 || got.Sets[2].Chain != arc.Fail {
		t.Errorf("sealed as failed: %+v", got)
	}
	if _, err := trySeal(t, raw, 4); !errors.Is(err, arc.ErrNoMore) {
		t.Errorf("a chain that was given up: got %v, want nothing more", err)
	}
	unread, m := arc.Result{Value: arc.Pass}, header(t, raw)
	if _, err := arc.Seal(m, message.NewDigests(nil), unread, "x; none", sealerKey(4),
		arc.SealOptions{}); !errors.Is(err, arc.ErrNoMore) {
		t.Errorf("a chain that was given up, whatever the caller says: got %v, want nothing more",
			err)
	}
	// The seal covers its own set alone: it holds whatever becomes of the sets below.
	h := header(t, raw)
	own := []message.Field{h[2], h[1]}
	s := dkim.ReadTags(h[0])
	digest := dkim.HeaderHash(message.Relaxed, own, s.Unsigned()[0])
	if !ed25519.Verify(edKey(3).Public().(ed25519.PublicKey), digest[:], s.Base64("b")) {
		t.Error("the seal of a failed chain covers more than its own set")
	}
	// A gap makes a chain whose next instance is above all others.
	gap := seal(t, strings.ReplaceAll(chainOf(t, 1), "i=1;", "i=4;"), 5)
	if got := header(t, gap); !strings.Contains(string(got[0].Value()), " i=5;") ||
		!strings.Contains(string(got[0].Value()), "cv=fail;") {
		t.Errorf("after a gap: %s", got[0].Value())
	}
}

func header(t testing.TB, raw string) message.Header {
	t.Helper()
	_, m := validate(t, dnstest.FromMap(nil), raw)
	return m.Header
}

func TestSealedFields(t *testing.T) {
	options := arc.SealOptions{Time: testClock()}
	raw := "Authentication-Results: mx.example; none\r\nARC-Seal-Like: x\r\nReceived: x\r\n" +
		strings.Replace(mail, "To: ", "To: a@example.org\r\nTo: ", 1)
	chain, m := validate(t, sealers(), raw, options.BodyHash())
	fields, err := arc.Seal(m.Header, m.Body, chain, "mx.example; spf=pass", sealerKey(1), options)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"ARC-Seal: a=ed25519-sha256;\r\n\tb=X;\r\n\tcv=none; d=relay1.example; i=1; s=s1; t=1795348800",
		"ARC-Message-Signature: a=ed25519-sha256;\r\n\tb=X;\r\n\tbh=X; c=relaxed/relaxed;\r\n" +
			"\td=relay1.example; h=From:Subject:To:To:DKIM-Signature; i=1; s=s1;\r\n\tt=1795348800",
		"ARC-Authentication-Results: i=1; mx.example; spf=pass",
	}
	base64 := regexp.MustCompile(`b(h?)=[^;]*`)
	for i, f := range fields {
		if got := base64.ReplaceAllString(string(f.Raw()), "b$1=X"); got != want[i] {
			t.Errorf("got\n%s\nwant\n%s", got, want[i])
		}
	}
}

func TestSealNeverCoversResults(t *testing.T) {
	options := arc.SealOptions{Fields: []string{"Authentication-Results", "From", "ARC-Seal",
		"arc-message-signature"}}
	chain, m := validate(t, sealers(), "Authentication-Results: x\r\n"+chainOf(t, 1),
		options.BodyHash())
	fields, err := arc.Seal(m.Header, m.Body, chain, "x; none", sealerKey(2), options)
	if err != nil || !strings.Contains(string(fields[1].Value()), " h=From;") {
		t.Errorf("got %s, %v", fields, err)
	}
}

// TestLongFields: no line comes near the 998 octets that SMTP carries.
func TestLongFields(t *testing.T) {
	options := arc.SealOptions{Time: testClock()}
	raw := strings.Repeat("To: a@example.org\r\n", 400) + mail
	payload := "mx.example; dkim=pass reason=\"a; b\" " + strings.Repeat("header.d=example.com ",
		100) + ";\r\n spf=pass"
	chain, m := validate(t, sealers(), raw, options.BodyHash())
	fields, err := arc.Seal(m.Header, m.Body, chain, payload, sealerKey(1), options)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range slices.Backward(fields) {
		for line := range strings.SplitSeq(string(f.Raw()), "\r\n") {
			if len(line) > 800 {
				t.Errorf("a line of %d octets in %s", len(line), f.Name())
			}
		}
		raw = string(f.Raw()) + "\r\n" + raw
	}
	if got, _ := validate(t, sealers(), raw); got.Value != arc.Pass {
		t.Errorf("got %s (%s)", got.Value, got.Reason)
	}
}

func TestSealErrors(t *testing.T) {
	options := arc.SealOptions{}
	chain, m := validate(t, sealers(), mail, options.BodyHash())
	noKey := sealerKey(1)
	noKey.Signer = nil
	noPlace := sealerKey(1)
	noPlace.Domain = "x; cv=pass"
	bare := message.NewDigests(nil)
	bare.Close()
	crowded := append(slices.Repeat(message.Header{message.NewField("To", []byte(" a"))}, 1001),
		m.Header...)
	for _, c := range []struct {
		name string
		h    message.Header
		body *message.Digests
		key  dkim.Key
		want error
	}{
		{"no key", m.Header, m.Body, noKey, dkim.ErrKey},
		{"no domain", m.Header, m.Body, noPlace, dkim.ErrKey},
		{"not hashed", m.Header, bare, sealerKey(1), dkim.ErrNotHashed},
		{"too many fields", crowded, m.Body, sealerKey(1), dkim.ErrTooManyFields},
	} {
		if _, err := arc.Seal(c.h, c.body, chain, "x; none", c.key, options); !errors.Is(err,
			c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}
