package keysql

import (
	"context"
	"database/sql"
	"fmt"
)

// maxPage bounds how many names one answer to list_query may have: all of a large table do not
// belong into memory.
const maxPage = 10_000

// CanList reports whether there is a list_query.
func (s *Source) CanList() bool { return s.list.text != "" }

// List returns the names of keys that follow one, which is "" at first, in the order of list_query;
// none at the end. Its error wraps ErrQuery when the query cannot be walked by.
func (s *Source) List(ctx context.Context, after string) ([]string, error) {
	var out []string
	err := s.each(ctx, s.list, 1, s.list.args(after), func(rows *sql.Rows) error {
		var name sql.NullString
		if err := rows.Scan(&name); err != nil {
			return s.fail(s.list, err)
		}
		switch {
		case name.String == after:
			return s.fail(s.list, fmt.Errorf(`%w: it does not go on behind $1; it is like `+
				`"SELECT name FROM dkim_keys WHERE name > $1 ORDER BY name LIMIT 500"`, ErrQuery))
		case len(out) == maxPage:
			return s.fail(s.list, fmt.Errorf("%w: more than %d rows in one answer; end the query "+
				"with LIMIT 500", ErrQuery, maxPage))
		}
		out = append(out, name.String)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
