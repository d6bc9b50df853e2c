package play

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"mailseal/milter/miltertest"
)

// message is a message and where it came from.
type message struct {
	file string
	miltertest.Message
}

// Report is an outcome as --json shows it.
type Report struct {
	File       string            `json:"file"`
	Accepted   bool              `json:"accepted"`
	Stage      miltertest.Stage  `json:"stage"`
	Reply      string            `json:"reply"`
	Edits      []miltertest.Edit `json:"edits"`
	Ignored    []miltertest.Edit `json:"ignored,omitempty"`
	Refused    map[string]string `json:"refused,omitempty"`
	Quarantine string            `json:"quarantine,omitempty"`
	Skipped    bool              `json:"skipped,omitempty"`
	Progress   int               `json:"progress,omitempty"`
	Took       float64           `json:"took_ms"`
	Judging    float64           `json:"judging_ms"`
}

// print shows what became of a message.
func (p *MTA) print(m message, o miltertest.Outcome) error {
	switch {
	case p.JSON:
		return json.NewEncoder(p.Out).Encode(reportOf(m, o))
	case p.Deliver:
		if _, err := p.Out.Write(o.Delivered()); err != nil {
			return err
		}
		return p.text(p.Errors, m, o)
	}
	return p.text(p.Out, m, o)
}

func reportOf(m message, o miltertest.Outcome) Report {
	r := Report{
		File:       m.file,
		Accepted:   !o.Refused(),
		Stage:      o.Stage,
		Reply:      o.Reply.String(),
		Edits:      o.Edits,
		Ignored:    o.Ignored,
		Quarantine: o.Quarantine,
		Skipped:    o.Skipped,
		Progress:   o.Progress,
		Took:       miltertest.Milliseconds(o.Took),
		Judging:    miltertest.Milliseconds(o.Judging),
		Refused:    map[string]string{},
	}
	if r.Edits == nil {
		r.Edits = []miltertest.Edit{}
	}
	for _, refusal := range o.Refusals {
		r.Refused[refusal.Recipient] = refusal.Reply.String()
	}
	return r
}

// text shows an outcome to people.
func (p *MTA) text(w io.Writer, m message, o miltertest.Outcome) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: <%s> to <%s> from %s, as %s\n", m.file, m.From, strings.Join(m.To, ">, <"),
		p.Client, p.As)
	for _, r := range o.Refusals {
		fmt.Fprintf(&b, "  refused <%s>: %s\n", r.Recipient, r.Reply)
	}
	for _, e := range o.Edits {
		fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(e.String(), "\n", "\n    "))
	}
	for _, e := range o.Ignored {
		fmt.Fprintf(&b, "  malformed, dropped by %s: %s\n", p.As, e)
	}
	if o.Skipped {
		b.WriteString("  the milter skipped the rest of the body\n")
	}
	if o.Progress > 0 {
		fmt.Fprintf(&b, "  %d progress packets\n", o.Progress)
	}
	const digits = 10 * time.Microsecond
	fmt.Fprintf(&b, "  %s: %s (%v, of which %v in the milter)\n",
		o.Stage, o.Reply, o.Took.Round(digits), o.Judging.Round(digits))
	_, err := io.WriteString(w, b.String())
	return err
}

func (p *MTA) printFigures(w io.Writer, r miltertest.Figures, connections int) error {
	if p.JSON {
		return json.NewEncoder(w).Encode(r)
	}
	_, err := fmt.Fprintf(w, "%d messages in %.2f s over %d connections at a time: %.1f/s, %.2f MB/s\n"+
		"%d edited, %d refused, %d connections failed\n"+
		"from MAIL to the reply: p50 %.2f ms, p95 %.2f ms, p99 %.2f ms, at most %.2f ms\n",
		r.Messages, r.Seconds, connections, r.Rate, r.MBRate, r.Edited, r.Refused, r.Failures,
		r.P50, r.P95, r.P99, r.Max)
	return err
}
