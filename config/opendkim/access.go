package opendkim

import (
	"net/netip"
	"slices"
	"strings"

	"mailseal/config/tables"
)

// teller returns the function that takes notes about lines of the data set of a setting.
func (im *importer) teller(e entry) tables.Tell {
	return func(c tables.Code, at place, args ...any) { im.noteAt(c, at, e.name, args...) }
}

// ours translates what makes a sender one of ours.
func (im *importer) ours() {
	if !im.signs() {
		im.verifier()
		return
	}
	t := im.out.table("[ours]")
	im.internalHosts(t)
	if e, d := im.openSet("MTA"); d != nil {
		var names []string
		for _, r := range d.Records {
			names = append(names, r.Key)
		}
		t.set("daemon_names", names, base(e.place))
		im.note("daemon-names", e, strings.Join(names, ", "))
	}
	im.macroList(t)
	if e, d := im.openSet("ExternalIgnoreList"); d != nil {
		im.note("peer-list-dropped", e)
	}
	if im.signs() && im.verifies() {
		t.set("unmatched", "judge", "Mode sv")
		im.unset("unmatched-verified", "Mode")
	}
}

func (im *importer) internalHosts(t *table) {
	e, d := im.openSet("InternalHosts")
	if d == nil {
		if im.signs() && e.name == "" {
			im.unset("internal-hosts-unset", "InternalHosts")
		}
		return
	}
	s := readHosts(d, im.teller(e))
	nets := s.networks()
	if slices.ContainsFunc(nets, tables.IsEveryone) {
		im.note("internal-hosts-everybody", e, e.value)
		im.hosts(t, e, s)
		return // the default is the host itself
	}
	t.set("networks", nets, base(e.place))
	im.note("internal-hosts", e, sizes(nets, s.clientNames()))
	im.hosts(t, e, s)
	im.keepResults(t, e, nets, s.clientNames())
	if !slices.ContainsFunc(nets, isLoopback4) {
		im.note("internal-hosts-without-loopback", e)
	}
	if slices.ContainsFunc(nets, isIPv4) {
		im.note("mapped-addresses", e)
	}
}

// keepResults has no host but this one hand on fields with our id, and names those that may in
// OpenDKIM, which removes them only from mail that it verifies.
func (im *importer) keepResults(t *table, e entry, nets []netip.Prefix, names []string) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("::1/128")}
	var others []string
	for _, p := range nets {
		isLoopback := func(l netip.Prefix) bool { return l.Overlaps(p) && l.Bits() <= p.Bits() }
		if !slices.ContainsFunc(loopback, isLoopback) {
			others = append(others, network(p))
		}
	}
	for _, n := range names {
		if n != "localhost" && !strings.HasPrefix(n, "!") {
			others = append(others, n)
		}
	}
	if len(others) > 0 {
		t.set("keep_results", loopback, "this host alone")
		im.note("keep-results", e, tables.Shorten(others))
	}
}

func (im *importer) macroList(t *table) {
	e, d := im.openSet("MacroList")
	if d == nil {
		return
	}
	values := map[string][]string{}
	var names []string
	for _, r := range d.Records {
		if strings.ContainsAny(r.Key, "{}") {
			im.noteAt("macro-braces", r.Place, e.name, r.Key, strings.Trim(r.Key, "{}"))
			continue
		}
		if _, ok := values[r.Key]; !ok {
			names = append(names, r.Key)
			values[r.Key] = []string{}
		}
		if r.Value != "" {
			values[r.Key] = append(values[r.Key], strings.Split(r.Value, "|")...)
		}
	}
	parts := make([]string, len(names))
	for i, n := range names {
		if len(values[n]) == 0 {
			values[n] = []string{"*"}
		}
		parts[i] = quote(n) + " = " + quoteList(values[n])
	}
	if len(parts) > 0 {
		t.lines = append(t.lines, "macros = { "+strings.ReplaceAll(strings.Join(parts, ", "), "\n",
			" ")+" }  # "+base(e.place))
		im.note("macros", e, strings.Join(names, ", "))
		if _, mta := im.conf.get("MTA"); mta || slices.Contains(names, "daemon_name") {
			im.note("macro-daemon-name", e)
		}
	}
}

// exempt translates what keeps OpenDKIM's hands off a message.
func (im *importer) exempt() {
	t := im.out.table("[exempt]")
	if e, d := im.openSet("PeerList"); d != nil {
		s := readHosts(d, im.teller(e))
		if nets := s.networks(); len(nets) > 0 {
			t.set("networks", nets, base(e.place))
		}
		im.hosts(t, e, s)
		im.note("exempt-hosts", e, sizes(s.networks(), s.clientNames()))
	}
	if e, d := im.openSet("ExemptDomains"); d != nil {
		if names := im.domains(e, d); len(names) > 0 {
			t.set("author_domains", names, base(e.place))
			im.note("exempt-domains", e, tables.Shorten(names))
		}
	}
	if e, d := im.openSet("DontSignMailTo"); d != nil {
		to, err := d.Addresses(im.teller(e))
		if err != nil {
			im.fail(place{}, err)
		}
		if len(to) > 0 {
			im.out.table("[signing]").set("unsigned_recipients", to, base(e.place))
			im.note("recipients-unsigned", e, tables.Shorten(to))
		}
	}
}

// hosts writes the names of a set.
func (im *importer) hosts(t *table, e entry, s *hostSet) {
	names := s.clientNames()
	if len(names) > 0 {
		t.set("hosts", names, base(e.place))
	}
	if slices.ContainsFunc(names, func(n string) bool { return n != "localhost" }) {
		im.note("host-names", e)
	}
	if slices.Contains(s.names, "unknown") {
		im.note("host-unknown", e)
	}
	if len(s.notNames) > 0 {
		im.note("host-exception-by-name", e, tables.Shorten(s.notNames))
	}
}

// sizes describes the size of a set of clients.
func sizes(nets []netip.Prefix, names []string) string {
	if len(names) == 0 {
		return count(len(nets), "network")
	}
	return count(len(nets), "network") + ", " + count(len(names), "name")
}

// domains reads ExemptDomains: one lookup of the whole domain, with "*" in a refile only.
func (im *importer) domains(e entry, d *tables.Dataset) []string {
	var out []string
	tell := im.teller(e)
	for _, r := range d.Records {
		texts := []string{strings.ToLower(r.Key)}
		if d.Kind == tables.Refile {
			found, ok, err := tables.Globs(r.Key)
			if err != nil || !ok {
				tell("domain-regex", r.Place, r.Key)
				continue
			}
			texts = found
		}
		for _, text := range texts {
			rest, below := strings.CutPrefix(text, "*.")
			switch {
			case tables.IsDomain(text):
				out = append(out, text)
			case below && d.Kind == tables.Refile && tables.IsDomain(rest):
				out = append(out, "."+rest)
			case strings.Contains(text, "*") && d.Kind == tables.Refile:
				tell("domain-glob", r.Place, r.Key)
			default:
				tell("domain-parent", r.Place, r.Key)
			}
		}
	}
	return out
}
