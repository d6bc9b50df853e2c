package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mailseal/milter/domain"
)

// form is what the text of a setting must look like. It returns the text as the Config holds it.
// Its errors quote the text and say what was wanted.
type form struct {
	name  string // for people: "a list of domains"
	parse func(f *file, s string) (string, error)
}

// forms are those that tables of settings name.
var forms = map[string]form{
	"address pattern":   {"address pattern", pure(parsePattern)},
	"authserv-id":       {"name", pure(parseAuthservID)},
	"removed id":        {"name", pure(parseRemovedID)},
	"canonicalization":  {"canonicalization", pure(parseCanonicalization)},
	"client name":       {"name", pure(parseClientName)},
	"domain":            {"domain", pure(parseSigningDomain)},
	"domain or %":       {"domain", pure(parseDomainOrAuthor)},
	"domain or address": {"domain or address", pure(parseDomainOrAddress)},
	"domain tree":       {"domain", pure(parseDomainTree)},
	"field name":        {"field name", pure(parseFieldName)},
	"field names":       {"field name", pure(parseFieldChange)},
	"host and port":     {"host:port", pure(parseHostPort)},
	"identifier":        {"identifier", pure(parseIdentifier)},
	"key name":          {"key name", pure(parseKeyName)},
	"line":              {"text", pure(parseLine)},
	"mail address":      {"mail address", pure(parseMailAddress)},
	"mode":              {"file mode", nil},
	"own field":         {"field name", pure(parseOwnField)},
	"path":              {"path", parsePath},
	"selector":          {"selector", pure(parseSelector)},
	"selector template": {"template", pure(parseSelectorTemplate)},
	"sender pattern":    {"address pattern", pure(parseSenderPattern)},
	"web address":       {"web address", pure(parseURL)},
}

func pure(parse func(string) (string, error)) func(*file, string) (string, error) {
	return func(_ *file, s string) (string, error) { return parse(s) }
}

// parsePath hangs relative paths on the file's directory: the daemon's working directory is
// private.
func parsePath(f *file, s string) (string, error) {
	switch {
	case s == "":
		return "", errors.New("the path is empty")
	case strings.ContainsRune(s, 0):
		return "", fmt.Errorf("%q is not a path", s)
	case filepath.IsAbs(s):
		return filepath.Clean(s), nil
	}
	return filepath.Join(f.dir, s), nil
}

// parseSigningDomain takes a domain, and not the name of a record.
func parseSigningDomain(s string) (string, error) {
	if err := domain.CheckDomain(s); err != nil {
		return "", err
	}
	return parseDomain(s)
}

func parseDomainOrAuthor(s string) (string, error) {
	if s == "%" {
		return s, nil
	}
	name, err := parseSigningDomain(s)
	if err != nil && strings.Contains(s, "%") {
		return "", fmt.Errorf("%q: %% stands for the author's domain only if it is the whole "+
			"value", s)
	}
	return name, err
}

func parseDomainTree(s string) (string, error) {
	tree, below := strings.CutPrefix(strings.TrimPrefix(s, "*"), ".")
	if !below && strings.HasPrefix(s, "*") {
		return "", fmt.Errorf("%q is not a domain name; \".example.com\" is any name below it", s)
	}
	name, err := parseDomain(tree)
	if below {
		name = "." + name
	}
	return name, err
}

// parseClientName takes a domain tree, or "!" and one. "unknown" is what an MTA calls every client
// without a name.
func parseClientName(s string) (string, error) {
	tree, not := strings.CutPrefix(s, "!")
	name, err := parseDomainTree(tree)
	switch {
	case err == nil && name == "unknown":
		return "", fmt.Errorf("%q is not a host name: the MTA uses it for every client whose "+
			"name it could not verify",
			s)
	case not:
		return "!" + name, err
	}
	return name, err
}

func parseDomainOrAddress(s string) (string, error) {
	user, domain, ok := cutLast(s, '@')
	name, err := parseDomain(domain)
	if err != nil || ok && (user == "" || strings.ContainsAny(user, " \t\r\n*")) {
		return "", fmt.Errorf("%q is neither a domain nor an address", s)
	}
	if ok {
		return user + "@" + name, nil
	}
	return name, nil
}

// parseSenderPattern takes an address pattern, or "<>", the null sender.
func parseSenderPattern(s string) (string, error) {
	if s == "<>" {
		return s, nil
	}
	return parsePattern(s)
}

// parseSelector takes one label or several (RFC 6376 section 3.1).
func parseSelector(s string) (string, error) {
	return domain.ParseSelector(strings.TrimSuffix(s, "."))
}

// CheckSelectorTemplate refuses a text that is not a template of rotation.selector.
func CheckSelectorTemplate(s string) error {
	_, err := parseSelectorTemplate(s)
	return err
}

func parseSelectorTemplate(s string) (string, error) {
	filled := strings.NewReplacer("{year}", "2026", "{quarter}", "1", "{month}", "01", "{date}",
		"20260101", "{alg}", "r").Replace(s)
	if _, err := parseSelector(filled); err != nil || filled == s {
		return "", fmt.Errorf("%q is not a selector template such as \"{year}q{quarter}{alg}\"; "+
			"it may contain {year}, {quarter}, {month}, {date} and {alg}", s)
	}
	return s, nil
}

// parseRemovedID is parseAuthservID with the way out for those who know OpenDKIM's patterns.
func parseRemovedID(s string) (string, error) {
	if strings.HasPrefix(s, ".") || strings.Contains(s, "*") {
		return "", fmt.Errorf("%q is a pattern, and patterns do not work here: write each id in "+
			"full, such as \"mx1.example.com\"", s)
	}
	return parseAuthservID(s)
}

// parseAuthservID takes what needs no quoting in the field (RFC 8601 section 2.2: an RFC 2045
// token).
func parseAuthservID(s string) (string, error) {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f ||
			strings.ContainsRune(`()<>@,;:\"/[]?=`, r)
	}) {
		return "", fmt.Errorf("%q is not a host name", s)
	}
	if slices.Contains(strings.Split(s, "."), "") {
		return "", fmt.Errorf("%q is not a host name: a label before, between or after the dots "+
			"is empty", s)
	}
	return s, nil
}

// parseCanonicalization returns both halves (RFC 6376 section 3.5: the body is simple if it is not
// named).
func parseCanonicalization(s string) (string, error) {
	header, body, both := strings.Cut(strings.ToLower(s), "/")
	if !both {
		body = "simple"
	}
	for _, half := range []string{header, body} {
		if half != "simple" && half != "relaxed" {
			return "", fmt.Errorf("%q is not a canonicalization; write relaxed/relaxed, "+
				"relaxed/simple, simple/relaxed or simple/simple", s)
		}
	}
	return header + "/" + body, nil
}

// parseFieldName takes what RFC 5322 section 3.6.8 lets a field be called, but for the semicolon,
// which would end the h= tag.
func parseFieldName(s string) (string, error) {
	if s == "" || len(s) > 77 || strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || r == ':' || r == ';'
	}) {
		return "", fmt.Errorf("%q is not the name of a header field", s)
	}
	return s, nil
}

// parseFieldChange takes a name, or one behind + or -.
func parseFieldChange(s string) (string, error) {
	name := s
	if s != "" && (s[0] == '+' || s[0] == '-') {
		name = s[1:]
	}
	_, err := parseFieldName(name)
	return s, err
}

func parseIdentifier(s string) (string, error) {
	user, host, ok := cutLast(s, '@')
	name, err := parseDomainOfAuthor(host)
	if !ok || err != nil || strings.ContainsAny(user, " \t\r\n;") {
		return "", fmt.Errorf("%q is not an identifier such as \"@example.com\", "+
			"\"news@example.com\", \"@%%\" or \"news@lists.%%\"", s)
	}
	return user + "@" + name, nil
}

// parseDomainOfAuthor parses a domain in which "%", alone or with labels around it, is a
// placeholder for the author's domain.
func parseDomainOfAuthor(s string) (string, error) {
	if s == "%" || !strings.Contains(s, "%") {
		return parseDomainOrAuthor(s)
	}
	_, err := parseDomainOrAuthor(strings.ReplaceAll(s, "%", "example.com"))
	return strings.ToLower(s), err
}

func parseKeyName(s string) (string, error) {
	if s == "" {
		return "", errors.New("the name of the key is empty")
	}
	return s, nil
}

// parseLine takes what fits into one line of an SMTP reply, code and all (RFC 5321 section
// 4.5.3.1.5).
func parseLine(s string) (string, error) {
	if s == "" || len(s) > 400 || strings.ContainsFunc(s,
		func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		return "", fmt.Errorf("%q is not one line of at most 400 printable ASCII characters", s)
	}
	return s, nil
}

func parseHostPort(s string) (string, error) {
	_, port, err := net.SplitHostPort(s)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 {
		return "", fmt.Errorf("%q is not an address with a port, such as \"127.0.0.1:9891\" or \"[::1]:9891\"", s)
	}
	return s, nil
}

// parseMailAddress reads an address that mail can be sent from.
func parseMailAddress(s string) (string, error) {
	local, host, _ := strings.Cut(s, "@")
	name, err := domain.Parse(host)
	if local == "" || err != nil || strings.ContainsAny(local, " \t\r\n<>\"(),:;\\") ||
		name.Labels() < 2 {
		return "", fmt.Errorf("%q is not a mail address, such as \"postmaster@example.com\"", s)
	}
	return local + "@" + string(name), nil
}

func parseURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return "", fmt.Errorf("%q is not a web address", s)
	}
	return s, nil
}
