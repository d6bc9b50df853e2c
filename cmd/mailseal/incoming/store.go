package incoming

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/report/intake"
	"mailseal/milter/report/store"
)

// Box is the store of reports, for the commands that read it or write to it.
type Box struct {
	Setting string   // reports.store
	Given   bool     // Setting is from the flag --store
	Domains []string // reports.intake.domains
	Parked  []string // reports.intake.parked

	Networks []netip.Prefix // of this host
	JSON     bool
	CSV      bool
	Screen   int // width of the terminal, in columns; 0 for a file or pipe
	Now      func() time.Time
}

// with opens the store, which must exist, runs do, and closes it. An error of the store leaves the
// answer unknown.
func (b *Box) with(ctx context.Context, do func(*intake.Intake) error) error {
	return b.open(ctx, true, do)
}

// open does the same, and unless the store must exist creates it.
func (b *Box) open(ctx context.Context, existing bool, do func(*intake.Intake) error) error {
	name := "reports.store"
	if b.Given {
		name = "--store"
	}
	o, err := store.ParseSetting(b.Setting)
	if err != nil {
		return answer.NewUsage(fmt.Errorf("%s: %w", name, err))
	}
	o.Existing = existing
	s, err := store.Open(ctx, o)
	if err != nil {
		return answer.NewUnknown(fmt.Errorf("%s: %w", name, err))
	}
	defer s.Close()
	return do(&intake.Intake{Store: s, Domains: b.Domains})
}

// Import is "mailseal reports import".
func (b *Box) Import(ctx context.Context, names []string, stdin io.Reader, out,
	progress io.Writer) error {
	sum := &imported{}
	err := b.open(ctx, false, func(i *intake.Intake) error {
		steps := newProgress(progress, time.Now)
		defer steps.end()
		batch := &batch{intake: i, sum: sum}
		err := intake.Each(names, stdin, func(f intake.File) error {
			steps.step(sum.Reports)
			if f.Err != nil {
				sum.unread = append(sum.unread, fileError(f))
				return nil
			}
			return batch.add(ctx, &store.Arrival{
				Received: b.Now(), Via: "import", Name: f.Name, Trust: store.ByHand, Data: f.Data,
			})
		})
		if err != nil {
			return err
		}
		return batch.take(ctx)
	})
	if err != nil {
		return err
	}
	if b.JSON {
		if err := json.NewEncoder(out).Encode(sum); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(out, sum)
	}
	return sum.verdict()
}

// Bounds of what one transaction of an import holds. Files that are interrupted before their
// transaction ends are imported when the command is given again.
const (
	maxBatch      = 250     // mails or files
	maxBatchBytes = 8 << 20 // of all but the last one
)

// batch holds the files that will be imported in one transaction.
type batch struct {
	intake *intake.Intake
	sum    *imported
	all    []*store.Arrival
	size   int
}

// add adds a file, and stores the batch when it is large enough.
func (b *batch) add(ctx context.Context, a *store.Arrival) error {
	b.all = append(b.all, a)
	b.size += len(a.Data)
	if len(b.all) < maxBatch && b.size < maxBatchBytes {
		return nil
	}
	return b.take(ctx)
}

// take stores the batch.
func (b *batch) take(ctx context.Context) error {
	if len(b.all) == 0 {
		return nil
	}
	got, err := b.intake.TakeAll(ctx, b.all)
	for n, t := range got {
		b.sum.add(b.all[n].Name, t)
	}
	b.all, b.size = b.all[:0], 0
	if err != nil {
		return answer.NewUnknown(fmt.Errorf("%w; %d files or mails were imported; run the command "+
			"again to import the others", err, b.sum.Files))
	}
	return nil
}

// imported is the result of importing many files.
type imported struct {
	Files      int      `json:"files"`
	Reports    int      `json:"reports"`
	Messages   int64    `json:"messages"`
	NotCounted int      `json:"not_counted"`
	Duplicates int      `json:"duplicates"`
	Variants   int      `json:"variants"`
	TLS        int      `json:"tls"`
	Failures   int      `json:"failures"`
	Others     int      `json:"others"`
	Problems   []string `json:"problems"`
	copies     int      // of Duplicates: whole files whose bytes the store had
	unread     []string
}

func (s *imported) add(name string, t *intake.Taken) {
	s.Files++
	s.Reports += t.Reports
	s.Messages += t.Messages
	s.NotCounted += t.NotCounted
	s.Duplicates += t.Duplicates
	s.Variants += t.Variants
	s.TLS += t.TLS
	s.Failures += t.Failures
	switch {
	case t.Known:
		s.Duplicates++
		s.copies++
	case t.Kind == intake.Other || t.Kind == intake.Bounce:
		s.Others++
	}
	for _, p := range t.Problems {
		s.Problems = append(s.Problems, name+": "+p)
	}
}

// count writes a number with what it counts.
func count(n int, one, several string) string { return count64(int64(n), one, several) }

func count64(n int64, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

// String returns the result in a line or two.
func (s *imported) String() string {
	out := fmt.Sprintf("%s: %s on %s", count(s.Files, "file or mail", "files or mails"),
		count(s.Reports, "new report", "new reports"), count64(s.Messages, "message", "messages"))
	for _, part := range []struct {
		n    int
		what string
	}{
		{s.TLS, "TLS reports"}, {s.Failures, "failure reports"},
		{s.Duplicates - s.copies, "that were already in the store"},
		{s.copies, "imported before"},
		{s.NotCounted, "of the new ones not counted (other domains, or from the future)"},
		{s.Variants, "with the id of another report and other content, not counted"},
		{s.Others, "that are not reports"},
	} {
		if part.n > 0 {
			out += fmt.Sprintf("; %d %s", part.n, part.what)
		}
	}
	return out
}

func (s *imported) verdict() error {
	switch {
	case len(s.unread) > 0:
		return answer.NewUnknown(errors.New(listed(append(s.unread, s.Problems...))))
	case len(s.Problems) > 0:
		return answer.NewBad(errors.New(listed(s.Problems)))
	}
	return nil
}

// Reparse is "mailseal reports reparse".
func (b *Box) Reparse(ctx context.Context, out io.Writer) error {
	sum := &imported{}
	err := b.with(ctx, func(i *intake.Intake) error {
		return answered(i.Again(ctx, func(t *intake.Taken) { sum.add("", t) }))
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s read again: %s on %s\n",
		count(sum.Files, "file or mail", "files or mails"),
		count(sum.Reports, "report", "reports"), count64(sum.Messages, "message", "messages"))
	return nil
}

// answered makes errors of the store an answer that could not be found out.
func answered(err error) error {
	if err == nil || errors.Is(err, store.ErrNone) || errors.Is(err, store.ErrNoReporter) {
		return err
	}
	return answer.NewUnknown(err)
}

// Verify is "mailseal reports verify".
func (b *Box) Verify(ctx context.Context, out io.Writer) error {
	return b.with(ctx, func(i *intake.Intake) error {
		wrong, err := i.Store.Verify(ctx)
		if err != nil {
			return answered(err)
		}
		if b.JSON {
			if err := json.NewEncoder(out).Encode(map[string]any{"equal": len(wrong) == 0,
				"differences": append([]string{}, wrong...)}); err != nil {
				return err
			}
		}
		if len(wrong) > 0 {
			return answer.NewBad(fmt.Errorf("the sums do not match the records: %s; mailseal "+
				"reports reparse computes them again", strings.Join(wrong, ", ")))
		}
		if !b.JSON {
			fmt.Fprintln(out, "The daily sums agree with the records.")
		}
		return nil
	})
}

// Accept is "mailseal reports accept" and "--not".
func (b *Box) Accept(ctx context.Context, reporter string, accept bool, out io.Writer) error {
	return b.with(ctx, func(i *intake.Intake) error {
		n, err := i.Store.Accept(ctx, reporter, accept)
		if err != nil {
			return answered(err)
		}
		if accept {
			fmt.Fprintf(out, "Reports of %s count from now on, even without authentication; %d "+
				"reports in the store now count.\n", reporter, n)
		} else {
			fmt.Fprintf(out, "Reports of %s count only if they are authenticated; this changed %d "+
				"reports in the store.\n", reporter, n)
		}
		waiting, err := i.Store.Waiting(ctx, reporter)
		if err != nil {
			return answered(err)
		}
		if waiting > 0 {
			fmt.Fprintf(out, "For %d more reports the store has only the first rows; run "+
				"\"mailseal reports reparse\" to read the others and count them.\n", waiting)
		}
		return nil
	})
}

// Refuse is "mailseal reports refuse".
func (b *Box) Refuse(ctx context.Context, reporter string, out io.Writer) error {
	return b.with(ctx, func(i *intake.Intake) error {
		n, err := i.Store.Refuse(ctx, reporter)
		if err != nil {
			return answered(err)
		}
		fmt.Fprintf(out, "Reports of %s do not count from now on, nor do %d reports in the store. "+
			"\"mailseal reports accept --not %[1]s\" reverts this.\n", reporter, n)
		return nil
	})
}

// Filter chooses what lists show.
type Filter = store.Filter
