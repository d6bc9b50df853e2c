package e2e

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"mailseal/contrib/test/hosted"
	"mailseal/contrib/test/rig"
	"mailseal/milter/dns/dnstest"
)

// TestLongSoak plays honest and hostile mail at once, for minutes, while the DNS dies, the database
// of keys goes away, the configuration is reloaded whole and cut short, the state directory fills
// up, and the daemon is killed. It holds that no mail of ours leaves unsigned or signed wrongly,
// that no message gets lost, and that no forgery passes; and prints what it cost. MAILSEAL_SOAK
// says how long, such as "20m"; "make soak" sets it.
func TestLongSoak(t *testing.T) {
	if os.Getenv("MAILSEAL_LONG") == "" && os.Getenv("MAILSEAL_SOAK") == "" {
		t.Skip("a soak takes minutes: make soak, or MAILSEAL_LONG=1")
	}
	length, err := time.ParseDuration(cmp.Or(os.Getenv("MAILSEAL_SOAK"), "5m"))
	if err != nil {
		t.Fatalf("MAILSEAL_SOAK: %v", err)
	}
	s := startSoak(t)
	stop := s.begin()
	s.injectFaults(time.Now().Add(length))
	stop()
	s.daemon.Stop(t)
	s.report(length)
}

// soak is a host under load.
type soak struct {
	t       *testing.T
	dir     string
	address string // of the milter socket
	config  string
	zone    *dnstest.Zone
	dnsAddr string

	mu     sync.Mutex
	dns    *dnstest.Server // nil while it is dead
	daemon *rig.Daemon
	isDown bool // the daemon was killed and is not back
	killed time.Time

	weak    atomic.Int64 // the time, in seconds, until which the DNS may be remembered as failing
	faults  []string     // what was done, in order
	refused int          // reloads that were refused
	tally   tally
	samples []reading
}

// tally counts what became of messages.
type tally struct {
	signed, deferred, retried atomic.Int64 // of ours
	// of honest strangers: dmarc=pass; deferred or temperror while the DNS fails
	passed, doubtful atomic.Int64
	// forgeries refused; deferred because the DNS did not answer; connections with garbage
	refused, openForgeries, noise atomic.Int64

	unsigned, lost, wrong, forged atomic.Int64 // what must not happen
}

// reading is what the daemon holds at one time.
type reading struct{ memory, descriptors, goroutines float64 }

const soakConfig = `
authserv_id = "mx.example.com"
state_directory = "%[1]s/state"
[[listen]]
address = "unix:%[1]s/s"
[ours]
networks = ["127.0.0.1"]
[dns]
servers = ["%[2]s"]
timeout = "1s"
tries = 1
[log]
format = "json"
level = "error"
[policy.dmarc]
p_reject = "reject"
temperror = "tempfail"
[sources.hosting]
driver = "sqlite"
dsn = "file:%[1]s/keys.db"
key_query = "SELECT domain, selector, private_key FROM dkim_keys WHERE name = $1"
signing_query = "SELECT key_name FROM dkim_signing WHERE domain = $1 AND login IN ('', $2)"
timeout = "1s"
ttl = "2s"
[[sign]]
source = "hosting"
`

func startSoak(t *testing.T) *soak { return startSoakOf(t, rig.DaemonOptions{}) }

// startSoakOf is startSoak with a daemon of one's own.
func startSoakOf(t *testing.T, o rig.DaemonOptions) *soak {
	s := &soak{t: t, dir: rig.Dir(t), zone: hosted.Zone(t)}
	s.address = "unix:" + s.dir + "/s"
	if err := os.Mkdir(filepath.Join(s.dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	hosted.Fill(t, "sqlite", "file:"+filepath.Join(s.dir, "keys.db"), "sqlite.sql")
	s.publishStrangers()
	var err error
	if s.dns, err = dnstest.Serve(s.zone, ""); err != nil {
		t.Fatal(err)
	}
	s.dnsAddr = s.dns.Addr()
	t.Cleanup(s.killDNS)
	s.config = fmt.Sprintf(soakConfig, s.dir, s.dnsAddr)
	s.daemon = rig.MailsealIn(t, s.dir, s.config, o)
	return s
}

// fault is something that goes wrong, and what corrects it.
type fault struct {
	name        string
	begin, mend func()
	lasts       time.Duration
}

// injectFaults goes through all faults again and again, with a while of peace before each.
func (s *soak) injectFaults(end time.Time) {
	const peace = 4 * time.Second
	all := []fault{
		{"reload", s.reload, nil, 0},
		{"the DNS is dead", s.killDNS, s.reviveDNS, 5 * time.Second},
		{"reload of a file that is cut short", s.reloadCut, nil, 0},
		{"the database of keys is away", s.hideKeys, s.showKeys, 6 * time.Second},
		{"the database of keys is replaced", s.replaceKeys, nil, 0},
		{"the state directory is full", s.fillState, s.emptyState, 5 * time.Second},
		{"kill -9", s.kill, s.restart, 2 * time.Second},
		{"a hundred connections that say nothing", s.idle, nil, 0},
	}
	for i := 0; time.Now().Before(end); i++ {
		f := all[i%len(all)]
		time.Sleep(peace)
		s.faults = append(s.faults, f.name)
		s.t.Logf("%s", f.name)
		f.begin()
		time.Sleep(f.lasts)
		if f.mend != nil {
			f.mend()
		}
		s.zone.Reset() // it keeps every question
	}
}

func (s *soak) reload() {
	if !s.daemon.Reload(s.t) {
		s.t.Errorf("a good configuration was refused\n%s", s.daemon.Output())
	}
}

// reloadCut offers the configuration without its last rule, as a write that was cut off leaves it.
// Whatever becomes of it, no mail may leave unsigned: the traffic finds out.
func (s *soak) reloadCut() {
	whole := s.config
	s.daemon.Configure(whole[:strings.Index(whole, "[[sign]]")])
	if !s.daemon.Reload(s.t) {
		s.refused++
	}
	s.daemon.Configure(whole)
	s.reload()
}

// killDNS closes the server. What failed meanwhile is remembered for half a minute after.
func (s *soak) killDNS() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dns != nil {
		s.dns.Close()
		s.dns = nil
	}
	s.weak.Store(time.Now().Add(time.Hour).Unix())
}

func (s *soak) reviveDNS() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.dns, err = dnstest.Serve(s.zone, s.dnsAddr); err != nil {
		s.t.Fatal(err)
	}
	s.weak.Store(time.Now().Add(40 * time.Second).Unix())
}

// isDNSWeak reports whether a temperror is an honest answer now.
func (s *soak) isDNSWeak() bool { return time.Now().Unix() <= s.weak.Load() }

func (s *soak) rename(from, to string) {
	if err := os.Rename(filepath.Join(s.dir, from), filepath.Join(s.dir, to)); err != nil {
		s.t.Error(err)
	}
}

func (s *soak) hideKeys() { s.rename("keys.db", "away.db") }
func (s *soak) showKeys() { s.rename("away.db", "keys.db") }

// replaceKeys puts another file with the same keys over the database, as mv does.
func (s *soak) replaceKeys() {
	hosted.Fill(s.t, "sqlite", "file:"+filepath.Join(s.dir, "new.db"), "sqlite.sql")
	s.rename("new.db", "keys.db")
}

// fillState makes the state directory one that takes nothing.
func (s *soak) fillState() {
	if err := mountFull(filepath.Join(s.dir, "state")); err != nil {
		s.faults[len(s.faults)-1] += " (not done: " + err.Error() + ")"
	}
}

func (s *soak) emptyState() { unmount(filepath.Join(s.dir, "state")) }

func (s *soak) kill() {
	s.mu.Lock()
	s.isDown, s.killed = true, time.Now()
	s.mu.Unlock()
	s.daemon.Kill()
}

func (s *soak) restart() {
	d := rig.MailsealIn(s.t, s.dir, s.config, rig.DaemonOptions{})
	s.mu.Lock()
	s.daemon, s.isDown = d, false
	s.mu.Unlock()
}

// report prints the table and fails if anything happened that must not.
func (s *soak) report(length time.Duration) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { fmt.Fprintf(w, "%s\t%v\n", name, value) }
	c := &s.tally
	row("time", length)
	row("faults injected", len(s.faults))
	row("reloads of a cut file that were refused", s.refused)
	row("of ours: signed", c.signed.Load())
	row("of ours: deferred", c.deferred.Load())
	row("of ours: sent again after a broken connection", c.retried.Load())
	row("of strangers: passed", c.passed.Load())
	row("of strangers: deferred or in doubt while the DNS failed", c.doubtful.Load())
	row("forgeries refused", c.refused.Load())
	row("forgeries deferred or in doubt while the DNS failed", c.openForgeries.Load())
	row("connections with garbage", c.noise.Load())
	must := []struct {
		name  string
		count *atomic.Int64
	}{{"unsigned", &c.unsigned}, {"lost", &c.lost}, {"wrong", &c.wrong},
		{"forged verdicts", &c.forged}}
	for _, m := range must {
		row(m.name, m.count.Load())
	}
	half := s.samples[len(s.samples)/2:]
	row("memory, MB: at the most, and in the second half",
		fmt.Sprintf("%.0f, %.0f", most(s.samples, memory)/1e6, most(half, memory)/1e6))
	row("descriptors at the most", most(s.samples, descriptors))
	row("goroutines at the most", most(s.samples, goroutines))
	w.Flush()
	s.t.Logf("\n%s", &b)
	if file := os.Getenv("MAILSEAL_SOAK_OUT"); file != "" {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			s.t.Error(err)
		}
	}
	for _, m := range must {
		if n := m.count.Load(); n != 0 {
			s.t.Errorf("%s: %d", m.name, n)
		}
	}
	for name, n := range map[string]int64{"signed": c.signed.Load(), "passed": c.passed.Load(),
		"forgeries refused": c.refused.Load()} {
		if n == 0 {
			s.t.Errorf("%s: none; the soak has not done its work", name)
		}
	}
}

func memory(x reading) float64      { return x.memory }
func descriptors(x reading) float64 { return x.descriptors }
func goroutines(x reading) float64  { return x.goroutines }

func most(all []reading, of func(reading) float64) float64 {
	out := 0.0
	for _, x := range all {
		out = max(out, of(x))
	}
	return out
}
