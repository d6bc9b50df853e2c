package config

import (
	"net/netip"
	"slices"
	"time"

	"mailseal/milter/action"
)

// checkReachOfLists finds lists of clients and addresses that take in everything, so that they are
// no condition, and lists that take one another's mail away.
func (c *checker) checkReachOfLists() {
	c.warnWide("ours.networks", c.Ours.Networks, "every client is ours: strangers' mail with an "+
		"author at your domains is signed, and no mail is judged; for a socket that only "+
		`submission uses, set role = "ours" in [[listen]] instead`)
	c.warnWide("relays.networks", c.Relays.Networks, "every client is a relay: SPF and DMARC are "+
		"judged for no mail, and strangers' Authentication-Results are trusted")
	c.warnWide("exempt.networks", c.Exempt.Networks,
		"every client is exempt: no mail is signed or judged")
	c.warnWide("policy.not_judged.networks", c.Policy.NotJudged.Networks,
		"no policy is applied to any mail")
	c.warnAll("policy.not_judged.senders", c.Policy.NotJudged.Senders,
		"no policy is applied to mail that has a sender")
	c.warnAll("policy.not_judged.recipients", c.Policy.NotJudged.Recipients,
		"no policy is applied to any mail")
	c.warnAll("signing.unsigned_recipients", c.Signing.UnsignedRecipients, "no mail is signed")
	for i := range c.Sign {
		c.checkConditions(&c.Sign[i])
	}
	c.warnCovered("exempt.networks", c.Exempt.Networks, "relays.networks", c.Relays.Networks,
		"exempt comes before relays: its mail is left alone")
	c.warnCovered("exempt.networks", c.Exempt.Networks, "ours.networks", c.Ours.Networks,
		"exempt comes before ours: its mail is not signed")
	c.warnCovered("relays.networks", c.Relays.Networks, "ours.networks", c.Ours.Networks,
		"relays come before ours.networks: its mail is not signed")
}

func (c *checker) warnWide(path string, networks []netip.Prefix, effect string) {
	if isNearlyAll(networks) {
		c.warn(c.place(path), "contains most of the Internet: %s", effect)
	}
}

// isAll reports whether address patterns take in every address.
func isAll(patterns []string) bool { return slices.Contains(patterns, "*") }

func (c *checker) warnAll(path string, patterns []string, effect string) {
	if isAll(patterns) {
		c.warn(c.place(path), `"*" matches every address: %s`, effect)
	}
}

// checkConditions looks whether conditions of a rule leave any mail out.
func (c *checker) checkConditions(r *Rule) {
	if isNearlyAll(r.When.Networks) {
		c.warn(r.at.key("when").key("networks"), "contains most of the Internet, so it is not a "+
			"condition")
	}
	if isAll(r.When.Recipients) {
		c.warn(r.at.key("when").key("recipients"),
			`"*" matches every address, so it is not a condition`)
	}
	if isAll(r.When.Senders) {
		c.warn(r.at.key("when").key("senders"),
			`"*" matches every address except the null sender of bounces`)
	}
}

// restricts reports whether any condition leaves mail out.
func (w When) restricts() bool {
	return len(w.Networks) > 0 && !isNearlyAll(w.Networks) ||
		len(w.Recipients) > 0 && !isAll(w.Recipients) ||
		len(w.Senders) > 0 && !isAll(w.Senders) || len(w.DaemonNames)+len(w.Logins)+
		len(w.ListIDs) > 0
}

// restricts reports whether any condition leaves mail out.
func (o *Override) restricts() bool {
	return len(o.Networks) > 0 && !isNearlyAll(o.Networks) ||
		len(o.Senders) > 0 && !isAll(o.Senders) ||
		len(o.Recipients) > 0 && !isAll(o.Recipients) ||
		len(o.Hosts)+len(o.AuthorDomains)+len(o.ListIDs)+len(o.Sealers) > 0
}

// isNearlyAll reports whether networks take in at least half of the addresses of IPv4, or of those
// of IPv6 that are in use (2000::/3): a list such as 0.0.0.0/1 and 128.0.0.0/1 is 0.0.0.0/0.
func isNearlyAll(networks []netip.Prefix) bool {
	inUse := netip.MustParsePrefix("2000::/3")
	var share4, share6 float64
	for i, n := range networks {
		if slices.ContainsFunc(networks[:i], func(m netip.Prefix) bool { return covers(m, n) }) {
			continue
		}
		switch {
		case n.Addr().Is4():
			share4 += fraction(n.Bits())
		case covers(n, inUse):
			share6++
		case covers(inUse, n):
			share6 += fraction(n.Bits() - inUse.Bits())
		}
	}
	return share4 >= 0.5 || share6 >= 0.5
}

// fraction is what part of all addresses a network with so many fixed bits holds.
func fraction(bits int) float64 {
	if bits > 60 {
		return 0
	}
	return 1 / float64(uint64(1)<<bits)
}

// covers reports whether every address of inner is in outer.
func covers(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// warnCovered names the networks of one list that another list, which is looked at first, takes
// away.
func (c *checker) warnCovered(outerPath string, outer []netip.Prefix, innerPath string,
	inner []netip.Prefix, effect string) {
	if isNearlyAll(outer) {
		return // which is said
	}
	for i, n := range inner {
		at := slices.IndexFunc(outer, func(o netip.Prefix) bool { return covers(o, n) })
		if at < 0 {
			continue
		}
		place := c.place(outerPath).index(at)
		if !c.isSet(outerPath) {
			place = c.place(innerPath).index(i)
		}
		c.warn(place, "%s contains %s of %s, and %s", outer[at], n, innerPath, effect)
	}
}

// checkTwice wants each key of a rule once: a second signature like the first says nothing.
func (c *checker) checkTwice(r *Rule) {
	for i, name := range r.Keys {
		if name != "" && slices.Contains(r.Keys[:i], name) {
			c.problem(r.at.key("keys").index(i), "%q is already in the list", name)
		}
	}
}

// deadline is a time that holds another one.
type deadline struct {
	path, effect string
	time         time.Duration
	holds        time.Duration
	what         string // what is held, for people
}

// checkDeadlines finds times that end before what they hold.
func (c *checker) checkDeadlines() {
	l := c.Limits
	all := []deadline{
		{"limits.message_deadline", "the message is deferred before a slow DNS server has answered",
			l.MessageDeadline, c.DNS.Timeout, "dns.timeout"},
		{"limits.drain_hard", "messages that are being judged when the daemon stops are cut off, and deferred",
			l.DrainHard, l.MessageDeadline, "limits.message_deadline"},
		{"limits.idle", "connections end while the MTA receives the body of a message", l.Idle,
			l.Packet, "limits.packet"},
	}
	for _, d := range all {
		if d.time >= d.holds {
			continue
		}
		if c.isSet(d.path) {
			c.warn(c.place(d.path), "\"%s\" is shorter than %s, \"%s\": %s", Days(d.time), d.what,
				Days(d.holds), d.effect)
		} else {
			c.warn(c.place(d.what), "\"%s\" is longer than %s, \"%s\": %s", Days(d.holds), d.path,
				Days(d.time), d.effect)
		}
	}
	c.checkSourceTimes()
	c.checkRotationTimes()
	c.checkExpiry()
}

// set returns the place of the first of two settings that is in a file.
func (c *checker) set(a, b string) place {
	if c.isSet(a) {
		return c.place(a)
	}
	return c.place(b)
}

func (c *checker) checkSourceTimes() {
	for _, s := range c.Sources {
		if s.Timeout > c.Limits.MessageDeadline {
			c.warn(s.at, "timeout is longer than limits.message_deadline = \"%s\", after which a "+
				"message is deferred in any case", Days(c.Limits.MessageDeadline))
		}
	}
}

func (c *checker) checkRotationTimes() {
	r := c.Rotation
	if r.Every > 0 && r.Every <= r.Publish {
		c.warn(c.set("rotation.every", "rotation.publish"),
			"rotation.every = \"%s\" is not longer than rotation.publish = \"%s\": each key would "+
				"have to be replaced before its successor may sign", Days(r.Every), Days(r.Publish))
	}
	if n := len(r.Servers); n > 0 && r.MayBeSilent >= n {
		c.warn(c.place("rotation.may_be_silent"),
			"is %d of %d servers: at least one must always answer", r.MayBeSilent, n)
	}
}

// checkExpiry finds signatures that end before mail does that waits in a queue.
func (c *checker) checkExpiry() {
	short := func(d time.Duration) bool { return d > 0 && d < queueTime }
	text := "\"%s\" is shorter than mail may wait in the queues of Postfix and Sendmail " +
		"(\"%s\"): a signature that has expired on the way does not verify"
	if short(c.Signing.Expiry) {
		c.warn(c.place("signing.expiry"), text, Days(c.Signing.Expiry), Days(queueTime))
	}
	for i := range c.Sign {
		if r := &c.Sign[i]; r.has("expiry") && short(r.Expiry) {
			c.warn(r.at.key("expiry"), text, Days(r.Expiry), Days(queueTime))
		}
	}
}

// checkRoles finds listeners whose mail the mode leaves alone, and sources that nothing asks.
func (c *checker) checkRoles() {
	for i := range c.Listen {
		l := &c.Listen[i]
		switch {
		case l.Role == action.RoleOurs && !c.Signs():
			c.warn(l.at.key("role"), `is "ours", but mode does not contain "sign": its mail is not signed`)
		case (l.Role == action.RoleTheirs || l.Role == action.RoleRelay) && !c.Verifies():
			c.warn(l.at.key("role"), `is "%s", but mode does not contain "verify": its mail is not judged`,
				l.Role)
		}
	}
	for name, s := range c.Sources {
		inRules := slices.ContainsFunc(c.Sign, func(r Rule) bool { return r.Source == name })
		inKeys := false
		for _, k := range c.Keys {
			inKeys = inKeys || k.Source == name
		}
		if !inRules && !inKeys {
			c.warn(s.at, "no rule and no key uses this source: set source = %q there", name)
		}
	}
}
