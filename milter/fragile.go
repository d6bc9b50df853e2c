package milter

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"mailseal/milter/message"
)

// fragility returns what will break the signatures of an outcome behind us, as far as it can be
// seen from the message, and counts each cause: mail servers change some messages after a milter
// has signed them.
func (t *transaction) fragility(o *Outcome) []Event {
	if len(o.Covers) == 0 || !o.Action.GoesOn() {
		return nil
	}
	var causes []Event
	limit := LineLimit(t.env.MTA)
	if t.lines.long || hasLongLine(t.message.Header, limit) && hasLongLine(t.signed(o), limit) {
		causes = append(causes, LongLine)
	}
	if isSendmail(t.env.MTA) && rewritten(t.signed(o)) != "" {
		causes = append(causes, Rewritten)
	}
	if t.message.Body.IsEightBit() && hasMIME(t.message.Header) {
		causes = append(causes, EightBit)
	}
	for _, c := range causes {
		t.in.event(c)
	}
	return causes
}

// signed returns the fields that the signatures of an outcome cover, as they will be.
func (t *transaction) signed(o *Outcome) message.Header {
	h := t.message.Header.With(message.Edits{Change: o.Edits.Change, Remove: o.Edits.Remove})
	return slices.DeleteFunc(h, func(f message.Field) bool {
		return !slices.ContainsFunc(o.Covers, f.Is)
	})
}

// hasMIME reports whether a message has one of the fields for which mail servers convert a body of
// 8 bits. They pass it on as it is without them.
func hasMIME(h message.Header) bool {
	names := []string{"MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
	return slices.ContainsFunc(h, func(f message.Field) bool {
		return slices.ContainsFunc(names, f.Is)
	})
}

// warnFragile has the log warn of each cause, once for an author's domain and hour.
func (t *transaction) warnFragile(o *Outcome, causes []Event) {
	var news []string
	for _, c := range causes {
		if slices.Contains(t.settings.QuietFragile, c) {
			continue
		}
		switch isFirst, isFull := t.in.server.warned.first(o.Author + " " + string(c)); {
		case isFull:
			t.in.log.manyFragile()
		case isFirst:
			news = append(news, t.explain(c, o))
		}
	}
	if len(news) > 0 {
		t.in.log.fragile(t.env, o.Author, news)
	}
}

// explain describes, for an operator, the effect of a cause on the message.
func (t *transaction) explain(cause Event, o *Outcome) string {
	limit := LineLimit(t.env.MTA)
	switch {
	case cause == LongLine && t.lines.long:
		return fmt.Sprintf("long_line: the body has a line of more than %d bytes, which the mail server breaks", limit)
	case cause == LongLine:
		return fmt.Sprintf("long_line: %s has a line of more than %d bytes that cannot be "+
			"folded, which the mail server breaks",
			longField(t.signed(o), limit), limit)
	case cause == Rewritten:
		return fmt.Sprintf("rewritten: Sendmail writes the addresses in %s in its own form",
			rewritten(t.signed(o)))
	}
	return "eight_bit: the body has 8-bit text, which is converted where the next host does not offer 8BITMIME"
}

// longField returns the name of the first field with a line over the limit.
func longField(h message.Header, limit int) string {
	for _, f := range h {
		if len(f.Raw()) > limit && f.LongestLine() > limit {
			return f.Name()
		}
	}
	return ""
}

// hourly knows which texts were new within the last hour. It holds a bounded number of them, and is
// safe for concurrent use. They hold domains of authors for whom a rule signs: where one signs for
// all authors, users choose them.
type hourly struct {
	now  func() time.Time // nil for time.Now
	most int              // texts within an hour; 0: 4,096

	mu     sync.Mutex
	at     map[string]time.Time
	oldest []string  // the keys of at, the oldest first
	full   time.Time // when the log last reported that there are more
}

// first reports whether a text comes for the first time within an hour; or, once an hour, that
// there are more of them than are kept.
func (h *hourly) first(text string) (isFirst, isFull bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now
	if h.now != nil {
		now = h.now
	}
	t := now()
	for len(h.oldest) > 0 && t.Sub(h.at[h.oldest[0]]) >= time.Hour {
		delete(h.at, h.oldest[0])
		h.oldest = h.oldest[1:]
	}
	most := h.most
	if most == 0 {
		most = 4096
	}
	switch _, known := h.at[text]; {
	case known:
		return false, false
	case len(h.oldest) >= most:
		isFull = h.full.IsZero() || t.Sub(h.full) >= time.Hour
		if isFull {
			h.full = t
		}
		return false, isFull
	}
	if h.at == nil {
		h.at = map[string]time.Time{}
	}
	h.at[text] = t
	h.oldest = append(h.oldest, text)
	return true, false
}

// words joins the causes for the log line of a message.
func words(causes []Event) string {
	texts := make([]string, len(causes))
	for i, c := range causes {
		texts[i] = string(c)
	}
	return strings.Join(texts, ", ")
}
