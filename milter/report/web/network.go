package web

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"mailseal/milter/report/advice"
)

// The largest networks that a verdict may be on, as lengths of their prefixes: a slip of the
// keyboard must not judge a quarter of all addresses.
const (
	shortest4 = 16
	shortest6 = 32
)

// ParseNetwork reads the network of a verdict, such as 192.0.2.0/24. It is at most a /16 of IPv4 or
// a /32 of IPv6, and more than one address. Errors say what to enter.
func ParseNetwork(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(strings.TrimSpace(s))
	shortest := shortest4
	if p.Addr().Is6() {
		shortest = shortest6
	}
	switch {
	case err != nil || p.Addr().Is4In6():
		return p, fmt.Errorf("%w: %q is not a network; enter one such as 192.0.2.0/24 or "+
			"2001:db8::/48", errRefused, s)
	case p != p.Masked():
		return p, fmt.Errorf("%w: the network of %s is %s; enter that", errRefused, s, p.Masked())
	case p.Bits() < shortest:
		return p, fmt.Errorf("%w: %s is too large; a verdict may be on a /%d at most", errRefused,
			p, shortest)
	case p.IsSingleIP():
		return p, fmt.Errorf("%w: %s is one address: judge the address itself", errRefused, p)
	}
	return p, nil
}

// judgedNetwork is the network of a form, "" if the verdict is on the source alone. It holds an
// address of the source, so that the page that was judged is about it.
func judgedNetwork(text string, src *source, class advice.Class) (string, error) {
	if strings.TrimSpace(text) == "" || class == advice.AcceptsSPF {
		return "", nil
	}
	p, err := ParseNetwork(text)
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(src.Addresses, p.Contains) {
		return "", fmt.Errorf("%w: %s has no address of %s", errRefused, p, src.Name)
	}
	return p.String(), nil
}

// networkOf returns the network that an address is judged by, if the newest verdict on the address
// is on a network: it is the source then, whatever name the address has. Verdicts on single
// addresses and on named sources do not change what a source is called.
func networkOf(rules []Rule, domain string, ip netip.Addr) (string, bool) {
	for i := range rules {
		r := &rules[i]
		switch {
		case r.Undone || r.Class == advice.AcceptsSPF || r.Domain != "" && r.Domain != domain:
		case r.Net.IsValid() && r.Net.Contains(ip):
			return r.Net.String(), !r.Net.IsSingleIP()
		case !r.Net.IsValid() && slices.Contains(r.Addresses, ip):
			return "", false
		}
	}
	return "", false
}

// hasNetworks reports whether a verdict on a network may be about a domain.
func hasNetworks(rules []Rule, domain string) bool {
	return slices.ContainsFunc(rules, func(r Rule) bool {
		return r.Net.IsValid() && !r.Net.IsSingleIP() && !r.Undone && (r.Domain == "" ||
			r.Domain == domain)
	})
}

// afterVerdict is the page that shows what a form of a source has done. A network is a source from
// its verdict on, and none once that is undone.
func afterVerdict(escaped, source, network, undo string) string {
	at, _, _ := strings.Cut(escaped, "/s/")
	if p, err := ParseNetwork(network); err == nil {
		return at + "/s/" + url.PathEscape(p.String())
	}
	if _, err := netip.ParsePrefix(source); err == nil && undo != "" {
		return at + "#sources"
	}
	return escaped
}

// isJudgedNetwork reports whether a name is that of a network that a verdict is on.
func (s *Server) isJudgedNetwork(ctx context.Context, name string) (bool, error) {
	rules, err := s.read.Rules(ctx)
	return slices.ContainsFunc(rules, func(r Rule) bool {
		return !r.Undone && r.Net.IsValid() && r.Net.String() == name
	}), err
}

// exampleNetwork is the /24 or /64 of the first address, as an example of what can be entered.
func exampleNetwork(addresses []netip.Addr) string {
	if len(addresses) == 0 || !addresses[0].IsValid() {
		return ""
	}
	bits := 24
	if addresses[0].Is6() {
		bits = 64
	}
	p, _ := addresses[0].Prefix(bits) // never longer than the address
	return p.String()
}
