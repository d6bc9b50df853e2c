package dmarc

import (
	"net/url"
	"strings"
)

// MaxURIs is how many addresses of a rua or ruf are kept. RFC 9989 sets no bound; a record of 64 KB
// could name 4,000.
const MaxURIs = 20

// uris reads a list of report URIs and notes those that it cannot use.
func (r *Record) uris(tag, value string) []string {
	var found []string
	for item := range strings.SplitSeq(value, ",") {
		if len(found) == MaxURIs {
			r.note("%s has more than %d addresses; the others are ignored", tag, MaxURIs)
			break
		}
		item = strings.Trim(item, wsp)
		uri, sized := withoutSize(item)
		if !isURI(uri) {
			r.note("%q in %s is ignored: not a URI", clip(item), tag)
			continue
		}
		if sized {
			r.note("the size in %q is ignored: historic since RFC 9989", clip(item))
		}
		found = append(found, uri)
	}
	return found
}

// withoutSize drops the "!10m" that RFC 7489 allowed behind a URI (RFC 9989 section 4.8,
// obs-dmarc-report-size).
func withoutSize(s string) (string, bool) {
	uri, size, found := strings.Cut(s, "!")
	if !found {
		return s, false
	}
	digits := strings.TrimRight(size, "kmgtKMGT")
	if len(size)-len(digits) > 1 || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return s, false
	}
	return uri, true
}

// isURI reports whether s is a URI of RFC 3986 that a report could go to: a scheme and something
// behind it, only printable ASCII, no "!" left (RFC 9989 section 4.8). A mailto: URI needs an
// address; more is the report's business.
func isURI(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || strings.IndexByte("!\"<>\\^`{|}", s[i]) >= 0 {
			return false
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" {
		return false
	}
	if u.Scheme == "mailto" {
		at := strings.LastIndexByte(u.Opaque, '@')
		return at > 0 && at < len(u.Opaque)-1
	}
	return u.Opaque != "" || u.Host != ""
}
