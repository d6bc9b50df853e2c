package e2e

import (
	"bytes"
	"crypto/ed25519"
	"database/sql"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/keys"
	_ "mailseal/keys/keysql" // the drivers
	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
	"mailseal/milter/miltertest"
)

// A host whose keys are in a database.

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
	text, err := os.ReadFile(filepath.Join("../../sql", schema))
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
	daemon  *rig.Daemon
	config  string
	address string
	zone    *dnstest.Zone

	signed, deferred, unsigned atomic.Int64
	told                       [3]int64 // the same, as of the last tally
}

func startHosting(t *testing.T, driver, dsn, settings string) *hosting {
	t.Helper()
	dir := rig.Dir(t)
	h := &hosting{t: t, address: "unix:" + dir + "/s", zone: hostedZone(t)}
	h.config = fmt.Sprintf(sourcesConfig, dir, driver, dsn, settings)
	h.daemon = rig.MailsealIn(t, dir, h.config, rig.DaemonOptions{})
	return h
}

// series is what /metrics shows of the source.
func (h *hosting) series(name string) float64 {
	h.t.Helper()
	value, known := h.daemon.Metrics(h.t)["mailseal_source_"+name+`{source="hosting"}`]
	if !known {
		h.t.Errorf("no metric of the source called %s", name)
	}
	return value
}

// log is what the daemon has logged so far.
func (h *hosting) log() string { return h.daemon.Output() }

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
	default:
		h.t.Errorf("%s is signed wrongly: %+v", domain, results)
	}
}

// stream sends messages of all domains without a pause until stop is called.
func (h *hosting) stream(workers int) (stop func()) {
	var wg sync.WaitGroup
	var done atomic.Bool
	for w := range workers {
		wg.Go(func() {
			c, err := miltertest.Dial(h.t.Context(), h.address, miltertest.Options{Timeout: 30 * time.Second})
			if err != nil {
				h.t.Error(err)
				return
			}
			defer c.Close()
			for i := w; !done.Load(); i++ {
				h.sendOn(c, fmt.Sprintf("d%d.example", i*7%hosted))
			}
		})
	}
	return func() { done.Store(true); wg.Wait() }
}

// tally logs what became of the messages since the last time, for one fault of the source. A message that is signed
// wrongly has failed the test.
func (h *hosting) tally(fault string) {
	h.t.Helper()
	signed, deferred, unsigned := h.signed.Load(), h.deferred.Load(), h.unsigned.Load()
	h.t.Logf("%s: %d signed, %d deferred, %d unsigned, 0 wrong", fault, signed-h.told[0], deferred-h.told[1], unsigned-h.told[2])
	h.told = [3]int64{signed, deferred, unsigned}
}

// await waits until a counter has grown by n.
func (h *hosting) await(what string, counter *atomic.Int64, n int64) {
	h.t.Helper()
	from := counter.Load()
	for limit := time.Now().Add(30 * time.Second); counter.Load() < from+n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			h.t.Fatalf("%s: %d in 30 s, want %d\n%s", what, counter.Load()-from, n, h.log())
		}
	}
}

// sqliteFile makes a database in a file.
func sqliteFile(t *testing.T) string {
	t.Helper()
	rig.Build(t)
	path := filepath.Join(t.TempDir(), "keys.db")
	fillDatabase(t, "sqlite", path, "sqlite.sql")
	return path
}

// execSQLite changes a database that a daemon may be reading.
func execSQLite(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(30000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}
