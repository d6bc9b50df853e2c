package check

import (
	"crypto/ed25519"
	_ "embed"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailseal/config/mta"
	"mailseal/keys"
	"mailseal/milter/action"
	"mailseal/milter/dkim/crosscheck"
)

// longKey has 4104 bits; it is published nowhere.
//
//go:embed testdata/rsa4104.pem
var longKey string

// shortKey makes an RSA key of 1024 bits.
func shortKey(t *testing.T) string {
	t.Helper()
	signer, err := keys.Generate(keys.RSA, 1024)
	if err != nil {
		t.Fatal(err)
	}
	text, err := keys.Marshal(signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pagesOf is the section of the pages with some settings.
func pagesOf(settings string) string {
	return "[reports.web]\naddress = \"127.0.0.1:1\"\n" + settings + "\n"
}

// TestFindings holds which codes a configuration comes to, and the verdict.
func TestFindings(t *testing.T) {
	good := listen + signing
	second := func(setting string) string {
		return good + "[keys.\"t._domainkey.example.com\"]\n" + setting + "\n"
	}
	tests := []struct {
		name, toml, zone string
		verdict          Verdict
		want             []Code
	}{
		{"good", good, "", Good, []Code{}},
		{"a mistake", "mod = 1\n" + good, "", Bad, []Code{ConfigMistake}},
		{"a mistake, and a file that is not there", "mod = 1\n" + second(`file = "t.pem"`) +
			pagesOf("token_file = \"short\""), "", Bad,
			[]Code{ConfigMistake, KeyMissing, PagesRefused}},
		{"a user that is not there", "user = \"nobodyx\"\n" + good, "", Bad, []Code{ConfigRefused}},
		{"a token that is too short", good + pagesOf("token_file = \"short\""), "", Bad,
			[]Code{PagesRefused}},
		{"an empty token", good + pagesOf("token_file = \"empty\""), "", Bad,
			[]Code{PagesRefused}},
		{"passwords that are not bcrypt", good + pagesOf("htpasswd = \"ht\""), "", Bad,
			[]Code{PagesRefused}},
		{"a certificate that is a key", good + pagesOf("token_file = \"tok\"\ncertificate = "+
			"\"s.pem\"\nkey = \"s.pem\""), "", Bad, []Code{PagesRefused}},
		{"pages with a token", good + pagesOf("token_file = \"tok\""), "", Good, []Code{}},
		{"no line of a table signs", listen + "key_table = \"file:keys\"\nsigning_table = " +
			"\"file:signs\"\n", "", Good, []Code{ConfigWarning}},
		{"a warning", listen, "", Good, []Code{ConfigWarning}},
		{"no file of a key", second(`file = "t.pem"`), "", Bad, []Code{KeyMissing}},
		{"a file without a key", second(`file = "mailseal.toml"`), "", Bad, []Code{KeyUnusable}},
		{"a key for others to read", "require_safe_keys = true\n" + second(`file = "open.pem"`), "",
			Bad, []Code{KeyRefused, FileMode}},
		{"a key shorter than advised", second(`file = "short.pem"`), "", Good, []Code{KeyShort}},
		{"a key longer than verifiers take", second(`file = "long.pem"`), "", Good, []Code{KeyTooLong}},
		{"no directory of a socket", strings.Replace(good, "inet:8891@127.0.0.1",
			"unix:/nowhere/m.sock", 1), "", Bad, []Code{SocketNoDirectory}},
		{"a directory that systemd makes", strings.Replace(good, "inet:8891@127.0.0.1",
			"unix:/run/no such/m.sock", 1), "", Good, []Code{SocketDirectoryYet}},
		{"a directory that is a file", strings.Replace(good, "inet:8891@127.0.0.1",
			"unix:DIR/s.pem/m.sock", 1), "", Bad, []Code{SocketDirectoryBad}},
		{"a file in the socket's place", strings.Replace(good, "inet:8891@127.0.0.1",
			"unix:DIR/s.pem", 1), "", Bad, []Code{SocketOccupied}},
		{"owners of a socket", strings.Replace(good, "inet:8891@127.0.0.1\"",
			"unix:DIR/m.sock\", user = \"no such user\", group = \"no such group\"", 1), "", Bad,
			[]Code{SocketNoGroup, SocketNoUser}},
		{"an address that is not this host's", strings.Replace(good, "inet:8891@127.0.0.1",
			"inet:8891@192.0.2.1", 1), "", Bad, []Code{SocketAddress}},
		{"a host without an address", strings.Replace(good, "inet:8891@127.0.0.1",
			"inet:8891@host.onion", 1), "", Bad, []Code{SocketAddress}},
		{"metrics on an address that is not this host's",
			good + "[metrics]\naddress = \"192.0.2.1:9\"\n", "", Bad, []Code{ConfigWarning, MetricsAddress}},
		{"a socket's owner by number", strings.Replace(good, "inet:8891@127.0.0.1\"",
			"unix:DIR/m.sock\", user = \"0\", group = \"0\"", 1), "", Good, []Code{}},
		{"a token that is not there", good + "[sources.web]\ndriver = \"http\"\nurl = " +
			"\"http://127.0.0.1:1\"\ntoken_file = \"token\"\n[keys.k]\nsource = \"web\"\n", "", Bad,
			[]Code{SecretMissing}},
		{"a directory of keys that is not there", good + "[sources.web]\ndriver = \"http\"\nurl " +
			"= \"http://127.0.0.1:1\"\nkey_dir = \"nowhere\"\ntimeout = \"1s\"\n[[sign]]\nsource " +
			"= \"web\"\nfrom = \"example.net\"\n", "",
			Bad, []Code{SecretMissing, SourceAway}},
		{"a source that is away", good + "[sources.web]\ndriver = \"http\"\nurl = " +
			"\"http://127.0.0.1:1\"\ntimeout = \"1s\"\n[[sign]]\nsource = \"web\"\nfrom = \"example.net\"\n",
			"", Bad, []Code{SourceAway}},
		{"no state directory", "state_directory = \"DIR/s.pem\"\n" + listen +
			"[[sign]]\nfrom = \"example.com\"\nmanaged = \"example.com\"\n", "", Bad,
			[]Code{StateUnread}},
		{"the DNS shows the key", good, "RECORD\n", Good, []Code{}},
		{"the DNS shows nothing", good, "example.com. A 192.0.2.1\n", Bad, []Code{DNSMissing}},
		{"the DNS does not answer", good, "$SERVFAIL s._domainkey.example.com\n", Undecided, []Code{DNSNoAnswer}},
		{"no answer, and an error", "mod = 1\n" + good, "$SERVFAIL s._domainkey.example.com\n", Bad,
			[]Code{ConfigMistake}},
		{"DMARC does not count it", strings.Replace(good, `from = "example.com"`,
			`from = "example.net"`, 1), "RECORD\n", Bad, []Code{DMARCUncount}},
		{"DMARC cannot be asked", strings.Replace(good, `from = "example.com"`, `from = "a.example.com"`, 1),
			"RECORD\n$SERVFAIL _dmarc.a.example.com\n$SERVFAIL _dmarc.example.com\n", Undecided,
			[]Code{DMARCNoAnswer}},
		{"a key of any domain", strings.NewReplacer(`[keys."s._domainkey.example.com"]`,
			"[keys.k]\ndomain = \"%\"\nselector = \"s\"",
			`keys = "s._domainkey.example.com"`, `keys = "k"`, `from = "example.com"`,
			`from = "*"`).Replace(good), "RECORD\n", Good, []Code{DNSAnyDomain}},
	}
	record, err := testKey().Record(keys.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, tt.toml)
			key, err := os.ReadFile(s.path("s.pem"))
			if err != nil {
				t.Fatal(err)
			}
			s.write(t, "open.pem", string(key), 0o644)
			s.write(t, "long.pem", longKey, 0o600)
			s.write(t, "short.pem", shortKey(t), 0o600)
			s.write(t, "short", "12345\n", 0o600)
			s.write(t, "empty", "", 0o600)
			s.write(t, "tok", "12345678901234567890\n", 0o600)
			s.write(t, "ht", "me:$apr1$x$y\n", 0o600)
			s.write(t, "keys", "k example.com:s:"+s.path("s.pem")+"\n", 0o640)
			s.write(t, "signs", "# nothing\n", 0o640)
			s.zone = strings.ReplaceAll(tt.zone, "RECORD", record.Line())
			found, r := s.check(t)
			if got := codes(found); !slices.Equal(got, sorted(tt.want)) ||
				r.Verdict() != tt.verdict {
				t.Errorf("got %v, verdict %d, want %v, %d: %v", got, r.Verdict(), tt.want,
					tt.verdict, found)
			}
			for _, f := range found {
				if f.Severity != byCode[f.Code].Severity || f.Text == "" {
					t.Errorf("%s: severity %s, %q", f.Code, f.Severity, f.Text)
				}
			}
		})
	}
}

func sorted(list []Code) []Code {
	out := slices.Clone(list)
	slices.Sort(out)
	return out
}

// What cannot be read of the configuration is not a bad answer; what cannot be read of a mail
// server is said.
func TestUndecided(t *testing.T) {
	s := newSite(t, listen+signing)
	if err := os.Remove(s.path("mailseal.toml")); err != nil {
		t.Fatal(err)
	}
	if found, r := s.check(t); r.Verdict() != Undecided ||
		!slices.Equal(codes(found), []Code{ConfigUnread}) {
		t.Errorf("no configuration: got %v, %d", found, r.Verdict())
	}
	r := &Result{counts: map[Area]map[Severity]int{MTA: {Unknown: 1}}}
	if r.Verdict() != Good {
		t.Errorf("an unreadable main.cf: got %d", r.Verdict())
	}
}

// TestOutput holds how people and programs read the same findings.
func TestOutput(t *testing.T) {
	s := newSite(t, strings.Replace(listen, "inet:8891@127.0.0.1", "unix:/nowhere/m.sock", 1)+
		signing)
	found, r := s.check(t)
	r.Judged = "with the rights of X" // which depends on the users of this host
	var text strings.Builder
	p := Printer{Out: &text}
	for _, f := range found {
		p.Report(f)
	}
	p.Finish(r)
	file := s.path("mailseal.toml")
	want := "error: " + file + ":2: listen[0].address: no directory /nowhere\n  mkdir -p /nowhere\n" +
		file + ": files were tested with the rights of X\n" + file + ": errors: 1, warnings: 0\n"
	if text.String() != want {
		t.Errorf("got\n%swant\n%s", text.String(), want)
	}
	var object strings.Builder
	j := JSON{Out: &object}
	for _, f := range found {
		j.Report(f)
	}
	if err := j.Finish(r); err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Findings []map[string]any
		Errors   []map[string]any
		Warnings []any
	}
	if err := json.Unmarshal([]byte(object.String()), &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Findings) != 1 || len(answer.Errors) != 1 || answer.Warnings == nil {
		t.Fatalf("got %s", object.String())
	}
	for name, want := range map[string]any{
		"code": "socket-directory-missing", "severity": "error", "area": "local", "file": file, "line": 2.0,
		"setting": "listen[0].address", "text": "no directory /nowhere", "fix": "mkdir -p /nowhere",
		"fix_kind": "make-directory",
	} {
		if got := answer.Findings[0][name]; got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestTryKey(t *testing.T) {
	good := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	bad := slices.Clone(good)
	bad[40] ^= 1 // in the public half: what the record shows does not fit what signs
	for name, tt := range map[string]struct {
		key  ed25519.PrivateKey
		want error
	}{"good": {good, nil}, "bad": {bad, crosscheck.ErrDisagree}} {
		got := tryKey(keys.Key{Domain: "%", Selector: "s", Signer: tt.key})
		if !errors.Is(got.err, tt.want) || got.Record != "s._domainkey.%" {
			t.Errorf("%s: got %+v, want %v", name, got, tt.want)
		}
	}
}

// TestMTAAsConfigured: what mail servers are told of the configuration is what the configuration
// says.
func TestMTAAsConfigured(t *testing.T) {
	s := newSite(t, "authserv_id = \"mx.example.com\"\nmode = \"sign\"\n"+
		"listen = [{ address = \"unix:/run/m.sock\", mode = \"0600\", group = \"mail\", role = "+
		"\"ours\" }, { address = \"inet6:1@::1\" }]\n"+
		"[ours]\nnetworks = [\"10.0.0.0/8\"]\ndaemon_names = [\"A\"]\n[relays]\nnetworks = [\"192.0.2.1\"]\n"+
		"[exempt]\nnetworks = [\"192.0.2.2\"]\n[limits]\nmessage_deadline = \"7s\"\n"+signing)
	d := asMTASees(s.load(t))
	if !d.Signs || d.Verifies || len(d.Networks) != 1 || d.Networks[0].String() != "10.0.0.0/8" ||
		len(d.Others) != 2 ||
		d.Deadline.Seconds() != 7 || len(d.DaemonNames) != 1 || len(d.Listeners) != 2 {
		t.Fatalf("got %+v", d)
	}
	want := mta.Listener{Setting: "listen[0]", Role: action.RoleOurs, Network: "unix",
		Target: "/run/m.sock", Mode: 0o600, Group: "mail"}
	if d.Listeners[0] != want || d.Listeners[1].Network != "tcp6" ||
		d.Listeners[1].Target != "[::1]:1" {
		t.Errorf("got %+v", d.Listeners)
	}
}

// A server that is only installed is left out where another one is in use, and a directory that was
// named must be there.
func TestServers(t *testing.T) {
	s := newMailSite(t, map[string]string{"main.cf": goodMain, "master.cf": master})
	idle := filepath.Join(s.dir, "idle")
	if err := os.Mkdir(idle, 0o755); err != nil {
		t.Fatal(err)
	}
	s.write(t, "idle/sendmail.cf", "O DaemonPortOptions=Name=MTA\n", 0o644)
	s.mta.Sendmail = idle
	found, r := s.check(t)
	if len(found) > 0 || len(r.MTAs) != 1 || r.MTAs[0].Server != "Postfix" ||
		r.MTAs[0].Filtered != 2 {
		t.Errorf("got %v, %+v", found, r.MTAs)
	}
	s.mta.Sendmail = filepath.Join(s.dir, "nowhere")
	o := Options{File: s.path("mailseal.toml"), MTA: s.mta, Report: func(Finding) {}}
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("no such directory: got %v", err)
	}
}
