package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"mailseal/milter/report"
)

// Waiting is the state of a failure report whose hour is not over.
const Waiting = "open"

// Limits of the stored messages that failed. Anyone can cause these, from any network, in
// any domain's name and with a record that names any address. Messages beyond the limits
// are counted only.
const (
	// maxKinds is how many kinds of incidents of a domain an hour has for one host.
	maxKinds = 10

	// maxStrange is how many kinds an hour has for one host of domains that are not related to it
	// by name. Whether they may have reports sent there is known once the DNS is asked.
	maxStrange = 200

	// maxBatch limits the kinds that are distinguished within one segment: of domains that are
	// related to the host, and of others.
	maxBatch = 2000
)

// OutFailure is a failure report, and what became of it.
type OutFailure struct {
	ID        string         `json:"id"`
	Domain    string         `json:"domain"`
	Address   string         `json:"address,omitempty"` // "": not known yet
	Host      string         `json:"host"`
	Incidents int64          `json:"incidents"`
	First     time.Time      `json:"first"`
	State     string         `json:"state"`
	Reason    string         `json:"reason,omitempty"`
	Tries     int            `json:"tries"`
	Due       time.Time      `json:"due"`
	Changed   time.Time      `json:"changed"`
	Sample    report.Failing `json:"-"`
}

// sample is a report.Failing as it is stored.
type sample struct {
	Failing    report.Failing
	Evaluation report.Evaluation
}

// outFailing are like incidents of a batch.
type outFailing struct {
	address report.Address // Local "" where the signer's DNS names it
	first   *report.Failing
	n       int64
}

// AddFailing counts a message that failed, once for each address that receives its report.
func (b *OutBatch) AddFailing(f *report.Failing) {
	to := report.Addresses(f.URIs)
	if f.Signer != "" {
		to = []report.Address{{Host: f.Signer}}
	}
	for _, a := range to {
		key := strings.Join([]string{a.String(), f.Signer, failingDomain(f), f.Failed,
			network(f.Evaluation.Client, 0).String()}, " ")
		x := b.failures[key]
		if x == nil {
			if key, x = b.room(key, a.Host, failingDomain(f)); x == nil {
				x = &outFailing{address: a, first: f}
				b.failures[key] = x
			}
		}
		if x.first.Header == nil && f.Header != nil {
			x.first = f
		}
		x.n++
	}
}

// room returns under which key a new kind of incidents is counted, and what is there already. The
// domains of the host itself and those of strangers have a number of kinds each.
func (b *OutBatch) room(key, host, domain string) (string, *outFailing) {
	used := &b.strange
	if isNear(host, domain) {
		used = &b.near
	}
	if *used < maxBatch {
		*used++
		return key, nil
	}
	key = "rest " + host
	return key, b.failures[key]
}

// failingDomain is whom a failure report is about.
func failingDomain(f *report.Failing) string {
	if f.Signer != "" {
		return f.Signer
	}
	return f.Evaluation.Policy.Domain
}

// foldFailures adds the incidents of a batch to those of the hour.
func (tx *Tx) foldFailures(ctx context.Context, b *OutBatch, now time.Time) error {
	if len(b.failures) == 0 {
		return nil
	}
	key, err := tx.outSecret(ctx, "redact")
	if err != nil {
		return err
	}
	redact := report.Redactor{Key: []byte(key)}
	for _, key := range slices.Sorted(maps.Keys(b.failures)) {
		if err := tx.foldFailure(ctx, key, b.failures[key], redact, now); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) foldFailure(
	ctx context.Context, key string, x *outFailing, redact report.Redactor, now time.Time,
) error {
	hour := now.Unix() / 3600
	domain, host := failingDomain(x.first), x.address.Host
	near := 0
	if isNear(host, domain) {
		near = 1
	}
	state, reason := Waiting, ""
	if strings.HasPrefix(key, "rest ") {
		state = Withheld
	} else {
		isFull, err := tx.isFull(ctx, keyHash(key), host, domain, near, hour)
		if err != nil {
			return err
		}
		if isFull {
			key, state = "rest "+host+" "+domain, Withheld
			if near == 0 {
				key = "rest " + host
			}
		}
	}
	text := ""
	if state == Withheld {
		reason = "too many incidents in the hour: these are counted, but not reported"
	} else {
		first := *x.first
		if first.Signature != nil {
			s := *first.Signature
			first.Signature = &s
		}
		redact.Redact(&first)
		raw, err := json.Marshal(sample{first, first.Evaluation})
		if err != nil {
			return err
		}
		text = string(raw)
	}
	hash := keyHash(key)
	address := ""
	if x.address.Local != "" && state == Waiting {
		address = x.address.String()
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO out_failure
		(id, hash, hour, domain, address, host, near, incidents, first, sample, state, reason, tries, due, changed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, $13, $14)
		ON CONFLICT (hash, hour) DO UPDATE SET incidents = out_failure.incidents + excluded.incidents`,
		failureID(hash, hour), hash, hour, domain, address, host, near, x.n,
		x.first.Evaluation.Time.Unix(), text,
		state, reason, (hour+1)*3600, now.Unix())
	return err
}

// isFull reports whether an hour has no room for one more kind of incidents.
func (tx *Tx) isFull(ctx context.Context, hash, host, domain string, near int, hour int64) (bool,
	error) {
	var known, ofDomain, strange int
	err := tx.QueryRowContext(ctx, `SELECT coalesce(sum(CASE WHEN hash = $1 THEN 1 ELSE 0 END), 0),
		coalesce(sum(CASE WHEN domain = $2 THEN 1 ELSE 0 END), 0),
		coalesce(sum(CASE WHEN near = 0 THEN 1 ELSE 0 END), 0)
		FROM out_failure WHERE host = $3 AND hour = $4 AND state = 'open'`, hash, domain, host, hour).
		Scan(&known, &ofDomain, &strange)
	return known == 0 && (ofDomain >= maxKinds || near == 0 && strange >= maxStrange), err
}

// isNear reports whether two names are one within the other.
func isNear(a, b string) bool {
	return a == b || strings.HasSuffix(a, "."+b) || strings.HasSuffix(b, "."+a)
}

func keyHash(key string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(key)))
	return hex.EncodeToString(sum[:16])
}

// failureID is the ID of a failure report: the day and 24 letters and digits, as those of aggregate
// reports are.
func failureID(hash string, hour int64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "failure %s %d", hash, hour))
	text := base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:15])
	return time.Unix(hour*3600, 0).UTC().Format("20060102") + strings.ToLower(text)
}

const failureColumns = `SELECT id, domain, address, host, incidents, first, sample, state, reason, tries, due, changed
	FROM out_failure `

func (tx *Tx) outFailures(ctx context.Context, where string, args ...any) (out []OutFailure,
	err error) {
	rows, err := tx.QueryContext(ctx, failureColumns+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var f OutFailure
		var first, due, changed int64
		var text string
		err := rows.Scan(&f.ID, &f.Domain, &f.Address, &f.Host, &f.Incidents, &first, &text,
			&f.State, &f.Reason,
			&f.Tries, &due, &changed)
		if err != nil {
			return nil, err
		}
		f.First, f.Due, f.Changed = time.Unix(first, 0).UTC(), time.Unix(due, 0).UTC(),
			time.Unix(changed, 0).UTC()
		if text != "" {
			var s sample
			if err := json.Unmarshal([]byte(text), &s); err != nil {
				return nil, err
			}
			f.Sample = s.Failing
			f.Sample.Evaluation = s.Evaluation
		}
		out = append(out, f)
	}
	return out, rows.Err()
}

// OutFailuresDue lists the failure reports whose hour is over or whose time has come again: those
// about domains that are related to the address's host first, then the largest.
func (s *Store) OutFailuresDue(ctx context.Context, now time.Time) (out []OutFailure, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		out, err = tx.outFailures(ctx, `WHERE (state = 'open' OR state = 'deferred') AND due <= $1
			ORDER BY near DESC, incidents DESC, id LIMIT 1000`, now.Unix())
		return err
	})
	return out, err
}

// OutFailures lists failure reports of the last days, newest first; domain "" for all.
func (s *Store) OutFailures(ctx context.Context, domain string, most int) (out []OutFailure,
	err error) {
	err = s.View(ctx, func(tx *Tx) error {
		out, err = tx.outFailures(ctx,
			"WHERE "+onlyIn("domain", "$1", domain)+" ORDER BY hour DESC, domain, id LIMIT $2",
			domain, most)
		return err
	})
	return out, err
}

// OutFailuresHanded counts the failure reports that a host got since a time.
func (s *Store) OutFailuresHanded(ctx context.Context, host string, since time.Time) (n int,
	err error) {
	err = s.View(ctx, func(tx *Tx) error {
		return tx.QueryRowContext(ctx, `SELECT count(*) FROM out_failure
			WHERE host = $1 AND state = 'handed over' AND changed > $2`, host, since.Unix()).Scan(&n)
	})
	return n, err
}

// OutFailureClaim takes a failure report for one attempt until a time, and reports whether no other
// process has it.
func (s *Store) OutFailureClaim(ctx context.Context, f OutFailure, until time.Time) (ours bool,
	err error) {
	return s.one(ctx, `UPDATE out_failure SET due = $2, tries = tries + 1
		WHERE id = $1 AND due = $3 AND tries = $4 AND (state = 'open' OR state = 'deferred')`,
		f.ID, until.Unix(), f.Due.Unix(), f.Tries)
}

// OutFailureMark records the result of the attempt f.Tries of a failure report, and reports
// whether it is still the last attempt. The sample of a report that was sent is removed.
func (s *Store) OutFailureMark(ctx context.Context, f OutFailure, due, now time.Time) (ours bool,
	err error) {
	return s.one(ctx, `UPDATE out_failure SET state = $2, reason = $3, due = $4, changed = $5,
		address = $6, sample = CASE WHEN $2 = 'deferred' THEN sample ELSE '' END
		WHERE id = $1 AND tries = $7`,
		f.ID, f.State, f.Reason, due.Unix(), now.Unix(), f.Address, f.Tries)
}

// failureBounced returns the address of a failure report that was returned, and marks it;
// "" if there is no such report, or if it was returned before.
func (tx *Tx) failureBounced(ctx context.Context, id, reason string, now time.Time) (string,
	error) {
	var address string
	err := tx.QueryRowContext(ctx, `SELECT address FROM out_failure
		WHERE id = $1 AND state IN ('handed over', 'in doubt')`, id).Scan(&address)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	_, err = tx.ExecContext(ctx, "UPDATE out_failure SET state = 'suppressed', reason = $2, "+
		"changed = $3 WHERE id = $1",
		id, reason, now.Unix())
	return strings.ToLower(address), err
}
