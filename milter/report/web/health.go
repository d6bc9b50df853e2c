package web

import (
	"cmp"
	"html/template"
	"strings"

	"mailseal/milter/report/advice"
)

// Health words, from the most urgent on. The order is that of the overview.
const (
	healthFail = iota
	healthNoData
	healthWarn
	healthReady
	healthOK
	healthQuiet
	healthNew // not judged yet
)

var healthWords = []struct{ word, class string }{
	{"FAIL", "w-fail"},
	{"NO DATA", "w-nodata"},
	{"WARN", "w-warn"},
	{"READY", "w-ready"},
	{"OK", "w-ok"},
	{"QUIET", "w-quiet"},
	{"not judged yet", "w-nodata"},
}

// word is a word in a box whose weight follows its urgency.
func word(class, text string) template.HTML {
	return template.HTML(`<span class="w `+class+`">`) + plain(text) +
		`</span>` //nolint:gosec // classes of ours
}

// health is the state of a domain: a word, the largest cause as a sentence, and where it is
// corrected.
type health struct {
	level  int
	why    template.HTML
	short  string // for the sentence at the top
	fix    string
	fixURL string
}

func (h health) word() template.HTML {
	w := healthWords[h.level]
	return word(w.class, w.word)
}

// oldMonitoring is the number of days after which p=none deserves a look.
const oldMonitoring = 90

// grounds are the facts, beside the domain itself, that decide its health: the results of its
// reports of the usual period.
type grounds struct {
	Messages int64
	Worst    *worstSource // that needs attention most, or nil
	Silent   *silence     // a receiver that reported daily and does not any more, or nil
	Kind     advice.Kind
	Sentence string // of the advice
	Unknown  int64  // sources whose owner is not known
	Own      int64  // messages of the domain's own sources
	OwnFail  int64  // of these, those that fail and were not passed on by others
}

// worstSource is a source that needs attention.
type worstSource struct {
	Name               string
	Messages, Affected int64
	Class              advice.Class
	Cause              advice.Cause
}

// silence is a receiver that stopped reporting, and the last day on which it reported.
type silence struct {
	Receiver string
	Last     advice.Day
}

// grounds returns the facts that decide the health of the domain.
func (x *facts) grounds() grounds {
	if x.stored != nil {
		return x.stored.Grounds
	}
	g := grounds{Messages: x.total.Messages, Worst: x.worst(), Silent: x.silent(),
		Kind:     x.advice.Kind,
		Sentence: cmp.Or(x.advice.Brief, x.advice.Sentence)}
	for i := range x.sources {
		s := &x.sources[i]
		if s.Class == advice.Unknown {
			g.Unknown++
		}
		if s.Class.IsOwn() {
			g.Own += s.Messages
			g.OwnFail += max(0, s.Fail()-s.counts.Forwarded-s.counts.Listed)
		}
	}
	return g
}

// healthOf is the rule list of the health words: the first rule that holds decides, and the rules
// stand in the order of the words.
func (x *facts) healthOf() health {
	if x.stored != nil && x.stored.isNew() {
		return health{level: healthNew}
	}
	d, g := x.domain, x.grounds()
	page := domainURL(d.Name)
	if d.First == 0 && g.Messages == 0 && !d.Parked {
		return d.noData()
	}
	if h, fails := x.failing(); fails {
		return h
	}
	switch {
	case d.Parked && d.Known && g.Kind == advice.Stay:
		return health{level: healthWarn, why: prose(g.Sentence), short: "is parked, and sends mail",
			fix: "See the sources", fixURL: page + "#sources"}
	case g.Worst != nil:
		return g.Worst.health(d)
	case g.Silent != nil:
		return health{level: healthWarn, short: g.Silent.Receiver + " stopped reporting",
			fix: "See the receivers",
			why: say("%s sent reports daily, and none on a day after %s.", mono(g.Silent.Receiver),
				dayHTML(g.Silent.Last, x.now)),
			fixURL: page + "#receivers"}
	case d.DNS != nil && d.DNS.Warnings > 0:
		return d.DNS.health(healthWarn, d.Name)
	case g.Messages == 0 && !d.Parked || d.Parked && (!d.Known || g.Kind != advice.Ready):
		return health{level: healthQuiet}
	case g.Kind == advice.Ready:
		return health{level: healthReady, why: prose(g.Sentence),
			short: "can tighten its policy", fix: "See the record",
			fixURL: page + "#advice"}
	case g.Kind == advice.Retreat:
		return health{level: healthWarn, why: prose(g.Sentence),
			short: "its policy is stricter than RFC 9989 advises",
			fix:   "See the advice", fixURL: page + "#advice"}
	case d.Policy.Step == advice.None && d.Known && x.now-d.Policy.Since > oldMonitoring:
		return health{level: healthWarn, short: "p=none protects no one", fix: "See the advice",
			fixURL: page + "#advice",
			why: say("p=none for %s days protects no one. %s", int64(x.now-d.Policy.Since),
				prose(g.Sentence))}
	}
	return health{level: healthOK}
}

// noData is the health of a domain that no receiver reports on.
func (d Domain) noData() health {
	why := d.NoReports
	if why == "" {
		why = "No receiver has ever sent a report on this domain. Check that its DMARC " +
			"record has rua, and that mail to that address is delivered to Mailseal."
	}
	out := health{level: healthNoData, why: plain(why), short: "no receiver reports on it",
		fix: "See what is missing", fixURL: domainURL(d.Name)}
	if d.DNS != nil && d.DNS.Faults > 0 {
		out.why += " " + d.DNS.health(healthFail, d.Name).why
		out.fixURL += "#checked"
	}
	return out
}

// failing are the rules of FAIL: the policy is gone, mail that is the domain's own fails although
// its policy is enforced, or a record is wrong.
func (x *facts) failing() (health, bool) {
	d, g := x.domain, x.grounds()
	page := domainURL(d.Name)
	enforcing := d.Policy.Step >= advice.Quarantine
	switch {
	case d.Published != nil && d.Published.Gone && d.Known:
		return health{level: healthFail, short: "no valid DMARC record",
			fix: "See the DNS check", fixURL: page + "#checked",
			why: say("The DNS has no DMARC record for %s any more that is valid; reports last "+
				"named %s, on %s. Receivers apply no policy, and soon send no reports.", d.Name,
				plain(d.Policy.Step.String()), dayHTML(d.Last, x.now)) + d.causeInDNS()}, true
	case g.Worst != nil && g.Worst.health(d).level == healthFail:
		return g.Worst.health(d), true
	case enforcing && !d.Parked && g.OwnFail >= fewest && g.OwnFail*100 > g.Own:
		return health{level: healthFail, fix: "See the sources", fixURL: page + "#sources",
			short: advice.Count(g.OwnFail) + " messages of its own sources fail",
			why: say("%s of %s messages of the domain’s own sources fail DMARC (%s%%), and its "+
				"policy is %s.", g.OwnFail, g.Own, plain(advice.Rate(g.OwnFail, g.Own)),
				plain(d.Policy.Step.String()))}, true
	case d.DNS != nil && d.DNS.Faults > 0:
		return d.DNS.health(healthFail, d.Name), true
	}
	return health{}, false
}

// causeInDNS is the worst fault of the last check, with a space before it: why a policy is gone.
func (d Domain) causeInDNS() template.HTML {
	if d.DNS == nil || d.DNS.Faults == 0 {
		return ""
	}
	return " " + d.DNS.health(healthFail, d.Name).why
}

// fewest is the number of messages below which a failure is no reason to act.
const fewest = 20

// health is that of a domain whose records are wrong.
func (c *Checks) health(level int, domain string) health {
	out := health{level: level, short: c.words() + " in the DNS", why: prose(c.Worst),
		fix: "See the DNS check", fixURL: domainURL(domain) + "#checked"}
	if c.Worst == "" {
		out.why = say("The last check of the DNS found %s.", plain(c.words()))
	} else if !strings.HasSuffix(c.Worst, ".") {
		out.why += "."
	}
	if more := c.Faults + c.Warnings - 1; more > 0 && c.Worst != "" {
		out.why += " " + plain(advice.Plural(int64(more), "more finding", "more findings")) + "."
	}
	return out
}

// words counts the worst findings: "2 faults", "1 warning", "no fault".
func (c *Checks) words() string {
	switch {
	case c.Faults > 0:
		return advice.Plural(int64(c.Faults), "fault", "faults")
	case c.Warnings > 0:
		return advice.Plural(int64(c.Warnings), "warning", "warnings")
	}
	return "no fault"
}

// health is that of a domain with such a source.
func (w *worstSource) health(d Domain) health {
	h := health{level: healthWarn, fix: w.Cause.Fix, fixURL: sourceURL(d.Name, w.Name),
		why: say("%s: %s. %s", mono(w.Name),
			plain(advice.Plural(w.Messages, "message", "messages")), prose(w.Cause.Text)),
		short: advice.Count(w.Affected) + " messages of " + w.Name + ": " + w.Cause.Word}
	enforcing := d.Policy.Step >= advice.Quarantine
	if w.Cause.Severity == advice.Fault && (enforcing || w.Cause.Code == "key-missing") &&
		w.Class != advice.Spoof {
		h.level = healthFail
	}
	return h
}

// worst returns the source that needs attention most, or nil.
func (x *facts) worst() *worstSource {
	for i := range x.sources {
		s := &x.sources[i]
		if s.Messages < 20 || s.cause.Severity == advice.Harmless || s.cause.Fix == "" {
			continue
		}
		return &worstSource{Name: s.Name, Messages: s.Messages,
			Affected: max(s.Fail(), s.SPFOnly()),
			Class:    s.Class, Cause: s.cause}
	}
	return nil
}

// silent finds a receiver that reported daily and does not any more.
func (x *facts) silent() *silence {
	for _, r := range x.reporter {
		if gap := x.now - r.Last; advice.IsDaily(r.Days, r.First, r.Last) && gap > 4 {
			return &silence{r.Receiver, r.Last}
		}
	}
	return nil
}
