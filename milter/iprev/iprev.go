// Package iprev checks that the client's address has a reverse name with that address (RFC 8601
// section 3).
package iprev

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"mailseal/milter/dns"
)

// Value is a result of RFC 8601 section 2.7.3.
type Value string

// The results. There is no "none": every client has an address.
const (
	Pass      Value = "pass"      // a name of the address has the address
	Fail      Value = "fail"      // it has names, and none of them has the address
	Temperror Value = "temperror" // the DNS did not tell; it may later
	Permerror Value = "permerror" // it has no name, or there is not an address (a Unix socket)
)

// Result is what Check found.
type Result struct {
	Value Value
	// the name that passed; for a failure the first one tried, which proves nothing; else ""
	Name   string
	Reason string // one clause for people
	// Unanswered is the DNS name whose lookup failed, of a temperror.
	Unanswered string
}

// MaxNames is how many names of an address are tried: the bound that SPF sets for the same lookup
// (RFC 7208 section 4.6.4), since the owner of an address may give it any number of them.
const MaxNames = 10

// Check looks up the names of addr and then the addresses of each name, until one is addr. It asks
// at most 1 + MaxNames questions. An IPv4 address mapped into IPv6 is the IPv4 address.
func Check(ctx context.Context, r dns.Resolver, addr netip.Addr) Result {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return Result{Value: Permerror, Reason: "the client has no IP address"}
	}
	reverse := dns.Reverse(addr)
	a, err := r.Lookup(ctx, reverse, dns.PTR)
	if err != nil {
		return Result{Value: Temperror, Reason: err.Error(), Unanswered: reverse}
	}
	if a.Status != dns.Found {
		return Result{Value: Permerror, Reason: fmt.Sprintf("%s has no name (%s)", addr, a.Status)}
	}
	return confirm(ctx, r, addr, a.Names)
}

// confirm tries the names in the order of the answer. A name that cannot be looked up does not hide
// a later one that leads back; without one, what the first would have said is unknown.
func confirm(ctx context.Context, r dns.Resolver, addr netip.Addr, names []string) Result {
	t := dns.A
	if addr.Is6() {
		t = dns.AAAA
	}
	var failure error
	unanswered := ""
	for _, name := range names[:min(len(names), MaxNames)] {
		a, err := r.Lookup(ctx, name, t)
		if err != nil && failure == nil {
			failure, unanswered = err, name
		}
		if slices.Contains(a.Addrs, addr) {
			return Result{Value: Pass, Name: name,
				Reason: fmt.Sprintf("%s is an address of %s", addr, name)}
		}
	}
	if failure != nil {
		return Result{Value: Temperror, Reason: failure.Error(), Unanswered: unanswered}
	}
	reason := fmt.Sprintf("%s is not an address of %s", addr, names[0])
	if more := len(names) - 1; more > 0 {
		reason += fmt.Sprintf(", nor of the next %d names", min(more, MaxNames-1))
	}
	return Result{Value: Fail, Name: names[0], Reason: reason}
}
