package assembly

import (
	"errors"

	"mailseal/config"
)

// Validate returns the mistakes that New would find in the values of a configuration, without
// opening a file, asking a source or making any working part. What is wrong with keys, sources and
// the state directory is not among them.
func Validate(cfg *config.Config) error {
	_, err := newLists(cfg)
	errs := []error{err}
	if cfg.Signs() {
		_, err := (&Parts{Config: cfg}).Signer()
		errs = append(errs, err)
	}
	if cfg.Verifies() {
		_, err := NewPolicy(cfg)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
