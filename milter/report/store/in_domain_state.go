package store

import (
	"context"
	"database/sql"
	"errors"
)

// DomainState is the state of a domain as computed from its reports. The format of Data is
// defined by its writer.
type DomainState struct {
	Domain string // "" says something of all
	Serial int64  // of the row; later rows have larger ones
	Data   string
}

// DomainStates returns those that were written after the one with a serial, in the order in which
// they were written; 0 is before all.
func (s *Store) DomainStates(ctx context.Context, after int64) (out []DomainState, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		out = nil
		rows, err := tx.QueryContext(ctx, "SELECT domain, serial, data FROM in_standing WHERE "+
			"serial > $1 ORDER BY serial", after)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var x DomainState
			if err := rows.Scan(&x.Domain, &x.Serial, &x.Data); err != nil {
				return err
			}
			out = append(out, x)
		}
		return rows.Err()
	})
	return out, err
}

// DomainState returns the DomainState of one domain. Its Serial is 0 if none is stored.
func (s *Store) DomainState(ctx context.Context, domain string) (out DomainState, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		out = DomainState{Domain: domain}
		err := tx.QueryRowContext(ctx, "SELECT data, serial FROM in_standing WHERE domain = $1",
			domain).
			Scan(&out.Data, &out.Serial)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return out, err
}

// KeepDomainState replaces the state of a domain.
func (s *Store) KeepDomainState(ctx context.Context, x DomainState) error {
	return s.Update(ctx, func(tx *Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO in_standing (domain, serial, data)
			SELECT CAST($1 AS TEXT), COALESCE(MAX(serial), 0) + 1, CAST($2 AS TEXT) FROM in_standing
			WHERE 1 = 1 ON CONFLICT (domain) DO UPDATE SET serial = excluded.serial, data = excluded.data`,
			x.Domain, text(x.Data))
		return err
	})
}

// DropDomainStates removes the states of domains that are no longer in the store.
func (s *Store) DropDomainStates(ctx context.Context, domains []string) error {
	if len(domains) == 0 {
		return nil
	}
	return s.Update(ctx, func(tx *Tx) error {
		// The row of all stays, and takes the largest serial: a reader who has seen a row that goes
		// is not given its serial again, for another one.
		const stay = `INSERT INTO in_standing (domain, serial, data)
			SELECT '', MAX(serial) + 1, '' FROM in_standing HAVING MAX(serial) > 0
			ON CONFLICT (domain) DO UPDATE SET serial = excluded.serial`
		if _, err := tx.ExecContext(ctx, stay); err != nil {
			return err
		}
		for _, d := range domains {
			if _, err := tx.ExecContext(ctx, "DELETE FROM in_standing WHERE domain = $1",
				d); err != nil {
				return err
			}
		}
		return nil
	})
}
