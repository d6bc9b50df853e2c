package report

import (
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Hints are facts about a report in the name of its file and the subject of its mail. They can be
// wrong, and only replace what is missing in the report.
type Hints struct {
	Domain     string
	Reporter   string // domain of the reporter
	ReportID   string
	Begin, End time.Time
}

// subject is the subject of a mail with a report (RFC 9990 section 3.5.2).
var subject = regexp.MustCompile(
	`(?i)\breport[ \t_-]*domain:\s*(\S+)(?:.*?\bsubmitter:\s*(\S+))?(?:.*?\breport-id:\s*(\S+))?`)

// ReadHints parses the name of a file in the form of RFC 9990 section 3.5.2,
// "receiver!domain!begin!end" with an optional id, and a subject. A part that is missing is empty.
func ReadHints(file, title string) (h Hints) {
	base := path.Base(strings.ReplaceAll(file, "\\", "/"))
	for _, end := range []string{".gz", ".zip", ".xml", ".json"} {
		base = strings.TrimSuffix(base, end)
	}
	if parts := strings.Split(base, "!"); len(parts) >= 4 {
		h.Reporter, h.Domain = parseName(parts[0]), parseName(parts[1])
		h.Begin, h.End = seconds(parts[2]), seconds(parts[3])
		if len(parts) > 4 {
			h.ReportID = parts[4]
		}
	}
	m := subject.FindStringSubmatch(title[:min(len(title), 1000)])
	if m == nil {
		return h
	}
	for i, to := range []*string{&h.Domain, &h.Reporter} {
		if name := parseName(strings.TrimRight(m[i+1], ",;")); *to == "" &&
			strings.Contains(name, ".") {
			*to = name
		}
	}
	if h.ReportID == "" {
		h.ReportID = strings.Trim(m[3], "<>")
	}
	return h
}

func seconds(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > 1e11 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// Supplement fills in what a report leaves out: its domain, its period, its id, its reporter. What
// was filled in, and where the hints contradict the report, is noted; the report's own words are
// never changed.
func (f *Feedback) Supplement(h Hints) {
	b := notebook{f.Notes}
	defer func() { f.Notes = b.notes }()
	own := f.Policy.Domain
	switch {
	case own != "" && h.Domain != "" && own != h.Domain:
		b.add("name-differs", "the file name or subject has another domain; the domain in the "+
			"report was used", 0)
	case own == "" && h.Domain != "":
		f.Policy.Domain = h.Domain
		b.add("domain-from-name", "the report has no domain; the domain in the file name or "+
			"subject was used",
			0)
	case own == "" && f.from != "":
		f.Policy.Domain = f.from
		b.add("domain-from-row", "the report has no domain; the first header_from was used", 0)
	}
	if f.Metadata.Begin.IsZero() && !h.Begin.IsZero() && !h.End.Before(h.Begin) {
		f.Metadata.Begin, f.Metadata.End = h.Begin, inclusive(h.Begin, h.End)
		b.add("dates-from-name", "the period was taken from the file name", 0)
	}
	if f.Metadata.ReportID == "" && h.ReportID != "" {
		f.Metadata.ReportID = h.ReportID
		b.add("id-from-name", "the id was taken from the file name or the subject", 0)
	}
	if f.Metadata.Org == "" && f.Metadata.Email == "" && h.Reporter != "" {
		f.Metadata.Org = h.Reporter
		b.add("org-from-name", "the reporter was taken from the file name or the subject", 0)
	}
}

// Supplement fills in what a TLS report leaves out, or what was lost with its end: its period and
// its id.
func (r *TLSReport) Supplement(h Hints) {
	if r.Begin.IsZero() && r.End.IsZero() && !h.Begin.IsZero() && !h.End.Before(h.Begin) {
		r.Begin, r.End = h.Begin, inclusive(h.Begin, h.End)
	}
	if r.Begin.IsZero() {
		r.Begin = r.End
	}
	if r.End.IsZero() {
		r.End = r.Begin
	}
	if r.ID == "" {
		r.ID = h.ReportID
	}
}
