package intake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/store"
)

// Intake puts what arrives into the store.
type Intake struct {
	Store *store.Store

	// Domains are ours: only reports on them and on what is below them are counted. Empty: all
	// domains are.
	Domains []string

	clock func() time.Time // nil: time.Now
}

// Taken is the result of reading a mail or file.
type Taken struct {
	Known      bool // the same bytes are in the store already
	Kind       Kind // of the first report, or of what was found instead
	Reports    int  // aggregate reports that are new
	Rows       int
	Messages   int64
	NotCounted int // of the new ones: untrusted, not ours, or from the future
	Duplicates int // reports that the store had, in other mail
	Variants   int // reports like one that the store had, with other content
	Dropped    int // reports on other domains, of which the store has too many
	TLS        int
	Failures   int
	Problems   []string // what could not be read
}

// Take stores a mail or file with the reports in it, in one transaction. An error means
// that nothing was stored, and that the caller should try again. Unreadable content does
// not cause an error: it is listed in Problems, and kept in its original form.
func (i *Intake) Take(ctx context.Context, a *store.Arrival) (*Taken, error) {
	out, err := i.takeTogether(ctx, []*store.Arrival{a})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// TakeAll is Take for several mails or files, in the order of all. They share a
// transaction, which is much faster. If that fails, each gets a separate transaction until
// one fails again; out then has the results of those before it.
func (i *Intake) TakeAll(ctx context.Context, all []*store.Arrival) (out []*Taken, err error) {
	if out, err = i.takeTogether(ctx, all); err == nil || len(all) == 1 {
		return out, err
	}
	for _, a := range all {
		one, err := i.Take(ctx, a)
		if err != nil {
			return out, err
		}
		out = append(out, one)
	}
	return out, nil
}

func (i *Intake) takeTogether(ctx context.Context, all []*store.Arrival) ([]*Taken, error) {
	out := make([]*Taken, len(all))
	for n := range out {
		out[n] = &Taken{}
	}
	known, err := i.Store.IngestAll(ctx, all, func(n int, in *store.Ingest) error {
		return i.storeParts(all[n], in, out[n])
	})
	if err != nil {
		return nil, err
	}
	for n := range out {
		out[n].Known = known[n]
	}
	return out, nil
}

// Again reads again everything that the store keeps in its original form, so that a better
// parser can make use of it. It calls each for every mail or file.
func (i *Intake) Again(ctx context.Context, each func(*Taken)) error {
	ids, err := i.Store.Raws(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		out, err := i.AgainOne(ctx, id)
		if err != nil {
			return err
		}
		each(out)
	}
	return nil
}

// AgainOne reads the mail or file with a number in the store again. The error wraps
// store.ErrNoUnread if there is none, and store.ErrNotHeld if its original form is no
// longer stored.
func (i *Intake) AgainOne(ctx context.Context, id int64) (*Taken, error) {
	var out *Taken
	err := i.Store.Again(ctx, id, func(a *store.Arrival, in *store.Ingest) error {
		out = &Taken{} // a transaction may be tried again
		return i.storeParts(a, in, out)
	})
	return out, err
}

func (i *Intake) storeParts(a *store.Arrival, in *store.Ingest, out *Taken) error {
	clock := i.clock
	if clock == nil {
		clock = time.Now
	}
	for _, p := range lookByClock(a.Name, a.Data, clock) {
		for ; p != nil; p = p.Next() {
			if out.Kind == "" || out.Kind == Other {
				out.Kind = p.Kind
			}
			if err := i.part(a, in, p, out); err != nil {
				return err
			}
		}
	}
	return in.Finish(string(out.Kind), strings.Join(out.Problems, "\n"))
}

// part stores one part. Its error is the store's.
func (i *Intake) part(a *store.Arrival, in *store.Ingest, p *Part, out *Taken) error {
	switch {
	case p.Err != nil:
		out.problem(p, p.Err)
	case p.Kind == Aggregate:
		return i.aggregate(a, in, p, out)
	case p.Kind == Failure:
		dropped := in.Dropped()
		isNew, err := in.Failure(p.Failure)
		out.other(isNew, in.Dropped() > dropped, &out.Failures)
		return err
	case p.Kind == TLS:
		return tls(in, p, out)
	}
	return nil
}

// tls stores a TLS report. Its error is the store's.
func tls(in *store.Ingest, p *Part, out *Taken) error {
	r, err := p.ReadTLS()
	if err != nil {
		out.problem(p, err)
		return nil
	}
	if r.Cut != "" {
		out.say(p, r.Cut)
	}
	dropped := in.Dropped()
	stored, err := in.TLS(r)
	out.other(stored > 0, in.Dropped() > dropped, &out.TLS)
	return err
}

// other counts a TLS or failure report.
func (t *Taken) other(isNew, isDropped bool, n *int) {
	switch {
	case isNew:
		*n++
	case !isDropped:
		t.Duplicates++
	}
	if isDropped {
		t.Dropped++
		t.Problems = append(t.Problems, "a TLS or failure report was not stored completely: its "+
			"mail is not authenticated, and the limit of such reports is reached; they are "+
			"removed after reports.intake.raw_days")
	}
}

func (t *Taken) problem(p *Part, err error) {
	if errors.Is(err, report.ErrHostile) {
		t.Kind = Hostile
	}
	t.say(p, strings.TrimPrefix(err.Error(), p.Name()+": "))
}

// say adds a problem, with the place of the part in the mail or file.
func (t *Taken) say(p *Part, text string) {
	if len(p.Path) > 1 {
		text = strings.Join(p.Path[1:], " > ") + ": " + text
	}
	t.Problems = append(t.Problems, text)
}

// aggregate stores a report and its rows.
func (i *Intake) aggregate(a *store.Arrival, in *store.Ingest, p *Part, out *Taken) error {
	var failed error // of the store
	var policy string
	status, left := store.Duplicate, 0
	f, err := p.ReadAggregate(func(f *Report) (bool, error) {
		policy = f.Policy.Domain
		head := store.Head{Feedback: f.Feedback, Digest: f.Digest,
			Configured: i.owner(policy) != "", Trust: trust(a, f)}
		status, failed = in.Report(head)
		left = in.LeftOut()
		return status.Kept(), failed
	}, func(row *report.Row) error {
		failed = in.Row(i.ownerOf(row.HeaderFrom, policy), row)
		return failed
	})
	switch {
	case failed != nil:
		return failed
	case err != nil:
		out.problem(p, err)
		return nil
	}
	out.count(p, status, f)
	switch isOurs := i.owner(policy) != ""; {
	case isOurs:
		out.missing(p, status, f, left, trust(a, f))
	case status == store.Dropped:
		out.say(p, "the report on "+policy+" was not stored: it is not one of your domains, and "+
			"the limit of reports on other domains is reached; they are removed after 30 days")
	}
	if !status.Kept() {
		return nil
	}
	return in.End()
}

func (t *Taken) count(p *Part, status store.Status, f *Report) {
	switch status {
	case store.Duplicate:
		t.Duplicates++
	case store.Dropped, store.Refused:
		t.Dropped++
	case store.Variant:
		t.Variants++
	case store.NotCounted:
		t.NotCounted++
	}
	if !status.Kept() {
		return
	}
	t.Reports++
	t.Rows += f.Rows
	t.Messages += f.Messages
	if f.Cut != "" {
		t.say(p, f.Cut)
	}
	for _, r := range f.Refused {
		t.say(p, fmt.Sprintf("row %d in line %d: %s", r.N, r.Line, r.Why))
	}
}

// missing reports which part of a report was not stored, and what to do to store it.
func (t *Taken) missing(p *Part, status store.Status, f *Report, left int, proof string) {
	from := f.Metadata.ReporterKey("")
	switch {
	case status == store.Refused:
		t.say(p, fmt.Sprintf("the report on %s was not stored: you refused reports of %s, and "+
			"the limit of such reports is reached; after \"mailseal reports accept --not %[2]s\", "+
			"\"mailseal reports reparse\" reads it from the mail", f.Policy.Domain, from))
	case status == store.Dropped:
		t.say(p, fmt.Sprintf("the report on %s was not stored: its mail is not authenticated for "+
			"%s, and the limit of such reports is reached; \"mailseal reports received\" lists them",
			f.Policy.Domain, from))
	case left == 0 || !status.Kept():
	case proof == store.Unaligned:
		t.say(p, fmt.Sprintf("the report on %s has %d rows, of which %d are kept, since "+
			"its mail is not authenticated for %s; to count it, run \"mailseal reports accept "+
			"%[4]s\", then \"mailseal reports reparse\"", f.Policy.Domain, f.Rows, f.Rows-left,
			from))
	default:
		t.say(p, fmt.Sprintf("the report on %s has %d rows, of which %d are kept: you refused "+
			"reports of %s; to count it run \"mailseal reports accept --not %[4]s\", then "+
			"\"mailseal reports "+
			"reparse\"",
			f.Policy.Domain, f.Rows, f.Rows-left, from))
	}
}

// trust compares the domain that the mail was authenticated for with the one that the report says
// it is from.
func trust(a *store.Arrival, f *Report) string {
	if a.Trust == store.ByHand {
		return store.ByHand
	}
	if report.Vouches(a.TrustDomain, f.Metadata.ReporterKey("")) {
		return store.Aligned
	}
	return store.Unaligned
}

// owner returns the nearest domain of ours that a name is, or is below; "" for none.
func (i *Intake) owner(name string) string {
	if len(i.Domains) == 0 {
		return name
	}
	best := ""
	for _, d := range i.Domains {
		if report.Below(name, d) && len(d) > len(best) {
			best = d
		}
	}
	return best
}

// ownerOf returns whose row it is: the nearest domain of ours of its From, else that of the policy,
// else the policy's.
func (i *Intake) ownerOf(from, policy string) string {
	if len(i.Domains) == 0 {
		return policy
	}
	for _, name := range []string{i.owner(from), i.owner(policy)} {
		if name != "" {
			return name
		}
	}
	return policy
}
