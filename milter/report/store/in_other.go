package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"mailseal/milter/report"
)

// Other is one policy of a TLS report or a failure report. These reports are shown, but not
// counted in sums.
type Other struct {
	ID          int64           `json:"id"`
	Kind        string          `json:"kind"` // "tls", "failure"
	Domain      string          `json:"domain"`
	Reporter    string          `json:"reporter"` // as it calls itself
	Begin       time.Time       `json:"begin"`
	End         time.Time       `json:"end"`
	Received    time.Time       `json:"received"`
	TrustDomain string          `json:"authenticated"` // domain of its mail; "": none
	Good        int64           `json:"successful"`    // sessions
	Bad         int64           `json:"failed"`        // sessions or incidents
	Content     json.RawMessage `json:"content"`
}

// TLS stores a TLS report. It returns how many of its policies are new.
func (in *Ingest) TLS(r *report.TLSReport) (stored int, err error) {
	begin, end := r.Begin, r.End
	if begin.IsZero() {
		begin, end = in.arrival.Received, in.arrival.Received
	}
	for i, p := range r.Policies {
		content, err := json.Marshal(p)
		if err != nil {
			return stored, err
		}
		isNew, err := in.other(Other{
			Kind: "tls", Domain: p.Domain, Reporter: r.Org, Begin: begin, End: end, Good: p.Good, Bad: p.Bad,
			Content: content,
		}, r.Org, r.ID, fmt.Sprint(i))
		if err != nil {
			return stored, err
		}
		stored += number(isNew)
	}
	return stored, nil
}

// Failure stores a failure report, and reports whether it is new.
func (in *Ingest) Failure(f *report.Failure) (isNew bool, err error) {
	content, err := json.Marshal(f)
	if err != nil {
		return false, err
	}
	at := in.arrival.Received
	return in.other(Other{
		Kind: "failure", Domain: f.Domain, Reporter: f.Agent, Begin: at, End: at,
		Bad: f.Incidents, Content: content,
	}, string(content))
}

// other stores o unless there is one with the same kind, domain, period, author and key: an
// unauthenticated author can only repeat the reports of others like it.
func (in *Ingest) other(o Other, key ...string) (bool, error) {
	proven := in.arrival.TrustDomain != "" || in.arrival.Trust == ByHand
	if !proven {
		isFull, err := in.othersAreFull()
		if isFull || err != nil {
			in.dropped++
			return false, err
		}
	}
	key = append(key, o.Kind, o.Domain, in.arrival.TrustDomain)
	if o.Kind == "tls" {
		key = append(key, o.Begin.String(), o.End.String())
	}
	sum := sha256.Sum256([]byte(strings.Join(key, "\x00")))
	result, err := in.tx.ExecContext(in.ctx, `INSERT INTO in_other (dedup, raw, kind, domain,
		reporter, begins, ends, received,
		trust_domain, good, bad, content) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (dedup) DO NOTHING`,
		hex.EncodeToString(sum[:]), in.raw, o.Kind, text(o.Domain), text(o.Reporter),
		o.Begin.Unix(), o.End.Unix(),
		in.arrival.Received.Unix(), text(in.arrival.TrustDomain), o.Good, o.Bad,
		text(string(o.Content)))
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	if n > 0 {
		in.kept++
		in.others++
		in.vouched = in.vouched || proven
	}
	return n > 0, err
}

// maxOthers bounds the TLS and failure reports that are kept although no authentication shows whose
// they are. They are removed after Retention.Raw.
const maxOthers = 10_000

// othersAreFull reports whether the store has as many of them as it may. It looks once for a mail.
func (in *Ingest) othersAreFull() (bool, error) {
	if in.others == 0 {
		err := in.lookup.ask(in.ctx, &in.others, `SELECT COUNT(*) FROM (SELECT 1 FROM in_other
			JOIN in_raw ON in_raw.id = in_other.raw
			WHERE in_other.trust_domain = '' AND in_raw.trust <> 'file' LIMIT $1) bin`, maxOthers)
		if err != nil {
			return false, err
		}
	}
	return in.others >= maxOthers, nil
}

// Dropped returns how many reports of the mail were not kept, because the store has too many like
// them.
func (in *Ingest) Dropped() int { return in.dropped }

// Others returns the TLS or failure reports that a filter chooses, the latest first. Domain and the
// times count alone.
func (s *Store) Others(ctx context.Context, kind string, f Filter) (out []Other, err error) {
	w := where{}
	w.add("kind = ", kind)
	w.add("domain = ", f.Domain)
	w.period("ends >= ", f.Since)
	w.period("begins < ", f.Until)
	return s.others(ctx, w, f.Top)
}

// Other returns the TLS or failure report with the given number, or ErrNone.
func (s *Store) Other(ctx context.Context, kind string, id int64) (Other, error) {
	w := where{}
	w.add("kind = ", kind)
	w.number("id = ", id)
	list, err := s.others(ctx, w, 1)
	if err != nil {
		return Other{}, err
	}
	if len(list) == 0 {
		return Other{}, ErrNone
	}
	return list[0], nil
}

func (s *Store) others(ctx context.Context, w where, limit int) (out []Other, err error) {
	q := `SELECT id, kind, domain, reporter, begins, ends, received, trust_domain, good, bad,
		content FROM in_other` +
		w.String() + " ORDER BY begins DESC, id DESC"
	if limit > 0 {
		q += fmt.Sprint(" LIMIT ", limit)
	}
	err = s.View(ctx, func(tx *Tx) error {
		rows, err := tx.QueryContext(ctx, q, w.args...)
		if err != nil {
			return err
		}
		return eachRow(rows, func() error {
			var o Other
			var begins, ends, received int64
			var content string
			err := rows.Scan(&o.ID, &o.Kind, &o.Domain, &o.Reporter, &begins, &ends, &received,
				&o.TrustDomain,
				&o.Good, &o.Bad, &content)
			o.Begin, o.End = time.Unix(begins, 0).UTC(), time.Unix(ends, 0).UTC()
			o.Received, o.Content = time.Unix(received, 0).UTC(), json.RawMessage(content)
			out = append(out, o)
			return err
		})
	})
	return out, err
}
