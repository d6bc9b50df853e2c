package e2e

import (
	"mailseal/contrib/test/hosted"
	"strings"
	"testing"
)

// TestSourcesReload holds that sources survive a reload that leaves them alone, and what a reload
// refuses. What a source has counted begins again with another source.
func TestSourcesReload(t *testing.T) {
	h := startHosting(t, "sqlite", hosted.SQLite(t), "")
	h.Send("d3.example")
	asked := h.series("misses_total")
	if asked == 0 {
		t.Fatal("the source was not asked")
	}
	isSame := func() bool { return h.series("misses_total") == asked }
	edit := func(old, new string) (ok bool) {
		if !strings.Contains(h.config, old) {
			t.Fatalf("no %q in the configuration", old)
		}
		h.config = strings.Replace(h.config, old, new, 1)
		h.daemon.Configure(h.config)
		return h.daemon.Reload(t)
	}
	if !edit("mode =", "# a line more\nmode =") || !isSame() || h.series("entries") != 2 {
		t.Errorf("unchanged, and another source:\n%s", h.log())
	}
	if edit("FROM dkim_keys", "FROM dkim_kyes") || !strings.Contains(h.log(), "key_query") ||
		!isSame() {
		t.Errorf("a query that cannot work:\n%s", h.log())
	}
	h.Send("d4.example")
	if !edit("FROM dkim_kyes", "FROM dkim_keys") {
		t.Error(h.log())
	}
	asked = h.series("misses_total")
	if !edit(`timeout = "1s"`, `timeout = "2s"`) || isSame() {
		t.Errorf("changed, and the same source:\n%s", h.log())
	}
	h.Send("d5.example")
	if h.Signed.Load() != 3 {
		t.Errorf("%d signed, want 3\n%s", h.Signed.Load(), h.log())
	}
	found := 0
	for name := range h.daemon.Metrics(t) {
		if strings.HasPrefix(name, "mailseal_source_") {
			found++
		}
	}
	if found != 11 {
		t.Errorf("%d series of the source, want 11", found)
	}
}

// What goes wrong in the tables while the daemon runs is an error for the mail that needs it, and
// the log says what and where; it is mended without a reload.
func TestSourcesBreak(t *testing.T) {
	path := hosted.SQLite(t)
	h := startHosting(t, "sqlite", path, "ttl = \"0s\"\nnegative_ttl = \"0s\"\nstale = \"0s\"")
	for i, tc := range []struct {
		name, wrong, right string
		says               []string
	}{
		{"a row without a key", "UPDATE dkim_keys SET private_key = 'secretsecretsecret' WHERE name = 'k1'",
			"UPDATE dkim_keys SET private_key = (SELECT private_key FROM dkim_keys WHERE name = " +
				"'backup') WHERE name = 'k1'",
			[]string{`k1: source \"hosting\"`, "key_query", "the row of",
				`selector \"s\", domain \"d1.example\"`}},
		{"a domain that is none", "UPDATE dkim_keys SET domain = 'd1.example; b=x' WHERE name = 'k1'",
			"UPDATE dkim_keys SET domain = 'd1.example' WHERE name = 'k1'",
			[]string{"do not form a DNS name"}},
		{"no row", "UPDATE dkim_keys SET name = 'kk1' WHERE name = 'k1'",
			"UPDATE dkim_keys SET name = 'k1' WHERE name = 'kk1'",
			[]string{"no such key"}},
		{"no column", "ALTER TABLE dkim_keys RENAME COLUMN selector TO label",
			"ALTER TABLE dkim_keys RENAME COLUMN label TO selector",
			[]string{"no such column: selector", "source of keys is unavailable",
				"source of keys is available again"}},
		{"no table", "ALTER TABLE dkim_signing RENAME TO gone", "ALTER TABLE gone RENAME TO dkim_signing",
			[]string{"signing_query", "no such table: dkim_signing",
				"source of keys is unavailable", "source " +
					"of keys is available again"}},
	} {
		if i == 0 {
			execSQLite(t, path, "INSERT INTO dkim_keys SELECT 'backup', domain, selector, "+
				"private_key FROM dkim_keys WHERE name = 'k1'")
		}
		signed, deferred, said := h.Signed.Load(), h.Deferred.Load(), len(h.log())
		execSQLite(t, path, tc.wrong)
		h.Send("d1.example")
		execSQLite(t, path, tc.right)
		h.Send("d1.example")
		if h.Deferred.Load() != deferred+1 || h.Signed.Load() != signed+1 ||
			h.Unsigned.Load() != 0 {
			t.Errorf("%s: %d deferred, %d signed, %d unsigned; want 1, 1, 0", tc.name,
				h.Deferred.Load()-deferred, h.Signed.Load()-signed, h.Unsigned.Load())
		}
		text := h.log()[said:]
		for _, want := range tc.says {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the log says\n%s\nwithout %s", tc.name, text, want)
			}
		}
		if strings.Contains(text, "secretsecret") {
			t.Errorf("%s: the log tells the key:\n%s", tc.name, text)
		}
	}
}
