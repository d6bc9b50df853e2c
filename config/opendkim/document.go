package opendkim

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// document is a configuration of Mailseal's that is being written.
type document struct{ tables []*table }

// table is a table of it; header is as it is written, "" for the settings before the first.
type table struct {
	header  string
	comment []string // what is above it
	lines   []string
}

// order is that of the sample.
var order = []string{"", "[[listen]]", "[ours]", "[exempt]", "[keys", "[[sign]]", "[signing]",
	"[verify]",
	"[authentication_results]", "[policy", "[[policy", "[dns]", "[limits]", "[log]"}

func newDocument() *document { return &document{} }

// table returns the table with a header, and adds one if it does not exist.
func (d *document) table(header string) *table {
	for _, t := range d.tables {
		if t.header == header {
			return t
		}
	}
	return d.add(header)
}

// add returns a new table, one more of those with its header.
func (d *document) add(header string, comment ...string) *table {
	t := &table{header: header, comment: comment}
	d.tables = append(d.tables, t)
	return t
}

// set adds a setting, with what it comes from.
func (t *table) set(name string, value any, from string) {
	line := name + " = " + literal(value)
	if from != "" {
		line += "  # " + from
	}
	t.lines = append(t.lines, line)
}

func (d *document) text(o Options) string {
	slices.SortStableFunc(d.tables,
		func(a, b *table) int { return rank(a.header) - rank(b.header) })
	var b strings.Builder
	from := strings.TrimPrefix(strings.TrimSuffix(o.Conf+" and "+o.DMARC, " and "), " and ")
	b.WriteString("# Made by mailseal import-opendkim from " + comment(from))
	b.WriteString(".\n# mailseal.toml(5) explains each setting; mailseal check finds mistakes.\n")
	for _, t := range d.tables {
		if t.header == "" || len(t.lines) > 0 || strings.HasPrefix(t.header, "[[") {
			t.write(&b)
		}
	}
	return b.String()
}

func (t *table) write(b *strings.Builder) {
	b.WriteByte('\n')
	for _, c := range t.comment {
		b.WriteString(strings.TrimRight("# "+comment(c), " ") + "\n")
	}
	if t.header != "" {
		fmt.Fprintf(b, "%s\n", t.header)
	}
	for _, l := range t.lines {
		fmt.Fprintf(b, "%s\n", l)
	}
}

func rank(header string) int {
	for i, o := range order {
		if header == o || o != "" && !strings.HasSuffix(o, "]") && strings.HasPrefix(header, o) {
			return i
		}
	}
	return len(order)
}

// comment keeps control characters out, which TOML does not allow in one.
func comment(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return '?'
		}
		return r
	}, s)
}

// literal writes a value as TOML.
func literal(value any) string {
	switch v := value.(type) {
	case string:
		return quote(v)
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case time.Duration:
		return quote(duration(v))
	case []string:
		return quoteList(v)
	case []netip.Prefix:
		texts := make([]string, len(v))
		for i, p := range v {
			texts[i] = network(p)
		}
		return quoteList(texts)
	}
	panic(fmt.Sprintf("no literal for %T", value))
}

// duration writes whole units only: "10d", "90m", "45s".
func duration(d time.Duration) string {
	for _, u := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d > 0 && d%u.size == 0 {
			return fmt.Sprintf("%d%s", d/u.size, u.name)
		}
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

func network(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// quoteList breaks a long list into lines.
func quoteList(texts []string) string {
	const width = 100
	var b strings.Builder
	b.WriteByte('[')
	column, broken := 1, false
	for i, s := range texts {
		q := quote(s)
		if i > 0 {
			b.WriteString(",")
			if column+len(q) > width {
				b.WriteString("\n    ")
				column, broken = 4, true
			} else {
				b.WriteByte(' ')
			}
		}
		b.WriteString(q)
		column += len(q) + 2
	}
	if broken {
		b.WriteString(",\n")
	}
	b.WriteByte(']')
	return b.String()
}

// quote writes a basic string of TOML.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
