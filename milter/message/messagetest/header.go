// Package messagetest builds parts of messages for tests.
package messagetest

import (
	"fmt"

	"mailseal/milter/message"
)

// Header builds a header of "Name: value" fields, LF and white space folding them. It panics for
// one that is not a field.
func Header(fields ...string) message.Header {
	var h message.Header
	for _, f := range fields {
		field, err := message.ParseField([]byte(f))
		if err != nil {
			panic(fmt.Sprintf("messagetest: %q: %v", f, err))
		}
		h = append(h, field)
	}
	return h
}
