package rig

import (
	"io/fs"
	"net"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Postfix starts a Postfix: Debian's own main.cf and master.cf, contrib/postfix/main.cf and
// master.cf, and what a test needs (ports, whom it may relay for, where it delivers).
func Postfix(t testing.TB, o Options) *MTA {
	t.Helper()
	m := &MTA{Root: NewRoot(t, "postfix"), Name: "Postfix", Sink: o.Sink}
	if m.Sink == nil {
		m.Sink = NewSink(t)
	}
	m.SMTP, m.SMTP6 = FreePort(t, "127.0.0.1"), freePort("::1")
	m.Submission, m.Reinjected = FreePort(t, "127.0.0.1"), FreePort(t, "127.0.0.1")
	main, master := m.mainCF(o), m.masterCF(o)+o.Services
	if o.Edit != nil {
		main, master = o.Edit(m, main, master)
	}
	m.Write("/etc/postfix/main.cf", main)
	m.Write("/etc/postfix/master.cf", master)
	m.Write("/etc/postfix/dynamicmaps.cf", m.Read("/usr/share/postfix/dynamicmaps.cf"))
	m.postfixFiles("/var/spool/postfix", "/var/lib/postfix")
	serveSASL(t, m.Path("/var/spool/postfix/private/auth"))
	m.process = start(t, m.Command("/usr/lib/postfix/sbin/master"), StartOptions{OwnSession: true})
	m.await("daemon started") // all its ports are open by then
	return m
}

func (m *MTA) mainCF(o Options) string {
	ours := snippet(m.t, "postfix/main.cf")
	if o.Milter != "" {
		ours = swap(m.t, ours, "inet:127.0.0.1:8891,", "inet:"+o.Milter+",")
	} else {
		ours = secondChoice(m.t, ours, "mailseal = ", "#")
	}
	interfaces := "inet_interfaces = 127.0.0.1, [::1]"
	if m.SMTP6 == "" {
		interfaces = "inet_interfaces = 127.0.0.1\ninet_protocols = ipv4"
	}
	return m.Read("/usr/share/postfix/main.cf.debian") + ours + `
myhostname = ` + Hostname + `
` + interfaces + `
mydestination =
alias_maps =
mynetworks = 127.0.0.1/32, [::1]/128
relay_domains = home.example
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
relay_transport = smtp:` + nexthop(m.Sink.Address) + `
default_transport = smtp:` + nexthop(m.Sink.Address) + `
smtp_dns_support_level = disabled
smtpd_client_connection_rate_limit = 0
smtpd_error_sleep_time = 0
maximal_backoff_time = 5s
minimal_backoff_time = 5s
queue_run_delay = 5s
` + o.Append
}

// masterCF is Debian's, with the ports moved, and the services of the snippet.
func (m *MTA) masterCF(o Options) string {
	debian := m.Read("/usr/share/postfix/master.cf.dist")
	ours := snippet(m.t, "postfix/master.cf")
	smtpd := "smtp      inet  n       -       y       -       -       smtpd"
	services := strings.Replace(smtpd, "smtp ", m.SMTP+" ", 1)
	if o.Also != "" {
		services += "\n" + strings.Replace(smtpd, "smtp ", o.Also+" ", 1)
	}
	if m.SMTP6 != "" {
		services += "\n" + strings.Replace(smtpd, "smtp ", m.SMTP6+" ", 1)
	}
	all := swap(m.t, debian, smtpd, services) +
		swap(m.t, swap(m.t, ours, "\nsubmission inet", "\n"+m.Submission+" inet"),
			"\n127.0.0.1:10026 inet", "\n"+m.Reinjected+" inet")
	if o.Unchrooted {
		all = regexp.MustCompile(`(?m)^(\S+\s+(?:inet|unix)\s+\S+\s+\S+\s+)y(\s.*(?:smtpd|cleanup))$`).ReplaceAllString(
			all, "${1}n${2}")
	}
	return all
}

// postfixFiles does what the package's installation does: directories and permissions as the
// package's own list has them, and the files that Debian copies into the chroot.
func (m *MTA) postfixFiles(queue, data string) {
	t := m.t
	t.Helper()
	names := strings.NewReplacer("$queue_directory", queue, "$data_directory", data,
		"$config_directory", "/etc/postfix", "$command_directory", "/usr/sbin", "$mail_owner",
		"postfix",
		"$setgid_group", "postdrop")
	for line := range strings.Lines(m.Read("/etc/postfix/postfix-files")) {
		f := strings.Split(strings.TrimSpace(names.Replace(line)), ":")
		if len(f) < 5 || strings.HasPrefix(line, "#") || strings.Contains(f[0], "$") {
			continue
		}
		mode, err := strconv.ParseUint(f[4], 8, 32)
		if err != nil {
			t.Fatalf("postfix-files: %s", line)
		}
		group := f[3]
		if group == "-" {
			group = "root"
		}
		switch {
		case f[1] == "d":
			m.Directory(f[0], fs.FileMode(mode), f[2], group)
		case group == "postdrop": // the two programs that run with their group's rights
			m.own(f[0], fs.FileMode(mode), f[2], group)
		}
	}
	for _, name := range []string{"hosts", "nsswitch.conf", "resolv.conf", "services",
		"host.conf"} {
		m.Write(path.Join(queue, "etc", name), m.Read("/etc/"+name))
	}
}

// instance is one more Postfix on the host of an MTA, with a configuration and a queue of its own,
// as postmulti(1) has it.
type instance struct {
	name    string
	process *Process
}

// Instance starts one more Postfix, whose files are in /etc/NAME and /var/spool/NAME. The main.cf
// must name these as queue_directory and data_directory (/var/lib/NAME).
func (m *MTA) Instance(name, main, master string) {
	m.t.Helper()
	m.Write("/etc/"+name+"/main.cf", main)
	m.Write("/etc/"+name+"/master.cf", master)
	m.Write("/etc/"+name+"/dynamicmaps.cf", m.Read("/usr/share/postfix/dynamicmaps.cf"))
	m.postfixFiles("/var/spool/"+name, "/var/lib/"+name)
	serveSASL(m.t, m.Path("/var/spool", name, "private/auth"))
	i := &instance{name: name}
	i.start(m)
	m.instances = append(m.instances, i)
}

func (i *instance) start(m *MTA) {
	command := m.Command("/usr/lib/postfix/sbin/master", "-c", "/etc/"+i.name)
	i.process = start(m.t, command, StartOptions{OwnSession: true})
}

// restart starts the instance again with the files as they are now.
func (i *instance) restart(m *MTA) {
	i.process.Stop() // a signal ends it, which is an error to the package os/exec
	i.start(m)
}

// nexthop writes host:port as Postfix wants a destination without MX lookup.
func nexthop(address string) string {
	host, port, _ := net.SplitHostPort(address)
	return "[" + host + "]:" + port
}
