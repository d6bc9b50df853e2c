package opendkim

import (
	"fmt"
	"slices"
	"strings"

	"mailseal/config/tables"
)

// dmarcOptions are all of opendmarc.conf.
var dmarcOptions = []option{
	{"AuthservID", text, ""},
	{"AuthservIDWithJobID", boolean, "an id that changes with each message cannot be distinguished from a forged one"},
	{"AutoRestart", boolean, bySystemd}, {"AutoRestartCount", integer, bySystemd}, {"AutoRestartRate", text, bySystemd},
	{"Background", boolean, bySystemd}, {"BaseDirectory", text, bySystemd}, {"ChangeRootDirectory", text, bySystemd},
	{"CopyFailuresTo", text, "no recipient is added; policy.dmarc can hold the message"}, {"DNSTimeout", integer, ""},
	{"DomainWhitelist", text, ""}, {"DomainWhitelistFile", text, ""}, {"DomainWhitelistSize", integer, noKnob},
	{"EnableCoredumps", boolean, bySystemd}, {"FailureReports", boolean, noSpool}, {"FailureReportsBcc", text, noSpool},
	{"FailureReportsOnNone", boolean, noSpool},
	{"FailureReportsSentBy", text, noSpool},
	{"ForensicReports", boolean, noSpool},
	{"ForensicReportsBcc", text, noSpool},
	{"ForensicReportsOnNone", boolean, noSpool},
	{"ForensicReportsSentBy", text, noSpool},
	{"HistoryFile", text, "no records for aggregate reports are kept"},
	{"RecordAllMessages", boolean, "no records for aggregate reports are kept"},
	{"HoldQuarantinedMessages", boolean, ""},
	{"IgnoreAuthenticatedClients", boolean, ""},
	{"IgnoreHosts", text, ""},
	{"IgnoreMailFrom", text, ""},
	{"MilterDebug", integer, "log.level = \"debug\" and mailseal mta show the protocol"}, {"PidFile", text, bySystemd},
	{"PublicSuffixList", text, ""}, {"RejectFailures", boolean, ""}, {"RejectMultiValueFrom", boolean, ""},
	{"ReportCommand", text, noSpool}, {"RequiredHeaders", boolean, ""},
	{"Socket", text, ""}, {"SoftwareHeader", boolean, "a field that no program reads"},
	{"SPFIgnoreResults", boolean, ""},
	{"SPFSelfValidate", boolean, ""},
	{"Syslog", boolean, ""},
	{"SyslogFacility", text, ""},
	{"TestDNSData", text, "mailseal verify --zone does that"},
	{"TrustedAuthservIDs", text, ""},
	{"UMask", integer, ""},
	{"UserID", text, ""},
}

const noSpool = "failure reports carry other people's mail to strangers; Mailseal sends none"

// importDMARC goes through what opendmarc.conf can say.
func (im *importer) importDMARC(o Options) {
	c, err := readConf(im.files, o.DMARC, dmarcOptions)
	if err != nil {
		im.fail(place{}, belowRoot(o, err))
		return
	}
	alone := im.conf == nil
	im.conf, im.dir = c, "/"
	im.unknownOptions("OpenDMARC")
	im.startup(openDMARC, "")
	if alone {
		im.out.table("").set("mode", []string{"verify"}, "opendmarc only")
		im.socket()
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
		im.note("dmarc-socket-dropped", e)
		im.note("dmarc-remove-milter", e)
	}
	for _, name := range []string{"UMask", "UserID"} {
		if e, ok := im.conf.get(name); ok {
			im.note("dmarc-socket-beside", e)
		}
	}
	for name, take := range map[string]func(){"Syslog": im.log, "DNSTimeout": im.dns} {
		e, ok := im.conf.get(name)
		_, set := im.dkim.get(name)
		switch {
		case ok && set:
			im.note("dmarc-beside", e)
		case ok:
			take()
		}
	}
	if e, ok := im.conf.get("SyslogFacility"); ok {
		if _, set := im.dkim.get("Syslog"); set {
			im.note("dmarc-beside", e)
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
		im.note("dmarc-same-id", e)
	}
	if e, ok := im.conf.get("TrustedAuthservIDs"); ok {
		im.note("dmarc-trusted-ids", e)
	}
	for _, name := range []string{"SPFSelfValidate", "SPFIgnoreResults"} {
		if e, ok := im.conf.get(name); ok {
			im.note("dmarc-spf-itself", e)
		}
	}
}

// otherID settles a conflict: OpenDKIM's id counts, and OpenDMARC's belongs to no other.
func (im *importer) otherID(e entry) {
	if strings.EqualFold(e.value, "HOSTNAME") {
		im.note("dmarc-one-id", e, im.id)
		return
	}
	im.removeIDs(e, e.value)
	im.note("dmarc-one-id-removed", e, im.id, e.value)
}

func (im *importer) dmarcPolicy() {
	t := im.out.table("[policy.dmarc]")
	reject, hold := "accept", "accept"
	e, on := im.conf.yes("RejectFailures")
	if on {
		reject = "reject"
	}
	t.set("p_reject", reject, im.from2(e))
	im.note("dmarc-reject", named(e, "RejectFailures"), reject)
	if e, on = im.conf.yes("HoldQuarantinedMessages"); on {
		hold = "hold"
	}
	t.set("p_quarantine", hold, im.from2(e))
	im.note("dmarc-hold", named(e, "HoldQuarantinedMessages"), hold)
	t.set("temperror", "tempfail", "OpenDMARC's way")
	im.unset("dmarc-temperror", "")
	p := im.out.table("[policy]")
	if e, on := im.conf.yes("RejectMultiValueFrom"); on {
		p.set("many_authors", "reject", base(e.place))
		im.note("dmarc-several-domains", e)
	}
	im.requiredHeaders()
	if e, ok := im.conf.get("PublicSuffixList"); ok {
		im.out.table("[verify]").set("organizational_domain", "psl", base(e.place))
		im.note("dmarc-suffix-list", e)
	} else {
		im.unset("dmarc-suffix-list-unset", "PublicSuffixList")
	}
}

// named returns e under another name.
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
	} else if im.verifiesOnly { // else 127.0.0.1 is ours, and not judged
		im.out.table("[policy.not_judged]").set("networks", []string{"127.0.0.1"},
			"OpenDMARC's default")
		im.unset("dmarc-not-judged-unset", "IgnoreHosts")
	}
	if e, ok := im.conf.get("IgnoreMailFrom"); ok {
		var names []string
		for s := range strings.SplitSeq(e.value, ",") {
			name := strings.ToLower(strings.TrimSpace(s))
			switch {
			case tables.IsDomain(name):
				names = append(names, name)
			case tables.IsDomain(strings.TrimPrefix(name, ".")):
				im.note("dmarc-ignore-parent", e, name)
			default:
				im.note("not-a-domain", e, s)
			}
		}
		if len(names) > 0 {
			t := im.out.add("[[policy.override]]", base(e.place)+" IgnoreMailFrom")
			t.set("author_domains", names, "")
			t.lines = append(t.lines, `dmarc = { p_reject = "accept", p_quarantine = "accept", `+
				`p_none = "accept", permerror = "accept", temperror = "accept" }`)
			im.note("dmarc-ignore", e, tables.Shorten(names))
		}
	}
	if e, on := im.conf.yes("IgnoreAuthenticatedClients"); on {
		im.note("dmarc-authenticated", e)
	} else if im.verifiesOnly {
		im.noteAt("dmarc-authenticated-judged", e.place, "IgnoreAuthenticatedClients")
	} else {
		im.noteAt("dmarc-authenticated-unset", e.place, "IgnoreAuthenticatedClients")
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
	im.note("dmarc-not-judged", e, count(len(nets), "network"))
	if len(s.names) > 0 {
		im.note("dmarc-not-judged-names", e, tables.Shorten(s.names))
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
				im.note("not-a-domain", e, n)
			}
		}
		good, from = append(good, mine...), append(from, e.place)
		im.note("dmarc-trusted-sealers", e, tables.Shorten(mine))
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
