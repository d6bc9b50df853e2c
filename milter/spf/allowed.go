package spf

import (
	"encoding/binary"
	"math/big"
	"net/netip"
	"slices"
)

// span is a range of IPv4 addresses, as numbers: from the first to before the last.
type span struct{ from, to uint64 }

// allSpans are all IPv4 addresses.
var allSpans = []span{{0, 1 << 32}}

// maxSpans bounds the terms whose addresses are counted exactly. Beyond it the work would grow with
// the square of what a stranger publishes.
const maxSpans = 4000

// allowed counts the addresses that pass: of IPv4 each once, in the order of the terms, so that one
// that an earlier term refuses is not counted; of IPv6 the networks.
func (n *Node) allowed() (addresses *big.Int, networks6 int) {
	terms := maxSpans
	pass, _ := n.sift(allSpans, &terms)
	sum := uint64(0)
	for _, s := range pass {
		sum += s.to - s.from
	}
	var kept []netip.Prefix
	nets := n.passing6()
	slices.SortFunc(nets, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	for _, p := range nets[:min(len(nets), maxSpans)] {
		if !slices.ContainsFunc(kept, p.Overlaps) {
			kept = append(kept, p)
		}
	}
	return new(big.Int).SetUint64(sum), len(kept)
}

// sift divides addresses into those that a record lets pass and those that none of its terms
// matches.
func (n *Node) sift(in []span, terms *int) (pass, rest []span) {
	rest = in
	for _, t := range n.Terms {
		if *terms--; *terms < 0 {
			break
		}
		if t.Kind == "redirect" {
			if t.Nested != nil {
				more, _ := t.Nested.sift(rest, terms)
				return union(pass, more), nil
			}
			return pass, nil
		}
		matched := t.matched(rest, terms)
		if t.Value == Pass {
			pass = union(pass, matched)
		}
		rest = without(rest, matched)
	}
	return pass, rest
}

// matched are the addresses that a term matches.
func (l Leaf) matched(in []span, terms *int) []span {
	switch {
	case l.all:
		return in
	case l.Nested != nil:
		pass, _ := l.Nested.sift(in, terms)
		return pass
	}
	var out []span
	for _, p := range l.Networks {
		if a := p.Masked().Addr(); a.Is4() {
			b := a.As4()
			from := uint64(binary.BigEndian.Uint32(b[:]))
			out = append(out, span{from, from + 1<<(32-p.Bits())})
		}
	}
	return without(in, without(in, union(out, nil)))
}

// union joins two lists of spans, and puts the outcome in order.
func union(a, b []span) []span {
	list := slices.Concat(a, b)
	slices.SortFunc(list, func(a, b span) int { return int(int64(a.from) - int64(b.from)) })
	out := list[:0]
	for _, s := range list {
		if last := len(out) - 1; last >= 0 && s.from <= out[last].to {
			out[last].to = max(out[last].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

// without returns the spans of a that are not in b. Both are in order, without overlaps.
func without(a, b []span) (out []span) {
	for _, s := range a {
		for len(b) > 0 && b[0].to <= s.from {
			b = b[1:]
		}
		for _, cut := range b {
			if cut.from >= s.to {
				break
			}
			if cut.from > s.from {
				out = append(out, span{s.from, cut.from})
			}
			s.from = cut.to
		}
		if s.from < s.to {
			out = append(out, s)
		}
	}
	return out
}

// passing6 are the IPv6 networks that a record lets pass, leaving aside what earlier terms refuse.
func (n *Node) passing6() (out []netip.Prefix) {
	for _, t := range n.Terms {
		switch {
		case t.Kind != "redirect" && t.Value != Pass:
		case t.all && t.Nested == nil:
			out = append(out, netip.PrefixFrom(netip.IPv6Unspecified(), 0))
		case t.Nested != nil:
			out = slices.Concat(out, t.Nested.passing6())
		default:
			for _, p := range t.Networks {
				if p.Addr().Is6() {
					out = append(out, p)
				}
			}
		}
	}
	return out
}
