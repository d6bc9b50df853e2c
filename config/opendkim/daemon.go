package opendkim

import (
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"time"

	"mailseal/config/tables"
)

// signs tells whether OpenDKIM signs.
func (im *importer) signs() bool { return strings.Contains(im.modes(), "s") }

// verifies tells whether OpenDKIM verifies.
func (im *importer) verifies() bool { return strings.Contains(im.modes(), "v") }

func (im *importer) modes() string {
	if e, ok := im.conf.get("Mode"); ok {
		return strings.ToLower(e.value)
	}
	return "sv"
}

func (im *importer) mode() {
	e, ok := im.conf.get("Mode")
	var modes []string
	if im.signs() {
		modes = append(modes, "sign")
	}
	if im.verifies() || im.dmarc {
		modes = append(modes, "verify")
	}
	if len(modes) == 0 {
		im.fail(e.place, fmt.Errorf("%s %s: neither s nor v", e.name, e.value))
		return
	}
	im.out.table("").set("mode", modes, im.from(e, ok))
	if ok {
		im.note(Taken, e, "%s", strings.Join(modes, " and "))
	}
	if im.verifies() && !im.dmarc {
		im.unset(Taken, "Mode", "DKIM alone is verified, as before; SPF, DMARC, ARC and iprev are switched off in [verify], and wait to be switched on")
		v := im.out.table("[verify]")
		for _, name := range []string{"spf", "dmarc", "arc", "iprev"} {
			v.set(name, false, "OpenDKIM knows DKIM only")
		}
	}
}

// from is the comment of a setting that may not be set.
func (im *importer) from(e entry, ok bool) string {
	if ok {
		return base(e.place)
	}
	return "OpenDKIM's default"
}

// socket translates the only socket that OpenDKIM has.
func (im *importer) socket(defaults string) {
	e, ok := im.conf.get("Socket")
	if defaults != "" {
		if over, found := im.debianSocket(defaults); found {
			if ok {
				im.note(Never, e, "%s takes its place", over.place)
			}
			e, ok = over, true
		}
	}
	if !ok {
		im.unset(Changed, "Socket", "not set: Mailseal listens on inet:8891@127.0.0.1; OpenDKIM does not start without")
		return
	}
	address := e.value
	kind, rest, _ := strings.Cut(address, ":")
	switch k := strings.ToLower(kind); {
	case strings.HasPrefix(address, "/"):
		address = "unix:" + address
	case k == "local" || k == "unix":
		address = "unix:" + im.resolve(rest)
	case k == "inet" || k == "inet6":
		port, host, _ := strings.Cut(rest, "@")
		if strings.EqualFold(host, "localhost") {
			host = map[string]string{"inet": "127.0.0.1", "inet6": "::1"}[k]
		}
		if address = k + ":" + port; host != "" {
			address += "@" + strings.Trim(host, "[]")
		}
	}
	t := im.out.add("[[listen]]")
	t.set("address", address, base(e.place))
	im.note(Taken, e, "Mailseal listens on %s, and the MTA needs no change", address)
	im.note(Todo, e, "stop the old daemon before Mailseal starts, which listens at the same place: systemctl disable --now %s", daemonName[im.dkim != nil])
	if strings.HasPrefix(address, "unix:") {
		im.socketOwner(t)
	} else if e, ok := im.conf.get("UMask"); ok {
		im.note(Dropped, e, "only a unix socket has permissions")
	}
}

// daemonName is the old service's, by whether there is an opendkim.conf.
var daemonName = map[bool]string{true: "opendkim", false: "opendmarc"}

// debianSocket reads SOCKET of /etc/default/opendkim, the last assignment of a shell script.
func (im *importer) debianSocket(name string) (entry, bool) {
	text, err := im.files.Read(name)
	if err != nil {
		im.fail(place{}, err)
		return entry{}, false
	}
	out, n := entry{name: "SOCKET"}, 0
	for line := range strings.Lines(text) {
		n++
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "SOCKET="); ok {
			value, _, _ = strings.Cut(value, " #")
			out.place, out.value = place{File: name, Line: n}, strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	for _, dir := range []string{"$RUNDIR", "${RUNDIR}"} {
		out.value = strings.ReplaceAll(out.value, dir, "/run/opendkim")
	}
	if out.value != "" {
		im.note(Taken, out, "Debian's start script hands it over, before what opendkim.conf says; where the unit was not made anew by opendkim.service.generate, opendkim.conf counts after all")
	}
	return out, out.value != ""
}

func (im *importer) socketOwner(t *table) {
	if e, mask, ok := im.conf.number("UMask"); ok {
		mode := fs.FileMode(0o666 &^ mask & 0o777)
		t.set("mode", fmt.Sprintf("%04o", mode), base(e.place))
		im.note(Taken, e, "the socket has mode %04o", mode)
	} else {
		im.unset(Changed, "UMask", "not set: the socket is open to its owner and group (0660)")
	}
	e, ok := im.conf.get("UserID")
	if user, group, both := strings.Cut(e.value, ":"); both {
		t.set("group", group, base(e.place))
		im.note(Changed, e, "the socket has the group %s; Mailseal runs as the user that systemd gives it, not as %s, and must be able to read the keys", group, user)
	} else if ok {
		im.note(Changed, e, "Mailseal runs as the user that systemd gives it, and must be able to read the keys; listen.group lets the MTA at the socket")
	}
}

// identity translates the authserv-id and which fields are taken for ours.
func (im *importer) identity() {
	if e, ok := im.conf.get("AuthservID"); ok {
		im.setID(e)
	}
	if e, d := im.openSet("RemoveARFrom"); d != nil {
		var ids []string
		for _, r := range d.Records {
			if strings.HasPrefix(r.Key, ".") || strings.Contains(r.Key, "*") {
				im.noteAt(Never, r.Place, e.name, "%s matches no id: ids are compared whole", r.Key)
				continue
			}
			ids = append(ids, r.Key)
		}
		im.removeIDs(e, ids...)
		im.note(Taken, e, "fields that claim %s are removed from strangers' mail", tables.Shorten(ids))
	}
}

// setID takes the authserv-id over.
func (im *importer) setID(e entry) {
	im.id = e.value
	im.out.table("").set("authserv_id", e.value, base(e.place))
	if strings.EqualFold(e.value, "HOSTNAME") {
		im.note(Taken, e, "HOSTNAME is the host's name, as in OpenDKIM")
		return
	}
	im.note(Taken, e, "%s", e.value)
}

// removeIDs adds to the ids whose fields strangers may not bring along.
func (im *importer) removeIDs(e entry, ids ...string) {
	im.removed.ids = append(im.removed.ids, ids...)
	im.removed.from = append(im.removed.from, e.place)
}

// writeRemoved writes them.
func (im *importer) writeRemoved() {
	if ids := im.removed.ids; len(ids) > 0 {
		im.out.table("[authentication_results]").set("remove_ids", ids, sourceOf(im.removed.from))
	}
}

// noID says what stands in for an authserv-id that neither file sets.
func (im *importer) noID() {
	if im.id == "" {
		im.unset(Changed, "AuthservID", "not set: OpenDKIM and OpenDMARC take the MTA's name ({j}), Mailseal the host's; write authserv_id where they differ")
	}
}

// daemon translates bounds, the DNS and the log.
func (im *importer) daemon() {
	im.verifyLimits()
	if e, n, ok := im.conf.number("MaximumHeaders"); ok && n >= 4<<10 && n <= 1<<30 {
		im.out.table("[limits]").set("header_size", n, base(e.place))
		im.note(Taken, e, "%d octets; a larger header is refused with 552", n)
	} else if ok {
		im.note(Changed, e, "limits.header_size is at least 4 KiB and at most 1 GiB: 1 MiB")
	}
	im.dns()
	im.log()
	if e, on := im.conf.yes("RequireSafeKeys"); on {
		im.out.table("").set("require_safe_keys", true, base(e.place))
		im.note(Taken, e, "a key that others can read does not sign; mailseal check says how to mend it")
	} else if e.name != "" {
		im.note(Taken, e, "permissions of keys are a warning, with the command that mends them")
	} else if im.signs() {
		im.unset(Changed, "RequireSafeKeys", "not set: OpenDKIM defers all mail when others can read a key; Mailseal signs, and warns with the command that mends it (require_safe_keys)")
	}
}

func (im *importer) verifyLimits() {
	v := im.out.table("[verify]")
	if e, n, ok := im.conf.number("MinimumKeyBits"); ok {
		if n < 1024 {
			im.note(Changed, e, "1024 is the least (RFC 8301)")
			n = 1024
		} else {
			im.note(Taken, e, "%d", n)
		}
		v.set("min_rsa_bits", min(n, 16384), base(e.place))
	}
	if e, n, ok := im.conf.number("MaximumSignaturesToVerify"); ok && n >= 1 {
		v.set("max_signatures", min(n, 100), base(e.place))
		im.note(Taken, e, "%d; those of the author's domain go first", min(n, 100))
	} else if im.verifies() {
		im.unset(Changed, "MaximumSignaturesToVerify", "not set: 10 signatures of a message are tried, those of the author's domain first, where OpenDKIM tries 3")
	}
	if e, n, ok := im.conf.number("ClockDrift"); ok && n >= 0 {
		v.set("clock_skew", min(time.Duration(n)*time.Second, 24*time.Hour), base(e.place))
		im.note(Taken, e, "%d seconds", n)
	}
}

func (im *importer) dns() {
	t := im.out.table("[dns]")
	if e, n, ok := im.conf.number("DNSTimeout"); ok && n >= 1 && n <= 60 {
		t.set("timeout", time.Duration(n)*time.Second, base(e.place))
		im.note(Taken, e, "%d seconds for a question to a server", n)
	} else if ok {
		im.note(Changed, e, "an answer that never comes must not stop the mail: 5 seconds")
	}
	e, ok := im.conf.get("Nameservers")
	if !ok {
		return
	}
	var servers []string
	for s := range strings.SplitSeq(e.value, ",") {
		s = strings.TrimSpace(s)
		if _, err := netip.ParseAddr(s); err == nil {
			servers = append(servers, s)
		} else {
			im.note(Dropped, e, "%q is no address of a name server", s)
		}
	}
	t.set("servers", servers, base(e.place))
	im.note(Taken, e, "%s", strings.Join(servers, ", "))
}

var facilities = []string{"mail", "daemon", "user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}

func (im *importer) log() {
	if _, on := im.conf.yes("Syslog"); !on {
		return
	}
	facility := "mail"
	if e, ok := im.conf.get("SyslogFacility"); ok {
		if facility = strings.ToLower(e.value); !contains(facilities, facility) {
			im.note(Changed, e, "%s is no facility of Mailseal's: mail", e.value)
			facility = "mail"
		} else {
			im.note(Taken, e, "%s", facility)
		}
	}
	e, _ := im.conf.get("Syslog")
	im.out.table("[log]").set("syslog", facility, base(e.place))
	im.note(Taken, e, "facility %s; one line for each message", facility)
}

func contains(list []string, s string) bool {
	for _, have := range list {
		if have == s {
			return true
		}
	}
	return false
}
