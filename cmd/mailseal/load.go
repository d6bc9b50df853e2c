package main

import (
	"cmp"
	"errors"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/operate"
	"mailseal/config"
)

// defaultConfig is where the configuration is looked for unless the command line names another
// file.
const defaultConfig = config.DefaultFile

// loadConfig reads the configuration at path, or the default one for "", for a command: it may be a
// pipe. Mistakes in it are a bad answer; a file that cannot be read leaves the answer unknown.
func loadConfig(path string) (*config.Config, error) {
	return answered(config.LoadAny(orDefault(path)))
}

// loadDaemonConfig is loadConfig for a daemon, which reads regular files only.
func loadDaemonConfig(path string) (*config.Config, error) {
	return answered(config.Load(orDefault(path)))
}

func answered(cfg *config.Config, err error) (*config.Config, error) {
	switch {
	case errors.Is(err, config.ErrUnread):
		return nil, answer.NewUnknown(err)
	case err != nil:
		return nil, answer.NewBad(err)
	}
	return cfg, nil
}

// controlSocket returns how to reach the daemon: at the socket on the command line, or at that of
// the configuration at path. An unreadable configuration is an error: the default socket could be
// that of another daemon, or not exist.
func controlSocket(named, path string) (operate.Target, error) {
	if named != "" {
		return operate.Target{Socket: named}, nil
	}
	file := orDefault(path)
	address, err := config.ControlAddress(file)
	if errors.Is(err, config.ErrUnread) {
		return operate.Target{}, answer.NewUnknown(err)
	}
	return operate.Target{Socket: address, Config: file, Mistakes: err}, nil
}

func orDefault(path string) string { return cmp.Or(path, defaultConfig) }
