package check

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/remedy"
)

const (
	postfixMain = "compatibility_level = 3.6\ninternal_mail_filter_classes = bounce\n"
	goodMain    = postfixMain + "smtpd_milters = inet:127.0.0.1:8891\nnon_smtpd_milters = $smtpd_milters\n"
	master      = "smtp inet n - n - - smtpd\npickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\n"
	goodCF      = "O InputMailFilters=mailseal\nXmailseal, S=inet:8891@127.0.0.1, F=T, " +
		"T=C:10s;S:10s;R:30s;E:5m\nO DaemonPortOptions=Name=MTA\n"
)

// testMailServerRemedies puts the lines for Postfix and Sendmail into copies of their files, and
// judges again.
func testMailServerRemedies(t *testing.T, executed map[remedyOf]bool) {
	postfix := func(main, master string) map[string]string {
		return map[string]string{"main.cf": main, "master.cf": master}
	}
	tests := []struct {
		name  string
		files map[string]string
		kind  remedy.Kind
	}{
		{"not named", postfix(postfixMain, master), remedy.MainCF},
		{"an address as milters write it",
			postfix(postfixMain+"smtpd_milters = inet:8891@127.0.0.1\nnon_smtpd_milters = $smtpd_milters\n",
				master), remedy.MainCF},
		{"another host", postfix(postfixMain+
			"smtpd_milters = inet:127.0.0.2:8891\nnon_smtpd_milters = inet:127.0.0.1:8891\n",
			master), remedy.MainCF},
		{"fails open", postfix(goodMain+"milter_default_action = accept\n", master), remedy.MainCF},
		{"refuses", postfix(postfixMain+"smtpd_milters = { inet:127.0.0.1:8891, "+
			"default_action=reject }\nnon_smtpd_milters = inet:127.0.0.1:8891\n", master),
			remedy.MainCF},
		{"old protocol", postfix(goodMain+"milter_protocol = 2\n", master), remedy.MainCF},
		{"short of time", postfix(goodMain+"milter_content_timeout = 2s\n", master), remedy.MainCF},
		{"local mail passes by", postfix(postfixMain+"smtpd_milters = inet:127.0.0.1:8891\n", master), remedy.MainCF},
		{"twice", postfix(postfixMain+"smtpd_milters = inet:127.0.0.1:8891, "+
			"inet:127.0.0.1:8891\nnon_smtpd_milters = inet:127.0.0.1:8891\n", master),
			remedy.MainCF},
		{"bounces", postfix(strings.Replace(goodMain, "internal_mail_filter_classes = bounce\n", "",
			1), master), remedy.MainCF},
		{"no milters at all", postfix(goodMain+"receive_override_options = no_milters\n", master), remedy.MainCF},
		{"holds", postfix(postfixMain+"smtpd_milters = { inet:127.0.0.1:8891, "+
			"default_action=quarantine }\nnon_smtpd_milters = inet:127.0.0.1:8891\n", master),
			remedy.MainCF},
		{"another signs", postfix(postfixMain+"smtpd_milters = inet:127.0.0.1:8891, "+
			"unix:opendkim/opendkim.sock\nnon_smtpd_milters = inet:127.0.0.1:8891\n", master),
			remedy.MainCF},
		{"another judges before", postfix(postfixMain+"smtpd_milters = inet:127.0.0.1:11332, "+
			"inet:127.0.0.1:8891\nnon_smtpd_milters = inet:127.0.0.1:8891\n", master),
			remedy.MainCF},
		{"another judges", postfix(postfixMain+"smtpd_milters = inet:127.0.0.1:8891, "+
			"unix:opendmarc/opendmarc.sock\nnon_smtpd_milters = inet:127.0.0.1:8891\n", master),
			remedy.MainCF},
		{"a socket that we do not have",
			postfix(postfixMain+"smtpd_milters = unix:/run/mailseal/mailseal.sock\n"+
				"non_smtpd_milters = inet:127.0.0.1:8891\n", master), remedy.MainCF},
		{"networks", postfix(goodMain+"mynetworks = 127.0.0.0/8, 192.0.2.0/24\n", master), remedy.Setting},
		{"a service without", postfix(goodMain, master+"submission inet n - n - - smtpd\n  -o "+
			"smtpd_milters=inet:127.0.0.1:2500\n"), remedy.MasterCF},
		{"a service with no_milters", postfix(goodMain,
			master+"submission inet n - n - - smtpd\n  -o receive_override_options=no_milters\n"),
			remedy.MasterCF},
		{"a service that fails open", postfix(goodMain,
			master+"submission inet n - n - - smtpd\n  -o smtpd_milters={inet:127.0.0.1:8891,default_action=accept}\n"),
			remedy.MasterCF},
		{"a filter hands mail back", postfix(goodMain+"content_filter = smtp:[127.0.0.1]:10024\n",
			master+"127.0.0.1:10025 inet n - n - - smtpd\n  -o content_filter=\n"),
			remedy.MasterCF},
		{"Sendmail, refuses", sendmail(strings.Replace(goodCF, "F=T", "F=R", 1)), remedy.SendmailCF},
		{"Sendmail, fails open", sendmail(strings.Replace(goodCF, ", F=T", "", 1)), remedy.SendmailCF},
		{"Sendmail, short of time", sendmail(strings.Replace(goodCF, "R:30s", "R:2s", 1)), remedy.SendmailCF},
		{"Sendmail, short of time for a message",
			sendmail(strings.Replace(goodCF, "E:5m", "E:5s", 1)), remedy.SendmailCF},
		{"Sendmail, twice", sendmail(strings.Replace(goodCF, "=mailseal\n",
			"=mailseal, m\nXm, S=inet:8891@127.0.0.1, F=T, T=C:10s;S:10s;R:30s;E:5m\n", 1)),
			remedy.SendmailCF},
		{"Sendmail, another port", sendmail(strings.Replace(goodCF, "8891", "8892", 1)), remedy.SendmailCF},
		{"Sendmail, Postfix's address", sendmail(strings.Replace(goodCF, "inet:8891@127.0.0.1",
			"inet:127.0.0.1:8891", 1)), remedy.SendmailCF},
		{"Sendmail, in no list", sendmail(strings.Replace(goodCF, "O InputMailFilters=mailseal\n",
			"", 1)), remedy.SendmailCF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newMailSite(t, tt.files)
			found, _ := s.check(t)
			i := slices.IndexFunc(found, func(f Finding) bool { return f.Fix.Kind == tt.kind })
			if i < 0 {
				t.Fatalf("got %v, want a remedy of kind %s", found, tt.kind)
			}
			put(t, found[i], s.path("mailseal.toml"))
			executed[remedyOf{"mta", tt.kind}] = true
			executed[remedyOf{found[i].Code, tt.kind}] = true
			after, _ := s.check(t)
			for _, f := range after {
				if f.Text == found[i].Text && f.Setting == found[i].Setting {
					t.Errorf("after %q: got still %v", found[i].Fix, f)
				}
			}
			if before, now := count(found, Error), count(after, Error); now > before {
				t.Errorf("after %q: got more errors: %v", found[i].Fix, after)
			}
		})
	}
}

func sendmail(cf string) map[string]string {
	return map[string]string{"sendmail.cf": cf, "submit.cf": "O DaemonPortOptions=Name=NoMTA\n"}
}

// newMailSite is a site with the files of one mail server, and an idle one of the other kind that
// says nothing.
func newMailSite(t *testing.T, files map[string]string) *site {
	t.Helper()
	s := newSite(t, listen+signing)
	dir := s.path("mta")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		s.write(t, filepath.Join("mta", name), text, 0o644)
	}
	s.mta = MTAOptions{Host: onlyHost{}}
	if _, ok := files["main.cf"]; ok {
		s.mta.Postfix = dir
	} else {
		s.mta.Sendmail = dir
	}
	return s
}

func count(found []Finding, s Severity) (n int) {
	for _, f := range found {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// put writes the lines of a remedy where its finding is, as an operator would: each in place of the
// setting that it is about, else beside it.
func put(t *testing.T, f Finding, toml string) {
	t.Helper()
	for line := range strings.Lines(f.Fix.String()) {
		line = strings.TrimSuffix(line, "\n")
		switch f.Fix.Kind {
		case remedy.MainCF:
			edit(t, filepath.Join(filepath.Dir(f.File), "main.cf"), 0, settingOf(line), line)
		case remedy.MasterCF:
			edit(t, f.File, f.Line, settingOf(line), line)
		case remedy.SendmailCF:
			edit(t, f.File, 0, settingOf(line), line)
		case remedy.Setting:
			text, section, ok := strings.Cut(line, "  # mailseal.toml, ")
			if !ok {
				t.Fatalf("%q names no section of mailseal.toml", line)
			}
			file, err := os.ReadFile(toml)
			if err != nil {
				t.Fatal(err)
			}
			file = append(file, "\n"+section+"\n"+text+"\n"...)
			if err := os.WriteFile(toml, file, 0o640); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// settingOf is the part of a line that says which setting it is: "smtpd_milters", "-o
// smtpd_milters", "Xmailseal".
func settingOf(line string) string {
	line = strings.TrimPrefix(strings.ReplaceAll(line, "-o { ", "-o "), "  ")
	if i := strings.IndexAny(line, "=,"); i > 0 {
		return strings.TrimSpace(line[:i])
	}
	return line
}

// edit puts a line into a file: in place of the one with the same setting, else below the line with
// the number at, 0 for the end. Below is within one service of master.cf.
func edit(t *testing.T, file string, at int, setting, line string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	start, end := 0, len(lines)
	if at > 0 {
		for start = at - 1; start > 0 && strings.HasPrefix(lines[start], " "); start-- {
		}
		for end = start + 1; end < len(lines) && strings.HasPrefix(lines[end], " "); end++ {
		}
	}
	for i := start; i < end; i++ {
		if settingOf(lines[i]) == setting {
			lines[i] = line
			start = -1
			break
		}
	}
	if start >= 0 {
		lines = slices.Insert(lines, end, line)
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}
