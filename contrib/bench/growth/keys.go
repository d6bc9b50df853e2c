package main

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite"

	"mailseal/contrib/bench/measure"
)

var numbersOfKeys = []int{1, 10, 100, 1_000, 10_000, 100_000}

// senders is from how many domains the mail comes, if there are as many.
const senders = 500

// holder is a way to keep keys.
type holder struct {
	name   string
	keeps  bool // with a start and a memory of its own
	config func(g *growth, n int) (string, error)
}

var holders = []holder{
	{"files", true, (*growth).inFiles},
	{"SQLite", true, (*growth).inSQLite},
	{"SQLite, nothing remembered", false, func(g *growth, n int) (string, error) {
		config, err := g.inSQLite(n)
		return strings.Replace(config, "cache_size = 10000", "cache_size = 1", 1), err
	}},
}

// keys measures start, memory and the cost of a message with many keys, in files and in a database.
func (g *growth) keys() ([]*chart, error) {
	start := &chart{
		file: "keys-start", title: "Time from start to the first connection by number of keys",
		what: "RSA-2048 keys; more than 1,000 files are loaded while it serves already, and " +
			"SQLite is asked for a key when it signs",
		x: count("keys"), y: took, each: unit{1e3, "µs for each key"},
	}
	memory := &chart{
		file: "keys-memory", title: "Resident memory by number of keys",
		what: fmt.Sprintf("RSA-2048 keys, after mail of %d domains; of keys in files 10,000 stay in memory", senders),
		x:    count("keys"), y: resident, each: unit{1e3, "KB for each key"},
	}
	cost := &chart{
		file: "keys", title: "Processor time by number of keys",
		what: fmt.Sprintf("RSA-2048 keys; signing 4 KB of %d domains in turn; of keys in files "+
			"all but 10,000 are read again", senders),
		x: count("keys"), y: processor, each: unit{1e3, "µs for each key"},
	}
	for _, h := range holders {
		three := [3]curve{{name: h.name}, {name: h.name}, {name: h.name}}
		for _, n := range numbersOfKeys {
			if err := g.hosting(h, n, &three); err != nil {
				return nil, err
			}
		}
		cost.curves = append(cost.curves, three[2])
		if h.keeps {
			start.curves, memory.curves = append(start.curves, three[0]),
				append(memory.curves, three[1])
		}
	}
	return []*chart{start, memory, cost}, nil
}

// hosting adds a point to each of three curves: time to start, memory, processor time of a message.
func (g *growth) hosting(h holder, n int, curves *[3]curve) error {
	config, err := h.config(g, n)
	if err != nil {
		return err
	}
	began, err := g.starting(config)
	if err != nil {
		return err
	}
	p, err := g.serve(config)
	if err != nil {
		return err
	}
	defer p.Stop()
	if err := p.Settle(); err != nil { // keys are loaded
		return err
	}
	mail, err := g.mailOf(n)
	if err != nil {
		return err
	}
	cost, err := g.median(p, append([]string{"--concurrency", "2", "--count", fmt.Sprint(senders)},
		mail...)...)
	if err != nil {
		return err
	}
	curves[0].add(n, milliseconds(began))
	curves[2].add(n, milliseconds(cost))
	return addResident(&curves[1], n, p)
}

// starting is how long the daemon takes until it accepts a connection, in the middle one of the
// rounds.
func (g *growth) starting(config string) (time.Duration, error) {
	var all []time.Duration
	for range g.rounds {
		p, took, err := g.Mailseal("starting", g.mailseal, config)
		if err != nil {
			return 0, err
		}
		p.Stop()
		all = append(all, took)
	}
	return medianOf(all), nil
}

// mailOf returns files of messages, each of another of the n domains as far as there are enough.
func (g *growth) mailOf(n int) (files []string, err error) {
	for i := range min(n, senders) {
		domain := fmt.Sprintf("d%d.example", i*n/min(n, senders))
		one, err := g.unsigned(domain, measure.LetterFrom(domain, small))
		if err != nil {
			return nil, err
		}
		files = append(files, one...)
	}
	return files, nil
}

func (g *growth) inFiles(n int) (string, error) {
	dir, err := g.KeyFiles(n)
	return measure.ManyDomains(dir, n), err
}

// inSQLite makes a database with n keys, if it is not there yet, and returns the configuration that
// uses it.
func (g *growth) inSQLite(n int) (config string, err error) {
	file := filepath.Join(g.Dir, fmt.Sprintf("keys-%d.db", n))
	if _, err := os.Stat(file); err != nil {
		if err := g.fill(file, n); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf(`[sources.hosting]
driver = "sqlite"
dsn = %q
key_query = "SELECT domain, selector, private_key FROM dkim_keys WHERE name = $1"
signing_query = "SELECT key_name FROM dkim_signing WHERE domain = $1 AND login IN ('', $2)"
cache_size = 10000
[[sign]]
source = "hosting"
`, file), nil
}

// fill makes the tables and puts the RSA key into them under n names.
func (g *growth) fill(file string, n int) (err error) {
	schema, err := os.ReadFile(g.schema)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(g.RSA)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.Exec(string(schema)); err != nil {
		return err
	}
	const number = "WITH RECURSIVE d(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM d WHERE i + 1 < $1) "
	if _, err := db.Exec(number+"INSERT INTO dkim_keys SELECT 'mail._domainkey.d' || i || "+
		"'.example', 'd' || i || '.example', 'mail', $2 FROM d", n, string(key)); err != nil {
		return err
	}
	_, err = db.Exec(number+"INSERT INTO dkim_signing SELECT 'd' || i || '.example', '', "+
		"'mail._domainkey.d' || i || '.example' FROM d", n)
	return err
}
