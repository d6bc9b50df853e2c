package incoming

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/intake"
	"mailseal/milter/report/origin"
	"mailseal/milter/report/store"
	"mailseal/milter/report/tally"
)

// sourceLine is a source of mail of a domain with its judgement.
type sourceLine struct {
	store.Line
	judgement
}

// judgement says whose a source is, and why its mail passes or fails. Its fields are empty where
// the records are gone that tell it.
type judgement struct {
	Class    string `json:"class"`
	Why      string `json:"why"` // it is of its class
	Cause    string `json:"cause"`
	Sentence string `json:"sentence"`
	Fix      string `json:"fix,omitempty"`
	Reverse  string `json:"reverse_name,omitempty"` // confirmed by a forward lookup
	ASN      int64  `json:"asn,omitempty"`
	Network  string `json:"network,omitempty"`
	Country  string `json:"country,omitempty"`
}

func newJudgement(s *tally.Source, o store.Origin) judgement {
	out := judgement{Reverse: o.Reverse, ASN: o.ASN, Network: o.Network, Country: o.Country}
	if s != nil {
		out.Class, out.Why = string(s.Class), s.Why
		out.Cause, out.Sentence, out.Fix = s.Cause.Code, s.Cause.Text, s.Cause.Fix
	}
	return out
}

// where says in a phrase where an address is, "" if nothing is known.
func (j *judgement) where() string {
	var words []string
	for _, w := range []string{j.Reverse, strings.TrimSpace(number("AS", j.ASN) + " " + j.Network),
		j.Country} {
		if w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, ", ")
}

func number(prefix string, n int64) string {
	if n == 0 {
		return ""
	}
	return prefix + strconv.FormatInt(n, 10)
}

// judged returns the judgement of each source from its records, by domain and name.
func (b *Box) judged(ctx context.Context, s *store.Store,
	f store.Filter) (map[[2]string]*tally.Source, *origin.Known, error) {
	known, err := origin.Read(ctx, s, f, b.Networks)
	if err != nil {
		return nil, nil, err
	}
	sum := tally.New()
	if sum.Parked, err = b.parked(ctx, s); err != nil {
		return nil, nil, err
	}
	if err := s.EachRow(ctx, f, sum.Add); err != nil {
		return nil, nil, err
	}
	out := map[[2]string]*tally.Source{}
	for _, d := range sum.Domains() {
		list := d.Sources(known.About)
		for i := range list {
			out[[2]string{d.Name, list[i].Name}] = &list[i]
		}
	}
	return out, known, nil
}

// Sources is "mailseal reports sources".
func (b *Box) Sources(ctx context.Context, f store.Filter, out io.Writer) error {
	return b.with(ctx, func(i *intake.Intake) error {
		sums, err := i.Store.Sources(ctx, f)
		if err != nil {
			return answered(err)
		}
		judged, known, err := b.judged(ctx, i.Store, f)
		if err != nil {
			return answered(err)
		}
		lines := make([]sourceLine, len(sums))
		for n, l := range sums {
			lines[n] = sourceLine{l, newJudgement(judged[[2]string{l.Domain, l.Name}],
				known.Origin(l.Name))}
		}
		slices.SortStableFunc(lines, func(a, b sourceLine) int {
			return cmp.Or(strings.Compare(a.Domain, b.Domain), cmp.Compare(b.Messages, a.Messages))
		})
		if b.JSON || b.CSV || len(lines) == 0 {
			return b.print(out, map[string]any{"sources": lines}, sourceTable(lines))
		}
		w := bufio.NewWriter(out)
		for len(lines) > 0 {
			n := slices.IndexFunc(lines, func(
				l sourceLine) bool {
				return l.Domain != lines[0].Domain
			})
			if n < 0 {
				n = len(lines)
			}
			b.sourceScreen(w, lines[:n])
			if lines = lines[n:]; len(lines) > 0 {
				fmt.Fprintln(w)
			}
		}
		return w.Flush()
	})
}

func sourceTable(lines []sourceLine) table {
	t := table{head: []string{
		"domain", "source", "messages", "pass", "dkim", "spf", "delivered", "quarantined",
		"rejected", "first", "last", "class",
		"why", "cause", "reverse_name", "asn", "network", "country", "sentence",
	}}
	for _, l := range lines {
		row := []string{l.Domain, l.Name}
		for _, n := range []int64{l.Messages, l.Pass, l.DKIM, l.SPF, l.Delivered, l.Held,
			l.Refused} {
			row = append(row, strconv.FormatInt(n, 10))
		}
		t.rows = append(t.rows, append(row, l.First.Format(time.DateOnly),
			l.Last.Format(time.DateOnly), l.Class, l.Why, l.Cause,
			l.Reverse, number("", l.ASN), l.Network, l.Country, l.Sentence))
	}
	return t
}

// sourceScreen prints the sources of a domain, and each sentence once with the sources that it is
// about.
func (b *Box) sourceScreen(w *bufio.Writer, lines []sourceLine) {
	screen := &Read{out: w, Width: b.Screen}
	var sum store.Sum
	for _, l := range lines {
		sum.Messages += l.Messages
		sum.Pass += l.Pass
	}
	screen.say(0, fmt.Sprintf("%s: %s from %s, %s%% pass DMARC.", clean(lines[0].Domain),
		advice.Plural(sum.Messages, "message", "messages"),
		advice.Plural(int64(len(lines)), "source", "sources"),
		advice.Rate(sum.Pass, sum.Messages)))
	fmt.Fprintln(w)
	rows := [][]string{{"source", "class", "messages", "pass", "DKIM", "SPF", "held", "refused",
		"last", "why", "where"}}
	shown := lines[:min(len(lines), maxSources)]
	for _, l := range shown {
		rows = append(rows, []string{
			clean(l.Name), cmp.Or(l.Class, "–"), advice.Count(l.Messages),
			advice.Rate(l.Pass, l.Messages) + "%",
			advice.Rate(l.DKIM, l.Messages) + "%", advice.Rate(l.SPF, l.Messages) + "%",
			some(l.Held), some(l.Refused),
			l.Last.Format(time.DateOnly), cmp.Or(l.Cause, "–"), clean(l.where()),
		})
	}
	writeTable(w, rows, "  ", 2, 7, b.Screen)
	if hidden := len(lines) - len(shown); hidden > 0 {
		screen.say(2, "and "+advice.Plural(int64(hidden), "source", "sources")+
			" with fewer messages; --csv has all of them.")
	}
	fmt.Fprintln(w)
	for _, s := range sentences(shown) {
		screen.say(2, s)
	}
}

// maxSentences bounds the sentences below a table.
const maxSentences = 8

// sentences says what the words of the column "why" mean, each once with the sources that it is
// about.
func sentences(lines []sourceLine) (out []string) {
	at := map[string][]string{}
	var order []sourceLine
	for _, l := range lines {
		if l.Sentence == "" {
			continue
		}
		if len(at[l.Sentence]) == 0 {
			order = append(order, l)
		}
		at[l.Sentence] = append(at[l.Sentence], clean(l.Name))
	}
	for _, l := range order[:min(len(order), maxSentences)] {
		out = append(out, l.Cause+" ("+advice.List(at[l.Sentence], 3)+"): "+clean(l.Sentence))
	}
	return out
}

// rowSources judges the sources of one report: whose they are by all reports on the domain of the
// quarter before, why their mail fails by this one.
func (b *Box) rowSources(ctx context.Context, s *store.Store, line store.ReportLine,
	rows []store.RecordLine) ([]sourceLine, error) {
	sum := tally.New()
	for i := range rows {
		row, err := rows[i].Row()
		if err != nil {
			return nil, err
		}
		f := &report.Feedback{Policy: line.Policy}
		f.Policy.Domain, f.Metadata.Org, f.Metadata.Begin = rows[i].Domain, line.Reporter,
			line.Begin
		sum.Add(f, row)
	}
	var out []sourceLine
	for _, d := range sum.Domains() {
		f := store.Filter{Domain: d.Name, Since: line.End.AddDate(0, 0, -90),
			Until: line.End.AddDate(0, 0, 1)}
		all, known, err := b.judged(ctx, s, f)
		if err != nil {
			return nil, err
		}
		for _, src := range d.Sources(known.About) {
			if whole := all[[2]string{d.Name, src.Name}]; whole != nil && !src.Judged {
				src.Class, src.Why = whole.Class, whole.Why
				src.Cause = advice.Diagnose(&src.Source, d.Name)
			}
			sums := store.Sum{
				Messages: src.Messages, Pass: src.Pass, DKIM: src.DKIM, SPF: src.SPF,
				Delivered: src.Delivered, Held: src.Held, Refused: src.Refused,
			}
			l := store.Line{Domain: d.Name, Name: src.Name, First: line.Begin, Last: line.End,
				Sum: sums}
			out = append(out, sourceLine{l, newJudgement(&src, known.Origin(src.Name))})
		}
	}
	return out, nil
}

// sourceLines prints the judgement of the sources of a report.
func (b *Box) sourceLines(out io.Writer, lines []sourceLine) error {
	w := bufio.NewWriter(out)
	screen := &Read{out: w, Width: b.Screen}
	for _, l := range lines[:min(len(lines), maxSources)] {
		name := clean(l.Name)
		if where := l.where(); where != "" {
			name += " (" + clean(where) + ")"
		}
		screen.say(0, fmt.Sprintf("%s: %s, %s. %s", name, l.Class, clean(l.Why), clean(l.Sentence)))
	}
	if hidden := len(lines) - maxSources; hidden > 0 {
		screen.say(0, "and "+advice.Plural(int64(hidden), "source", "sources")+
			" with fewer messages; --json has all of them.")
	}
	return w.Flush()
}
