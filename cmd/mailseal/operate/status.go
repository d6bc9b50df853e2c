package operate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/control"
)

// StatusOptions say what is shown of a daemon.
type StatusOptions struct {
	Target
	Reports Reports        // what the process of reports should do; the zero value: nothing
	Check   *check.Options // what is checked beside; nil: nothing
	JSON    bool
	Every   time.Duration // show it again so often; 0: once
	Clear   bool          // clear the screen each time
	Timeout time.Duration // how long to wait for an answer
	Out     io.Writer
	Now     func() time.Time
}

// Status is all that "mailseal status" shows.
type Status struct {
	Good     bool               `json:"good"`
	Problems []string           `json:"problems"` // why it is not good
	Notes    []string           `json:"notes"`    // what is worth knowing, and no problem
	Daemon   *control.Running   `json:"daemon"`
	Reports  []*control.Running `json:"reports,omitempty"` // the processes of reports that answer
	Check    *Checked           `json:"check,omitempty"`

	reports Reports
	silent  error // why Reports is empty
}

// Checked is the result of "mailseal check".
type Checked struct {
	Errors   int      `json:"errors"`
	Warnings int      `json:"warnings"`
	Unknown  int      `json:"unknown"`
	Findings []string `json:"findings"` // errors and warnings, at most 200
}

// checkEvery is how often files and mail servers are looked at while the status is shown again and
// again.
const checkEvery = time.Minute

// recent is how long an error in the log is a problem: long enough that monitoring which asks every
// five minutes does not miss it.
const recent = 15 * time.Minute

// Show writes the status, once or again and again until ctx ends. The error is a bad answer where
// something is not good, or no daemon answers, and an unknown one where the socket may not be used.
func Show(ctx context.Context, o StatusOptions) error {
	var checked *Checked
	var checkedAt time.Time
	for {
		if o.Check != nil && (checked == nil || o.Now().Sub(checkedAt) >= checkEvery) {
			checked, checkedAt = runCheck(ctx, *o.Check), o.Now()
		}
		s, err := ask(ctx, o)
		if ctx.Err() != nil && o.Every > 0 {
			return nil
		}
		if err != nil && o.Every == 0 {
			return err
		}
		if o.Clear {
			fmt.Fprint(o.Out, "\x1b[H\x1b[2J")
		}
		switch {
		case err != nil:
			fmt.Fprintln(o.Out, "mailseal:", answer.Text(err))
		default:
			s.judge(checked, o.Now())
			if printErr := s.print(o); printErr != nil {
				return printErr
			}
		}
		if o.Every == 0 {
			return s.answer()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(o.Every):
		}
	}
}

// ask gets the daemon's part.
func ask(ctx context.Context, o StatusOptions) (*Status, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	a, err := control.Ask(ctx, o.Socket, control.Request{Command: control.Status})
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, answer.NewUnknown(explained(o.Socket, err))
	case errors.Is(err, control.ErrAway) && o.Mistakes != nil:
		return nil, answer.NewBad(fmt.Errorf("%w\nbecause of these mistakes, the control socket "+
			"may be at another place: %w", o.Mistakes, err))
	case errors.Is(err, control.ErrAway):
		return nil, answer.NewBad(explained(o.Socket, err))
	case err != nil:
		return nil, answer.NewUnknown(err)
	case a.Error != "":
		return nil, answer.NewUnknown(errors.New(a.Error))
	case a.Running == nil:
		return nil, answer.NewUnknown(control.ErrMalformed)
	}
	file := control.Absolute(o.Config)
	if file != "" && a.Running.Config != "" && !control.IsSameFile(file, a.Running.Config) {
		return nil, answer.NewBad(control.OtherConfig(a.Running.Config, file))
	}
	s := &Status{Daemon: a.Running, reports: o.Reports}
	s.askReports(ctx)
	return s, nil
}

// maxFindings bounds what is kept of a check.
const maxFindings = 200

// runCheck does what "mailseal check" does.
func runCheck(ctx context.Context, o check.Options) *Checked {
	out := &Checked{Findings: []string{}}
	o.Report = func(f check.Finding) {
		switch f.Severity {
		case check.Error:
			out.Errors++
		case check.Warning:
			out.Warnings++
		case check.Unknown:
			out.Unknown++
			return
		default:
			return
		}
		if len(out.Findings) < maxFindings {
			out.Findings = append(out.Findings, fmt.Sprintf("%s: %s", f.Severity, f))
		}
	}
	if _, err := check.Run(ctx, o); err != nil {
		out.Unknown++
		out.Findings = append(out.Findings, "unknown: "+answer.Text(err))
	}
	return out
}

// judge finds what is not good.
func (s *Status) judge(checked *Checked, now time.Time) {
	s.Check, s.Problems, s.Notes = checked, []string{}, []string{}
	r := s.Daemon
	problem := func(format string, args ...any) {
		s.Problems = append(s.Problems, fmt.Sprintf(format, args...))
	}
	note := func(format string, args ...any) {
		s.Notes = append(s.Notes, fmt.Sprintf(format, args...))
	}
	if len(r.Listeners) == 0 {
		problem("no socket is served: mail servers get no answer")
	}
	if r.Keys.Bad > 0 {
		problem("keys that the DNS does not show, or shows with another record: %d; \"mailseal "+
			"check --dns\" prints the records",
			r.Keys.Bad)
	}
	if r.Keys.Unknown > 0 {
		note("keys that could not be looked up in the DNS: %d", r.Keys.Unknown)
	}
	for _, source := range r.Sources {
		if source.Away {
			problem("source %s does not answer: mail without a cached key is deferred",
				source.Name)
		}
	}
	dead := 0
	for _, server := range r.NameServers {
		if server.Dead {
			dead++
			note("name server %s does not reply", server.Address)
		}
	}
	if dead > 0 && dead == len(r.NameServers) {
		problem("no name server replies: results are temperror")
	}
	for _, j := range r.Jobs {
		if j.Error != "" {
			problem("job %s failed: %s", j.Name, j.Error)
		}
	}
	s.judgeReports(problem, note)
	late := 0
	for _, line := range r.Log.Last {
		if line.Level == "ERROR" && now.Sub(line.Time) < recent {
			late++
		}
	}
	if late > 0 {
		problem("errors in the log of the last 15 minutes: %d", late)
	}
	if info, err := os.Stat(r.Config); err == nil && info.ModTime().After(r.ConfigSince) {
		note("%s was changed after it was read; \"mailseal reload\" makes the change take effect", r.Config)
	}
	if checked != nil && checked.Errors > 0 {
		problem("errors of \"mailseal check\": %d", checked.Errors)
	}
	s.Good = len(s.Problems) == 0
}

// answer makes an error of a status that is not good. All has been printed.
func (s *Status) answer() error {
	if s.Good {
		return nil
	}
	return answer.NewBad(nil)
}

func (s *Status) print(o StatusOptions) error {
	if o.JSON {
		return json.NewEncoder(o.Out).Encode(s)
	}
	return screen{o.Now()}.write(o.Out, s)
}
