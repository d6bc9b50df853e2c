package spf

import (
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"
)

// Words returns the tree as a sentence for each record: "allow these 4 addresses, else ask …, else
// softfail".
func (v Survey) Words() string {
	var b strings.Builder
	v.Root.words(&b, "")
	fmt.Fprintf(&b, "lookups %d/%d, voids %d/2", v.Lookups, maxLookups, v.Voids)
	if v.Voids6 > defaultVoids && v.Voids <= defaultVoids {
		fmt.Fprintf(&b, " (by IPv6 %d/2)", v.Voids6)
	}
	switch {
	case v.Root.everyone:
		b.WriteString(", every address")
	case v.Networks6 > 0:
		fmt.Fprintf(&b, ", %s and %s", count(v.Addresses, "IPv4 address", "IPv4 addresses"),
			count(big.NewInt(int64(v.Networks6)), "IPv6 network", "IPv6 networks"))
	default:
		b.WriteString(", " + count(v.Addresses, "IPv4 address", "IPv4 addresses"))
	}
	if v.Root.Text != "" {
		fmt.Fprintf(&b, " allowed, %d bytes", len(v.Root.Text))
	}
	b.WriteString("\n")
	return b.String()
}

func count(n *big.Int, one, many string) string {
	if n.IsInt64() && n.Int64() == 1 {
		return "1 " + one
	}
	return n.String() + " " + many
}

func (n *Node) words(b *strings.Builder, indent string) {
	switch {
	case n.Unanswered:
		fmt.Fprintf(b, "%s%s: unknown, because the lookup of its record "+
			"failed\n", indent, visible(n.Domain))
		return
	case n.several > 0:
		fmt.Fprintf(b, "%s%s: %d SPF records; receivers use none of them if there are several: "+
			"publish one\n", indent, visible(n.Domain), n.several)
		return
	case n.Text == "" && n.missing:
		fmt.Fprintf(b, "%s%s: the domain does not exist, so it has no SPF record\n", indent,
			visible(n.Domain))
		return
	case n.Text == "":
		fmt.Fprintf(b, "%s%s: no SPF record\n", indent, visible(n.Domain))
		return
	case n.Broken != "":
		fmt.Fprintf(b, "%s%s: the record is broken (%s) and allows no host\n",
			indent, visible(n.Domain), visible(n.Broken))
		return
	}
	fmt.Fprintf(b, "%s%s: ", indent, visible(n.Domain))
	for i, t := range joined(n.Terms) {
		if i > 0 {
			b.WriteString(", else ")
		}
		b.WriteString(visible(t.words()))
	}
	if len(n.Terms) == 0 {
		b.WriteString("the record says nothing about any address")
	}
	b.WriteString("\n")
	for _, t := range n.Terms {
		if t.Nested != nil {
			t.Nested.words(b, indent+"  ")
		}
	}
}

// joined puts addresses that stand side by side into one leaf.
func joined(terms []Leaf) []Leaf {
	var out []Leaf
	for _, t := range terms {
		last := len(out) - 1
		isNetwork := t.Kind == "ip4" || t.Kind == "ip6"
		if isNetwork && last >= 0 && (out[last].Kind == "ip4" || out[last].Kind == "ip6") &&
			out[last].Value == t.Value {
			out[last].Networks = slices.Concat(out[last].Networks, t.Networks)
			continue
		}
		out = append(out, t)
	}
	return out
}

// verbs are what SPF says about an address that matches.
var verbs = map[Value]string{Pass: "allow", Fail: "refuse", Softfail: "doubt",
	Neutral: "say nothing about"}

// alls are what SPF says about all other addresses.
var alls = map[Value]string{
	Pass:     "allow every address",
	Fail:     "fail",
	Softfail: "softfail",
	Neutral:  "neutral",
}

func (l Leaf) words() string {
	switch l.Kind {
	case "all":
		return alls[l.Value]
	case "redirect":
		return "use the record of " + l.Target
	case "include":
		if l.Value == Pass {
			return "ask " + l.Target
		}
		return verbs[l.Value] + " what " + l.Target + " allows"
	}
	what := fmt.Sprintf("%s %s", verbs[l.Value], networkWords(l.Networks))
	switch {
	case l.Note != "":
		return fmt.Sprintf("%s %s (%s)", verbs[l.Value], l.Term, l.Note)
	case l.Kind == "a" && len(l.Networks) == 0:
		return "nothing for a (" + l.Target + " has no address)"
	case l.Kind == "mx" && len(l.Networks) == 0:
		return "nothing for mx (the MX hosts of " + l.Target + " have no address)"
	case l.Kind == "a":
		return what + " of " + l.Target
	case l.Kind == "mx":
		return what + " of the MX hosts of " + l.Target
	case l.Kind == "ptr":
		return verbs[l.Value] + " hosts whose reverse name is below " + l.Target
	case l.Kind == "exists" && l.all:
		return verbs[l.Value] + " every address, because " + l.Target + " exists"
	case l.Kind == "exists":
		return verbs[l.Value] + " every address, if " + l.Target + " exists"
	}
	return what
}

// networkWords names a few networks, and counts many.
func networkWords(nets []netip.Prefix) string {
	var names []string
	for _, n := range nets {
		if n.IsSingleIP() {
			names = append(names, n.Addr().String())
		} else {
			names = append(names, n.String())
		}
	}
	switch {
	case len(nets) == 0:
		return "no address"
	case len(nets) > 4:
		return fmt.Sprintf("these %d addresses and networks (%s, "+
			"…)", len(nets), strings.Join(names[:3], ", "))
	}
	return strings.Join(names, ", ")
}
