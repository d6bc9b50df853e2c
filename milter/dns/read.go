package dns

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	wire "github.com/miekg/dns"
)

// maxAliases bounds a chain of CNAMEs and DNAMEs. Resolvers stop between 8 and 16; a longer chain
// is a loop or a trap.
const maxAliases = 16

// Read interprets the reply of a recursive server to the question (name, t). It follows
// aliases inside the reply, distinguishes NXDOMAIN from no data, and takes the TTL from the
// records, or from the SOA for the two negative answers (RFC 2308 section 5; zero without
// an SOA). The error wraps ErrFailure and names the cause: another RCODE, a chain of more
// than 16 aliases, or an empty reply of a server that does not resolve for us. The caller
// must have compared ID and question.
func Read(m *wire.Msg, name string, t Type) (Answer, error) {
	a, rest, err := readPart(m, name, t)
	if rest != "" {
		soa, _ := negativeTTL(m.Ns, escape(rest)) // 0 for a denial without SOA
		a.TTL = min(a.TTL, seconds(soa))
	}
	return a, err
}

// readPart is Read for a server that may leave the last steps to us, as stub resolvers, forwarders
// and the authorities of a single zone do: rest is the name that the aliases lead to when the reply
// says nothing about it, "" when the answer is whole. Half a chain says nothing of what is at its
// end (RFC 1034 section 5.3.3, step 4c).
func readPart(m *wire.Msg, name string, t Type) (a Answer, rest string, err error) {
	if m.Rcode != wire.RcodeSuccess && m.Rcode != wire.RcodeNameError {
		return Answer{}, "", fmt.Errorf("%w: %s", ErrFailure, rcode(m.Rcode))
	}
	owner, ok := Canonical(name)
	if !ok {
		return Answer{Status: NXDomain}, "", nil
	}
	a.Secure = m.AuthenticatedData
	ttl := ^uint32(0)
	owner, err = a.follow(m.Answer, escape(owner), &ttl)
	if err != nil {
		return Answer{}, "", err
	}
	if a.take(m.Answer, owner, t, &ttl) {
		a.TTL = seconds(ttl)
		return a, "", nil
	}
	a.Status = NoData
	if m.Rcode == wire.RcodeNameError {
		a.Status = NXDomain
	}
	soa, isDenied := negativeTTL(m.Ns, owner)
	if isDenied && isOfAlias(m, name, a.Aliases) {
		isDenied = false // the SOA may be the alias's alone
	}
	if !isDenied && len(a.Aliases) == 0 && isLame(m) {
		return Answer{}, "", fmt.Errorf("%w: the server refuses to resolve names for this host", ErrFailure)
	}
	if !isDenied && len(a.Aliases) > 0 && owner != "." {
		a.TTL = seconds(ttl)
		rest, err = plain(owner)
		return a, rest, err
	}
	a.TTL = seconds(min(ttl, soa))
	return a, "", nil
}

// follow returns the name that the aliases lead to from owner, and lowers ttl to the least of
// theirs.
func (a *Answer) follow(rrs []wire.RR, owner string, ttl *uint32) (string, error) {
	known := aliasesOf(rrs)
	for {
		target, aliasTTL, err := known.next(owner)
		if err != nil || target == "" {
			return owner, err
		}
		if len(a.Aliases) == maxAliases {
			return "", errAliases
		}
		owner = target
		a.Aliases = append(a.Aliases, text(owner))
		*ttl = min(*ttl, aliasTTL)
	}
}

// plain returns a name of the library's without escapes, as Lookup takes names.
func plain(name string) (string, error) {
	canonical, ok := Canonical(unescape(name))
	if !ok || escape(canonical) != name { // a label that holds a dot, octets that are not ASCII
		return "", fmt.Errorf("%w: an alias leads to %s, which cannot be looked up", ErrFailure,
			name)
	}
	return canonical, nil
}

// errAliases ends a chain that is a loop or a trap.
var errAliases = fmt.Errorf("%w: more than %d aliases", ErrFailure, maxAliases)

// aliases are the CNAME and DNAME records of a reply, by owner.
type aliases struct {
	names map[string]*wire.CNAME
	trees map[string]*wire.DNAME
}

func aliasesOf(rrs []wire.RR) aliases {
	a := aliases{}
	for _, rr := range rrs {
		if rr.Header().Class != wire.ClassINET {
			continue
		}
		switch r := rr.(type) {
		case *wire.CNAME:
			if a.names == nil {
				a.names = map[string]*wire.CNAME{}
			}
			a.names[wire.CanonicalName(r.Hdr.Name)] = r
		case *wire.DNAME:
			if a.trees == nil {
				a.trees = map[string]*wire.DNAME{}
			}
			a.trees[wire.CanonicalName(r.Hdr.Name)] = r
		}
	}
	return a
}

// next returns the name that owner is an alias of, and its TTL; "" if owner is not an
// alias. Servers send the CNAME that a DNAME implies, but some stub resolvers omit it: then
// the name below the DNAME's owner moves below its target (RFC 6672 section 2.2).
func (a aliases) next(owner string) (target string, ttl uint32, err error) {
	if c := a.names[owner]; c != nil {
		return wire.CanonicalName(c.Target), c.Hdr.Ttl, nil
	}
	if len(a.trees) == 0 {
		return "", 0, nil
	}
	for _, at := range wire.Split(owner)[1:] {
		d := a.trees[owner[at:]]
		if d == nil {
			continue
		}
		target = owner[:at] + strings.TrimPrefix(wire.CanonicalName(d.Target), ".")
		if _, ok := wire.IsDomainName(target); !ok {
			return "", 0, fmt.Errorf("%w: YXDOMAIN: a DNAME record leads to a name that is too long",
				ErrFailure)
		}
		return target, d.Hdr.Ttl, nil
	}
	return "", 0, nil
}

// take gathers the records of owner and type and reports whether there was any.
func (a *Answer) take(rrs []wire.RR, owner string, t Type, ttl *uint32) bool {
	found := false
	for _, rr := range rrs {
		h := rr.Header()
		if h.Rrtype != uint16(t) || h.Class != wire.ClassINET ||
			wire.CanonicalName(h.Name) != owner {
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
	case *wire.TLSA:
		data := strings.ToLower(r.Certificate)
		a.Texts = append(a.Texts, fmt.Sprintf("%d %d %d %s", r.Usage, r.Selector, r.MatchingType,
			data))
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

// joined puts the strings of a TXT record together, nothing between them (RFC 7208 section 3.3, RFC
// 9989 section 4.5).
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

// negativeTTL returns how long a negative answer may be cached: the smaller of the SOA's
// TTL and its MINIMUM (RFC 2308 section 5). The SOA of a zone that does not contain the
// name is ignored.
func negativeTTL(rrs []wire.RR, owner string) (uint32, bool) {
	for _, rr := range rrs {
		if soa, ok := rr.(*wire.SOA); ok && wire.IsSubDomain(soa.Hdr.Name, owner) {
			return min(soa.Hdr.Ttl, soa.Minttl), true
		}
	}
	return 0, false
}

// isOfAlias reports whether every SOA of a reply is of a zone that also holds the last alias: it
// does not say then whether the server looked beyond that. An alias and its target in one zone cost
// a query more where the target has no data.
func isOfAlias(m *wire.Msg, name string, targets []string) bool {
	if len(targets) == 0 {
		return false
	}
	last := name
	if n := len(targets); n > 1 {
		last = targets[n-2]
	}
	_, isInZone := negativeTTL(m.Ns, wire.CanonicalName(last))
	return isInZone
}

// isLame recognises the empty answer or referral of a server that is neither an authority for the
// name nor willing to recurse: it must not be taken for "no data" (RFC 2308 section 2.2.1).
func isLame(m *wire.Msg) bool {
	return m.Rcode == wire.RcodeSuccess && !m.Authoritative && !m.RecursionAvailable
}

func rcode(n int) string {
	// 16 is BADSIG as well, which only a signed transaction can meet (RFC 8945)
	if n == wire.RcodeBadVers {
		return "BADVERS"
	}
	if s, ok := wire.RcodeToString[n]; ok {
		return s
	}
	return fmt.Sprintf("RCODE %d", n)
}

// text returns a name of the library's as this package writes names. One that holds escapes keeps
// them: they never turn into a dot that the name did not have.
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

// Question returns the query for a canonical name: recursion desired, AD set to ask for the AD bit
// in the reply (RFC 6840 section 5.7), EDNS0 with 1232 octets (RFC 6891; no reply of that size is
// fragmented), a random id.
func Question(name string, t Type) *wire.Msg {
	q := new(wire.Msg).SetQuestion(escape(name), uint16(t))
	q.AuthenticatedData = true
	return q.SetEdns0(payload, false)
}

// payload is the largest UDP reply asked for, in octets.
const payload = 1232
