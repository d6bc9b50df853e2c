package rig

import (
	"strings"
	"testing"
)

// Sendmail starts a Sendmail: Debian's own sendmail.mc and submit.mc, contrib/sendmail/sendmail.mc
// and reinject.mc, and what a test needs (ports, whom it may relay for, where it delivers).
func Sendmail(t testing.TB, o Options) *MTA {
	t.Helper()
	m := &MTA{Root: NewRoot(t, "sendmail"), Name: "Sendmail", Sink: o.Sink}
	if m.Sink == nil {
		m.Sink = NewSink(t)
	}
	m.SMTP, m.SMTP6 = FreePort(t, "127.0.0.1"), freePort("::1")
	m.Submission, m.Reinjected = FreePort(t, "127.0.0.1"), FreePort(t, "127.0.0.1")
	m.sendmailFiles()
	m.Write("/etc/mail/sendmail.mc", m.sendmailMC(o))
	submit := m.Read("/usr/share/sendmail/cf/debian/submit.mc")
	m.Write("/etc/mail/submit.mc", swap(t, submit, "\nFEATURE(`msp',",
		"\ndefine(`RELAY_MAILER_ARGS', `TCP $h "+port(m.SMTP)+"')dnl\nFEATURE(`msp',"))
	for _, name := range []string{"sendmail", "submit"} {
		m.Write("/etc/mail/"+name+".cf", m.Run(nil, "/usr/bin/m4", "/etc/mail/"+name+".mc"))
	}
	m.Run([]byte(access), "/usr/libexec/sendmail/makemap", "hash", "/etc/mail/access")
	// A copy without setgid: the kernel would not tell a setgid daemon that the test's process has
	// died.
	m.Install(m.Path("/usr/libexec/sendmail/sendmail"), "/usr/sbin/sendmail-mta")
	m.process = m.Start("/usr/sbin/sendmail-mta", "-bD", "-q5s")
	m.await("starting daemon")
	// the ports are opened after that line, in their order in the file; this is the last
	m.awaitPort(m.Reinjected)
	return m
}

// access takes Debian's pause before the greeting away and lets the host's own address relay.
const access = "GreetPause:127\t0\nGreetPause:IPv6:0:0:0:0:0:0:0:1\t0\n" +
	"Connect:127.0.0.1\tRELAY\nConnect:IPv6:0:0:0:0:0:0:0:1\tRELAY\n"

// sendmailMC is Debian's, with the ports moved and the snippet where it says that it belongs.
func (m *MTA) sendmailMC(o Options) string {
	t := m.t
	ours := snippet(t, "sendmail/sendmail.mc")
	if o.Milter != "" {
		ours = swap(t, ours, "`S=inet:8891@127.0.0.1,", "`S="+milterSocket(o.Milter)+",")
	} else {
		ours = secondChoice(t, ours, "INPUT_MAIL_FILTER(`mailseal'", "dnl ")
	}
	ours += swap(t, snippet(t, "sendmail/reinject.mc"), "Port=10026", "Port="+port(m.Reinjected))
	mc := m.Read("/usr/share/sendmail/cf/debian/sendmail.mc")
	mc = swap(t, mc, "\nDAEMON_OPTIONS(`Family=inet,  Name=MTA-v4, Port=smtp,",
		"\nDAEMON_OPTIONS(`Family=inet,  Name=MTA-v4, Port="+port(m.SMTP)+",")
	mc = swap(t, mc, "\nDAEMON_OPTIONS(`Family=inet,  Name=MSP-v4, Port=submission,",
		"\nDAEMON_OPTIONS(`Family=inet,  Name=MSP-v4, Port="+port(m.Submission)+",")
	if m.SMTP6 != "" {
		mc = swap(t, mc, "\ndnl DAEMON_OPTIONS(`Family=inet6, Name=MTA-v6, Port=smtp,",
			"\nDAEMON_OPTIONS(`Family=inet6, Name=MTA-v6, Port="+port(m.SMTP6)+",")
	}
	return swap(t, mc, "\nMAILER_DEFINITIONS\n", "\n"+ours+m.sendmailTest(o)+"MAILER_DEFINITIONS\n")
}

// milterSocket writes host:port as Sendmail does: inet6 for what is in brackets.
func milterSocket(hostport string) string {
	host, ok := strings.CutPrefix(address(hostport), "[")
	if !ok {
		return "inet:" + port(hostport) + "@" + host
	}
	return "inet6:" + port(hostport) + "@" + strings.TrimSuffix(host, "]")
}

// busy keeps Sendmail serving on a busy machine: by default it queues, and then closes its ports,
// while the load of the host, by whatever process, is above 8 and 12 for each processor.
const busy = "define(`confREFUSE_LA', `10000')dnl\ndefine(`confQUEUE_LA', `10000')dnl\n"

// sendmailTest is what makes it deliver to the sink, without DNS.
func (m *MTA) sendmailTest(o Options) string {
	also := ""
	if o.Also != "" {
		also = "DAEMON_OPTIONS(`Family=inet, Name=MTA-also, Addr=" + address(o.Also) + ", Port=" +
			port(o.Also) + "')dnl\n"
	}
	return also + "define(`confDOMAIN_NAME', `" + Hostname + "')dnl\n" +
		"define(`SMART_HOST', `esmtp:[" + address(m.Sink.Address) + "]')dnl\n" +
		"define(`ESMTP_MAILER_ARGS', `TCP $h " + port(m.Sink.Address) + "')dnl\n" +
		"define(`confDONT_PROBE_INTERFACES', `True')dnl\n" +
		"define(`confCONNECTION_RATE_THROTTLE', `0')dnl\n" +
		"define(`confBAD_RCPT_THROTTLE', `0')dnl\n" +
		busy +
		"define(`confAUTH_MECHANISMS', `PLAIN')dnl\n" +
		"TRUST_AUTH_MECH(`PLAIN')dnl\n" +
		"FEATURE(`nocanonify')dnl\n" +
		"FEATURE(`accept_unresolvable_domains')dnl\n" +
		o.Append
}

// sendmailFiles does what the packages' installation does: directories, permissions, the maps that
// Debian's configuration names, and users for AUTH.
func (m *MTA) sendmailFiles() {
	t := m.t
	t.Helper()
	m.own("/usr/libexec/sendmail/sendmail", 0o2755, "root", "smmsp")
	m.Link("/usr/libexec/sendmail/sendmail", "/usr/sbin/sendmail")
	m.Directory("/var/spool/mqueue", 0o2750, "smmta", "smmsp")
	m.Directory("/var/spool/mqueue-client", 0o2770, "smmsp", "smmsp")
	m.Directory("/var/lib/sendmail", 0o2755, "smmta", "smmsp")
	m.Directory("/var/lib/sendmail/host_status", 0o2775, "root", "smmsp")
	m.Directory("/run/sendmail/mta", 0o2755, "smmta", "smmsp")
	m.Directory("/run/sendmail/msp", 0o2775, "smmsp", "smmsp")
	m.Directory("/run/sendmail/stampdir", 0o2775, "smmsp", "smmsp")
	m.Link("/run", "/var/run")
	m.Write("/etc/mail/service.switch", m.Read("/etc/mail/service.switch-nodns"))
	m.Write("/etc/mail/local-host-names", "")
	m.Write("/etc/mail/relay-domains", "home.example\n")
	m.Write("/etc/mail/trusted-users", "")
	m.Write("/etc/mail/m4/dialup.m4", "")
	m.Write("/etc/mail/m4/provider.m4", "")
	m.Write("/etc/mail/aliases", "")
	m.Write("/etc/sasl2/Sendmail.conf",
		"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN\n")
	m.Run([]byte(Password), "/usr/sbin/saslpasswd2", "-p", "-c", "-u", Hostname, User)
}
