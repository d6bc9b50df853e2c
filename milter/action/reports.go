package action

// Relation is which domains get DMARC reports.
type Relation uint8

// The relations.
const (
	_ Relation = iota
	// those that our users wrote to, or whose mail, or forgeries of it, came on several days
	RelationSeen
	RelationListed // those that are listed
)

var relations = vocabulary{"choice of who gets reports", []string{"", "seen", "listed"}}

// IsValid reports whether r is one of the relations.
func (r Relation) IsValid() bool { return relations.has(uint8(r)) }

// Words returns the words of all relations.
func (Relation) Words() []string { return relations.all() }

func (r Relation) String() string { return relations.word(uint8(r)) }

// MarshalText implements encoding.TextMarshaler. An invalid relation is an error.
func (r Relation) MarshalText() ([]byte, error) { return relations.marshal(uint8(r)) }

// UnmarshalText implements encoding.TextUnmarshaler. An unknown word is an error, and leaves r as
// it is.
func (r *Relation) UnmarshalText(text []byte) error { return unmarshal(relations, text, r) }

// PassedDisposition is the disposition that a DMARC report states for mail that passes.
type PassedDisposition uint8

// The dispositions of mail that passes.
const (
	_          PassedDisposition = iota
	PassedNone                   // as RFC 7489 has it, which all readers know
	PassedPass                   // as RFC 9990 section 3.1.1.9 has it
)

var passedDispositions = vocabulary{"disposition of mail that passes", []string{"", "none", "pass"}}

// IsValid reports whether p is one of the dispositions.
func (p PassedDisposition) IsValid() bool { return passedDispositions.has(uint8(p)) }

// Words returns the words of all dispositions.
func (PassedDisposition) Words() []string { return passedDispositions.all() }

func (p PassedDisposition) String() string { return passedDispositions.word(uint8(p)) }

// MarshalText implements encoding.TextMarshaler. An invalid disposition is an error.
func (p PassedDisposition) MarshalText() ([]byte,
	error) {
	return passedDispositions.marshal(uint8(p))
}

// UnmarshalText implements encoding.TextUnmarshaler. An unknown word is an error, and leaves p as
// it is.
func (p *PassedDisposition) UnmarshalText(text []byte) error {
	return unmarshal(passedDispositions, text, p)
}
