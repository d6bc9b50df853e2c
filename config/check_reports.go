package config

import (
	"net/url"
	"strings"
)

// checkReports finds settings of [reports] that cannot work.
func (c *checker) checkReports() {
	r := c.Reports
	if r.Send && !r.Collect {
		c.problem(c.place("reports.send"), "needs collect = true: without it there is nothing to "+
			"report")
	}
	if r.Send && r.From == "" {
		c.problem(c.place("reports.send"),
			"needs from, the sender of reports, such as \"dmarc@reports.example.com\"")
	}
	if len(r.Failure.Domains) > 0 && !r.Send {
		c.problem(c.place("reports.failure.domains"),
			"needs send = true in [reports]: failure reports go out the same way")
	}
	if r.Collect && !c.Verifies() {
		c.problem(c.place("reports.collect"),
			"needs \"verify\" in mode: only mail that is judged is reported")
	}
	if !isLoopback(r.SMTP) {
		c.problem(c.place("reports.smtp"),
			"%s is not on this host: reports are handed to the mail server on this host, which "+
				"queues them and retries", r.SMTP)
	}
	if len(r.Alerts.To) > 0 && r.From == "" {
		c.problem(c.place("reports.alerts.to"),
			"needs reports.from, the sender of the mail, such as \"dmarc@reports.example.com\"")
	}
	c.checkReportsWeb()
	c.checkGroups()
	isKnown := strings.HasPrefix(r.Store, "sqlite:") || strings.HasPrefix(r.Store, "postgres://") ||
		strings.HasPrefix(r.Store, "postgresql://")
	if !isKnown {
		c.problem(c.place("reports.store"), "must begin with \"sqlite:\" or \"postgres://\", "+
			"such as \"sqlite:/path/reports.db\" or \"postgres://USER@HOST/DATABASE\"")
	}
}

// checkGroups finds groups of domains that the page cannot tell apart, and those without domains.
func (c *checker) checkGroups() {
	seen := map[string]bool{}
	for i, g := range c.Reports.Web.Groups {
		at := c.place("reports.web.group").index(i)
		switch {
		case g.Name == "":
			c.problem(at, "needs a name")
		case seen[g.Name]:
			c.problem(at, "the name %q is given twice: names of groups must differ", g.Name)
		case len(g.Domains) == 0:
			c.problem(at, "the group %q needs domains", g.Name)
		}
		seen[g.Name] = true
	}
}

// checkTest finds a [test] that would answer nothing.
func (c *checker) checkTest() {
	t := c.Test
	if t.Address != "" && !c.Verifies() {
		c.problem(c.place("test.address"),
			"needs \"verify\" in mode: only mail that is judged can be answered")
	}
	if t.Reply == TestAccept && t.PageURL == "" {
		c.problem(c.place("test.reply"),
			"\"accept\" needs page_url: without it, a test gets no answer")
	}
	if t.AnswerByMail && t.PageURL == "" {
		c.problem(c.place("test.answer_by_mail"),
			"needs page_url: the answer is made from the data of the page")
	}
	if t.PageURL != "" {
		c.checkTestPages()
	}
}

// checkTestPages finds pages that no visitor would reach.
func (c *checker) checkTestPages() {
	t := c.Test
	u, err := url.Parse(t.PageURL)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" ||
		u.RawQuery != "" || u.Fragment != "":
		c.problem(c.place("test.page_url"),
			"%q is not a URL such as \"https://mx.example.com\"", t.PageURL)
	case len(t.PageURL) > maxPageURL:
		c.problem(c.place("test.page_url"),
			"is longer than %d characters: it must fit into a line of a reply", maxPageURL)
	}
	if t.Address == "" {
		c.problem(c.place("test.page_url"), "needs address: without it there are no tests")
	}
	if t.PageAddress == "" {
		c.problem(c.place("test.page_url"),
			"needs page_address, where \"mailseal reports serve\" serves the pages")
		return
	}
	if (t.Certificate == "") != (t.Key == "") {
		c.problem(c.place("test.certificate"), "certificate and key must be set together")
	}
	if !strings.HasPrefix(t.PageAddress, "unix:") {
		if _, err := parseHostPort(t.PageAddress); err != nil {
			c.problem(c.place("test.page_address"),
				"%q is neither a host and a port, such as \"127.0.0.1:8027\", nor \"unix:\" and a path", t.PageAddress)
		}
	}
}

// checkParked warns of domains that send no mail, and that we sign for.
func (c *checker) checkParked() {
	for i, d := range c.Reports.Intake.Parked {
		for name, k := range c.Keys {
			if k.Domain == d {
				c.warn(c.place("reports.intake.parked").index(i),
					"%s is in parked, so it should send no mail, but there is a key %q for it: "+
						"remove it from parked, or remove the key", d,
					name)
				break
			}
		}
	}
}

// maxPageURL keeps the address of a page on one line of a reply, in bytes.
const maxPageURL = 300

// checkReportsWeb finds settings of the pages that cannot work.
func (c *checker) checkReportsWeb() {
	w := c.Reports.Web
	if w.Address == "" {
		return
	}
	if w.TokenFile == "" && w.Htpasswd == "" && w.ProxyHeader == "" {
		c.problem(c.place("reports.web.address"),
			"needs token_file, htpasswd or proxy_header: no user could sign in")
	}
	if (w.Certificate == "") != (w.Key == "") {
		c.problem(c.place("reports.web.certificate"), "certificate and key must be set together")
	}
	if strings.HasPrefix(w.Address, "unix:") {
		return
	}
	if _, err := parseHostPort(w.Address); err != nil {
		c.problem(c.place("reports.web.address"), "%q is neither a host and a port, such as "+
			"\"127.0.0.1:8026\", nor \"unix:\" and a path", w.Address)
		return
	}
	if !isLoopback(w.Address) && w.Certificate == "" {
		c.problem(c.place("reports.web.address"), "%s is not on loopback: set certificate and "+
			"key, so that passwords are not sent in the clear", w.Address)
	}
}
