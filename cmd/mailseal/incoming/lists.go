package incoming

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/intake"
	"mailseal/milter/report/store"
)

// table is the output of a list; JSON has the values themselves.
type table struct {
	head     []string
	rows     [][]string
	from, to int // columns at the right
}

// print prints a list in the form that was asked for.
func (b *Box) print(out io.Writer, values any, t table) error {
	switch {
	case b.JSON:
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		return e.Encode(values)
	case b.CSV:
		w := csv.NewWriter(out)
		for _, row := range append([][]string{t.head}, t.rows...) {
			if err := writeCSV(w, row); err != nil {
				return err
			}
		}
		return nil
	case len(t.rows) == 0:
		_, err := fmt.Fprintln(out, "the store has no such reports; \"mailseal reports import "+
			"FILE\" adds some")
		return err
	}
	shown := [][]string{t.head}
	for _, row := range t.rows {
		line := slices.Clone(row)
		for i := range line {
			line[i] = clean(line[i])
		}
		shown = append(shown, line)
	}
	writeTable(out, shown, "", t.from, t.to, 0)
	return nil
}

// Received is "mailseal reports received": a list of the reports of a kind, or the one with a
// number.
func (b *Box) Received(ctx context.Context, kind string, f store.Filter, number string,
	out io.Writer) error {
	if !slices.Contains([]string{"aggregate", "tls", "failure"}, kind) {
		return answer.NewUsage(fmt.Errorf("--kind %q is not aggregate, tls or failure", kind))
	}
	if number == "" {
		if kind == "aggregate" {
			return b.list(ctx, f, out)
		}
		return b.others(ctx, kind, f, out)
	}
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return answer.NewUsage(fmt.Errorf("%q is not the number of a report; mailseal reports "+
			"received shows them", number))
	}
	if kind == "aggregate" {
		return b.show(ctx, id, out)
	}
	return b.other(ctx, kind, id, out)
}

func (b *Box) list(ctx context.Context, f store.Filter, out io.Writer) error {
	return b.with(ctx, func(i *intake.Intake) error {
		lines, err := i.Store.Reports(ctx, f)
		if err != nil {
			return answered(err)
		}
		t := table{head: []string{"number", "day", "reporter", "domain", "messages", "records",
			"state", "counted", "trust"}, from: 4, to: 5}
		for _, l := range lines {
			counted := "yes"
			if !l.Counted {
				counted = "no"
			}
			t.rows = append(t.rows, []string{
				strconv.FormatInt(l.ID, 10), l.Begin.Format("2006-01-02"), l.Reporter, l.Domain,
				strconv.FormatInt(l.Messages, 10),
				strconv.FormatInt(l.Records, 10), l.State, counted, l.Trust,
			})
		}
		return b.print(out, map[string]any{"reports": append([]store.ReportLine{}, lines...)}, t)
	})
}

// show is "mailseal reports received NUMBER".
func (b *Box) show(ctx context.Context, id int64, out io.Writer) error {
	return b.with(ctx, func(i *intake.Intake) error {
		line, rows, err := i.Store.Report(ctx, id)
		if err != nil {
			return answered(err)
		}
		if !b.JSON && !b.CSV {
			fmt.Fprintf(out, "%s reports on %s, %s: %s in %s.\n", clean(line.Org),
				clean(line.Domain), period(line.Begin, line.End),
				advice.Plural(line.Messages, "message", "messages"),
				advice.Plural(line.Records, "record", "records"))
			fmt.Fprintf(out, "Report id %s, received %s from %s; %s.\n", clean(line.ReportID),
				stamp(line.Received), clean(line.File), trustText(line))
			for _, n := range line.Notes {
				fmt.Fprintln(out, " ", clean(n))
			}
			fmt.Fprintln(out)
		}
		t := table{head: []string{"row", "source", "messages", "dmarc", "dkim", "spf",
			"disposition", "header_from", "envelope_from"}, from: 2, to: 2}
		for _, r := range rows {
			t.rows = append(t.rows, []string{
				strconv.FormatInt(r.N, 10), r.Source, strconv.FormatInt(r.Messages, 10),
				yes(r.Pass), yes(r.DKIM), yes(r.SPF),
				r.Disposition, r.HeaderFrom, r.EnvelopeFrom,
			})
		}
		sources, err := b.rowSources(ctx, i.Store, line, rows)
		if err != nil {
			return answered(err)
		}
		all := map[string]any{"report": line, "rows": append([]store.RecordLine{}, rows...),
			"sources": append([]sourceLine{}, sources...)}
		if b.JSON || b.CSV || len(rows) == 0 {
			return b.print(out, all, t)
		}
		if err := b.print(out, all, t); err != nil {
			return err
		}
		fmt.Fprintln(out)
		return b.sourceLines(out, sources)
	})
}

func trustText(l store.ReportLine) string {
	counted := "it counts"
	if !l.Counted {
		counted = "it does not count"
	}
	switch {
	case l.Variant > 0:
		return fmt.Sprintf("%s, since report %d has the same id, domain and period", counted,
			l.Variant)
	case !l.Ours:
		return counted + ", since the domain is not one of yours"
	case l.State == "future":
		return counted + ", since its period is in the future"
	case l.State == "implausible":
		return counted + ", since no receiver sees so many messages of one domain"
	case l.Refused:
		return counted + ": you refused reports of " + clean(l.Reporter) +
			"; \"mailseal reports accept --not " +
			clean(l.Reporter) + "\" makes the authenticated ones count again"
	case l.Trust == store.Aligned:
		return counted + ": its mail was authenticated for the reporter's domain"
	case l.Trust == store.ByHand:
		return counted + ": it was imported by hand"
	case l.Counted:
		return counted + ": you accepted reports of " + clean(l.Reporter)
	}
	return counted + ", since its mail is not authenticated for " + clean(l.Reporter) +
		"; \"mailseal reports accept " + clean(l.Reporter) + "\" makes its reports count"
}

// DomainList is "mailseal reports domains".
func (b *Box) DomainList(ctx context.Context, f store.Filter, out io.Writer) error {
	return b.with(ctx, func(i *intake.Intake) error {
		lines, err := i.Store.Domains(ctx, f)
		if err != nil {
			return answered(err)
		}
		parked, err := b.parked(ctx, i.Store)
		if err != nil {
			return answered(err)
		}
		t := sums("domain", lines)
		t.head = append(t.head, "parked")
		list := []domainLine{}
		for i, l := range lines {
			d := domainLine{l, slices.Contains(parked, l.Name)}
			list = append(list, d)
			t.rows[i] = append(t.rows[i], map[bool]string{true: "parked"}[d.Parked])
		}
		return b.print(out, map[string]any{"domains": list}, t)
	})
}

// parked are the domains that send no mail, as the pages take them: by reports.intake.parked, or by
// their SPF record when role dns looked last.
func (b *Box) parked(ctx context.Context, s *store.Store) ([]string, error) {
	out := slices.Clone(b.Parked)
	err := s.View(ctx, func(tx *store.Tx) error {
		states, err := tx.OwnStates(ctx)
		for name, state := range states {
			if state.IsParked() && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
		return err
	})
	return out, err
}

// domainLine is a domain in a list.
type domainLine struct {
	store.Line
	Parked bool `json:"parked"` // it sends no mail
}

func sums(name string, lines []store.Line) table {
	slices.SortStableFunc(lines, func(a,
		b store.Line) int {
		return int(min(max(b.Messages-a.Messages, -1), 1))
	})
	t := table{head: []string{name, "messages", "pass", "dkim", "spf", "delivered", "quarantined",
		"rejected", "first", "last"}, from: 1, to: 7}
	for _, l := range lines {
		row := []string{l.Name}
		for _, n := range []int64{l.Messages, l.Pass, l.DKIM, l.SPF, l.Delivered, l.Held,
			l.Refused} {
			row = append(row, strconv.FormatInt(n, 10))
		}
		t.rows = append(t.rows, append(row, l.First.Format("2006-01-02"),
			l.Last.Format("2006-01-02")))
	}
	return t
}
