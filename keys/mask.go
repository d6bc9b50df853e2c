package keys

import (
	"regexp"
	"strings"
)

// webAddress is a scheme and what follows it up to a blank or a quote.
var webAddress = regexp.MustCompile("[A-Za-z][A-Za-z0-9+.-]*://[^\\s\"'`<>]+")

// Mask hides, in a text for people, the user, the password and the query of every web address:
// errors of libraries repeat addresses as they were configured, with what is secret in them.
func Mask(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	return webAddress.ReplaceAllStringFunc(text, maskAddress)
}

// placeholder is the user in addresses that our own texts show as examples.
const placeholder = "USER"

// maskAddress takes all before the last "@" for the user, but for one in a query: a password may
// have been written without escapes. That hides some hosts too many, and no password.
func maskAddress(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	path := rest
	if at := strings.IndexAny(rest, "?#"); at >= 0 && isHostPort(authority(rest)) {
		path = rest[:at]
	}
	if at := strings.LastIndexByte(path, '@'); at >= 0 && path[:at] != placeholder {
		rest = "***" + rest[at:]
	}
	if at := strings.IndexAny(rest, "?#"); at >= 0 {
		rest = rest[:at+1] + "***"
	}
	return scheme + "://" + rest
}

// authority is what is before the path.
func authority(rest string) string {
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		return rest[:end]
	}
	return rest
}

// isHostPort reports whether the text behind a colon, outside of brackets, is a number.
func isHostPort(s string) bool {
	if strings.HasPrefix(s, "[") {
		_, s, _ = strings.Cut(s, "]")
	}
	_, port, ok := strings.Cut(s, ":")
	return !ok || strings.Trim(port, "0123456789") == ""
}
