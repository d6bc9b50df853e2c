package keysql

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ErrQuery means that a query can never succeed as written, or not with the existing
// tables.
var ErrQuery = errors.New("the query is wrong")

// query is one of the configuration's, ready for its driver.
type query struct {
	setting string // what the configuration calls it
	text    string
	params  []int // which parameters are handed over, in the driver's order, from 1
}

// newQuery finds the parameters of a query: $1, $2 and so on for all drivers, or "?" for those that
// know it.
func newQuery(setting, text string, d Driver, most int) (query, error) {
	q := query{setting: setting, text: text}
	var found, used []int // used: each once, in the order of their first places
	rewritten := eachParameter(text, d != Postgres, func(n int) string {
		found = append(found, n)
		if d == MySQL {
			return "?"
		}
		at := slices.Index(used, n)
		if at < 0 {
			at, used = len(used), append(used, n)
		}
		return "$" + strconv.Itoa(at+1)
	})
	top := 0
	for _, n := range found {
		top = max(top, n)
	}
	switch {
	case top == 0:
		return q, fmt.Errorf("%w: %s has no parameter; it needs $1", ErrQuery, setting)
	case top > most:
		return q, fmt.Errorf("%w: %s has a parameter $%d; there are %d", ErrQuery, setting, top,
			most)
	}
	if q.text = rewritten; d == MySQL { // which knows only "?"
		q.params = found
		return q, nil
	}
	q.params = used // PostgreSQL refuses a query that skips a number
	return q, nil
}

// uses reports whether the query has parameter n.
func (q query) uses(n int) bool {
	for _, p := range q.params {
		if p == n {
			return true
		}
	}
	return false
}

// args picks what the query is handed from all parameters there are.
func (q query) args(all ...string) []any {
	out := make([]any, len(q.params))
	for i, n := range q.params {
		out[i] = all[n-1]
	}
	return out
}

// eachParameter calls f with the number of each parameter outside of quotes and comments, and
// returns the text with what f returns in place of each.
func eachParameter(text string, isMarked bool, f func(int) string) string {
	var out strings.Builder
	next := 1
	for i := 0; i < len(text); {
		end := i + quoted(text[i:])
		if end > i {
			out.WriteString(text[i:end])
			i = end
			continue
		}
		n, size := numbered(text[i:], isMarked)
		switch {
		case size == 0:
			out.WriteByte(text[i])
			i++
			continue
		case n == 0:
			n = next
		}
		next = n + 1
		out.WriteString(f(n))
		i += size
	}
	return out.String()
}

// quoted returns the length of the quotation or comment that s begins with, 0 when it begins with
// none.
func quoted(s string) int {
	for _, q := range []struct{ open, end string }{{"'", "'"}, {`"`, `"`}, {"`", "`"}, {"--", "\n"},
		{"/*", "*/"}, {"$$", "$$"}} {
		if rest, ok := strings.CutPrefix(s, q.open); ok {
			if at := strings.Index(rest, q.end); at >= 0 {
				return len(q.open) + at + len(q.end)
			}
			return len(s)
		}
	}
	return 0
}

// numbered returns the number and length of the parameter that s begins with. A bare "?" has number
// 0; in PostgreSQL it is an operator.
func numbered(s string, isMarked bool) (n, size int) {
	if s[0] != '$' && (s[0] != '?' || !isMarked) {
		return 0, 0
	}
	size = 1
	for size < len(s) && size < 4 && s[size] >= '0' && s[size] <= '9' {
		n = n*10 + int(s[size]-'0')
		size++
	}
	if size == 1 && s[0] == '$' {
		return 0, 0
	}
	return n, size
}
