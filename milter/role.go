package milter

import (
	"net/netip"
	"slices"

	"mailseal/milter/action"
	"mailseal/milter/message"
)

// Reason is the rule that decided the role of a message.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	ByListener       Reason = "listener"      // it came in where everything has this role
	ByAuthentication Reason = "authenticated" // the client logged in
	ByDaemon         Reason = "daemon"        // the MTA's listener is one for our users
	ByMacro          Reason = "macro"         // a macro has a value that means ours
	ByRelay          Reason = "relay"         // the client is one of the relays
	ByNetwork        Reason = "network"       // the client is in our networks
	ByHost           Reason = "host"          // the client's verified name is one of ours
	BySubmission     Reason = "submission"    // a process of the MTA's host handed it over
	ByDefault        Reason = "stranger"      // nothing of the above
)

// Roles decides which mail is signed as ours and which is verified.
type Roles struct {
	Authenticated bool     // who logged in is one of us
	DaemonNames   []string // values of {daemon_name} that mean ours
	// macro, without braces, and the values that mean ours; none: any value
	Macros   map[string][]string
	Relays   []netip.Prefix
	Networks []netip.Prefix
	Hosts    message.Hosts
}

// Of returns the role of a message and what decided it: the listener's own role, else the first of
// authentication, the MTA's daemon name, other macros, the relays, our networks, our hosts, a
// submission by a local process. An address that the MTA did not tell is in no network, and nothing
// but env.Local makes a submission local.
func (r Roles) Of(listener action.Role, env *message.Envelope,
	macro func(name string) string) (action.Role, Reason) {
	switch {
	case listener != action.RoleAuto:
		return listener, ByListener
	case r.Authenticated && (env.AuthType != "" || env.AuthUser != ""):
		return action.RoleOurs, ByAuthentication
	case env.DaemonName != "" && slices.Contains(r.DaemonNames, env.DaemonName):
		return action.RoleOurs, ByDaemon
	case r.byMacro(macro):
		return action.RoleOurs, ByMacro
	case within(r.Relays, env.Client):
		return action.RoleRelay, ByRelay
	case within(r.Networks, env.Client):
		return action.RoleOurs, ByNetwork
	case env.Client.IsValid() && r.Hosts.Has(env.ClientName): // no address: nothing was verified
		return action.RoleOurs, ByHost
	case env.Local:
		return action.RoleOurs, BySubmission
	}
	return action.RoleTheirs, ByDefault
}

func (r Roles) byMacro(macro func(name string) string) bool {
	for name, values := range r.Macros {
		if v := macro(name); v != "" && (len(values) == 0 || slices.Contains(values, v)) {
			return true
		}
	}
	return false
}

// within reports whether addr is in one of the networks. The zero Addr is in none; an IPv4 address
// that is written as IPv6 is in those of IPv4.
func within(networks []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(addr) })
}
