package assembly

import (
	"slices"
	"testing"
)

func TestWithout(t *testing.T) {
	old := []string{"kept", "gone", "!exception", "!kept"}
	got := without(old, []string{"kept", "!kept", "new"})
	if want := []string{"gone"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
