package keysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"mailseal/keys"
	"mailseal/keys/database"
)

// Entry is a key for the tables of contrib/sql, with the text of its private key.
type Entry struct {
	Key  keys.Key
	Text []byte
}

// Import adds keys to the tables of contrib/sql, all of them or none, each with a row that
// makes it sign for its domain. It does not change the entry of a name that exists, and
// returns the names that were added. The DSN of the options must belong to a user that may
// write; their queries are not used.
func Import(ctx context.Context, o Options, entries []Entry) ([]string, error) {
	o.Timeout = defaultTimeout
	db, err := database.Open(o.connection(database.Write))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, database.Explain(o.Driver, o.DSN, database.Redact(err))
	}
	defer tx.Rollback() // of no effect after Commit
	var added []string
	for _, e := range entries {
		isNew, err := insert(ctx, tx, o.Driver, e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Key.Name,
				database.Explain(o.Driver, o.DSN, database.Redact(err)))
		}
		if isNew {
			added = append(added, e.Key.Name)
		}
	}
	return added, tx.Commit()
}

// insert adds one key, and reports whether it was missing.
func insert(ctx context.Context, tx *sql.Tx, d Driver, e Entry) (bool, error) {
	run := func(text string, args ...any) error {
		q, err := newQuery("import", text, d, len(args))
		if err == nil {
			_, err = tx.ExecContext(ctx, q.text, args...)
		}
		return err
	}
	q, err := newQuery("import", "SELECT name FROM dkim_keys WHERE name = $1", d, 1)
	if err != nil {
		return false, err
	}
	var name string
	err = tx.QueryRowContext(ctx, q.text, e.Key.Name).Scan(&name)
	if !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	err = run("INSERT INTO dkim_keys (name, domain, selector, private_key) VALUES ($1, $2, $3, $4)",
		e.Key.Name, e.Key.Domain, e.Key.Selector, string(e.Text))
	if err == nil {
		err = run("INSERT INTO dkim_signing (domain, key_name) VALUES ($1, $2)", e.Key.Domain,
			e.Key.Name)
	}
	return err == nil, err
}
