package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailseal/milter/miltertest"
)

// mtaPrinter says how outcomes are shown.
type mtaPrinter struct {
	json, deliver bool
	client, as    string // who was played
}

// mtaMessage is a message and where it came from.
type mtaMessage struct {
	file string
	miltertest.Message
}

// mtaReport is an outcome as --json shows it.
type mtaReport struct {
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

// print tells what became of a message.
func (p *mtaPrinter) print(cmd *cobra.Command, m mtaMessage, o miltertest.Outcome) error {
	switch {
	case p.json:
		return json.NewEncoder(cmd.OutOrStdout()).Encode(reportOf(m, o))
	case p.deliver:
		if _, err := cmd.OutOrStdout().Write(o.Delivered()); err != nil {
			return err
		}
		return p.text(cmd.ErrOrStderr(), m, o)
	}
	return p.text(cmd.OutOrStdout(), m, o)
}

func reportOf(m mtaMessage, o miltertest.Outcome) mtaReport {
	r := mtaReport{
		File: m.file, Accepted: !o.Refused(), Stage: o.Stage, Reply: o.Reply.String(), Edits: o.Edits, Ignored: o.Ignored,
		Quarantine: o.Quarantine, Skipped: o.Skipped, Progress: o.Progress,
		Took: miltertest.Milliseconds(o.Took), Judging: miltertest.Milliseconds(o.Judging), Refused: map[string]string{},
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
func (p *mtaPrinter) text(w io.Writer, m mtaMessage, o miltertest.Outcome) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: <%s> to <%s> from %s, as %s\n", m.file, m.From, strings.Join(m.To, ">, <"), p.client, p.as)
	for _, r := range o.Refusals {
		fmt.Fprintf(&b, "  refused <%s>: %s\n", r.Recipient, r.Reply)
	}
	for _, e := range o.Edits {
		fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(e.String(), "\n", "\n    "))
	}
	for _, e := range o.Ignored {
		fmt.Fprintf(&b, "  malformed, dropped by %s: %s\n", p.as, e)
	}
	if o.Skipped {
		b.WriteString("  the milter did not want all of the body\n")
	}
	if o.Progress > 0 {
		fmt.Fprintf(&b, "  %d signs of life\n", o.Progress)
	}
	fmt.Fprintf(&b, "  %s: %s (%v, of which judging %v)\n", o.Stage, o.Reply, o.Took.Round(10*time.Microsecond), o.Judging.Round(10*time.Microsecond))
	_, err := io.WriteString(w, b.String())
	return err
}

func (p *mtaPrinter) printFigures(w io.Writer, r miltertest.Figures, connections int) error {
	if p.json {
		return json.NewEncoder(w).Encode(r)
	}
	_, err := fmt.Fprintf(w, "%d messages in %.2f s over %d connections at a time: %.1f/s, %.2f MB/s\n"+
		"%d edited, %d refused, %d connections failed\nfrom MAIL to the reply: p50 %.2f ms, p95 %.2f ms, p99 %.2f ms, at most %.2f ms\n",
		r.Messages, r.Seconds, connections, r.Rate, r.MBRate, r.Edited, r.Refused, r.Failures, r.P50, r.P95, r.P99, r.Max)
	return err
}
