package alert

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/origin"
	"mailseal/milter/report/store"
	"mailseal/milter/report/tally"
)

// Bounds of a digest.
const (
	maxDigestDomains = 50
	topSources       = 5
)

// Digest summarizes a week, Monday to Sunday in UTC.
type Digest struct {
	Begin, End time.Time // End is the Monday after it
	Domains    []DomainWeek
	More       int // domains that are left out
	Alerts     []store.Alert
}

// DomainWeek is the week of a domain.
type DomainWeek struct {
	Name     string
	Sum      store.Sum
	Sentence string
	Sources  []SourceWeek // with the most messages
}

// SourceWeek is a source in a digest.
type SourceWeek struct {
	Name     string
	Class    string
	Messages int64
	Pass     int64
	Sentence string
	Fix      string
}

// aheadWeeks is how far ahead of the clock the last digest can be. One that is further was mailed
// under a clock that was wrong, and does not keep those after it from being mailed.
const aheadWeeks = 4

// weekday is when a digest is mailed: Monday at 6:00 UTC, when the reports on Sunday that come by
// night are there.
func weekOf(now time.Time) (end time.Time, number int64) {
	day := store.Day(now.Add(-6 * time.Hour))
	number = (day + 3) / 7 // 1 January 1970 was a Thursday
	return store.DayStart(number*7 - 3), number
}

// Digest mails the digest of the week that is over, once.
func (m *Mailer) Digest(ctx context.Context, now time.Time) error {
	end, number := weekOf(now)
	isDue := false
	for _, to := range m.To {
		done, err := m.Store.Mark(ctx, "digest to "+to)
		if err != nil {
			return err
		}
		if done > number+aheadWeeks { // the clock was wrong then
			done = number - 1
			if err := m.Store.SetMark(ctx, "digest to "+to, done); err != nil {
				return err
			}
		}
		isDue = isDue || done < number
	}
	if !isDue {
		return nil
	}
	d, err := NewDigest(ctx, m.Store, m.Networks, end)
	if err != nil {
		return err
	}
	if len(d.Domains) == 0 {
		return nil
	}
	text, html := d.Text(), d.html()
	subject := fmt.Sprintf("mailseal on %s: DMARC in the week to %s", m.Host,
		d.End.AddDate(0, 0, -1).Format(time.DateOnly))
	return m.each(ctx, "digest", number, func(to string, _ int64) []byte {
		return m.message(to, subject, "digest", now, text, html)
	})
}

// NewDigest reads the week before end from the store. networks are those of this host.
func NewDigest(ctx context.Context, s *store.Store, networks []netip.Prefix,
	end time.Time) (*Digest, error) {
	d := &Digest{Begin: end.AddDate(0, 0, -7), End: end}
	this, err := s.Domains(ctx, store.Filter{Since: d.Begin, Until: d.End})
	if err != nil {
		return nil, err
	}
	before, err := s.Domains(ctx, store.Filter{Since: d.Begin.AddDate(0, 0, -7), Until: d.Begin})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(this, func(a, b store.Line) int {
		return cmp.Compare(b.Messages-b.Pass, a.Messages-a.Pass)
	})
	if len(this) > maxDigestDomains {
		d.More = len(this) - maxDigestDomains
		this = this[:maxDigestDomains]
	}
	for _, line := range this {
		w := DomainWeek{Name: Plain(line.Name), Sum: line.Sum}
		i := slices.IndexFunc(before, func(l store.Line) bool { return l.Name == line.Name })
		if i < 0 {
			w.Sentence = sentence(line.Sum, store.Sum{})
		} else {
			w.Sentence = sentence(line.Sum, before[i].Sum)
		}
		if w.Sources, err = sourcesOf(ctx, s, networks, line.Name, d); err != nil {
			return nil, err
		}
		d.Domains = append(d.Domains, w)
	}
	alerts, err := s.Alerts(ctx, false, maxMailed)
	for _, a := range alerts {
		if !a.Raised.Before(d.Begin) && a.Raised.Before(d.End) {
			a.Text = Plain(a.Text)
			d.Alerts = append(d.Alerts, a)
		}
	}
	return d, err
}

// sentence summarizes the results of a domain, and what changed.
func sentence(now, before store.Sum) string {
	out := fmt.Sprintf("%s, %s pass DMARC", advice.Plural(now.Messages, "message", "messages"),
		share(now))
	if before.Messages > 0 {
		out += fmt.Sprintf(" (the week before: %d, %s)", before.Messages, share(before))
	}
	if n := now.Delivered; n > 0 {
		out += fmt.Sprintf("; %d failed and were delivered", n)
	}
	if n := now.Held + now.Refused; n > 0 {
		out += fmt.Sprintf("; %d were quarantined or rejected", n)
	}
	return out + "."
}

func share(s store.Sum) string {
	if s.Messages == s.Pass {
		return "all"
	}
	// Rounded down: 100 % means all.
	return fmt.Sprintf("%d %%", s.Pass*100/s.Messages)
}

func sourcesOf(ctx context.Context, s *store.Store, networks []netip.Prefix, domain string,
	d *Digest) (out []SourceWeek,
	err error,
) {
	sum := tally.New()
	f := store.Filter{Domain: domain, Since: d.Begin, Until: d.End}
	err = s.EachRow(ctx, f, func(fb *report.Feedback, row *report.Row) { sum.Add(fb, row) })
	if err != nil {
		return nil, err
	}
	known, err := origin.Read(ctx, s, f, networks)
	if err != nil {
		return nil, err
	}
	for _, t := range sum.Domains() {
		list := t.Sources(known.About)
		for _, src := range list[:min(topSources, len(list))] {
			out = append(out, SourceWeek{
				Name: Plain(src.Name), Class: string(src.Class), Messages: src.Messages,
				Pass:     src.Pass,
				Sentence: Plain(src.Cause.Text), Fix: Plain(src.Cause.Fix),
			})
		}
	}
	return out, nil
}

// Text is the digest as plain text.
func (d *Digest) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Reports of receivers on mail from %s to %s (UTC).\n",
		d.Begin.Format(time.DateOnly),
		d.End.AddDate(0, 0, -1).Format(time.DateOnly))
	for _, w := range d.Domains {
		fmt.Fprintf(&b, "\n%s\n  %s\n", w.Name, w.Sentence)
		for _, s := range w.Sources {
			fmt.Fprintf(&b, "\n  %s (%s): %d of %s pass.\n    %s\n", s.Name, s.Class, s.Pass,
				advice.Plural(s.Messages, "message", "messages"), s.Sentence)
			if s.Fix != "" {
				fmt.Fprintf(&b, "    To do: %s.\n", s.Fix)
			}
		}
	}
	if d.More > 0 {
		fmt.Fprintf(&b, "\n%d more domains had fewer failures; \"mailseal reports domains\" "+
			"shows them.\n", d.More)
	}
	if len(d.Alerts) > 0 {
		b.WriteString("\nAlerts of the week\n")
	}
	for _, a := range d.Alerts {
		fmt.Fprintf(&b, "\n  %s %s: %s\n", a.Raised.Format(time.DateOnly), a.Code, a.Text)
	}
	return b.String()
}

//go:embed digest.html
var digestHTML string

var digestTemplate = template.Must(template.New("digest").Parse(digestHTML))

func (d *Digest) html() string {
	var b bytes.Buffer
	if err := digestTemplate.Execute(&b, d); err != nil {
		return "" // the text says the same
	}
	return b.String()
}
