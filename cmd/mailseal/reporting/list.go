package reporting

import (
	"context"
	"fmt"
	"io"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/report/send"
	"mailseal/milter/report/store"
)

// listed is what "mailseal reports list" prints.
type listed struct {
	Pending []pendingLine     `json:"pending"`
	Reports []store.OutReport `json:"reports"`
	Forged  int64             `json:"forged_bounces"` // in 30 days
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
			out.Pending = append(out.Pending,
				pendingLine{store.DayStart(p.Day).Format(time.DateOnly), p})
		}
		if out.Forged, err = s.OutForgedCount(ctx, o.Now); err != nil {
			return answer.NewUnknown(err)
		}
		return o.print(out, out.text)
	})
}

func (l listed) text(w io.Writer) {
	if len(l.Pending)+len(l.Reports) == 0 {
		fmt.Fprintln(w, "No mail is counted yet. The daemon counts while reports.collect is true; "+
			"new mail appears here after about 5 minutes.")
		return
	}
	fmt.Fprintln(w, "day\tdomain\tmessages\trows\tstate\tid\treason")
	for _, p := range l.Pending {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\topen\t\t\n", p.Day, p.Domain, p.Messages, p.Rows)
	}
	for _, r := range l.Reports {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\t%s\n", r.Date, r.Domain, r.Messages, r.Rows,
			r.State, r.ID, r.Reason)
		for _, d := range r.Deliveries {
			fmt.Fprintf(w, "\t  %s\t\t\t%s\t\t%s\n", d.Address, d.State, d.Reason)
		}
	}
	if l.Forged > 0 {
		fmt.Fprintf(w, "\n%s of the last 30 days ignored: sent to an address that no report was "+
			"sent from (nothing to do).\n", counted(l.Forged, "bounce"))
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
		return store.OutReport{}, errNone("there is no report %q of the last 30 days; "+
			"\"mailseal reports list\" has the IDs", id)
	}
	return list[0], nil
}
