package check

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/remedy"
	"mailseal/config"
	"mailseal/milter/domain"
)

// identity finds out under which names the results of judging go, and whether a stranger could
// write results under them.
func (c *checker) identity() {
	if !c.cfg.Verifies() {
		return
	}
	if c.cfg.AuthservID != "" {
		c.result.IDs = []string{c.cfg.AuthservID} // package config warns of a short one
		return
	}
	// does any MTA call itself by a name that is not a full one, or one that is not known?
	unsure := false
	for _, s := range c.result.MTAs {
		if domain.IsFull(s.Name) {
			c.result.addID(s.Name)
		} else {
			unsure = true
		}
	}
	fallback := c.cfg.ServerName()
	if unsure || len(c.result.MTAs) == 0 {
		c.result.addID(fallback)
	}
	setting := place{file: c.File, setting: "authserv_id"}
	if others := manyMTAs(c.cfg, c.result.IDs); others != "" {
		f := finding(IDSeveral, setting, others)
		f.Fix = remedy.AuthservID(c.fullName())
		c.report(f)
		return
	}
	if !domain.IsFull(fallback) && slices.Contains(c.result.IDs, fallback) {
		f := finding(IDShort, setting, fallback)
		f.Fix = remedy.AuthservID("")
		c.report(f)
	}
}

// fullName is the name that would be the best authserv-id, "" when none is known.
func (c *checker) fullName() string {
	if c.cfg.Host.Full != "" {
		return c.cfg.Host.Full
	}
	for _, id := range c.result.IDs {
		if domain.IsFull(id) {
			return id
		}
	}
	return ""
}

func (r *Result) addID(id string) {
	if !slices.ContainsFunc(r.IDs, func(have string) bool { return strings.EqualFold(have, id) }) {
		r.IDs = append(r.IDs, id)
	}
}

// manyMTAs describes why MTAs of several names may connect: several on this host, or a
// socket that other hosts can reach. It returns "" if only one does.
func manyMTAs(cfg *config.Config, names []string) string {
	if len(names) > 1 {
		return strings.Join(names, ", ")
	}
	for _, l := range cfg.Listen {
		host, _, err := net.SplitHostPort(l.Target)
		if !strings.HasPrefix(l.Network, "tcp") || err != nil || host == "localhost" {
			continue
		}
		if a, err := netip.ParseAddr(host); err != nil || !a.IsLoopback() {
			return "other hosts reach " + l.Address
		}
	}
	return ""
}
