package domains

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dns"
	"mailseal/milter/spf"
)

// helo looks at the names that the domain's servers say in HELO: each must have an address, be the
// reverse name of its addresses, and have an SPF record, by which bounces are judged.
func (c *checker) helo(ctx context.Context) {
	for _, host := range c.Helo {
		host = strings.ToLower(strings.TrimSuffix(host, "."))
		c.heloRecord(ctx, host)
		addrs, ok := c.addresses(ctx, host)
		if !ok {
			continue
		}
		if len(addrs) == 0 {
			c.report(HeloAddress, host, "the server's HELO name has no address")
		}
		for _, addr := range addrs {
			c.heloReverse(ctx, host, addr)
		}
	}
}

func (c *checker) heloRecord(ctx context.Context, host string) {
	a, err := c.Resolver.Lookup(ctx, host, dns.TXT)
	if err != nil || slices.ContainsFunc(a.Texts, spf.IsRecord) {
		return
	}
	c.report(SPFHelo, host, "the server's HELO name has no SPF record").Publish =
		[]publish.Record{{Name: host, Text: "v=spf1 a -all"}}
}

// heloReverse looks for the HELO name among the reverse names of one of its addresses.
func (c *checker) heloReverse(ctx context.Context, host string, addr netip.Addr) {
	a, err := c.Resolver.Lookup(ctx, dns.Reverse(addr), dns.PTR)
	switch {
	case err != nil || slices.Contains(a.Names, host):
	case len(a.Names) == 0:
		c.report(MXReverse, host, fmt.Sprintf("%s has no reverse name (PTR)", addr))
	default:
		c.report(HeloReverse, host,
			fmt.Sprintf("%s has the reverse name %s, but the server says %s in "+
				"HELO", addr, a.Names[0], host))
	}
}

// addresses are the first addresses of a host; ok is false when the DNS did not answer.
func (c *checker) addresses(ctx context.Context, host string) (addrs []netip.Addr, ok bool) {
	for _, t := range []dns.Type{dns.A, dns.AAAA} {
		a, err := c.Resolver.Lookup(ctx, host, t)
		if err != nil {
			return nil, false
		}
		addrs = append(addrs, a.Addrs[:min(len(a.Addrs), maxAddresses)]...)
	}
	return addrs, true
}

// genericWords are labels that providers give to addresses of customers, not to mail servers.
var genericWords = []string{"adsl", "cable", "dhcp", "dialup", "dsl", "dyn", "dynamic", "pool",
	"ppp"}

// isGeneric reports whether a reverse name is one that a provider makes from the address, such as
// 25-100-51-198.pool.example.net.
func isGeneric(name string, addr netip.Addr) bool {
	if addr.Is4() {
		parts := strings.Split(addr.String(), ".")
		forward := strings.Join(parts, ".")
		slices.Reverse(parts)
		numbers := "." + strings.Join(numbersIn(name), ".") + "."
		if strings.Contains(numbers, "."+forward+".") ||
			strings.Contains(numbers, "."+strings.Join(parts, ".")+".") {
			return true
		}
	}
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return r < 'a' || r > 'z'
	})
	return slices.ContainsFunc(words,
		func(w string) bool { return slices.Contains(genericWords, w) })
}

// numbersIn are the numbers in a name, without leading zeros.
func numbersIn(name string) []string {
	out := strings.FieldsFunc(name, func(r rune) bool { return r < '0' || r > '9' })
	for i, n := range out {
		if out[i] = strings.TrimLeft(n, "0"); out[i] == "" {
			out[i] = "0"
		}
	}
	return out
}
