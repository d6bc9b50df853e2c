package check

import (
	"net/netip"
	"slices"

	"mailseal/cmd/mailseal/remedy"
	"mailseal/config/mta"
	"mailseal/config/tables"
)

// ours finds networks that make all mail ours, whatever the mail server relays for.
func (c *checker) ours() {
	everyone := func(n netip.Prefix) bool { return tables.IsEveryone(n) }
	for _, n := range c.cfg.Ours.Networks {
		if everyone(n) && c.cfg.Signs() {
			f := finding(OursEveryone, at(c.cfg.Problem("ours.networks", "")), n)
			rest := slices.DeleteFunc(slices.Clone(c.cfg.Ours.Networks), everyone)
			if len(rest) == 0 {
				rest = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"),
					netip.MustParsePrefix("::1/128")}
			}
			f.Fix = remedy.MailServer(mta.Networks(rest))
			c.report(f)
			return
		}
	}
}

// allClientsOurs reports whether ours has something to report.
func (c *checker) allClientsOurs() bool {
	return c.cfg.Signs() && slices.ContainsFunc(c.cfg.Ours.Networks, tables.IsEveryone)
}
