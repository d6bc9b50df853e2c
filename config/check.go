package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailseal/milter/action"
	"mailseal/milter/domain"
)

// checker resolves references between settings, and finds contradictions between them.
// Values that are invalid by themselves were reported by the decoder; nothing is reported
// twice.
type checker struct {
	*decoder
	*Config
	main *file
}

// place returns the place of a setting, or where it would be in the main file.
func (c *checker) place(path string) place {
	if at, ok := c.seen[path]; ok {
		return at
	}
	return place{c.main, path}
}

// isSet reports whether a setting is in a file, rightly or wrongly.
func (c *checker) isSet(path string) bool { _, ok := c.seen[path]; return ok }

func (c *checker) warn(at place, format string, args ...any) {
	c.Warnings = append(c.Warnings, at.problem(fmt.Sprintf(format, args...)))
}

func (c *checker) check() {
	c.checkDaemon()
	c.checkListeners()
	c.checkSources()
	c.checkKeys()
	c.checkSimple()
	c.checkTables()
	c.checkSigning()
	c.checkRules()
	c.checkSenders()
	c.checkRotation()
	c.checkSeal()
	c.checkOverrides()
	c.checkAuthors()
	c.checkExpressions()
	c.checkMode()
	c.checkRequirements()
	c.checkReachOfLists()
	c.checkRoles()
	c.checkDeadlines()
	c.checkParked()
}

func (c *checker) checkDaemon() {
	if c.Control.Address == "" {
		c.Control.Address = filepath.Join(c.StateDirectory, ControlName)
	}
	c.Reports.complete()
	c.checkReports()
	c.checkTest()
	c.checkAuthservID()
	for name, values := range c.Ours.Macros {
		if slices.Contains(values, "*") {
			c.Ours.Macros[name] = nil
		}
	}
	if c.Limits.DrainHard < c.Limits.DrainSoft {
		c.problem(c.place("limits.drain_hard"), "is shorter than drain_soft; both count from the "+
			"same moment")
	}
	c.checkKeepResults()
	switch address := c.Metrics.Address; {
	case address == "":
	case c.Metrics.Pprof && !isLoopback(address):
		c.warn(c.place("metrics.pprof"), "lets every client that can connect to %s slow down the "+
			"daemon and read its profiles", address)
	case isOpen(address):
		c.warn(c.place("metrics.address"), "lets every host that can connect to %s read the "+
			"metrics, which name your domains: listen on 127.0.0.1 or a private address, or limit "+
			"access by a firewall", address)
	}
}

// isOpen reports whether hosts of the internet may be able to connect to an address with a port.
func isOpen(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && (addr.IsUnspecified() ||
		addr.IsGlobalUnicast() && !addr.IsPrivate())
}

// checkAuthservID finds names that say too little. What a stranger writes under a name that other
// hosts have as well may be believed by those who read the mail.
func (c *checker) checkAuthservID() {
	c.Host = ThisHost()
	at := c.place("authserv_id")
	if strings.EqualFold(c.AuthservID, "HOSTNAME") {
		if c.Host.Name == "" {
			c.problem(at, "the name of this host is not known; set authserv_id")
			return
		}
		c.AuthservID = c.Host.Name
		if c.Host.Full != "" {
			c.AuthservID = c.Host.Full
		}
	}
	if c.AuthservID != "" && !domain.IsFull(c.AuthservID) {
		c.warn(at, "%q is not a full host name, so others may use it, too, and results under it can be forged: %s",
			c.AuthservID,
			"readers cannot know which host is meant; write one such as \"mx.example.com\"")
	}
}

// checkKeepResults finds networks that have no effect, since no client in them is ours by its
// address.
func (c *checker) checkKeepResults() {
	if !c.isSet("ours.keep_results") || len(c.Ours.Hosts) > 0 {
		return
	}
	for i, p := range c.Ours.KeepResults {
		isOurs := slices.ContainsFunc(c.Ours.Networks, p.Overlaps)
		if !isOurs && !p.Addr().IsLoopback() {
			c.warn(c.place("ours.keep_results").index(i),
				"has no effect: %s is not in ours.networks; for a host that is not ours, use "+
					"relays.networks", p)
		}
	}
}

func isLoopback(hostPort string) bool {
	a, err := netip.ParseAddrPort(hostPort)
	return err == nil && a.Addr().IsLoopback() || strings.HasPrefix(hostPort, "localhost:")
}

// SignsNothing reports whether the configuration is to sign, which is the default, but has no rule
// that could.
func (c *Config) SignsNothing() bool {
	return len(c.Sign) == 0 && c.SigningTable == "" && c.Signs()
}

func (c *checker) checkMode() {
	if len(c.Mode) == 0 {
		return // which the decoder has refused
	}
	switch {
	case c.SignsNothing() && c.isSet("mode"):
		c.warn(c.place("mode"), "contains \"sign\", but no rule signs anything; if this host only "+
			"judges mail, write mode = \"verify\"")
	case c.SignsNothing():
		c.warn(place{file: c.main}, "no rule signs anything: our own mail goes unsigned; if this "+
			"host only judges mail, write mode = \"verify\"")
	}
}

// checkSimple turns domain, selector and key_file into the keys and rules that they stand for.
func (c *checker) checkSimple() {
	names := []string{"domain", "selector", "key_file"}
	var have, missing []string
	for _, n := range names {
		if c.isSet(n) {
			have = append(have, n)
		} else {
			missing = append(missing, n)
		}
	}
	switch {
	case len(have) == 0:
		return
	case len(missing) > 0:
		c.problem(c.place(have[0]), "needs %s, too", strings.Join(missing, " and "))
		return
	case len(c.Keys) > 0 || len(c.Sign) > 0 || c.isSet("signing_table") || c.isSet("key_table"):
		c.problem(c.place("domain"), "is the short way to sign, and cannot be combined with "+
			"[keys], [[sign]] or OpenDKIM's tables")
		return
	}
	c.Keys = map[string]Key{}
	for i, domain := range c.Domain {
		at := placed{at: c.place("domain")}
		name := c.Selector + "._domainkey." + domain
		if _, twice := c.Keys[name]; twice {
			c.problem(at.at.index(i), "%q is listed twice", domain)
		}
		c.Keys[name] = Key{Domain: domain, Selector: c.Selector, File: c.KeyFile,
			placed: placed{at: c.place("key_file"), whole: true}}
		c.Sign = append(c.Sign, Rule{From: []string{"*@" + domain}, Keys: []string{name},
			placed: at})
	}
}

// checkTables looks at OpenDKIM's tables by name only.
func (c *checker) checkTables() {
	key, signing := c.isSet("key_table"), c.isSet("signing_table")
	switch {
	case key && !signing:
		c.problem(c.place("key_table"), "needs signing_table, too")
	case signing && !key:
		c.problem(c.place("signing_table"), "needs key_table, too")
	case key && (len(c.Keys) > 0 || len(c.Sign) > 0) && !c.isSet("domain"):
		c.problem(c.place("key_table"), "cannot be combined with [keys] and [[sign]]; mailseal "+
			"import-opendkim converts the tables into those")
	}
	if c.MultipleSignatures {
		c.checkMultiple(signing)
	}
}

// checkMultiple has OpenDKIM's name for match = "all" mean just that.
func (c *checker) checkMultiple(hasTable bool) {
	switch {
	case !hasTable: // see requirements
	case c.isSet("signing.match") && c.Signing.Match == MatchFirst:
		c.problem(c.place("signing.match"),
			`is "first", but with multiple_signatures all lines sign; remove one of the two`)
	default:
		c.Signing.Match = MatchAll
	}
}

func (c *checker) checkSenders() {
	if c.Senders.Require == action.SenderLogin && len(c.Senders.Logins) == 0 &&
		!c.isSet("senders.logins") {
		c.problem(c.place("senders.require"), "needs senders.logins, which lists the addresses "+
			"of each login")
	}
}

func (c *checker) checkRotation() {
	kinds := map[string]string{}
	for i, a := range c.Rotation.Algorithms {
		kind := strings.TrimRight(a, "0123456789")
		if before, ok := kinds[kind]; ok && a != "" {
			c.problem(c.place("rotation.algorithms").index(i), "%s and %s would get the same "+
				"selector", before, a)
		}
		kinds[kind] = a
	}
	c.checkOverlap()
	if len(kinds) > 1 && c.Rotation.Selector != "" &&
		!strings.Contains(c.Rotation.Selector, "{alg}") {
		c.problem(c.place("rotation.selector"), "needs {alg}, since there is a key of each of %s",
			quotedList(c.Rotation.Algorithms))
	}
}

// queueTime is how long mail without an expiry is on its way: what RFC 5321 section 4.5.4.1 asks of
// queues, and the default of Postfix and Sendmail.
const queueTime = 5 * 24 * time.Hour

// checkOverlap finds keys that are revoked while mail that they signed may still arrive.
func (c *checker) checkOverlap() {
	for i, r := range c.Sign {
		need, why := r.Expiry, "its signatures are valid for"
		if need == 0 {
			need, why = queueTime, "mail stays in queues for up to"
		}
		if r.Managed != "" && c.Rotation.Overlap < need {
			c.warn(c.place("rotation.overlap"), "sign[%d]: %s %s, but a key that no longer signs "+
				"is revoked after %s: mail that is still on its way then does not verify; set "+
				"overlap = \"%s\"",
				i, why, Days(need), Days(c.Rotation.Overlap), Days(need))
			return
		}
	}
}

// Days writes a duration as people write it in a file: whole days, where it has no others.
func Days(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	return d.String()
}

// checkSeal finds the identity under which we seal.
func (c *checker) checkSeal() {
	if c.Seal.Key == "" {
		return
	}
	k, ok := c.Keys[c.Seal.Key]
	if !ok {
		if c.KeyTable == "" {
			c.problem(c.place("seal.key"), "there is no key %q%s", c.Seal.Key,
				c.guess.nearest(c.Seal.Key, maps.Keys(c.Keys)))
		}
		return
	}
	if c.Seal.Domain == "" && !c.isSet("seal.domain") {
		if c.Seal.Domain = k.Domain; k.Domain == "%" || k.Domain == "" {
			c.problem(c.place("seal.key"), "%q has no domain of its own; set seal.domain",
				c.Seal.Key)
		}
	}
	if c.Seal.Selector == "" && !c.isSet("seal.selector") {
		if c.Seal.Selector = k.Selector; k.Selector == "" {
			c.problem(c.place("seal.key"), "%q has no selector of its own; set seal.selector",
				c.Seal.Key)
		}
	}
}

// checkOverrides gives overrides what they leave to the policy.
func (c *checker) checkOverrides() {
	for i := range c.Policy.Overrides {
		o := &c.Policy.Overrides[i]
		mergeActions(&o.SPF, c.Policy.SPF)
		mergeActions(&o.IPRev, c.Policy.IPRev)
		mergeActions(&o.DKIM, c.Policy.DKIM)
		mergeActions(&o.DMARC, c.Policy.DMARC)
		if !o.restricts() && !c.hasProblem(o.at, overrideConditions...) {
			c.problem(o.at, "matches all mail; it needs a condition, one of %s",
				quotedList(overrideConditions))
		}
		if !o.has("action", "spf", "iprev", "dkim", "dmarc") {
			c.problem(o.at, "changes nothing; it needs one of action, spf, iprev, dkim and dmarc")
		}
	}
}

// overrideConditions are the settings of an override of which it needs one.
var overrideConditions = []string{"networks", "hosts", "senders", "recipients", "author_domains",
	"list_ids", "sealers"}

// hasProblem reports whether one of some settings of a table has been found wrong already.
func (c *checker) hasProblem(table place, names ...string) bool {
	return slices.ContainsFunc(c.problems, func(p Problem) bool {
		setting, _, _ := strings.Cut(strings.TrimPrefix(p.Path, table.path+"."), "[")
		return table.file != nil && p.File == table.file.name && slices.Contains(names, setting)
	})
}

// checkAuthors has mail with many domains in From treated as mail that fails where the domain asks
// for rejection, and warns where a forger gets off in another way with many domains.
func (c *checker) checkAuthors() {
	one := c.Policy.DMARC.Reject
	if !c.isSet("policy.many_authors") {
		c.Policy.ManyAuthors = one
	}
	if many := c.Policy.ManyAuthors; many != one && many.IsValid() && one.IsValid() {
		c.warn(c.place("policy.many_authors"), "is %q, but policy.dmarc.p_reject is %q: a forger "+
			"can choose between them by the number of domains in From; without many_authors both are %q",
			many, one, one)
	}
}

// has reports whether the table has one of the settings itself.
func (p placed) has(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return p.given[n] })
}
