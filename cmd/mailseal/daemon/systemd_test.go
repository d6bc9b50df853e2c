package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/dns"
	"mailseal/milter/sign"
)

// systemd listens as the service manager does, and returns what it is told.
func systemd(t *testing.T) func() string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	nc, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		nc.SetReadDeadline(time.Now().Add(3 * time.Minute))
		p := make([]byte, 1000)
		n, err := nc.Read(p)
		if err != nil {
			t.Fatal(err)
		}
		return string(p[:n])
	}
}

// kill sends a signal to ourselves.
func kill(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		t.Fatal(err)
	}
}

func TestAttend(t *testing.T) {
	told := systemd(t)
	want := func(parts ...string) {
		t.Helper()
		got := told()
		for _, p := range parts {
			if !strings.Contains(got, p) {
				t.Fatalf("systemd was told %q, want %q", got, p)
			}
		}
	}
	reloads := make(chan error, 2)
	reloads <- nil
	reloads <- errors.New("two mistakes")
	abandoned := make(chan struct{})
	r := &running{
		log: slog.New(slog.DiscardHandler), health: &health{}, metrics: newMetrics("test"),
		reload:  func(bool) ([]string, error) { return nil, <-reloads },
		abandon: sync.OnceFunc(func() { close(abandoned) }),
	}
	ctx, stop := context.WithCancel(t.Context())
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		r.attend(ctx, done)
		close(ended)
	}()
	want("READY=1")
	status(t, r.health, http.StatusOK, "ok")

	kill(t, syscall.SIGHUP)
	want("RELOADING=1", "MONOTONIC_USEC=")
	want("READY=1")
	kill(t, syscall.SIGUSR1)
	want("RELOADING=1")
	want("READY=1", "old configuration")
	if good, bad := testutil.ToFloat64(r.metrics.reloads.WithLabelValues("good")),
		testutil.ToFloat64(r.metrics.reloads.WithLabelValues("bad")); good != 1 || bad != 1 {
		t.Errorf("counted %v good and %v bad reloads", good, bad)
	}

	kill(t, syscall.SIGTERM)
	stop()
	want("STOPPING=1")
	status(t, r.health, http.StatusServiceUnavailable, "stopping")
	select {
	case <-abandoned:
		t.Error("one SIGTERM ended the draining")
	case <-time.After(20 * time.Millisecond):
	}
	// a signal merges with the one before if that is not delivered yet
	for isOver := false; !isOver; {
		kill(t, syscall.SIGTERM)
		select {
		case <-abandoned:
			isOver = true
		case <-time.After(20 * time.Millisecond):
		}
	}
	close(done)
	<-ended
}

func status(t *testing.T, h http.Handler, code int, text string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
	if w.Code != code || !strings.Contains(w.Body.String(), text) {
		t.Errorf("health is %d %q, want %d %q", w.Code, w.Body, code, text)
	}
}

func TestWatchdog(t *testing.T) {
	told := systemd(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	r := &running{log: slog.New(slog.DiscardHandler), health: &health{},
		metrics: newMetrics("test")}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		r.attend(t.Context(), done)
		close(ended)
	}()
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := told(); got != want {
			t.Errorf("systemd was told %q, want %q", got, want)
		}
	}
	close(done)
	<-ended
}

// A reload with a bug leaves the daemon and its configuration as they are.
func TestReloadPanics(t *testing.T) {
	r := &running{log: slog.New(slog.DiscardHandler), metrics: newMetrics("test"),
		reload: func(bool) ([]string, error) { panic("boom") }}
	_, _ = r.reloadNow(false)
	if bad := testutil.ToFloat64(r.metrics.reloads.WithLabelValues("bad")); bad != 1 {
		t.Errorf("counted %v", bad)
	}
}

func TestMetrics(t *testing.T) {
	m := newMetrics("test")
	client, err := dns.New(dns.Options{Servers: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	cache := dns.NewCache(client, dns.CacheOptions{})
	gate := dns.NewGate(cache, dns.GateOptions{})
	m.watchDNS(client, gate)
	m.Short()
	gate.Counters.Shortages.Add(4)
	gate.Counters.Waited.Add(5)
	gate.Counters.Waiting.Add(6)
	m.Message(action.RoleOurs, action.Accept, 3*time.Millisecond)
	m.Connections(2)
	m.Connections(-1)
	m.Event(milter.Overflow)
	m.Event(milter.LongLine)
	m.Signed(sign.Signature{Algorithm: "ed25519-sha256"})
	m.Unsigned("no rule")
	m.KeyFailed("a key", errors.New("gone"))
	m.Found("spf", "pass")
	m.SelfChecked("agree")
	cache.Counters.Failures.Add(3)
	h := &health{}
	h.set(healthy)
	ctx, stop := context.WithCancel(t.Context())
	addr, err := serveMetrics(ctx, "127.0.0.1:0", metricsHandler(m, h, true),
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	text := get(t, "http://"+addr.String()+"/metrics")
	for _, want := range []string{
		`mailseal_messages_total{action="accept",role="ours"} 1`,
		`mailseal_messages_total{action="reject",role="theirs"} 0`,
		`mailseal_message_seconds_bucket{role="ours",le="0.002"} 0`,
		`mailseal_message_seconds_bucket{role="ours",le="0.005"} 1`,
		`mailseal_connections 1`,
		`mailseal_events_total{event="overflow"} 1`,
		`mailseal_events_total{event="panic"} 0`,
		`mailseal_fragile_total{cause="long_line"} 1`,
		`mailseal_fragile_total{cause="rewritten"} 0`,
		`mailseal_signatures_total{algorithm="ed25519-sha256"} 1`,
		`mailseal_unsigned_total{reason="no rule"} 1`,
		`mailseal_key_failures_total 1`,
		`mailseal_results_total{method="spf",result="pass"} 1`,
		`mailseal_self_checks_total{outcome="agree"} 1`,
		`mailseal_self_checks_total{outcome="disagree"} 0`,
		`mailseal_dns_failures_total 3`,
		`mailseal_dns_shortages_total 4`,
		`mailseal_dns_waited_total 5`,
		`mailseal_dns_waiting 6`,
		`mailseal_shortages_total 1`,
		`mailseal_build_info{`,
		`go_goroutines `,
		`process_open_fds `,
	} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
	if got := get(t, "http://"+addr.String()+"/healthz"); got != "ok\n" {
		t.Errorf("health is %q", got)
	}
	if got := get(t, "http://"+addr.String()+"/debug/pprof/"); !strings.Contains(got, "goroutine") {
		t.Error("no profiles")
	}
	if _, err := serveMetrics(ctx, addr.String(), h, slog.New(slog.DiscardHandler)); err == nil ||
		!strings.Contains(err.Error(), "metrics.address") {
		t.Errorf("got %v, want an error that names the setting", err)
	}
	stop()
}

func TestNoProfilesUnlessAsked(t *testing.T) {
	w := httptest.NewRecorder()
	metricsHandler(newMetrics("test"), &health{}, false).ServeHTTP(w,
		httptest.NewRequest(http.MethodGet, "/debug/pprof/", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("got %d", w.Code)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", url, resp.StatusCode, err)
	}
	return string(b)
}
