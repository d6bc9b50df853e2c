package miltertest

import (
	"bytes"
	"testing"
)

func TestMadeUpMessage(t *testing.T) {
	for _, size := range []int{2, 74, 4096, 100000} {
		raw := MadeUp(Message{}, size)
		_, body, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
		if !ok || len(body) != size || !bytes.HasSuffix(body, []byte("\r\n")) {
			t.Errorf("size %d: a body of %d bytes", size, len(body))
		}
	}
}
