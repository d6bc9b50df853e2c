package domains

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/domain"
)

// Version is that of the JSON form. It grows when the meaning of a field changes, not when one is
// added.
const Version = 1

// shownName is a domain as the DNS has it, and as people write it where that differs.
func shownName(d domain.Name) string {
	if text := d.Unicode(); text != d.String() {
		return d.String() + " (" + text + ")"
	}
	return d.String()
}

// verdict is the first line: how many findings there are, and the worst of them.
func (r Result) verdict() string {
	if len(r.Findings) == 0 {
		return "good"
	}
	var parts []string
	for _, s := range []struct {
		severity check.Severity
		one, all string
	}{
		{check.Error, "error", "errors"}, {check.Unknown, "lookup failed", "lookups failed"},
		{check.Warning, "warning", "warnings"}, {check.Note, "note", "notes"},
	} {
		switch n := r.Count(s.severity); n {
		case 0:
		case 1:
			parts = append(parts, "1 "+s.one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, s.all))
		}
	}
	out := strings.Join(parts, ", ")
	if r.Worst() == check.Note {
		out = "good, " + out
	}
	return out + "; first: " + visible(r.Findings[0].Text)
}

// visible replaces each byte that would move a terminal's cursor, or that is not ASCII.
func visible(s string) string { return Visible(s) }

// Visible is publish.Visible.
func Visible(s string) string { return publish.Visible(s) }

// findingJSON is a finding in the form of --json.
type findingJSON struct {
	Code     check.Code       `json:"code"`
	Severity check.Severity   `json:"severity"`
	Name     string           `json:"name"`
	Text     string           `json:"text"`
	Why      string           `json:"why"`
	Seen     string           `json:"record,omitempty"`
	Start    int              `json:"start,omitempty"`
	End      int              `json:"end,omitempty"`
	Publish  []publish.Record `json:"publish,omitempty"`
}

func (f Finding) json() findingJSON {
	return findingJSON{f.Code, f.Severity, f.Setting, f.Text, f.Why, f.Seen, f.Start, f.End,
		f.Publish}
}

// MarshalJSON writes the versioned form.
func (r Result) MarshalJSON() ([]byte, error) {
	type spfJSON struct {
		Lookups   int    `json:"lookups"`
		Voids     int    `json:"void_lookups"`
		Voids6    int    `json:"void_lookups6"`
		Addresses string `json:"addresses"`
		Networks6 int    `json:"networks6"`
		Tree      any    `json:"tree"`
	}
	out := struct {
		Version  int           `json:"version"`
		Domain   string        `json:"domain"`
		Verdict  string        `json:"verdict"`
		Findings []findingJSON `json:"findings"`
		SPF      *spfJSON      `json:"spf,omitempty"`
		Policy   string        `json:"policy,omitempty"`
		Records  []Seen        `json:"records"`
		Queries  int           `json:"queries"`
	}{
		Version: Version, Domain: r.Domain.String(), Verdict: r.Word(), Findings: []findingJSON{}, Policy: r.Policy,
		Records: r.Records, Queries: r.Queries,
	}
	for _, f := range r.Findings {
		out.Findings = append(out.Findings, f.json())
	}
	if v := r.SPF; v != nil {
		out.SPF = &spfJSON{v.Lookups, v.Voids, v.Voids6, v.Addresses.String(), v.Networks6, v.Root}
	}
	return json.Marshal(out)
}

// Word is the verdict as a word: "good", "warnings", "unknown" or "bad".
func (r Result) Word() string {
	switch {
	case r.Count(check.Error) > 0:
		return "bad"
	case r.Count(check.Unknown) > 0:
		return "unknown"
	case r.Count(check.Warning) > 0:
		return "warnings"
	}
	return "good"
}

// prometheusHead is what stands once before the metrics of all domains.
const prometheusHead = `# HELP mailseal_domain_findings Findings of the last check of a domain, by severity.
# TYPE mailseal_domain_findings gauge
# HELP mailseal_domain_finding A finding of the last check of a domain.
# TYPE mailseal_domain_finding gauge
# HELP mailseal_domain_spf_lookups Lookups that a domain's SPF record needs; 10 are allowed.
# TYPE mailseal_domain_spf_lookups gauge
`

// writePrometheus prints a result as metrics in the text format of Prometheus, for the textfile
// collector.
func (r Result) writePrometheus(w io.Writer) error {
	var b strings.Builder
	for _, s := range []check.Severity{check.Error, check.Warning, check.Unknown, check.Note} {
		fmt.Fprintf(&b, "mailseal_domain_findings{domain=%q,severity=%q} %d\n", r.Domain, s,
			r.Count(s))
	}
	counts := map[check.Code]int{}
	for _, f := range r.Findings {
		if counts[f.Code]++; counts[f.Code] > 1 {
			continue
		}
		fmt.Fprintf(&b, "mailseal_domain_finding{domain=%q,code=%q,severity=%q} "+
			"1\n", r.Domain, f.Code, f.Severity)
	}
	if r.SPF != nil {
		fmt.Fprintf(&b, "mailseal_domain_spf_lookups{domain=%q} %d\n", r.Domain, r.SPF.Lookups)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// List prints the table of all codes.
func List(w io.Writer, asJSON bool) error {
	type row struct {
		Code     check.Code     `json:"code"`
		Severity check.Severity `json:"severity"`
		Why      string         `json:"why"`
	}
	for _, r := range rows {
		if asJSON {
			if err := json.NewEncoder(w).Encode(row(r)); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintf(w, "%-30s %-8s %s\n", r.Code, r.Severity, r.Why); err != nil {
			return err
		}
	}
	return nil
}
