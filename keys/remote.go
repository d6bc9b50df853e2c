package keys

import (
	"context"
	"errors"
)

// ErrAnswer means that a source answered, but that its answer cannot be used: the key does
// not parse, for example, or there are too many columns. Any other error except ErrNotFound
// means that the source cannot be reached.
var ErrAnswer = errors.New("the source's answer cannot be used")

// Query is the request to a source that decides itself which keys sign a message.
type Query struct {
	Domain  string // the author's, in A-labels and lower case
	Address string // the author's
	Login   string // the name that the client authenticated with; "" when it did not
}

// MaxChosen bounds the keys that sign one message.
const MaxChosen = 16

// Chooser decides which keys sign a message. It is safe for concurrent use.
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
