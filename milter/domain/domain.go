// Package domain holds domain names in the one form in which they can be compared: A-labels, lower case, no final dot
// (RFC 5890, RFC 8616).
package domain

import "errors"

// ErrInvalid says that a text is not a domain name.
var ErrInvalid = errors.New("domain: not a domain name")

// Name is a domain name as Parse returns it: A-labels, lower case, no final dot. Two Names are the same domain exactly
// when they are equal. The zero Name is no domain at all.
type Name string
