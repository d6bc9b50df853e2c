package store

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Verdict is an administrator's decision about a source.
type Verdict struct {
	ID        int64
	Domain    string       // "" for all domains
	Subject   string       // an address, a network, or the name that pages give to a source
	Addresses []netip.Addr // that a named source had when it was judged, at most maxJudged
	Class     string       // of the package advice
	Was       string       // the verdict before; "" for none
	By        string
	At        time.Time
	Undone    bool
}

// AcceptsSPF is the verdict that mail of a source may pass by SPF alone. It is stored in
// addition to the verdict on its class.
const AcceptsSPF = "accepts spf"

// Bounds of verdicts. All that hold are read with each page.
const (
	maxVerdicts = 10_000 // that hold
	maxUndone   = 1_000  // that were undone, the latest
	maxJudged   = 1_000  // addresses of one
)

// Errors of verdicts.
var (
	// ErrVerdicts reports that the store holds as many verdicts as it may.
	ErrVerdicts = fmt.Errorf("the limit of %d verdicts is reached; undo some, or judge a source "+
		"for all domains", maxVerdicts)
	// ErrNoVerdict reports a verdict that does not exist, or was undone before.
	ErrNoVerdict = errors.New("the verdict does not exist, or was undone already")
)

// Matches reports whether the verdict gives a class to an address, as a source of domain; "" asks
// for verdicts on all domains alone.
func (v *Verdict) Matches(domain string, ip netip.Addr) bool {
	if v.Undone || v.Class == AcceptsSPF || v.Domain != "" && v.Domain != domain {
		return false
	}
	if p, ok := v.Prefix(); ok {
		return p.Contains(ip)
	}
	return slices.Contains(v.Addresses, ip)
}

// Prefix returns the network or address that the verdict is about; ok is false for a named source.
func (v *Verdict) Prefix() (p netip.Prefix, ok bool) {
	if p, err := netip.ParsePrefix(v.Subject); err == nil {
		return p, true
	}
	if a, err := netip.ParseAddr(v.Subject); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	return p, false
}

// Judge stores a verdict: its Was and ID are the store's to give. The same verdict again changes
// nothing.
func (s *Store) Judge(ctx context.Context, v Verdict) error {
	err := s.Update(ctx, func(tx *Tx) error {
		held, was := 0, ""
		list, err := tx.verdicts(ctx)
		if err != nil {
			return err
		}
		for _, o := range slices.Backward(list) {
			if o.Undone {
				continue
			}
			held++
			sameKind := (o.Class == AcceptsSPF) == (v.Class == AcceptsSPF)
			if o.Domain == v.Domain && o.Subject == v.Subject && sameKind {
				was = o.Class
			}
		}
		switch {
		case was == v.Class:
			return nil
		case held >= maxVerdicts:
			return ErrVerdicts
		}
		var addresses []string
		for _, ip := range v.Addresses[:min(len(v.Addresses), maxJudged)] {
			addresses = append(addresses, ip.String())
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO in_verdict (domain, subject, addresses, class, was, made, made_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			text(v.Domain), text(v.Subject), strings.Join(addresses, " "), v.Class, was,
			v.At.Unix(), text(v.By))
		return err
	})
	if err != nil && !errors.Is(err, ErrVerdicts) {
		return s.wrap("store a verdict", err)
	}
	return err
}

// Undo reverts a verdict: the previous verdict on the same source, if there is one, applies again.
func (s *Store) Undo(ctx context.Context, id int64, by string, now time.Time) error {
	err := s.Update(ctx, func(tx *Tx) error {
		r, err := tx.ExecContext(ctx, "UPDATE in_verdict SET undone = $1, undone_by = $2 WHERE "+
			"id = $3 AND undone = 0",
			now.Unix(), text(by), id)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNoVerdict)
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM in_verdict WHERE undone <> 0 AND id NOT IN
			(SELECT id FROM in_verdict WHERE undone <> 0 ORDER BY undone DESC, id DESC LIMIT $1)`, maxUndone)
		return err
	})
	if err != nil && !errors.Is(err, ErrNoVerdict) {
		return s.wrap("undo a verdict", err)
	}
	return err
}

// Verdicts returns all verdicts, the newest first, those that were undone included.
func (s *Store) Verdicts(ctx context.Context) (out []Verdict, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		out, err = tx.verdicts(ctx)
		return err
	})
	return out, err
}

func (tx *Tx) verdicts(ctx context.Context) (out []Verdict, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, domain, subject, addresses, class, was, made, made_by, undone
		FROM in_verdict ORDER BY made DESC, id DESC`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v Verdict
		var addresses string
		var made, undone int64
		err := rows.Scan(&v.ID, &v.Domain, &v.Subject, &addresses, &v.Class, &v.Was, &made,
			&v.By, &undone)
		if err != nil {
			return nil, err
		}
		v.At, v.Undone = time.Unix(made, 0).UTC(), undone != 0
		for _, a := range strings.Fields(addresses) {
			if ip, err := netip.ParseAddr(a); err == nil {
				v.Addresses = append(v.Addresses, ip)
			}
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
