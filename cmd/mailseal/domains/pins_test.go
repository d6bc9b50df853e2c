package domains

import (
	"context"
	"slices"
	"strings"
	"testing"

	"mailseal/milter/dns"
)

// signedBut is a DNS whose answers are all signed, but those that are named.
type signedBut struct {
	dns.Resolver
	plain []string // "MX example.com"
}

func (s signedBut) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	a, err := s.Resolver.Lookup(ctx, name, t)
	a.Secure = !slices.Contains(s.plain, t.String()+" "+name)
	return a, err
}

// TestUnsignedPath holds that TLSA records count only where all on the way to them is signed (RFC
// 7672 section 2).
func TestUnsignedPath(t *testing.T) {
	for plain, want := range map[string]string{
		"":                                "",
		"MX example.com":                  "the MX record of example.com",
		"A mx.example.com":                "the address of mx.example.com",
		"AAAA mx.example.com":             "", // it has none
		"TLSA _25._tcp.mx.example.com":    "the zone is not signed",
		"TLSA _25._tcp.other.example.com": "",
	} {
		z := signedBut{zoneOf(t, zoneCase{add: "_25._tcp.mx.example.com. TLSA 3 1 1 " +
			strings.Repeat("ab", 32) + "\n"}), []string{plain}}
		c := &checker{Options: Options{Resolver: z}, name: "example.com"}
		pins, err := z.Lookup(t.Context(), "_25._tcp.mx.example.com", dns.TLSA)
		if err != nil || len(pins.Texts) != 1 {
			t.Fatalf("%+v, %v", pins, err)
		}
		if got := c.unsignedPath(t.Context(), "mx.example.com",
			pins); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q is not signed: %q, want %q", plain, got, want)
		}
	}
}

// TestServersDifferOnTheScreen holds that the screen says which server says what, and what to do.
func TestServersDifferOnTheScreen(t *testing.T) {
	with := func(text string) dns.Resolver { return zoneOf(t, withDMARC("", text)) }
	r := Check(t.Context(), "example.com", Options{Resolver: zoneOf(t, zoneCase{}), Panel: panel{
		"ns1.example.net": with("v=DMARC1; p=reject"), "ns2.example.net": with("v=DMARC1; p=none"),
	}})
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	flat := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{
		"warning _dmarc.example.com [name-servers-differ]", "ns1.example.net: v=DMARC1; p=reject",
		"ns2.example.net: v=DMARC1; p=none",
		"compare the serial numbers of the SOA records, and transfer the zone",
	} {
		if !strings.Contains(flat, want) {
			t.Errorf("nothing says %q in\n%s", want, b.String())
		}
	}
	for line := range strings.Lines(b.String()) {
		// the verdict is one line
		if len(line) > 81 && !strings.Contains(line, " IN ") &&
			!strings.HasPrefix(line, "example.com: ") {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
}
