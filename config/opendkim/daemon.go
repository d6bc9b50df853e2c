package opendkim

import (
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"mailseal/config/tables"
	"mailseal/keys"
)

// signs reports whether OpenDKIM signs.
func (im *importer) signs() bool { return strings.Contains(im.modes(), "s") }

// verifies reports whether OpenDKIM verifies.
func (im *importer) verifies() bool { return strings.Contains(im.modes(), "v") }

func (im *importer) modes() string {
	if e, ok := im.conf.get("Mode"); ok {
		return strings.ToLower(e.value)
	}
	return "sv"
}

func (im *importer) mode() {
	e, ok := im.conf.get("Mode")
	im.verified = im.verifies()
	im.verifiesOnly = im.verified && !im.signs()
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
		im.note("mode", e, strings.Join(modes, " and "))
	}
	if im.verifies() && !im.dmarc {
		im.unset("dkim-alone", "Mode")
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
func (im *importer) socket() {
	e, ok := im.conf.get("Socket")
	if !ok {
		im.userDropped()
		program := map[bool]string{true: "OpenDKIM", false: "OpenDMARC"}[im.dkim != nil]
		im.unset("socket-unset", "Socket", program)
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
	im.listener = t
	t.set("address", address, base(e.place))
	im.note("stop-old-daemon", e, daemonName[im.dkim != nil])
	path, isUnix := strings.CutPrefix(address, "unix:")
	if !isUnix || strings.HasPrefix(path, "/run/mailseal/") {
		im.note("socket", e, address)
	} else {
		im.note("socket-unix", e, address)
		im.note("socket-directory", e, filepath.Dir(path), path)
	}
	if !isUnix {
		im.userDropped()
	}
	if isUnix {
		im.socketOwner(t)
	} else if e, ok := im.conf.get("UMask"); ok {
		im.note("umask-without-socket", e)
	}
}

// daemonName is the old service's, by whether there is an opendkim.conf.
var daemonName = map[bool]string{true: "opendkim", false: "opendmarc"}

// userDropped notes that systemd sets the user, if there is no socket for it.
func (im *importer) userDropped() {
	if e, ok := im.conf.get("UserID"); ok {
		im.note("user-by-systemd", e)
	}
}

func (im *importer) socketOwner(t *table) {
	if e, mask, ok := im.conf.number("UMask"); ok {
		mode := fs.FileMode(0o666 &^ mask & 0o777)
		t.set("mode", fmt.Sprintf("%04o", mode), base(e.place))
		im.note("umask", e, mode)
	} else {
		im.unset("umask-unset", "UMask")
	}
	e, ok := im.conf.get("UserID")
	if user, group, both := strings.Cut(e.value, ":"); both {
		t.set("group", group, base(e.place))
		im.note("user-and-group", e, group, user)
	} else if ok {
		im.note("user", e)
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
				im.noteAt("id-pattern", r.Place, e.name, r.Key)
				continue
			}
			ids = append(ids, r.Key)
		}
		im.removeIDs(e, ids...)
		im.note("ids-removed", e, tables.Shorten(ids))
	}
}

// setID takes the authserv-id over.
func (im *importer) setID(e entry) {
	im.id = e.value
	im.out.table("").set("authserv_id", e.value, base(e.place))
	if strings.EqualFold(e.value, "HOSTNAME") {
		im.note("id-hostname", e)
		return
	}
	im.note("id", e, e.value)
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

// noID notes the authserv-id that applies if neither file sets one.
func (im *importer) noID(ofMTA string) {
	switch {
	case im.id != "":
	case ofMTA == "":
		im.unset("id-unknown", "AuthservID")
	default:
		im.out.table("").set("authserv_id", ofMTA, "the MTA's name")
		im.unset("id-unset", "AuthservID", ofMTA)
	}
}

// daemon translates bounds, the DNS and the log.
func (im *importer) daemon() {
	im.verifyLimits()
	im.requiredHeaders()
	if e, n, ok := im.conf.number("MaximumHeaders"); ok && n >= 4<<10 && n <= 1<<30 {
		im.out.table("[limits]").set("header_size", n, base(e.place))
		im.note("header-size", e, n)
	} else if ok {
		im.note("header-size-bounded", e)
	}
	im.dns()
	im.log()
	if e, on := im.conf.yes("RequireSafeKeys"); on {
		im.out.table("").set("require_safe_keys", true, base(e.place))
		im.note("unsafe-keys-refused", e)
	} else if e.name != "" {
		im.note("unsafe-keys-warned", e)
	} else if im.signs() {
		im.unset("unsafe-keys-unset", "RequireSafeKeys")
	}
}

func (im *importer) verifyLimits() {
	v := im.out.table("[verify]")
	if e, n, ok := im.conf.number("MinimumKeyBits"); ok {
		if n < 1024 {
			im.note("key-bits-least", e)
			n = 1024
		} else {
			im.note("key-bits", e, n)
		}
		v.set("min_rsa_bits", min(n, keys.MaxRSABits), base(e.place))
	}
	if e, n, ok := im.conf.number("MaximumSignaturesToVerify"); ok && n >= 1 {
		v.set("max_signatures", min(n, 100), base(e.place))
		im.note("max-signatures", e, min(n, 100))
	} else if im.verifies() {
		im.unset("max-signatures-unset", "MaximumSignaturesToVerify")
	}
	if e, n, ok := im.conf.number("ClockDrift"); ok && n >= 0 {
		v.set("clock_skew", min(time.Duration(n)*time.Second, 24*time.Hour), base(e.place))
		im.note("clock-drift", e, n)
	}
}

// requiredHeaders translates what both programs call RequiredHeaders: mail is refused without a
// From, and when a field that may be there once is there again. Here it is about the author alone.
func (im *importer) requiredHeaders() {
	e, on := im.conf.yes("RequiredHeaders")
	if !on {
		return
	}
	if !im.verifies() && !im.dmarc {
		im.note("required-headers-unjudged", e)
		return
	}
	im.note("required-headers", e)
	if !im.needsAuthor {
		im.needsAuthor = true
		im.out.table("[policy]").set("no_author", "reject", base(e.place))
	}
}

func (im *importer) dns() {
	t := im.out.table("[dns]")
	if e, n, ok := im.conf.number("DNSTimeout"); ok && n >= 1 && n <= 60 {
		t.set("timeout", time.Duration(n)*time.Second, base(e.place))
		im.note("dns-timeout", e, n)
	} else if ok {
		im.note("dns-timeout-bounded", e)
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
			im.note("nameserver-unknown", e, s)
		}
	}
	t.set("servers", servers, base(e.place))
	im.note("nameservers", e, strings.Join(servers, ", "))
}

var facilities = []string{"mail", "daemon", "user", "local0", "local1", "local2", "local3",
	"local4", "local5", "local6", "local7"}

func (im *importer) log() {
	if _, on := im.conf.yes("Syslog"); !on {
		return
	}
	facility := "mail"
	if e, ok := im.conf.get("SyslogFacility"); ok {
		if facility = strings.ToLower(e.value); !contains(facilities, facility) {
			im.note("facility-unknown", e, e.value)
			facility = "mail"
		} else {
			im.note("facility", e, facility)
		}
	}
	e, _ := im.conf.get("Syslog")
	im.out.table("[log]").set("syslog", facility, base(e.place))
	im.note("syslog", e, facility)
}

func contains(list []string, s string) bool {
	for _, have := range list {
		if have == s {
			return true
		}
	}
	return false
}
