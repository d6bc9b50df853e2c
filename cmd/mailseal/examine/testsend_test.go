package examine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/report/send"
)

// received is a Transport that remembers, and refuses some.
type received struct {
	refuse string // mails with this text
	list   []string
	from   []string
}

func (r *received) Hand(_ context.Context, from, _ string, text []byte) error {
	if r.refuse != "" && strings.Contains(string(text), r.refuse) {
		return send.Refused{Text: "550 no"}
	}
	r.list, r.from = append(r.list, string(text)), append(r.from, from)
	return nil
}

// testMailsOf makes the mails of a domain with a key, and the zone in which its record is.
func testMailsOf(t *testing.T) (TestMails, *received, *dnstest.Zone) {
	t.Helper()
	dir := t.TempDir()
	private, err := keys.Generate(keys.Ed25519, 0)
	if err != nil {
		t.Fatal(err)
	}
	text, err := keys.Marshal(private)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "k.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	record, err := keys.Key{Domain: "example.com", Selector: "s",
		Signer: private}.Record(keys.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	z, err := dnstest.Load(strings.NewReader(`s._domainkey.example.com. TXT "` + record.Text +
		"\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "mailseal.toml")
	const settings = `authserv_id = "mx.example.com"
listen = [{ address = "inet:8891@127.0.0.1" }]
[keys."s._domainkey.example.com"]
file = "k.pem"
[[sign]]
from = "example.com"
keys = ["s._domainkey.example.com"]
`
	if err := os.WriteFile(path, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &received{}
	return TestMails{Config: cfg, From: "a@example.com", To: "b@receiver.example",
		Server: "192.0.2.1:25", Now: time.Now, transport: r}, r, z
}

// TestTestSend holds that what is sent is what it is called: a signature that verifies, one that
// the body breaks, and none.
func TestTestSend(t *testing.T) {
	o, r, z := testMailsOf(t)
	o.SPFFail = "x@example.com"
	var out bytes.Buffer
	if err := o.Send(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	want := []string{"pass", "fail", "none", "none"}
	if len(r.list) != len(want) ||
		strings.Join(r.from, " ") != "a@example.com a@example.com a@example.com x@example.com" {
		t.Fatalf("%d mails from %v", len(r.list), r.from)
	}
	for i, text := range r.list {
		e := &Examiner{Resolver: z}
		m, err := e.Examine(t.Context(), "mail", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.results.BestDKIM(); got != want[i] {
			t.Errorf("mail %d: dkim=%s, want %s", i, got, want[i])
		}
	}
	for _, text := range []string{"signed    taken; expect dkim=pass",
		"changed   taken; expect dkim=fail", "spf-fail  taken"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("no %q in %s", text, out.String())
		}
	}
}

// TestTestSendRefuses holds that no other's name is used, and how the server's refusal is told.
func TestTestSendRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*TestMails, *received)
		kind   answer.Kind
		sent   int
	}{
		{"somebody else's domain", func(o *TestMails, _ *received) { o.From = "a@bank.example" }, answer.Bad, 0},
		{"somebody else's envelope", func(o *TestMails, _ *received) { o.SPFFail = "a@bank.example" }, answer.Bad, 0},
		{"no address", func(o *TestMails, _ *received) { o.To = "b" }, answer.Usage, 0},
		{"no recipient", func(o *TestMails, _ *received) { o.To = "" }, answer.Usage, 0},
		{"two", func(o *TestMails, _ *received) { o.To = "b@c.example, d@e.example" }, answer.Usage, 0},
		{"a header", func(o *TestMails, _ *received) { o.To = "b@c.example\r\nBcc: x@y.example" }, answer.Usage, 0},
		{"no such TLS", func(o *TestMails, _ *received) { o.TLS = "yes" }, answer.Usage, 0},
		{"no such mail", func(o *TestMails, _ *received) { o.Only = []string{"all"} }, answer.Usage, 0},
		{"a mail without its sender", func(o *TestMails, _ *received) { o.Only = []string{"spf-fail"} },
			answer.Usage, 0},
		{"refused", func(_ *TestMails, r *received) { r.refuse = "added after signing" }, answer.Bad, 2},
	} {
		o, r, _ := testMailsOf(t)
		c.change(&o, r)
		err := o.Send(t.Context(), &bytes.Buffer{})
		if err == nil || answer.Of(err) != c.kind || len(r.list) != c.sent {
			t.Errorf("%s: %v (%v), %d sent", c.name, err, answer.Of(err), len(r.list))
		}
	}
	o, _, _ := testMailsOf(t)
	o.transport = away{}
	if err := o.Send(t.Context(), &bytes.Buffer{}); answer.Of(err) != answer.Unknown {
		t.Errorf("%v", err)
	}
}

// away is a Transport that cannot be reached.
type away struct{}

func (away) Hand(context.Context, string, string, []byte) error { return errors.New("no route") }

// TestTestSendOnly holds that only the mails that are named are sent.
func TestTestSendOnly(t *testing.T) {
	o, r, _ := testMailsOf(t)
	o.Only = []string{"unsigned"}
	var out bytes.Buffer
	if err := o.Send(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if len(r.list) != 1 || strings.Contains(r.list[0], "DKIM-Signature") ||
		strings.Contains(out.String(), "changed") {
		t.Errorf("%d mails, printed %s", len(r.list), out.String())
	}
}

func TestTestSendAddress(t *testing.T) {
	for _, tc := range []struct{ server, tls, want string }{
		{"mx.example.net", "no", "mx.example.net:25"},
		{"mx.example.net", "smtps", "mx.example.net:465"},
		{"mx.example.net:587", "starttls", "mx.example.net:587"},
		{"[2001:db8::1]", "", "[2001:db8::1]:25"}, {"2001:db8::1", "", "[2001:db8::1]:25"},
	} {
		if got := (TestMails{Server: tc.server, TLS: tc.tls}).address(); got != tc.want {
			t.Errorf("%s, %s: got %s, want %s", tc.server, tc.tls, got, tc.want)
		}
	}
}
