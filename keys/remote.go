package keys

import (
	"context"
	"errors"
)

// ErrAnswer says that a source is there, and that what it answered cannot be used: a key that does
// not parse, a column too many. Any other error but ErrNotFound means that the source is away.
var ErrAnswer = errors.New("the source's answer cannot be used")

// Query is what a source is asked when it says itself who signs with which keys.
type Query struct {
	Domain  string // the author's, in A-labels and lower case
	Address string // the author's
	Login   string // the name that the client authenticated with; "" when it did not
}

// MaxChosen bounds the keys that sign one message.
const MaxChosen = 16

// Chooser says who signs with which keys. It is safe for concurrent use.
type Chooser interface {
	// Choose returns the keys that sign for q, at most MaxChosen of them. A key without a Signer is
	// known by its Name only, and to be asked for. No key and no error means that the message is
	// not to be signed: a source that could not find out returns an error.
	Choose(ctx context.Context, q Query) ([]Key, error)

	// Narrow returns q without what the answer of Choose does not depend on.
	Narrow(q Query) Query
}

// Remote is a source of keys that is elsewhere: it can be slow, and it can be away.
type Remote interface {
	Source
	Chooser
}
