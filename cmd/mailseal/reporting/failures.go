package reporting

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/report/send"
	"mailseal/milter/report/store"
)

// Failures lists the failure reports of the last days with their states.
func (o *Out) Failures(ctx context.Context, domain string) error {
	return o.with(ctx, func(s *store.Store, _ *send.Reporter) error {
		list, err := s.OutFailures(ctx, strings.ToLower(domain), maxListed)
		if err != nil {
			return answer.NewUnknown(err)
		}
		if list == nil {
			list = []store.OutFailure{}
		}
		return o.print(list, func(w io.Writer) {
			switch {
			case len(o.Config.Reports.Failure.Domains) == 0:
				fmt.Fprintln(w, "Failure reports are off: domains in [reports.failure] is empty.")
			case len(list) == 0:
				fmt.Fprintln(w, "No failed message needs a failure report to one of the listed "+
					"domains.")
			}
			if len(list) == 0 {
				return
			}
			fmt.Fprintln(w, "first\tdomain\tincidents\tto\tstate\treason")
			for _, f := range list {
				to := f.Address
				if to == "" {
					to = f.Host
				}
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", f.First.Format(time.RFC3339), f.Domain,
					f.Incidents, to, f.State, f.Reason)
			}
		})
	})
}
