package milter

import (
	"time"

	"mailseal/milter/action"
)

// Metrics counts what happens. Its methods are called by many goroutines at once.
type Metrics interface {
	// Message counts a message that got its verdict, and how long that took from the end of its
	// header on.
	Message(role action.Role, done action.Action, took time.Duration)
	// Connections adds n, which may be negative, to the connections that are open.
	Connections(n int)
	// Event counts an event.
	Event(e Event)
}

// Event is something that is counted and, for the most part, logged where it happens.
type Event string

// The events.
const (
	Malformed Event = "malformed" // an MTA sent what no MTA sends; its connection was closed
	Broken    Event = "broken"    // a connection ended inside a packet or was too slow
	Overflow  Event = "overflow"  // a header was larger than the limit; the message was refused
	// a judge panicked; the message got the outcome for internal errors
	Panicked Event = "panic"
	// the MTA or the protocol does not allow an outcome; the message was tempfailed
	Unworkable Event = "unworkable"
	Lost       Event = "lost"      // a message was judged, but its connection had ended
	LongLine   Event = "long_line" // a signed message has a line that the MTA will break
	Rewritten  Event = "rewritten" // a signed message has addresses that the MTA will rewrite
	// a signed message has a body that is converted where the next host lacks 8BITMIME
	EightBit    Event = "eight_bit"
	Exempted    Event = "exempt"       // a message of an exempt peer passed by
	AcceptError Event = "accept_error" // a connection could not be accepted
	AtLimit     Event = "at_limit"     // a connection had to wait for another to end
)

// noMetrics counts nothing.
type noMetrics struct{}

func (noMetrics) Message(action.Role, action.Action, time.Duration) {}
func (noMetrics) Connections(int)                                   {}
func (noMetrics) Event(Event)                                       {}

// Events returns all events, for those who want to count from zero.
func Events() []Event {
	return []Event{Malformed, Broken, Overflow, Panicked, Unworkable, Lost, LongLine, Rewritten,
		EightBit, Exempted, AcceptError, AtLimit}
}
