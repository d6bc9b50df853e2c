package changes

import (
	"context"
	"fmt"
	"strings"
	"time"

	"mailseal/milter/report/send"
	"mailseal/milter/report/store"
)

// suppress has an address get no reports until a time, as "mailseal reports suppress" does.
func (s *Server) suppress(ctx context.Context, c change) (string, error) {
	why := strings.TrimSpace(c.Reason)
	if why == "" {
		why = "no reason given"
	}
	x := store.Suppression{Address: c.Address, Until: c.Until, Reason: why + ", by " + c.By}
	if err := send.Suppress(ctx, s.Intake.Store, x, s.Now()); err != nil {
		return "", err
	}
	if address, ok := send.Address(c.Address); ok {
		c.Address = address
	}
	s.Log.Info("reports to an address are suppressed", "by", c.By, "address", c.Address, "until",
		c.Until.Format(time.DateOnly), "reason", why)
	return fmt.Sprintf("No report goes to %s until %s.", c.Address,
		c.Until.Format(time.DateOnly)), nil
}

// release lets an address get reports again.
func (s *Server) release(ctx context.Context, c change) (string, error) {
	if err := send.Release(ctx, s.Intake.Store, c.Address); err != nil {
		return "", err
	}
	s.Log.Info("reports to an address are no longer suppressed", "by", c.By, "address", c.Address)
	return fmt.Sprintf("%s gets reports again.", c.Address), nil
}

// resend queues the mails of a report that were not handed over.
func (s *Server) resend(ctx context.Context, c change) (string, error) {
	r, err := send.Resend(ctx, s.Intake.Store, c.Report, false, s.Now())
	if err != nil {
		return "", err
	}
	s.Log.Info("a report is queued to be sent again", "by", c.By, "report", c.Report, "domain",
		r.Domain)
	return "The report is queued.", nil
}
