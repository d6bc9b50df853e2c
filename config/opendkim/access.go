package opendkim

import (
	"net/netip"
	"slices"
	"strings"

	"mailseal/config/tables"
)

// teller returns the function that takes notes about lines of the data set of a setting.
func (im *importer) teller(e entry) tables.Tell {
	return func(g Group, at place, format string, args ...any) { im.noteAt(g, at, e.name, format, args...) }
}

// ours translates what makes a sender one of ours.
func (im *importer) ours() {
	t := im.out.table("[ours]")
	im.internalHosts(t)
	if e, d := im.openSet("MTA"); d != nil {
		var names []string
		for _, r := range d.Records {
			names = append(names, r.Key)
		}
		t.set("daemon_names", names, base(e.place))
		im.note(Taken, e, "values of {daemon_name} that sign, upper and lower case as they are: %s", strings.Join(names, ", "))
	}
	im.macroList(t)
	if e, d := im.openSet("ExternalIgnoreList"); d != nil {
		im.note(Dropped, e, "it only keeps a line about strangers' mail from the log; Mailseal writes none")
	}
	if im.signs() && im.verifies() {
		t.set("unmatched", "judge", "Mode sv")
		im.unset(Taken, "Mode", "mail of ours that no rule signs is verified, as before (ours.unmatched)")
	}
}

func (im *importer) internalHosts(t *table) {
	e, d := im.openSet("InternalHosts")
	if d == nil {
		if im.signs() {
			im.unset(Taken, "InternalHosts", "not set: mail from 127.0.0.1 and ::1 is ours, and mail of those who log in")
		}
		return
	}
	s := readHosts(d, im.teller(e))
	nets := s.networks()
	t.set("networks", nets, base(e.place))
	im.note(Taken, e, "clients whose mail is ours: %s", sizes(nets, s.clientNames()))
	im.hosts(t, e, s)
	if !slices.ContainsFunc(nets, isLoopback4) {
		im.note(Changed, e, "127.0.0.1 is not among them, yet mail that is submitted on the host itself, without SMTP, is always ours in Mailseal")
	}
	if slices.ContainsFunc(nets, isIPv4) {
		im.note(Changed, e, "a client that the MTA reports as ::ffff:192.0.2.1 is 192.0.2.1 to Mailseal; to OpenDKIM it is in no IPv4 network")
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
			im.noteAt(Never, r.Place, e.name, "%s: OpenDKIM adds the braces itself. Add %s if you mean it", r.Key, strings.Trim(r.Key, "{}"))
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
		parts[i] = quote(n) + " = " + quoteList(values[n])
	}
	if len(parts) > 0 {
		t.lines = append(t.lines, "macros = { "+strings.ReplaceAll(strings.Join(parts, ", "), "\n", " ")+" }  # "+base(e.place))
		im.note(Taken, e, "macros that make mail ours: %s", strings.Join(names, ", "))
		if _, mta := im.conf.get("MTA"); mta || slices.Contains(names, "daemon_name") {
			im.note(Changed, e, "with it OpenDKIM asks for {daemon_name} at the end of the header, where Postfix says what main.cf has, whatever master.cf says: Mailseal takes the name that the connection has, so that mail from listeners with a name of their own in master.cf is ours now")
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
		im.note(Taken, e, "clients whose mail is left alone: %s", sizes(s.networks(), s.clientNames()))
	}
	if e, d := im.openSet("ExemptDomains"); d != nil {
		if names := im.domains(e, d); len(names) > 0 {
			t.set("author_domains", names, base(e.place))
			im.note(Taken, e, "authors' domains whose mail is left alone: %s", tables.Shorten(names))
		}
	}
	if e, d := im.openSet("DontSignMailTo"); d != nil {
		to, err := d.Addresses(im.teller(e))
		if err != nil {
			im.fail(place{}, err)
		}
		if len(to) > 0 {
			im.out.table("[signing]").set("unsigned_recipients", to, base(e.place))
			im.note(Changed, e, "mail to %s is not signed; strangers' mail to them is judged like all other, where OpenDKIM leaves it alone", tables.Shorten(to))
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
		im.note(Taken, e, "names of clients count where the MTA has verified them (hosts): a name is only as good as the DNS, their addresses in networks are safer")
	}
	if slices.Contains(s.names, "unknown") {
		im.note(Changed, e, "OpenDKIM trusts unknown, which is what Postfix calls every client without a name: Mailseal does not")
	}
	if len(s.notNames) > 0 {
		im.note(Never, e, "! before a name (%s) keeps out no client whose address is listed too; leave its address out", tables.Shorten(s.notNames))
	}
}

// sizes says how large a set of clients is.
func sizes(nets []netip.Prefix, names []string) string {
	if len(names) == 0 {
		return count(len(nets), "network")
	}
	return count(len(nets), "network") + ", " + count(len(names), "name")
}

// domains reads ExemptDomains: one look-up of the whole domain, with "*" in a refile only.
func (im *importer) domains(e entry, d *tables.Dataset) []string {
	var out []string
	tell := im.teller(e)
	for _, r := range d.Records {
		texts := []string{strings.ToLower(r.Key)}
		if d.Kind == tables.Refile {
			found, ok, err := tables.Globs(r.Key)
			if err != nil || !ok {
				tell(Dropped, r.Place, "%s: a regular expression that has no equal", r.Key)
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
				tell(Dropped, r.Place, "%s has no equal: name domains, or .domain for all below one", r.Key)
			default:
				tell(Never, r.Place, "%s never matched: the author's whole domain is looked for, no parents", r.Key)
			}
		}
	}
	return out
}
