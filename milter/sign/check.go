package sign

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"mailseal/keys"
	"mailseal/milter/dkim"
	"mailseal/milter/dkim/crosscheck"
	"mailseal/milter/message"
)

// Verdict is the result of a self-check.
type Verdict string

// The verdicts.
const (
	Agree    Verdict = "agree"
	Disagree Verdict = "disagree"
	// the second implementation is known to judge such a message wrongly, or it was too large
	LeftOut Verdict = "left out"
)

// ErrDisagree means that the second implementation does not verify a signature that we
// made.
var ErrDisagree = errors.New("the second implementation does not verify the signature")

// Check asks the second implementation whether the signatures verify on the message as it will be:
// header h and body raw, which is nil when it was too large to be kept. It uses the records that
// the keys need, not those that the DNS shows. The error of Disagree wraps ErrDisagree, that of
// LeftOut is the reason.
func (s Signed) Check(ctx context.Context, h message.Header, raw []byte) (Verdict, error) {
	if raw == nil {
		return LeftOut, nil
	}
	opinions, err := crosscheck.Message(ctx, assemble(h, raw), s.lookup)
	if err != nil {
		return LeftOut, err
	}
	verdict := Agree
	for _, o := range opinions {
		switch {
		case o.Field >= len(h) || !s.made(h[o.Field]):
		case o.Contradicts(string(dkim.Pass)):
			return Disagree, fmt.Errorf("%w: %s", ErrDisagree, o.Reason)
		case o.Value == crosscheck.Unfit:
			verdict, err = LeftOut, errors.New(o.Reason)
		}
	}
	return verdict, err
}

// made reports whether f is one of the signatures: the message may have come with others.
func (s Signed) made(f message.Field) bool {
	for _, own := range s.Fields {
		if bytes.Equal(own.Raw(), f.Raw()) {
			return true
		}
	}
	return false
}

// lookup answers with the records of the keys that signed.
func (s Signed) lookup(_ context.Context, name string) ([]string, error) {
	for _, m := range s.Made {
		if m.String() != name {
			continue
		}
		k := m.Key
		k.Domain, k.Selector = m.Domain, m.Selector
		record, err := k.Record(keys.RecordOptions{})
		return []string{record.Text}, err
	}
	return nil, nil
}

// assemble puts header and body together again.
func assemble(h message.Header, body []byte) []byte {
	var out bytes.Buffer
	for _, f := range h {
		out.Write(f.Raw())
		out.WriteString("\r\n")
	}
	out.WriteString("\r\n")
	out.Write(body)
	return out.Bytes()
}

// TestKey signs a probe with a key. The second implementation must verify it with the
// record that the administrator is asked to publish: signatures of a key that fails this
// could never verify.
func TestKey(k keys.Key, o dkim.SignOptions) error {
	record, err := k.Record(keys.RecordOptions{})
	if err != nil {
		return err
	}
	o.Identifier = ""
	sign := func(h message.Header, body *message.Digests) (message.Field, error) {
		return dkim.Sign(h, body, dkim.Key{Domain: k.Domain, Selector: k.Selector,
			Signer: k.Signer}, o)
	}
	return crosscheck.Key(sign, record.Text)
}
