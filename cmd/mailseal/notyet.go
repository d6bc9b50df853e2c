package main

import (
	"errors"
	"fmt"

	"mailseal/config"
)

// notYet refuses settings that the configuration knows and this version does not act on: with some of them mail would go
// unsigned without a word.
func notYet(cfg *config.Config) error {
	var errs []error
	for _, s := range []struct {
		path string
		used bool
	}{
		{"rotation.every", cfg.Rotation.Every > 0},
		{"rotation.fall_back", cfg.Rotation.FallBack},
	} {
		if s.used {
			errs = append(errs, fmt.Errorf("%s: this version cannot do that yet", s.path))
		}
	}
	return errors.Join(errs...)
}
