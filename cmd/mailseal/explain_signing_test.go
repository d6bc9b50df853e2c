package main

import (
	"bytes"
	"fmt"
	"io"
	"mailseal/contrib/test/hosted"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const explainConfig = `
authserv_id = "mx.example.com"
[ours]
networks = ["192.0.2.0/24", "127.0.0.1"]
hosts = ["app.example.com"]
[signing]
unsigned_recipients = ["internal.example"]
[keys."good._domainkey.example.com"]
private_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
[keys."gone._domainkey.example.org"]
file = "gone.pem"
[[sign]]
from = ["boss@example.com"]
keys = ["good._domainkey.example.com"]
when.logins = ["boss"]
[[sign]]
from = ["example.com"]
keys = ["good._domainkey.example.com"]
[[sign]]
from = ["example.org"]
keys = ["gone._domainkey.example.org"]
[[sign]]
from = ["info*@*.example.net"]
keys = ["good._domainkey.example.com"]
[[sign]]
from = ["bare.example"]
keys = ["good._domainkey.example.com"]
headers = ["From", "To", "Subject", "Reply-To", "X-Ticket"]
oversign = ["From", "To", "Subject", "Reply-To"]
oversign_if_present = ["X-Ticket", "Date"]
oversign_mime = false
`

func TestExplainSigning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailseal.toml")
	if err := os.WriteFile(path, []byte(explainConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args string
		code int
		says []string
	}{
		{"--from boss@example.com --ip 192.0.2.1", exitGood, []string{"is ours (network)",
			"sign[0]", "no user logged in", "sign[1]  matches", "signs as good._domainkey.example.com",
			"sign[2]  does not match boss@example.com: it is for *@example.org only", "by *@example.com"}},
		{"--from info-desk@a.example.net --ip 192.0.2.1", exitGood, []string{"sign[3]  matches",
			"by info*@*.example.net"}},
		{"--from boss@example.com --user boss", exitGood, []string{"is ours (authenticated)",
			"sign[0]  matches", "sign[0] comes first"}},
		{"--from boss@example.com --ip 198.51.100.1 --host app.example.com --user boss", exitGood,
			[]string{"is ours (authenticated)"}},
		{"--from a@example.com --ip 198.51.100.1 --host app.example.com", exitGood, []string{"is ours (host)"}},
		{"--from boss@example.com --ip 198.51.100.1", exitBad, []string{"is theirs (stranger)", "not ours"}},
		{"--from a@sub.example.com", exitBad, []string{"ours (network: without --ip the client is 127.0.0.1)",
			`sign[1]  does not match a@sub.example.com: it is for *@example.com only; to include sub.example.com, add "*@*.example.com" to its from`}},
		{"--from a@elsewhere.example --ip 192.0.2.1", exitBad, []string{"no rule matches the author"}},
		{"--from a@example.org --ip 192.0.2.1", exitBad, []string{"CANNOT SIGN", "deferred"}},
		{"--from a@example.com --ip 192.0.2.1 --to b@internal.example", exitBad, []string{"unsigned_recipients"}},
		{"--from a@example.com --ip 192.0.2.1 --json", exitGood,
			[]string{`"signed":true`, `"record":"good._domainkey.example.com"`}},
		{"--from a@example.com --ip 192.0.2.1", exitGood, []string{"Fields that a host on the way can add",
			"if the message has none: Date, Message-ID, List-Unsubscribe, List-Unsubscribe-Post\n",
			"8-bit text or another MIME field: MIME-Version, Content-Type, Content-Transfer-Encoding\n",
			"always: Sender, In-Reply-To"}},
		{"--from a@example.com --ip 192.0.2.1 --json", exitGood,
			[]string{`"addable":{"always":["Sender","In-Reply-To"`, `"when_absent":["Date",`,
				`"when_not_plain":["MIME-Version",`}},
		{"--from x@bare.example --ip 192.0.2.1", exitGood,
			[]string{"always: Sender, Message-ID, Cc, MIME-Version",
				"if the message has none: Date, X-Ticket\n"}},
		{"--from a@example.org --ip 192.0.2.1 --json", exitBad, []string{`"keys":[{`}},
		{"--from nobody --ip 192.0.2.1", exitUsage, nil},
		{"--from a@example.com --ip x", exitUsage, nil},
	} {
		var out bytes.Buffer
		root := newRootCmd()
		root.SetOut(&out)
		root.SetArgs(append([]string{"explain-signing", "--config", path},
			strings.Fields(tc.args)...))
		if code := codeOf(root.ExecuteContext(t.Context())); code != tc.code {
			t.Errorf("%s: exit code %d, want %d\n%s", tc.args, code, tc.code, out.String())
		}
		for _, s := range tc.says {
			if !strings.Contains(out.String(), s) {
				t.Errorf("%s: says\n%s\nwithout %q", tc.args, out.String(), s)
			}
		}
	}
}

// TestExplainSigningAll holds that every rule that fits is explained, with its keys, where all of
// them sign.
func TestExplainSigningAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailseal.toml")
	const more = "[[sign]]\nfrom = [\"*@*\"]\nkeys = [\"gone._domainkey.example.org\"]\n"
	for _, tc := range []struct {
		name, options string
		code          int
		says          []string
	}{
		{"skip", "", exitGood, []string{"sign[1]  matches", "sign[5]  matches", "all rules that match sign",
			"signs as good._domainkey", "key gone._domainkey.example.org", "CANNOT SIGN",
			"The message is signed."}},
		{"strict", "on_key_error = \"reject\"\n", exitBad, []string{"sign[1]  matches",
			"sign[5]  matches", "The message is rejected (550, by on_key_error): a key of the rule cannot be used"}},
	} {
		text := strings.Replace(explainConfig, "[signing]", "[signing]\nmatch = \"all\"", 1) +
			more + tc.options
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		root := newRootCmd()
		root.SetOut(&out)
		root.SetArgs([]string{"explain-signing", "--config", path, "--from", "a@example.com",
			"--ip", "192.0.2.1"})
		if code := codeOf(root.ExecuteContext(t.Context())); code != tc.code {
			t.Errorf("%s: exit code %d, want %d\n%s", tc.name, code, tc.code, out.String())
		}
		for _, s := range tc.says {
			if !strings.Contains(out.String(), s) {
				t.Errorf("%s: says\n%s\nwithout %q", tc.name, out.String(), s)
			}
		}
	}
}

const explainSourcesConfig = `
authserv_id = "mx.example.com"
mode = "sign"
[ours]
networks = ["192.0.2.0/24"]
[exempt]
networks = ["203.0.113.0/24"]
[senders]
require = "login"
logins = { joe = ["d1.example", "d2.example", "strict.example", "open.example", "web.example"] }
[sources.hosting]
driver = "sqlite"
dsn = "%[1]s"
key_query = "SELECT domain, selector, private_key FROM dkim_keys WHERE name = $1"
signing_query = "SELECT key_name FROM dkim_signing WHERE domain = $1 AND login IN ('', $2)"
[sources.away]
driver = "sqlite"
dsn = "/nonexistent/keys.db"
key_query = "SELECT domain, selector, private_key FROM dkim_keys WHERE name = $1"
[sources.web]
driver = "http"
url = "%[2]s"
[keys.k3]
source = "hosting"
[[sign]]
from = ["web.example", "web-away.example"]
source = "web"
[[sign]]
from = ["table.example"]
keys = ["k3"]
[[sign]]
from = ["away.example"]
source = "away"
keys = ["k1"]
[[sign]]
from = ["strict.example"]
source = "hosting"
keys = ["k1", "gone"]
on_key_error = "reject"
[[sign]]
from = ["open.example"]
source = "hosting"
keys = ["gone"]
on_key_error = "accept"
[[sign]]
source = "hosting"
`

// What explain-signing says of keys that are in a database or behind a web service, told by login,
// and of what keeps a message from being signed whatever its keys.
func TestExplainSigningSources(t *testing.T) {
	db := hosted.SQLite(t)
	execSQLite(t, db, "INSERT INTO dkim_signing VALUES ('d2.example', 'joe', 'k7')")
	execSQLite(t, db, "DELETE FROM dkim_signing WHERE domain = 'd5.example'")
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.String() {
		case "/signing/web.example?login=joe":
			io.WriteString(w, `{"data": {"data": {"keys": ["web"]}}}`)
		case "/keys/web":
			io.WriteString(w, `{"data": {"data": {"domain": "web.example", "selector": "w", `+
				`"private_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}}`)
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(web.Close)
	path := filepath.Join(t.TempDir(), "mailseal.toml")
	if err := os.WriteFile(path, fmt.Appendf(nil, explainSourcesConfig, db, web.URL),
		0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, args string
		code       int
		says       []string
	}{
		{"a database says", "--from a@d1.example", exitGood, []string{"sign[5]  matches", path + ":",
			"key k1 (source hosting): signs as s._domainkey.d1.example (ed25519 256)"}},
		{"more for a login", "--from a@d2.example --user joe", exitGood,
			[]string{"key k2 (source hosting)",
				"key k7 (source hosting): signs as s._domainkey.d7.example"}},
		{"less without", "--from a@d2.example --json", exitGood,
			[]string{`"source":"source hosting"`, `"kind":"ed25519 256"`, `"name":"k2"`}},
		{"nothing", "--from a@d5.example", exitBad, []string{"no keys for the sender", "goes out unsigned"}},
		{"the key table", "--from a@table.example", exitGood,
			[]string{"key k3 (source hosting): signs as s._domainkey.d3.example"}},
		{"a web service, in Vault's envelope, by login", "--from a@web.example --user joe",
			exitGood, []string{"key web (source web): signs as w._domainkey.web.example"}},
		{"a web service that fails", "--from a@web-away.example", exitBad,
			[]string{"GET " + web.URL + "/signing/web-away.example: 503",
				"The message is deferred"}},
		{"a database that is away", "--from a@away.example", exitBad,
			[]string{"key k1 (source away): CANNOT SIGN", "/nonexistent/keys.db does not exist",
				"is deferred"}},
		{"one key of two, strictly", "--from a@strict.example", exitBad,
			[]string{"key gone (source hosting): CANNOT SIGN",
				"The message is rejected (550, by on_key_error): a key of the rule cannot be used"}},
		{"none, and unsigned", "--from a@open.example", exitBad,
			[]string{"The message goes out unsigned (by on_key_error)"}},
		{"a login that may not", "--from a@d3.example --user joe", exitBad, []string{"[senders] " +
			"does not allow it: login joe may not use a@d3.example (reject)"}},
		{"a peer that is exempt", "--from a@d1.example --ip 203.0.113.1", exitBad, []string{"the " +
			"client is in [exempt]"}},
	} {
		out, code := runCommand(t, append([]string{"explain-signing", "--config", path, "--ip",
			"192.0.2.1"}, strings.Fields(tc.args)...)...)
		if code != tc.code {
			t.Errorf("%s: exit code %d, want %d\n%s", tc.name, code, tc.code, out)
		}
		for _, s := range tc.says {
			if !strings.Contains(out, s) {
				t.Errorf("%s: says\n%s\nwithout %q", tc.name, out, s)
			}
		}
	}
}

// A rule whose conditions do not hold names the author all the same.
func TestExplainSigningConditions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailseal.toml")
	text := strings.Replace(explainConfig, "when.logins = [\"boss\"]\n[[sign]]\nfrom = "+
		"[\"example.com\"]", "when.logins = [\"boss\"]\n[[sign]]\nfrom = [\"a@example.com\"]", 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := runCommand(t, "explain-signing", "--config", path, "--from", "boss@example.com")
	if code != exitBad || !strings.Contains(out, "no user logged in") ||
		!strings.Contains(out, "not signed: no rule matches.") {
		t.Errorf("got %d, %s", code, out)
	}
}
