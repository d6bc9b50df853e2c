package rotation

import (
	"errors"
	"path/filepath"
	"testing"

	"mailseal/keys/keylife"
)

// A generation that could not be written leaves no private keys behind.
func TestNotWritten(t *testing.T) {
	store := keylife.Store{Dir: t.TempDir()}
	r := New(Options{Store: store, Selector: "s{alg}"})
	if _, err := r.Generate("example.com", []string{"ed25519"}, ""); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	err := r.update(func(state *keylife.State) error {
		if _, err := r.generation(state, "example.com", []string{"ed25519", "rsa2048"},
			"s{alg}"); err != nil {
			t.Fatal(err)
		}
		return full
	})
	if !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	left, err := filepath.Glob(filepath.Join(store.Dir, "keys/example.com/*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "se.pem" {
		t.Errorf("there are %v, %v", left, err)
	}
}
