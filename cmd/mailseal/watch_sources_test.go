package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keydns"
	"mailseal/keys/keylife"
	"mailseal/milter/dns/dnstest"
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
	w := newWatcher(slog.New(slog.NewTextHandler(&log, nil)), newMetrics(), &parts{cfg: &config.Config{}})
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
		if got := newWatcher(nil, nil, &parts{cfg: cfg}).first(); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// TestRemembered holds which keys of a source's memory sign, and as which domain.
func TestRemembered(t *testing.T) {
	whole := func(name, selector, domain string) keys.Key {
		return keys.Key{Name: name, Selector: selector, Domain: domain, Signer: hostedKey(1).Signer}
	}
	fake := fakeRemote{
		"one":                  whole("one", "s1", "one.example"),
		"any":                  whole("any", "s2", "%"),
		"m._domainkey.a.test":  whole("", "m", "a.test"),
		"m._domainkey.b.test":  whole("", "m", "b.test"),
		"choose:named.example": {Name: "one"},
		"choose:any.example":   {Name: "any"},
		"choose:whole.example": whole("x", "w", "whole.example"),
	}
	for _, tc := range []struct {
		name string
		rule config.Rule
		want []string
	}{
		{"the source chooses", config.Rule{From: []string{"*"}}, []string{"s1._domainkey.one.example", "s2._domainkey.any.example", "w._domainkey.whole.example"}},
		{"for some authors", config.Rule{From: []string{"*@any.example"}}, []string{"s2._domainkey.any.example"}},
		{"as another domain", config.Rule{From: []string{"*@whole.example"}, SignOptions: config.SignOptions{}, Domain: "third.example"}, []string{"w._domainkey.third.example"}},
		{"as the author's", config.Rule{From: []string{"*@named.example"}, Domain: "%"}, []string{"s1._domainkey.named.example"}},
		{"a key by name", config.Rule{From: []string{"*"}, Keys: []string{"one"}}, []string{"s1._domainkey.one.example"}},
		{"keys by the author's domain", config.Rule{From: []string{"*"}, Keys: []string{"m._domainkey.%"}}, []string{"m._domainkey.a.test", "m._domainkey.b.test"}},
		{"nobody knows whose", config.Rule{From: []string{"*"}, Keys: []string{"any"}}, nil},
		{"not there", config.Rule{From: []string{"*"}, Keys: []string{"gone"}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := cached("fake", sourceOptions{ttl: time.Hour, entries: 100}, fake, slog.New(slog.DiscardHandler))
			for name := range fake {
				if d, ok := strings.CutPrefix(name, "choose:"); ok {
					_, _ = s.Choose(t.Context(), keys.Query{Domain: d})
				} else if _, err := s.Key(t.Context(), name); err != nil {
					t.Fatal(err)
				}
			}
			tc.rule.Source = "fake"
			p := parts{cfg: &config.Config{Sign: []config.Rule{tc.rule, tc.rule}}, sources: map[string]*source{"fake": s}}
			var got []string
			for _, k := range p.remembered() {
				got = append(got, k.Selector+"._domainkey."+k.Domain)
			}
			if slices.Sort(got); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// fakeRemote holds keys by name, and for "choose:DOMAIN" one that signs.
type fakeRemote map[string]keys.Key

func (f fakeRemote) Key(_ context.Context, name string) (keys.Key, error) {
	if k, ok := f[name]; ok {
		return k, nil
	}
	return keys.Key{}, keys.ErrNotFound
}

func (f fakeRemote) Choose(_ context.Context, q keys.Query) ([]keys.Key, error) {
	if k, ok := f["choose:"+q.Domain]; ok {
		return []keys.Key{k}, nil
	}
	return nil, nil
}
func (f fakeRemote) Narrow(q keys.Query) keys.Query        { return q }
func (f fakeRemote) Check(context.Context) (string, error) { return "fake", nil }
func (f fakeRemote) Close() error                          { return nil }

// lying signs with another key than it shows.
type lying struct{ crypto.Signer }

func (l lying) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{77}, 32)).Sign(random, digest, o)
}

// A key of a source whose halves do not match never signs, whichever way it came.
func TestSourceKeyIsTested(t *testing.T) {
	k := hostedKey(1)
	k.Signer = lying{k.Signer}
	s := cached("fake", sourceOptions{ttl: time.Hour, entries: 100}, fakeRemote{"k": k, "choose:d1.example": k}, slog.New(slog.DiscardHandler))
	if got, err := s.Key(t.Context(), "k"); !errors.Is(err, keys.ErrAnswer) || !strings.Contains(err.Error(), "self-test") || !strings.Contains(err.Error(), `domain "d1.example"`) {
		t.Errorf("by name: got %v, %v", got, err)
	}
	if got, err := s.Choose(t.Context(), keys.Query{Domain: "d1.example"}); !errors.Is(err, keys.ErrAnswer) || !strings.Contains(err.Error(), "self-test") {
		t.Errorf("whole: got %v, %v", got, err)
	}
}

// A key is tested once, however often the cache forgets it; one that fails is tested each time.
func TestTestedKeys(t *testing.T) {
	good, broken := hostedKey(1), hostedKey(1)
	broken.Signer = lying{broken.Signer}
	var tested testedKeys
	for range 2 {
		if err := tested.test(good); err != nil {
			t.Error(err)
		}
		if err := tested.test(broken); err == nil {
			t.Error("a broken key passes, since its public half has been seen")
		}
	}
	if len(tested.passed) != 1 {
		t.Errorf("%d keys are remembered", len(tested.passed))
	}
	text, err := keys.Marshal(good.Signer)
	if err != nil || !tested.has(sha256.Sum256(text)) {
		t.Errorf("the key that passed is not remembered: %v", err)
	}
	for i := range maxTested {
		tested.add([32]byte{byte(i), byte(i >> 8), byte(i >> 16), 1})
	}
	if n := len(tested.passed); n > maxTested {
		t.Errorf("%d keys are remembered, at most %d may be", n, maxTested)
	}
}
