package milter

import (
	"context"

	"mailseal/milter/action"
	"mailseal/milter/message"
)

// Filter judges messages. One value serves all connections at once and never changes: a reload puts
// another one in its place, and a message ends with the one that it began with.
type Filter interface {
	// Begin is called at the end of the header, with all that is known of the message but its body.
	// It must not wait: lookups that can run while the body comes are started in goroutines of its
	// own, which recover, and end with ctx. ctx ends when the message does, however it ends.
	Begin(ctx context.Context, m Mail) Judge
}

// Cleaner is a Filter that says which fields of a message no sender but us may have written. They
// are removed even where the Filter itself fails and Settings.OnInternalError accepts the message.
type Cleaner interface {
	Clean(m Mail) []int // indices into the header
}

// Judge decides about one message.
type Judge interface {
	// Wants returns the part of the body that is needed. It is called once, before the body
	// arrives.
	Wants() Wants
	// Decide is called when the body is complete. ctx has the deadline for all judging; a result
	// that is not there in time is a temperror, not an error. raw is the body as it came, if Wants
	// asked for it and it is neither empty nor longer than that; else nil.
	Decide(ctx context.Context, m *message.Message, raw []byte) Outcome
}

// Mail is a message as a Filter sees it at the end of the header. The Filter may keep it:
// nothing in it changes afterwards except Envelope.QueueID, which Postfix sends later, and
// which is complete when Decide is called.
type Mail struct {
	Envelope *message.Envelope
	Role     action.Role
	Why      Reason // what decided the Role
	// MayChange reports whether the MTA lets fields be changed and removed. An outcome that needs
	// it and does not have it is deferred.
	MayChange bool
	Header    message.Header
}

// Wants is the part of a body that a Judge needs.
type Wants struct {
	Hashes []message.BodyHash // none: the MTA may keep the body to itself
	// Raw asks for the body itself, up to so many octets; a longer one is given up. 0: only hashes
	// are needed. It is meant for the few messages that a second implementation checks.
	Raw int
}
