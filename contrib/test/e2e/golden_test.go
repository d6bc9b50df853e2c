package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/milter/miltertest"
)

// The importer's golden folders, shown to Debian's OpenDKIM and to a Mailseal that was started from
// what import-opendkim makes of them: who signs with which d=, s= and i= must be the same, but for
// what the report says is otherwise.

const goldenDir = "../../../config/opendkim/testdata"

// notStarted are the folders whose configuration OpenDKIM does not start with, and what it says.
var notStarted = map[string]string{
	"18-unknown":        "unrecognized parameter",
	"19-dsn":            "dkimf_db_open()",
	"20-colons":         "Unknown database type",
	"32-no-value":       "required value missing",
	"33-not-a-number":   "illegal value",
	"34-includes":       "nesting too deep",
	"37-brackets":       "Unknown database type",
	"42-startup":        `could not find valid key record "nokey" in KeyTable`,
	"43-startup-author": `could not find valid key record "%" in KeyTable`,
}

// notCompared are the folders that say nothing about signing, and why.
var notCompared = map[string]string{
	"27-verifier":             "Mode v",
	"70-startup":              "the command line says what is signed, and not the file",
	"71-unit":                 "the command line says what is signed, and not the file",
	"73-database":             "OpenDKIM does not start without the database",
	"74-database-mysql":       "OpenDKIM does not start without the database",
	"15-grammar":              "Mode v",
	"57-verifier-hosts":       "Mode v",
	"58-verifier-dmarc":       "Mode v",
	"59-verifier-dmarc-users": "Mode v",
	"29-dmarc-alone":          "no opendkim.conf",
	"50-signing-options":      "names tables and scripts that are not there",
	"51-dmarc-all":            "no opendkim.conf",
	"44-no-key":               "OpenDKIM crashes, see TestOpenDKIMBreaksDown",
}

// otherwise are the folders in which Mailseal signs otherwise on purpose: what is allowed, by what
// the report says of it.
var otherwise = map[string][]difference{
	"04-multiple-file":        {moreSignatures},
	"05-multiple-refile":      {moreSignatures},
	"47-multiple-identifiers": {moreSignatures},
	"06-percent": {localhost, {"nosign", func(_, old, new string) bool { return old == "" && new == "example.com/s" }},
		{"no receiver can verify it", func(_, old, new string) bool {
			return new == "" && (strings.HasPrefix(old, "mail.%") || strings.HasSuffix(old, "/%"))
		}}},
	"08-hosts":            {{"OpenDKIM trusts unknown", func(_, old, new string) bool { return new == "" }}},
	"11-regex":            {{"also matched other domains", func(_, old, new string) bool { return new == "" }}},
	"17-everybody":        {localhost},
	"21-colons-in-a-list": {{"ignores master.cf", func(_, old, new string) bool { return old == "" }}},
	"24-lists": {{"OpenDKIM signs no mail at all with From in this list",
		func(_, old, new string) bool { return old == "" }}},
	"72-everybody-is-internal": {{"matches every client",
		func(_, old, new string) bool { return old != "" && new == "" }}},
	"12-four-fields": {{"the fourth field",
		func(_, old, new string) bool { return old == "4xx" && new != "" }}},
	"36-hosts-nameless": {{"No client is recognized by its name here",
		func(_, old, new string) bool { return new == "" }}},
	"30-long-line": {{"OpenDKIM splits such a line",
		func(_, old, new string) bool { return old == "4xx" }}},
	"39-inline-forms": {{"Mailseal also reads", func(_, old, new string) bool { return old == "4xx" }}},
}

var (
	moreSignatures = difference{"makes only the first and the last", func(_, old, new string) bool {
		for s := range strings.FieldsSeq(old) {
			if !slices.Contains(strings.Fields(new), s) {
				return false
			}
		}
		return old != ""
	}}
	localhost = difference{"localhost", func(author, _,
		new string) bool {
		return strings.HasSuffix(author, "@localhost") && new == ""
	}}
)

// difference allows Mailseal's answer to a message to be another one than OpenDKIM's.
type difference struct {
	says    string // in the report
	allowed func(author, old, new string) bool
}

// In these folders OpenDKIM signs for no sender.
var nobody = []string{"22-not-a-file", "24-lists", "30-long-line", "35-hosts-star"}

func TestGoldenSignsAsOpenDKIM(t *testing.T) {
	rig.Build(t)
	folders, err := filepath.Glob(goldenDir + "/[0-9]*")
	if err != nil || len(folders) == 0 {
		t.Fatal("no folders", err)
	}
	key := goldenKey(t)
	for _, folder := range folders {
		name := filepath.Base(folder)
		t.Run(name, func(t *testing.T) {
			if notCompared[name] != "" {
				return
			}
			g := newGolden(t, folder, key)
			g.compare(t)
		})
	}
}

// TestOpenDKIMBreaksDown shows that OpenDKIM crashes over a line of a refile: without a key, as the
// report says.
func TestOpenDKIMBreaksDown(t *testing.T) {
	g := newGolden(t, filepath.Join(goldenDir, "44-no-key"), goldenKey(t))
	if !strings.Contains(g.report, "OpenDKIM crashes on mail that matches it") {
		t.Error("the report does not say so")
	}
	old := rig.OpenDKIM(t, "unused.example", "unused", g.dir+"/unused.pem", g.settings()...)
	host, port, err := net.SplitHostPort(old)
	if err != nil {
		t.Fatal(err)
	}
	c, err := miltertest.Dial(t.Context(), "inet:"+port+"@"+host,
		miltertest.Options{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err = c.Send(miltertest.Message{From: "a@example.com",
		To:  []string{"b@elsewhere.example"},
		Raw: []byte("From: <a@example.com>\r\n\r\n")}); err == nil {
		t.Error("OpenDKIM survives")
	}
}

// golden is a folder with its files where they say that they are.
type golden struct {
	moved
	name, conf, report string
}

// goldenKey is a small key: it is used some thousand times.
func goldenKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// absolute is the name of a file in a configuration or table.
var absolute = regexp.MustCompile(`(^|[\s:,=])/([a-zA-Z])`)

// keyFile is the name of a key's file.
var keyFile = regexp.MustCompile(`(?m)[\w./%+-]*/[\w./%:+ -]*\.pem`)

// inlineKey is a key that stands in a table, or what fills its place.
var inlineKey = regexp.MustCompile(`MII[A-Za-z0-9+/=]+`)

// inlined is a good key instead: PKCS#8 or PKCS#1, or a long one.
func inlined(t *testing.T, filler string, key *rsa.PrivateKey) string {
	t.Helper()
	if len(filler) > 1000 {
		key = longKey()
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(filler, "MIIEow") {
		pkcs8 = x509.MarshalPKCS1PrivateKey(key)
	}
	return base64.StdEncoding.EncodeToString(pkcs8)
}

var longKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func newGolden(t *testing.T, folder string, key *rsa.PrivateKey) *golden {
	t.Helper()
	g := &golden{moved: moved{dir: t.TempDir()}, name: filepath.Base(folder)}
	if err := os.CopyFS(g.dir, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(g.dir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || strings.HasPrefix(filepath.Base(file), "want") {
			continue
		}
		made := absolute.ReplaceAllString(inlineKey.ReplaceAllStringFunc(string(text),
			func(s string) string { return inlined(t, s, key) }), "${1}"+g.dir+"/$2")
		for _, m := range keyFile.FindAllString(made, -1) {
			names = append(names, m[max(0, strings.Index(m, g.dir)):])
		}
		if err := os.WriteFile(file, []byte(made), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pemText := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY",
		Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if m := regexp.MustCompile(`(?m)^BaseDirectory (.*)$`).FindStringSubmatch(read(t,
		g.dir+"/opendkim.conf")); m != nil {
		names = append(names, m[1]+"/k.pem")
	}
	g.writeKeys(t, append(names, g.dir+"/unused.pem"), string(pemText))
	g.conf, g.report = read(t, g.dir+"/opendkim.conf"), importReport(t, folder)
	return g
}

// read returns a file, "" if there is none.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

// writeKeys puts the key wherever a table says that there is one. With "%" that is one for each of
// some domains.
func (g *golden) writeKeys(t *testing.T, names []string, text string) {
	t.Helper()
	for _, name := range names {
		if !filepath.IsAbs(name) {
			name = filepath.Join(g.dir, name)
		}
		for _, d := range []string{"example.com", "example.org", "%"} {
			file := strings.ReplaceAll(name, "%", d)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// foreign are settings that have nothing to do with who signs, and that a test cannot have.
var foreign = regexp.MustCompile(`(?mi)^\s*(Socket|UserID|Syslog\w*|RequireSafeKeys|PidFile)\b.*\n`)

// settings are those of the folder that count here.
func (g *golden) settings() []string {
	return append(strings.Split(foreign.ReplaceAllString(g.conf, ""), "\n"), "RequireSafeKeys no")
}

func (g *golden) compare(t *testing.T) {
	lines := g.settings()
	if why := notStarted[g.name]; why != "" {
		g.refused(t, lines, why)
		return
	}
	old := rival{name: "OpenDKIM", address: rig.OpenDKIM(t, "unused.example", "unused",
		g.dir+"/unused.pem", lines...)}
	g.lines = lines
	ours := g.imported(t)
	r := mathrand.New(mathrand.NewPCG(9, 10))
	pool, signed := g.authors(), 0
	for n, from := range g.clients() {
		var mails []sent
		for i := range pool {
			if n == 0 || i < 8 {
				author := pool[i]
				if n > 0 {
					author = pool[r.IntN(len(pool))]
				}
				mails = append(mails, sent{author, recipients[r.IntN(len(recipients))]})
			}
		}
		want, got := old.answers(t, from, mails), ours.answers(t, from, mails)
		for i, m := range mails {
			if want[i] != "" {
				signed++
			}
			if got[i] != want[i] && !g.onPurpose(m.author, want[i], got[i]) {
				t.Errorf("%s from %s (%s) to %s: Mailseal says %q, OpenDKIM %q", m.author,
					from.address, from.name, m.to, got[i], want[i])
			}
		}
	}
	if signed == 0 && !slices.Contains(nobody, g.name) {
		t.Error("OpenDKIM signed nothing: the test looks at nothing")
	}
}

// onPurpose reports whether Mailseal may say otherwise, and the report says so.
func (g *golden) onPurpose(author, old, new string) bool {
	return slices.ContainsFunc(otherwise[g.name], func(d difference) bool {
		return strings.Contains(g.report, d.says) && d.allowed(author, old, new)
	})
}

// refused holds that OpenDKIM does not start.
func (g *golden) refused(t *testing.T, lines []string, why string) {
	t.Helper()
	file := filepath.Join(g.dir, "refused.conf")
	_, port, err := net.SplitHostPort(rig.FreePort(t, local))
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("Socket inet:%s@127.0.0.1\nSyslog no\n%s", port, strings.Join(lines, "\n"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := rig.Tool(t, "opendkim", "usr/sbin/opendkim", "-f", "-x", file)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(3*time.Minute, func() { _ = cmd.Process.Kill() })
	err = cmd.Wait()
	if !limit.Stop() || err == nil || !strings.Contains(out.String(), why) {
		t.Errorf("OpenDKIM ends with %v, want it refuse with %q; it says:\n%s", err, why,
			out.String())
	}
}

var recipients = []string{"friend@elsewhere.example", "friend@elsewhere.example",
	"list@example.org", "friend@example.org"}

// clients are hosts of every kind that the folders name.
func (g *golden) clients() []client {
	out := []client{{address: "127.0.0.1", name: "localhost"},
		{address: "198.51.100.7", name: "unknown"}}
	for _, login := range []string{"joe", "jo", "jim"} {
		if strings.Contains(g.conf, "MacroList") {
			out = append(out, client{address: "198.51.100.7", name: "unknown",
				macros: map[string]string{"{login}": login}})
		}
	}
	for _, name := range []string{"MSA", "msa", "Msa"} {
		if strings.Contains(g.conf, "MTA MSA") {
			out = append(out, client{address: "198.51.100.7", name: "unknown",
				macros: map[string]string{"{daemon_name}": name}})
		}
	}
	if !strings.Contains(g.conf, "InternalHosts") {
		return append(out, client{address: "127.0.0.2", name: "localhost"},
			client{address: "::1", name: "localhost"})
	}
	for _, a := range []string{"10.0.0.1", "10.1.1.1", "10.1.2.3", "10.2.0.1", "10.3.3.3",
		"192.0.2.1", "192.0.2.65", "192.0.2.9", "192.168.0.5", "172.16.0.1", "2001:db8::5",
		"2001:db8:1::5", "203.0.113.5", "10.9.0.1"} {
		out = append(out, client{address: a, name: "host.invalid"})
	}
	for _, n := range []string{"example.com", "mail.example.com", "mx.example.com",
		"host.example.net", "bad.example.net", "example.net", "mx.example.org", "a.mx.example.com",
		"mail1.example.com", "localhost", "x.peer.example", "bad.peer.example"} {
		out = append(out, client{address: "198.51.100.9", name: n})
	}
	return out
}

var (
	sender = regexp.MustCompile(`(?m)([\w+*.-]*@)?[*.]*([a-z0-9-]+\.)+[a-z]{2,}`)
	locals = []string{"u", "a", "b", "info", "Info-desk", "x-bounces", "info-bounces", "c", "n+1",
		"aab"}
)

// authors are those that the tables of a folder name, and others like them.
func (g *golden) authors() []string {
	text := g.conf
	for _, file := range []string{"/SigningTable", "/list", "/KeyTable"} {
		more, err := os.ReadFile(g.dir + file)
		if err == nil {
			text += string(more)
		}
	}
	var out []string
	add := func(a string) {
		if !slices.Contains(out, a) && len(a) < 100 {
			out = append(out, a)
		}
	}
	for i, found := range sender.FindAllString(strings.ReplaceAll(text, g.dir, ""), -1) {
		user, domain, at := strings.Cut(found, "@")
		if !at {
			user, domain = locals[i%len(locals)], found
		}
		domain = strings.TrimLeft(domain, "*.")
		for n, star := range []string{"", "mid"} {
			u := strings.Trim(strings.ReplaceAll(user, "*", star), ".")
			if u == "" {
				u = locals[(i+n)%len(locals)]
			}
			add(u + "@" + domain)
			add(locals[(i+3*n)%len(locals)] + "@sub." + domain)
		}
		add("u@x" + domain)
		add("u@deep.sub." + strings.ToUpper(domain))
	}
	add("u@other.example")
	add("u@localhost")
	return out
}
