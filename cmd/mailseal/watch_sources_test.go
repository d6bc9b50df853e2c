package main

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/keydns"
)

// TestWatchSources has the daemon watch what it has signed with from a data base, and nothing else of it.
func TestWatchSources(t *testing.T) {
	h := startHosting(t, "sqlite", sqliteFile(t), "")
	for _, d := range []string{"d0.example", "d1.example", "d2.example"} {
		h.send(d)
	}
	if h.signed.Load() != 3 {
		t.Fatalf("%d signed\n%s", h.signed.Load(), h.log)
	}
	zone := hostedZone(t)
	var log lines
	w := newWatcher(slog.New(slog.NewTextHandler(&log, nil)), h.daemon.metrics, h.daemon.parts)
	panel := &keydns.Panel{Servers: []keydns.Server{{Name: "ns.example", Resolver: zone}}}
	r := &rotator{store: keylife.Store{Dir: t.TempDir()}, panel: panel, now: time.Now}
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
		w.pass(t.Context(), h.daemon.parts, r)
		good, bad := testutil.ToFloat64(w.metrics.watched.WithLabelValues("good")), testutil.ToFloat64(w.metrics.watched.WithLabelValues("bad"))
		if text := log.take(); good != tc.good || bad != tc.bad || !strings.Contains(text, tc.says) {
			t.Errorf("%s: %v good, %v bad; want %v, %v with %q\n%s", tc.name, good, bad, tc.good, tc.bad, tc.says, text)
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

// A zone that is gone must not fill the log.
func TestWatchSaysSoMuch(t *testing.T) {
	var log lines
	w := newWatcher(slog.New(slog.NewTextHandler(&log, nil)), newMetrics(), &assembly.Parts{Config: &config.Config{}})
	var f findings
	w.compare(&f, slices.Repeat([]seenKey{{sight: keys.SightNothing}}, maxSaid+7))
	if n := strings.Count(log.take(), "\n"); n != maxSaid || f.unsaid != 7 || f.count["bad"] != maxSaid+7 {
		t.Errorf("%d lines, %+v", n, f)
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
		if got := newWatcher(nil, nil, &assembly.Parts{Config: cfg}).first(); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}
