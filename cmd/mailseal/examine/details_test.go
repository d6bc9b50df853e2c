package examine

import (
	"testing"

	"mailseal/milter/dkim"
)

func TestDetails(t *testing.T) {
	for _, tt := range []struct {
		result dkim.Result
		want   string
	}{
		{dkim.Result{Selector: "s", Algorithm: "rsa-sha256", Bits: 2048, Canonicalization: "relaxed/relaxed"},
			" (selector s, rsa-sha256, 2048 bits, relaxed/relaxed)"},
		{dkim.Result{Selector: "s", Algorithm: "rsa-sha256", Canonicalization: "simple/simple"},
			" (selector s, rsa-sha256, simple/simple)"},
		{dkim.Result{Canonicalization: "simple/simple"}, " (simple/simple)"},
	} {
		if got := details(tt.result); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
