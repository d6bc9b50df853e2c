package reporting

import (
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"mailseal/config"
	"mailseal/milter/report/store"
)

var undoButton = regexp.MustCompile(`name="undo" value="(\d+)"`)

// undoEach makes a change of each kind and takes it back, over the pages and the socket.
func undoEach(t *testing.T, b *browser, cfg *config.Config) {
	t.Helper()
	_, text := b.get(sourceOfTests)
	token := b.token(text)
	for _, class := range []string{"ours", "service", "forwarding", "not ours", "scanner"} {
		_, text = b.post(sourceOfTests, url.Values{"csrf": {token}, "class": {class}})
		m := undoButton.FindStringSubmatch(text)
		if got := classOf(t, cfg); got != class || m == nil {
			t.Fatalf("judged %q: reports sources says %q, or there is no undo", class, got)
		}
		_, text = b.post(sourceOfTests, url.Values{"csrf": {token}, "undo": {m[1]}})
		if got := classOf(t, cfg); got != "" || !strings.Contains(text, "automatically") {
			t.Errorf("%q undone: class %q", class, got)
		}
	}
	networkAndUndo(t, b, cfg, token)

	use := func() (word string) {
		inStore(t, cfg, func(s *store.Store) error {
			return s.View(t.Context(), func(tx *store.Tx) error {
				return tx.QueryRowContext(t.Context(), "SELECT COALESCE(MAX(use_word), '') FROM "+
					"own_use WHERE domain = 'shop.example'").Scan(&word)
			})
		})
		return word
	}
	for _, step := range [][2]string{{"people", "people"}, {"unknown", ""},
		{"machines", "machines"}, {"unknown", ""}} {
		b.post("/d/shop.example", url.Values{"csrf": {token}, "use": {step[0]}})
		if got := use(); got != step[1] {
			t.Errorf("the answer %q: stored %q, want %q", step[0], got, step[1])
		}
	}
}

// networkAndUndo judges a network: it is a source of its own until that is undone.
func networkAndUndo(t *testing.T, b *browser, cfg *config.Config, token string) {
	t.Helper()
	for _, wrong := range []string{"192.0.0.0/8", "192.0.2.0", "192.0.2.7/24", "192.0.2.77/32",
		"198.51.100.0/24", "::/0"} {
		if code, _ := b.post(sourceOfTests, url.Values{"csrf": {token}, "class": {"ours"},
			"network": {wrong}}); code != http.StatusForbidden || classOf(t, cfg) != "" {
			t.Errorf("network %s: status %d, class %q", wrong, code, classOf(t, cfg))
		}
	}
	const network = "/d/shop.example/s/192.0.2.0%2F24"
	_, text := b.post(sourceOfTests, url.Values{"csrf": {token}, "class": {"not ours"},
		"network": {"192.0.2.0/24"}})
	m := undoButton.FindStringSubmatch(text)
	if classOf(t, cfg) != "not ours" || m == nil ||
		!strings.Contains(text, "192.0.2.0/24</span>, as") ||
		!strings.Contains(text, "Judged “not ours”") {
		t.Fatalf("judged a network: class %q\n%s", classOf(t, cfg), text)
	}
	inStore(t, cfg, func(s *store.Store) error {
		list, err := s.Verdicts(t.Context())
		for _, v := range list {
			if v.Subject == "192.0.2.0/24" && !v.Matches("shop.example",
				netip.MustParseAddr("192.0.2.200")) {
				t.Errorf("the verdict does not hold for another address: %+v", v)
			}
		}
		return err
	})
	// An address in it has its page, a newer verdict on the address wins, and undo takes it back.
	if _, text := b.get(sourceOfTests); !strings.Contains(text, "192.0.2.0/24") {
		t.Errorf("the address is not in the network:\n%s", text)
	}
	if code, text := b.post(network, url.Values{"csrf": {token}, "undo": {m[1]}}); code != 200 ||
		classOf(t, cfg) != "" || strings.Contains(text, "192.0.2.0/24") {
		t.Errorf("a network undone: status %d, class %q", code, classOf(t, cfg))
	}
	if code, _ := b.get(network); code != http.StatusNotFound {
		t.Errorf("the page of a network without a verdict: status %d", code)
	}
}
