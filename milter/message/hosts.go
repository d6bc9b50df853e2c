package message

import (
	"slices"
	"strings"
)

// Hosts are names of clients as the MTA has verified them, in lower case: "mx.example.com"
// is that host, ".example.com" any host below it, and a leading "!" excludes the name. The
// most specific name decides; of two equal names the one with "!" does.
type Hosts []string

// Has reports whether the client with a verified name, "" for none, is one of them.
func (h Hosts) Has(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for name != "" && len(h) > 0 {
		switch {
		case slices.Contains(h, "!"+name):
			return false
		case slices.Contains(h, name):
			return true
		}
		_, up, more := strings.Cut(strings.TrimPrefix(name, "."), ".")
		if name = "." + up; !more {
			return false
		}
	}
	return false
}
