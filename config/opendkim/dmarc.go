package opendkim

import (
	"fmt"
	"slices"
	"strings"

	"mailseal/config/tables"
)

// dmarcOptions are all of opendmarc.conf.
var dmarcOptions = []option{
	{"AuthservID", text, ""}, {"AuthservIDWithJobID", boolean, "an id that changes with each message cannot be told from a forged one"},
	{"AutoRestart", boolean, bySystemd}, {"AutoRestartCount", integer, bySystemd}, {"AutoRestartRate", text, bySystemd},
	{"Background", boolean, bySystemd}, {"BaseDirectory", text, bySystemd}, {"ChangeRootDirectory", text, bySystemd},
	{"CopyFailuresTo", text, "no recipient is added; policy.dmarc can hold the message"}, {"DNSTimeout", integer, ""},
	{"DomainWhitelist", text, ""}, {"DomainWhitelistFile", text, ""}, {"DomainWhitelistSize", integer, noKnob},
	{"EnableCoredumps", boolean, bySystemd}, {"FailureReports", boolean, noSpool}, {"FailureReportsBcc", text, noSpool},
	{"FailureReportsOnNone", boolean, noSpool}, {"FailureReportsSentBy", text, noSpool}, {"ForensicReports", boolean, noSpool},
	{"ForensicReportsBcc", text, noSpool}, {"ForensicReportsOnNone", boolean, noSpool}, {"ForensicReportsSentBy", text, noSpool},
	{"HistoryFile", text, "no records for aggregate reports are kept"}, {"RecordAllMessages", boolean, "no records for aggregate reports are kept"},
	{"HoldQuarantinedMessages", boolean, ""}, {"IgnoreAuthenticatedClients", boolean, ""}, {"IgnoreHosts", text, ""}, {"IgnoreMailFrom", text, ""},
	{"MilterDebug", integer, "log.level = \"debug\" and mailseal mta show what is said"}, {"PidFile", text, bySystemd},
	{"PublicSuffixList", text, ""}, {"RejectFailures", boolean, ""}, {"RejectMultiValueFrom", boolean, ""},
	{"ReportCommand", text, noSpool}, {"RequiredHeaders", boolean, ""},
	{"Socket", text, ""}, {"SoftwareHeader", boolean, "a field that nobody reads"},
	{"SPFIgnoreResults", boolean, ""}, {"SPFSelfValidate", boolean, ""}, {"Syslog", boolean, ""}, {"SyslogFacility", text, ""},
	{"TestDNSData", text, "mailseal verify --zone does that"}, {"TrustedAuthservIDs", text, ""}, {"UMask", integer, ""}, {"UserID", text, ""},
}

const noSpool = "failure reports carry other people's mail to strangers; Mailseal sends none"

// importDMARC goes through what opendmarc.conf can say.
func (im *importer) importDMARC(o Options) {
	c, err := readConf(im.files, o.DMARC, dmarcOptions)
	if err != nil {
		im.fail(place{}, err)
		return
	}
	alone := im.conf == nil
	im.conf, im.dir = c, "/"
	im.unknownOptions("OpenDMARC")
	if alone {
		im.out.table("").set("mode", []string{"verify"}, "opendmarc only")
		im.socket("")
		im.log()
		im.dns()
	} else {
		im.oneDaemon()
	}
	im.dmarcID()
	im.dmarcPolicy()
	im.dmarcIgnored()
	im.dmarcTrust()
	im.droppedOptions()
}

// oneDaemon leaves what one daemon has once to opendkim.conf, if that says something.
func (im *importer) oneDaemon() {
	if e, ok := im.conf.get("Socket"); ok {
		im.note(Dropped, e, "one daemon does both now, and listens where opendkim.conf says")
		im.note(Todo, e, "take this milter out of the MTA's list (smtpd_milters, non_smtpd_milters; INPUT_MAIL_FILTER), and systemctl disable --now opendmarc")
	}
	for _, name := range []string{"UMask", "UserID"} {
		if e, ok := im.conf.get(name); ok {
			im.note(Dropped, e, "one daemon does both now: what opendkim.conf says of the socket holds")
		}
	}
	for name, take := range map[string]func(){"Syslog": im.log, "DNSTimeout": im.dns} {
		e, ok := im.conf.get(name)
		_, set := im.dkim.get(name)
		switch {
		case ok && set:
			im.note(Dropped, e, "one daemon does both now: what opendkim.conf says holds")
		case ok:
			take()
		}
	}
	if e, ok := im.conf.get("SyslogFacility"); ok {
		if _, set := im.dkim.get("Syslog"); set {
			im.note(Dropped, e, "one daemon does both now: what opendkim.conf says holds")
		}
	}
}

func (im *importer) dmarcID() {
	e, ok := im.conf.get("AuthservID")
	switch {
	case !ok:
	case im.id == "":
		im.setID(e)
	case !strings.EqualFold(im.id, e.value):
		im.otherID(e)
	default:
		im.note(Taken, e, "the same id as in opendkim.conf")
	}
	if e, ok := im.conf.get("TrustedAuthservIDs"); ok {
		im.note(Changed, e, "Mailseal verifies itself and believes no field: strangers can write one with any of these ids")
	}
	for _, name := range []string{"SPFSelfValidate", "SPFIgnoreResults"} {
		if e, ok := im.conf.get(name); ok {
			im.note(Changed, e, "Mailseal always checks SPF itself")
		}
	}
}

// otherID settles a conflict: OpenDKIM's id counts, and OpenDMARC's belongs to nobody else.
func (im *importer) otherID(e entry) {
	if strings.EqualFold(e.value, "HOSTNAME") {
		im.note(Changed, e, "there is one field with one id, opendkim.conf's %s; write the host's name into authentication_results.remove_ids, so that strangers cannot use it", im.id)
		return
	}
	im.removeIDs(e, e.value)
	im.note(Changed, e, "there is one field with one id, opendkim.conf's %s; strangers' fields that claim %s are removed too", im.id, e.value)
}

func (im *importer) dmarcPolicy() {
	t := im.out.table("[policy.dmarc]")
	reject, hold := "accept", "accept"
	e, on := im.conf.yes("RejectFailures")
	if on {
		reject = "reject"
	}
	t.set("p_reject", reject, im.from2(e))
	im.note(Taken, named(e, "RejectFailures"), "mail that fails where the author's domain asks for rejection: %s", reject)
	if e, on = im.conf.yes("HoldQuarantinedMessages"); on {
		hold = "hold"
	}
	t.set("p_quarantine", hold, im.from2(e))
	im.note(Taken, named(e, "HoldQuarantinedMessages"), "mail that fails where the domain asks for quarantine: %s", hold)
	t.set("temperror", "tempfail", "OpenDMARC's way")
	im.unset(Taken, "", "OpenDMARC defers mail whose policy cannot be looked up, and so does policy.dmarc.temperror")
	p := im.out.table("[policy]")
	if e, on := im.conf.yes("RejectMultiValueFrom"); on {
		p.set("many_authors", "reject", base(e.place))
		im.note(Taken, e, "a From of several domains is rejected")
	}
	if e, on := im.conf.yes("RequiredHeaders"); on {
		p.set("no_author", "reject", base(e.place))
		im.note(Changed, e, "mail without a From that can be read is rejected; other fields are not counted")
	}
	if e, ok := im.conf.get("PublicSuffixList"); ok {
		im.out.table("[verify]").set("organizational_domain", "psl", base(e.place))
		im.note(Changed, e, "the list is the one in Mailseal, not this file; \"walk\" (RFC 9989) needs none")
	} else {
		im.unset(Changed, "PublicSuffixList", "not set: OpenDMARC then takes each domain for itself; Mailseal finds the organizational domain in the DNS (RFC 9989)")
	}
}

// named is e, or what stands for it when it is not set.
func named(e entry, name string) entry {
	e.name = name
	return e
}

func (im *importer) from2(e entry) string {
	if e.File == "" {
		return "OpenDMARC's default"
	}
	return base(e.place)
}

// dmarcIgnored translates what OpenDMARC does not look at.
func (im *importer) dmarcIgnored() {
	if e, ok := im.conf.get("IgnoreHosts"); ok {
		im.ignoreHosts(e)
	}
	if e, ok := im.conf.get("IgnoreMailFrom"); ok {
		var names []string
		for s := range strings.SplitSeq(e.value, ",") {
			name := strings.ToLower(strings.TrimSpace(s))
			switch {
			case tables.IsDomain(name):
				names = append(names, name)
			case tables.IsDomain(strings.TrimPrefix(name, ".")):
				im.note(Never, e, "%s never matched: the author's whole domain is compared. Add it to author_domains if you mean it", name)
			default:
				im.note(Never, e, "%q is no domain", s)
			}
		}
		if len(names) > 0 {
			t := im.out.add("[[policy.override]]", base(e.place)+" IgnoreMailFrom")
			t.set("author_domains", names, "")
			t.lines = append(t.lines, `dmarc = { p_reject = "accept", p_quarantine = "accept", p_none = "accept", permerror = "accept", temperror = "accept" }`)
			im.note(Taken, e, "DMARC does nothing to mail from %s; its result is written", tables.Shorten(names))
		}
	}
	if e, on := im.conf.yes("IgnoreAuthenticatedClients"); on {
		im.note(Taken, e, "mail of users who have logged in is ours, and never judged")
	} else {
		im.noteAt(Changed, e.place, "IgnoreAuthenticatedClients", "not on: mail of users who have logged in is ours all the same, and not judged by DMARC")
	}
}

func (im *importer) ignoreHosts(e entry) {
	text, err := im.files.Read(e.value)
	if err != nil {
		im.fail(e.place, fmt.Errorf("IgnoreHosts: %w", err))
		return
	}
	s := readHosts(tables.Parse(e.value, text), im.teller(e))
	nets := s.networks()
	if len(nets) > 0 {
		im.out.table("[policy.not_judged]").set("networks", nets, base(e.place))
	}
	im.note(Changed, e, "mail from %s is judged without consequence; its results are written all the same", count(len(nets), "network"))
	if len(s.names) > 0 {
		im.note(Dropped, e, "names of clients (%s): policy.not_judged knows addresses only. Add theirs", tables.Shorten(s.names))
	}
}

// dmarcTrust translates whose ARC seals are believed.
func (im *importer) dmarcTrust() {
	var good []string
	var from []place
	take := func(e entry, names []string) {
		var mine []string
		for _, n := range names {
			if n = strings.ToLower(strings.TrimSpace(n)); tables.IsDomain(n) {
				mine = append(mine, n)
			} else {
				im.note(Never, e, "%q is no domain", n)
			}
		}
		good, from = append(good, mine...), append(from, e.place)
		im.note(Changed, e, "%s: believed when the last ARC seal of a chain that holds is theirs and says that the message had passed DMARC", tables.Shorten(mine))
	}
	if e, ok := im.conf.get("DomainWhitelist"); ok {
		take(e, strings.Split(e.value, ","))
	}
	if e, ok := im.conf.get("DomainWhitelistFile"); ok {
		text, err := im.files.Read(e.value)
		if err != nil {
			im.fail(e.place, fmt.Errorf("DomainWhitelistFile: %w", err))
			return
		}
		take(e, tables.Parse(e.value, text).Keys())
	}
	slices.Sort(good)
	if good = slices.Compact(good); len(good) > 0 {
		im.out.table("[verify]").set("trusted_sealers", good, sourceOf(from))
	}
}
