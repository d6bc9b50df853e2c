// Package authres reads and writes Authentication-Results fields so that no sender can make one say
// what we did not say (RFC 8601).
package authres

// Result is the result of one method for one identity: one resinfo of RFC 8601 section 2.2.
type Result struct {
	Method     string     // "dkim", "spf", "dmarc", "arc", "iprev", "auth"
	Value      string     // "pass", "fail", "none", ...
	Comment    string     // for people; written in parentheses after the value
	Reason     string     // reason="..."
	Properties []Property // in the order in which they are to be written
}

// Property is one ptype.property=value (RFC 8601 section 2.2): Property{"header", "d",
// "example.com"}.
type Property struct {
	Type, Name, Value string
}
