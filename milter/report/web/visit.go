package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"mailseal/milter/report/advice"
)

// visit is one request by a user who signed in.
type visit struct {
	session
	q      url.Values
	now    time.Time
	filter Filter
	format string // "csv", "json", or "" for the page
	table  string
	r      *http.Request
	bad    error // wraps errDay: the query has a day that cannot be read
}

func (v visit) path(name string) string { return v.r.PathValue(name) }

func (v visit) id() int64 {
	n, err := strconv.ParseInt(v.path("id"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// offset is the first row of the page that is asked for.
func (v visit) offset(rows int) int {
	n, err := strconv.Atoi(v.q.Get("page"))
	if err != nil || n < 1 || n > 100_000 {
		return 0
	}
	return (n - 1) * rows
}

func (v visit) pageURL(n int) string {
	q := url.Values{}
	for key, values := range v.q {
		q[key] = values
	}
	q.Set("page", strconv.Itoa(n))
	return "?" + q.Encode()
}

// pager has an entry for the page before and the one after.
func (v visit) pager(rows int64, per int) []choice {
	n := v.offset(per)/per + 1
	var out []choice
	if n > 1 {
		out = append(out, choice{Text: "Before", URL: v.pageURL(n - 1)})
	}
	if int64(n*per) < rows {
		out = append(out, choice{Text: "More", URL: v.pageURL(n + 1)})
	}
	return out
}

func (v visit) morePager(shown, per int) []choice {
	more := int64(v.offset(per))
	if shown == per {
		more += int64(per) + 1
	}
	return v.pager(more, per)
}

// usual is the period of a page that names none.
func usual(today advice.Day) Filter { return Filter{From: today - usualDays, To: today - 1} }

// usualDays is its length.
const usualDays = 30

// visitOf reads the request; a date that cannot be read is in v.bad, and a bad number of days
// falls back on the last 30.
func (s *Server) visitOf(r *http.Request, who session) visit {
	v := visit{session: who, q: r.URL.Query(), now: s.now(), r: r}
	today := advice.DayOf(v.now)
	v.filter = usual(today)
	if n, err := strconv.Atoi(v.q.Get("days")); err == nil && n >= 1 && n <= 3660 {
		v.filter.From = today - advice.Day(n)
	}
	v.day("from", &v.filter.From)
	v.day("to", &v.filter.To)
	if v.filter.To-v.filter.From > 3660 {
		v.filter.From = v.filter.To - 3660
	}
	v.filter.From = min(v.filter.From, v.filter.To)
	// what is remembered must not hold the request
	v.filter.Receiver = strings.Clone(v.q.Get("receiver"))
	v.format = v.q.Get("format")
	for _, suffix := range []string{"csv", "json"} {
		if t, ok := strings.CutSuffix(r.PathValue("table"), "."+suffix); ok {
			v.table, v.format = t, suffix
		}
	}
	return v
}

// errDay reports an address that names a day that cannot be read. The usual period instead would
// give the figures of other days than were asked for.
var errDay = errors.New("write a day as YYYY-MM-DD, such as 2026-11-30")

// day reads the end of the period that a parameter names, if it does.
func (v *visit) day(name string, to *advice.Day) {
	text := v.q.Get(name)
	if text == "" {
		return
	}
	d, err := advice.ParseDay(text)
	if err != nil {
		v.bad = fmt.Errorf("%s=%.40s: %w", name, text, errDay)
		return
	}
	*to = d
}
