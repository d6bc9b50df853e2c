// Package incoming implements the commands about received reports: "mailseal reports read",
// "import", "list" and their like.
package incoming

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/keys"
	"mailseal/milter/report"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/intake"
	"mailseal/milter/report/tally"
)

// Read is "mailseal reports read": files go in, a screen comes out. It needs no configuration and
// no store, and asks no DNS.
type Read struct {
	JSON, CSV, Raw bool
	Width          int // of paragraphs, in columns
	Screen         int // width of the terminal, in columns; 0 for a file or pipe

	out   *bufio.Writer
	tally *tally.Tally
	tls   []*report.TLSReport
	fails []*report.Failure
	seen  map[string]bool // digests and keys of reports that were counted
	again int             // reports that were found again

	variants int // reports like one that was counted, with other content
	notes    []fileNotes
	wrong    []string // files that could not be read, or not whole
	unread   bool     // a file could not be opened
	others   []string // mails and files that contain no report
	csv      csvRows
}

// fileNotes are the notes of a report.
type fileNotes struct {
	file  string
	notes []string
}

// Run reads the files, and prints the reports in them. The error reports that some of them could
// not be read, or contain no report.
func (r *Read) Run(names []string, stdin io.Reader, stdout, progress io.Writer) error {
	r.out, r.tally, r.seen = bufio.NewWriterSize(stdout, 64<<10), tally.New(), map[string]bool{}
	if r.CSV {
		r.csv.begin(r.out)
	}
	steps := newProgress(progress, time.Now)
	err := intake.Each(names, stdin, func(f intake.File) error {
		steps.step(r.tally.Reports)
		return r.file(f)
	})
	steps.end()
	if err != nil {
		return err
	}
	if !r.JSON && !r.CSV && !r.Raw {
		r.screen()
	}
	if err := r.out.Flush(); err != nil {
		return err
	}
	return r.verdict()
}

// verdict makes the answer of what could not be read.
func (r *Read) verdict() error {
	found := r.tally.Reports + len(r.tls) + len(r.fails)
	switch {
	case len(r.wrong) > 0 && r.unread:
		return answer.NewUnknown(errors.New(listed(append(r.wrong, r.withoutReport(found)...))))
	case len(r.wrong) > 0:
		return answer.NewBad(errors.New(listed(append(r.wrong, r.withoutReport(found)...))))
	case found == 0 && len(r.others) > 0:
		return answer.NewBad(errors.New(listed(r.withoutReport(found))))
	case r.CSV && r.tally.Reports == 0 && found > 0:
		return answer.NewBad(errors.New(
			"it contains only TLS or failure reports, which --csv cannot print; use --json, or " +
				"leave --csv out"))
	case found == 0:
		return answer.NewBad(errors.New("there is no report in it"))
	}
	return nil
}

// withoutReport has a line for each file without a report, if no report was found anywhere: other
// mail among reports is not an error.
func (r *Read) withoutReport(found int) []string {
	if found > 0 {
		return nil
	}
	none := make([]string, len(r.others))
	for i, name := range r.others {
		none[i] = name + ": there is no report in it"
	}
	return none
}

// listed joins errors, one on a line, the first 20 of them.
func listed(errs []string) string {
	out := errs[0]
	for i, e := range errs[1:] {
		if i == 19 {
			return out + fmt.Sprintf("\nmailseal: and %d more", len(errs)-20)
		}
		out += "\nmailseal: " + e
	}
	return out
}

// fileError names a file once: errors of the system name it, too.
func fileError(f intake.File) string {
	if path, ok := errors.AsType[*fs.PathError](f.Err); ok {
		return f.Name + ": " + path.Err.Error()
	}
	return f.Name + ": " + f.Err.Error()
}

func (r *Read) file(f intake.File) error {
	if f.Err != nil {
		isRead := errors.Is(f.Err, intake.ErrTooLarge) || errors.Is(f.Err, report.ErrHostile)
		r.unread = r.unread || !isRead
		r.wrong = append(r.wrong, fileError(f))
		return nil
	}
	for _, p := range intake.Look(f.Name, f.Data) {
		for ; p != nil; p = p.Next() {
			if err := r.part(p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Read) part(p *intake.Part) error {
	switch {
	case p.Err != nil:
		return r.fault(p, p.Err)
	case p.Kind == intake.Aggregate:
		return r.aggregate(p)
	case p.Kind == intake.TLS:
		return r.tlsReport(p)
	case p.Kind == intake.Failure:
		r.fails = append(r.fails, p.Failure)
		if r.JSON {
			return r.print(failureJSON{"failure", p.Name(), p.Failure})
		}
	case p.Kind == intake.Null:
		r.tally.Reports++
		if r.JSON {
			return r.print(wrongJSON{Kind: "null", File: p.Name()})
		}
		r.notes = append(r.notes, fileNotes{p.Name(), []string{"empty on purpose: the reporter " +
			"saw no mail"}})
	default:
		r.others = append(r.others, p.Name())
		if r.JSON {
			return r.print(wrongJSON{Kind: string(p.Kind), File: p.Name()})
		}
	}
	return nil
}

// fault keeps an error for the end, so that one file does not keep the others from being read.
func (r *Read) fault(p *intake.Part, err error) error {
	kind := string(p.Kind)
	if errors.Is(err, report.ErrHostile) {
		kind = string(intake.Hostile)
	}
	r.wrong = append(r.wrong, keys.Plain(fmt.Sprintf("%s: %v", p.Name(), err)))
	if r.JSON {
		return r.print(wrongJSON{Kind: kind, File: p.Name(), Error: answer.Text(err)})
	}
	return nil
}

// aggregate reads one report. One that was read before is not counted again.
func (r *Read) aggregate(p *intake.Part) error {
	if r.Raw {
		return r.raw(p)
	}
	var head *intake.Report
	var rows []*report.Row
	isNew, again := false, r.again
	full, err := p.ReadAggregate(func(f *intake.Report) (bool, error) {
		head = f
		if isNew = r.isNew(f); !isNew {
			return r.JSON, nil
		}
		r.tally.Report(f.Feedback)
		return true, nil
	}, func(row *report.Row) error {
		if r.JSON {
			rows = append(rows, row)
		}
		if !isNew {
			return nil
		}
		if r.CSV {
			return r.csv.row(r.out, p.Name(), head.Feedback, row)
		}
		r.tally.Add(head.Feedback, row)
		return nil
	})
	if err != nil {
		return r.fault(p, trimName(err, p))
	}
	if r.again == again { // another one, if only a variant
		r.noted(p, full)
	}
	if r.JSON {
		return r.print(newAggregateJSON(p, full, rows, !isNew))
	}
	return nil
}

// isNew reports whether a report is to be counted: neither it nor another one with its id, domain
// and period was before.
func (r *Read) isNew(f *intake.Report) bool {
	key := f.Key("")
	switch {
	case r.seen[f.Digest]:
		r.again++
		return false
	case f.Metadata.ReportID != "" && r.seen[key]:
		r.variants++
		return false
	}
	r.seen[f.Digest], r.seen[key] = true, true
	return true
}

// noted keeps notes about deviations and losses.
func (r *Read) noted(p *intake.Part, f *intake.Report) {
	notes := append([]string{}, p.Warnings...)
	for _, n := range f.Notes {
		notes = append(notes, n.String())
	}
	if len(notes) > 0 {
		r.notes = append(r.notes, fileNotes{p.Name(), notes})
	}
	if f.Cut != "" {
		before := "the file ends before its first complete row"
		if f.Rows > 0 {
			before = advice.Plural(int64(f.Rows), "row before was", "rows before were") + " read"
		}
		r.wrong = append(r.wrong, fmt.Sprintf("%s: %s; %s", p.Name(), f.Cut, before))
	}
	for _, row := range f.Refused {
		r.wrong = append(r.wrong, fmt.Sprintf("%s: row %d in line %d: %s; the other rows were read",
			p.Name(), row.N, row.Line, row.Why))
	}
}

func (r *Read) raw(p *intake.Part) error {
	in, err := p.Open()
	if err != nil {
		return r.fault(p, err)
	}
	r.tally.Reports++
	if _, err := io.Copy(r.out, in); err != nil {
		return r.fault(p, err)
	}
	return r.out.WriteByte('\n')
}

func (r *Read) tlsReport(p *intake.Part) error {
	if r.Raw {
		return r.raw(p)
	}
	t, err := p.ReadTLS()
	if err != nil {
		return r.fault(p, err)
	}
	r.tls = append(r.tls, t)
	if t.Cut != "" {
		r.wrong = append(r.wrong, p.Name()+": "+t.Cut)
	}
	if r.JSON {
		return r.print(tlsJSON{"tls", p.Name(), t})
	}
	return nil
}
