package reporting

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/config"
	"mailseal/milter/dns"
	"mailseal/milter/report"
	"mailseal/milter/report/send"
	"mailseal/milter/report/store"
)

// Out is a command about reports that go out.
type Out struct {
	Config   *config.Config
	Now      time.Time
	JSON     bool
	Version  string
	Resolver dns.Resolver // nil: the configuration's
	Output   io.Writer
}

// errNone says that the store has nothing of what was asked for.
func errNone(format string, args ...any) error { return answer.NewBad(fmt.Errorf(format, args...)) }

// with opens the store for a command.
func (o *Out) with(ctx context.Context, do func(*store.Store, *send.Reporter) error) error {
	s, err := OpenStore(ctx, o.Config)
	if err != nil {
		return answer.NewUnknown(err)
	}
	defer s.Close()
	r, err := NewReporter(o.Config, s, slog.New(slog.DiscardHandler), o.Version)
	if err != nil {
		return answer.NewUnknown(err)
	}
	if o.Resolver != nil {
		r.Authorizer.Resolver, r.Authorizer.DMARC.Resolver = o.Resolver, o.Resolver
	}
	return do(s, r)
}

func (o *Out) print(v any, text func(io.Writer)) error {
	if !o.JSON {
		w := tabwriter.NewWriter(o.Output, 0, 8, 2, ' ', 0)
		text(w)
		return w.Flush()
	}
	e := json.NewEncoder(o.Output)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Preview is what "mailseal reports preview" prints of one report.
type Preview struct {
	Domain   string   `json:"domain"`
	Day      string   `json:"day"`
	ID       string   `json:"id"`
	Messages int64    `json:"messages"`
	Rows     int64    `json:"rows"`
	Folded   int64    `json:"folded"`
	Sent     bool     `json:"would_be_sent"`
	Reason   string   `json:"reason,omitempty"`
	To       []string `json:"to"`
	Mail     string   `json:"mail"`
	XML      string   `json:"xml"`
}

// placeholder is the sender of a preview while reports.from is not set.
const placeholder = "dmarc@reports.invalid"

// Preview shows the mail that would bring the report of a domain, from what is counted so far,
// whatever the gates say. Day is "" for the last day that has any.
func (o *Out) Preview(ctx context.Context, domain, day string) error {
	return o.with(ctx, func(s *store.Store, r *send.Reporter) error {
		if r.Sender.Address == "" {
			r.Sender.Address, r.Sender.Domain = placeholder, placeholder[strings.Index(placeholder, "@")+1:]
		}
		list, err := s.OutPending(ctx, store.Day(o.Now), domain)
		if err != nil {
			return answer.NewUnknown(err)
		}
		var out []Preview
		for i := len(list) - 1; i >= 0; i-- {
			date := store.DayStart(list[i].Day).Format(time.DateOnly)
			if day == "" {
				day = date
			}
			if date != day {
				continue
			}
			p, err := preview(ctx, r, list[i])
			if err != nil {
				return answer.NewUnknown(err)
			}
			out = append(out, p...)
		}
		if len(out) == 0 {
			return errNone("nothing is counted of mail from %s that is not reported yet; \"mailseal reports list\" shows what is", domain)
		}
		return o.print(out, func(w io.Writer) { printPreviews(w, out) })
	})
}

func preview(ctx context.Context, r *send.Reporter, p store.OutPending) ([]Preview, error) {
	gated, err := r.Make(ctx, p)
	if err != nil {
		return nil, err
	}
	parts, err := r.Reports(ctx, p)
	if err != nil {
		return nil, err
	}
	var out []Preview
	for _, part := range parts {
		text, err := Unzip(part.XML)
		if err != nil {
			return nil, err
		}
		x := Preview{
			Domain: p.Domain, Day: store.DayStart(p.Day).Format(time.DateOnly), ID: part.ID, Messages: part.Messages, Rows: part.Rows,
			Folded: part.Folded, Sent: gated[0].State == store.Built, Reason: gated[0].Reason, XML: string(text), To: []string{},
		}
		for _, d := range part.Deliveries {
			x.To = append(x.To, d.Address)
			if x.Mail == "" {
				x.Mail = string(d.Message)
			}
		}
		out = append(out, x)
	}
	return out, nil
}

func printPreviews(w io.Writer, list []Preview) {
	for _, p := range list {
		fmt.Fprintf(w, "Report of %s about %s: %s in %s\n", p.Day, p.Domain, counted(p.Messages, "message"), counted(p.Rows, "row"))
		if p.Sent {
			fmt.Fprintf(w, "It will be sent to %s.\n", strings.Join(p.To, ", "))
		} else {
			fmt.Fprintf(w, "It will not be sent: %s.\n", p.Reason)
		}
		fmt.Fprintf(w, "\nThe mail:\n\n%s\nThe report in it:\n\n%s\n", strings.ReplaceAll(p.Mail, "\r\n", "\n"), p.XML)
	}
}

// counted is a number with its noun.
func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Unzip returns what a gzip file of ours holds.
func Unzip(file []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// listed is what "mailseal reports list" prints.
type listed struct {
	Pending []pendingLine     `json:"pending"`
	Reports []store.OutReport `json:"reports"`
}

type pendingLine struct {
	Day string `json:"day"`
	store.OutPending
}

// maxListed is how many reports a list has.
const maxListed = 1000

// List shows what is counted and not reported yet, and the reports of the last 30 days with what
// became of them.
func (o *Out) List(ctx context.Context, domain string) error {
	return o.with(ctx, func(s *store.Store, _ *send.Reporter) error {
		pending, err := s.OutPending(ctx, store.Day(o.Now), domain)
		if err != nil {
			return answer.NewUnknown(err)
		}
		reports, err := s.OutReports(ctx, domain, "", maxListed)
		if err != nil {
			return answer.NewUnknown(err)
		}
		out := listed{Pending: []pendingLine{}, Reports: reports}
		if out.Reports == nil {
			out.Reports = []store.OutReport{}
		}
		for _, p := range pending {
			out.Pending = append(out.Pending, pendingLine{store.DayStart(p.Day).Format(time.DateOnly), p})
		}
		return o.print(out, out.text)
	})
}

func (l listed) text(w io.Writer) {
	if len(l.Pending)+len(l.Reports) == 0 {
		fmt.Fprintln(w, "No mail is counted yet. reports.collect must be true in the daemon's configuration; rows come after 5 minutes.")
		return
	}
	fmt.Fprintln(w, "DAY\tDOMAIN\tMESSAGES\tROWS\tSTATE\tREASON")
	for _, p := range l.Pending {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\topen\t\n", p.Day, p.Domain, p.Messages, p.Rows)
	}
	for _, r := range l.Reports {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\n", r.Date, r.Domain, r.Messages, r.Rows, r.State, r.Reason)
		for _, d := range r.Deliveries {
			fmt.Fprintf(w, "\t  %s\t\t\t%s\t%s\n", d.Address, d.State, d.Reason)
		}
	}
}

// Show prints one report.
func (o *Out) Show(ctx context.Context, id string) error {
	return o.with(ctx, func(s *store.Store, _ *send.Reporter) error {
		r, err := o.find(ctx, s, id)
		if err != nil {
			return err
		}
		var text []byte
		if len(r.XML) > 0 {
			if text, err = Unzip(r.XML); err != nil {
				return answer.NewUnknown(err)
			}
		}
		whole := struct {
			store.OutReport
			Text string `json:"xml,omitempty"`
		}{r, string(text)}
		return o.print(whole, func(w io.Writer) {
			listed{Reports: []store.OutReport{r}}.text(w)
			fmt.Fprintf(w, "\n%s", text)
		})
	})
}

func (o *Out) find(ctx context.Context, s *store.Store, id string) (store.OutReport, error) {
	list, err := s.OutReports(ctx, "", id, 1)
	if err != nil {
		return store.OutReport{}, answer.NewUnknown(err)
	}
	if len(list) == 0 || id == "" {
		return store.OutReport{}, errNone("there is no report %q of the last 30 days; \"mailseal reports list --json\" has the ids", id)
	}
	return list[0], nil
}

// Send does at once what "mailseal reports serve" does each minute; with dry it only shows it.
func (o *Out) Send(ctx context.Context, dry bool) error {
	return o.with(ctx, func(s *store.Store, r *send.Reporter) error {
		if !o.Config.Reports.Send && !dry {
			return errNone("reports.send is false: nothing is sent; --dry-run shows what would be")
		}
		before := o.Now.Add(-time.Second)
		if !dry {
			if err := errors.Join(r.Build(ctx, store.Day(o.Now)-1, o.Now), r.Deliver(ctx, o.Now)); err != nil {
				return answer.NewUnknown(err)
			}
		}
		out, err := o.wouldSend(ctx, s, r, dry, before)
		if err != nil {
			return answer.NewUnknown(err)
		}
		return o.print(out, out.text)
	})
}

// wouldSend lists the reports that were sent since a time, or in a dry run those that would be
// built and the mails that are due.
func (o *Out) wouldSend(ctx context.Context, s *store.Store, r *send.Reporter, dry bool, since time.Time) (listed, error) {
	out := listed{Pending: []pendingLine{}, Reports: []store.OutReport{}}
	all, err := s.OutReports(ctx, "", "", maxListed)
	if err != nil {
		return out, err
	}
	for _, p := range all {
		isWanted := false
		for _, d := range p.Deliveries {
			isDue := (d.State == store.Queued || d.State == store.Deferred) && !d.Due.After(o.Now)
			isWanted = isWanted || dry && isDue || !dry && d.Changed.After(since)
		}
		if isWanted {
			out.Reports = append(out.Reports, p)
		}
	}
	if !dry {
		return out, nil
	}
	pending, err := s.OutPending(ctx, store.Day(o.Now)-1, "")
	if err != nil {
		return out, err
	}
	for _, p := range pending {
		parts, err := r.Make(ctx, p)
		if err != nil {
			return out, err
		}
		for _, part := range parts {
			part.Date = store.DayStart(part.Day).Format(time.DateOnly)
			out.Reports = append(out.Reports, part)
		}
	}
	return out, nil
}

// Resend has the mails of a report handed over again, byte for byte.
func (o *Out) Resend(ctx context.Context, id string) error {
	return o.with(ctx, func(s *store.Store, _ *send.Reporter) error {
		r, err := o.find(ctx, s, id)
		if err != nil {
			return err
		}
		if len(r.Deliveries) == 0 {
			return errNone("report %s was withheld: %s", id, r.Reason)
		}
		for i := range r.Deliveries {
			d := &r.Deliveries[i]
			if err := s.OutMark(ctx, *d, store.Queued, "", o.Now, o.Now); err != nil {
				return answer.NewUnknown(err)
			}
			d.State, d.Reason = store.Queued, ""
		}
		return o.print(r, listed{Reports: []store.OutReport{r}}.text)
	})
}

// Suppress keeps reports from an address for some days, or with remove lets them go there again;
// without an address it lists those that get none.
func (o *Out) Suppress(ctx context.Context, address string, days int, remove bool) error {
	return o.with(ctx, func(s *store.Store, _ *send.Reporter) error {
		switch {
		case address == "":
		case len(report.Addresses([]string{"mailto:" + address})) == 0:
			return answer.NewUsage(fmt.Errorf("%q is not a mail address", address))
		case remove:
			was, err := s.OutRelease(ctx, address)
			if err != nil {
				return answer.NewUnknown(err)
			}
			if !was {
				return errNone("%s is not suppressed", address)
			}
		default:
			x := store.Suppression{Address: address, Until: o.Now.AddDate(0, 0, days), Reason: "by hand"}
			if err := s.OutSuppress(ctx, x); err != nil {
				return answer.NewUnknown(err)
			}
		}
		list, err := s.OutSuppressions(ctx, "", o.Now)
		if err != nil {
			return answer.NewUnknown(err)
		}
		if list == nil {
			list = []store.Suppression{}
		}
		return o.print(list, func(w io.Writer) {
			if len(list) == 0 {
				fmt.Fprintln(w, "No address is suppressed.")
				return
			}
			fmt.Fprintln(w, "ADDRESS\tUNTIL\tBOUNCES\tREASON")
			for _, x := range list {
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", x.Address, x.Until.Format(time.DateOnly), x.Strikes, x.Reason)
			}
		})
	})
}

// Bounced takes a mail to the envelope sender of a report.
func (o *Out) Bounced(ctx context.Context, recipient string, mail io.Reader) error {
	return o.with(ctx, func(s *store.Store, _ *send.Reporter) error {
		x, known, err := send.Bounced(ctx, s, recipient, mail, o.Now)
		switch {
		case err != nil:
			return answer.NewUnknown(err)
		case !known:
			return errNone("%s is not the envelope sender of a report", recipient)
		}
		return o.print(x, func(w io.Writer) {
			if x.Address == "" {
				fmt.Fprintln(w, "Nothing is to be done: a notice, a second bounce, or a report of long ago.")
				return
			}
			fmt.Fprintf(w, "%s gets no reports until %s: %s\n", x.Address, x.Until.Format(time.DateOnly), x.Reason)
		})
	})
}

// Forget removes what is kept of a domain.
func (o *Out) Forget(ctx context.Context, domain string) error {
	return o.with(ctx, func(s *store.Store, _ *send.Reporter) error {
		n, err := s.OutForget(ctx, strings.ToLower(domain))
		if err != nil {
			return answer.NewUnknown(err)
		}
		out := struct {
			Domain  string `json:"domain"`
			Removed int64  `json:"removed"`
		}{domain, n}
		return o.print(out, func(w io.Writer) {
			fmt.Fprintf(w, "%d entries about %s are removed. Segments of the last minutes may still have some.\n", n, domain)
		})
	})
}
