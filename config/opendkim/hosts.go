package opendkim

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"mailseal/config/tables"
)

// hostSet is a set of hosts and networks as OpenDKIM looks into it: it builds the texts by which a
// host may be listed, and compares. "!" in front of any of them says no.
type hostSet struct {
	// addresses without a network; a refile's pattern matches many
	bare            map[netip.Prefix]turn
	nets            map[netip.Prefix]turn
	names, notNames []string // of hosts; ".example.com" is any below it

	none             []string // ".example.com": no name below it, whatever else is listed
	closed, nameless bool     // no host is in the set, or none by name
}

var errNoNetwork = errors.New("no network")

// turn is when OpenDKIM asks for a way of writing an address or network: the first one that is
// listed decides.
type turn uint8

const (
	notPlain    turn = iota // !192.0.2.1
	plain                   // 192.0.2.1
	notBrackets             // ![192.0.2.1]
	brackets                // [192.0.2.1]
)

func (t turn) yes() bool { return t == plain || t == brackets }

func turnOf(not, bracketed bool) turn {
	t := plain
	if bracketed {
		t = brackets
	}
	if not {
		t--
	}
	return t
}

// put keeps the earliest turn of a network.
func put(m map[netip.Prefix]turn, p netip.Prefix, t turn) {
	if was, ok := m[p]; !ok || t < was {
		m[p] = t
	}
}

// readHosts reads a set of hosts, and tells which of its entries never matched, and which have no
// equal.
func readHosts(d *tables.Dataset, tell tables.Tell) *hostSet {
	s := &hostSet{bare: map[netip.Prefix]turn{}, nets: map[netip.Prefix]turn{}}
	for _, rec := range d.Records {
		texts := []string{strings.ToLower(rec.Key)}
		if d.Kind == tables.Refile {
			found, ok, err := tables.Globs(rec.Key)
			if err != nil || !ok { // it may match a "!" too
				s.closed = true
				tell("host-regex", rec.Place, rec.Key)
				continue
			}
			texts = found
		}
		for _, text := range texts {
			s.add(rec, text, d.Kind == tables.Refile, tell)
		}
	}
	return s
}

func (s *hostSet) add(rec tables.Record, text string, wild bool, tell tables.Tell) {
	body, not := strings.CutPrefix(text, "!")
	switch {
	case wild && strings.HasPrefix(body, "*"):
		s.except(rec, body, not, tell)
	case strings.Contains(body, "*") && !wild:
		tell("host-star", rec.Place, rec.Key, suggested(body))
	case strings.Contains(body, "*"):
		s.addWild(rec, body, not, tell)
	case strings.Contains(body, "/"):
		s.addNetwork(rec, body, not, tell)
	default:
		s.addHost(rec, body, not, tell)
	}
}

func sample(pattern string) string { return strings.ReplaceAll(pattern, "*", "mail") }

// suggested is what the author of a pattern with "*" wanted.
func suggested(pattern string) string {
	if rest := strings.TrimPrefix(pattern, "*"); rest != "" && !strings.Contains(rest, "*") {
		return rest
	}
	return "names or networks without *"
}

// addWild takes 192.0.2.* for a network; nothing else with "*" has an equal.
func (s *hostSet) addWild(rec tables.Record, body string, not bool, tell tables.Tell) {
	rest, ok := strings.CutSuffix(body, ".*")
	octets := strings.Split(rest, ".")
	a, err := netip.Addr{}, errNoNetwork
	if ok && len(octets) <= 3 {
		a, err = netip.ParseAddr(rest + strings.Repeat(".0", 4-len(octets)))
	}
	switch {
	case err == nil && a.Is4():
	case not:
		s.except(rec, body, not, tell)
		return
	default:
		tell("host-glob", rec.Place, rec.Key)
		return
	}
	p := netip.PrefixFrom(a, 8*len(octets))
	// it matches the texts of wider networks that begin so
	for bits := p.Bits() - 1; not && bits > 0; bits-- {
		if w, _ := a.Prefix(bits); w.Addr() == a {
			put(s.nets, w, notPlain)
		}
	}
	if last, _ := strconv.Atoi(octets[len(octets)-1]); last%2 == 0 && !not {
		tell("host-glob-wider", rec.Place, rec.Key, p)
	}
	put(s.bare, p, turnOf(not, false))
}

// except reads a pattern that matches questions with "!": one that has it, or, in a refile, one
// that begins with "*" and so matches it as well. What it keeps out, nothing else in the set lets
// in.
func (s *hostSet) except(rec tables.Record, body string, not bool, tell tables.Tell) {
	end := body[strings.LastIndexByte(body, '*')+1:]
	effect := ""
	switch below := strings.TrimPrefix(end, "."); {
	case body == "*."+below && tables.IsDomain(below):
		s.none = append(s.none, end)
	case tables.IsDomain(strings.TrimLeft(below, "-")):
		s.nameless, effect = true, ". No client is recognized by its name here, since Mailseal's "+
			"lists cannot express this set"
	default:
		s.closed, effect = true, ". This is so for other entries, too, so the set has no effect"
	}
	switch {
	case not && effect == "":
		tell("host-except", rec.Place, rec.Key)
		return
	case not:
		tell("host-except-widely", rec.Place, rec.Key, tables.Prose(effect))
		return
	}
	tell("host-star-never", rec.Place, rec.Key, sample(body), tables.Prose(effect), suggested(body))
}

func (s *hostSet) addNetwork(rec tables.Record, body string, not bool, tell tables.Tell) {
	text := body
	if addr, bits, ok := strings.Cut(body, "]/"); ok && strings.HasPrefix(addr, "[") {
		text = addr[1:] + "/" + bits
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		tell("network-incomplete", rec.Place, rec.Key)
		return
	case p.Masked().String() != text:
		tell("network-spelling", rec.Place, rec.Key, p.Masked())
		return
	case p.Addr().Is4In6():
		tell("address-mapped", rec.Place, rec.Key)
		return
	}
	put(s.nets, p, turnOf(not, text != body))
}

func (s *hostSet) addHost(rec tables.Record, body string, not bool, tell tables.Tell) {
	text := body
	if strings.HasPrefix(body, "[") && strings.HasSuffix(body, "]") {
		text = body[1 : len(body)-1]
	}
	a, err := netip.ParseAddr(text)
	switch {
	case err == nil && a.Is4In6():
		tell("address-mapped", rec.Place, rec.Key)
	case err == nil && a.String() != text:
		tell("address-spelling", rec.Place, rec.Key, a)
	case err == nil:
		put(s.bare, netip.PrefixFrom(a, a.BitLen()), turnOf(not, text != body))
	case !tables.IsDomain(strings.TrimPrefix(body, ".")):
		tell("host-invalid", rec.Place, rec.Key)
	case not:
		s.notNames = append(s.notNames, body)
	default:
		s.names = append(s.names, body)
	}
}

// has reports whether an address, not its name, is in the set.
func (s *hostSet) has(a netip.Addr) bool {
	first, found := brackets, false
	for bits := a.BitLen(); bits >= 0; bits-- {
		p, _ := a.Prefix(bits) // bits are in range
		if t, ok := s.bare[p]; ok {
			first, found = min(first, t), true
		}
	}
	if found {
		return first.yes()
	}
	for bits := a.BitLen(); bits >= 0; bits-- {
		p, _ := a.Prefix(bits)
		if t, ok := s.nets[p]; ok {
			return t.yes()
		}
	}
	return false
}

// clientNames returns the names of the set as a setting has them, exceptions with "!". "unknown" is
// none.
func (s *hostSet) clientNames() []string {
	names := slices.DeleteFunc(slices.Clone(s.names), func(n string) bool {
		return n == "unknown" || slices.ContainsFunc(s.none,
			func(no string) bool { return strings.HasSuffix(n, no) })
	})
	if len(names) == 0 || s.closed || s.nameless {
		return nil // exceptions alone say nothing
	}
	for _, no := range append(slices.Clone(s.notNames), s.none...) {
		if slices.ContainsFunc(names, func(n string) bool {
			return n == no || strings.HasPrefix(n, ".") && strings.HasSuffix(no, n)
		}) {
			names = append(names, "!"+no)
		}
	}
	return names
}

// networks returns the addresses of the set as networks without exceptions, the fewest there are.
func (s *hostSet) networks() []netip.Prefix {
	if s.closed {
		return nil
	}
	edges := slices.Collect(maps.Keys(s.nets))
	edges = slices.AppendSeq(edges, maps.Keys(s.bare))
	var out []netip.Prefix
	for _, all := range []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0),
		netip.PrefixFrom(netip.IPv6Unspecified(), 0)} {
		mine := slices.DeleteFunc(slices.Clone(edges),
			func(p netip.Prefix) bool { return p.Addr().Is4() != all.Addr().Is4() })
		if len(mine) == 0 {
			continue
		}
		found, whole := s.cover(all, mine)
		if whole {
			found = []netip.Prefix{all}
		}
		out = append(out, found...)
	}
	return out
}

// cover returns the parts of p that are in the set, or that all of it is. Edges are the networks
// that begin a difference; those that hold p make none inside it.
func (s *hostSet) cover(p netip.Prefix, edges []netip.Prefix) (parts []netip.Prefix, whole bool) {
	inner := slices.DeleteFunc(slices.Clone(edges),
		func(e netip.Prefix) bool { return !e.Overlaps(p) || e.Bits() <= p.Bits() })
	if len(inner) == 0 {
		return nil, s.has(p.Addr())
	}
	all := true
	for _, half := range halves(p) {
		found, whole := s.cover(half, inner)
		if whole {
			found = []netip.Prefix{half}
		}
		all = all && whole
		parts = append(parts, found...)
	}
	return parts, all
}

func halves(p netip.Prefix) [2]netip.Prefix {
	b := p.Addr().AsSlice()
	low := netip.PrefixFrom(p.Addr(), p.Bits()+1)
	b[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	high, _ := netip.AddrFromSlice(b)
	return [2]netip.Prefix{low, netip.PrefixFrom(high, p.Bits()+1)}
}

// isNetworkText reports whether a text is meant as an address or network.
func isNetworkText(s string) bool {
	_, err := netip.ParsePrefix(strings.Trim(s, "!"))
	return err == nil
}

func isLoopback4(p netip.Prefix) bool {
	return p.Contains(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
}

func isIPv4(p netip.Prefix) bool { return p.Addr().Is4() }
