package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
	"mailseal/milter/miltertest"
	"mailseal/milter/rotation"
)

// rotationSite is a daemon under live mail, a domain with two name servers, and a clock that the
// test moves.
type rotationSite struct {
	*testing.T
	daemon  *Daemon
	address string
	rotator *rotation.Rotator
	store   keylife.Store
	now     time.Time
	wanted  map[string]string     // the records that the domain's owner was told to publish
	shown   []map[string][]string // what the first server showed at each step
	servers [2]*dnstest.Zone      // the second is behind
	moving  int                   // for so many steps some server will show something new
	mail    []sent
}

// sent is a signed message and when it was.
type sent struct {
	at  time.Time
	raw []byte
}

const rotationConfig = `authserv_id = "mx.example.com"
mode = "sign"
state_directory = "state"
listen = [{ address = "unix:%[1]s/m.sock" }]
ours = { networks = ["127.0.0.1"] }
dns = { servers = [%[2]q], timeout = "2s" }
rotation = { every = "30d", publish = "2d", overlap = "14d", algorithms = ["rsa2048", "ed25519"], selector = "{date}{alg}", servers = [%[2]q, %[3]q], %[4]s }
[[sign]]
from = "example.com"
managed = "example.com"
`

func newRotation(t *testing.T, more string) *rotationSite {
	t.Helper()
	r := &rotationSite{T: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		wanted: map[string]string{}, servers: [2]*dnstest.Zone{{}, {}}}
	var addrs []string
	for _, z := range r.servers {
		s, err := dnstest.Serve(z, "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		addrs = append(addrs, s.Addr())
	}
	dir, err := os.MkdirTemp("", "rotation") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Mkdir(filepath.Join(dir, "state"), 0o750); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "mailseal.toml")
	if err := os.WriteFile(path, []byte(fmt.Sprintf(rotationConfig, dir, addrs[0], addrs[1], more)),
		0o644); err != nil {
		t.Fatal(err)
	}
	r.address = "unix:" + dir + "/m.sock"
	r.daemon, err = build(t.Context(), path, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	listeners := r.daemon.listeners // a reload sets others
	go func() { done <- r.daemon.server.Serve(ctx, listeners...) }()
	t.Cleanup(func() { stop(); <-done })
	o, err := assembly.RotationOptions(r.daemon.parts.Load().Config)
	if err != nil {
		t.Fatal(err)
	}
	o.Now = func() time.Time { return r.now }
	r.rotator, r.store = rotation.New(o), o.Store
	return r
}

// lag is how many steps the second server is behind the first: a day and a half.
const lag = 3

// publish brings what is wanted to the first server, and what it has shown some time ago to the
// second.
func (r *rotationSite) publish() {
	now := map[string][]string{"example.com": nil}
	for name, text := range r.wanted {
		now[name] = []string{text}
	}
	r.shown = append(r.shown, now)
	late := r.shown[max(0, len(r.shown)-1-lag)]
	if len(r.shown) > 1 {
		before := r.shown[len(r.shown)-2]
		r.moving = max(0, r.moving-1)
		if !maps.EqualFunc(before, now, slices.Equal) {
			r.moving = lag + 1
		}
	}
	r.servers[0].Replace(dnstest.FromMap(now))
	r.servers[1].Replace(dnstest.FromMap(late))
}

func (r *rotationSite) state() *keylife.State {
	r.Helper()
	state, err := r.store.Read()
	if err != nil {
		r.Fatal(err)
	}
	return state
}

// follow does what the owner of the domain is told.
func (r *rotationSite) follow(events []keylife.Event) {
	for _, e := range events {
		switch {
		case e.Publish != nil:
			r.wanted[e.Name] = e.Publish.Text
		case strings.Contains(e.Waits, "deleted from the DNS"):
			delete(r.wanted, e.Name)
		}
	}
}

// send has a message signed and verifies it at both name servers.
func (r *rotationSite) send() {
	r.Helper()
	c, err := miltertest.Dial(r.Context(), r.address,
		miltertest.Options{Client: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		r.Fatal(err)
	}
	text := fmt.Sprintf("From: a@example.com\r\nTo: b@example.net\r\nSubject: %d\r\nDate: Sat, "+
		"31 Jan 2026 12:00:00 +0000\r\nMessage-ID: <%[1]d@example.com>\r\n\r\nHello.\r\n",
		len(r.mail))
	o, err := c.Send(miltertest.Message{From: "a@example.com", To: []string{"b@example.net"},
		Raw: []byte(text)})
	if err != nil || o.Refused() {
		r.Fatalf("%s: message %d: %v, %v", r.now, len(r.mail), o.Reply, err)
	}
	if err := c.Quit(); err != nil {
		r.Fatal(err)
	}
	m := sent{r.now, o.Delivered()}
	r.mail = append(r.mail, m)
	r.verify(m)
}

// verify wants two signatures on a message, and both to verify wherever the key is looked up.
func (r *rotationSite) verify(m sent) {
	r.Helper()
	for _, zone := range r.servers {
		v := &dkim.Verifier{Resolver: zone}
		var run *dkim.Verification
		whole, err := message.Read(bytes.NewReader(m.raw), 1<<20,
			func(h message.Header) []message.BodyHash {
				author, _ := h.Author()
				run = v.Select(h, author.Domain)
				return run.BodyHashes()
			})
		if err != nil {
			r.Fatal(err)
		}
		results := run.Run(r.Context(), whole)
		if len(results) != 2 {
			r.Fatalf("%s: %d signatures: %s", r.now, len(results), m.raw)
		}
		for _, result := range results {
			if result.Value != dkim.Pass {
				r.Fatalf("%s: signed %s: %s %s: %s", r.now, m.at, result.Selector, result.Value,
					result.Reason)
			}
		}
	}
}

// deliver verifies all mail that may still be on its way.
func (r *rotationSite) deliver() {
	r.Helper()
	for len(r.mail) > 0 && r.now.Sub(r.mail[0].at) >= 13*24*time.Hour {
		r.mail = r.mail[1:]
	}
	if r.moving == 0 {
		return // the DNS is as it was when they were verified last
	}
	for _, m := range r.mail {
		r.verify(m)
	}
}

// begin brings the first generation to its active stage.
func (r *rotationSite) begin() {
	r.Helper()
	events, err := r.rotator.Generate("example.com", []string{"rsa2048", "ed25519"}, "")
	if err != nil {
		r.Fatal(err)
	}
	r.follow(events)
	for range 12 {
		r.step()
	}
	if n := len(r.state().Of("example.com", keys.Active)); n != 2 {
		r.Fatalf("%d keys are active: %+v", n, r.state().Keys)
	}
	r.daemon.parts.Load().Managed.Look()
}

// step is half a day: the owner publishes, and Mailseal rotates.
func (r *rotationSite) step() {
	r.Helper()
	r.now = r.now.Add(12 * time.Hour)
	r.publish()
	done, err := r.rotator.Rotate(r.Context(), nil)
	if err != nil {
		r.Fatal(err)
	}
	r.follow(done.Events)
}

// TestRotationUnderLiveMail walks three generations of keys through their lives, with mail signed
// before and after each step, by a daemon that has not heard of it and by one that has, and
// verified at once and until it is 13 days old.
func TestRotationUnderLiveMail(t *testing.T) {
	r := newRotation(t, "")
	r.begin()
	stages := map[string]bool{}
	for range 2 * 110 {
		r.send()
		r.step()
		r.send() // signed by what was read last
		r.daemon.parts.Load().Managed.Look()
		r.send()
		r.deliver()
		for _, k := range r.state().Keys {
			stages[k.Name()+" "+string(k.Stage)] = true
		}
	}
	count := map[keys.Stage]int{}
	for _, k := range r.state().Keys {
		count[k.Stage]++
		for _, s := range []keys.Stage{keys.Retiring, keys.Revoked, keys.Removed} {
			if k.Stage == keys.Removed && !stages[k.Name()+" "+string(s)] {
				t.Errorf("%s was never %s", k.Name(), s)
			}
		}
	}
	if count[keys.Active] != 2 || count[keys.Removed] < 4 {
		t.Errorf("got %v", count)
	}
}

// TestWatchFallsBack has the owner of the domain lose the record of the key that signs.
func TestWatchFallsBack(t *testing.T) {
	r := newRotation(t, "fall_back = true")
	r.begin()
	for len(r.state().Of("example.com", keys.Retiring)) == 0 {
		r.step()
	}
	var log bytes.Buffer
	w := rotation.NewWatcher(slog.New(slog.NewTextHandler(&log, nil)), r.daemon.metrics)
	pass := func(good, bad float64, says string) {
		t.Helper()
		log.Reset()
		if err := w.Pass(t.Context(), watchOf(r.daemon.parts.Load(), r.rotator)); err != nil {
			t.Fatal(err)
		}
		watched := r.daemon.metrics.watched
		g, b := testutil.ToFloat64(watched.WithLabelValues("good")),
			testutil.ToFloat64(watched.WithLabelValues("bad"))
		if text := log.String(); g != good || b != bad || !strings.Contains(text, says) {
			t.Fatalf("got %v good, %v bad, want %v and %v, with %q: %s", g, b, good, bad, says,
				text)
		}
	}
	pass(2, 0, "")
	r.send()
	active := r.state().Of("example.com", keys.Active)
	lost := map[string]string{}
	for _, k := range active {
		lost[k.Name()] = r.wanted[k.Name()]
		delete(r.wanted, k.Name())
	}
	show := func() {
		records := map[string][]string{"example.com": nil}
		for name, text := range r.wanted {
			records[name] = []string{text}
		}
		r.servers[0].Replace(dnstest.FromMap(records))
		r.servers[1].Replace(dnstest.FromMap(records))
	}
	show()
	pass(0, 2, "the previous key signs")
	r.send()
	restarted, err := assembly.New(t.Context(), r.daemon.parts.Load().Config, r.daemon.resolver,
		nil, r.daemon.metrics, r.daemon.log)
	if err != nil {
		t.Fatal(err)
	}
	signing, err := restarted.Managed.Keys("example.com")
	if err != nil || len(signing) != 2 || lost[signing[0].Name] != "" ||
		lost[signing[1].Name] != "" {
		t.Errorf("after a restart and before any look at the DNS, %v sign (%v), of which the DNS does not show %v",
			signing, err, lost)
	}
	for name, text := range lost {
		r.wanted[name] = text
	}
	show()
	pass(2, 0, "the current key signs again")
	r.send()
	if last := string(r.mail[len(r.mail)-1].raw); !strings.Contains(last, "s="+active[0].Selector+
		";") {
		t.Errorf("%s does not sign: %s", active[0].Selector, last)
	}
}
