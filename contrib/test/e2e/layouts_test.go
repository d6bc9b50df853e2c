package e2e

import (
	"database/sql"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
)

// layout is a host as people have it: a mail server with what stands beside it.
type layout struct {
	name  string
	start startMTA
	o     rig.Options

	// changes the host before the daemon starts; may be nil
	prepare  func(t *testing.T, s *site)
	settings func(s *site, config string) string // changes mailseal.toml; may be nil
	// sends more mail after everything was done; may be nil
	also func(t *testing.T, s *site)
	// a content filter of the host, whose address the options name
	filter *rig.Sink
	want   []string // parts of the lines that are printed
}

// beside is where a milter of another program has its socket in the queue directory.
func beside(s *site, name string) string {
	return s.Path("/var/spool/postfix", name, name+".sock")
}

// startOther starts another milter, whose socket is in the queue directory. OpenDKIM stands in for
// rspamd.
func startOther(t *testing.T, s *site, name string) {
	t.Helper()
	s.Directory("/var/spool/postfix/"+name, 0o755, "root", "root")
	socket := "unix:" + beside(s, name)
	lines := []string{"UMask 000", "AuthservID old.home.example"}
	if name == "opendmarc" {
		rig.StartOpenDMARC(t, socket, lines...)
		return
	}
	// it asks no DNS then
	rig.StartOpenDKIM(t, socket, append(lines, "Mode v", "PeerList 0.0.0.0/0")...)
}

// unchrooted runs the service of a port without chroot.
func unchrooted(master, port string) string {
	return regexp.MustCompile(`(?m)^(`+regexp.QuoteMeta(port)+` inet n - )y`).ReplaceAllString(
		master, "${1}n")
}

// withOptions gives the service of a port options.
func withOptions(master, port string, options ...string) string {
	line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(port) + `\s+inet\s.*$`)
	return line.ReplaceAllStringFunc(master, func(service string) string {
		return service + "\n  -o " + strings.Join(options, "\n  -o ")
	})
}

func layouts(t *testing.T) []layout {
	handBack := rig.FreePort(t, local) // where the content filters hand mail back
	filter := rig.NewFilter(t, func(d rig.Delivery) error { return rig.Forward(handBack, d) })
	var listServer string
	list := rig.NewFilter(t, func(d rig.Delivery) error {
		data := regexp.MustCompile("(?m)^From: .*\r$").ReplaceAll(d.Data,
			[]byte("From: The List <list@home.example>\r"))
		return rig.Forward(listServer, rig.Delivery{From: "list@home.example",
			To: []string{"member@elsewhere.example"}, Data: data})
	})
	return []layout{
		{name: "two chroots", start: rig.Postfix,
			o: rig.Options{
				Append: "smtpd_milters = unix:/run/mailseal/mailseal.sock\nnon_smtpd_milters = $smtpd_milters\n",
				Edit: func(m *rig.MTA, main, master string) (string, string) {
					return main, unchrooted(master, m.Submission)
				}},
			prepare: func(_ *testing.T, s *site) { s.Directory("/run/mailseal", 0o755, "root", "root") },
			settings: func(s *site, config string) string {
				return strings.Replace(config, s.MilterSocket(), "/run/mailseal/mailseal.sock", 1)
			},
			want: []string{"another [[listen]]"}},

		{name: "a second instance", start: rig.Postfix,
			o: rig.Options{Edit: func(m *rig.MTA, main, master string) (string, string) {
				m.Submission = "" // it is the second instance's
				return main + "multi_instance_directories = /etc/postfix-out\n", master
			}},
			prepare: func(t *testing.T, s *site) {
				s.Submission = rig.FreePort(t, local)
				main := strings.NewReplacer("/var/spool/postfix",
					"/var/spool/postfix-out").Replace(s.Read("/etc/postfix/main.cf"))
				main = regexp.MustCompile(`(?m)^(multi_instance_directories|smtpd_milters|non_smtpd_milters) .*\n(?:[ \t].*\n)*`).
					ReplaceAllString(main, "")
				main += "queue_directory = /var/spool/postfix-out\ndata_directory = /var/lib/postfix-out\n" +
					"multi_instance_name = postfix-out\nmulti_instance_enable = yes\n"
				master := regexp.MustCompile(`(?m)^127\.0\.0\.1:\d+ +inet.*\n(?:[ \t#].*\n)*|^\[::1\].*\n`).
					ReplaceAllString(s.Read("/etc/postfix/master.cf"), "")
				s.Instance("postfix-out", main, master+s.Submission+" inet n - y - - smtpd\n"+
					"  -o smtpd_sasl_auth_enable=yes\n  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject\n")
			},
			want: []string{"smtpd_milters = "}},

		{name: "amavis after the queue", start: rig.Postfix, filter: filter,
			o: rig.Options{
				Append:   "content_filter = smtp:[127.0.0.1]:" + portOf(filter.Address) + "\n",
				Services: handBack + " inet n - n - - smtpd\n  -o content_filter=\n"},
			want: []string{"no_milters"}},

		{name: "amavis before the queue", start: rig.Postfix, filter: filter,
			o: rig.Options{
				Services: handBack + " inet n - n - - smtpd\n  -o smtpd_authorized_xforward_hosts=127.0.0.0/8\n",
				Edit: func(m *rig.MTA, main, master string) (string, string) {
					master = withOptions(master, m.SMTP, "smtpd_proxy_filter="+filter.Address)
					if m.SMTP6 != "" {
						master = withOptions(master, m.SMTP6, "smtpd_proxy_filter="+filter.Address)
					}
					return main, master
				}},
			want: []string{"-o smtpd_proxy_filter=", "-o content_filter=smtp:"}},

		{name: "rspamd beside", start: rig.Postfix,
			o: rig.Options{Append: "smtpd_milters = unix:rspamd/rspamd.sock, " +
				"$mailseal\nnon_smtpd_milters = $smtpd_milters\n" +
				"milter_default_action = accept\n"},
			prepare: func(t *testing.T, s *site) { startOther(t, s, "rspamd") },
			want:    []string{"smtpd_milters = $mailseal, unix:rspamd/rspamd.sock"}},

		{name: "Mailman on the host", start: rig.Postfix, filter: list,
			o: rig.Options{Edit: func(m *rig.MTA, main, master string) (string, string) {
				listServer = m.SMTP
				return main + "transport_maps = inline:{list@home.example=smtp:[127.0.0.1]:" +
						portOf(list.Address) + "}\n" +
						"smtpd_milters = unix:opendkim/opendkim.sock, $mailseal\nnon_smtpd_milters = $smtpd_milters\n",
					master
			}},
			prepare: func(t *testing.T, s *site) { startOther(t, s, "opendkim") },
			also: func(t *testing.T, s *site) {
				c := s.Dial(t, stranger)
				c.Deliver(mail("a@stranger.example", "list@home.example"))
				c.Quit()
				s.signedByUs(t, s.Sink.To(t, "member@elsewhere.example"))
			},
			want: []string{"smtpd_milters = $mailseal\n"}},

		{name: "containers with networks of their own", start: rig.Postfix,
			o: rig.Options{Append: "mynetworks = 127.0.0.1/32, [::1]/128, 172.20.0.0/16, " +
				"10.99.0.0/24, 172.20.0.0/16\n" +
				"milter_default_action = accept\n"},
			settings: func(_ *site, config string) string {
				return strings.Replace(config, `networks = ["127.0.0.1"]`,
					`networks = ["0.0.0.0/0"]`, 1)
			},
			want: []string{`networks = ["127.0.0.1", "172.20.0.0/16", "10.99.0.0/24"]`}},

		{name: "a host with OpenDMARC", start: rig.Postfix,
			o: rig.Options{Append: "milter_default_action = accept\nmilter_protocol = 2\n" +
				"smtpd_milters = local:opendkim/opendkim.sock,local:opendmarc/opendmarc.sock\n" +
				"non_smtpd_milters = local:opendkim/opendkim.sock\n"},
			prepare: func(t *testing.T, s *site) {
				startOther(t, s, "opendkim")
				startOther(t, s, "opendmarc")
			},
			want: []string{"smtpd_milters = ", "non_smtpd_milters = ", "milter_protocol = 6"}},

		{name: "a hoster with SQL tables", start: rig.Postfix,
			o: rig.Options{
				Append: "rspamd = unix:rspamd/rspamd.sock\nsmtpd_milters = $rspamd, " +
					"$mailseal\nnon_smtpd_milters = $rspamd, $mailseal\n" +
					"milter_default_action = accept\n",
				Edit: func(m *rig.MTA, main, master string) (string, string) {
					return main, withOptions(master, m.Submission,
						"receive_override_options=no_address_mappings,no_milters")
				}},
			prepare:  func(t *testing.T, s *site) { startOther(t, s, "rspamd"); keysInDatabase(t, s) },
			settings: func(_ *site, config string) string { return fromDatabase(config) },
			want: []string{"-o receive_override_options=no_address_mappings\n",
				"smtpd_milters = $mailseal, $rspamd"}},

		{name: "Sendmail without submit.cf", start: rig.Sendmail,
			prepare: func(t *testing.T, s *site) {
				if err := os.Remove(s.Path("/etc/mail/submit.cf")); err != nil {
					t.Fatal(err)
				}
			},
			also: func(t *testing.T, s *site) {
				s.Run([]byte("From: alice@home.example\nSubject: local\n\nhello\n"),
					"/usr/sbin/sendmail", "-f", "alice@home.example", "local@elsewhere.example")
				s.signedByUs(t, s.Sink.To(t, "local@elsewhere.example"))
			},
			want: []string{"submit.cf"}},
	}
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// keysInDatabase puts the site's keys into a file of SQLite.
func keysInDatabase(t *testing.T, s *site) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(statement string, args ...any) {
		if _, err := db.Exec(statement, args...); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	exec("CREATE TABLE dkim (id TEXT, domain TEXT, selector TEXT, private TEXT)")
	for _, selector := range []string{"ed", "rsa"} {
		text, err := os.ReadFile(s.key(selector))
		if err != nil {
			t.Fatal(err)
		}
		exec("INSERT INTO dkim VALUES (?, 'home.example', ?, ?)", selector, selector, string(text))
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.File("/etc/mailseal/keys.db", text, 0o600, "root", "root")
}

// fromDatabase takes keys and rules from the database instead.
func fromDatabase(config string) string {
	at := strings.Index(config, "[keys.")
	return config[:at] + `[sources.hosting]
driver = "sqlite"
dsn = "/etc/mailseal/keys.db"
key_query = "SELECT domain, selector, private FROM dkim WHERE id = $1"
signing_query = "SELECT id FROM dkim WHERE domain = $1 ORDER BY id"

[[sign]]
source = "hosting"
`
}

// TestRemediesOnLayouts does what check prints about hosts as people have them. The mail server
// then starts and passes a mail each way, signed or judged once; a second check finds nothing that
// can be mended.
func TestRemediesOnLayouts(t *testing.T) {
	for _, l := range layouts(t) {
		t.Run(l.name, func(t *testing.T) {
			s := prepare(t, l.start, l.o)
			if l.prepare != nil {
				l.prepare(t, s)
			}
			if l.settings != nil {
				s.config = l.settings(s, s.config)
			}
			s.serve(t)
			before := s.findings(t)
			printed := ""
			for _, f := range before {
				printed += f.Fix + "\n"
			}
			for _, want := range l.want {
				if !strings.Contains(printed, want) {
					t.Errorf("no %q is printed: %+v", want, before)
				}
			}
			s.doAll(t, before)
			for _, f := range s.findings(t) {
				if f.Fix != "" || f.Mended || f.Severity == "error" || f.Severity == "warning" {
					t.Errorf("after all was done: %+v", f)
				}
			}
			s.passes(t)
			if l.also != nil {
				l.also(t, s)
			}
		})
	}
}

// passes sends a mail each way.
func (s *site) passes(t *testing.T) {
	t.Helper()
	c := s.Dial(t, stranger)
	c.Deliver(mail("a@stranger.example", "bob@home.example"))
	c.Quit()
	in := s.Sink.To(t, "bob@home.example")
	s.judged(t, in, "spf=")
	u := s.authenticated(t)
	u.Deliver(mail("alice@home.example", "friend@elsewhere.example"))
	u.Quit()
	s.signedByUs(t, s.Sink.To(t, "friend@elsewhere.example"))
}
