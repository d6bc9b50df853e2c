package daemon

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"mailseal/contrib/test/hosted"
	"mailseal/keys"
)

// keyService is a source of keys that can be away, and whose rows a test may change.
type keyService struct {
	*httptest.Server
	isAway atomic.Bool
	domain atomic.Value // of the key of d7.example, instead of its own
}

func newKeyService(t *testing.T) *keyService {
	t.Helper()
	s := &keyService{}
	s.Server = httptest.NewServer(http.HandlerFunc(s.answer))
	t.Cleanup(s.Close)
	return s
}

func (s *keyService) answer(w http.ResponseWriter, r *http.Request) {
	if s.isAway.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	kind, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	var i int
	if n, err := fmt.Sscanf(name, "d%d.example", &i); n != 1 || err != nil {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "{}")
		return
	}
	if kind == "signing" {
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []string{name}})
		return
	}
	k := hosted.Key(i)
	if d := s.domain.Load(); d != nil && i == 7 {
		k.Domain = d.(string)
	}
	text, _ := keys.Marshal(k.Signer)
	_ = json.NewEncoder(w).Encode(map[string]string{"domain": k.Domain, "selector": k.Selector,
		"private_key": string(text)})
}

const serviceConfig = `
authserv_id = "mx.example.com"
mode = ["sign"]
[[listen]]
address = "unix:%[1]s/s"
[sources.hosting]
driver = "http"
url = "%[2]s"
timeout = "1s"
%[3]s
[[sign]]
source = "hosting"
`

func startService(t *testing.T, s *keyService, settings string) *hosting {
	t.Helper()
	dir := socketDir(t)
	h := newHosting(t, dir)
	h.daemon = startDaemon(t, dir, fmt.Sprintf(serviceConfig, dir, s.URL, settings), h.log)
	return h
}

// edit changes the configuration and reloads as at SIGHUP; it reports whether the new one is in
// force.
func (h *hosting) edit(old, replacement string) bool {
	h.t.Helper()
	text, err := os.ReadFile(h.path)
	if err != nil || !strings.Contains(string(text), old) {
		h.t.Fatalf("no %q in the configuration (%v)", old, err)
	}
	if err := os.WriteFile(h.path, []byte(strings.Replace(string(text), old, replacement, 1)),
		0o600); err != nil {
		h.t.Fatal(err)
	}
	bad := testutil.ToFloat64(h.daemon.metrics.reloads.WithLabelValues("bad"))
	run := &running{log: h.daemon.log, health: h.daemon.health, metrics: h.daemon.metrics,
		reload: func(accept bool) ([]string, error) {
			return h.daemon.reload(h.t.Context(), accept)
		}}
	_, _ = run.reloadNow(false)
	return testutil.ToFloat64(h.daemon.metrics.reloads.WithLabelValues("bad")) == bad
}

// said returns what was logged since n bytes.
func (h *hosting) said(n int) string { return h.log.String()[n:] }

// What a source has answered signs on after a reload, whatever becomes of the source; a reload that
// would make the source useless is refused, counted as bad, and never called good.
func TestReloadWithSourceAway(t *testing.T) {
	for _, tc := range []struct {
		name, old, replacement string
		isTaken                bool
	}{
		{"the timeout", `timeout = "1s"`, `timeout = "2s"`, false},
		{"the time to live", `ttl = "1ms"`, `ttl = "5m"`, true},
		{"the size of the memory", `ttl = "1ms"`, "ttl = \"1ms\"\ncache_size = \"2MiB\"", true},
		{"how long old answers serve", `stale = "1d"`, `stale = "7d"`, true},
		{"how the source is reached", `timeout = "1s"`, "timeout = \"1s\"\ntoken_file = \"no-such-file\"", false},
		{"another source", `url = "http://127.0.0.1:`, `url = "http://127.0.0.1:1`, false},
		{"another name", `[sources.hosting]`, `[sources.renamed]`, true},
		{"something else", `mode = ["sign"]`, `mode = "sign"`, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newKeyService(t)
			h := startService(t, s, "ttl = \"1ms\"\nstale = \"1d\"")
			for i := range 10 {
				h.Send(hosted.Key(i).Domain)
			}
			s.isAway.Store(true)
			if tc.name == "another name" {
				tc.old, tc.replacement = "[[sign]]\nsource = \"hosting\"",
					"[[sign]]\nsource = \"renamed\""
				text, _ := os.ReadFile(h.path)
				if err := os.WriteFile(h.path,
					[]byte(strings.Replace(string(text), "[sources.hosting]", "[sources.renamed]",
						1)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			logged := len(h.log.String())
			isTaken := h.edit(tc.old, tc.replacement)
			if isTaken != tc.isTaken {
				t.Errorf("taken %v, want %v\n%s", isTaken, tc.isTaken, h.said(logged))
			}
			if text := h.said(logged); !isTaken && (strings.Contains(text, "msg=reloaded") ||
				!strings.Contains(text, "not reloaded") || !strings.Contains(text, "refused")) {
				t.Errorf("refused, and the log says\n%s", text)
			}
			for i := range 10 {
				h.Send(hosted.Key(i).Domain)
			}
			if h.Signed.Load() != 20 || h.Deferred.Load() != 0 || h.Unsigned.Load() != 0 {
				t.Errorf("%d signed, %d deferred, %d unsigned; want 20, 0, 0\n%s", h.Signed.Load(),
					h.Deferred.Load(), h.Unsigned.Load(), h.said(logged))
			}
		})
	}
}

// A source that has never answered refuses no reload: there is nothing to lose.
func TestReloadWithSourceNeverThere(t *testing.T) {
	s := newKeyService(t)
	s.isAway.Store(true)
	h := startService(t, s, "")
	if !h.edit(`timeout = "1s"`, `timeout = "2s"`) {
		t.Errorf("refused:\n%s", h.log.String())
	}
	s.isAway.Store(false)
	h.Send("d1.example")
	if h.Signed.Load() != 1 {
		t.Errorf("not signed:\n%s", h.log.String())
	}
}

// A key of another domain than the author's signs and is logged once, or does not sign, as
// other_domains says.
func TestOtherDomains(t *testing.T) {
	for _, tc := range []struct {
		settings, domain           string
		signed, unsignedOrDeferred int64
		warnings                   int
	}{
		{"", "d7.example", 3, 0, 0},
		{"", "%", 3, 0, 0},
		{"", "d8.example", 0, 0, 1},
		{`other_domains = "accept"`, "d8.example", 0, 0, 0},
		{`other_domains = "refuse"`, "d8.example", 0, 3, 0},
		{`other_domains = "refuse"`, "d7.example", 3, 0, 0},
	} {
		t.Run(tc.settings+" "+tc.domain, func(t *testing.T) {
			s := newKeyService(t)
			s.domain.Store(tc.domain)
			h := startService(t, s, tc.settings+"\nttl = \"1ms\"")
			record, err := keys.Key{Domain: "d8.example", Selector: "s",
				Signer: hosted.Key(7).Signer}.Record(keys.RecordOptions{})
			if err != nil {
				t.Fatal(err)
			}
			h.Zone.AddTXT(record.Name, record.Text)
			h.MayBeOther = "d8.example"
			for range 3 {
				h.Send("d7.example")
			}
			warnings := strings.Count(h.log.String(),
				"the key of a source belongs to a domain other than")
			if h.Signed.Load() != tc.signed || h.Deferred.Load() != tc.unsignedOrDeferred ||
				warnings != tc.warnings || h.Unsigned.Load() != 0 {
				t.Errorf("%d signed as the author, %d deferred, %d unsigned, %d warnings; want %d, %d, 0, %d\n%s",
					h.Signed.Load(), h.Deferred.Load(),
					h.Unsigned.Load(), warnings, tc.signed, tc.unsignedOrDeferred, tc.warnings,
					h.log.String())
			}
			if tc.unsignedOrDeferred > 0 && !strings.Contains(h.log.String(), "other_domains") {
				t.Errorf("the log does not say why:\n%s", h.log.String())
			}
		})
	}
}

// TestReplacedDatabase replaces the file of a source between messages: what was remembered signs
// until a reload, or the end of ttl, and then the new file's keys do. One that is broken leaves
// what is remembered in effect.
func TestReplacedDatabase(t *testing.T) {
	db := hosted.SQLite(t)
	h := startHosting(t, "sqlite", db, "")
	h.Send("d0.example")
	if h.Signed.Load() != 1 {
		t.Fatalf("%d signed\n%s", h.Signed.Load(), h.log)
	}
	asked := func() uint64 { return h.source().Counters.Misses.Load() }
	before := asked()
	h.Send("d0.example")
	if asked() != before {
		t.Error("memory was not used")
	}
	if err := os.Rename(hosted.SQLite(t), db); err != nil {
		t.Fatal(err)
	}
	if err := h.daemon.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Send("d0.example")
	if asked() == before {
		t.Error("the new file was not asked after a reload")
	}
	if err := os.Truncate(db, 0); err != nil {
		t.Fatal(err)
	}
	if err := h.daemon.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Send("d0.example")
	if signed, deferred := h.Signed.Load(), h.Deferred.Load(); signed != 4 ||
		deferred+h.Unsigned.Load() != 0 {
		t.Errorf("signed %d, deferred %d, unsigned %d; want all signed\n%s", signed, deferred,
			h.Unsigned.Load(), h.log)
	}
}
