package mta

import (
	"errors"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"mailseal/milter/action"
)

// role finds sockets that take everything for ours where strangers come, or for theirs where users
// do.
func (p *postfix) role(w *way, f filter, l Listener) {
	forUsers := w.param == "non_smtpd_milters" || w.isSubmission()
	switch {
	case l.Role == action.RoleOurs && p.d.Signs && !forUsers && !w.isLoopback():
		p.put(w, f, say("postfix-role-ours", l.name(), w.name), byClient(l))
	case (l.Role == action.RoleTheirs || l.Role == action.RoleRelay) && p.d.Signs && forUsers:
		what := say("users-mail", w.name)
		if w.param == "non_smtpd_milters" {
			what = say("local-mail")
		}
		p.put(w, f, say("postfix-role-theirs", l.name(), what), byClient(l))
	}
}

// byClient has a socket decide by client and login whose mail it is.
func byClient(l Listener) Fix { return Fix{setting(l.Setting, "role", "auto")} }

// networks notes clients for which Postfix relays, and whose mail is not ours.
func (p *postfix) networks() {
	at := p.main.raw("mynetworks")
	switch {
	case !p.d.Signs:
		return
	case at.line == 0:
		p.networksStyle()
		return
	}
	p.wider(at)
	covered := func(n netip.Prefix) bool {
		return n.Addr().IsLoopback() || slices.ContainsFunc(slices.Concat(p.d.Networks, p.d.Others),
			func(o netip.Prefix) bool {
				return o.Bits() <= n.Bits() && o.Contains(n.Addr())
			})
	}
	var missing []string
	var add []netip.Prefix
	for _, n := range p.relayed(at, p.main.get("mynetworks"), 0) {
		if !covered(n) && !slices.Contains(add, n) {
			missing, add = append(missing, n.String()), append(add, n)
		}
	}
	if len(missing) == 0 {
		return
	}
	fix := networksSetting(slices.Concat(p.d.Networks, add))
	p.add(say("postfix-networks", strings.Join(missing, ", ")).finding(at.file, at.line,
		"mynetworks", Fix{fix}))
}

// wider finds networks that are ours, and for which Postfix does not relay. It needs all of
// mynetworks to be in main.cf.
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

// networksStyle notes that Postfix finds the networks by itself, which the files do not show.
func (p *postfix) networksStyle() {
	style, at := p.main.get("mynetworks_style"), p.main.raw("mynetworks_style")
	if style == "" && levelBelow(p.main, 2) {
		style, at.file = "subnet", p.file // Postfix's default of old
	}
	if style == "subnet" || style == "class" {
		p.add(say("postfix-networks-style", style).finding(at.file, at.line, "mynetworks_style",
			nil))
	}
}

// maxNested is how many files of networks may name one another.
const maxNested = 5

// relayed returns the networks of a list like mynetworks: those that it names, those in files that
// it names, and those in lookup tables, whose keys count. Exceptions ("!") are left out: what they
// keep out is not ours anyway.
func (p *postfix) relayed(at parameter, list string, nested int) []netip.Prefix {
	var out []netip.Prefix
	for _, w := range words(list, ", \t\r\n") {
		n, isNetwork := postfixNetwork(w.text)
		isFile, isTable := path.IsAbs(w.text), strings.Contains(w.text, ":/") ||
			strings.HasPrefix(w.text, "inline:")
		switch {
		case strings.HasPrefix(w.text, "!"):
		case isNetwork:
			out = append(out, n)
		case isFile && nested < maxNested:
			text, err := p.h.ReadFile(w.text)
			if errors.Is(err, fs.ErrNotExist) {
				continue // as Postfix would say itself
			}
			if err != nil {
				p.add(say("postfix-networks-unread", w.text).finding(at.file, at.line, "mynetworks",
					nil))
				continue
			}
			for _, l := range logicalLines(string(text)) {
				out = append(out, p.relayed(at, l.text, nested+1)...)
			}
		case isTable:
			out = append(out, p.tableNetworks(at, w.text)...)
		}
	}
	return out
}

// tableNetworks returns the networks that are keys of a table.
func (p *postfix) tableNetworks(at parameter, table string) []netip.Prefix {
	entries, ok := readTable(p.h, table)
	if !ok && !p.exists(table) {
		return nil
	}
	if !ok || strings.HasPrefix(table, "regexp:") || strings.HasPrefix(table, "pcre:") {
		p.add(say("postfix-networks-unread", table).finding(at.file, at.line, "mynetworks", nil))
		return nil
	}
	var out []netip.Prefix
	for _, e := range entries {
		if n, ok := tableNetwork(e.key); ok {
			out = append(out, n)
		}
	}
	return out
}

// exists reports whether a table is there, compiled or as text; one that is not in a file is.
func (p *postfix) exists(table string) bool {
	_, file, _ := strings.Cut(table, ":")
	if !path.IsAbs(file) {
		return true
	}
	for _, suffix := range []string{"", ".db", ".lmdb", ".cdb", ".dir"} {
		if _, err := p.h.Lstat(file + suffix); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

// tableNetwork reads a key of a table: an address, a network, or the beginning of an IPv4 address,
// "192.0.2".
func tableNetwork(key string) (netip.Prefix, bool) {
	if n, ok := postfixNetwork(key); ok {
		return n, true
	}
	parts := strings.Count(key, ".") + 1
	if parts > 3 {
		return netip.Prefix{}, false
	}
	return postfixNetwork(key + strings.Repeat(".0", 4-parts) + "/" + strconv.Itoa(8*parts))
}

// postfixNetwork parses an entry of mynetworks: an address or a network, an IPv6 address in
// brackets. Tables, files and exceptions are not networks.
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
