package incoming

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/intake"
)

// aggregateJSON is an aggregate report, on one line.
type aggregateJSON struct {
	Kind       string              `json:"kind"`
	File       string              `json:"file"`
	Reporter   string              `json:"reporter"`
	Email      string              `json:"email"`
	ReportID   string              `json:"report_id"`
	Domain     string              `json:"domain"`
	Begin      string              `json:"begin,omitempty"`
	End        string              `json:"end,omitempty"`
	Version    string              `json:"version,omitempty"`
	Namespace  string              `json:"namespace,omitempty"`
	Generator  string              `json:"generator,omitempty"`
	Policy     policyJSON          `json:"policy"`
	Messages   int64               `json:"messages"`
	Pass       int64               `json:"pass"`
	Duplicate  bool                `json:"duplicate,omitempty"`
	Cut        string              `json:"cut,omitempty"`
	Errors     []string            `json:"errors,omitempty"` // of the reporter
	Notes      []report.Note       `json:"notes,omitempty"`
	Containers []string            `json:"container_notes,omitempty"`
	Refused    []report.RefusedRow `json:"refused,omitempty"`
	Rows       []rowJSON           `json:"rows"`
}

type policyJSON struct {
	P         string `json:"p,omitempty"`
	SP        string `json:"sp,omitempty"`
	NP        string `json:"np,omitempty"`
	ADKIM     string `json:"adkim,omitempty"`
	ASPF      string `json:"aspf,omitempty"`
	FO        string `json:"fo,omitempty"`
	Pct       string `json:"pct,omitempty"`
	Testing   string `json:"testing,omitempty"`
	Discovery string `json:"discovery_method,omitempty"`
}

type rowJSON struct {
	Line         int                      `json:"line"`
	Source       string                   `json:"source"`
	Messages     int64                    `json:"messages"`
	Pass         bool                     `json:"pass"`
	DKIM         string                   `json:"dkim"`
	SPF          string                   `json:"spf"`
	Derived      bool                     `json:"derived,omitempty"`
	Disposition  string                   `json:"disposition"`
	Reasons      []report.Override        `json:"reasons,omitempty"`
	HeaderFrom   string                   `json:"header_from"`
	EnvelopeFrom string                   `json:"envelope_from,omitempty"`
	EnvelopeTo   string                   `json:"envelope_to,omitempty"`
	Signatures   []report.SignatureResult `json:"dkim_results,omitempty"`
	SPFResults   []report.SPFResult       `json:"spf_results,omitempty"`
}

type tlsJSON struct {
	Kind string `json:"kind"`
	File string `json:"file"`
	*report.TLSReport
}

type failureJSON struct {
	Kind string `json:"kind"`
	File string `json:"file"`
	*report.Failure
}

// wrongJSON is a file that is not a report, or one that cannot be read.
type wrongJSON struct {
	Kind  string `json:"kind"`
	File  string `json:"file"`
	Error string `json:"error,omitempty"`
}

func (r *Read) print(v any) error {
	e := json.NewEncoder(r.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func newAggregateJSON(p *intake.Part, f *intake.Report, rows []*report.Row,
	isDuplicate bool) aggregateJSON {
	m, q := f.Metadata, f.Policy
	out := aggregateJSON{
		Kind: "aggregate", File: p.Name(), Reporter: m.Org, Email: m.Email,
		ReportID: m.ReportID, Domain: q.Domain,
		Begin: stamp(m.Begin), End: stamp(m.End), Version: f.Version, Namespace: f.Namespace,
		Generator: m.Generator,
		Policy:    policyJSON{q.P, q.SP, q.NP, q.ADKIM, q.ASPF, q.FO, q.Pct, q.Testing, q.Discovery},
		Messages:  f.Messages, Duplicate: isDuplicate, Cut: f.Cut, Errors: m.Errors, Notes: f.Notes,
		Containers: p.Warnings, Refused: f.Refused, Rows: []rowJSON{},
	}
	for _, row := range rows {
		if row.Pass() {
			out.Pass += row.Count
		}
		out.Rows = append(out.Rows, rowJSON{
			Line: row.Line, Source: row.Source, Messages: row.Count, Pass: row.Pass(),
			DKIM: row.DKIM, SPF: row.SPF,
			Derived: row.Derived, Disposition: row.Disposition, Reasons: row.Reasons,
			HeaderFrom:   row.HeaderFrom,
			EnvelopeFrom: row.EnvelopeFrom, EnvelopeTo: row.EnvelopeTo, Signatures: row.Signatures,
			SPFResults: row.SPFResults,
		})
	}
	return out
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// trimName removes the name of the part from an error, where the name is printed beside it.
func trimName(err error, p *intake.Part) error {
	if text, ok := strings.CutPrefix(err.Error(), p.Name()+": "); ok {
		if errors.Is(err, report.ErrHostile) {
			return fmt.Errorf("%w%s", report.ErrHostile,
				strings.TrimPrefix(text, report.ErrHostile.Error()))
		}
		return errors.New(text)
	}
	return err
}
