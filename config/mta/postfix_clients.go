package mta

import (
	"net/netip"
	"slices"
	"strings"

	"mailseal/milter/action"
)

// role finds sockets that take everything for ours where strangers come, or for theirs where users do.
func (p *postfix) role(w *way, f filter, l Listener) {
	forUsers := w.param == "non_smtpd_milters" || w.isSubmission()
	switch {
	case l.Role == action.RoleOurs && p.d.Signs && !forUsers && !w.isLoopback():
		p.put(w, f, say("postfix-role-ours", l.name(), w.name))
	case (l.Role == action.RoleTheirs || l.Role == action.RoleRelay) && p.d.Signs && forUsers:
		what := say("users-mail", w.name)
		if w.param == "non_smtpd_milters" {
			what = say("local-mail")
		}
		p.put(w, f, say("postfix-role-theirs", l.name(), what))
	}
}

// networks notes clients for which Postfix relays, and whose mail is not ours.
func (p *postfix) networks() {
	at := p.main.raw("mynetworks")
	if at.line == 0 || !p.d.Signs {
		return
	}
	p.wider(at)
	covered := func(n netip.Prefix) bool {
		return n.Addr().IsLoopback() || slices.ContainsFunc(slices.Concat(p.d.Networks, p.d.Others), func(o netip.Prefix) bool {
			return o.Bits() <= n.Bits() && o.Contains(n.Addr())
		})
	}
	var missing []string
	var add []netip.Prefix
	for _, w := range words(p.main.get("mynetworks"), ", \t\r\n") {
		if n, ok := postfixNetwork(w.text); ok && !covered(n) && !slices.Contains(add, n) {
			missing, add = append(missing, n.String()), append(add, n)
		}
	}
	if len(missing) == 0 {
		return
	}
	fix := networksSetting(slices.Concat(p.d.Networks, add))
	p.add(say("postfix-networks", strings.Join(missing, ", ")).finding(at.file, at.line, "mynetworks", Fix{fix}))
}

// wider finds networks that are ours, and for which Postfix does not relay. It needs all of mynetworks to be in main.cf.
func (p *postfix) wider(at parameter) {
	var relayed []netip.Prefix
	for _, w := range words(p.main.get("mynetworks"), ", \t\r\n") {
		n, ok := postfixNetwork(w.text)
		if !ok {
			return
		}
		relayed = append(relayed, n.Masked())
	}
	var kept, beyond []netip.Prefix
	for _, n := range p.d.Networks {
		inside := func(r netip.Prefix) bool { return r.Bits() <= n.Bits() && r.Contains(n.Addr()) }
		if n.Addr().IsLoopback() || slices.ContainsFunc(relayed, inside) {
			kept = append(kept, n)
			continue
		}
		beyond = append(beyond, n)
		for _, r := range relayed {
			if n.Contains(r.Addr()) {
				kept = append(kept, r)
			}
		}
	}
	if len(beyond) > 0 {
		names := []string{}
		for _, n := range beyond {
			names = append(names, networkName(n))
		}
		what := say("postfix-ours-wider", strings.Join(names, ", "))
		p.add(what.finding(at.file, at.line, "mynetworks", Fix{networksSetting(kept)}))
	}
}

// postfixNetwork reads an entry of mynetworks: an address or a network, an IPv6 address in brackets. Tables, files and
// exceptions are none.
func postfixNetwork(s string) (netip.Prefix, bool) {
	address, bits, isNetwork := strings.Cut(s, "/")
	a, err := netip.ParseAddr(strings.Trim(address, "[]"))
	if err != nil || a.Is4In6() {
		return netip.Prefix{}, false
	}
	if !isNetwork {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	n, err := netip.ParsePrefix(a.String() + "/" + bits)
	return n, err == nil
}
