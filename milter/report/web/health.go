package web

import (
	"html/template"
	"slices"

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
		Sentence: x.advice.Sentence}
	for i := range x.sources {
		if x.sources[i].Class == advice.Unknown {
			g.Unknown++
		}
	}
	return g
}

// healthOf is the rule list of the health words.
func (x *facts) healthOf() health {
	if x.stored != nil && x.stored.isNew() {
		return health{level: healthNew}
	}
	d, g := x.domain, x.grounds()
	page := domainURL(d.Name)
	switch {
	case d.First == 0 && g.Messages == 0 && !d.Parked:
		why := d.NoReports
		if why == "" {
			why = "No receiver has ever sent a report on this domain. Check that its DMARC " +
				"record has rua, and that mail to that address is delivered to Mailseal."
		}
		return health{level: healthNoData, why: plain(why), short: "no receiver reports on it",
			fix: "See what is missing", fixURL: page}
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

// changes lists what changed in the last week.
func changes(all []scored, now interface{ Unix() int64 }) []template.HTML {
	var events []Event
	for _, s := range all {
		for _, e := range s.x.events {
			if now.Unix()-e.At.Unix() <= 7*86400 {
				events = append(events, e)
			}
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int { return b.At.Compare(a.At) })
	var out []template.HTML
	for _, e := range events[:min(8, len(events))] {
		out = append(out, say("%s %s: %s", timeHTML(e.At), e.Domain, esc(e.Text)))
	}
	return out
}
