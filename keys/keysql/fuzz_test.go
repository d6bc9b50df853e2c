package keysql

import (
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"mailseal/keys"
)

// table is a database of one answer, as a driver hands it over: every query gets all its rows,
// whatever it asks.
type table struct {
	columns int
	rows    [][]driver.Value
	cut     bool // the connection breaks where the rows end
}

var (
	_ driver.Connector      = (*table)(nil)
	_ driver.QueryerContext = (*table)(nil)
)

func (t *table) Connect(context.Context) (driver.Conn, error) { return t, nil }
func (t *table) Driver() driver.Driver                        { return nil }
func (t *table) Prepare(string) (driver.Stmt, error)          { return nil, driver.ErrSkip }
func (t *table) Begin() (driver.Tx, error)                    { return nil, driver.ErrSkip }
func (t *table) Close() error                                 { return nil }

func (t *table) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return &answer{table: t}, nil
}

// answer is the rows of a table on their way.
type answer struct {
	*table
	next int
}

func (a *answer) Columns() []string { return make([]string, a.columns) }

func (a *answer) Next(row []driver.Value) error {
	switch {
	case a.next < len(a.rows):
		copy(row, a.rows[a.next])
		a.next++
		return nil
	case a.cut:
		return io.ErrUnexpectedEOF
	}
	return io.EOF
}

// tableOf makes a table of fuzzed bytes: the number of columns, whether the connection breaks, then
// values of every type that a driver may return, a byte for the type and one for the length of
// texts.
func tableOf(data []byte) *table {
	t := &table{columns: 3}
	if len(data) > 0 {
		t.columns, t.cut = int(data[0]&7), data[0]&8 != 0
		data = data[1:]
	}
	for len(data) > 0 && t.columns > 0 {
		row := make([]driver.Value, t.columns)
		for i := range row {
			row[i], data = valueOf(data)
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func valueOf(data []byte) (driver.Value, []byte) {
	if len(data) < 2 {
		return nil, nil
	}
	kind, n := data[0]%8, min(int(data[1]), len(data)-2)
	text, rest := data[2:2+n], data[2+n:]
	number := binary.LittleEndian.Uint64(append(append([]byte{}, text...), make([]byte, 8)...))
	switch kind {
	case 0:
		return nil, rest
	case 1:
		return int64(number), rest
	case 2:
		return math.Float64frombits(number), rest
	case 3:
		return number&1 != 0, rest
	case 4:
		return time.Unix(int64(number>>32), 0), rest
	case 5:
		return append([]byte{}, text...), rest
	}
	return string(text), rest
}

// bytesOf is the inverse of valueOf for texts.
func bytesOf(texts ...string) (out []byte) {
	for _, s := range texts {
		out = append(out, 6, byte(len(s)))
		out = append(out, s...)
	}
	return out
}

// FuzzRows holds that whatever rows a database hands over, there is either a key that can sign, or
// an error. An answer that is empty, cut short or malformed is never one that no one signs.
func FuzzRows(f *testing.F) {
	f.Add(append([]byte{3}, bytesOf("one.example", "s", seed(1))...))
	f.Add(append([]byte{1}, bytesOf("a", "b", "a")...))
	f.Add([]byte{1 | 8})
	f.Add([]byte{3})
	f.Fuzz(func(t *testing.T, data []byte) {
		from := tableOf(data)
		s := source(t, Options{Driver: SQLite, DSN: ":memory:", SigningQuery: signingQuery,
			ListQuery: "SELECT name FROM dkim_keys WHERE name > $1"})
		s.db.Close()
		s.db = sql.OpenDB(from)
		wantKey(t, s, from)
		wantNames(t, s, from)
		names, err := s.List(t.Context(), "")
		if err == nil && len(names) != len(from.rows) {
			t.Errorf("%d names and no error of %+v", len(names), from)
		}
	})
}

func wantKey(t *testing.T, s *Source, from *table) {
	t.Helper()
	k, err := s.Key(t.Context(), "a")
	switch {
	case errors.Is(err, keys.ErrNotFound) && (len(from.rows) > 0 || from.cut || from.columns != 3):
		t.Errorf("no such key, of %+v", from)
	case err != nil:
		wantNoSecret(t, err, from)
	case len(from.rows) != 1 || from.cut || from.columns != 3:
		t.Errorf("a key and no error, of %+v", from)
	default:
		switch k.Signer.Public().(type) {
		case ed25519.PublicKey, *rsa.PublicKey:
		default:
			t.Errorf("a %T", k.Signer)
		}
	}
}

func wantNames(t *testing.T, s *Source, from *table) {
	t.Helper()
	found, err := s.Choose(t.Context(), keys.Query{Domain: "one.example"})
	if err != nil {
		return
	}
	if from.cut || from.columns != 1 || (len(found) == 0) != (len(from.rows) == 0) ||
		len(found) > keys.MaxChosen {
		t.Errorf("%d keys and no error, of %+v", len(found), from)
	}
	seen := map[string]bool{}
	for _, k := range found {
		if k.Name == "" || seen[k.Name] {
			t.Errorf("%q is not a name, or there twice, of %+v", k.Name, from)
		}
		seen[k.Name] = true
	}
}

// wantNoSecret wants what may be a part of a private key to be kept out of an error.
func wantNoSecret(t *testing.T, err error, from *table) {
	t.Helper()
	for _, row := range from.rows {
		if len(row) != 3 {
			continue
		}
		secret, isText := row[2].(string)
		if raw, isBytes := row[2].([]byte); isBytes {
			secret, isText = string(raw), true
		}
		if isText && len(secret) >= 32 && strings.Contains(err.Error(), secret) {
			t.Errorf("%q has the private key", err)
		}
	}
}
