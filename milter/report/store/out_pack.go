package store

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"

	"mailseal/milter/report"
)

// packLevel is how hard rows are packed: harder saves little of values that are so short.
const packLevel = 4

// packWords is what rows have in common, the most frequent last. It is part of the form in which
// rows are stored: a change needs another first byte.
const packWords = "permerror temperror neutral softfail reject quarantine trusted_forwarder " +
	"other mailing_list .invalid.info.eu.uk.fr.de.org.net.com local_policy none fail mail. " +
	"bounce.bounces. default selector1 google s1 pass"

// The first byte of packed rows.
const (
	packedAsIs  = 0
	packedWords = 1
)

// partPacker makes rows of a policy smaller. Most policies have one row in a batch, which is a few
// names that come several times.
type partPacker struct {
	out   bytes.Buffer
	flate *flate.Writer
}

func newPartPacker() *partPacker {
	p := &partPacker{}
	// The level is valid, so there is no error.
	p.flate, _ = flate.NewWriterDict(&p.out, packLevel, []byte(packWords))
	return p
}

// pack returns rows as they are stored.
func (p *partPacker) pack(rows []byte) ([]byte, error) {
	p.out.Reset()
	p.out.WriteByte(packedWords)
	p.flate.Reset(&p.out)
	if _, err := p.flate.Write(rows); err != nil {
		return nil, err
	}
	if err := p.flate.Close(); err != nil {
		return nil, err
	}
	if p.out.Len() > len(rows)+1 {
		return append([]byte{packedAsIs}, rows...), nil
	}
	return bytes.Clone(p.out.Bytes()), nil
}

// partUnpacker reads rows that a partPacker wrote.
type partUnpacker struct {
	in    bytes.Reader
	flate io.ReadCloser
	out   bytes.Buffer
}

// maxPacked bounds what packed rows become, in bytes: more than merge leaves of one policy.
const maxPacked = 16 << 20

// unpack returns rows, which are valid until the next call.
func (u *partUnpacker) unpack(stored []byte) ([]byte, error) {
	if len(stored) == 0 {
		return nil, nil
	}
	switch stored[0] {
	case packedAsIs:
		return stored[1:], nil
	case packedWords:
	default:
		return nil, fmt.Errorf("the store of reports: rows in format %d are from a later version of Mailseal: "+
			"upgrade this host", stored[0])
	}
	u.in.Reset(stored[1:])
	if u.flate == nil {
		u.flate = flate.NewReaderDict(&u.in, []byte(packWords))
	} else if err := u.flate.(flate.Resetter).Reset(&u.in, []byte(packWords)); err != nil {
		return nil, err
	}
	u.out.Reset()
	n, err := io.Copy(&u.out, io.LimitReader(u.flate, maxPacked))
	if err == nil && n == maxPacked {
		err = report.ErrRow
	}
	if err != nil {
		return nil, fmt.Errorf("the store of reports: packed rows: %w", err)
	}
	return u.out.Bytes(), nil
}
