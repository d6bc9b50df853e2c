package check

import (
	"fmt"
	"path/filepath"
	"slices"

	"mailseal/cmd/mailseal/remedy"
	"mailseal/config"
	"mailseal/config/mta"
	"mailseal/milter/message"
)

// MTAOptions say which mail servers are looked at.
type MTAOptions struct {
	Skip bool
	// the directory of main.cf and master.cf, which must be there; "": /etc/postfix, if it is there
	Postfix string
	// the directory of sendmail.cf, which must be there; "": /etc/mail, if it is there
	Sendmail string
	Host     mta.Host // nil: this one
}

// Where mail servers have their configuration unless told otherwise.
const (
	PostfixDir  = "/etc/postfix"
	SendmailDir = "/etc/mail"
)

// Server is a mail server that was looked at.
type Server struct {
	Server   string `json:"server"` // "Postfix" or "Sendmail"
	Dir      string `json:"dir"`
	Name     string `json:"name,omitempty"` // by which it calls itself
	Services int    `json:"services"`       // ways by which mail comes in
	Filtered int    `json:"filtered"`       // those of them that lead through Mailseal
	Errors   int    `json:"errors"`
	Warnings int    `json:"warnings"`
}

// isPast reports whether none of the server's mail comes to Mailseal, as far as could be found out.
func (s Server) isPast() bool { return s.Services > 0 && s.Filtered == 0 }

// escalate makes errors of what keeps all mail of a server from Mailseal: package mta cannot know
// whether another server does the work.
func escalate(r mta.Report) {
	for i, f := range r.Findings {
		if f.Code == "not-named" || f.Code == "postfix-no-milters" {
			r.Findings[i].Severity = mta.Error
		}
	}
}

// servers judges the mail servers of this host.
func (c *checker) servers() error {
	if c.MTA.Skip {
		return nil
	}
	reports, err := c.mtaReports()
	if err != nil {
		return err
	}
	reports = withoutIdle(reports)
	isInUse := func(r mta.Report) bool { return r.Filtered > 0 }
	isNew := !slices.ContainsFunc(reports, isInUse)
	for _, r := range reports {
		s := Server{Server: r.Server, Dir: r.Dir, Name: r.Name, Services: r.Services,
			Filtered: r.Filtered}
		if s.isPast() && isNew {
			escalate(r)
		}
		for _, f := range r.Findings {
			c.report(mtaFinding(f))
		}
		s.Errors, s.Warnings = countMTA(r, mta.Error), countMTA(r, mta.Warning)
		c.result.MTAs = append(c.result.MTAs, s)
	}
	return nil
}

// mtaReports looks at each server. One that was asked for by its directory has to be there.
func (c *checker) mtaReports() ([]mta.Report, error) {
	host := c.MTA.Host
	if host == nil {
		host = mta.HostAt("/")
	}
	postfix, err := c.mtaDirectory(c.MTA.Postfix, PostfixDir)
	if err != nil {
		return nil, err
	}
	sendmail, err := c.mtaDirectory(c.MTA.Sendmail, SendmailDir)
	if err != nil {
		return nil, err
	}
	var out []mta.Report
	daemon := asMTASees(c.cfg)
	for _, dir := range append([]string{postfix}, mta.PostfixInstances(host, postfix)...) {
		report, found := mta.Postfix(host, dir, daemon)
		if found {
			out = append(out, report)
			// what is printed for one instance is not printed again for the next
			daemon = report.After
		} else if c.MTA.Postfix != "" {
			return nil, fmt.Errorf("--postfix: %s/main.cf cannot be read, or does not exist", dir)
		}
	}
	report, found := mta.Sendmail(host, sendmail, daemon)
	if found {
		out = append(out, report)
	} else if c.MTA.Sendmail != "" {
		return nil, fmt.Errorf("no configuration of a mail server in %s", sendmail)
	}
	return out, nil
}

// mtaDirectory returns where a mail server's configuration is: the directory that was named, else
// the usual one.
func (c *checker) mtaDirectory(named, usual string) (string, error) {
	if named == "" {
		return usual, nil
	}
	return filepath.Abs(named)
}

// withoutIdle leaves out a server that does not use Mailseal where another one does: one of the two
// is only installed. A Postfix beside another that does stays if it takes mail in from other hosts.
// Where it does not, its mail comes from the other Postfix or goes to it, and has passed Mailseal
// there.
func withoutIdle(reports []mta.Report) []mta.Report {
	isInUse := func(r mta.Report) bool { return r.Filtered > 0 }
	if !slices.ContainsFunc(reports, isInUse) {
		return reports
	}
	beside := func(r mta.Report) bool {
		isSame := func(o mta.Report) bool { return isInUse(o) && o.Server == r.Server }
		return r.Public > 0 && slices.ContainsFunc(reports, isSame)
	}
	return slices.DeleteFunc(reports, func(r mta.Report) bool {
		return !isInUse(r) && countMTA(r, mta.Error) == 0 && !beside(r)
	})
}

func countMTA(r mta.Report, s mta.Severity) (n int) {
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// mtaFinding is a finding of package mta, which keeps the table of its codes and sentences.
func mtaFinding(f mta.Finding) Finding {
	return Finding{
		Code: codeOfMTA(f.Code), Severity: severityOfMTA[f.Severity], File: f.File, Line: f.Line, Setting: f.Setting,
		Text: f.Text, Fix: remedy.MailServer(f.Fix), Mended: f.Mended,
	}
}

// asMTASees is what mail servers have to know of a configuration.
func asMTASees(cfg *config.Config) mta.Daemon {
	d := mta.Daemon{
		Signs: cfg.Signs() && len(cfg.Sign) > 0, Verifies: cfg.Verifies(),
		DaemonNames: cfg.Ours.DaemonNames,
		Networks:    cfg.Ours.Networks,
		Others:      slices.Concat(cfg.Relays.Networks, cfg.Exempt.Networks),
		Deadline:    cfg.Limits.MessageDeadline,
		HasRule:     hasRule(cfg),
	}
	for i, l := range cfg.Listen {
		d.Listeners = append(d.Listeners, mta.Listener{
			Setting: fmt.Sprintf("listen[%d]", i), Role: l.Role, Network: l.Network, Target: l.Target,
			Mode: l.Mode, User: l.User, Group: l.Group,
		})
	}
	return d
}

// hasRule returns a function that reports whether any rule signs mail of an author, whatever else
// the rule wants.
func hasRule(cfg *config.Config) func(author string) bool {
	var all message.Patterns
	for _, r := range cfg.Sign {
		patterns, err := message.ParsePatterns(r.From)
		if err != nil {
			continue // config has checked them
		}
		all = append(all, patterns...)
	}
	return func(author string) bool { return all.MatchPath(author) }
}
