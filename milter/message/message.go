// Package message represents a message as it arrived: its fields byte for byte, its author, and the
// digests of its body. The body itself is never stored (RFC 5322, RFC 6376 section 3.4).
package message

// Message is the header of a mail and the digests of its body, which are complete once Body is
// closed.
type Message struct {
	Header Header
	Body   *Digests
}
