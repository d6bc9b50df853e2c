package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"strings"
	"time"
)

// Arrival is a mail or a file that came in.
type Arrival struct {
	Received    time.Time
	Via         string // "lmtp", "pipe", "import", "upload"
	Name        string // of the file, or the Message-ID
	Trust       string // Aligned, Unaligned, ByHand
	TrustDomain string // that the mail was authenticated for; "" for none
	Data        []byte
}

// What is known about where a report comes from.
const (
	Aligned   = "aligned"   // the mail was authenticated for the domain of the reporter
	Unaligned = "unaligned" // it was not: anyone may have written the report
	ByHand    = "file"      // the administrator brought it
)

// Ingest stores what one mail holds, in a transaction that it may share with other mails.
type Ingest struct {
	ctx     context.Context
	tx      *Tx
	lookup  *lookup
	sums    *sums
	packer  *packer
	arrival *Arrival
	raw     int64
	report  int64
	begin   time.Time
	end     time.Time
	rows    []any
	waiting map[rowKey]int // where in rows the messages of a row are
	merged  int            // rows of the report in hand that were added to another one
	noted   noted          // of the report in hand
	spread  int            // rows of it that were spread over its days
	counts  bool
	key     int64 // of the reporter

	foreign   bool // the report in hand is of a domain that is not ours
	firstRows int  // so many rows of it are kept
	kept      int  // reports of this mail
	vouched   bool // one of these has proof, and is of a domain of ours
	dropped   int
	again     bool  // it is read again, and was counted when it arrived
	returns   bool  // a report of this mail was not kept, and may be read again from it
	left      int   // rows of the report in hand that are not kept
	others    int64 // TLS and failure reports in the store that are not authenticated; 0: not known
}

// Ingest stores a mail or file, and the reports that do finds in it, in one transaction: all of it
// is on the disk when Ingest returns nil, or none of it. isNew is false, and do is not called, for
// bytes that are in the store already.
func (s *Store) Ingest(ctx context.Context, a *Arrival, do func(*Ingest) error) (isNew bool,
	err error) {
	known, err := s.IngestAll(ctx, []*Arrival{a}, func(_ int, in *Ingest) error { return do(in) })
	return err == nil && !known[0], err
}

// IngestAll is Ingest for several mails or files in one transaction, which takes much less time
// than one for each. do is called with the place of each in all. known says which ones were in the
// store already. An error means that none of them was stored.
func (s *Store) IngestAll(ctx context.Context, all []*Arrival,
	do func(int, *Ingest) error) (known []bool, err error) {
	known = make([]bool, len(all))
	var words *lookup
	err = s.Update(ctx, func(tx *Tx) error {
		words = s.lookup(tx)
		sums, packer := newSums(words), &packer{}
		for i, a := range all {
			in := &Ingest{ctx: ctx, arrival: a, tx: tx, lookup: words, sums: sums, packer: packer}
			isNew, err := in.keep()
			if err != nil {
				return err
			}
			in.count(CountMails, 1)
			in.count(CountBytes, int64(len(a.Data)))
			if known[i] = !isNew; known[i] {
				in.count(CountKnown, 1)
				continue
			}
			if err := do(i, in); err != nil {
				return err
			}
		}
		return sums.finish(ctx)
	})
	if err != nil {
		return nil, s.wrap("store a report", err)
	}
	words.commit()
	return known, nil
}

// packer compresses what arrives. Its memory is used again.
type packer struct {
	out bytes.Buffer
	zip *gzip.Writer
}

// pack returns data compressed; it is valid until the next call.
func (p *packer) pack(data []byte) ([]byte, error) {
	p.out.Reset()
	if p.zip == nil {
		p.zip = gzip.NewWriter(&p.out)
	} else {
		p.zip.Reset(&p.out)
	}
	if _, err := p.zip.Write(data); err != nil {
		return nil, err
	}
	err := p.zip.Close()
	return p.out.Bytes(), err
}

// keep stores the raw bytes.
func (in *Ingest) keep() (bool, error) {
	sum := sha256.Sum256(in.arrival.Data)
	packed, err := in.packer.pack(in.arrival.Data)
	if err != nil {
		return false, err
	}
	a := in.arrival
	err = in.lookup.ask(in.ctx, &in.raw, `INSERT INTO in_raw (digest, received, via, name, kind,
		trust, trust_domain, size, data)
		VALUES ($1, $2, $3, $4, '', $5, $6, $7, $8) ON CONFLICT (digest) DO NOTHING RETURNING id`,
		hex.EncodeToString(sum[:]), a.Received.Unix(), a.Via, text(a.Name), a.Trust,
		text(a.TrustDomain), len(a.Data), packed)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// text makes a stranger's text fit for PostgreSQL, which has no NUL.
func text(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "?")
}

// maxIdle bounds the mails that are kept as they came although they brought nothing new that is
// proven, in bytes. Anyone can send them; they are removed after Retention.Raw.
const maxIdle = 1 << 30

// Finish records the kind of the mail, and the reason if it could not be read. It does not
// keep a mail whose reports were all dropped, nor one without an authenticated report if
// there are too many of those.
func (in *Ingest) Finish(kind, problem string) error {
	if problem != "" {
		in.count(CountUnread, 1)
	}
	isKept := in.dropped == 0 || in.kept > 0 || in.returns
	if isKept && !in.vouched {
		var all int64
		err := in.lookup.ask(in.ctx, &all, `SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM in_raw
			WHERE data IS NOT NULL AND idle = 1 AND id <> $1`, in.raw)
		if err != nil {
			return err
		}
		isKept = all+int64(len(in.arrival.Data)) <= maxIdle
		if !isKept && problem != "" {
			problem += "\nthe mail itself is not kept: the store has 1 GiB of mails without a " +
				"report that is proven"
		}
	}
	if !isKept {
		if err := in.lookup.exec(in.ctx, "UPDATE in_raw SET data = NULL WHERE id = $1",
			in.raw); err != nil {
			return err
		}
	}
	return in.lookup.exec(in.ctx, "UPDATE in_raw SET kind = $1, error = $2, idle = $3 WHERE id = "+
		"$4",
		kind, text(problem), number(!in.vouched), in.raw)
}
