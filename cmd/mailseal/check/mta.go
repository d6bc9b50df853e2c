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
	Skip     bool
	Postfix  string   // the directory of main.cf and master.cf, which must be there; "": /etc/postfix, if it is there
	Sendmail string   // the directory of sendmail.cf, which must be there; "": /etc/mail, if it is there
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

// escalate makes errors of what keeps all mail of a server from Mailseal: package mta cannot know whether another server
// does the work.
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
	for _, r := range withoutIdle(reports) {
		s := Server{Server: r.Server, Dir: r.Dir, Name: r.Name, Services: r.Services, Filtered: r.Filtered}
		if s.isPast() {
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
	var out []mta.Report
	for _, server := range []struct {
		named, dir string
		look       func(mta.Host, string, mta.Daemon) (mta.Report, bool)
	}{{c.MTA.Postfix, PostfixDir, mta.Postfix}, {c.MTA.Sendmail, SendmailDir, mta.Sendmail}} {
		dir := server.dir
		if server.named != "" {
			var err error
			if dir, err = filepath.Abs(server.named); err != nil {
				return nil, err
			}
		}
		report, found := server.look(host, dir, asMTASees(c.cfg))
		switch {
		case found:
			out = append(out, report)
		case server.named != "":
			return nil, fmt.Errorf("no configuration of a mail server in %s", dir)
		}
	}
	return out, nil
}

// withoutIdle leaves out a server that has nothing to do with us where another one has: one of the two is only
// installed.
func withoutIdle(reports []mta.Report) []mta.Report {
	isInUse := func(r mta.Report) bool { return r.Filtered > 0 }
	if !slices.ContainsFunc(reports, isInUse) {
		return reports
	}
	return slices.DeleteFunc(reports, func(r mta.Report) bool { return !isInUse(r) && countMTA(r, mta.Error) == 0 })
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

// hasRule returns what tells whether any rule signs mail of an author, whatever else the rule wants.
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
