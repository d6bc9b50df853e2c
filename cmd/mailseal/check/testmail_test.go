package check

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/config"
	"mailseal/config/mta"
)

// recipients starts a mail server that answers RCPT with a reply, and returns its address and what
// clients said.
func recipients(t *testing.T, reply string) (address string, said func() string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got, done := &strings.Builder{}, make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "220 mx.example.net ESMTP\r\n")
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			line := lines.Text()
			got.WriteString(line + "\n")
			answer := "250 ok"
			if strings.HasPrefix(line, "RCPT") {
				answer = reply
			}
			fmt.Fprint(conn, answer+"\r\n")
		}
	}()
	stop := func() string { l.Close(); <-done; return got.String() }
	t.Cleanup(func() { stop() })
	return l.Addr().String(), stop
}

// TestAddressForTests holds what is found about the address for tests: a server that refuses it,
// that does not accept mail for its domain, that does not answer; nothing is sent.
func TestAddressForTests(t *testing.T) {
	away, stop := recipients(t, "")
	stop()
	for _, c := range []struct {
		name, reply, main string
		skip              bool
		want              []Code
	}{
		{"taken", "250 ok", "mydestination = example.com\n", false, nil},
		{"refused", "550 5.1.1 no such user", "mydestination = example.com\n", false, []Code{TestRefused}},
		{"for now", "450 4.2.0 greylisted", "mydestination = example.com\n", false, []Code{TestUnasked}},
		{"another domain, which the server relays for us", "250 ok",
			"mydestination = example.net\n", false, []Code{TestDomain}},
		{"a database", "250 ok", "virtual_mailbox_domains = mysql:/x\nmydestination =\n", false, nil},
		{"away", "", "mydestination = example.com\n", false, []Code{TestUnasked}},
		{"not asked", "", "mydestination = example.net\n", true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, said := away, func() string { return "" }
			if c.reply != "" {
				server, said = recipients(t, c.reply)
			}
			root := t.TempDir()
			if err := os.MkdirAll(filepath.Join(root, "etc/postfix"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, "etc/postfix/main.cf"), []byte(c.main),
				0o644); err != nil {
				t.Fatal(err)
			}
			cfg := &config.Config{Test: config.Test{Address: "test@example.com"}}
			cfg.Reports.SMTP = server
			var got []Code
			k := &checker{cfg: cfg, result: &Result{counts: map[Area]map[Severity]int{},
				MTAs: []Server{{Server: "Postfix", Dir: "/etc/postfix"}}}}
			k.MTA = MTAOptions{Skip: c.skip, Host: mta.HostAt(root)}
			k.Report = func(f Finding) { got = append(got, f.Code) }
			k.testAddress(t.Context())
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
			if text := said(); strings.Contains(text, "DATA") || c.reply != "" &&
				!strings.Contains(text, "RCPT TO:<test@example.com>") {
				t.Errorf("the server was told %q", text)
			}
		})
	}
}
