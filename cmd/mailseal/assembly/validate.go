package assembly

import (
	"errors"
	"fmt"

	"mailseal/config"
)

// Validate returns the mistakes that New would find in the values of a configuration, without opening a file, asking a
// source or making any working part. What is wrong with keys, sources and the state directory is not among them.
func Validate(cfg *config.Config) error {
	_, err := newLists(cfg)
	errs := []error{err}
	if cfg.Signs() {
		for i, r := range cfg.Sign {
			_, err := newRule(fmt.Sprintf("sign[%d]", i), r)
			errs = append(errs, err)
		}
	}
	if cfg.Verifies() {
		_, err := newPolicy(cfg)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
