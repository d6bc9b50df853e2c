package action

// Role is whose mail a message is.
type Role uint8

// The roles. What is done in each is the filter's choice.
const (
	_          Role = iota
	RoleAuto        // of a listener only: the message decides
	RoleOurs        // from a user or host of ours: signed, not judged
	RoleRelay       // from a host that hands us strangers' mail and that we trust: not signed
	RoleTheirs      // from a stranger: judged
)

var roles = vocabulary{"role", []string{"", "auto", "ours", "relay", "theirs"}}

// IsValid reports whether r is one of the roles.
func (r Role) IsValid() bool { return roles.has(uint8(r)) }

// Words returns the words of all roles.
func (Role) Words() []string { return roles.all() }

func (r Role) String() string { return roles.word(uint8(r)) }

// MarshalText implements encoding.TextMarshaler. An invalid role is an error.
func (r Role) MarshalText() ([]byte, error) { return roles.marshal(uint8(r)) }

// UnmarshalText implements encoding.TextUnmarshaler. An unknown word is an error, and leaves r as
// it is.
func (r *Role) UnmarshalText(text []byte) error { return unmarshal(roles, text, r) }
