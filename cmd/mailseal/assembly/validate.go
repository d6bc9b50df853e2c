package assembly

import (
	"errors"
	"fmt"
	"os/user"

	"mailseal/config"
)

// Validate returns the mistakes that New would find in the values of a configuration, without
// opening a file, asking a source or making any working part. What is wrong with keys, sources and
// the state directory is not among them.
func Validate(cfg *config.Config) error {
	_, err := newLists(cfg)
	errs := []error{err, validateUser(cfg)}
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

func validateUser(cfg *config.Config) error {
	if cfg.User == "" {
		return nil
	}
	if _, err := LookupUser(cfg.User); err != nil {
		return cfg.Problem("user", err.Error())
	}
	return nil
}

// LookupUser finds the user that the daemon is to become, by name.
func LookupUser(name string) (*user.User, error) {
	u, err := user.Lookup(name)
	var unknown user.UnknownUserError
	if errors.As(err, &unknown) {
		return nil, fmt.Errorf("user %q does not exist on this host", name)
	}
	return u, err
}
