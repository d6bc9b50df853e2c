package report

import (
	"net/url"
	"strings"

	"golang.org/x/net/idna"
)

// Bounds of what is taken of rua: 20 URIs are looked at, as a policy record has at most, and 5 get
// a report.
const (
	maxLooked = 20
	MaxURIs   = 5
)

// Address is where a report goes.
type Address struct {
	Local, Host string // Host in A-labels and lower case
}

func (a Address) String() string { return a.Local + "@" + a.Host }

// Addresses are the mail addresses of rua URIs that can be used, each once, at most MaxURIs. A size
// behind the address is skipped (RFC 9990 section 3.5 has none); other schemes are not used.
func Addresses(uris []string) []Address {
	var out []Address
	seen := map[string]bool{}
	for _, u := range uris[:min(len(uris), maxLooked)] {
		a, ok := parseAddress(u)
		key := strings.ToLower(a.String())
		if !ok || seen[key] {
			continue
		}
		seen[key] = true
		if out = append(out, a); len(out) == MaxURIs {
			break
		}
	}
	return out
}

func parseAddress(uri string) (Address, bool) {
	const scheme = "mailto:"
	if len(uri) <= len(scheme) || !strings.EqualFold(uri[:len(scheme)], scheme) {
		return Address{}, false
	}
	path, _, _ := strings.Cut(uri[len(scheme):], "?")
	path, _, _ = strings.Cut(path, "!")
	text, err := url.PathUnescape(path)
	if err != nil {
		return Address{}, false
	}
	at := strings.LastIndexByte(text, '@')
	if at < 1 {
		return Address{}, false
	}
	local, host := text[:at], text[at+1:]
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(host, "."))
	if err != nil || !strings.Contains(ascii, ".") || len(ascii) > 253 || len(local) > 64 ||
		!isDotAtom(local) || !isHost(ascii) {
		return Address{}, false
	}
	return Address{local, strings.ToLower(ascii)}, true
}

// isHost reports whether a name is a host's and not an address: its last label is not a number.
func isHost(name string) bool {
	labels := strings.Split(name, ".")
	last := labels[len(labels)-1]
	return strings.Trim(last, "0123456789") != "" && !strings.ContainsAny(name, "[]:_ ")
}
