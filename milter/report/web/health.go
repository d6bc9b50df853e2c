package web

import (
	"html/template"

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
)

var healthWords = []struct{ word, class string }{
	{"FAIL", "w-fail"},
	{"NO DATA", "w-nodata"},
	{"WARN", "w-warn"},
	{"READY", "w-ready"},
	{"OK", "w-ok"},
	{"QUIET", "w-quiet"},
}

// word is a word in a box whose weight follows its urgency.
func word(class, text string) template.HTML {
	return template.HTML(`<span class="w `+class+`">`) + plain(text) + `</span>` //nolint:gosec // classes of ours
}

// health is the state of a domain: a word, the largest cause as a sentence, and where it is mended.
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

// healthOf is the rule list of the health words.
func (x *facts) healthOf() health {
	d := x.domain
	page := domainURL(d.Name)
	if d.First == 0 && x.total.Messages == 0 && !d.Parked {
		why := d.NoReports
		if why == "" {
			why = "No receiver has ever reported on it. Check that its DMARC record has rua, and " +
				"that the mailbox is read."
		}
		return health{level: healthNoData, why: plain(why), short: "no receiver reports on it",
			fix: "See what is missing", fixURL: page}
	}
	if s := x.worst(); s != nil {
		h := health{level: healthWarn, fix: s.cause.Fix, fixURL: sourceURL(d.Name, s.Name),
			why: say("%s: %s. %s", mono(s.Name),
				plain(advice.Plural(s.Messages, "message", "messages")), prose(s.cause.Text)),
			short: advice.Count(max(s.Fail(), s.SPFOnly())) + " messages of " + s.Name + ": " + s.cause.Word}
		enforcing := d.Policy.Step >= advice.Quarantine
		if s.cause.Severity == advice.Fault && (enforcing || s.cause.Code == "key-missing") && s.Class != advice.Spoof {
			h.level = healthFail
		}
		return h
	}
	if h, late := x.silent(); late {
		return h
	}
	switch {
	case d.Parked || x.total.Messages == 0:
		return health{level: healthQuiet}
	case x.advice.Kind == advice.Ready:
		return health{level: healthReady, why: prose(x.advice.Sentence),
			short: "can tighten its policy", fix: "See the record",
			fixURL: page + "#advice"}
	case x.advice.Kind == advice.Retreat:
		return health{level: healthWarn, why: prose(x.advice.Sentence),
			short: "its policy is stricter than RFC 9989 advises",
			fix:   "See the advice", fixURL: page + "#advice"}
	case d.Policy.Step == advice.None && d.Known && x.now-d.Policy.Since > oldMonitoring:
		return health{level: healthWarn, short: "p=none protects no one", fix: "See the advice",
			fixURL: page + "#advice",
			why: say("p=none for %s days protects no one. %s", int64(x.now-d.Policy.Since),
				prose(x.advice.Sentence))}
	}
	return health{level: healthOK}
}

// worst returns the source that needs attention most, or nil.
func (x *facts) worst() *source {
	for i := range x.sources {
		s := &x.sources[i]
		if s.Messages < 20 || s.cause.Severity == advice.Harmless || s.cause.Fix == "" {
			continue
		}
		return s
	}
	return nil
}

// silent finds a receiver that reported daily and does not any more.
func (x *facts) silent() (health, bool) {
	for _, r := range x.reporter {
		if gap := x.now - r.Last; r.Days*10 >= 6*int(x.filter.To-x.filter.From+1) && gap > 4 {
			return health{level: healthWarn, short: r.Receiver + " fell silent", fix: "See the receivers",
				why: say("%s reported daily and has been silent since %s.", mono(r.Receiver),
					dayHTML(r.Last, x.now)),
				fixURL: domainURL(x.domain.Name) + "#receivers"}, true
		}
	}
	return health{}, false
}
