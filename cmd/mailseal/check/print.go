package check

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/remedy"
)

// Printer writes findings for people, as they come.
type Printer struct {
	Out io.Writer
}

// Report writes one finding, and below it what to do.
func (p Printer) Report(f Finding) {
	label := string(f.Severity)
	if f.Severity == Unknown {
		label = "not found out" // "unknown: FILE" reads as "unknown file"
	}
	fmt.Fprintf(p.Out, "%s: %s\n", label, f)
	for line := range strings.Lines(f.Fix.String()) {
		fmt.Fprintf(p.Out, "  %s\n", strings.TrimSuffix(line, "\n"))
	}
	if f.Mended {
		fmt.Fprintln(p.Out, "  the lines printed for another finding also correct this one")
	}
}

// Finish sums up, a line for each area, and writes the verdict last: the one line that agrees with
// the exit code.
func (p Printer) Finish(r *Result) {
	if r.AskedDNS {
		p.dns(r)
	}
	for _, s := range r.Sources {
		fmt.Fprintf(p.Out, "source %s: %s\n", s.Name, s.Says)
	}
	if r.Judged != "" {
		fmt.Fprintf(p.Out, "%s: files were tested %s\n", r.File, r.Judged)
	}
	if r.Count(Local, Error) == 0 && len(r.IDs) > 0 {
		fmt.Fprintf(p.Out, "%s: results are written under %s\n", r.File, strings.Join(r.IDs, ", "))
	}
	for _, s := range r.MTAs {
		p.server(s)
	}
	fmt.Fprintf(p.Out, "%s: %s\n", r.File, r.verdictText())
}

// areaNames are the areas as the verdict names them.
var areaNames = []struct {
	area Area
	name string
}{{Local, "this host"}, {DNS, "DNS"}, {MTA, "mail servers"}}

// verdictText writes the verdict: "good" only where the exit code is 0, and otherwise the numbers
// of what makes it another one.
func (r *Result) verdictText() string {
	warnings := r.total(Warning)
	if r.Verdict() == Good {
		good := "good"
		if r.SignsNothing {
			good = "good, but signs nothing"
		}
		return fmt.Sprintf("%s; keys: %d, rules: %d, sockets: %d, warnings: %d", good, len(r.Keys),
			r.Rules, r.Sockets, warnings)
	}
	out := fmt.Sprintf("errors: %d", r.total(Error))
	var where []string
	for _, a := range areaNames {
		if n := r.Count(a.area, Error); n > 0 {
			where = append(where, fmt.Sprintf("%s: %d", a.name, n))
		}
	}
	if r.total(Error) > r.Count(Local, Error) {
		out += " (" + strings.Join(where, ", ") + ")"
	}
	out += fmt.Sprintf(", warnings: %d", warnings)
	if n := r.notFoundOut(); n > 0 {
		out += fmt.Sprintf(", not found out: %d", n)
	}
	if r.Verdict() == Undecided && slices.ContainsFunc(r.MTAs, Server.isPast) {
		out += ", a mail server does not use Mailseal"
	}
	return out
}

// total counts the findings of a severity in all areas.
func (r *Result) total(s Severity) int {
	return r.Count(Local, s) + r.Count(DNS, s) + r.Count(MTA, s)
}

// notFoundOut counts what keeps the verdict from being good though it is not an error.
func (r *Result) notFoundOut() int {
	return r.Count(Local, Unknown) + r.Count(DNS, Unknown)
}

func (p Printer) dns(r *Result) {
	for _, w := range r.Walks {
		fmt.Fprintf(p.Out, "DNS: %s\n", w)
	}
	good := 0
	for _, v := range r.Records {
		if isGood(v) {
			good++
		}
	}
	if len(r.Records) > 0 || len(r.Walks) == 0 {
		fmt.Fprintf(p.Out, "DNS: %d of %d records good\n", good, len(r.Records))
	}
}

func (p Printer) server(s Server) {
	through := fmt.Sprintf("services through Mailseal: %d of %d", s.Filtered, s.Services)
	switch {
	case s.Errors > 0:
		fmt.Fprintf(p.Out, "%s in %s: errors: %d, warnings: %d, %s\n", s.Server, s.Dir, s.Errors,
			s.Warnings, through)
	case s.isPast():
		fmt.Fprintf(p.Out, "%s in %s: not good; %s, warnings: %d\n", s.Server, s.Dir, through,
			s.Warnings)
	case s.Services > 0:
		fmt.Fprintf(p.Out, "%s in %s: good; %s, warnings: %d\n", s.Server, s.Dir, through,
			s.Warnings)
	}
}

// JSON keeps findings, and writes them with the result as one object.
type JSON struct {
	Out      io.Writer
	findings []findingJSON
}

// findingJSON is a finding as programs read it.
type findingJSON struct {
	Code     Code        `json:"code"`
	Severity Severity    `json:"severity"`
	Area     Area        `json:"area"`
	File     string      `json:"file,omitempty"`
	Line     int         `json:"line,omitempty"`
	Setting  string      `json:"setting,omitempty"`
	Text     string      `json:"text"`
	Fix      string      `json:"fix,omitempty"`
	FixKind  remedy.Kind `json:"fix_kind,omitempty"`
	Mended   bool        `json:"mended,omitempty"` // the remedies of other findings correct it, too
}

// problemJSON is a finding about the configuration in the form that it had before there were codes.
type problemJSON struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
	Path string `json:"path,omitempty"`
	Text string `json:"text"`
}

// resultJSON is the whole answer.
type resultJSON struct {
	File     string        `json:"file"`
	Findings []findingJSON `json:"findings"`
	// of the findings those that are errors of the area local
	Errors   []problemJSON `json:"errors"`
	Warnings []problemJSON `json:"warnings"` // the same of warnings
	Keys     []Key         `json:"keys"`
	Sources  []Source      `json:"sources,omitempty"`
	Rules    int           `json:"rules"`
	Sockets  int           `json:"sockets"`
	IDs      []string      `json:"authserv_ids,omitempty"`
	Judged   string        `json:"files_judged"`
	DNS      *dnsJSON      `json:"dns,omitempty"` // nil when it was not asked
	MTAs     []Server      `json:"mtas,omitempty"`
}

// dnsJSON is what the DNS shows.
type dnsJSON struct {
	Records []View  `json:"records"`
	Sources []*Walk `json:"sources,omitempty"`
}

// Report keeps one finding.
func (j *JSON) Report(f Finding) {
	j.findings = append(j.findings, findingJSON{
		Code: f.Code, Severity: f.Severity, Area: f.Code.area(), File: f.File, Line: f.Line, Setting: f.Setting,
		Text: f.Text, Fix: f.Fix.String(), FixKind: f.Fix.Kind, Mended: f.Mended,
	})
}

// Finish writes the object. Its error is the writer's.
func (j *JSON) Finish(r *Result) error {
	out := resultJSON{
		File: r.File, Findings: orEmpty(j.findings), Errors: j.problems(Error), Warnings: j.problems(Warning),
		Keys: orEmpty(r.Keys), Sources: r.Sources, Rules: r.Rules, Sockets: r.Sockets, IDs: r.IDs,
		Judged: r.Judged, MTAs: r.MTAs,
	}
	if r.AskedDNS {
		out.DNS = &dnsJSON{orEmpty(r.Records), r.Walks}
	}
	return json.NewEncoder(j.Out).Encode(out)
}

func (j *JSON) problems(s Severity) []problemJSON {
	out := []problemJSON{}
	for _, f := range j.findings {
		if f.Area == Local && f.Severity == s {
			out = append(out, problemJSON{f.File, f.Line, f.Setting, f.Text})
		}
	}
	return out
}

// orEmpty keeps a list without entries from being written as null.
func orEmpty[T any](list []T) []T { return append([]T{}, list...) }
