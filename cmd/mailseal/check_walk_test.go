package main

import (
	"bytes"
	"crypto/ed25519"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/check"
	"mailseal/contrib/test/hosted"
	"mailseal/keys"
	"mailseal/milter/keydns"
)

// walkSite is a configuration over a database and the zone file that is its DNS: d2.example is not
// published, d3.example does not answer, and k4 is broken.
func walkSite(t *testing.T, driver, dsn, settings string) (config, zone string) {
	t.Helper()
	dir := t.TempDir()
	text := "$SERVFAIL s._domainkey.d3.example\n"
	for i := range hosted.Domains {
		record, err := hosted.Key(i).Record(keys.RecordOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if i != 2 && i != 3 {
			text += record.Line() + "\n"
		}
	}
	config, zone = filepath.Join(dir, "mailseal.toml"), filepath.Join(dir, "zone")
	for path, text := range map[string]string{zone: text,
		config: hosted.Config(dir, driver, dsn, settings)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config, zone
}

const listQuery = `list_query = "SELECT name FROM dkim_keys WHERE name > $1 ORDER BY name LIMIT 7"`

func TestCheckWalk(t *testing.T) {
	path := hosted.SQLite(t)
	execSQLite(t, path, "UPDATE dkim_keys SET private_key = 'no key' WHERE name = 'k4'")
	for _, tc := range []struct {
		name, settings, args string
		code                 int
		says, not            []string
	}{
		{"the whole table", listQuery, "", exitBad,
			[]string{"source hosting: 37 of 40 keys good, 1 bad, 1 unknown, 1 cannot sign",
				"error: s._domainkey.d2.example: there is no TXT record",
				"publish: s._domainkey.d2.example.", "not found out: s._domainkey.d3.example",
				`the row of "k4" (selector "s", domain "d4.example")`,
				"answers key_query and signing_query and list_query"}, nil},
		// k0, k1, k10 …
		{"the beginning of it", listQuery, "--limit 9", exitGood, []string{"source hosting: 9 of 9 keys good"}, nil},
		{"a page of it", listQuery, "--limit 7", exitGood, []string{"source hosting: 7 of 7 keys good"}, nil},
		{"one domain", "", "--domain D5.example.", exitGood, []string{"source hosting: 1 of 1 keys good"}, nil},
		{"domains", listQuery, "--domain d2.example,d5.example", exitBad,
			[]string{"source hosting: 1 of 2 keys good, 1 bad"}, []string{"k4"}},
		{"a broken one", "", "--domain d4.example", exitBad,
			[]string{"0 of 1 keys good, 0 bad, 0 unknown, 1 cannot sign"}, nil},
		{"silence", "", "--domain d3.example", exitUnknown, []string{"1 unknown"}, nil},
		{"nobody's", "", "--domain nobody.example", exitGood,
			[]string{`note: source "hosting": no key signs for nobody.example (sign[0])`}, nil},
		{"no list", "", "", exitGood, []string{`note: source "hosting" has no list_query`}, nil},
		{"a list that goes round", `list_query = "SELECT name FROM dkim_keys WHERE name >= $1 ORDER BY name LIMIT 7"`,
			"", exitBad, []string{"list_query", "does not go on behind $1"}, nil},
		{"no such table", `list_query = "SELECT name FROM nothing WHERE name > $1"`, "", exitBad,
			[]string{"list_query", "nothing"}, nil},
		{"no domain", "", "--domain a..b", exitUsage, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			config, zone := walkSite(t, "sqlite", path, tc.settings)
			out, code := runCommand(t, append([]string{"check", "--config", config, "--zone", zone},
				strings.Fields(tc.args)...)...)
			if code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			for _, s := range tc.says {
				if !strings.Contains(out, s) {
					t.Errorf("says\n%s\nwithout %q", out, s)
				}
			}
			for _, s := range tc.not {
				if strings.Contains(out, s) {
					t.Errorf("says\n%s\nwith %q", out, s)
				}
			}
		})
	}
}

func execSQLite(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

// What is kept of a large table is bounded, and it is said how far the walk has come.
func TestCheckWalkLarge(t *testing.T) {
	path := hosted.SQLite(t)
	execSQLite(t, path, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 2500)
		INSERT INTO dkim_keys SELECT 'large'||i, 'large'||i||'.example', 's', (SELECT private_key
		FROM dkim_keys WHERE name = 'k1') FROM n`)
	config, zone := walkSite(t, "sqlite", path, strings.Replace(listQuery, "7", "600", 1))
	patient(t, config)
	var out, progress bytes.Buffer
	f := checkFlags{config: config, zone: zone, json: true, progress: &progress}
	if err := f.run(t.Context(), &out); codeOf(err) != exitBad {
		t.Errorf("got %v", err)
	}
	var answer struct {
		DNS struct {
			Records []keydns.View
			Sources []check.Walk
		}
	}
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	if w := answer.DNS.Sources[0]; w.Keys != 2500+hosted.Domains || w.Bad != 2501 ||
		w.Good != hosted.Domains-2 || w.Unknown != 1 || len(answer.DNS.Records) != 1000 {
		t.Errorf("got %v and %d records", &w, len(answer.DNS.Records))
	}
	if said := progress.String(); strings.Count(said, "\n") != 2 ||
		!strings.Contains(said, "of 2000 keys good") {
		t.Errorf("said %q on the way", said)
	}
}

// patient gives the source of a configuration a minute for each answer: a machine that is busy is
// not what is tested.
func patient(t *testing.T, config string) {
	t.Helper()
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(text, []byte(`timeout = "1s"`), []byte(`timeout = "1m"`), 1)
	if bytes.Equal(changed, text) {
		t.Fatal("the source has another timeout than it had")
	}
	if err := os.WriteFile(config, changed, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A web service cannot be listed; domains that are named are compared.
func TestCheckWalkWeb(t *testing.T) {
	seed := base64.StdEncoding.EncodeToString(hosted.Key(1).Signer.(ed25519.PrivateKey).Seed())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/signing/d1.example":
			fmt.Fprintf(w, `{"keys": [{"domain": "d1.example", "selector": "s", "private_key": %q}, "other"]}`, seed)
		case "/keys/other":
			fmt.Fprintf(w, `{"domain": "d1.example", "selector": "other", "private_key": %q}`, seed)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "{}")
		}
	}))
	t.Cleanup(server.Close)
	config, zone := walkSite(t, "sqlite", "unused", "")
	text := "authserv_id = \"mx\"\nlisten = [{ address = \"inet:8891@127.0.0.1\" " +
		"}]\n[sources.web]\ndriver = \"http\"\nurl = \"" + server.URL +
		"\"\n[[sign]]\nsource = \"web\"\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args string
		code int
		want []string
	}{
		{"", exitGood, []string{`note: source "web" cannot be listed`}},
		{"--domain d1.example", exitBad, []string{"source web: 1 of 2 keys good, 1 bad",
			"error: other._domainkey.d1.example: there is no TXT record"}},
		{"--domain d2.example", exitGood, []string{`source "web": no key signs for d2.example`}},
	} {
		out, code := runCommand(t, append([]string{"check", "--config", config, "--zone", zone},
			strings.Fields(tc.args)...)...)
		for _, want := range tc.want {
			if code != tc.code || !strings.Contains(out, want) {
				t.Errorf("%s: got %d, want %d with %q\n%s", tc.args, code, tc.code, want, out)
			}
		}
	}
}
