package check

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailseal/config"
)

// unnamed is the configuration of a host that names no authserv-id.
const unnamed = "mode = [\"verify\"]\nlisten = [{ address = \"inet:8891@127.0.0.1\" }]\n"

func TestIdentity(t *testing.T) {
	short, full := config.HostNames{Name: "mail"},
		config.HostNames{Name: "mail", Full: "mail.example.com"}
	postfix := func(name string) string {
		return "compatibility_level = 3.6\nmyhostname = " + name + "\n"
	}
	for _, tt := range []struct {
		name     string
		toml     string
		host     config.HostNames
		main, cf string // of Postfix and Sendmail, "" for none
		want     []string
		code     Code
	}{
		{"configured", listen, short, "", "", []string{"mx.example.com"}, ""},
		{"only signing", strings.Replace(listen, "authserv_id = \"mx.example.com\"\n",
			"mode = [\"sign\"]\n", 1), short, "", "", nil, ""},
		{"the host's", unnamed, full, "", "", []string{"mail.example.com"}, ""},
		{"the host's, which is short", unnamed, short, "", "", []string{"mail"}, IDShort},
		{"Postfix'", unnamed, short, postfix("mx.example.com"), "", []string{"mx.example.com"}, ""},
		{"Postfix', which is short", unnamed, short, postfix("mail"), "", []string{"mail"}, IDShort},
		{"Postfix', which is every host's", unnamed, full, postfix("mail.localdomain"), "",
			[]string{"mail.example.com"}, ""},
		{"two servers", unnamed, full, postfix("mx.example.com"),
			"Djmail.example.com\nXm, S=inet:8891@127.0.0.1, F=T\nO InputMailFilters=m\n",
			[]string{"mx.example.com", "mail.example.com"}, IDSeveral},
		{"two servers of one name", unnamed, full, postfix("mail.example.com"),
			"Djmail.example.com\nXm, S=inet:8891@127.0.0.1, F=T\nO InputMailFilters=m\n",
			[]string{"mail.example.com"}, ""},
		{"open to other hosts", strings.Replace(unnamed, "@127.0.0.1", "@192.0.2.1", 1), full, "",
			"", []string{"mail.example.com"}, IDSeveral},
		{"open to all", strings.Replace(unnamed, "@127.0.0.1", "", 1), full, "", "",
			[]string{"mail.example.com"}, IDSeveral},
		{"open to the host", strings.Replace(unnamed, "inet:8891@127.0.0.1", "inet6:8891@::1", 1),
			full, "", "", []string{"mail.example.com"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, tt.toml)
			s.host = &tt.host
			s.addServers(t, tt.main, tt.cf)
			found, r := s.check(t)
			if !slices.Equal(r.IDs, tt.want) {
				t.Errorf("got the ids %q, want %q", r.IDs, tt.want)
			}
			var got Code
			for _, f := range found {
				if f.Code == IDShort || f.Code == IDSeveral {
					got = f.Code
				}
			}
			if got != tt.code {
				t.Errorf("got %q, want %q", got, tt.code)
			}
		})
	}
}

// addServers puts mail servers beside a site, which use Mailseal.
func (s *site) addServers(t *testing.T, main, cf string) {
	t.Helper()
	if main == "" && cf == "" {
		return
	}
	s.mta = MTAOptions{Postfix: s.path("postfix"), Sendmail: s.path("sendmail")}
	for file, text := range map[string]string{"postfix/main.cf": main, "sendmail/sendmail.cf": cf} {
		dir := filepath.Dir(s.path(file))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if text == "" {
			if dir == s.path("postfix") {
				s.mta.Postfix = ""
			} else {
				s.mta.Sendmail = ""
			}
			continue
		}
		s.write(t, file, text, 0o644)
	}
	if main != "" {
		s.write(t, "postfix/main.cf", main+"smtpd_milters = { inet:127.0.0.1:8891, "+
			"default_action=tempfail }\nnon_smtpd_milters = $smtpd_milters\n", 0o644)
		s.write(t, "postfix/master.cf", "smtp inet n - n - - smtpd\n", 0o644)
	}
}

func testIdentityRemedies(t *testing.T, executed map[remedyOf]bool) {
	for _, tt := range []struct {
		name, toml string
		host       config.HostNames
		code       Code
	}{
		{"short", unnamed, config.HostNames{Name: "mail"}, IDShort},
		{"several, with a full name", strings.Replace(unnamed, "@127.0.0.1", "", 1),
			config.HostNames{Name: "mail", Full: "mail.example.com"}, IDSeveral},
		{"several, without", strings.Replace(unnamed, "@127.0.0.1", "", 1), config.HostNames{Name: "mail"}, IDSeveral},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, tt.toml)
			s.host = &tt.host
			found, _ := s.check(t)
			at := slices.IndexFunc(found, func(f Finding) bool { return f.Code == tt.code })
			if at < 0 {
				t.Fatalf("got %v, want %s", found, tt.code)
			}
			line, _, _ := strings.Cut(found[at].Fix.String(), " (")
			s.write(t, "mailseal.toml", line+"\n"+tt.toml, 0o640)
			executed[remedyOf{tt.code, found[at].Fix.Kind}] = true
			if found, _ = s.check(t); slices.Contains(codes(found), tt.code) {
				t.Errorf("got %v after all was mended", found)
			}
		})
	}
}
