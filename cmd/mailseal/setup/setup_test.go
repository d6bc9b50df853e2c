package setup

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/control"
	"mailseal/cmd/mailseal/service"
	"mailseal/config"
	"mailseal/milter/dns/dnstest"
)

const oldMain = "myhostname = mail.example.com\nsmtpd_milters = inet:127.0.0.1:11332\n"

// site is a host with Postfix in a directory.
type site struct {
	t     *testing.T
	dir   string
	o     Options
	ran   []string
	reply string // of the mail server, at the end of the test message
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	s.write("postfix/main.cf", oldMain)
	s.o = Options{
		Domains: []string{"example.com"}, Algorithms: []string{"rsa", "ed25519"},
		Addresses: []string{"192.0.2.1"}, Networks: []string{"127.0.0.1"},
		Config: filepath.Join(s.dir, "etc/mailseal.toml"), State: filepath.Join(s.dir, "state"),
		Postfix: filepath.Join(s.dir, "postfix"), Sendmail: filepath.Join(s.dir, "mail"),
		Yes: true, IgnoreOpenDKIM: true,
		Service:  &service.Service{Name: "mailseal", UID: os.Geteuid(), GID: os.Getegid()},
		Now:      func() time.Time { return time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) },
		Resolver: dnstest.Must("example.com. 60 IN TXT \"v=spf1 mx -all\"\n"),
		Run:      s.command,
	}
	return s
}

func (s *site) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) read(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// command is the host's commands: postconf -e as Postfix's, all others do nothing.
func (s *site) command(_ context.Context, name string, args ...string) ([]byte, error) {
	s.ran = append(s.ran, name+" "+strings.Join(args, " "))
	if name != "postconf" || args[2] != "-e" {
		return nil, nil
	}
	text := s.read("postfix/main.cf")
	for _, a := range args[3:] {
		name, value, _ := strings.Cut(a, " = ")
		text = setMainCF(text, setting{name, value})
	}
	s.write("postfix/main.cf", text)
	return nil, nil
}

// run runs setup and returns what it says to programs.
func (s *site) run(change func(*Options)) (Result, error) {
	s.t.Helper()
	var out bytes.Buffer
	o := s.o
	o.JSON, o.Out = true, &out
	if change != nil {
		change(&o)
	}
	err := Run(s.t.Context(), o)
	var r Result
	if out.Len() > 0 {
		if jsonErr := json.Unmarshal(out.Bytes(), &r); jsonErr != nil {
			s.t.Fatalf("%v: %s", jsonErr, out.String())
		}
	}
	return r, err
}

// daemon answers on the control socket as the daemon does, and a mail server on a port.
func (s *site) daemon() {
	s.t.Helper()
	l, err := control.Listen(s.t.Context(), filepath.Join(s.dir, "state/control"))
	if err != nil {
		s.t.Fatal(err)
	}
	server := control.Server{Log: slog.New(slog.DiscardHandler), Handle: func(_ context.Context,
		r control.Request) control.Answer {
		return control.Answer{Recipient: "test-1@x.invalid",
			Running: &control.Running{ConfigSince: time.Now().Add(time.Hour)}}
	}}
	go func() { _ = server.Serve(s.t.Context(), l) }()
	smtp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { smtp.Close() })
	s.o.SMTP = smtp.Addr().String()
	go func() {
		for {
			nc, err := smtp.Accept()
			if err != nil {
				return
			}
			s.smtp(nc)
		}
	}()
}

func (s *site) smtp(nc net.Conn) {
	defer nc.Close()
	fmt.Fprint(nc, "220 mail.example.com\r\n")
	in := bufio.NewScanner(nc)
	for in.Scan() {
		switch line := in.Text(); {
		case line == "DATA":
			fmt.Fprint(nc, "354 go on\r\n")
		case line == ".":
			fmt.Fprint(nc, s.reply+"\r\n")
		case line == "QUIT":
			return
		case strings.HasPrefix(line, "EHLO") || strings.HasPrefix(line, "MAIL") ||
			strings.HasPrefix(line, "RCPT"):
			fmt.Fprint(nc, "250 ok\r\n")
		}
	}
}

func state(r Result, kind string) string {
	for _, x := range r.Records {
		if x.Kind == kind {
			return x.State
		}
	}
	return ""
}

// TestWaitedInVain holds that the mail server is not connected while receivers do not find the
// keys.
func TestWaitedInVain(t *testing.T) {
	s := newSite(t)
	r, err := s.run(func(o *Options) { o.Apply, o.Wait = true, time.Millisecond })
	if err == nil || len(r.Faults) != 1 || s.read("postfix/main.cf") != oldMain ||
		!strings.Contains(strings.Join(r.Todo, "\n"), "the mail server was not connected") {
		t.Errorf("%v, %+v\n%s", err, r, s.read("postfix/main.cf"))
	}
}

func TestSetup(t *testing.T) {
	s := newSite(t)
	r, err := s.run(nil)
	if err != nil || len(r.Faults) > 0 {
		t.Fatalf("%v, %+v", err, r)
	}
	cfg, err := config.Load(s.o.Config)
	if err != nil || len(cfg.Keys) != 2 || cfg.AuthservID != "mail.example.com" ||
		!signsFor(cfg, "example.com") || !signsFor(cfg, "sub.example.com") {
		t.Errorf("%v, %+v", err, cfg)
	}
	if len(r.Records) != 4 || state(r, "dkim") != "missing" || state(r, "spf") != "to be changed" ||
		state(r, "dmarc") != "missing" {
		t.Errorf("records: %+v", r.Records)
	}
	for _, x := range r.Records {
		if x.Zone == "" || len(x.Strings) == 0 || strings.Join(x.Strings, "") != x.Value {
			t.Errorf("%+v", x)
		}
	}
	if s.read("postfix/main.cf") != oldMain {
		t.Error("main.cf was changed without --apply")
	}
	for _, f := range r.Files {
		if strings.HasSuffix(f.Path, "main.cf") &&
			!strings.Contains(f.Diff, "+smtpd_milters = $mailseal, inet:127.0.0.1:11332") {
			t.Errorf("%+v", f)
		}
	}
	before := s.read("etc/mailseal.toml")
	again, err := s.run(func(o *Options) {
		o.Now = func() time.Time {
			return time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		}
	})
	if err != nil || len(again.Done) > 0 || s.read("etc/mailseal.toml") != before {
		t.Errorf("again: %v, %+v", err, again)
	}
}

// TestConfigLeftAlone shows what an administrator's configuration lacks, and applies nothing.
func TestConfigLeftAlone(t *testing.T) {
	s := newSite(t)
	s.write("etc/mailseal.toml", config.Sample())
	if r, err := s.run(nil); err != nil || len(r.Faults) > 0 {
		t.Fatalf("the sample is nobody's work: %v, %+v", err, r)
	}
	before := s.read("etc/mailseal.toml")
	r, err := s.run(func(o *Options) {
		o.Domains, o.Apply = []string{"example.com", "example.net"}, true
	})
	if answer.Of(err) != answer.Bad || s.read("etc/mailseal.toml") != before ||
		s.read("postfix/main.cf") != oldMain {
		t.Errorf("%v, %+v", err, r)
	}
	if d := r.Files[0].Diff; !strings.Contains(d, "+[[sign]]") || !strings.Contains(d,
		`+from = ["*@example.net", "*@*.example.net"]`) || strings.Contains(d, `example.com`) {
		t.Errorf("the difference: %s", d)
	}
	if len(r.Records) != 8 {
		t.Errorf("records: %+v", r.Records)
	}
	s.write("etc/mailseal.toml", "nonsense = 1\n")
	if _, err := s.run(nil); answer.Of(err) != answer.Bad ||
		!strings.Contains(err.Error(), "mailseal.toml:1") {
		t.Errorf("with a mistake: %v", err)
	}
}

func TestApplyAndUndo(t *testing.T) {
	s := newSite(t)
	if _, err := s.run(nil); err != nil {
		t.Fatal(err)
	}
	r, err := s.run(func(o *Options) { o.Apply = true })
	if answer.Of(err) != answer.Bad || s.read("postfix/main.cf") != oldMain {
		t.Errorf("without a daemon: %v, %+v", err, r)
	}
	s.daemon()
	s.reply = "550 5.7.1 Mailseal test: role ours; signed by x._domainkey.example.com"
	r, err = s.run(func(o *Options) { o.Apply = true })
	main := mainCF(s.read("postfix/main.cf"))
	if err != nil || r.Test == nil || !r.Test.Good ||
		main["smtpd_milters"] != "$mailseal, inet:127.0.0.1:11332" ||
		main["non_smtpd_milters"] != "$mailseal" ||
		main["internal_mail_filter_classes"] != "bounce" {
		t.Errorf("%v, %+v, %v", err, r, main)
	}
	after := s.read("postfix/main.cf")
	if r, err = s.run(func(o *Options) { o.Apply = true }); err != nil || !r.Test.Good ||
		s.read("postfix/main.cf") != after || len(r.Done) != 1 {
		t.Errorf("again: %v, %+v", err, r)
	}
	if r, err = s.run(func(o *Options) { o.Undo = true }); err != nil ||
		s.read("postfix/main.cf") != oldMain {
		t.Errorf("undo: %v, %+v", err, r)
	}
	if r, err = s.run(func(o *Options) { o.Undo = true }); err != nil || len(r.Done) > 0 {
		t.Errorf("undo again: %v, %+v", err, r)
	}
}

// TestUndoKeepsOthers takes our settings out of a file that an administrator has changed since, and
// refuses where the change is in one of ours.
func TestUndoKeepsOthers(t *testing.T) {
	s := newSite(t)
	s.daemonAfter()
	if _, err := s.run(func(o *Options) { o.Apply = true }); err != nil {
		t.Fatal(err)
	}
	s.write("postfix/main.cf", s.read("postfix/main.cf")+"relayhost = smart.example\n")
	if _, err := s.run(func(o *Options) { o.Undo = true }); err != nil ||
		s.read("postfix/main.cf") != oldMain+"relayhost = smart.example\n" {
		t.Errorf("%v\n%s", err, s.read("postfix/main.cf"))
	}
	if _, err := s.run(func(o *Options) { o.Apply = true }); err != nil {
		t.Fatal(err)
	}
	mine := setMainCF(s.read("postfix/main.cf"),
		setting{"smtpd_milters", "$mailseal, inet:127.0.0.1:7"})
	s.write("postfix/main.cf", mine)
	if _, err := s.run(func(o *Options) { o.Undo = true }); err == nil ||
		s.read("postfix/main.cf") != mine {
		t.Errorf("%v\n%s", err, s.read("postfix/main.cf"))
	}
}

// daemonAfter writes the configuration, so that there is a directory for the socket, and starts a
// daemon.
func (s *site) daemonAfter() {
	s.t.Helper()
	if _, err := s.run(nil); err != nil {
		s.t.Fatal(err)
	}
	s.daemon()
	s.reply = "550 5.7.1 Mailseal test: role ours; signed by x._domainkey.example.com"
}

// TestTryOut has each thing that may become of the test message.
func TestTryOut(t *testing.T) {
	for _, tc := range []struct {
		name, reply, fault, ran string
	}{
		{"taken", "250 2.0.0 Ok: queued as 4XQ7", "accepted the test message", "postsuper -c DIR -d 4XQ7"},
		{"refused by another", "550 5.7.1 no such domain", "itself refused the test message", ""},
		{"unsigned", "550 5.7.1 Mailseal test: role theirs, by stranger", "would not have signed it", ""},
		{"deferred", "451 4.7.1 Service unavailable", "itself refused the test message", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t)
			s.daemonAfter()
			s.reply = tc.reply
			r, err := s.run(func(o *Options) { o.Apply = true })
			if answer.Of(err) != answer.Bad || !strings.Contains(strings.Join(r.Faults, "\n"),
				tc.fault) || r.Test.Good {
				t.Errorf("%v, %+v", err, r)
			}
			want := strings.ReplaceAll(tc.ran, "DIR", s.o.Postfix)
			if !strings.Contains(strings.Join(s.ran, "\n"), want) {
				t.Errorf("ran %q, want %q", s.ran, want)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	s := newSite(t)
	for _, tc := range []struct {
		name   string
		change func(*Options)
		says   string
	}{
		{"no domain", func(o *Options) { o.Domains = nil }, "name the domains"},
		{"a domain that is none", func(o *Options) { o.Domains = []string{"a..b"} }, "a..b"},
		{"a short name", func(o *Options) { o.AuthservID = "mail" }, "not a full host name"},
		{"a network", func(o *Options) { o.Networks = []string{"all"} }, "neither an IP address nor a network"},
		{"an address", func(o *Options) { o.Addresses = []string{"192.0.2.0/24"} }, "not an IP address"},
		{"a mailbox", func(o *Options) { o.Reports = "nobody" }, "not a mail address"},
		{"a mail server", func(o *Options) { o.MTA = "exim" }, "postfix, sendmail or none"},
		{"no terminal", func(o *Options) { o.Yes = false }, "not a terminal"},
	} {
		if _, err := s.run(tc.change); answer.Of(err) != answer.Usage ||
			!strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if exists(s.o.Config) {
		t.Error("a configuration was written all the same")
	}
}

// TestForm answers some questions on a terminal, and leaves others as found.
func TestForm(t *testing.T) {
	s := newSite(t)
	var out bytes.Buffer
	o := s.o
	o.Yes, o.Terminal, o.Domains, o.Out = false, true, nil, &out
	o.In = strings.NewReader("example.com, example.net\nautumn\n\ndmarc@example.com\n")
	if err := Run(t.Context(), o); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"Domains whose mail is signed [example.com]: ",
		"autumn._domainkey.example.net", "rua=mailto:dmarc@example.com"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// TestFormRepeats asks again where an answer cannot be right, and says why at once.
func TestFormRepeats(t *testing.T) {
	s := newSite(t)
	var out bytes.Buffer
	o := s.o
	o.Yes, o.Terminal, o.Domains, o.Out, o.Networks = false, true, nil, &out, nil
	o.In = strings.NewReader("a b..c\nlocalhost\nexample.com\n1.2.3.4/99\n192.0.2.0/24\nau tumn\n" +
		"autumn\nmail\nmail.example.com\nnobody\ndmarc@example.com\n")
	if err := Run(t.Context(), o); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for question, times := range map[string]int{"Domains whose mail is signed": 3,
		"Networks whose mail is ours": 2, "Selector of new keys": 2,
		"Name in Authentication-Results": 2, "Address for DMARC reports": 2} {
		if got := strings.Count(out.String(), question); got != times {
			t.Errorf("%q was asked %d times, want %d\n%s", question, got, times, out.String())
		}
	}
	for _, why := range []string{`"localhost" is not a mail domain`, `"nobody" is not a mail address`} {
		if !strings.Contains(out.String(), why) {
			t.Errorf("no %q in\n%s", why, out.String())
		}
	}
}

// TestFormNeedsRights ends before the first question, and before the host is looked at, if the user
// could not finish, or if a flag is wrong.
func TestFormNeedsRights(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Options)
		kind   answer.Kind
		says   string
	}{
		{"a user", func(o *Options) { o.Service, o.UID = nil, new(4711) }, answer.Unknown,
			"setup must be run as root (sudo mailseal setup ...)"},
		{"two flags", func(o *Options) { o.Selector, o.Algorithms = "a b", []string{"dsa"} },
			answer.Usage, `--algorithm: "dsa" is not rsa or ed25519`},
	} {
		s := newSite(t)
		var out bytes.Buffer
		o := s.o
		o.Yes, o.Terminal, o.Domains, o.Out, o.In = false, true, nil, &out, strings.NewReader("")
		tc.change(&o)
		err := Run(t.Context(), o)
		if answer.Of(err) != tc.kind || !strings.Contains(err.Error(), tc.says) ||
			strings.Contains(out.String(), "Domains whose") ||
			strings.Contains(out.String(), "mail server  ") {
			t.Errorf("%s: got %v, and printed\n%s", tc.name, err, out.String())
		}
	}
}

// TestOpenDKIM offers the import, and makes nothing.
func TestImportIsOffered(t *testing.T) {
	s := newSite(t)
	r := &run{Options: s.o, ctx: t.Context()}
	r.IgnoreOpenDKIM, r.JSON = false, true
	r.result.Host.OpenDKIM = "/etc/opendkim.conf"
	offered, err := r.offerImport()
	if !offered || err != nil || len(r.result.Faults) != 1 || !strings.Contains(r.result.Todo[0],
		"mailseal import-opendkim --out") {
		t.Errorf("%v, %v, %+v", offered, err, r.result)
	}
}

func TestSendmail(t *testing.T) {
	s := newSite(t)
	s.write("mail/sendmail.mc", "OSTYPE(`debian')dnl\nINPUT_MAIL_FILTER(`old', "+
		"`S=inet:11332@127.0.0.1')dnl\nMAILER_DEFINITIONS\nMAILER(`local')dnl\n")
	r := &run{Options: s.o}
	p, err := r.planSendmail("127.0.0.1", "8891")
	if err != nil || !strings.Contains(p.after,
		"F=T, T=C:10s;S:10s;R:30s;E:5m')dnl\nINPUT_MAIL_FILTER(`old'") {
		t.Errorf("%v, %s", err, p.after)
	}
	s.write("mail/sendmail.mc", p.after+"dnl later\n")
	if again, err := r.planSendmail("127.0.0.1", "8891"); err != nil ||
		again.before != again.after {
		t.Errorf("again: %v, %s", err, again.after)
	}
	if got := withoutFilter(p.after+"dnl later\n",
		applied{Before: p.before, After: p.after}); got != p.before+"dnl later\n" {
		t.Errorf("undone: %s", got)
	}
}

func TestSPF(t *testing.T) {
	for _, tc := range []struct{ name, zone, value, state string }{
		{"none", "", "v=spf1 ip4:192.0.2.1 ~all", "missing"},
		{"without us", `example.com. 60 IN TXT "v=spf1 include:x.example -all"` + "\n",
			"v=spf1 ip4:192.0.2.1 include:x.example -all", "to be changed"},
		{"with us", `example.com. 60 IN TXT "v=spf1 ip4:192.0.2.0/24 -all"` + "\n",
			"v=spf1 ip4:192.0.2.0/24 -all", "published"},
		{"two", `example.com. 60 IN TXT "v=spf1 -all"` + "\n" +
			`example.com. 60 IN TXT "v=spf1 mx -all"` + "\n", "v=spf1 ip4:192.0.2.1 -all",
			"to be changed"},
		{"unknown", "$SERVFAIL example.com\n", "v=spf1 ip4:192.0.2.1 ~all", "unknown"},
	} {
		r := &run{ctx: t.Context(), Options: Options{Addresses: []string{"192.0.2.1"},
			AuthservID: "m.example.com", Resolver: dnstest.Must(tc.zone)}}
		if x := r.spf("example.com"); x.Value != tc.value || x.State != tc.state {
			t.Errorf("%s: %s, %s", tc.name, x.Value, x.State)
		}
	}
}

func TestDiff(t *testing.T) {
	got := diff("f", "a\nb\nc\n", "a\nB\nc\nd\n")
	if want := "--- f\n+++ f\n@@ -2,1 +2,1 @@\n-b\n+B\n@@ -3,0 +4,1 @@\n+d\n"; got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestQueueID(t *testing.T) {
	for reply, want := range map[string]string{
		"2.0.0 Ok: queued as 4XQ01": "4XQ01", "2.0.0 34AB01 Message accepted for delivery": "34AB01", "fine": "unknown",
	} {
		if got := queueID(reply); got != want {
			t.Errorf("%s: %s", reply, got)
		}
	}
}

func TestRemoveQueued(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"qf4AB", "df4AB", "qf4AC"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeQueued(dir, "4AB"); err != nil || !exists(filepath.Join(dir, "qf4AC")) ||
		exists(filepath.Join(dir, "qf4AB")) {
		t.Error(err)
	}
	if removeQueued(dir, "4AB") == nil {
		t.Error("it was not there any more")
	}
}
