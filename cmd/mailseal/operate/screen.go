package operate

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"mailseal/cmd/mailseal/control"
)

// screen writes a status for people. What a terminal may not show, such as control characters of an
// error, is replaced.
type screen struct{ now time.Time }

// What fits on a screen. All of it is in --json.
const (
	shownKeys     = 10
	shownLines    = 5
	shownFindings = 5
)

func (c screen) write(out io.Writer, s *Status) error {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	c.head(w, s)
	c.traffic(w, s.Daemon)
	c.keys(w, s.Daemon.Keys)
	c.servers(w, s.Daemon)
	c.jobs(w, s.Daemon.Jobs)
	c.reports(w, s)
	c.log(w, s.Daemon.Log)
	c.check(w, s.Check)
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(out, printable(trimLines(b.String())))
	return err
}

func (c screen) head(w io.Writer, s *Status) {
	r := s.Daemon
	verdict := "good"
	if !s.Good {
		verdict = "NOT GOOD"
	}
	fmt.Fprintf(w, "status\t%s\n", verdict)
	for _, p := range s.Problems {
		fmt.Fprintf(w, "\t! %s\n", p)
	}
	for _, n := range s.Notes {
		fmt.Fprintf(w, "\t- %s\n", n)
	}
	fmt.Fprintf(w, "daemon\tversion %s, pid %d, up %s, since %s\n", r.Version, r.PID,
		span(c.now.Sub(r.Started)), stamp(r.Started))
	fmt.Fprintf(w, "configuration\t%s, in effect since %s\n", r.Config, stamp(r.ConfigSince))
	for i, l := range r.Listeners {
		fmt.Fprintf(w, "%s\t%s: %s\n", first(i, "sockets"), l, peers(r, l))
	}
}

// peers lists who is connected to a listener.
func peers(r *control.Running, listener string) string {
	var out []string
	for _, m := range r.MTAs {
		if m.Listener != listener {
			continue
		}
		text := fmt.Sprintf("%s %d", m.Peer, m.Connections)
		if m.Busy > 0 {
			text += fmt.Sprintf(" (%d with a message)", m.Busy)
		}
		if out = append(out, text); len(out) == 5 {
			return strings.Join(out, ", ") + ", …"
		}
	}
	if len(out) == 0 {
		return "no connections"
	}
	return "connections from " + strings.Join(out, ", ")
}

func (c screen) traffic(w io.Writer, r *control.Running) {
	since := "midnight UTC"
	if r.Today.Since.UTC() != r.Today.Since.UTC().Truncate(24*time.Hour) {
		since = stamp(r.Today.Since)
	}
	fmt.Fprintf(w, "messages\tsince %s\n", since)
	for _, line := range grouped(r.Today.Messages) {
		fmt.Fprintf(w, "  %s\n", line)
	}
	fmt.Fprintf(w, "  signatures\t%s\n", counts(r.Today.Signatures))
	if len(r.Today.Unsigned) > 0 {
		fmt.Fprintf(w, "  unsigned\t%s\n", counts(r.Today.Unsigned))
	}
	for _, line := range grouped(r.Today.Results) {
		fmt.Fprintf(w, "  %s\n", line)
	}
}

// grouped makes a line of the counts of each role or method.
func grouped(list []control.Count) []string {
	var out []string
	last := ""
	for _, n := range list {
		if n.Of != last {
			out = append(out, n.Of+"\t")
			last = n.Of
		} else {
			out[len(out)-1] += ", "
		}
		out[len(out)-1] += fmt.Sprintf("%s %d", n.Result, n.Count)
	}
	return out
}

func counts(list []control.Count) string {
	var out []string
	for _, n := range list {
		out = append(out, fmt.Sprintf("%s %d", n.Of, n.Count))
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

func (c screen) keys(w io.Writer, k control.Keys) {
	switch {
	case !k.Watched:
		fmt.Fprintf(w, "keys\tnot compared with the DNS (rotation.watch)\n")
	case k.Asked.IsZero():
		fmt.Fprintf(w, "keys\tthe DNS has not been queried yet\n")
	default:
		fmt.Fprintf(w, "keys\tin the DNS: good %d, bad %d, unknown %d; checked %s ago\n", k.Good,
			k.Bad, k.Unknown, span(c.now.Sub(k.Asked)))
	}
	for i, one := range k.List {
		if i == shownKeys {
			fmt.Fprintf(w, "  and %d more\n", max(k.Good+k.Bad+k.Unknown, len(k.List))-shownKeys)
			break
		}
		text := one.DNS
		if one.Stage != "" {
			text += ", " + one.Stage
		}
		if !one.Made.IsZero() {
			text += ", made " + span(c.now.Sub(one.Made)) + " ago"
		}
		if one.Reason != "" {
			text += ": " + one.Reason
		}
		fmt.Fprintf(w, "  %s\t%s\n", one.Name, text)
	}
}

func (c screen) servers(w io.Writer, r *control.Running) {
	for i, s := range r.Sources {
		state := "answers"
		if s.Away {
			state = "AWAY"
		}
		fmt.Fprintf(w, "%s\t%s: %s; cached %d, queries %d, failures %d, unusable rows %d\n",
			first(i, "sources"), s.Name, state, s.Entries, s.Misses, s.Failures, s.Broken)
	}
	for i, s := range r.NameServers {
		took := "not queried yet"
		switch {
		case s.MeanMS > 0:
			took = fmt.Sprintf("%.1f ms, queries %d, without a reply %d", s.MeanMS, s.Queries,
				s.Silent)
		case s.Queries > 0:
			took = fmt.Sprintf("no reply yet, queries %d", s.Queries)
		}
		if s.Dead && s.MeanMS == 0 {
			took = fmt.Sprintf("DOES NOT REPLY, queries %d", s.Queries)
		} else if s.Dead {
			took += ", DOES NOT REPLY"
		}
		fmt.Fprintf(w, "%s\t%s: %s\n", first(i, "name servers"), s.Address, took)
	}
}

func (c screen) jobs(w io.Writer, jobs []control.Job) {
	for i, j := range jobs {
		state := "not yet run"
		switch {
		case j.Running:
			state = "running"
		case !j.Last.IsZero():
			state = "ran " + span(c.now.Sub(j.Last)) + " ago"
		}
		switch {
		case !j.Next.IsZero():
			state += ", next in " + span(j.Next.Sub(c.now))
		case !j.Running:
			state += ", not due"
		}
		if j.Error != "" {
			state += ", FAILED: " + j.Error
		}
		fmt.Fprintf(w, "%s\t%s: %s\n", first(i, "jobs"), j.Name, state)
	}
}

func (c screen) log(w io.Writer, l control.Log) {
	fmt.Fprintf(w, "log today\terrors %d, warnings %d\n", l.Errors, l.Warnings)
	for i, line := range l.Last {
		if i == shownLines {
			break
		}
		fmt.Fprintf(w, "\t%s %s %s\n", stamp(line.Time), line.Level, line.Text)
	}
}

func (c screen) check(w io.Writer, k *Checked) {
	if k == nil {
		return
	}
	fmt.Fprintf(w, "check\terrors %d, warnings %d, not found out %d\n", k.Errors, k.Warnings,
		k.Unknown)
	for i, f := range k.Findings {
		if i == shownFindings {
			fmt.Fprintf(w, "\tand %d more; \"mailseal check\" prints them with what to do\n",
				len(k.Findings)-i)
			break
		}
		fmt.Fprintf(w, "\t%s\n", f)
	}
}

// first names the first line of several.
func first(i int, name string) string {
	if i == 0 {
		return name
	}
	return ""
}

// stamp writes a time to the second, in UTC, as the log does.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// span writes a time that passes, in its two largest units.
func span(d time.Duration) string {
	d = max(d, 0)
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// trimLines takes the padding off the ends of lines.
func trimLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

// printable replaces control characters, which a log line may have from a stranger's mail.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0) {
			return '?'
		}
		return r
	}, text)
}
