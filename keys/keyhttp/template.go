package keyhttp

import (
	"errors"
	"net/url"
	"strings"
)

// A template is a url with $1 for the login and $2 for the domain of the author, as scripts of
// hosted mail have it: https://panel.example/dkim.php?user=$1&domain=$2. It answers who signs, and
// with which keys; it has no place for the name of a key.

// errTemplateKey means that a source with a URL template was asked for a key by its name.
var errTemplateKey = errors.New("its url has $1 or $2, so it returns the keys for a sender and " +
	"cannot find keys by name: remove keys from the rules with this source")

// isTemplate reports whether a url has a placeholder.
func isTemplate(text string) bool {
	return strings.Contains(text, "$1") || strings.Contains(text, "$2")
}

// checkTemplate refuses placeholders where a sender could choose the host that is asked.
func checkTemplate(text string) error {
	scheme, rest, _ := strings.Cut(text, "://")
	host := rest
	if at := strings.IndexAny(rest, "/?#"); at >= 0 {
		host = rest[:at]
	}
	if isTemplate(scheme) || isTemplate(host) {
		return errors.New("$1 and $2 are allowed only in the path and the query of the " +
			"url")
	}
	if _, fragment, found := strings.Cut(rest, "#"); found && isTemplate(fragment) {
		return errors.New("the part of the url after \"#\" is not sent")
	}
	return nil
}

// expand puts login and domain into a template, each percent-encoded for its place: one segment of
// the path, or a value of the query.
func expand(template, login, domain string) string {
	path, query, hasQuery := strings.Cut(template, "?")
	out := strings.NewReplacer("$1", segment(login), "$2", segment(domain)).Replace(path)
	if hasQuery {
		values := strings.NewReplacer("$1", url.QueryEscape(login), "$2", url.QueryEscape(domain))
		out += "?" + values.Replace(query)
	}
	return out
}
