package web

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/netip"
	"strings"
	"time"

	"mailseal/milter/report/advice"
)

// Table is a table of a page. HTML, CSV and JSON are made of the same cells, so that they cannot
// differ.
type Table struct {
	Name    string // in the address of its CSV and JSON
	Caption template.HTML
	Columns []Column
	Rows    [][]Cell
	Foot    []Cell
	Empty   template.HTML // in place of a table without rows: why, and whether that is good
	Fit     bool
	Path    string // where it is available as CSV and JSON; set when the page is finished
	Query   string
	CSRF    string // for the forms in it; set when the page is rendered
}

// Export is the address of the table as CSV or JSON. Its parts are percent-encoded already.
func (t Table) Export(suffix string) template.URL {
	out := t.Path + "/" + t.Name + "." + suffix
	if t.Query != "" {
		out += "?" + t.Query
	}
	return template.URL(out) //nolint:gosec // see above
}

// Column is a column of a table.
type Column struct {
	Key   string // in CSV and JSON
	Title string
	Right bool
	Gap   bool
	Wrap  bool
	Forms bool // it has forms and links alone, and is in no CSV and JSON
}

// Cell is a cell of a table: the value for CSV and JSON, and what the page shows.
type Cell struct {
	Value any
	HTML  template.HTML
	Class string
	Head  bool
	Form  *rowForm
}

// rowForm is a form in a cell.
type rowForm struct {
	Action  string
	Buttons []rowButton
}

// rowButton is a button of such a form. About is what it is about, for those who do not see the
// row.
type rowButton struct{ Name, Value, Text, About string }

// text is a cell with a stranger's text.
func text(s string) Cell { return Cell{Value: s, HTML: name(s)} }

// addressCell is a cell with an address, or that reports give none.
func addressCell(ip netip.Addr) Cell {
	if !ip.IsValid() {
		return Cell{Value: "", HTML: plain(advice.NoName), Class: "mute"}
	}
	return Cell{Value: ip.String(), HTML: mono(ip.String())}
}

// words is a cell with a text of ours.
func words(s string) Cell { return Cell{Value: s, HTML: plain(s)} }

// sentenceCell is a cell with a sentence of ours that holds names of strangers.
func sentenceCell(s string) Cell { return Cell{Value: s, HTML: prose(s)} }

// number is a cell with a count of messages, which leads to the list that makes it up.
func number(n int64, href string) Cell {
	c := Cell{Value: n, HTML: plain(advice.Count(n))}
	switch {
	case n == 0:
		c.Class = "mute"
	case href != "":
		c.HTML = link(href, c.HTML)
	}
	return c
}

// rate is a cell with a rate in percent. Fewer than 20 messages have no colour.
func rate(part, whole int64) Cell {
	r := advice.Rate(part, whole)
	c := Cell{Value: r, HTML: plain(r)}
	if whole >= 20 {
		c.Class = rateClass(part, whole)
	}
	return c
}

func rateClass(part, whole int64) string {
	switch {
	case whole < 20 || part*100 >= whole*98:
		return ""
	case part*100 >= whole*95:
		return "iffy"
	}
	return "bad"
}

// day is a cell with a day.
func day(d, now advice.Day) Cell {
	if d == 0 {
		return Cell{Value: "", HTML: "–", Class: "mute"}
	}
	return Cell{Value: d.String(), HTML: dayHTML(d, now)}
}

func dayHTML(d, now advice.Day) template.HTML {
	return template.HTML(`<time datetime="` + d.String() + `">` + d.Short(now) +
		`</time>`) //nolint:gosec // our digits
}

// moment is a cell with a time.
func moment(t time.Time) Cell {
	if t.IsZero() {
		return Cell{Value: "", HTML: "–", Class: "mute"}
	}
	return Cell{Value: t.UTC().Format(time.RFC3339), HTML: timeHTML(t)}
}

func timeHTML(t time.Time) template.HTML {
	t = t.UTC()
	return template.HTML(`<time datetime="` + t.Format("2006-01-02T15:04Z") + `">` +
		t.Format("2 Jan 15:04") + `</time>`) //nolint:gosec // our digits
}

func (c Cell) head() Cell          { c.Head = true; return c }
func (c Cell) as(k string) Cell    { c.Class = strings.TrimSpace(c.Class + " " + k); return c }
func (c Cell) to(href string) Cell { c.HTML = link(href, c.HTML); return c }
func (c Cell) note(n template.HTML) Cell {
	if n != "" {
		c.HTML += ` <span class="s">` + n + `</span>`
	}
	return c
}

// guard keeps a spreadsheet from taking a stranger's text as a formula.
func guard(s string) string {
	s = visible(s)
	if s != "" && strings.ContainsRune("=+-@\t\r＝＋－＠",
		[]rune(strings.TrimLeft(s, " "+"\u00a0") + " ")[0]) {
		return "'" + s
	}
	return s
}

// writeCSV writes the table with a head of keys.
func (t *Table) writeCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	var head []string
	for _, c := range t.Columns {
		if !c.Forms {
			head = append(head, c.Key)
		}
	}
	if err := out.Write(head); err != nil {
		return err
	}
	for _, row := range t.Rows {
		line := make([]string, len(head))
		for i, c := range row[:len(head)] { // a column of forms is the last one
			switch v := c.Value.(type) {
			case nil:
			case string:
				line[i] = guard(v)
			case int64, int:
				line[i] = fmt.Sprint(v)
			case netip.Addr:
				line[i] = v.String()
			default:
				line[i] = guard(fmt.Sprint(v))
			}
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// writeJSON writes the table as an array of objects. Direction marks are written as \u202e.
func (t *Table) writeJSON(w io.Writer) error {
	rows := make([]map[string]any, 0, len(t.Rows))
	for _, row := range t.Rows {
		object := map[string]any{}
		for i, c := range row {
			if i < len(t.Columns) && t.Columns[i].Key != "" && !t.Columns[i].Forms {
				object[t.Columns[i].Key] = c.Value
			}
		}
		rows = append(rows, object)
	}
	text, err := json.MarshalIndent(map[string]any{"version": 1, "table": t.Name, "rows": rows}, "",
		" ")
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for _, r := range string(text) {
		switch {
		case r == '\n' || !isOrder(r):
			out.WriteRune(r)
		case r > 0xffff:
			hi, lo := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			fmt.Fprintf(&out, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	out.WriteByte('\n')
	_, err = w.Write(out.Bytes())
	return err
}
