package dns

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	wire "github.com/miekg/dns"
)

// maxAliases bounds a chain of CNAMEs. Resolvers stop between 8 and 16; a longer chain is a loop or a trap.
const maxAliases = 16

// Read says what a reply means for the question (name, t): it follows the CNAMEs inside the reply, keeps NXDOMAIN and
// no data apart and takes the time to live from the records, or from the SOA for the two negative answers (RFC 2308
// section 5; zero without one). The error wraps ErrFailure and names the cause: another RCODE, a chain of more than 16
// CNAMEs, nothing from a server that does not resolve for us. The caller has compared id and question.
func Read(m *wire.Msg, name string, t Type) (Answer, error) {
	if m.Rcode != wire.RcodeSuccess && m.Rcode != wire.RcodeNameError {
		return Answer{}, fmt.Errorf("%w: %s", ErrFailure, rcode(m.Rcode))
	}
	owner, ok := Canonical(name)
	if !ok {
		return Answer{Status: NXDomain}, nil
	}
	a := Answer{Secure: m.AuthenticatedData}
	ttl := ^uint32(0)
	owner, err := a.follow(m.Answer, escape(owner), &ttl)
	if err != nil {
		return Answer{}, err
	}
	if a.take(m.Answer, owner, t, &ttl) {
		a.TTL = seconds(ttl)
		return a, nil
	}
	a.Status = NoData
	if m.Rcode == wire.RcodeNameError {
		a.Status = NXDomain
	}
	soa, known := negativeTTL(m.Ns, owner)
	if !known && isLame(m) {
		return Answer{}, fmt.Errorf("%w: the server does not resolve names for us", ErrFailure)
	}
	a.TTL = seconds(min(ttl, soa))
	return a, nil
}

// follow returns the name that the CNAMEs lead to from owner, and lowers ttl to the least of theirs.
func (a *Answer) follow(rrs []wire.RR, owner string, ttl *uint32) (string, error) {
	next := map[string]*wire.CNAME(nil)
	for _, rr := range rrs {
		if c, ok := rr.(*wire.CNAME); ok && c.Hdr.Class == wire.ClassINET {
			if next == nil {
				next = map[string]*wire.CNAME{}
			}
			next[wire.CanonicalName(c.Hdr.Name)] = c
		}
	}
	for {
		c := next[owner]
		if c == nil {
			return owner, nil
		}
		if len(a.Aliases) == maxAliases {
			return "", fmt.Errorf("%w: more than %d CNAMEs", ErrFailure, maxAliases)
		}
		owner = wire.CanonicalName(c.Target)
		a.Aliases = append(a.Aliases, text(owner))
		*ttl = min(*ttl, c.Hdr.Ttl)
	}
}

// take gathers the records of owner and type and tells whether there was any.
func (a *Answer) take(rrs []wire.RR, owner string, t Type, ttl *uint32) bool {
	found := false
	for _, rr := range rrs {
		h := rr.Header()
		if h.Rrtype != uint16(t) || h.Class != wire.ClassINET || wire.CanonicalName(h.Name) != owner {
			continue
		}
		found = a.add(rr) || found
		*ttl = min(*ttl, h.Ttl)
	}
	return found
}

// add keeps what one record says; false for a record that says nothing (an A without an address).
func (a *Answer) add(rr wire.RR) bool {
	switch r := rr.(type) {
	case *wire.TXT:
		a.Texts = append(a.Texts, joined(r.Txt))
	case *wire.A:
		return a.addAddr(r.A.To4())
	case *wire.AAAA:
		return a.addAddr(r.AAAA)
	case *wire.NS:
		a.Names = append(a.Names, text(r.Ns))
	case *wire.PTR:
		a.Names = append(a.Names, text(r.Ptr))
	case *wire.MX:
		a.Exchanges = append(a.Exchanges, Exchange{r.Preference, text(r.Mx)})
	}
	return true
}

func (a *Answer) addAddr(octets []byte) bool {
	addr, ok := netip.AddrFromSlice(octets)
	if ok {
		a.Addrs = append(a.Addrs, addr)
	}
	return ok
}

// joined puts the strings of a TXT record together, nothing between them (RFC 7208 section 3.3, RFC 9989 section 4.5).
func joined(parts []string) string {
	if len(parts) == 1 {
		return unescape(parts[0])
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(unescape(p))
	}
	return b.String()
}

// negativeTTL returns how long "there is none" may be kept: the smaller of the SOA's own time to live and its MINIMUM
// (RFC 2308 section 5). An SOA of a zone that the name is not in says nothing.
func negativeTTL(rrs []wire.RR, owner string) (uint32, bool) {
	for _, rr := range rrs {
		if soa, ok := rr.(*wire.SOA); ok && wire.IsSubDomain(soa.Hdr.Name, owner) {
			return min(soa.Hdr.Ttl, soa.Minttl), true
		}
	}
	return 0, false
}

// isLame recognises the empty answer or referral of a server that is neither an authority for the name nor willing to
// recurse: it must not be taken for "no data" (RFC 2308 section 2.2.1).
func isLame(m *wire.Msg) bool {
	return m.Rcode == wire.RcodeSuccess && !m.Authoritative && !m.RecursionAvailable
}

func rcode(n int) string {
	if s, ok := wire.RcodeToString[n]; ok {
		return s
	}
	return fmt.Sprintf("RCODE %d", n)
}

// text returns a name of the library's as this package writes names. One that holds escapes keeps them: they never
// turn into a dot that the name did not have.
func text(name string) string {
	return strings.TrimSuffix(wire.CanonicalName(name), ".")
}

// seconds reads a time to live; with the top bit set it is zero (RFC 2181 section 8).
func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}

// Question returns the query for a canonical name: recursion desired, AD set to ask for the AD bit in the reply
// (RFC 6840 section 5.7), EDNS0 with 1232 octets (RFC 6891; no reply of that size is fragmented), a random id.
func Question(name string, t Type) *wire.Msg {
	q := new(wire.Msg).SetQuestion(escape(name), uint16(t))
	q.AuthenticatedData = true
	return q.SetEdns0(payload, false)
}

// payload is the largest UDP reply asked for, in octets.
const payload = 1232
