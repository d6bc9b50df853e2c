package daemon

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
	"mailseal/milter/miltertest"
)

// hosted is how many domains the tests' databases have, d0.example and up. Domain i has a key of its own, selector s.
const hosted = 40

func hostedKey(i int) keys.Key {
	return keys.Key{Domain: fmt.Sprintf("d%d.example", i), Selector: "s", Signer: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, 32))}
}

// hostedZone publishes all of them.
func hostedZone(t *testing.T) *dnstest.Zone {
	t.Helper()
	zone := dnstest.Must("")
	for i := range hosted {
		record, err := hostedKey(i).Record(keys.RecordOptions{})
		if err != nil {
			t.Fatal(err)
		}
		zone.AddTXT(record.Name, record.Text)
	}
	return zone
}

// fillDatabase makes the tables of contrib/sql with all domains but the last, whose signing row names a key that is not
// there, and one that has none.
func fillDatabase(t *testing.T, driver, dsn, schema string) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	text, err := os.ReadFile(filepath.Join("../../../contrib/sql", schema))
	if err != nil {
		t.Fatal(err)
	}
	exec := func(statement string) {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for statement := range strings.SplitSeq(string(text), ";\n") {
		if strings.Contains(statement, "CREATE") {
			exec(statement)
		}
	}
	for i := range hosted {
		k := hostedKey(i)
		seed := base64.StdEncoding.EncodeToString(k.Signer.(ed25519.PrivateKey).Seed())
		exec(fmt.Sprintf("INSERT INTO dkim_keys VALUES ('k%d', '%s', 's', '%s')", i, k.Domain, seed))
		exec(fmt.Sprintf("INSERT INTO dkim_signing VALUES ('%s', '', 'k%d')", k.Domain, i))
	}
}

const sourcesConfig = `
authserv_id = "mx.example.com"
mode = ["sign"]
[[listen]]
address = "unix:%s/s"
[sources.hosting]
driver = "%s"
dsn = "%s"
key_query = "SELECT domain, selector, private_key FROM dkim_keys WHERE name = $1"
signing_query = "SELECT key_name FROM dkim_signing WHERE domain = $1 AND login IN ('', $2)"
timeout = "1s"
%s
[[sign]]
source = "hosting"
`

// hosting is a daemon whose keys are in a database.
type hosting struct {
	t       *testing.T
	daemon  *Daemon
	path    string
	address string
	log     *syncBuffer
	zone    *dnstest.Zone

	signed, deferred, unsigned atomic.Int64
	mayBeOther                 string // a domain that may sign instead of the author's, which counts as nothing
}

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}
func (b *syncBuffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

func startHosting(t *testing.T, driver, dsn, settings string) *hosting {
	t.Helper()
	dir := socketDir(t)
	h := &hosting{t: t, path: filepath.Join(dir, "mailseal.toml"), address: "unix:" + dir + "/s", log: &syncBuffer{}, zone: hostedZone(t)}
	h.daemon = startDaemon(t, dir, fmt.Sprintf(sourcesConfig, dir, driver, dsn, settings), h.log)
	return h
}

// socketDir makes a directory for a socket, whose path may be 107 octets long.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mailseal-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// loader reads a configuration.
func loader(path string) func() (*config.Config, error) {
	return func() (*config.Config, error) { return config.Load(path) }
}

// build makes a daemon of the configuration at a path.
func build(ctx context.Context, path string, log io.Writer) (*Daemon, error) {
	load := loader(path)
	cfg, err := load()
	if err != nil {
		return nil, err
	}
	return Build(ctx, cfg, Options{Load: load, Stderr: log, Version: "test"})
}

// startDaemon runs a daemon with a configuration, which it writes to mailseal.toml in dir, until the test ends.
func startDaemon(t *testing.T, dir, text string, log io.Writer) *Daemon {
	t.Helper()
	path := filepath.Join(dir, "mailseal.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	d, err := build(ctx, path, log)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- d.server.Serve(ctx, d.listeners...) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		d.parts.Load().CloseSources(&assembly.Parts{}, 0, d.log)
	})
	return d
}

// source is the daemon's only one.
func (h *hosting) source() *assembly.Source { return h.daemon.parts.Load().Sources["hosting"] }

// send sends one message from a domain on a connection of its own, and judges what became of it.
func (h *hosting) send(domain string) {
	c, err := miltertest.Dial(h.t.Context(), h.address, miltertest.Options{Timeout: 30 * time.Second})
	if err != nil {
		h.t.Error(err)
		return
	}
	defer c.Close()
	h.sendOn(c, domain)
}

func (h *hosting) sendOn(c *miltertest.Conn, domain string) {
	out, err := c.Send(miltertest.Message{
		From: "joe@" + domain, To: []string{"bob@other.example"},
		Raw: []byte("From: joe@" + domain + "\nTo: bob@other.example\nSubject: hello\nDate: Thu, 01 Jan 2026 00:00:00 +0000\nMessage-ID: <1@" + domain + ">\n\nbody\n"),
	})
	switch {
	case err != nil:
		h.t.Errorf("%s: a message is lost: %v", domain, err)
	case strings.HasPrefix(out.Reply.Text, "451"):
		h.deferred.Add(1)
	case out.Refused():
		h.t.Errorf("%s: refused for good: %s", domain, out.Reply)
	default:
		h.judge(domain, out.Delivered())
	}
}

// judge verifies what is delivered as a receiver would.
func (h *hosting) judge(domain string, raw []byte) {
	v := &dkim.Verifier{Resolver: h.zone}
	var x *dkim.Verification
	m, err := message.Read(bytes.NewReader(raw), 1<<20, func(header message.Header) []message.BodyHash {
		author, err := header.Author()
		if err != nil {
			h.t.Error(err)
		}
		x = v.Select(header, author.Domain)
		return x.BodyHashes()
	})
	if err != nil {
		h.t.Error(err)
		return
	}
	results := x.Run(h.t.Context(), m)
	switch {
	case len(results) == 0:
		h.unsigned.Add(1)
	case len(results) == 1 && results[0].Value == dkim.Pass && string(results[0].Domain) == domain:
		h.signed.Add(1)
	case h.mayBeOther != "" && results[0].Value == dkim.Pass && string(results[0].Domain) == h.mayBeOther:
	default:
		h.t.Errorf("%s is signed wrongly: %+v", domain, results)
	}
}

// sqliteFile makes a database in a file.
func sqliteFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.db")
	fillDatabase(t, "sqlite", path, "sqlite.sql")
	return path
}
