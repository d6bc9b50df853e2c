package store

import (
	"context"
	"net/netip"
	"time"
)

// Origin has the facts about an address that are not in reports. Empty fields are
// unknown.
type Origin struct {
	Address netip.Addr
	Reverse string // its name, confirmed by a forward lookup
	ASN     int64  // number of the network's operator
	Network string // name of the network's operator
	Country string // two letters
}

// Unlocated returns addresses of mail that counts and that was reported on since a day, of which
// nothing was found out since before; those that were never looked up first, limit at most.
func (s *Store) Unlocated(ctx context.Context, since, before time.Time,
	limit int) (out []netip.Addr, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT s.ip FROM in_source s WHERE s.looked_up < $1
			AND EXISTS (SELECT 1 FROM in_day_source t WHERE t.source = s.id AND t.day >= $2)
			ORDER BY s.looked_up, s.id DESC LIMIT $3`, before.Unix(), day(since), limit)
		if err != nil {
			return err
		}
		return eachRow(rows, func() error {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			a, err := netip.ParseAddr(text)
			if err == nil {
				out = append(out, a)
			}
			return nil // some reports name what is not an address
		})
	})
	return out, err
}

// Locate stores the results of looking up addresses at a time.
func (s *Store) Locate(ctx context.Context, at time.Time, list []Origin) error {
	err := s.Update(ctx, func(tx *Tx) error {
		for _, o := range list {
			_, err := tx.ExecContext(ctx, `UPDATE in_source SET looked_up = $1, ptr = $2, asn = $3, asn_name = $4,
				country = $5 WHERE ip = $6`,
				at.Unix(), text(o.Reverse), o.ASN, text(o.Network), text(o.Country),
				o.Address.String())
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return s.wrap("store where addresses are", err)
	}
	return nil
}

// Origins returns the facts about the addresses that sent mail as a domain, or as any.
func (s *Store) Origins(ctx context.Context, f Filter) (map[string]Origin, error) {
	w := where{}
	w.add("d.name = ", f.Domain)
	w.day("t.day >= ", f.Since)
	w.day("t.day < ", f.Until)
	out := map[string]Origin{}
	err := s.View(ctx, func(tx *Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT s.ip, s.ptr, s.asn, s.asn_name, s.country FROM in_source s
			WHERE (s.ptr <> '' OR s.asn <> 0 OR s.country <> '') AND s.id IN (SELECT t.source FROM in_day_source t
			JOIN in_name d ON d.id = t.domain`+w.String()+")", w.args...)
		if err != nil {
			return err
		}
		return eachRow(rows, func() error {
			var o Origin
			var text string
			err := rows.Scan(&text, &o.Reverse, &o.ASN, &o.Network, &o.Country)
			o.Address, _ = netip.ParseAddr(text)
			out[text] = o
			return err
		})
	})
	return out, err
}
