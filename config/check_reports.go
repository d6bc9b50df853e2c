package config

import "strings"

// checkReports finds settings of [reports] that cannot work.
func (c *checker) checkReports() {
	r := c.Reports
	if r.Send && !r.Collect {
		c.problem(c.place("reports.send"), "needs collect = true: there is nothing to report otherwise")
	}
	if r.Send && r.From == "" {
		c.problem(c.place("reports.send"), "needs from, the sender of reports, such as \"dmarc@reports.example.com\"")
	}
	if r.Collect && !c.Verifies() {
		c.problem(c.place("reports.collect"), "needs \"verify\" in mode: only mail that is judged is reported")
	}
	if !isLoopback(r.SMTP) {
		c.problem(c.place("reports.smtp"),
			"%s is not on this host: reports are handed to the mail server here, which queues and retries", r.SMTP)
	}
	isKnown := strings.HasPrefix(r.Store, "sqlite:") || strings.HasPrefix(r.Store, "postgres://") ||
		strings.HasPrefix(r.Store, "postgresql://")
	if !isKnown {
		c.problem(c.place("reports.store"), "begins with neither \"sqlite:\" nor \"postgres://\"")
	}
}
