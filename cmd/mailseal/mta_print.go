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
func (f *mtaFlags) print(cmd *cobra.Command, m mtaMessage, o miltertest.Outcome) error {
	switch {
	case f.json:
		return json.NewEncoder(cmd.OutOrStdout()).Encode(reportOf(m, o))
	case f.deliver:
		if _, err := cmd.OutOrStdout().Write(o.Delivered()); err != nil {
			return err
		}
		return f.text(cmd.ErrOrStderr(), m, o)
	}
	return f.text(cmd.OutOrStdout(), m, o)
}

func reportOf(m mtaMessage, o miltertest.Outcome) mtaReport {
	r := mtaReport{
		File: m.file, Accepted: !o.Refused(), Stage: o.Stage, Reply: o.Reply.String(), Edits: o.Edits, Ignored: o.Ignored,
		Quarantine: o.Quarantine, Skipped: o.Skipped, Progress: o.Progress,
		Took: milliseconds(o.Took), Judging: milliseconds(o.Judging), Refused: map[string]string{},
	}
	if r.Edits == nil {
		r.Edits = []miltertest.Edit{}
	}
	for _, refusal := range o.Refusals {
		r.Refused[refusal.Recipient] = refusal.Reply.String()
	}
	return r
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// text shows an outcome to people.
func (f *mtaFlags) text(w io.Writer, m mtaMessage, o miltertest.Outcome) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: <%s> to <%s> from %s, as %s\n", m.file, m.From, strings.Join(m.To, ">, <"), f.client, f.as)
	for _, r := range o.Refusals {
		fmt.Fprintf(&b, "  refused <%s>: %s\n", r.Recipient, r.Reply)
	}
	for _, e := range o.Edits {
		fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(e.String(), "\n", "\n    "))
	}
	for _, e := range o.Ignored {
		fmt.Fprintf(&b, "  malformed, dropped by %s: %s\n", f.as, e)
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
