package incoming

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"

	"mailseal/milter/report"
)

// csvRows writes the rows of reports for a spreadsheet.
type csvRows struct{ out *csv.Writer }

var csvHead = []string{
	"file", "reporter", "report_id", "domain", "begin", "end", "source", "messages", "pass", "dkim",
	"spf", "disposition",
	"reasons", "header_from", "envelope_from", "dkim_results", "spf_results",
}

func (c *csvRows) begin(w io.Writer) {
	c.out = csv.NewWriter(w)
	c.out.Write(csvHead)
	c.out.Flush()
}

func (c *csvRows) row(w io.Writer, file string, f *report.Feedback, row *report.Row) error {
	var reasons, signatures, spf []string
	for _, o := range row.Reasons {
		reasons = append(reasons, strings.TrimSuffix(o.Type+": "+o.Comment, ": "))
	}
	for _, s := range row.Signatures {
		signatures = append(signatures, s.Selector+"@"+s.Domain+"="+s.Result)
	}
	for _, s := range row.SPFResults {
		spf = append(spf, s.Domain+"="+s.Result)
	}
	cells := []string{
		file, f.Metadata.Org, f.Metadata.ReportID, f.Policy.Domain, stamp(f.Metadata.Begin),
		stamp(f.Metadata.End), row.Source,
		strconv.FormatInt(row.Count, 10), yes(row.Pass()), row.DKIM, row.SPF, row.Disposition,
		strings.Join(reasons, "; "),
		row.HeaderFrom, row.EnvelopeFrom, strings.Join(signatures, " "), strings.Join(spf, " "),
	}
	return writeCSV(c.out, cells)
}

func yes(is bool) string {
	if is {
		return "pass"
	}
	return "fail"
}

// writeCSV writes one line. A cell that a spreadsheet would take for a formula gets an apostrophe
// before it: what is in a report was written by strangers.
func writeCSV(w *csv.Writer, cells []string) error {
	safe := make([]string, len(cells))
	for i, c := range cells {
		c = clean(c)
		if c != "" && strings.ContainsRune("=+-@\t\r", rune(c[0])) {
			c = "'" + c
		}
		safe[i] = c
	}
	if err := w.Write(safe); err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}
