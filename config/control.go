package config

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"

	"mailseal/keys/files"
)

// ControlAddress returns where the daemon with the configuration at a path has its control socket.
// A configuration with mistakes, which the daemon is about to refuse, gives the address as far as
// it can be understood, beside the error with its mistakes. If the error is ErrUnread, there is no
// address.
func ControlAddress(path string) (string, error) {
	c, err := LoadAny(path)
	switch {
	case err == nil:
		return c.Control.Address, nil
	case errors.Is(err, ErrUnread):
		return "", err
	}
	text, _ := files.Read(path, maxFile) // without a text, the defaults
	return controlIn(string(text), filepath.Dir(path)), err
}

var (
	tableHeader = regexp.MustCompile(`^\s*\[+\s*([A-Za-z0-9_."'-]+)`)
	textSetting = regexp.MustCompile(`^\s*([a-z_.]+)\s*=\s*(?:"([^"\\]*)"|'([^']*)')`)
)

// controlIn looks for the two settings that decide, line by line.
func controlIn(text, dir string) string {
	table, state := "", filled().StateDirectory
	for line := range strings.Lines(text) {
		if m := tableHeader.FindStringSubmatch(line); m != nil {
			table = m[1]
			continue
		}
		m := textSetting.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		value := m[2] + m[3]
		if !filepath.IsAbs(value) {
			value = filepath.Join(dir, value)
		}
		switch dotted(table, m[1]) {
		case "control.address":
			return value
		case "state_directory":
			state = value
		}
	}
	return filepath.Join(state, ControlName)
}
