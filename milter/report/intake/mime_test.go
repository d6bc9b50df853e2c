package intake

import (
	"testing"

	"github.com/emersion/go-message/textproto"
)

func TestContentType(t *testing.T) {
	for _, tc := range []struct{ name, field, value, kind, boundary string }{
		{"valid", "Content-Type", "Multipart/Mixed; boundary=\"a b\"", "multipart/mixed", "a b"},
		{"a field of another name", "ContentType", "multipart/mixed; boundary=ab",
			"multipart/mixed", "ab"},
		{"a parameter twice", "Content-Type",
			"multipart/mixed; charset=a; charset=b; Boundary=\"ab\"", "multipart/mixed", "ab"},
		{"a parameter without a value", "Content-Type", "multipart/report; x=; boundary=ab",
			"multipart/report", "ab"},
		{"no boundary", "Content-Type", "text/xml; =", "text/xml", ""},
	} {
		h := textproto.Header{}
		h.Set(tc.field, tc.value)
		kind, params := contentType(h)
		if kind != tc.kind || params["boundary"] != tc.boundary {
			t.Errorf("%s: got %q with boundary %q, want %q with %q", tc.name, kind,
				params["boundary"], tc.kind, tc.boundary)
		}
	}
}
