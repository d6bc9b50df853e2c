package main

import (
	"errors"

	"mailseal/config"
)

// defaultConfig is where the configuration is looked for when nobody says.
const defaultConfig = "/etc/mailseal/mailseal.toml"

// loadConfig reads the configuration at path, or the default one for "". Mistakes in it are a bad answer; a file that
// cannot be read is none.
func loadConfig(path string) (*config.Config, error) {
	if path == "" {
		path = defaultConfig
	}
	cfg, err := config.Load(path)
	switch {
	case errors.Is(err, config.ErrUnread):
		return nil, exit(exitUnknown, err)
	case err != nil:
		return nil, exit(exitBad, err)
	}
	return cfg, nil
}
