package e2e

import (
	"encoding/json"
	"path/filepath"
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

// findings runs "mailseal check --json" on the site's host, and returns what it says of the mail
// server: the rig runs the daemon as root.
func (s *site) findings(t *testing.T) []told {
	t.Helper()
	said := s.RunIn(t, "check", "--json", "--config", "/etc/mailseal/mailseal.toml")
	var all struct{ Findings []told }
	if err := json.Unmarshal([]byte(said.Stdout), &all); err != nil {
		t.Fatalf("%v: %s%s", err, said.Stdout, said.Stderr)
	}
	return slices.DeleteFunc(all.Findings, func(f told) bool { return f.Area != "mta" })
}

// TestRemediesOnMTA does what check prints about real mail servers, which then start and pass a
// mail each way. A second check finds nothing that can be mended.
func TestRemediesOnMTA(t *testing.T) {
	for _, tc := range []struct {
		name  string
		start startMTA
		o     rig.Options
		want  int // findings that can be mended
	}{
		{"Postfix, filters around us", rig.Postfix,
			rig.Options{Append: "smtpd_milters = inet:127.0.0.1:11332, $mailseal, " +
				"inet:127.0.0.1:8893\nnon_smtpd_milters = $smtpd_milters\nmilter_default_action = " +
				"accept\nmilter_protocol = 2\n"}, 2},
		{"Postfix, an address of the host in a chroot", rig.Postfix,
			rig.Options{Append: "smtpd_milters = " +
				"unix:/var/spool/postfix/mailseal/mailseal.sock\nnon_smtpd_milters = inet:8891@127.0.0.1\n"}, 2},
		{"Postfix, nobody is named", rig.Postfix, rig.Options{Append: "smtpd_milters =\nnon_smtpd_milters =\n"}, 1},
		{"Postfix, a filter that hands back", rig.Postfix,
			rig.Options{Append: "receive_override_options = no_milters\n"}, 1},
		{"Postfix without chroot, milters of others alone", rig.Postfix, rig.Options{Unchrooted: true,
			Append: "smtpd_milters = unix:opendkim/opendkim.sock\nnon_smtpd_milters = $smtpd_milters\n"}, 1},
		{"Sendmail, three filters", rig.Sendmail,
			rig.Options{Append: "MAIL_FILTER(`opendmarc', `S=inet:8893@127.0.0.1, F=')dnl\n" +
				"MAIL_FILTER(`rspamd', `S=inet:11332@127.0.0.1, F=')dnl\n" +
				"define(`confINPUT_MAIL_FILTERS', `rspamd, mailseal, opendmarc')dnl\n"}, 2},
		{"Sendmail, another address and fails open", rig.Sendmail,
			rig.Options{Append: "MAIL_FILTER(`again', " +
				"`S=unix:/run/mailseal/mailseal.sock')dnl\ndefine(`confINPUT_MAIL_FILTERS', " +
				"`again, mailseal')dnl\n"}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, tc.start, tc.o)
			before := s.findings(t)
			if n := countMended(before); n < tc.want {
				t.Fatalf("got %d findings that can be mended, want %d: %+v", n, tc.want, before)
			}
			s.doAll(t, before)
			for _, f := range s.findings(t) {
				if f.Fix != "" || f.Mended || !slices.ContainsFunc(before,
					func(b told) bool { return b.Text == f.Text }) {
					t.Errorf("after all was done: %+v", f)
				}
			}
			s.passes(t)
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

// doAll does what the findings say, as an operator would, and starts the servers again.
func (s *site) doAll(t *testing.T, all []told) {
	t.Helper()
	config := s.config
	for _, f := range all {
		s.do(t, f)
	}
	if s.config != config {
		s.daemon.Stop(t)
		s.serve(t)
	}
	s.Restart()
}

// do puts the lines of a finding where they belong.
func (s *site) do(t *testing.T, f told) {
	t.Helper()
	service, _, _ := strings.Cut(f.Setting, ": ")
	for line := range strings.Lines(f.Fix) {
		line = s.moved(t, strings.TrimSuffix(line, "\n"))
		switch {
		case strings.HasPrefix(line, "# master.cf, "):
			service = strings.Fields(strings.TrimSuffix(strings.TrimPrefix(line, "# master.cf, "),
				":"))[0]
		case strings.HasPrefix(line, "  -o "):
			s.setOption(t, filepath.Dir(f.File)+"/master.cf", service, line)
		case strings.Contains(line, "  # mailseal.toml, "):
			s.setOurs(t, line)
		case line == "make -C /etc/mail submit.cf":
			s.Write("/etc/mail/submit.cf", s.Run(nil, "/usr/bin/m4", "/etc/mail/submit.mc"))
		case strings.HasPrefix(line, "make -C /etc/mail"): // Restart does
		case mcFilter.MatchString(line):
			mc := s.Read("/etc/mail/sendmail.mc")
			name := mcFilter.FindStringSubmatch(line)[1]
			old := regexp.MustCompile("(?m)^(?:INPUT_)?MAIL_FILTER\\(`" + name + "'.*\n")
			s.Write("/etc/mail/sendmail.mc", old.ReplaceAllLiteralString(mc, line+"\n"))
		case mcList.MatchString(line + "\n"):
			mc := mcList.ReplaceAllString(s.Read("/etc/mail/sendmail.mc"), "")
			mc = strings.Replace(mc, "MAILER_DEFINITIONS\n", line+"\nMAILER_DEFINITIONS\n", 1)
			s.Write("/etc/mail/sendmail.mc", mc)
		case strings.Contains(line, " ="):
			main := filepath.Dir(f.File) + "/main.cf"
			s.Write(main, s.Read(main)+line+"\n")
		default:
			t.Fatalf("the test does not know the line %q: %+v", line, f)
		}
	}
}

// moved puts a port of the test's own instead of the one that is proposed: another test may
// have that.
func (s *site) moved(t *testing.T, line string) string {
	t.Helper()
	if strings.Contains(line, "8891") && s.proposed == "" {
		s.proposed = portOf(rig.FreePort(t, local))
	}
	return strings.ReplaceAll(line, "8891", s.proposed)
}

// setOption gives a service of master.cf an option, in place of one of the same name.
func (s *site) setOption(t *testing.T, file, service, line string) {
	t.Helper()
	name := regexp.MustCompile(`-o \{? ?(\w+)`).FindStringSubmatch(line)[1]
	old := regexp.MustCompile(`^\s+-o \{? ?` + name + `\s*=`)
	var out []string
	found, within := false, false
	for l := range strings.Lines(s.Read(file)) {
		switch {
		case strings.HasPrefix(l, service+" "):
			out = append(out, l, line+"\n")
			found, within = true, true
			continue
		case within && old.MatchString(l):
			continue
		case l[0] != ' ' && l[0] != '#':
			within = false
		}
		out = append(out, l)
	}
	if !found {
		t.Fatalf("no service %s in %s", service, file)
	}
	s.Write(file, strings.Join(out, ""))
}

// setOurs puts a line into mailseal.toml.
func (s *site) setOurs(t *testing.T, line string) {
	t.Helper()
	line, section, _ := strings.Cut(line, "  # mailseal.toml, ")
	name, _, _ := strings.Cut(line, " =")
	switch section {
	case "another [[listen]]":
		s.config = strings.Replace(s.config, "[ours]", "[[listen]]\n"+line+"\n\n[ours]", 1)
	case "[ours]":
		head, rest, _ := strings.Cut(s.config, "[ours]\n")
		body, tail, _ := strings.Cut(rest, "\n[")
		body = regexp.MustCompile(`(?m)^`+name+` = .*\n`).ReplaceAllString(body, "")
		s.config = head + "[ours]\n" + line + "\n" + body + "\n[" + tail
	default:
		t.Fatalf("the test does not know the section %q", section)
	}
}
