// Package arc validates the chain of ARC sets that a message carries and seals the next one (RFC
// 8617). ARC is on its way to Historic: only a setting of the operator gives its result any weight.
package arc

import "mailseal/milter/domain"

// Value is a result of RFC 8617 section 4.4. There is no temperror: a key that cannot be looked up
// fails the chain (section 5.2.1).
type Value string

// The results, which are also the values of cv=.
const (
	None Value = "none" // the message carries no set
	// the chain is whole, every seal verifies, and the message is as the last sealer sent it
	Pass Value = "pass"
	// anything else; the message must be treated like one without a chain (section 5.2)
	Fail Value = "fail"
)

// Result is the result of validating a chain.
type Result struct {
	Value  Value
	Reason string // for a postmaster, one clause; "" for a pass
	// by instance, from 1; for a chain with a broken structure as far as it could be read
	Sets []Set
	// the lowest instance whose AMS still verifies, 0 when all do (RFC 8617 section 5.2)
	OldestPass int
	// the newest seal says cv=fail already: nothing may be added (RFC 8617 section 5.1)
	Sealed bool
	// Added means that a passing chain may have a field added above those that the newest set
	// covers, as in DKIM's policy result; "" if there is none.
	Added string
	// Unfinished means that a limit or a shortage of this host ended the validation: the chain
	// is not trusted, and not sealed either, since cv=fail would ruin one that may be honest.
	Unfinished bool
}

// Set is one ARC set.
type Set struct {
	Instance int
	Sealer   domain.Name // d= of the ARC-Seal
	Selector string      // s= of the ARC-Seal, in A-labels
	Chain    Value       // cv= of the ARC-Seal: what this sealer found
	Payload  string      // ARC-Authentication-Results without its i= tag, unfolded
}
