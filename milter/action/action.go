// Package action defines the actions on a message, and the choices of the configuration
// that lead to them. The configuration decodes into these types, and the packages that act
// switch on them, so that no table has to translate one vocabulary into another.
//
// The zero value of every type is invalid, and so is any value without a name. The code
// that acts refuses it: a message for which no valid action is known is deferred, never let
// through.
package action

// Action is the action on a message. Larger Actions are stricter; of several the strictest
// is applied.
type Action uint8

// The actions. Not every setting takes every action; the manual says which.
const (
	_      Action = iota
	Accept        // the message goes on, with the edits made
	Mark          // it goes on with a field that says what was found
	Hold          // it goes on into the MTA's quarantine (Postfix: the hold queue)
	// 4xx, no edit is made; for what may pass later, such as a DNS server that does not answer
	Tempfail
	Reject  // 5xx, no edit is made: the sender gets the reply, no recipient sees it
	Discard // the MTA says 250 and throws it away; no setting asks for it
)

var actions = vocabulary{"action", []string{"", "accept", "mark", "hold", "tempfail", "reject",
	"discard"}}

// All returns every valid Action, the mildest first.
func All() []Action {
	out := make([]Action, 0, len(actions.words)-1)
	for a := Accept; a.IsValid(); a++ {
		out = append(out, a)
	}
	return out
}

// IsValid reports whether a is one of the actions.
func (a Action) IsValid() bool { return actions.has(uint8(a)) }

// GoesOn reports whether the MTA delivers or keeps the message, so that edits of it make sense.
func (a Action) GoesOn() bool { return a == Accept || a == Mark || a == Hold }

// Words returns the words of all actions.
func (Action) Words() []string { return actions.all() }

func (a Action) String() string { return actions.word(uint8(a)) }

// MarshalText implements encoding.TextMarshaler. An invalid Action is an error.
func (a Action) MarshalText() ([]byte, error) { return actions.marshal(uint8(a)) }

// UnmarshalText implements encoding.TextUnmarshaler. An unknown word is an error, and leaves a as
// it is.
func (a *Action) UnmarshalText(text []byte) error { return unmarshal(actions, text, a) }
