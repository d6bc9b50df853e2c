package keysql

import (
	"crypto/ed25519"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/keys"
	"mailseal/keys/database"
)

const (
	keyQuery     = "SELECT domain, selector, private_key FROM dkim_keys WHERE name = $1"
	signingQuery = "SELECT key_name FROM dkim_signing WHERE domain = $1 AND login IN ('', $2) ORDER BY key_name"
)

func seed(n byte) string { return base64.StdEncoding.EncodeToString(slices.Repeat([]byte{n}, 32)) }

// fill makes the tables of contrib/sql, with keys for one.example and joe.
func fill(t *testing.T, d Driver, dsn string) *sql.DB {
	t.Helper()
	db, err := database.Open(database.Options{Driver: d, DSN: dsn, Timeout: 10 * time.Second,
		Access: database.Write})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	schema, err := os.ReadFile(map[Driver]string{Postgres: "../../contrib/sql/postgresql.sql",
		MySQL: "../../contrib/sql/mysql.sql", SQLite: "../../contrib/sql/sqlite.sql"}[d])
	if err != nil {
		t.Fatal(err)
	}
	exec(t, db, string(schema))
	for name, k := range map[string][3]string{
		"a": {"one.example", "a", seed(1)}, "b": {"one.example", "b", seed(2)}, "joe": {"two.example", "joe", seed(3)},
		"broken": {"one.example", "x", "no key at all"},
	} {
		exec(t, db, fmt.Sprintf("INSERT INTO dkim_keys VALUES ('%s', '%s', '%s', '%s')", name, k[0],
			k[1], k[2]))
	}
	for _, row := range [][3]string{{"one.example", "", "a"}, {"one.example", "", "b"},
		{"two.example", "joe", "joe"}} {
		exec(t, db, fmt.Sprintf("INSERT INTO dkim_signing VALUES ('%s', '%s', '%s')", row[0],
			row[1], row[2]))
	}
	return db
}

func exec(t *testing.T, db *sql.DB, text string) {
	t.Helper()
	for statement := range strings.SplitSeq(text, ";\n") { // MySQL takes one at a time
		if strings.Contains(statement, "CREATE") || strings.Contains(statement, "INSERT") {
			if _, err := db.Exec(statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
	}
}

func source(t *testing.T, o Options) *Source {
	t.Helper()
	if o.Name == "" {
		o.Name = "hosting"
	}
	if o.KeyQuery == "" {
		o.KeyQuery = keyQuery
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys 100%?.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fill(t, SQLite, path)
	answers(t, Options{Driver: SQLite, DSN: path})
}

func TestPostgres(t *testing.T) {
	server := rig.Postgres(t)
	fill(t, Postgres, server.DSN)
	answers(t, Options{Driver: Postgres, DSN: server.DSN})
	awayAndBack(t, server, Options{Driver: Postgres, DSN: server.DSN})
}

func TestMariaDB(t *testing.T) {
	server := rig.MariaDB(t)
	fill(t, MySQL, server.DSN)
	answers(t, Options{Driver: MySQL, DSN: server.DSN})
	awayAndBack(t, server, Options{Driver: MySQL, DSN: server.DSN})
}

// answers holds a source over the tables of fill to what they say.
func answers(t *testing.T, o Options) {
	t.Helper()
	o.SigningQuery = signingQuery
	s := source(t, o)
	for _, tc := range []struct {
		name string
		want string // the key's String
		err  error
	}{
		{"a", "a._domainkey.one.example (ed25519 256)", nil},
		{"joe", "joe._domainkey.two.example (ed25519 256)", nil},
		{"nobody", "", keys.ErrNotFound},
		{"' OR '1'='1", "", keys.ErrNotFound},
		{"broken", "", keys.ErrAnswer},
	} {
		k, err := s.Key(t.Context(), tc.name)
		if !errors.Is(err, tc.err) || err == nil && (k.String() != tc.want || k.Name != tc.name) {
			t.Errorf("Key(%q) is %v, %v; want %q, %v", tc.name, k, err, tc.want, tc.err)
		}
	}
	if k, err := s.Key(t.Context(), "a"); err != nil ||
		!k.Signer.Public().(ed25519.PublicKey).Equal(
			ed25519.NewKeyFromSeed(slices.Repeat([]byte{1}, 32)).Public()) {
		t.Errorf("the key is another one: %v", err)
	}
	for _, tc := range []struct {
		query keys.Query
		want  []string
	}{
		{keys.Query{Domain: "one.example"}, []string{"a", "b"}},
		{keys.Query{Domain: "one.example", Login: "joe"}, []string{"a", "b"}},
		{keys.Query{Domain: "two.example", Login: "joe"}, []string{"joe"}},
		{keys.Query{Domain: "two.example", Login: "jim"}, nil},
		{keys.Query{Domain: "two.example"}, nil},
		{keys.Query{Domain: "three.example"}, nil},
	} {
		found, err := s.Choose(t.Context(), tc.query)
		var names []string
		for _, k := range found {
			names = append(names, k.Name)
		}
		if err != nil || !slices.Equal(names, tc.want) {
			t.Errorf("Choose(%v) is %q, %v; want %q", tc.query, names, err, tc.want)
		}
	}
	if said, err := s.Check(t.Context()); err != nil ||
		!strings.HasSuffix(said, "answers key_query and signing_query") {
		t.Errorf("check says %q, %v", said, err)
	}
	lists(t, o)
	mistakes(t, o)
}

// lists walks the table of fill, and holds which queries cannot walk.
func lists(t *testing.T, o Options) {
	t.Helper()
	o.ListQuery = "SELECT name FROM dkim_keys WHERE name > $1 ORDER BY name LIMIT 3"
	s := source(t, o)
	for _, tc := range []struct {
		after string
		want  []string
	}{{"", []string{"a", "b", "broken"}}, {"broken", []string{"joe"}}, {"joe", nil}} {
		if got, err := s.List(t.Context(), tc.after); err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("behind %q: got %q, %v; want %q", tc.after, got, err, tc.want)
		}
	}
	for _, tc := range []struct{ name, query, after string }{
		{"no such table", "SELECT name FROM nothing WHERE name > $1", ""},
		{"two columns", "SELECT name, domain FROM dkim_keys WHERE name > $1", ""},
		{"the name itself", "SELECT name FROM dkim_keys WHERE name >= $1", "b"},
		{"all at once", "SELECT a.name FROM dkim_keys a, dkim_keys b, dkim_keys c, dkim_keys d, " +
			"dkim_keys e, dkim_keys f, dkim_keys g WHERE a.name > $1", ""},
	} {
		o.ListQuery = tc.query
		if got, err := source(t, o).List(t.Context(), tc.after); !errors.Is(err, ErrQuery) ||
			got != nil || !strings.Contains(err.Error(), "list_query") {
			t.Errorf("%s: got %d names, %v", tc.name, len(got), err)
		}
	}
}

// mistakes are found when the database is asked, and told from a database that is away.
func mistakes(t *testing.T, o Options) {
	t.Helper()
	for _, tc := range []struct{ name, key, signing string }{
		{"no such table", "SELECT a, b, c FROM nothing WHERE name = $1", ""},
		{"no such column", "SELECT domain, selector, secret FROM dkim_keys WHERE name = $1", ""},
		{"syntax", "SELCT domain FROM dkim_keys WHERE name = $1", ""},
		{"two columns", "SELECT domain, private_key FROM dkim_keys WHERE name = $1", ""},
		{"two columns for signing", keyQuery, "SELECT key_name, domain FROM dkim_signing WHERE domain = $1"},
		{"no such table for signing", keyQuery, "SELECT key_name FROM nothing WHERE domain = $1"},
	} {
		o.KeyQuery, o.SigningQuery = tc.key, tc.signing
		if said, err := source(t, o).Check(t.Context()); !errors.Is(err, ErrQuery) ||
			!strings.Contains(err.Error(), `source "hosting": `) {
			t.Errorf("%s: check says %q, %v", tc.name, said, err)
		}
	}
	o.KeyQuery, o.SigningQuery = "SELECT domain, selector, private_key FROM dkim_keys WHERE name <> $1", ""
	if k, err := source(t, o).Key(t.Context(), "several"); !errors.Is(err, keys.ErrAnswer) {
		t.Errorf("several rows make %v, %v", k, err)
	}
}

// awayAndBack stops the server under a pool that has connections, and starts it again.
func awayAndBack(t *testing.T, server *rig.Database, o Options) {
	t.Helper()
	o.SigningQuery, o.Timeout = signingQuery, 2*time.Second
	s := source(t, o)
	try := func() (error, error) {
		_, err1 := s.Key(t.Context(), "a")
		found, err2 := s.Choose(t.Context(), keys.Query{Domain: "one.example"})
		if err2 == nil && len(found) != 2 {
			t.Errorf("%d keys and no error", len(found))
		}
		return err1, err2
	}
	if err1, err2 := try(); err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	away := func(how string) {
		t.Helper()
		for _, err := range slices.Collect(func(yield func(error) bool) {
			e1, e2 := try()
			_ = yield(e1) && yield(e2)
		}) {
			if err == nil || errors.Is(err, keys.ErrNotFound) || errors.Is(err, keys.ErrAnswer) ||
				errors.Is(err, ErrQuery) {
				t.Errorf("%s, and the source says %v", how, err)
			}
		}
	}
	server.Pause()
	away("the server hangs")
	server.Resume()
	server.Stop()
	away("the server is gone")
	if _, err := s.Check(t.Context()); err == nil || errors.Is(err, ErrQuery) {
		t.Errorf("check says %v", err)
	}
	server.Start()
	var err1, err2 error
	if !rig.Await(func() bool {
		err1, err2 = try()
		return err1 == nil && err2 == nil
	}) {
		t.Fatalf("the server is back, and the source says %v, %v", err1, err2)
	}
}

func TestNewRefuses(t *testing.T) {
	const secret = "hunter2"
	for _, tc := range []struct {
		name string
		o    Options
		want error
	}{
		{"no parameter", Options{Driver: SQLite, DSN: "x", KeyQuery: "SELECT 1"}, ErrQuery},
		{"too many", Options{Driver: SQLite, DSN: "x", KeyQuery: "SELECT $2"}, ErrQuery},
		{"in quotes only", Options{Driver: Postgres, DSN: "x", KeyQuery: "SELECT '$1' -- $1"}, ErrQuery},
		{"too many for signing", Options{Driver: MySQL, DSN: "x", KeyQuery: "SELECT ?",
			SigningQuery: "SELECT ?, ?, ?, ?"}, ErrQuery},
		{"a bad DSN", Options{Driver: Postgres, DSN: "postgres://u:" + secret + "@host:port:/",
			KeyQuery: keyQuery}, ErrDSN},
		{"another", Options{Driver: Postgres, DSN: "password=" + secret + " port=x", KeyQuery: keyQuery}, ErrDSN},
		{"a third", Options{Driver: MySQL, DSN: "u:" + secret + "@tcp(host", KeyQuery: keyQuery}, ErrDSN},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := New(tc.o)
			if !errors.Is(err, tc.want) || strings.Contains(fmt.Sprintf("%v %+v", err, err),
				secret) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

// Half an answer is none: an error after the first row must not leave out the key of the second.
func TestHalfAnAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fill(t, SQLite, path)
	const overflow = "SELECT CASE WHEN key_name = 'b' THEN abs(-9223372036854775807 - 1) ELSE " +
		"key_name END FROM dkim_signing WHERE domain = $1 ORDER BY domain, login, key_name"
	found, err := source(t, Options{Driver: SQLite, DSN: path, SigningQuery: overflow}).Choose(
		t.Context(), keys.Query{Domain: "one.example"})
	if err == nil || len(found) > 0 {
		t.Errorf("got %v, %v", found, err)
	}
}

// A password is not in the error of a server that is away.
func TestAwayKeepsSecrets(t *testing.T) {
	for _, o := range []Options{
		{Driver: Postgres, DSN: "postgres://u:hunter2@127.0.0.1:1/mail"},
		{Driver: Postgres, DSN: "host=127.0.0.1 port=1 user=u password=hunter2"},
		{Driver: MySQL, DSN: "u:hunter2@tcp(127.0.0.1:1)/mail"},
		{Driver: SQLite, DSN: "/nonexistent/keys.db"},
	} {
		_, err := source(t, o).Key(t.Context(), "a")
		if err == nil || errors.Is(err, keys.ErrNotFound) || errors.Is(err, ErrQuery) ||
			strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", o.Driver, err)
		}
	}
}

// SQLite itself says "out of memory" of each of these.
func TestSQLiteFile(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct{ name, dsn, want string }{
		{"no file", dir + "/keys 1.db", "the file " + dir + "/keys 1.db does not exist; make it with: sqlite3"},
		{"no file, as a URI", "file:" + dir + "/keys%202.db?mode=ro", "the file " + dir + "/keys 2.db does not exist"},
		{"no directory", dir + "/none/keys.db", "does not exist"},
		{"a directory", dir, dir + " is a directory"},
	} {
		_, err := source(t, Options{Driver: SQLite, DSN: tc.dsn}).Key(t.Context(), "a")
		if err == nil || !strings.Contains(err.Error(), tc.want) ||
			strings.Contains(err.Error(), "memory") {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
		if _, err := Import(t.Context(), Options{Driver: SQLite, DSN: tc.dsn},
			[]Entry{{}}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: import says %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestParameters(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		driver     Driver
		rewritten  string
		params     []int
	}{
		{"numbers", "a = $1 AND b = $2", Postgres, "a = $1 AND b = $2", []int{1, 2}},
		{"twice, for MySQL", "b = $2 OR a = $1 OR b = $2", MySQL, "b = ? OR a = ? OR b = ?", []int{2, 1, 2}},
		{"the second only", "b = $2", SQLite, "b = $1", []int{2}},
		{"one is skipped", "a IN ($3, $1) OR b = $3", Postgres, "a IN ($1, $2) OR b = $1", []int{3, 1}},
		{"marks", "a = ? AND b = ?", MySQL, "a = ? AND b = ?", []int{1, 2}},
		{"marks in SQLite", "a = ? AND b = ?", SQLite, "a = $1 AND b = $2", []int{1, 2}},
		{"quoted", "a = '$3 it''s ?' AND \"?\" = $1 AND `?` /* ? */ -- $2", MySQL,
			"a = '$3 it''s ?' AND \"?\" = ? AND `?` /* ? */ -- $2", []int{1}},
		{"an operator", "a ? 'b' AND c = $1", Postgres, "a ? 'b' AND c = $1", []int{1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q, err := newQuery("q", tc.text, tc.driver, 3)
			if err != nil || q.text != tc.rewritten || !slices.Equal(q.params, tc.params) {
				t.Errorf("got %q %v, %v; want %q %v", q.text, q.params, err, tc.rewritten,
					tc.params)
			}
		})
	}
}

// A hundred thousand domains: nothing is loaded before it is asked for, and memory is bounded by
// the cache.
func TestManyDomains(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db := fill(t, SQLite, path)
	const domains = 100_000
	exec(t, db, fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < %d)
		INSERT INTO dkim_keys SELECT 'k'||i, 'd'||i||'.example', 'k', '%s' FROM n`, domains, seed(9)))
	exec(t, db, fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < %d)
		INSERT INTO dkim_signing SELECT 'd'||i||'.example', '', 'k'||i FROM n`, domains))
	s := source(t, Options{Driver: SQLite, DSN: path, SigningQuery: signingQuery})
	c := keys.NewCache(s, keys.CacheOptions{TTL: time.Hour, NegativeTTL: time.Hour,
		Bytes: 512 << 10})
	if n := s.db.Stats().OpenConnections; n != 0 || c.Len() != 0 {
		t.Errorf("before the first question: %d connections, %d answers", n, c.Len())
	}
	for i := 1; i <= domains; i += 29 { // 3449 of them
		domain, name := fmt.Sprintf("d%d.example", i), fmt.Sprintf("k%d", i)
		chosen, err := c.Choose(t.Context(), keys.Query{Domain: domain})
		if err != nil || len(chosen) != 1 || chosen[0].Name != name {
			t.Fatalf("%s: %v, %v", domain, chosen, err)
		}
		if k, err := c.Key(t.Context(), name); err != nil || k.Domain != domain {
			t.Fatalf("%s: %v, %v", name, k, err)
		}
		if c.Bytes() > 512<<10 {
			t.Fatalf("answers take %d bytes, at most 512 KiB are allowed", c.Bytes())
		}
	}
	if c.Len() < 500 || c.Len() > 1500 || s.db.Stats().OpenConnections > maxConnections {
		t.Errorf("at the end %d answers, %d connections", c.Len(), s.db.Stats().OpenConnections)
	}
}
