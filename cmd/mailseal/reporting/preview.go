package reporting

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/report"
	"mailseal/milter/report/send"
	"mailseal/milter/report/store"
)

// Preview is the output of "mailseal reports preview" for one report.
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
		out, err := previews(ctx, s, *r, o.Now, domain, day)
		if err != nil {
			return answer.NewUnknown(err)
		}
		if len(out) == 0 {
			return errNone("no unreported mail from %s is counted; \"mailseal reports list\" "+
				"shows what is counted", domain)
		}
		return o.print(out, func(w io.Writer) { printPreviews(w, out) })
	})
}

// previews are the reports that a domain would get now, of one day, the newest part first; of the
// last day with mail if day is "". They change nothing.
func previews(ctx context.Context, s *store.Store, r send.Reporter, now time.Time, domain,
	day string) (out []Preview, err error) {
	if r.Sender.Address == "" {
		r.Sender.Address, r.Sender.Domain = placeholder,
			placeholder[strings.Index(placeholder, "@")+1:]
	}
	list, err := s.OutPending(ctx, store.Day(now), domain)
	if err != nil {
		return nil, err
	}
	for i := len(list) - 1; i >= 0; i-- {
		date := store.DayStart(list[i].Day).Format(time.DateOnly)
		if day == "" {
			day = date
		}
		if date != day {
			continue
		}
		p, err := preview(ctx, &r, list[i])
		if err != nil {
			return nil, err
		}
		out = append(out, p...)
	}
	return out, nil
}

func preview(ctx context.Context, r *send.Reporter, p store.OutPending) ([]Preview, error) {
	gated, err := r.Make(ctx, p)
	if err != nil {
		return nil, err
	}
	parts, err := r.Reports(ctx, p)
	if errors.Is(err, report.ErrInvalid) || errors.Is(err, report.ErrRow) {
		// Make says so, and that it is a bug.
		return []Preview{{Domain: p.Domain, Day: store.DayStart(p.Day).Format(time.DateOnly),
			ID: gated[0].ID, Messages: p.Messages, Rows: p.Rows, Folded: p.Folded,
			Reason: gated[0].Reason, To: []string{}}}, nil
	}
	if err != nil {
		return nil, err
	}
	wrong := ""
	if gated[0].State == store.Built {
		wrong = r.WrongSetUp(ctx)
	}
	var out []Preview
	for _, part := range parts {
		text, err := Unzip(part.XML)
		if err != nil {
			return nil, err
		}
		x := Preview{
			Domain: p.Domain, Day: store.DayStart(p.Day).Format(time.DateOnly), ID: part.ID,
			Messages: part.Messages, Rows: part.Rows, Folded: part.Folded,
			Sent:   gated[0].State == store.Built && wrong == "",
			Reason: cmp.Or(gated[0].Reason, wrong),
			XML:    string(text), To: []string{},
		}
		for _, d := range part.Deliveries {
			if d.State == store.Failed {
				continue // an address of ours
			}
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
		fmt.Fprintf(w, "Report of %s about %s: %s in %s\n", p.Day, p.Domain,
			counted(p.Messages, "message"), counted(p.Rows, "row"))
		if p.Sent {
			fmt.Fprintf(w, "It will be sent to %s.\n", strings.Join(p.To, ", "))
		} else {
			fmt.Fprintf(w, "It will not be sent: %s.\n", p.Reason)
		}
		fmt.Fprintf(w, "\nThe mail:\n\n%s\nThe report in it:\n\n%s\n",
			strings.ReplaceAll(p.Mail, "\r\n", "\n"), p.XML)
	}
}

// counted is a number with its noun.
func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Unzip returns the content of a gzip file of ours.
func Unzip(file []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
