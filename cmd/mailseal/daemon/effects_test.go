package daemon

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/contrib/test/rig"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/miltertest"
)

// effect is what a setting does that can be seen from outside: with it the probe shows want,
// without it does not.
type effect struct {
	setting string
	// the setting, before the first table; those of the base that it repeats give way
	top     string
	without string // what is there in place of top where the setting is not set; mostly nothing
	rest    string // or in tables of its own
	before  string // what else is in both configurations, before the first table
	tables  string // and in tables
	listen  string // or in the base's [[listen]]
	rule    string // in both: replaces the base's rule
	probe   probe
	want    string   // "!text": it is without the setting that the probe shows text
	rig     []string // of base lines, those that begin so give way in both
}

// probe looks at a daemon from outside.
type probe func(t *testing.T, w *world) string

// world is a daemon, and what there is around it.
type world struct {
	dir              string
	log              *syncBuffer
	daemon           *Daemon
	end              func() error // stops it, and waits
	resolver, second string       // name servers
	queries          func() int
	metrics          string // a free address for metrics
	isSet            bool   // the setting is in effect
}

const effectsZone = `
mx.test.                   A 192.0.2.1
25.2.0.192.in-addr.arpa.   PTR mx.good.example.
mx.good.example.           A 192.0.2.25
26.2.0.192.in-addr.arpa.   PTR mx.liar.example.
mx.liar.example.           A 192.0.2.99
good.example.              TXT "v=spf1 ip4:192.0.2.25 -all"
mx.good.example.           TXT "v=spf1 ip4:192.0.2.25 -all"
badhelo.example.           TXT "v=spf1 -all"
_dmarc.good.example.       TXT "v=DMARC1; p=reject"
soft.example.              TXT "v=spf1 ~all"
perm.example.              TXT "v=spf1 nonsense"
_dmarc.r.example.          TXT "v=DMARC1; p=reject"
_dmarc.q.example.          TXT "v=DMARC1; p=quarantine"
_dmarc.n.example.          TXT "v=DMARC1; p=none"
_dmarc.co.example.         TXT "v=DMARC1; p=reject; psd=y"
y.co.example.              TXT "v=spf1 ip4:192.0.2.25 -all"
_dmarc.perm.example.       TXT "v=DMARC1; p=nonsense"
`

// letter is a message, and who brings it.
type letter struct {
	client, name, helo, from, auth, author, extra, raw, daemon string
	macros                                                     map[string]string
	to                                                         []string
	local                                                      bool
}

func (l letter) text() []byte {
	if l.raw != "" {
		return []byte(l.raw)
	}
	author := cmp.Or(l.author, "a@good.example")
	return []byte("From: " + author + "\nTo: b@example.net\nSubject: s\nDate: Thu, 01 Jan 2026 " +
		"00:00:00 +0000\nMessage-ID: <1@x.example>\n" + l.extra + "\nbody\n")
}

// stranger and ours are the clients of most probes.
func stranger(l letter) probe {
	l.client = cmp.Or(l.client, "192.0.2.25")
	return mail(l)
}

func mine(l letter) probe {
	l.client, l.author = cmp.Or(l.client, "127.0.0.1"), cmp.Or(l.author, "a@example.com")
	return mail(l)
}

func mail(l letter) probe {
	return func(t *testing.T, w *world) string {
		t.Helper()
		o, err := play(t, w, l)
		if err != nil {
			return "lost: " + err.Error()
		}
		return shown(o) + "\n" + w.log.String()
	}
}

func shown(o miltertest.Outcome) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s quarantine=%q\n", o.Stage, o.Reply, o.Quarantine)
	for _, e := range o.Edits {
		fmt.Fprintln(&b, strings.Join(strings.Fields(e.String()), " "))
	}
	return b.String()
}

func play(t *testing.T, w *world, l letter) (miltertest.Outcome, error) {
	t.Helper()
	macros := map[string]string{}
	for k, v := range l.macros {
		macros[k] = v
	}
	if l.daemon != "" {
		macros["{daemon_name}"] = l.daemon
	}
	c, err := miltertest.Dial(t.Context(), "unix:"+w.dir+"/s", miltertest.Options{
		Client: netip.MustParseAddr(l.client), ClientName: l.name,
		Helo: cmp.Or(l.helo, "mx.good.example"), Macros: macros,
		Local: l.local, Timeout: time.Minute,
	})
	if err != nil {
		return miltertest.Outcome{}, err
	}
	defer c.Close()
	from := cmp.Or(l.from, "a@good.example")
	if from == "<>" {
		from = ""
	}
	return c.Send(miltertest.Message{From: from, To: append([]string{}, orTo(l.to)...),
		Auth: l.auth, Raw: l.text()})
}

func orTo(to []string) []string {
	if len(to) == 0 {
		return []string{"b@example.net"}
	}
	return to
}

// base is what every configuration of the test has.
const base = `authserv_id = "mx.test"
state_directory = "%DIR%/state"
ours.networks = ["127.0.0.1"]
dns.servers = ["%DNS%"]
dns.tries = 1
`

const baseTables = `[[listen]]
address = "unix:%DIR%/s"
[keys.k]
domain = "example.com"
selector = "k"
private_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
[keys.short]
domain = "short.example"
selector = "k"
file = "%DIR%/short.pem"
`

const baseRule = "[[sign]]\nfrom = \"example.com\"\nkeys = \"k\"\n[[sign]]\nfrom = " +
	"\"short.example\"\nkeys = \"short\"\n"

// text is a configuration, with the setting or without.
func (e effect) text(w *world, with bool) string {
	top, rest := e.without, ""
	if with {
		top, rest = e.top, e.rest
	}
	keysOf := map[string]bool{}
	for l := range strings.Lines(top + "\n" + e.before) {
		key, _, _ := strings.Cut(l, " =")
		keysOf[key] = true
	}
	var b strings.Builder
	for l := range strings.Lines(base) {
		key, _, _ := strings.Cut(l, " =")
		if !keysOf[key] && !slices.Contains(e.rig, key) {
			b.WriteString(l)
		}
	}
	fmt.Fprintf(&b, "%s\n%s\n", e.before, top)
	if !slices.Contains(e.rig, "tables") {
		tables := baseTables
		if with && e.listen != "" {
			tables = strings.Replace(tables, "/s\"\n", "/s\"\n"+e.listen+"\n", 1)
		}
		b.WriteString(tables)
	}
	if !slices.Contains(e.rig, "rule") {
		b.WriteString(cmp.Or(e.rule, baseRule))
	}
	fmt.Fprintf(&b, "%s\n%s\n", rest, e.tables)
	return strings.NewReplacer("%DIR%", w.dir, "%DNS%", w.resolver, "%DNS2%", w.second, "%METRICS%",
		w.metrics).Replace(b.String())
}

// start runs a daemon with a configuration; the error is why it does not.
func (w *world) start(t *testing.T, text string) error {
	t.Helper()
	path := filepath.Join(w.dir, "mailseal.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	w.log = &syncBuffer{}
	d, err := build(ctx, path, w.log)
	if err != nil {
		stop()
		return err
	}
	done := make(chan error, 1)
	for _, l := range d.listeners {
		d.server.Add(l) // as Run does: a reload may come before Serve has begun
	}
	go func() {
		done <- d.server.Serve(ctx)
		close(done) // for those who ask again
	}()
	w.daemon = d
	w.end = func() error {
		stop()
		return <-done
	}
	return nil
}

func (w *world) reload(t *testing.T, text string) error {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, "mailseal.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.log.reset()
	return w.daemon.Reload(t.Context())
}

func (b *syncBuffer) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Reset()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), metrics: rig.FreePort(t, "127.0.0.1")}
	// so that others reach what is in it
	if err := os.Chmod(filepath.Dir(w.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(w.dir, "state"), 0o755); err != nil {
		t.Fatal(err)
	}
	zone := dnstest.Must(effectsZone + "$SERVFAIL temp.example\n$SERVFAIL " +
		"_dmarc.temp.example\n$SERVFAIL k._domainkey.temp.example\n$SERVFAIL 27.2.0.192.in-addr.arpa\n")
	zone.AddTXT("k._domainkey.example.com",
		keyRecord(t, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY",
		Bytes: x509.MarshalPKCS1PrivateKey(short)})
	if err := os.WriteFile(w.dir+"/short.pem", text, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"open.pem": string(text), "kt": "one example.com:fromtable:%DIR%/short.pem\ntwo " +
			"example.com:second:%DIR%/short.pem\n",
		"st": "a@example.com two\nexample.com one\n", "other/x.toml": "ours.daemon_names = [\"FROMFILE\"]\n",
	} {
		path := filepath.Join(w.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(content, "%DIR%", w.dir)),
			0o644); err != nil {
			t.Fatal(err)
		}
	}
	zone.AddTXT("k._domainkey.short.example", keyRecord(t, string(text)))
	for i, z := range []*dnstest.Zone{zone, dnstest.Must("nothing.example. A 192.0.2.1\n")} {
		s, err := dnstest.Serve(z, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		if i == 0 {
			w.resolver = s.Addr()
			w.queries = func() (n int) {
				for _, q := range zone.Queries() {
					if strings.EqualFold(strings.TrimSuffix(q.Name, "."), "good.example") {
						n++
					}
				}
				return n
			}
		} else {
			w.second = s.Addr()
		}
	}
	return w
}

// TestEffects sets each setting that can be seen at work by a reload of a running daemon: the probe
// shows it, or it is in effect only after a restart, of which the log warns.
func TestEffects(t *testing.T) {
	observed := map[string]bool{}
	for _, e := range effects() {
		observed[e.setting] = true
		t.Run(e.setting, func(t *testing.T) {
			t.Parallel()
			e.try(t)
		})
	}
	for _, path := range config.Paths() {
		why, excused := unobservable[path]
		if !excused && strings.HasPrefix(path, "reports.") {
			why, excused = "the process of reports acts on it", true
		}
		switch {
		case !observed[path] && !excused:
			t.Errorf("%s: no effect of it is observed", path)
		case observed[path] && excused:
			t.Errorf("%s is observed, and excused: %s", path, why)
		}
	}
	for path := range observed {
		if !slices.Contains(config.Paths(), path) {
			t.Errorf("there is no setting %s", path)
		}
	}
	t.Logf("%d of %d settings are observed, %d are not", len(observed), len(config.Paths()),
		len(unobservable))
}

func (e effect) try(t *testing.T) {
	w := newWorld(t)
	want, isAbsent := strings.CutPrefix(e.want, "!")
	shows := func(err error) (string, bool) {
		seen := ""
		if err != nil {
			seen = "refused: " + err.Error()
		} else {
			seen = e.probe(t, w)
		}
		return seen, strings.Contains(seen, want) != isAbsent
	}
	if seen, is := shows(w.start(t, e.text(w, false))); is {
		t.Fatalf("without the setting %q is already so:\n%s", e.want, seen)
	}
	if w.end == nil { // the probe has stopped it
		w.awaitMetrics(t, e.text(w, false))
		if err := w.start(t, e.text(w, false)); err != nil {
			t.Fatal(err)
		}
	}
	w.isSet = true
	restart := config.NeedRestart(loaded(t, w, e.text(w, false)), loaded(t, w, e.text(w, true)))
	err := w.reload(t, e.text(w, true))
	if len(restart) > 0 {
		if err == nil && !strings.Contains(w.log.String(), restart[0].Setting+" has changed") {
			t.Errorf("no warning that %s needs a restart:\n%s", restart[0].Setting, w.log)
		}
		_ = w.end()
		w.awaitMetrics(t, e.text(w, true))
		err = w.start(t, e.text(w, true))
	}
	if seen, is := shows(err); !is {
		t.Errorf("with the setting, %q is not so:\n%s", e.want, seen)
	}
	if w.end != nil {
		_ = w.end()
	}
}

// awaitMetrics waits until a daemon that has ended has given up its address of metrics: its server
// closes beside it, and the next daemon would try that address again only after a minute.
func (w *world) awaitMetrics(t *testing.T, text string) {
	_, address, isSet := strings.Cut(text, `metrics.address = "`)
	if !isSet {
		return
	}
	address, _, _ = strings.Cut(address, `"`)
	isFree := func() bool {
		ln, err := net.Listen("tcp", address)
		if err == nil {
			_ = ln.Close()
		}
		return err == nil
	}
	if !rig.Await(isFree) {
		t.Fatalf("%s is still taken", address)
	}
}

// loaded reads a configuration; one with a mistake is empty.
func loaded(t *testing.T, w *world, text string) *config.Config {
	t.Helper()
	path := filepath.Join(w.dir, "other.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		return config.Default()
	}
	return c
}
