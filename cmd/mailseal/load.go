package main

import (
	"cmp"
	"errors"

	"mailseal/cmd/mailseal/answer"
	"mailseal/config"
)

// defaultConfig is where the configuration is looked for unless the command line names another file.
const defaultConfig = "/etc/mailseal/mailseal.toml"

// loadConfig reads the configuration at path, or the default one for "". Mistakes in it are a bad answer; a file that
// cannot be read leaves the answer unknown.
func loadConfig(path string) (*config.Config, error) {
	cfg, err := config.Load(orDefault(path))
	switch {
	case errors.Is(err, config.ErrUnread):
		return nil, answer.NewUnknown(err)
	case err != nil:
		return nil, answer.NewBad(err)
	}
	return cfg, nil
}

func orDefault(path string) string { return cmp.Or(path, defaultConfig) }
