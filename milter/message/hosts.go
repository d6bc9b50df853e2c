package message

import (
	"slices"
	"strings"
)

// Hosts are names of clients as the MTA has verified them, lower case: "mx.example.com" is that
// host, ".example.com" any below it, and "!" in front says that it is none of them. The nearest
// name decides, and of two alike the "!".
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
