package action

// OnKeyError is the action for a message with a signing rule whose key cannot be loaded or
// fails to sign.
type OnKeyError uint8

// The choices for a key that fails.
const (
	_           OnKeyError = iota
	KeySkip                // the other keys sign; tempfail when none is left
	KeyTempfail            // one bad key is enough: 451
	KeyReject              // one bad key is enough: 550
	// the other keys sign; when none is left the message goes unsigned, logged and counted
	KeyAccept
)

var keyErrors = vocabulary{"choice for a key that fails",
	[]string{"", "skip", "tempfail", "reject", "accept"}}

// IsStrict reports whether one key that fails is enough to refuse the message. An invalid choice is
// strict.
func (o OnKeyError) IsStrict() bool { return o != KeySkip && o != KeyAccept }

// IsValid reports whether o is one of the choices.
func (o OnKeyError) IsValid() bool { return keyErrors.has(uint8(o)) }

// Words returns the words of all choices.
func (OnKeyError) Words() []string { return keyErrors.all() }

func (o OnKeyError) String() string { return keyErrors.word(uint8(o)) }

// MarshalText implements encoding.TextMarshaler. An invalid choice is an error.
func (o OnKeyError) MarshalText() ([]byte, error) { return keyErrors.marshal(uint8(o)) }

// UnmarshalText implements encoding.TextUnmarshaler. An unknown word is an error, and leaves o as
// it is.
func (o *OnKeyError) UnmarshalText(text []byte) error { return unmarshal(keyErrors, text, o) }

// MalformedFrom is the action for our own mail with a From field that RFC 5322 does not
// allow.
type MalformedFrom uint8

// The choices for a malformed From field.
const (
	_ MalformedFrom = iota
	// it is signed for its author, where readers can see one domain only
	MalformedSign
	MalformedUnsigned // it goes unsigned, logged and counted
	MalformedReject   // 550
)

var malformedFroms = vocabulary{"choice for a malformed From",
	[]string{"", "sign", "unsigned", "reject"}}

// IsValid reports whether m is one of the choices.
func (m MalformedFrom) IsValid() bool { return malformedFroms.has(uint8(m)) }

// Words returns the words of all choices.
func (MalformedFrom) Words() []string { return malformedFroms.all() }

func (m MalformedFrom) String() string { return malformedFroms.word(uint8(m)) }

// MarshalText implements encoding.TextMarshaler. An invalid choice is an error.
func (m MalformedFrom) MarshalText() ([]byte, error) { return malformedFroms.marshal(uint8(m)) }

// UnmarshalText implements encoding.TextUnmarshaler. An unknown word is an error, and leaves m as
// it is.
func (m *MalformedFrom) UnmarshalText(text []byte) error {
	return unmarshal(malformedFroms, text, m)
}

// SenderRule is the rule that restricts which From addresses an authenticated user may use.
type SenderRule uint8

// The sender rules.
const (
	_         SenderRule = iota
	SenderAny            // nothing
	// From is in the domain of the envelope sender; the null sender may write any
	SenderEnvelopeDomain
	SenderLogin // every address of From is one of what the login may use
)

var senderRules = vocabulary{"sender rule", []string{"", "none", "envelope_domain", "login"}}

// IsValid reports whether r is one of the rules.
func (r SenderRule) IsValid() bool { return senderRules.has(uint8(r)) }

// Words returns the words of all rules.
func (SenderRule) Words() []string { return senderRules.all() }

func (r SenderRule) String() string { return senderRules.word(uint8(r)) }

// MarshalText implements encoding.TextMarshaler. An invalid rule is an error.
func (r SenderRule) MarshalText() ([]byte, error) { return senderRules.marshal(uint8(r)) }

// UnmarshalText implements encoding.TextUnmarshaler. An unknown word is an error, and leaves r as
// it is.
func (r *SenderRule) UnmarshalText(text []byte) error { return unmarshal(senderRules, text, r) }

// Unmatched is the action for our own mail that matches no signing rule.
type Unmatched uint8

// The choices for unmatched mail.
const (
	_               Unmatched = iota
	UnmatchedAccept           // unsigned, logged and counted
	UnmatchedJudge            // treated as theirs
)

var unmatched = vocabulary{"choice for unmatched mail", []string{"", "accept", "judge"}}

// IsValid reports whether u is one of the choices.
func (u Unmatched) IsValid() bool { return unmatched.has(uint8(u)) }

// Words returns the words of all choices.
func (Unmatched) Words() []string { return unmatched.all() }

func (u Unmatched) String() string { return unmatched.word(uint8(u)) }

// MarshalText implements encoding.TextMarshaler. An invalid choice is an error.
func (u Unmatched) MarshalText() ([]byte, error) { return unmatched.marshal(uint8(u)) }

// UnmarshalText implements encoding.TextUnmarshaler. An unknown word is an error, and leaves u as
// it is.
func (u *Unmatched) UnmarshalText(text []byte) error { return unmarshal(unmatched, text, u) }

// OrganizationalDomain is how DMARC finds which domains belong together.
type OrganizationalDomain uint8

// The ways.
const (
	_                OrganizationalDomain = iota
	TreeWalk                              // a walk up the DNS (RFC 9989 section 4.10)
	PublicSuffixList                      // as older receivers do (RFC 7489 section 3.2)
)

var organizationalDomains = vocabulary{"way to find an organizational domain",
	[]string{"", "walk", "psl"}}

// IsValid reports whether o is one of the ways.
func (o OrganizationalDomain) IsValid() bool { return organizationalDomains.has(uint8(o)) }

// Words returns the words of all ways.
func (OrganizationalDomain) Words() []string { return organizationalDomains.all() }

func (o OrganizationalDomain) String() string { return organizationalDomains.word(uint8(o)) }

// MarshalText implements encoding.TextMarshaler. An invalid way is an error.
func (o OrganizationalDomain) MarshalText() ([]byte, error) {
	return organizationalDomains.marshal(uint8(o))
}

// UnmarshalText implements encoding.TextUnmarshaler. An unknown word is an error, and leaves o as
// it is.
func (o *OrganizationalDomain) UnmarshalText(text []byte) error {
	return unmarshal(organizationalDomains, text, o)
}

// Redirected is the action for mail of ours that failed DMARC when it arrived, according to
// the Authentication-Results field that we added then.
type Redirected uint8

// The choices for redirected mail.
const (
	_ Redirected = iota
	// it is passed on without a signature of its author's domain, logged and counted
	RedirectedUnsigned
	RedirectedSign // it is signed as all other mail
)

var redirecteds = vocabulary{"choice for redirected mail", []string{"", "unsigned", "sign"}}

// IsValid reports whether r is one of the choices.
func (r Redirected) IsValid() bool { return redirecteds.has(uint8(r)) }

// Words returns the words of all choices.
func (Redirected) Words() []string { return redirecteds.all() }

func (r Redirected) String() string { return redirecteds.word(uint8(r)) }

// MarshalText implements encoding.TextMarshaler. An invalid choice is an error.
func (r Redirected) MarshalText() ([]byte, error) { return redirecteds.marshal(uint8(r)) }

// UnmarshalText implements encoding.TextUnmarshaler. An unknown word is an error, and leaves r as
// it is.
func (r *Redirected) UnmarshalText(text []byte) error { return unmarshal(redirecteds, text, r) }

// UncoveredDuplicates decides how to treat a signature if a field above those that it
// covers has the same name.
type UncoveredDuplicates uint8

// The choices for fields above those that are signed.
const (
	_               UncoveredDuplicates = iota
	UncoveredPolicy                     // it is not accepted: the result is policy
	UncoveredNote                       // it passes, and the result says so
)

var uncovered = vocabulary{"choice for uncovered duplicates", []string{"", "policy", "note"}}

// IsValid reports whether u is one of the choices.
func (u UncoveredDuplicates) IsValid() bool { return uncovered.has(uint8(u)) }

// Words returns the words of all choices.
func (UncoveredDuplicates) Words() []string { return uncovered.all() }

func (u UncoveredDuplicates) String() string { return uncovered.word(uint8(u)) }

// MarshalText implements encoding.TextMarshaler. An invalid choice is an error.
func (u UncoveredDuplicates) MarshalText() ([]byte, error) { return uncovered.marshal(uint8(u)) }

// UnmarshalText implements encoding.TextUnmarshaler. An unknown word is an error, and leaves u as
// it is.
func (u *UncoveredDuplicates) UnmarshalText(text []byte) error {
	return unmarshal(uncovered, text, u)
}
