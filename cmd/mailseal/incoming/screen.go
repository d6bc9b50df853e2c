package incoming

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/tally"
)

// Bounds of the screen. JSON and CSV have everything.
const (
	maxSources = 25 // of a domain
	maxNotes   = 30 // files with notes
)

// screen prints the sum of all reports: for each domain a sentence and its sources, then what was
// unusual.
func (r *Read) screen() {
	isFirst := true
	gap := func() {
		if !isFirst {
			fmt.Fprintln(r.out)
		}
		isFirst = false
	}
	if r.tally.Reports > 0 {
		gap()
		r.say(0, heading(r.tally))
	}
	for _, d := range r.tally.Domains() {
		gap()
		r.domain(d)
	}
	for _, t := range r.tls {
		gap()
		r.tlsScreen(t)
	}
	for _, f := range r.fails {
		gap()
		r.failureScreen(f)
	}
	if len(r.others) > 0 && r.tally.Reports+len(r.tls)+len(r.fails) > 0 {
		fmt.Fprintln(r.out)
		r.say(0, advice.Plural(int64(len(r.others)), "other mail contains", "other mails contain")+
			" no report: "+
			clean(advice.List(r.others, 4))+".")
	}
	r.noteScreen()
}

// heading describes what was read.
func heading(t *tally.Tally) string {
	names := slices.SortedFunc(maps.Keys(t.Receivers), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.Receivers[b], t.Receivers[a]), strings.Compare(a, b))
	})
	for i, n := range names {
		names[i] = cmp.Or(clean(n), "a reporter without a name")
	}
	out := advice.Plural(int64(t.Reports), "report", "reports")
	if len(names) > 0 {
		out += " of " + advice.List(names, 4)
	}
	if !t.Begin.IsZero() {
		out += ", " + period(t.Begin, t.End)
	}
	return out + "."
}

// period names days, or hours of a day where a report is shorter.
func period(begin, end time.Time) string {
	if begin.IsZero() || end.IsZero() {
		return "of an unknown time"
	}
	from, to := begin.UTC().Format("2 Jan 2006"), end.UTC().Format("2 Jan 2006")
	switch {
	case from != to:
		return from + " to " + to + " (UTC)"
	case end.Sub(begin) < 23*time.Hour:
		return from + " " + begin.UTC().Format("15:04") + " to " + end.UTC().Format("15:04") +
			" (UTC)"
	}
	return from + " (UTC)"
}

func (r *Read) domain(d *tally.Domain) {
	r.say(0, sentence(d))
	sources := d.Sources(nil)
	if len(sources) == 0 {
		return
	}
	fmt.Fprintln(r.out)
	table := [][]string{{"source", "class", "messages", "pass", "DKIM", "SPF", "held",
		"refused", "why"}}
	for _, s := range sources[:min(len(sources), maxSources)] {
		table = append(table, []string{
			clean(s.Name), string(s.Class), advice.Count(s.Messages),
			advice.Rate(s.Pass, s.Messages) + "%",
			advice.Rate(s.DKIM, s.Messages) + "%", advice.Rate(s.SPF, s.Messages) + "%",
			some(s.Held), some(s.Refused), s.Cause.Word,
		})
	}
	writeTable(r.out, table, "  ", 2, 7, r.Screen)
	if hidden := len(sources) - maxSources; hidden > 0 {
		r.say(2, "and "+advice.Plural(int64(hidden), "source", "sources")+" with fewer messages; "+
			"--csv has all rows.")
	}
	r.causes(d, sources)
}

func some(n int64) string {
	if n == 0 {
		return "–"
	}
	return advice.Count(n)
}

// causes explains the words of the last column, each sentence once with the sources that it is
// about.
func (r *Read) causes(d *tally.Domain, sources []tally.Source) {
	at := map[string][]string{}
	var order []tally.Source
	for _, s := range sources {
		if len(at[s.Cause.Text]) == 0 {
			order = append(order, s)
		}
		at[s.Cause.Text] = append(at[s.Cause.Text], clean(s.Name))
	}
	slices.SortStableFunc(order, func(a, b tally.Source) int {
		return cmp.Compare(b.Cause.Severity, a.Cause.Severity)
	})
	fmt.Fprintln(r.out)
	for _, s := range order[:min(len(order), 8)] {
		r.say(2, s.Cause.Word+" ("+advice.List(at[s.Cause.Text], 3)+"): "+clean(s.Cause.Text))
	}
}

// sentence says how a domain fares.
func sentence(d *tally.Domain) string {
	name := cmp.Or(clean(d.Name), "(no domain)")
	if d.Messages == 0 && d.Silent < d.Reports {
		return name + ": no row of " + advice.Plural(int64(d.Reports-d.Silent), "report",
			"reports") +
			" could be read; the errors below say why."
	}
	if d.Messages == 0 {
		return name + ": the reporter saw no mail."
	}
	out := fmt.Sprintf("%s: %s, %s%% pass DMARC", name, advice.Plural(d.Messages, "message",
		"messages"), advice.Rate(d.Pass, d.Messages))
	if fail := d.Fail(); fail > 0 {
		var parts []string
		for _, p := range []struct {
			n    int64
			what string
		}{{d.Delivered, "delivered nevertheless"}, {d.Held, "quarantined"},
			{d.Refused, "rejected"}} {
			if p.n > 0 {
				parts = append(parts, advice.Count(p.n)+" "+p.what)
			}
		}
		out += fmt.Sprintf("; of %s that fail, %s", advice.Count(fail), advice.List(parts, 3))
	}
	return out + ". " + policyText(d.Policy)
}

// policyText says which policy the latest report saw.
func policyText(p report.PolicyPublished) string {
	if p.P == "" {
		return "The report names no policy."
	}
	out := "Policy: p=" + clean(p.P)
	for _, tag := range [][2]string{{"sp", p.SP}, {"np", p.NP}, {"adkim", p.ADKIM},
		{"aspf", p.ASPF}} {
		if tag[1] != "" {
			out += " " + tag[0] + "=" + clean(tag[1])
		}
	}
	if p.Testing == "y" {
		out += " t=y"
	}
	if p.Pct != "" && p.Pct != "100" {
		out += " pct=" + clean(p.Pct)
	}
	return out + "."
}

func (r *Read) tlsScreen(t *report.TLSReport) {
	r.say(0, "TLS report of "+cmp.Or(clean(t.Org), "a reporter without a name")+", "+
		period(t.Begin, t.End)+".")
	for _, p := range t.Policies {
		r.say(2, fmt.Sprintf("%s, policy %s: %s over TLS, %s failed.",
			cmp.Or(clean(p.Domain), "(no domain)"), clean(p.Type),
			advice.Plural(p.Good, "session", "sessions"), advice.Count(p.Bad)))
		for _, f := range p.Failures {
			text := clean(f.Result) + ": " + advice.Plural(f.Sessions, "session", "sessions")
			if host := cmp.Or(f.Host, f.HostIP); host != "" {
				text += " to " + clean(host)
			}
			if f.Sender != "" {
				text += " from " + clean(f.Sender)
			}
			if f.Reason != "" {
				text += " (" + clean(f.Reason) + ")"
			}
			r.say(4, text)
		}
	}
}

func (r *Read) failureScreen(f *report.Failure) {
	r.say(0, fmt.Sprintf("Failure report (%s) on %s: %s from %s.", clean(f.Type),
		cmp.Or(clean(f.Domain), "(no domain)"),
		advice.Plural(f.Incidents, "message", "messages"),
		cmp.Or(clean(f.Source), "an unknown address")))
	for _, line := range [][2]string{
		{"failed", f.Failed}, {"not aligned", f.Alignment}, {"delivery", f.Delivery},
		{"arrived", f.Arrived},
		{"envelope from", f.MailFrom}, {"From", f.From}, {"Subject", f.Subject},
		{"results", f.Results},
	} {
		if line[1] != "" {
			r.say(2, line[0]+": "+clean(line[1]))
		}
	}
}

func (r *Read) noteScreen() {
	if r.again > 0 {
		fmt.Fprintln(r.out)
		r.say(0, advice.Plural(int64(r.again), "report was found more than once and counted once.",
			"reports were found again and not counted again."))
	}
	if r.variants > 0 {
		fmt.Fprintln(r.out)
		r.say(0, advice.Plural(int64(r.variants), "report has", "reports have")+
			" the id, domain and period of another one, and other content. Only the first of "+
			"them is counted.")
	}
	if len(r.notes) == 0 {
		return
	}
	fmt.Fprintln(r.out)
	fmt.Fprintln(r.out, "Deviations from the standard:")
	for _, n := range r.notes[:min(len(r.notes), maxNotes)] {
		r.say(2, clean(n.file)+": "+clean(strings.Join(n.notes, "; "))+".")
	}
	if hidden := len(r.notes) - maxNotes; hidden > 0 {
		r.say(2, "and "+advice.Plural(int64(hidden), "file", "files")+
			" more; --json has all notes.")
	}
}

// say prints a paragraph, indented, in lines that fit the screen.
func (r *Read) say(indent int, text string) { wrap(r.out, indent, cmp.Or(r.Width, 100), text) }

func wrap(w io.Writer, indent, width int, text string) {
	line, first := strings.Repeat(" ", indent), true
	for word := range strings.FieldsSeq(text) {
		if !first && len([]rune(line))+1+len([]rune(word)) > width {
			fmt.Fprintln(w, line)
			line, first = strings.Repeat(" ", indent+2), true
		}
		if !first {
			line += " "
		}
		line, first = line+word, false
	}
	fmt.Fprintln(w, line)
}

// clean makes the text of a stranger fit for a terminal: no control characters, no change of
// direction, one line.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\r' || c == '\t':
			return ' '
		case c < 0x20 || c >= 0x7f && c < 0xa0 || c >= 0x200e && c <= 0x200f || c >= 0x2028 &&
			c <= 0x202e || c >= 0x2066 && c <= 0x2069 || c == 0xfeff:
			return '?'
		}
		return c
	}, s)
}
