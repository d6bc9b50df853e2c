package daemon

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"mailseal/config"
	"mailseal/contrib/test/hosted"
	"mailseal/keys/keylife"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/keydns"
	"mailseal/milter/rotation"
)

// TestWatchSources has the daemon watch what it has signed with from a database, and nothing else
// of it.
func TestWatchSources(t *testing.T) {
	h := startHosting(t, "sqlite", hosted.SQLite(t), "")
	for _, d := range []string{"d0.example", "d1.example", "d2.example"} {
		h.Send(d)
	}
	if h.Signed.Load() != 3 {
		t.Fatalf("%d signed\n%s", h.Signed.Load(), h.log)
	}
	zone := hosted.Zone(t)
	var log bytes.Buffer
	w := rotation.NewWatcher(slog.New(slog.NewTextHandler(&log, nil)), h.daemon.metrics)
	panel := &keydns.Panel{Servers: []keydns.Server{{Name: "ns.example", Resolver: zone}}}
	r := rotation.New(rotation.Options{Store: keylife.Store{Dir: t.TempDir()}, Panel: panel})
	asked := h.source().Counters.Misses.Load()
	for _, tc := range []struct {
		name      string
		zone      *dnstest.Zone
		good, bad float64
		says      string
	}{
		{"all are published", zone, 3, 0, ""},
		{"none is", dnstest.Must(""), 0, 3, "s._domainkey.d1.example"},
	} {
		panel.Servers[0].Resolver = tc.zone
		log.Reset()
		if err := w.Pass(t.Context(), watchOf(h.daemon.parts.Load(), r)); err != nil {
			t.Fatal(err)
		}
		watched := h.daemon.metrics.watched
		good, bad := testutil.ToFloat64(watched.WithLabelValues("good")),
			testutil.ToFloat64(watched.WithLabelValues("bad"))
		if text := log.String(); good != tc.good || bad != tc.bad ||
			!strings.Contains(text, tc.says) {
			t.Errorf("%s: %v good, %v bad; want %v, %v with %q\n%s", tc.name, good, bad, tc.good,
				tc.bad, tc.says, text)
		}
	}
	if n := h.source().Counters.Misses.Load(); n != asked {
		t.Errorf("the watch asked the source %d times", n-asked)
	}
	for _, q := range zone.Queries() {
		if strings.Contains(q.Name, "d3.") {
			t.Errorf("looked up %s, which has not signed", q)
		}
	}
}

// After a start the first look comes in time: at once where another key may have to sign.
func TestWatchFirst(t *testing.T) {
	for _, tc := range []struct {
		name     string
		mode     config.Mode
		rotation config.Rotation
		want     time.Duration
	}{
		{"as it comes", config.ModeSign, config.Rotation{Watch: time.Hour}, time.Minute},
		{"more often than that", config.ModeSign, config.Rotation{Watch: 10 * time.Second}, 10 * time.Second},
		{"with fall_back", config.ModeSign, config.Rotation{Watch: time.Hour, FallBack: true}, time.Second},
		{"never", config.ModeSign, config.Rotation{FallBack: true}, 0},
		{"nothing signs", config.ModeVerify, config.Rotation{Watch: time.Hour, FallBack: true}, 0},
	} {
		cfg := &config.Config{Mode: []config.Mode{tc.mode}, Rotation: tc.rotation}
		if got := firstWatch(cfg); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}
