package answer

import (
	"errors"
	"fmt"
	"testing"
)

func TestOf(t *testing.T) {
	plain := errors.New("plain")
	for _, tc := range []struct {
		name string
		err  error
		want Kind
	}{
		{"nothing wrong", nil, Good},
		{"an error of no kind", plain, Bad},
		{"usage", NewUsage(plain), Usage},
		{"printed already", NewUnknown(nil), Unknown},
		{"in another error", fmt.Errorf("file: %w", New(Bug, plain)), Bug},
		{"not bad, of no kind", NotBad(plain), Unknown},
		{"not bad, usage", NotBad(NewUsage(plain)), Usage},
		{"not bad, good", NotBad(nil), Good},
	} {
		if got := Of(tc.err); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
	if !errors.Is(NewBad(plain), plain) {
		t.Error("an answer hides its error")
	}
}

func TestWorse(t *testing.T) {
	kinds := []Kind{Good, Bad, Usage, Unknown, Bug}
	for i, a := range kinds {
		for j, b := range kinds {
			if got := Worst(a, b); got != kinds[max(i, j)] {
				t.Errorf("%s and %s: got %s", a, b, got)
			}
		}
	}
}
