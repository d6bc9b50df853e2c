package sign

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailseal/keys"
	"mailseal/milter/arc"
	"mailseal/milter/authres"
	"mailseal/milter/dkim"
	"mailseal/milter/message"
)

// Sealer adds ARC sets in the name of one domain.
type Sealer struct {
	Keys     keys.Source
	Key      string // its name in the key table
	Domain   string // d= instead of the key's, "" for the key's
	Selector string // s= instead of the key's, "" for the key's
	Options  arc.SealOptions
	Now      func() time.Time // nil for time.Now
}

// BodyHash is the digest of the body that Seal needs.
func (s *Sealer) BodyHash() message.BodyHash { return s.Options.BodyHash() }

// ErrUnfinished means that the validation of a chain was stopped by a limit or a shortage
// of this host. The chain is not sealed: cv=fail would end a chain that may be honest.
var ErrUnfinished = errors.New("the ARC chain was not validated to its end")

// Seal returns the next set for a message that will have header h below it, the topmost field
// first. The AAR says what found says, without comments, which some receivers cannot read. The AMS
// leaves the fields out that omit names.
func (s *Sealer) Seal(
	ctx context.Context, chain arc.Result, h message.Header, body *message.Digests,
	found authres.Field, omit []string,
) ([]message.Field, error) {
	if chain.Unfinished {
		return nil, ErrUnfinished
	}
	k, err := s.Keys.Key(ctx, s.Key)
	if err != nil {
		return nil, fmt.Errorf("seal with key %s: %w", s.Key, err)
	}
	if s.Domain != "" {
		k.Domain = s.Domain
	}
	if s.Selector != "" {
		k.Selector = s.Selector
	}
	o := s.Options
	o.Omit = omit
	if s.Now != nil {
		o.Time = s.Now()
	}
	return arc.Seal(h, body, chain, found.WithoutComments().Payload(),
		dkim.Key{Domain: k.Domain, Selector: k.Selector, Signer: k.Signer}, o)
}
