package keys

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Stage is the stage of a key's life. The daemon signs with active keys only; from published to
// retiring the record must stay in the DNS.
type Stage string

// The stages, in the order of a life.
const (
	Generated Stage = "generated" // made; its record is to be published
	Published Stage = "published" // every name server shows the record
	Active    Stage = "active"    // signs
	Retiring  Stage = "retiring"  // no longer signs; mail that it signed is still on its way
	// the record says so with an empty p= (RFC 6376 section 3.6.1), or is gone
	Revoked Stage = "revoked"
	// record and private key are gone; its selector is never used again
	Removed Stage = "removed"
)

// Sight is the state of a key's record as all name servers of the zone together show it.
type Sight string

// The sights.
const (
	SightUnknown Sight = "unknown" // some server did not answer, or more than may be silent
	SightKey     Sight = "key"     // all show the key
	SightRevoked Sight = "revoked" // some show it revoked, the others nothing
	SightNothing Sight = "nothing" // none shows a record
	SightOther   Sight = "other"   // something else, or not all the same
)

// Why a step is refused. All but ErrStep can be forced.
var (
	ErrStep   = errors.New("no such step")
	ErrSight  = errors.New("the DNS disagrees")
	ErrSilent = errors.New("a name server does not answer")
	ErrEarly  = errors.New("too early")
	ErrLast   = errors.New("no other key would sign")
)

// Situation has the facts that decide whether a key may move to another stage.
type Situation struct {
	Stage   Stage
	Since   time.Time // when it came to the stage
	Sight   Sight
	Servers string // what each server shows, for the reader; may be ""
	// another key of the domain, of the same algorithm, is active and the DNS shows it
	Successor bool
	Now       time.Time
	Publish   time.Duration // how long a record must be seen before its key signs
	Overlap   time.Duration // how long a key that no longer signs stays published

	// First is whether no key of the domain and algorithm has ever signed. No verifier can have
	// looked its record up for a signature, so that it need not be seen for Publish.
	First bool
	// until when resolvers may remember another record that was seen at the name; zero for none
	Other time.Time
}

// Allows returns nil when the key may go to a stage, else why not: an error that wraps ErrStep,
// ErrSight, ErrSilent, ErrEarly or ErrLast.
func (s Situation) Allows(to Stage) error {
	for _, step := range steps {
		if step.from == s.Stage && step.to == to {
			return step.allowed(s)
		}
	}
	return fmt.Errorf("%w: it cannot become %s, %s", ErrStep, to, s.Stage.next())
}

// next returns the steps that may follow a stage, as text.
func (s Stage) next() string {
	var out []string
	for _, step := range steps {
		if step.from == s {
			out = append(out, string(step.to))
		}
	}
	if len(out) == 0 {
		return "which is the last stage"
	}
	return "but " + strings.Join(out, " or ")
}

// steps are all there are. Back from published to generated leads a record that went away again;
// back from retiring to active, a successor that turns out to be no good. Keys that never signed
// may be removed at once.
var steps = []struct {
	from, to Stage
	allowed  func(Situation) error
}{
	{Generated, Published, Situation.seen},
	{Published, Generated, Situation.notSeen},
	{Published, Active, Situation.ripe},
	{Active, Retiring, Situation.succeeded},
	{Retiring, Active, Situation.seen},
	{Retiring, Revoked, Situation.over},
	{Generated, Removed, Situation.gone},
	{Published, Removed, Situation.gone},
	{Revoked, Removed, Situation.gone},
}

func (s Situation) seen() error {
	if s.Sight != SightKey {
		return s.shows("")
	}
	return nil
}

// shows is the error of a step that the DNS is not ready for, with what is to be done about it.
func (s Situation) shows(advice string) error {
	text := s.Sight.words()
	if s.Servers != "" {
		text += " (" + s.Servers + ")"
	}
	if s.Sight == SightUnknown {
		return fmt.Errorf("%w: %s", ErrSilent, text)
	}
	return fmt.Errorf("%w: %s%s", ErrSight, text, advice)
}

// notSeen does not trust a failure: a record that was seen is there until a server says that it is
// not.
func (s Situation) notSeen() error {
	if s.Sight == SightKey || s.Sight == SightUnknown {
		return s.shows("")
	}
	return nil
}

func (s Situation) ripe() error {
	if err := s.seen(); err != nil {
		return err
	}
	if s.First {
		return s.forgotten()
	}
	return s.waited(s.Publish, "its record has been published")
}

// forgotten waits until no resolver can remember another record that was at the name before.
func (s Situation) forgotten() error {
	if s.Now.Before(s.Other) {
		return fmt.Errorf(
			"%w: another record was at this name, and resolvers may still have it cached; wait until %s", ErrEarly,
			minute(s.Other))
	}
	return nil
}

func (s Situation) succeeded() error {
	if !s.Successor {
		return fmt.Errorf("%w: it has no successor that signs and is published; make and activate one first", ErrLast)
	}
	return nil
}

func (s Situation) over() error {
	if err := s.waited(s.Overlap, "it has not signed"); err != nil {
		return err
	}
	if s.Sight != SightRevoked && s.Sight != SightNothing {
		return s.shows("; publish it with an empty p= first")
	}
	return nil
}

func (s Situation) gone() error {
	if s.Sight != SightNothing {
		return s.shows("; remove the record first")
	}
	return nil
}

func (s Situation) waited(d time.Duration, what string) error {
	if at := s.Since.Add(d); s.Now.Before(at) {
		return fmt.Errorf("%w: %s since %s; wait until %s", ErrEarly, what, minute(s.Since),
			minute(at))
	}
	return nil
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

func (s Sight) words() string {
	switch s {
	case SightKey:
		return "the key is published"
	case SightRevoked:
		return "the record is published as revoked"
	case SightNothing:
		return "no record is published"
	case SightUnknown:
		return "not every name server answered"
	}
	return "not every name server shows the key"
}
