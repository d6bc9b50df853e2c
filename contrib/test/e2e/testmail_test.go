package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
)

// Mail to the address for tests: the client is told what was found of its message, and the message
// goes nowhere.
func TestTestByMail(t *testing.T) {
	eachPolicy(t, "[test]\naddress = \"check@home.example\"\n", func(t *testing.T, s *site) {
		good := mail("friend@good.example", "check+42@home.example")
		s.refusedWith(t, good, "550", "dmarc=pass p=reject")
		s.refusedWith(t, good, "550", "spf=pass (127.0.0.2 matches")
		s.refusedWith(t, good, "550", "This address only tests")
		s.refusedWith(t, mail("ceo@bank.example", "check@home.example"), "550",
			"dmarc=fail p=reject")
		s.refusedWith(t, mail("friend@slow.example", "check@home.example"), "550",
			"dmarc=temperror")
		if r := s.sent(t, mail("", "check+null@home.example")); r.Code != 250 {
			t.Errorf("a bounce: %s", r)
		}
		both := mail("friend@good.example", "other@home.example")
		both.To = append(both.To, "check@home.example")
		if r := s.sent(t, both); r.Code != 250 ||
			strings.Contains(r.String(), "Test of your mail") {
			t.Errorf("a message to others besides: %s", r)
		}
		if d := s.Sink.To(t, "other@home.example"); len(d.Header("Authentication-Results")) == 0 {
			t.Error("the message to others besides was not judged")
		}
	})
}

// testPages is a site whose tests have pages, and are answered by mail.
func testPages(t *testing.T, start startMTA, o rig.Options) (s *site,
	page func(path string) (int, string)) {
	t.Helper()
	const dir = "/var/lib/mailseal-reports"
	s = prepare(t, start, o)
	if err := s.zone.Add(world); err != nil {
		t.Fatal(err)
	}
	s.Directory(dir, 0o750, "root", "root")
	s.Directory(dir+"/spool", 0o750, "root", "root")
	s.configure(o, `
[test]
address = "check@home.example"
page_url = "https://mx.home.example/"
page_address = "unix:`+dir+`/t.sock"
answer_by_mail = true

[reports]
smtp = "`+s.SMTP+`"
directory = "`+dir+`"
`)
	rig.Serve(t, rig.DaemonOptions{Root: s.Root}, "reports", "serve", "--roles", "test", "--config",
		"/etc/mailseal/mailseal.toml")
	s.serve(t)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _,
		_ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.Path(dir, "t.sock"))
	}}}
	t.Cleanup(client.CloseIdleConnections)
	return s, func(path string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://test"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		body, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode, string(body)
	}
}

var pageLink = regexp.MustCompile(`https://mx\.home\.example(/t/[0-9a-f]{32})`)

// The reply to a test ends in the address of its page, which shows the conversation of a real mail
// server; one mail answers an authenticated sender, signed, from the null sender; a forged one gets
// none.
func TestTestPages(t *testing.T) {
	for _, k := range kinds[2:4] {
		t.Run(k.name, func(t *testing.T) {
			s, page := testPages(t, k.start, k.o)
			checksTestAddress(t, s)
			for _, from := range []string{"ceo@bank.example", "friend@good.example"} {
				r := s.sent(t, mail(from, "check@home.example"))
				link := pageLink.FindStringSubmatch(r.String())
				if r.Code != 550 || link == nil {
					t.Fatalf("from %s: %s", from, r)
				}
				// The daemon writes beside the mail, so that the page may need another look.
				var code int
				var body string
				rig.Await(func() bool {
					code, body = page(link[1])
					return code != http.StatusNotFound
				})
				verdict := "dmarc=pass"
				if from == "ceo@bank.example" {
					verdict = "dmarc=fail"
				}
				for _, want := range []string{verdict, "127.0.0.2", from, "550",
					"check@home.example", "Tree walk"} {
					if code != http.StatusOK || !strings.Contains(body, want) {
						t.Errorf("%s: status %d without %q: %s", from, code, want, body)
					}
				}
			}
			d := s.Sink.To(t, "friend@good.example")
			if got := d.Header("Auto-Submitted"); d.From != "" || len(got) != 1 ||
				strings.TrimSpace(got[0]) != "auto-replied" {
				t.Errorf("the answer is from %q, Auto-Submitted %q", d.From, got)
			}
			if got := d.Header("DKIM-Signature"); len(got) == 0 {
				t.Error("the answer is not signed")
			}
			if s.Sink.Has("ceo@bank.example") {
				t.Error("a forged sender got an answer")
			}
			token := strings.Repeat("0a", 16)
			if r := s.sent(t, mail("", "check+"+token+"@home.example")); r.Code != 250 {
				t.Errorf("a bounce: %s", r)
			}
			var code int
			var body string
			rig.Await(func() bool {
				code, body = page("/t/" + token)
				return code != http.StatusNotFound
			})
			if !strings.Contains(body, "The mail was accepted") {
				t.Errorf("the page of a bounce: %d %s", code, body)
			}
		})
	}
}

// checksTestAddress runs the check beside a real mail server, which takes the address; it does not
// take another domain.
func checksTestAddress(t *testing.T, s *site) {
	t.Helper()
	const file = "/etc/mailseal/other.toml"
	if s.Name == "Sendmail" { // whose table the rig makes without its text
		s.Write("/etc/mail/access", "Connect:127.0.0.1 RELAY\n")
	}
	config := s.Read("/etc/mailseal/mailseal.toml")
	for address, want := range map[string]string{"check@home.example": "",
		"check@elsewhere.example": "test-domain-not-taken"} {
		s.File(file, []byte(strings.Replace(config, "check@home.example", address, 1)), 0o600,
			"root", "root")
		out := s.RunIn(t, "check", "--json", "--config", file).Stdout
		if got := strings.Contains(out, "test-domain-not-taken") ||
			strings.Contains(out, "test-address"); got != (want != "") ||
			!strings.Contains(out, want) {
			t.Errorf("%s: want %q in %s", address, want, out)
		}
	}
}
