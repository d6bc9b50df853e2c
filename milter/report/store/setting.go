package store

import (
	"fmt"
	"net/url"
	"strings"

	"mailseal/keys/database"
)

// ParseSetting reads the setting reports.store: "sqlite:" and a path, or the DSN of PostgreSQL.
func ParseSetting(s string) (Options, error) {
	if path, ok := strings.CutPrefix(s, "sqlite:"); ok && path != "" {
		return Options{Driver: database.SQLite, DSN: path}, nil
	}
	if strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://") ||
		strings.Contains(s, "dbname=") {
		return Options{Driver: database.Postgres, DSN: s}, nil
	}
	if s, ok := strings.CutPrefix(s, "postgres:"); ok {
		return Options{Driver: database.Postgres, DSN: s}, nil
	}
	return Options{}, fmt.Errorf(`%q begins with neither "sqlite:" nor "postgres://": write `+
		`"sqlite:/path/reports.db" or "postgres://USER@HOST/DATABASE"`, s)
}

// HasPassword reports whether the setting has a password of PostgreSQL in it.
func HasPassword(o Options) bool {
	if u, err := url.Parse(o.DSN); err == nil && u.User != nil {
		_, has := u.User.Password()
		return has
	}
	return o.Driver == database.Postgres && strings.Contains(o.DSN, "password=")
}
