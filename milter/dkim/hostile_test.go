package dkim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailseal/contrib/test/allocations"
	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/domain"
	"mailseal/milter/message"
)

// strangers returns n signature fields of as many domains and selectors, well-formed and worthless.
func strangers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "DKIM-Signature: v=1; a=rsa-sha256; d=d%d.example.net; s=s%d; h=from; "+
			"l=%d; bh=AAAA; b=BBBBBBBB%d\r\n", i, i, i, 1000+i%10)
	}
	return b.String()
}

// judge runs both phases over a header without a body and returns how many body hashes were asked
// for.
func judge(t testing.TB, v *dkim.Verifier, h message.Header,
	author domain.Name) (results []dkim.Result, hashes int) {
	x := v.Select(h, author)
	wanted := x.BodyHashes()
	m := &message.Message{Header: h, Body: message.NewDigests(wanted)}
	m.Body.Close()
	return x.Run(t.Context(), m), len(wanted)
}

func TestManySignatures(t *testing.T) {
	for _, c := range []struct{ fields, most, tried, listed int }{
		{1, 0, 1, 0},
		{10, 0, 10, 0},
		{11, 0, 10, 1},
		{20, 0, 10, 10},
		{100, 0, 10, 10},
		{10000, 0, 10, 10},
		{10000, 150, 150, 10},
		{30, 3, 3, 10},
	} {
		zone := dnstest.FromMap(nil)
		v := &dkim.Verifier{Resolver: zone, MaxSignatures: c.most, Now: testClock}
		results, hashes := judge(t, v, parseHeader(t, strangers(c.fields)+mailHeader),
			"example.com")
		tried, listed := 0, 0
		for _, r := range results {
			if r.Value == dkim.Policy {
				listed++
			} else {
				tried++
			}
		}
		if tried != c.tried || listed != c.listed || hashes != c.tried ||
			len(zone.Queries()) != c.tried {
			t.Errorf("%d fields, at most %d: %d tried, %d listed, %d hashes, %d queries", c.fields,
				c.most, tried, listed, hashes, len(zone.Queries()))
		}
		last := results[len(results)-1].Reason
		if unlisted := c.fields - c.tried - c.listed; unlisted > 0 != strings.HasSuffix(last,
			fmt.Sprintf("; %d more are not even listed", unlisted)) {
			t.Errorf("%d fields, at most %d: the last reason is %q", c.fields, c.most, last)
		}
	}
}

func TestManySignaturesCostLittle(t *testing.T) {
	cost := func(fields int) float64 {
		h := parseHeader(t, strangers(fields)+mailHeader)
		v := &dkim.Verifier{Resolver: dnstest.FromMap(nil), Now: testClock}
		return testing.AllocsPerRun(5, func() { judge(t, v, h, "example.com") })
	}
	few, many := cost(100), cost(10000)
	if many > 2*few {
		t.Errorf("10,000 signatures cost %.0f allocations, 100 cost %.0f", many, few)
	}
}

func TestAuthorFirst(t *testing.T) {
	for _, c := range []struct {
		d, author string
		want      dkim.Value
	}{
		{"example.com", "example.com", dkim.Pass},
		{"example.com", "mail.example.com", dkim.Pass},
		{"example.com", "com", dkim.Pass}, // the author's child
		{"example.com", "notexample.com", dkim.Policy},
		{"example.com", "", dkim.Policy},
	} {
		raw := strangers(30) + string(forge(t, rsaKey(), goodTags, mailHeader, mailBody))
		v := with(&dkim.Verifier{}, record(t, rsaKey()))
		var x *dkim.Verification
		m, err := message.Read(strings.NewReader(raw), 1<<20,
			func(h message.Header) []message.BodyHash {
				x = v.Select(h, domain.Name(c.author))
				return x.BodyHashes()
			})
		if err != nil {
			t.Fatal(err)
		}
		results := x.Run(t.Context(), m)
		got := dkim.Policy // not even listed
		for _, r := range results {
			if r.Domain == c.d {
				got = r.Value
			}
		}
		if got != c.want {
			t.Errorf("author %q: got %s, want %s", c.author, got, c.want)
		}
		if !slices.IsSortedFunc(results,
			func(a, b dkim.Result) int { return a.Evidence.Field - b.Evidence.Field }) {
			t.Errorf("author %q: the results are not in the order of the header", c.author)
		}
	}
}

func TestLookupsAreShared(t *testing.T) {
	raw := strings.Repeat(signatureField(t, goodTags), 9) +
		string(forge(t, rsaKey(), goodTags, mailHeader, mailBody))
	v := with(&dkim.Verifier{}, record(t, rsaKey()))
	zone := v.Resolver.(*dnstest.Zone)
	results := verify(t, v, []byte(raw))
	if len(results) != 10 || slices.ContainsFunc(results,
		func(r dkim.Result) bool { return r.Value != dkim.Pass }) {
		t.Errorf("got %v", summary(results))
	}
	if q := zone.Queries(); len(q) != 1 {
		t.Errorf("%d queries for one name: %v", len(q), q)
	}
}

func TestNothingIsLookedUpForBadFields(t *testing.T) {
	zone := dnstest.FromMap(nil)
	v := &dkim.Verifier{Resolver: zone, Now: testClock}
	for _, tags := range []string{"", "v=1", "hello", goodTags + "; x=1",
		strings.Replace(goodTags, "from", "to", 1), strings.Replace(goodTags, "256", "1", 1)} {
		h := parseHeader(t, "DKIM-Signature: "+tags+"\r\n"+mailHeader)
		if _, hashes := judge(t, v, h, "example.com"); hashes > 0 {
			t.Errorf("%q: %d body hashes", tags, hashes)
		}
	}
	if q := zone.Queries(); len(q) > 0 {
		t.Errorf("queries %v", q)
	}
}

// TestManyNames: 10,000 names in h= over a header of 10,000 fields are matched without a search for
// each.
func TestManyNames(t *testing.T) {
	var header, names strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&header, "X-%d: %d\r\n", i%5000, i)
	}
	for i := range 9999 {
		fmt.Fprintf(&names, ":X-%d", (i*7919)%5000)
	}
	header.WriteString("From: joe@example.com\r\n")
	tags := strings.Replace(goodTags, ":to:subject", names.String(), 1)
	if got := verifyOne(t, &dkim.Verifier{}, forge(t, rsaKey(), tags, header.String(), mailBody),
		record(t, rsaKey())); got.Value != dkim.Pass {
		t.Fatalf("10,000 names: got %s: %s", got.Value, got.Reason)
	}
	index := dkim.NewIndex(parseHeader(t, header.String()))
	list := strings.Split(names.String()[1:], ":")
	allocations.Hold(t, "milter/dkim: Pick of 10,000 names", 3, func() { index.Pick(list, -1) })
	got := index.Pick([]string{"x-1", "X-1", "x-1", "absent", "x-2"}, -1)
	if fmt.Sprintf("%s", rawOf(got)) != "[X-1: 5001 X-1: 1 X-2: 5002]" {
		t.Errorf("picked %s", rawOf(got))
	}
	got = index.Pick([]string{"x-1", "x-1"}, 5001)
	if fmt.Sprintf("%s", rawOf(got)) != "[X-1: 1]" {
		t.Errorf("picked around its own field %s", rawOf(got))
	}
	over := strings.Replace(goodTags, ":to:subject", names.String()+":x", 1)
	if got := verifyOne(t, &dkim.Verifier{}, []byte("DKIM-Signature: "+over+"; bh=AAAA; b=AAAA\r\n"+
		mailHeader), record(t, rsaKey())); got.Reason != "h= lists more than 10000 fields" {
		t.Errorf("10,001 names: got %s: %s", got.Value, got.Reason)
	}
}

func rawOf(fields []message.Field) []string {
	var raw []string
	for _, f := range fields {
		raw = append(raw, string(f.Raw()))
	}
	return raw
}

func TestHeaderB(t *testing.T) {
	long := strings.Repeat("A", 100)
	for _, c := range []struct{ b, want []string }{
		{[]string{"AAAABBBBCCCC", "DDDDEEEEFFFF"}, []string{"AAAABBBB", "DDDDEEEE"}},
		{[]string{"AAAABBBBCCCC", "AAAABBBBCCDD", "AAAACCCC"}, []string{"AAAABBBBCCC", "AAAABBBBCCD", "AAAACCCC"}},
		{[]string{"AAAABBBBCCCC", "AAAABBBB"}, []string{"AAAABBBBC", "AAAABBBB"}},
		{[]string{"AAAA", "AAAABBBBCCCC"}, []string{"AAAA", "AAAABBBB"}},
		{[]string{"AAAABBBBCCCC", "AAAABBBBCCCC"}, []string{"AAAABBBB", "AAAABBBB"}},
		{[]string{long + "BBBB", long + "CCCC"}, []string{long[:64], long[:64]}},
		{[]string{"AAAA BBBB\r\n\tCCCC"}, []string{"AAAABBBB"}},
		{[]string{"not base64 at all"}, []string{""}},
	} {
		var header string
		for _, b := range c.b {
			header += "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=sel; h=from; bh=AAAA; b=" + b + "\r\n"
		}
		results, _ := judge(t, &dkim.Verifier{Resolver: dnstest.FromMap(nil), Now: testClock},
			parseHeader(t, header), "")
		var got []string
		for _, r := range results {
			got = append(got, r.HeaderB)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.b, got, c.want)
		}
	}
}
