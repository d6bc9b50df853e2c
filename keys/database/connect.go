package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"

	"modernc.org/sqlite"

	"mailseal/keys/files"
)

// connector makes the connections of a pool. It reads what the settings name, such as certificates,
// passwords in a file and the file of SQLite itself, again for each one.
type connector struct {
	driver  driver.Driver
	connect func(context.Context) (driver.Conn, error)
}

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) { return c.connect(ctx) }

// Driver implements driver.Connector.
func (c connector) Driver() driver.Driver { return c.driver }

// newSQLite returns what opens the file that is at the path of a DSN now. A pipe or a device is not
// opened: that could hang, and SQLite knows no deadline.
func newSQLite(dsn, name string) connector {
	d := &sqlite.Driver{}
	return connector{d, func(context.Context) (driver.Conn, error) {
		if !isMemory(dsn) {
			if _, err := files.Look(sqlitePath(dsn)); errors.Is(err, files.ErrSpecial) {
				return nil, err
			}
		}
		return d.Open(name)
	}}
}

// isMemory reports whether a DSN is of a database without a file.
func isMemory(dsn string) bool {
	return dsn == ":memory:" || strings.HasPrefix(dsn, "file:") &&
		(strings.Contains(dsn, "mode=memory") || strings.HasPrefix(dsn, "file::memory:"))
}
