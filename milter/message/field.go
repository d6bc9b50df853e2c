package message

// Field is one header field as it arrived: its raw octets without the final CRLF, every line end a CRLF.
type Field struct {
	raw   []byte
	name  int // octets of the name, without white space before the colon
	colon int // where the colon stands in raw
}
