package e2e

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
)

// told is a finding as "mailseal check --json" writes it.
type told struct {
	Area, Severity, File, Setting, Text, Fix string
	Line                                     int
	Mended                                   bool
}

// findings runs "mailseal check --json" on the site's host, and returns what it says of the mail server: the rig runs the
// daemon as root.
func (s *site) findings(t *testing.T) []told {
	t.Helper()
	said := s.RunIn(t, "check", "--json", "--config", "/etc/mailseal/mailseal.toml")
	var all struct{ Findings []told }
	if err := json.Unmarshal([]byte(said.Stdout), &all); err != nil {
		t.Fatalf("%v: %s%s", err, said.Stdout, said.Stderr)
	}
	return slices.DeleteFunc(all.Findings, func(f told) bool { return f.Area != "mta" })
}

// TestRemediesOnMTA does what check prints about real mail servers, which then start and pass a mail each way. A second
// check finds nothing that can be mended.
func TestRemediesOnMTA(t *testing.T) {
	for _, tc := range []struct {
		name  string
		start startMTA
		o     rig.Options
		want  int // findings that can be mended
	}{
		{"Postfix, filters around us", rig.Postfix, rig.Options{Append: "smtpd_milters = inet:127.0.0.1:11332, $mailseal, " +
			"inet:127.0.0.1:8893\nnon_smtpd_milters = $smtpd_milters\nmilter_default_action = accept\nmilter_protocol = 2\n"}, 2},
		{"Postfix, an address of the host in a chroot", rig.Postfix, rig.Options{Append: "smtpd_milters = " +
			"unix:/var/spool/postfix/mailseal/mailseal.sock\nnon_smtpd_milters = inet:8891@127.0.0.1\n"}, 2},
		{"Postfix, nobody is named", rig.Postfix, rig.Options{Append: "smtpd_milters =\nnon_smtpd_milters =\n"}, 1},
		{"Postfix, a filter that hands back", rig.Postfix, rig.Options{Append: "receive_override_options = no_milters\n"}, 1},
		{"Postfix without chroot, milters of others alone", rig.Postfix, rig.Options{Unchrooted: true,
			Append: "smtpd_milters = unix:opendkim/opendkim.sock\nnon_smtpd_milters = $smtpd_milters\n"}, 1},
		{"Sendmail, three filters", rig.Sendmail, rig.Options{Append: "MAIL_FILTER(`opendmarc', `S=inet:8893@127.0.0.1, F=')dnl\n" +
			"MAIL_FILTER(`rspamd', `S=inet:11332@127.0.0.1, F=')dnl\n" +
			"define(`confINPUT_MAIL_FILTERS', `rspamd, mailseal, opendmarc')dnl\n"}, 2},
		{"Sendmail, another address and fails open", rig.Sendmail, rig.Options{Append: "MAIL_FILTER(`again', " +
			"`S=unix:/run/mailseal/mailseal.sock')dnl\ndefine(`confINPUT_MAIL_FILTERS', `again, mailseal')dnl\n"}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, tc.start, tc.o)
			before := s.findings(t)
			if n := countMended(before); n < tc.want {
				t.Fatalf("got %d findings that can be mended, want %d: %+v", n, tc.want, before)
			}
			for _, f := range before {
				s.do(t, f)
			}
			s.Restart()
			for _, f := range s.findings(t) {
				if f.Fix != "" || f.Mended || !slices.ContainsFunc(before, func(b told) bool { return b.Text == f.Text }) {
					t.Errorf("after all was done: %+v", f)
				}
			}
			c := s.Dial(t, stranger)
			c.Deliver(mail("a@stranger.example", "bob@home.example"))
			c.Quit()
			s.judged(t, s.Sink.To(t, "bob@home.example"), "spf=")
			u := s.authenticated(t)
			u.Deliver(mail("alice@home.example", "friend@elsewhere.example"))
			u.Quit()
			s.signedByUs(t, s.Sink.To(t, "friend@elsewhere.example"))
		})
	}
}

func countMended(all []told) (n int) {
	for _, f := range all {
		if f.Fix != "" || f.Mended {
			n++
		}
	}
	return n
}

var (
	mcFilter = regexp.MustCompile("^(?:INPUT_)?MAIL_FILTER\\(`([^']*)'")
	mcList   = regexp.MustCompile("(?m)^define\\(`confINPUT_MAIL_FILTERS'.*\n")
)

// do puts the lines of a finding where they belong.
func (s *site) do(t *testing.T, f told) {
	t.Helper()
	for line := range strings.Lines(f.Fix) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "make -C /etc/mail"): // Restart does
		case mcFilter.MatchString(line):
			mc := s.Read("/etc/mail/sendmail.mc")
			name := mcFilter.FindStringSubmatch(line)[1]
			old := regexp.MustCompile("(?m)^(?:INPUT_)?MAIL_FILTER\\(`" + name + "'.*\n")
			s.Write("/etc/mail/sendmail.mc", old.ReplaceAllLiteralString(mc, line+"\n"))
		case mcList.MatchString(line + "\n"):
			mc := mcList.ReplaceAllString(s.Read("/etc/mail/sendmail.mc"), "")
			s.Write("/etc/mail/sendmail.mc", strings.Replace(mc, "MAILER_DEFINITIONS\n", line+"\nMAILER_DEFINITIONS\n", 1))
		case strings.Contains(line, " =") && strings.HasSuffix(f.File, "main.cf"):
			s.Write("/etc/postfix/main.cf", s.Read("/etc/postfix/main.cf")+line+"\n")
		default:
			t.Fatalf("%q is no line that the test knows: %+v", line, f)
		}
	}
}
