package arc_test

import (
	"strings"
	"testing"

	"mailseal/milter/arc"
	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
)

// FuzzValidate judges any header with the keys of the tests, and seals the result.
func FuzzValidate(f *testing.F) {
	zone := sealers()
	f.Fuzz(func(t *testing.T, raw string) {
		zone.Reset()
		v := &arc.Validator{Resolver: zone, Now: testClock}
		options := arc.SealOptions{Time: testClock()}
		var x *arc.Validation
		m, err := message.Read(strings.NewReader(raw), 1<<20,
			func(h message.Header) []message.BodyHash {
				x = v.Select(h)
				return append(x.BodyHashes(), options.BodyHash())
			})
		if err != nil {
			return
		}
		got := x.Run(t.Context(), m)
		checkChain(t, m.Header, got, len(zone.Queries()))
		fields, err := arc.Seal(m.Header, m.Body, got, "mx.example; none", sealerKey(60), options)
		if err == arc.ErrNoMore || err == dkim.ErrTooManyFields {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		checkSealed(t, zone, m, got, fields)
	})
}

// checkChain holds what is true of every result.
func checkChain(t *testing.T, h message.Header, got arc.Result, queries int) {
	t.Helper()
	some := len(h.Fields(arc.SealField))+len(h.Fields(arc.SignatureField))+
		len(h.Fields(arc.ResultsField)) > 0
	if (got.Value == arc.None) == some || (got.Value == arc.Fail) != (got.Reason != "") ||
		queries > 100 || len(got.Sets) > 50 {
		t.Errorf("%+v, %d queries", got, queries)
	}
	if got.Value == arc.Pass && (len(got.Sets) == 0 || got.Sealed ||
		got.OldestPass > len(got.Sets)) {
		t.Errorf("pass: %+v", got)
	}
	if strings.ContainsAny(got.Reason, "\r\n") {
		t.Errorf("reason %q", got.Reason)
	}
}

// checkSealed: what we seal passes, unless it was broken before.
func checkSealed(t *testing.T, zone *dnstest.Zone, m *message.Message, before arc.Result,
	fields []message.Field) {
	t.Helper()
	h := append(message.Header(fields), m.Header...)
	var raw strings.Builder
	for _, f := range h {
		raw.Write(f.Raw())
		raw.WriteString("\r\n")
	}
	v := &arc.Validator{Resolver: zone, Now: testClock}
	x := v.Select(h)
	after := x.Run(t.Context(), &message.Message{Header: h, Body: m.Body})
	if after.Reason == "the body was not hashed as the chain needs it" {
		return
	}
	if want := (before.Value != arc.Fail); (after.Value == arc.Pass) != want ||
		after.Sealed == want {
		t.Errorf("before %+v, after %+v\n%s", before, after, raw.String())
	}
}

// BenchmarkValidate is a chain of three sets.
func BenchmarkValidate(b *testing.B) {
	raw := chainOf(b, 3)
	h := header(b, raw)
	v := &arc.Validator{Resolver: sealers(), Now: testClock}
	b.ReportAllocs()
	for b.Loop() {
		x := v.Select(h)
		body := message.NewDigests(x.BodyHashes())
		body.Write([]byte("Hi.\r\n"))
		body.Close()
		if got := x.Run(b.Context(), &message.Message{Header: h,
			Body: body}); got.Value != arc.Pass {
			b.Fatal(got)
		}
	}
}

// BenchmarkNoChain is what every message without a chain costs.
func BenchmarkNoChain(b *testing.B) {
	h := header(b, mail)
	v := &arc.Validator{Resolver: dnstest.FromMap(nil), Now: testClock}
	b.ReportAllocs()
	for b.Loop() {
		v.Select(h)
	}
}
