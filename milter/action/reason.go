package action

// OverrideReason is why a message that failed DMARC was treated otherwise than the domain asks for,
// in the words of RFC 9990 section 3.1.6. The reason policy_test_mode is not among them: it follows
// from the record alone.
type OverrideReason uint8

// The reasons that a setting may give.
const (
	_                      OverrideReason = iota
	ReasonLocalPolicy                     // this host decides so
	ReasonMailingList                     // a mailing list changed the message
	ReasonTrustedForwarder                // a forwarder that this host trusts changed it
	ReasonOther                           // anything else
)

var overrideReasons = vocabulary{
	"reason of an override",
	[]string{"", "local_policy", "mailing_list", "trusted_forwarder", "other"},
}

// IsValid reports whether r is one of the reasons.
func (r OverrideReason) IsValid() bool { return overrideReasons.has(uint8(r)) }

// Words returns the words of all reasons.
func (OverrideReason) Words() []string { return overrideReasons.all() }

func (r OverrideReason) String() string { return overrideReasons.word(uint8(r)) }

// MarshalText implements encoding.TextMarshaler. An invalid reason is an error.
func (r OverrideReason) MarshalText() ([]byte, error) { return overrideReasons.marshal(uint8(r)) }

// UnmarshalText implements encoding.TextUnmarshaler. An unknown word is an error, and leaves r as
// it is.
func (r *OverrideReason) UnmarshalText(text []byte) error {
	return unmarshal(overrideReasons, text, r)
}
