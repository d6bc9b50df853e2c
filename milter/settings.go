package milter

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailseal/milter/action"
	"mailseal/milter/guard"
	"mailseal/milter/message"
)

// Settings are what a reload replaces. They must not be changed once a Server has them; a message
// keeps those with which it began. Macros that only new Roles need are requested on new
// connections.
type Settings struct {
	Filter          Filter
	Roles           Roles
	Exempt          Exempt
	HeaderLimit     int           // octets of all fields of a message and 40 for each; 0: 1 MiB
	Deadline        time.Duration // for judging a message that is complete; 0: 20 s
	OnInternalError action.Action // Accept or Reject; any other: Tempfail
	// LongLine, Rewritten, EightBit: counted, with no warning in the log
	QuietFragile []Event
}

// The defaults of Settings.
const (
	DefaultHeaderLimit = 1 << 20
	DefaultDeadline    = 20 * time.Second
)

func (s Settings) filled() *Settings {
	if s.HeaderLimit <= 0 {
		s.HeaderLimit = DefaultHeaderLimit
	}
	if s.Deadline <= 0 {
		s.Deadline = DefaultDeadline
	}
	return &s
}

// wishes returns what is asked of the MTA: the macros that tell roles apart are asked for like all
// others.
func (s *Settings) wishes() guard.Wishes {
	w := guard.DefaultWishes()
	for _, name := range s.Roles.macroNames() {
		for _, stage := range []guard.Stage{guard.StageConnect, guard.StageMail} {
			if !slices.Contains(w.Macros[stage], name) {
				w.Macros[stage] = append(w.Macros[stage], name)
			}
		}
	}
	return w
}

// macroNames returns the names of the macros that decide roles, as they are on the wire, in a fixed
// order.
func (r Roles) macroNames() []string {
	var names []string
	for name := range r.Macros {
		names = append(names, wireName(name))
	}
	slices.Sort(names)
	return names
}

// wireName puts braces around the name of a macro of more than one letter.
func wireName(name string) string {
	if len(name) > 1 && !strings.HasPrefix(name, "{") {
		return "{" + name + "}"
	}
	return name
}

// Exempt decides which mail is not examined. The MTA learns at MAIL that the rest of the
// message is not needed; at CONNECT that would apply to the whole SMTP session, and mail
// that a user sends after logging in would leave unsigned.
type Exempt struct {
	Networks []netip.Prefix
	Hosts    message.Hosts
}

// Has reports whether the mail of a client is not looked at.
func (x Exempt) Has(env *message.Envelope) bool {
	return within(x.Networks, env.Client) || x.Hosts.Has(env.ClientName)
}
