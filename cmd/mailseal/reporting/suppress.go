package reporting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/report/send"
	"mailseal/milter/report/store"
)

// Suppress stops reports to an address for some days, or, with remove, allows them again. Without
// an address it lists the suppressed addresses.
func (o *Out) Suppress(ctx context.Context, address string, days int, remove bool) error {
	open := o.with
	if address != "" {
		open = o.creating
	}
	return open(ctx, func(s *store.Store, _ *send.Reporter) error {
		if err := o.suppress(ctx, s, address, days, remove); err != nil {
			return err
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
			fmt.Fprintln(w, "address\tuntil\tbounces\treason")
			for _, x := range list {
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", x.Address, x.Until.Format(time.DateOnly),
					x.Strikes, x.Reason)
			}
		})
	})
}

func (o *Out) suppress(ctx context.Context, s *store.Store, address string, days int,
	remove bool) error {
	if address == "" {
		return nil
	}
	if _, ok := send.Address(address); !ok && !remove {
		return answer.NewUsage(fmt.Errorf("invalid mail address %q: write it as "+
			"user@example.com", address))
	}
	var err error
	if remove {
		err = send.Release(ctx, s, address)
	} else {
		err = send.Suppress(ctx, s, store.Suppression{Address: address,
			Until: o.Now.AddDate(0, 0, days), Reason: "by mailseal reports suppress"}, o.Now)
	}
	if err != nil {
		return refusedOr(err)
	}
	return nil
}

// Bounced reads a mail that was sent to the envelope sender of a report.
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
				fmt.Fprintln(w, "Nothing changed, and there is nothing to do. The mail is a "+
					"notice of a delay, the second bounce for an address on one day, or a "+
					"bounce of a report that has expired, or it was sent to an address "+
					"that no report was sent from.")
				return
			}
			fmt.Fprintf(w, "%s gets no reports until %s: %s\n", x.Address,
				x.Until.Format(time.DateOnly), x.Reason)
		})
	})
}

// Forget removes all data about a domain.
func (o *Out) Forget(ctx context.Context, domain string) error {
	return o.creating(ctx, func(s *store.Store, _ *send.Reporter) error {
		// Records that are still in the spool would add the domain again later.
		p := &Process{Config: o.Config, Log: slog.Default(),
			Now: func() time.Time { return o.Now }, store: s}
		if err := p.Fold(ctx); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return answer.NewUnknown(fmt.Errorf("nothing was removed, because records about %s "+
				"that may still be in the spool cannot be read: %w", domain, err))
		}
		n, err := s.OutForget(ctx, strings.ToLower(domain))
		if err != nil {
			return answer.NewUnknown(err)
		}
		out := struct {
			Domain  string `json:"domain"`
			Removed int64  `json:"removed"`
		}{domain, n}
		return o.print(out, func(w io.Writer) {
			fmt.Fprintf(w, "%d entries about %s were removed. The daemon writes records up to 5 "+
				"minutes late: run this command again after that.\n", n, domain)
		})
	})
}
