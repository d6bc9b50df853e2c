package send

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/store"
)

// What an operator does by hand, on the command line or on the pages.

// ErrRefused reports something that an operator asked for and that cannot be done, with the reason;
// nothing was changed.
var ErrRefused = errors.New("not done")

// denial is an error that matches ErrRefused and has a separate text.
type denial string

func (r denial) Error() string        { return string(r) }
func (r denial) Is(target error) bool { return target == ErrRefused }

func deny(format string, args ...any) error { return denial(fmt.Sprintf(format, args...)) }

// Address returns the mail address that a text names as reports are sent to it: without what a URI
// may have behind it ("!10m", "?subject="), without percent signs, and with a host in A-labels. ok
// is false if no report could be sent to it.
func Address(text string) (address string, ok bool) {
	list := report.Addresses([]string{"mailto:" + strings.TrimSpace(text)})
	if len(list) != 1 {
		return "", false
	}
	return list[0].String(), true
}

// maxSuppressed is the longest time for which an address can be suppressed, in years.
const maxSuppressed = 100

// Suppress stops reports to an address until a time.
func Suppress(ctx context.Context, s *store.Store, x store.Suppression, now time.Time) error {
	address, ok := Address(x.Address)
	switch {
	case !ok:
		return deny("invalid mail address %q: write it as user@example.com", x.Address)
	case !x.Until.After(now):
		return deny("the time until which %s gets no reports is over: give a later one",
			x.Address)
	case x.Until.After(now.AddDate(maxSuppressed, 0, 0)):
		return deny("the time until which %s gets no reports is more than %d years ahead",
			x.Address, maxSuppressed)
	}
	x.Address = address
	return s.OutSuppress(ctx, x)
}

// Release allows reports to an address again.
func Release(ctx context.Context, s *store.Store, address string) error {
	was, err := s.OutRelease(ctx, address) // first as it stands in the list
	if parsed, ok := Address(address); err == nil && !was && ok {
		was, err = s.OutRelease(ctx, parsed)
	}
	if err == nil && !was {
		return deny("%s is not suppressed", address)
	}
	return err
}

// Resend queues the mails of a report again, byte for byte: those that were not handed over, so
// that no address gets one twice. If all were handed over, it queues all of them if twice is set,
// and refuses otherwise. It returns the report with its new state.
func Resend(ctx context.Context, s *store.Store, id string, twice bool,
	now time.Time) (store.OutReport, error) {
	r, err := find(ctx, s, id)
	if err != nil {
		return r, err
	}
	if len(r.Deliveries) == 0 {
		return r, deny("report %s was withheld, and has no mails: %s", id, r.Reason)
	}
	var left []store.OutDelivery
	for _, d := range r.Deliveries {
		if d.State == store.Handing {
			return r, deny("report %s is being handed over to the mail server for %s; try "+
				"again in ten minutes", id, d.Address)
		}
		if d.State != store.HandedOver {
			left = append(left, d)
		}
	}
	if len(left) == 0 && !twice {
		return r, deny("all mails of report %s were handed over to the mail server", id)
	}
	if len(left) == 0 {
		left = r.Deliveries
	}
	isDone, err := s.OutRequeue(ctx, left, now)
	if err != nil {
		return r, err
	}
	if !isDone {
		return r, deny("report %s changed meanwhile: another process is sending it; see "+
			"\"mailseal reports show %[1]s\"", id)
	}
	return find(ctx, s, id)
}

func find(ctx context.Context, s *store.Store, id string) (store.OutReport, error) {
	list, err := s.OutReports(ctx, "", id, 1)
	if err != nil {
		return store.OutReport{}, err
	}
	if len(list) == 0 || id == "" {
		return store.OutReport{}, deny("there is no report %q of the last 30 days; "+
			"\"mailseal reports list --json\" has the IDs", id)
	}
	return list[0], nil
}
