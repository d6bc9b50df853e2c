package e2e

import (
	"io"
	"io/fs"
	"net"
	"path"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
)

// What check says of real mail servers is compared with what they do.

// check runs "mailseal check" on the site's host, and returns what it says and its exit code.
func (s *site) check(t testing.TB) (string, int) {
	t.Helper()
	// which the rig runs it as
	said := s.RunIn(t, "check", "--as", "root", "--config", "/etc/mailseal/mailseal.toml")
	return said.Stdout + said.Stderr, said.Code
}

// defers reports whether the mail server answers a stranger's message with 451, as it does when it
// does not reach us.
func (s *site) defers(t testing.TB) bool {
	t.Helper()
	c := s.Dial(t, stranger)
	r := c.Do("MAIL FROM:<a@stranger.example>")
	c.Quit()
	if r.Code != 250 && r.Code != 451 {
		t.Fatalf("MAIL was answered with %v", r)
	}
	return r.Code == 451
}

// agrees wants check to find an error where the mail server defers, with a text, and none where it
// does not.
func (s *site) agrees(t *testing.T, want string) {
	t.Helper()
	out, code := s.check(t)
	if deferred := s.defers(t); deferred != (code == 1) || deferred != (want != "") ||
		!strings.Contains(out, want) {
		t.Errorf("the mail server defers: %v; check, which should say %q, exits with %d and says\n%s",
			deferred, want, code, out)
	}
}

// What contrib proposes is right, in every kind of set-up.
func TestCheckGoodMTA(t *testing.T) {
	eachKind(t, func(t *testing.T, s *site) {
		out, code := s.check(t)
		for line := range strings.Lines(out) {
			if !strings.HasPrefix(line, s.Name+" in /etc/") &&
				!strings.HasPrefix(line, "/etc/mailseal/mailseal.toml: good; ") &&
				!strings.HasPrefix(line, "/etc/mailseal/mailseal.toml: results are written under ") {
				t.Errorf("check says %s", line)
			}
		}
		if code != 0 || !strings.Contains(out, ": good; services through Mailseal: ") ||
			strings.Contains(out, ": 0 of ") {
			t.Errorf("exit code %d:\n%s", code, out)
		}
		s.agrees(t, "")
	})
}

// What is wrong with a unix socket, and with the directories on the way to it.
func TestCheckSocketOfMTA(t *testing.T) {
	eachMTA(t, func(t *testing.T, s *site) {
		socket := s.MilterSocket()
		dir := path.Dir(socket)
		group := "root"
		if s.Name == "Postfix" {
			group = "postfix"
		}
		steps := []struct {
			name    string
			at      string
			mode    fs.FileMode
			owner   string
			group   string
			postfix string // what check says of each; "": nothing
			send    string
		}{
			{"others have no right to the socket", socket, 0o600, "root", "root", "may not connect to " + socket, ""},
			{"another group has", socket, 0o660, "root", "mail", "may not connect to " + socket, ""},
			{"all have but for the group", socket, 0o606, "root", group,
				either(s.Name == "Postfix", "may not connect to "+socket, ""), ""},
			{"as it was", socket, 0o660, "root", group, "", ""},
			{"a directory that is closed", dir, 0o700, "root", "root", "may not pass " + dir, ""},
			{"a directory for its group", dir, 0o710, "root", group, "", ""},
			{"a directory that the group may write to", dir, 0o775, "root", group, "",
				"the mode of " + dir + " is 0775"},
			{"a sticky directory, which Debian's Sendmail trusts", dir, 0o1777, "root", "root", "", ""},
			{"the same without", dir, 0o777, "root", "root", "", "the mode of " + dir + " is 0777"},
			{"open again", dir, 0o755, "root", "root", "", ""},
			{"the directory above", path.Dir(dir), 0o775, "root", "root", "", "the mode of " +
				path.Dir(dir) + " is 0775"},
			{"all as it was", path.Dir(dir), 0o755, "root", "root", "", ""},
		}
		for _, step := range steps {
			t.Run(step.name, func(t *testing.T) {
				s.Chmod(step.at, step.mode, step.owner, step.group)
				s.agrees(t, either(s.Name == "Postfix", step.postfix, step.send))
			})
		}
	})
}

func either(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}

// An address as milters write it is the end of smtpd, whatever milter_default_action says.
func TestCheckMilterAddressInPostfix(t *testing.T) {
	s := newSite(t, rig.Postfix, rig.Options{Append: "smtpd_milters = inet:8891@127.0.0.1\n" +
		"milter_default_action = accept\n"})
	if out, code := s.check(t); code != 1 ||
		!strings.Contains(out, "Postfix needs inet:127.0.0.1:8891: smtpd exits at once") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	c, err := net.Dial("tcp", s.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if banner, _ := io.ReadAll(c); len(banner) > 0 {
		t.Errorf("Postfix says %q", banner)
	}
}

// Of the lists of macros that a mail server is configured with check says nothing, since they do
// not matter: Mailseal asks for its own.
func TestCheckMacros(t *testing.T) {
	for _, tc := range []struct {
		name  string
		start startMTA
		lines string
	}{
		{"Postfix", rig.Postfix, "milter_connect_macros =\nmilter_mail_macros " +
			"=\nmilter_end_of_header_macros =\nmilter_end_of_data_macros =\n"},
		{"Sendmail", rig.Sendmail, "define(`confMILTER_MACROS_CONNECT', " +
			"`j')dnl\ndefine(`confMILTER_MACROS_ENVFROM', `{mail_addr}')dnl\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, tc.start, rig.Options{Append: tc.lines})
			c := s.authenticated(t)
			c.Deliver(mail("alice@home.example", "friend@elsewhere.example"))
			s.signedByUs(t, s.Sink.To(t, "friend@elsewhere.example"))
			if out, code := s.check(t); code != 0 || strings.Contains(out, "warning:") {
				t.Errorf("exit code %d:\n%s", code, out)
			}
		})
	}
}

// A path that is right with a root directory is wrong without it.
func TestCheckChroot(t *testing.T) {
	const full, inside, short = "unix:/var/spool/postfix/mailseal/mailseal.sock",
		"unix:/mailseal/mailseal.sock", "unix:mailseal/mailseal.sock"
	for _, tc := range []struct {
		name       string
		unchrooted bool
		address    string
		want       string
	}{
		{"chrooted, a path of the host", false, full,
			"look for /var/spool/postfix/var/spool/postfix/mailseal/mailseal.sock"},
		{"chrooted, a path inside", false, inside, ""},
		{"not chrooted, a path of the host", true, full, ""},
		{"not chrooted, a path inside", true, inside, "look for /mailseal/mailseal.sock"},
		{"chrooted, a relative path", false, short, ""},
		{"not chrooted, a relative path", true, short, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lines := "smtpd_milters = " + tc.address + "\nmilter_default_action = tempfail\n"
			newSite(t, rig.Postfix, rig.Options{Unchrooted: tc.unchrooted, Append: lines}).agrees(t,
				tc.want)
		})
	}
}
