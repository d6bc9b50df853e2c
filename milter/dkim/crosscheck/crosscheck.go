// Package crosscheck compares our signatures and results with those of go-msgauth, an independent
// implementation of DKIM. It is the only importer of go-msgauth, and leaves out messages that
// go-msgauth is known to judge wrongly.
package crosscheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"mailseal/milter/message"
)

// ErrUnfit reports that a message is not checked, because go-msgauth would judge it wrongly, or
// slowly. Message wraps it with the reason.
var ErrUnfit = errors.New("not a message for go-msgauth")

// ErrDisagree reports that go-msgauth does not verify our signature. Key wraps it with the reason
// that go-msgauth gives.
var ErrDisagree = errors.New("go-msgauth does not verify the signature")

// Value is go-msgauth's opinion of one signature.
type Value string

// The values of an Opinion. They are those of package dkim as far as go-msgauth tells them apart;
// it calls fail or permerror what we call policy.
const (
	Pass      Value = "pass"
	Fail      Value = "fail"
	TempError Value = "temperror"
	PermError Value = "permerror"
	Unfit     Value = "unfit" // go-msgauth would judge this signature wrongly; Reason says why
)

// Opinion is go-msgauth's verdict on one signature.
type Opinion struct {
	Field  int // the signature's index in the header
	Value  Value
	Reason string // go-msgauth's own words, or why it was not asked; "" for pass
}

// Contradicts reports whether go-msgauth can be said to disagree with a result of ours, given as
// one of the words of RFC 8601 section 2.7.1: one passes what the other does not.
func (o Opinion) Contradicts(ours string) bool {
	return o.Value != Unfit && (o.Value == Pass) != (ours == string(Pass))
}

// Lookup returns the TXT records of a name, none when there are none; the error means that it could
// not find out.
type Lookup func(ctx context.Context, name string) ([]string, error)

// maxSignatures is how many signatures of a message get an opinion, the topmost.
const maxSignatures = 10

// Message returns go-msgauth's opinion of the signatures of a message, in the order of the header.
// The error wraps ErrUnfit. Lookup is called for one name at a time and once for each.
func Message(ctx context.Context, raw []byte, lookup Lookup) ([]Opinion, error) {
	h, whole, err := prepare(raw)
	if err != nil {
		return nil, err
	}
	fields := h.Fields("DKIM-Signature")
	if len(fields) == 0 {
		return nil, nil
	}
	r := &resolver{ctx: ctx, lookup: lookup, answers: map[string]answer{}}
	options := &msgauth.VerifyOptions{LookupTXT: r.texts, MaxVerifications: maxSignatures}
	// From memory: a reader that fails half-way would leave its goroutines hanging for ever.
	found, err := msgauth.VerifyWithOptions(bytes.NewReader(whole), options)
	if err != nil && !errors.Is(err, msgauth.ErrTooManySignatures) {
		return nil, fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	opinions := make([]Opinion, len(found))
	for i, v := range found {
		opinions[i] = opinion(v.Err)
		opinions[i].Field = fields[i]
		f, tags := signatureFacts(h[fields[i]], v.Err)
		f.recordFacts(r.asked(tags))
		if why := f.unfit(); why != "" {
			opinions[i].Value, opinions[i].Reason = Unfit, why
		}
	}
	return opinions, nil
}

func opinion(err error) Opinion {
	switch {
	case err == nil:
		return Opinion{Value: Pass}
	case msgauth.IsTempFail(err):
		return Opinion{Value: TempError, Reason: words(err)}
	case msgauth.IsPermFail(err):
		return Opinion{Value: PermError, Reason: words(err)}
	}
	return Opinion{Value: Fail, Reason: words(err)}
}

func words(err error) string { return strings.TrimPrefix(err.Error(), "dkim: ") }

// SignFunc signs a header and the body of which these are the digests, as package dkim does.
type SignFunc func(h message.Header, body *message.Digests) (message.Field, error)

// The probe that Key has signed holds what canonicalization is about: folds, runs of white space,
// empty lines at the end.
const (
	probeHeader = "From: \"Probe\"  <probe@example.com>\r\n" +
		"To: one@example.com,\r\n\ttwo@example.com\r\n" +
		"Subject:  a  probe \r\n" +
		"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n"
	probeBody = "This mail was never sent. \r\n\r\n \tIt only shows  that a key signs.\t\r\n \r\n\r\n"
)

// Key signs a probe with sign, and verifies it with go-msgauth and the key record that is published
// or must be published. The error is sign's, or wraps ErrDisagree or ErrUnfit.
func Key(sign SignFunc, record string) error {
	h, _, err := prepare([]byte(probeHeader + "\r\n"))
	if err != nil {
		return err
	}
	body := message.NewDigests([]message.BodyHash{
		{Canonicalization: message.Simple, Limit: message.Whole},
		{Canonicalization: message.Relaxed, Limit: message.Whole},
	})
	body.Write([]byte(probeBody))
	body.Close()
	field, err := sign(h, body)
	if err != nil {
		return err
	}
	raw := string(field.Raw()) + "\r\n" + probeHeader + "\r\n" + probeBody
	published := func(context.Context, string) ([]string, error) { return []string{record}, nil }
	opinions, err := Message(context.Background(), []byte(raw), published)
	switch {
	case err != nil:
		return err
	case len(opinions) != 1:
		return fmt.Errorf("%w: it sees %d signatures", ErrDisagree, len(opinions))
	case opinions[0].Value == Unfit:
		return fmt.Errorf("%w: %s", ErrUnfit, opinions[0].Reason)
	case opinions[0].Value != Pass:
		return fmt.Errorf("%w: %s", ErrDisagree, opinions[0].Reason)
	}
	return nil
}
