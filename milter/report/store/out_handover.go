package store

import (
	"context"
	"errors"
	"time"
)

// A mail is handed over in three changes of its state, each in a separate transaction:
//
//	claimed       it is due later and has one try more; a process that dies loses nothing
//	handing over  the mail server may have it from now on
//	handed over, deferred, failed, suppressed
//
// The number of tries fences a process that was stopped meanwhile: each change names the
// try that it belongs to, and is refused once another process has claimed the next one.

// The states of a mail around the moment in which the mail server takes it.
const (
	// Handing is the state while the reply of the mail server is waited for.
	Handing = "handing over"

	// InDoubt is the state of a mail whose reply never came: the mail server may have it or not. It
	// is not sent again without being asked for: no address gets a report twice.
	InDoubt = "in doubt"
)

// Why a mail is in doubt whose process ended before it stored the result. The data of a failure
// report is not kept, so it cannot be sent again.
const (
	reasonDied = "the process ended before the mail server replied; if the log of the mail " +
		"server does not have the mail, send it with mailseal reports resend"
	reasonFailureDied = "the process ended before the mail server replied; the log of the mail " +
		"server shows whether it has the mail; a failure report cannot be sent again, since its " +
		"data is not kept"
)

// OutClaim takes a delivery that is due for one attempt until a time, and reports whether no other
// process has it: several hosts may share a store. The attempt has the number d.Tries+1, and is
// counted for d.Host.
func (s *Store) OutClaim(ctx context.Context, d OutDelivery, until time.Time) (ours bool,
	err error) {
	return s.one(ctx, `UPDATE out_delivery SET due = $3, tries = tries + 1, host = $6
		WHERE report = $1 AND n = $2 AND due = $4 AND tries = $5 AND (state = 'queued' OR state = 'deferred')`,
		d.Report, d.N, until.Unix(), d.Due.Unix(), d.Tries, d.Host)
}

// OutPostpone postpones a delivery until a time, without an attempt, unless another process has
// claimed it since it was listed.
func (s *Store) OutPostpone(ctx context.Context, d OutDelivery, until time.Time) error {
	_, err := s.one(ctx, `UPDATE out_delivery SET due = $3 WHERE report = $1 AND n = $2
		AND due = $4 AND tries = $5 AND (state = 'queued' OR state = 'deferred')`,
		d.Report, d.N, until.Unix(), d.Due.Unix(), d.Tries)
	return err
}

// OutTaking notes that the mail server may have a claimed delivery from now on. It reports whether
// the attempt d.Tries is still the last one; the mail must not be handed over where it is not.
func (s *Store) OutTaking(ctx context.Context, d OutDelivery, now time.Time) (ours bool,
	err error) {
	return s.one(ctx, `UPDATE out_delivery SET state = 'handing over', changed = $4
		WHERE report = $1 AND n = $2 AND tries = $3 AND (state = 'queued' OR state = 'deferred')`,
		d.Report, d.N, d.Tries, now.Unix())
}

// OutMark records the result of the attempt d.Tries of a delivery. It reports whether that
// attempt is still the last one; otherwise it changes nothing.
func (s *Store) OutMark(
	ctx context.Context, d OutDelivery, state, reason string, due, now time.Time,
) (ours bool, err error) {
	return s.one(ctx, `UPDATE out_delivery SET state = $3, reason = $4, due = $5, changed = $6
		WHERE report = $1 AND n = $2 AND tries = $7`,
		d.Report, d.N, state, reason, due.Unix(), now.Unix(), d.Tries)
}

// OutRequeue has deliveries handed over again, all or none. It reports whether they are as they
// were listed: another process may have claimed one since.
func (s *Store) OutRequeue(ctx context.Context, list []OutDelivery, now time.Time) (isDone bool,
	err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		for _, d := range list {
			done, err := tx.ExecContext(ctx, `UPDATE out_delivery SET state = 'queued',
				reason = '', due = $5, changed = $5
				WHERE report = $1 AND n = $2 AND tries = $3 AND state = $4`,
				d.Report, d.N, d.Tries, d.State, now.Unix())
			if err != nil {
				return err
			}
			if n, err := done.RowsAffected(); err != nil || n == 0 {
				return errors.Join(err, errChanged)
			}
		}
		return nil
	})
	if errors.Is(err, errChanged) {
		return false, nil
	}
	return err == nil, err
}

// errChanged ends a transaction whose deliveries are not as they were listed.
var errChanged = errors.New("a delivery has changed")

// OutFailureTaking does for a failure report what OutTaking does for an aggregate report.
func (s *Store) OutFailureTaking(ctx context.Context, f OutFailure, now time.Time) (ours bool,
	err error) {
	return s.one(ctx, `UPDATE out_failure SET state = 'handing over', changed = $3, address = $4
		WHERE id = $1 AND tries = $2 AND (state = 'open' OR state = 'deferred')`,
		f.ID, f.Tries, now.Unix(), f.Address)
}

// OutDoubt marks the mails whose process recorded no result before its claim expired, and
// returns their number.
func (s *Store) OutDoubt(ctx context.Context, now time.Time) (n int64, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		n = 0
		for _, q := range []struct{ query, reason string }{
			{`UPDATE out_delivery SET state = 'in doubt', reason = $2, changed = $1
				WHERE state = 'handing over' AND due <= $1`, reasonDied},
			{`UPDATE out_failure SET state = 'in doubt', reason = $2, changed = $1, sample = ''
				WHERE state = 'handing over' AND due <= $1`, reasonFailureDied},
		} {
			done, err := tx.ExecContext(ctx, q.query, now.Unix(), q.reason)
			if err != nil {
				return err
			}
			count, err := done.RowsAffected()
			if err != nil {
				return err
			}
			n += count
		}
		return nil
	})
	return n, err
}

// one makes a change of one row, and reports whether the row was there.
func (s *Store) one(ctx context.Context, query string, args ...any) (isDone bool, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		done, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		isDone = n == 1
		return err
	})
	return isDone, err
}
