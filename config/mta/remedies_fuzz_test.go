package mta

import (
	"slices"
	"strings"
	"testing"
)

// What hosts of FuzzRemedies are made of: each byte of the input takes one line, so that most hosts
// are ones that someone might have, mistakes and all.
var (
	fuzzMain = []string{
		"smtpd_milters = inet:127.0.0.1:8891", "smtpd_milters = $mailseal", "smtpd_milters =",
		"smtpd_milters = inet:8891@127.0.0.1",
		"smtpd_milters = inet:127.0.0.1:8891, inet:127.0.0.1:8891",
		"smtpd_milters = inet:127.0.0.1:11332, inet:localhost:8891",
		"smtpd_milters = { inet:127.0.0.1:8891, default_action=accept }",
		"smtpd_milters = inet:127.0.0.1:8892,\n unix:opendkim/opendkim.sock",
		"smtpd_milters = unix:/run/mailseal/mailseal.sock", "smtpd_milters = inet:[::1]:8891",
		"smtpd_milters = ${x?{$mailseal}:{inet:127.0.0.1:8891}}",
		"mailseal = inet:127.0.0.1:8891", "mailseal = unix:mailseal/mailseal.sock",
		"mailseal = { inet:127.0.0.1:8891, content_timeout=1s }",
		"non_smtpd_milters = $smtpd_milters", "non_smtpd_milters = $mailseal",
		"non_smtpd_milters =", "non_smtpd_milters = inet:127.0.0.1:8891",
		"milter_default_action = accept", "milter_default_action = reject", "milter_protocol = 2",
		"milter_content_timeout = 2s",
		"internal_mail_filter_classes = bounce", "receive_override_options = no_milters",
		"inet_protocols = ipv4",
		"mynetworks = 127.0.0.0/8, 192.0.2.0/24", "content_filter = smtp:[127.0.0.1]:10024",
		"compatibility_level = 3.6", "queue_directory = /srv/spool",
	}
	fuzzMaster = []string{
		"smtp inet n - n - - smtpd", "smtp inet n - y - - smtpd", "submission inet n - y - - smtpd",
		"smtps inet n - n - - smtpd",
		"127.0.0.1:10025 inet n - n - - smtpd", "pickup unix n - n 60 1 pickup",
		"cleanup unix n - n - 0 cleanup", "cleanup unix n - y - 0 cleanup",
		"  -o smtpd_milters=", "  -o smtpd_milters=inet:127.0.0.1:11332",
		"  -o smtpd_milters={inet:127.0.0.1:8891,default_action=accept}",
		"  -o { smtpd_milters = $mailseal, inet:127.0.0.1:11332 }",
		"  -o receive_override_options=no_milters",
		"  -o receive_override_options=no_address_mappings,no_milters", "  -o content_filter=",
		"  -o milter_default_action=accept", "# a comment",
	}
	fuzzSendmail = []string{
		"O InputMailFilters=mailseal", "O InputMailFilters=second, mailseal", "O InputMailFilters=",
		"O InputMailFilters=nobody",
		"Xmailseal, S=inet:8891@127.0.0.1, F=T, T=C:10s;S:10s;R:30s;E:5m",
		"Xmailseal, S=inet:8891@localhost, T=R:3;E:1m", "Xmailseal, S=inet:127.0.0.1:8891, F=R",
		"Xmailseal, S=unix:/run/mailseal/mailseal.sock, F=T", "Xsecond, S=inet:8891@127.0.0.1, F=R",
		"Xsecond, S=inet:11332@127.0.0.1", "Xsecond",
		"O DaemonPortOptions=Name=MTA",
		"O DaemonPortOptions=Name=MSA, Port=587, InputMailFilters=second",
		"O DaemonPortOptions=Name=v6, Family=inet6, InputMailFilters=",
	}
	fuzzDaemon = []string{
		"listen tcp4 127.0.0.1:8891", "listen unix /run/mailseal/mailseal.sock 0660",
		"listen unix /var/spool/postfix/mailseal/mailseal.sock 0660 - postfix",
		"listen tcp6 [::1]:8891", "sign-only", "verify-only", "loopback-is-a-stranger",
		"ours 192.0.2.0/24", "daemon-name MSA", "deadline 2m",
	}
)

// linesOf picks a line for each byte.
func linesOf(choice string, lines []string) string {
	var b strings.Builder
	for _, c := range []byte(choice) {
		b.WriteString(lines[int(c)%len(lines)] + "\n")
	}
	return b.String()
}

// FuzzRemedies does what is printed about a host, from the printed lines alone, and looks again: no
// look panics, and the host has no more errors than before.
func FuzzRemedies(f *testing.F) {
	f.Add("\x00\x0e", "\x00\x05\x06", "", "\x00")
	f.Add("\x06\x10\x12\x14", "\x01\x08\x02\x0c", "", "\x02")
	f.Add("\x05\x0b", "\x00\x0a\x04\x0e", "\x01\x05\x08\x0c", "\x00\x07")
	f.Add("", "", "\x00\x06\x0b", "\x00\x01\x09")
	f.Fuzz(func(t *testing.T, main, master, sendmail, daemon string) {
		if len(main)+len(master)+len(sendmail)+len(daemon) > 60 {
			return
		}
		sections := map[string]string{}
		if main != "" {
			sections["/etc/postfix/main.cf"] = linesOf(main, fuzzMain)
			sections["/etc/postfix/master.cf"] = linesOf("\x00"+master, fuzzMaster)
		}
		if main == "" { // a host has one mail server at work
			sections["/etc/mail/sendmail.cf"] = linesOf(sendmail, fuzzSendmail)
			sections["/etc/mail/submit.cf"] = "D{MTAHost}[127.0.0.1]\n"
		}
		h, d := newTestHost(t, sections), testDaemon(t, linesOf(daemon, fuzzDaemon))
		if listensTwice(d) {
			return // the configuration refuses that
		}
		before := look(h, d)
		errorsBefore := errorsOf(before)
		var printed []string
		for _, r := range before {
			for _, found := range r.Findings {
				for _, c := range found.Fix {
					printed = append(printed, c.String())
					operate(t, h, &d, c)
				}
			}
		}
		errorsAfter := errorsOf(look(h, d))
		if len(errorsAfter) > len(errorsBefore) {
			t.Errorf("errors before:\n%s\nprinted:\n%s\nerrors after:\n%s\nof "+
				"main.cf:\n%s\nmaster.cf:\n%s\nsendmail.cf:\n%s",
				strings.Join(errorsBefore, "\n"), strings.Join(printed, "\n"),
				strings.Join(errorsAfter, "\n"),
				linesOf(main, fuzzMain), linesOf("\x00"+master, fuzzMaster),
				linesOf(sendmail, fuzzSendmail))
		}
	})
}

func listensTwice(d Daemon) bool {
	for i, l := range d.Listeners {
		isLike := func(m Listener) bool { return m.Network == l.Network && m.Target == l.Target }
		if slices.ContainsFunc(d.Listeners[i+1:], isLike) {
			return true
		}
	}
	return false
}

func errorsOf(all []Report) (out []string) {
	for _, r := range all {
		for _, f := range r.Findings {
			if f.Severity == Error {
				out = append(out, f.coded())
			}
		}
	}
	return out
}
