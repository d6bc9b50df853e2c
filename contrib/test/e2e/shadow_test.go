package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/keys"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/miltertest"
)

// "mailseal shadow" before Debian's OpenDKIM: the MTA gets what OpenDKIM alone would have answered,
// to the octet, and the log has no difference but those that there are.

// oldHost is a host with an OpenDKIM, the configuration that import-opendkim makes of its own, and
// the keys of a stranger.
type oldHost struct {
	dir   string
	lines []string // of opendkim.conf
	dns   *dnstest.Server
}

// newOldHost makes keys and configurations. Changes are lines of opendkim.conf.
func newOldHost(t *testing.T, mode string, changes ...string) *oldHost {
	t.Helper()
	rig.Build(t)
	h := &oldHost{dir: t.TempDir()}
	zone := new(dnstest.Zone)
	published := ""
	for _, domain := range []string{"home.example", "stranger.example"} {
		private := made.key(t, "mail._domainkey."+domain, keys.RSA)
		record, err := keys.Key{Domain: domain, Selector: "mail",
			Signer: private}.Record(keys.RecordOptions{})
		if err != nil {
			t.Fatal(err)
		}
		text, err := keys.Marshal(private)
		if err != nil {
			t.Fatal(err)
		}
		h.write(t, domain+".pem", string(text))
		zone.AddTXT(record.Name, record.Text)
		published += strings.TrimSuffix(record.Name, ".") + " " + record.Text + "\n"
	}
	h.write(t, "published", published)
	h.lines = append([]string{"Mode " + mode, "Domain home.example", "Selector mail",
		"KeyFile " + h.path("home.example.pem"),
		"Canonicalization relaxed/simple", "OversignHeaders From,Subject",
		"SignHeaders From,To,Subject,Date,Cc", "InternalHosts 127.0.0.1",
		"AuthservID mx.home.example"}, changes...)
	var err error
	if h.dns, err = dnstest.Serve(zone, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.dns.Close() })
	h.write(t, "opendkim.conf", strings.Join(h.lines, "\n")+"\n")
	if said := rig.Run(t, "import-opendkim", "--conf", h.path("opendkim.conf"), "--out",
		h.dir); said.Code != 0 {
		t.Fatalf("import: %+v", said)
	}
	h.configure(t, fmt.Sprintf("\n[dns]\nservers = [%q]\n", h.dns.Addr()))
	return h
}

func (h *oldHost) path(name string) string { return filepath.Join(h.dir, name) }

func (h *oldHost) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(h.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// configure adds to Mailseal's configuration.
func (h *oldHost) configure(t *testing.T, more string) {
	t.Helper()
	text, err := os.ReadFile(h.path("mailseal.toml"))
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, "mailseal.toml", string(text)+more)
}

func (h *oldHost) opendkim(t *testing.T, socket string) *rig.Process {
	t.Helper()
	return rig.StartOpenDKIM(t, socket, append(h.lines, "TestPublicKeys "+h.path("published"))...)
}

// shadowProcess is a "mailseal shadow" at work.
type shadowProcess struct {
	daemon *rig.Daemon
	log    string
}

// shadow starts the command of the service unit, with the paths and addresses of the test.
func (h *oldHost) shadow(t *testing.T, listen, upstream string) *shadowProcess {
	t.Helper()
	p := &shadowProcess{log: h.path("shadow.log")}
	args := unitCommand(t, "../../../contrib/systemd/mailseal-shadow.service")
	for option, value := range map[string]string{"--config": h.path("mailseal.toml"),
		"--listen": listen, "--upstream": upstream, "--log": p.log} {
		at := slices.Index(args, option)
		if at < 0 {
			t.Fatalf("the unit's command has no %s: %q", option, args)
		}
		args[at+1] = value
	}
	p.daemon = rig.Serve(t, rig.DaemonOptions{}, append(args, "--json")...)
	return p
}

// unitCommand returns the arguments of a service unit's command.
func unitCommand(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nExecStart=")
	line, _, _ := strings.Cut(rest, "\n")
	words := strings.Fields(line)
	if len(words) < 2 {
		t.Fatalf("no ExecStart= in %s", file)
	}
	return words[1:]
}

// shadowLine is what a line of the log says.
type shadowLine struct {
	Msg, In, Why, Sender, Signed, Results, Queue string
	Verdict                                      string
	BodyUnseen                                   bool `json:"body_unseen"`
	raw                                          string
}

// lines stops the process and returns the lines on messages.
func (p *shadowProcess) lines(t *testing.T) (out []shadowLine) {
	t.Helper()
	p.daemon.Stop(t)
	text, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	for raw := range strings.Lines(string(text)) {
		l := shadowLine{raw: raw}
		if err := json.Unmarshal([]byte(raw), &l); err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		if l.Msg != "summary" {
			out = append(out, l)
		}
	}
	return out
}

// signedByStranger signs a message of stranger.example.
func (h *oldHost) signedByStranger(t *testing.T, message string) string {
	t.Helper()
	signed := rig.RunWith(t, []byte(message), "sign", "--domain", "stranger.example", "--selector",
		"mail", "--key", h.path("stranger.example.pem"))
	if signed.Code != 0 {
		t.Fatalf("sign: %+v", signed)
	}
	return signed.Stdout
}

// sample is a message that goes through both ways.
type sample struct {
	name, client string
	miltertest.Message
	differs string // in what, "" for nothing, where both verify
}

// samples are messages of ours and of strangers.
func (h *oldHost) samples(t *testing.T) (out []sample) {
	add := func(name, client, from, raw string) {
		m := miltertest.Message{From: from, To: []string{"x@elsewhere.example",
			"y@elsewhere.example"}, Raw: []byte(raw), Queue: fmt.Sprintf("S%d", len(out))}
		out = append(out, sample{name: name, client: client, Message: m})
	}
	ours := mail("alice@home.example", "friend@elsewhere.example").Message
	theirs := mail("a@stranger.example", "bob@home.example").Message
	signed := h.signedByStranger(t, theirs)
	add("ours", local, "alice@home.example", ours)
	add("ours, odd white space", local, "alice@home.example",
		"X:y\nX-Two:  z\nX-Tab:\tt\nX-Empty:\nX-Blank: \nX-Folded:\n\tone\n two\n"+
			strings.Replace(ours, "Subject: ", "Subject:", 1))
	add("ours, no body", local, "alice@home.example", strings.SplitAfter(ours, "\n\n")[0])
	add("ours, large", local, "alice@home.example",
		ours+strings.Repeat("0123456789abcdef0123456789abcdef 0123456789abcdef \n", 20000))
	add("ours, a forged field", local, "alice@home.example",
		"Authentication-Results: mx.home.example; dkim=pass header.d=bank.example\n"+ours)
	add("ours, a null sender", local, "", ours)
	add("ours, two subjects", local, "alice@home.example", "Subject: twice\n"+ours)
	add("another's domain", local, "alice@home.example", strings.Replace(ours, "alice@home.example",
		"alice@other.example", 1))
	add("theirs, unsigned", stranger, "a@stranger.example", theirs)
	add("theirs, signed", stranger, "a@stranger.example", signed)
	add("theirs, signed and changed", stranger, "a@stranger.example",
		strings.Replace(signed, "about", "no longer about", 1))
	add("theirs, signed, body changed", stranger, "a@stranger.example", signed+"more\n")
	add("theirs, no such key", stranger, "a@stranger.example",
		strings.Replace(signed, "s=mail", "s=gone", 1))
	out[len(out)-1].differs = "dkim" // fail to OpenDKIM, permerror to RFC 8601 and us
	add("theirs, forged fields", stranger, "a@stranger.example",
		"Authentication-Results: mx.home.example; dkim=pass\nAuthentication-Results: other.example; dkim=pass\n"+signed)
	add("theirs, two signatures", stranger, "a@stranger.example", h.signedByStranger(t, signed))
	add("a stranger as ours", stranger, "alice@home.example", ours)
	return out
}

// playThrough sends a sample to a milter.
func playThrough(t *testing.T, address string, as miltertest.MTA, s sample) miltertest.Outcome {
	t.Helper()
	c := connect(t, address, as, s.client)
	defer c.Close()
	o, err := c.Send(s.Message)
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	if err := c.Quit(); err != nil {
		t.Errorf("%s: %v", s.name, err)
	}
	return o
}

func connect(t *testing.T, address string, as miltertest.MTA, client string) *miltertest.Conn {
	t.Helper()
	noon := func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }
	c, err := miltertest.Dial(t.Context(), address, miltertest.Options{As: as,
		Client: netip.MustParseAddr(client), Now: noon, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// signedAt finds the time of a signature of ours: two of the same second must be the same.
var signedAt = regexp.MustCompile(`d=home\.example;[^:]*?\bt=(\d+)`)

func timeOf(o miltertest.Outcome) string {
	if found := signedAt.FindSubmatch(o.Delivered()); found != nil {
		return string(found[1])
	}
	return ""
}

// sameThrough sends a sample both ways until both have been signed in the same second.
func sameThrough(t *testing.T, direct, shadowed string, as miltertest.MTA, s sample) (a,
	b miltertest.Outcome) {
	t.Helper()
	for range 10 {
		a, b = playThrough(t, direct, as, s), playThrough(t, shadowed, as, s)
		if timeOf(a) == timeOf(b) {
			break
		}
	}
	return a, b
}

func TestShadowBeforeOpenDKIM(t *testing.T) {
	for _, tt := range []struct {
		mode, upstream, listen string
		changes                []string
	}{
		{"sv", "inet", "unix", nil},
		{"s", "unix", "inet", nil},
		{"v", "unix", "unix", []string{"AlwaysAddARHeader yes"}},
		{"sv", "unix", "inet", []string{"RemoveOldSignatures yes", "MacroList {auth_type}"}},
	} {
		t.Run(strings.Join(append([]string{tt.mode, tt.upstream}, tt.changes...), ","),
			func(t *testing.T) {
				h := newOldHost(t, tt.mode, tt.changes...)
				direct, listen := h.socket(t, tt.upstream, "od"), h.socket(t, tt.listen, "sh")
				h.opendkim(t, direct)
				p := h.shadow(t, listen, direct)
				samples := h.samples(t)
				for _, s := range samples {
					for _, as := range []miltertest.MTA{miltertest.Postfix, miltertest.Sendmail} {
						a, b := sameThrough(t, direct, listen, as, s)
						if a.Reply != b.Reply || !bytes.Equal(a.Delivered(), b.Delivered()) {
							t.Errorf("%s, %v: through us %v\n%s\nfrom OpenDKIM alone %v\n%s",
								s.name,
								as, b.Reply, b.Delivered(), a.Reply, a.Delivered())
						}
					}
				}
				lines := p.lines(t)
				if len(lines) < 2*len(samples) {
					t.Errorf("%d lines for %d messages", len(lines), 2*len(samples))
				}
				for _, l := range lines {
					l.check(t, samples, tt.mode)
				}
			})
	}
}

// check wants a line to tell no difference but that of the sample, and the body to be unseen where
// OpenDKIM lets messages pass at the end of the header: what it does not sign when it only signs,
// what it would sign when it only verifies.
func (l shadowLine) check(t *testing.T, samples []sample, mode string) {
	t.Helper()
	for _, s := range samples {
		if s.Queue != l.Queue {
			continue
		}
		want := ""
		if mode != "s" {
			want = s.differs
		}
		if unseen := mode == "s" && l.Signed == "-" || mode == "v" && s.client == local &&
			strings.HasPrefix(s.name, "ours"); l.BodyUnseen != unseen {
			t.Errorf("%s: the body was unseen: %v, want %v:\n%s", s.name, l.BodyUnseen, unseen,
				l.raw)
		}
		if l.In != want || l.Msg == "not judged" {
			t.Errorf("%s: differs in %q, want %q:\n%s", s.name, l.In, want, l.raw)
		}
		return
	}
	t.Errorf("a line of no sample: %s", l.raw)
}

// socket makes up an address of a milter.
func (h *oldHost) socket(t *testing.T, kind, name string) string {
	if kind == "unix" {
		return "unix:" + h.path(name)
	}
	host, port, _ := strings.Cut(rig.FreePort(t, local), ":")
	return "inet:" + port + "@" + host
}
