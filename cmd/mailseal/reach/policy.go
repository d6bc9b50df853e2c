package reach

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// year is the greatest max_age, in seconds (RFC 8461 section 3.2).
const year = 31557600

// Policy is an MTA-STS policy.
type Policy struct {
	Text     string
	Mode     string // "enforce", "testing" or "none"; "" when it is not said
	MX       []string
	Age      int      // max_age, in seconds; -1 when it is not said
	Mistakes []string // why senders do not use it, each a clause
}

// ParsePolicy reads a policy as senders do (RFC 8461 section 3.2). Fields that are not known are
// ignored; of one that may appear only once, the first counts.
func ParsePolicy(text string) Policy {
	p := Policy{Text: text, Age: -1}
	fault := func(format string, args ...any) {
		p.Mistakes = append(p.Mistakes, fmt.Sprintf(format, args...))
	}
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok {
			fault("the line %q has no colon", shorten(line))
			continue
		}
		if name == "mx" {
			p.MX = append(p.MX, strings.ToLower(strings.TrimSuffix(value, ".")))
			if !isPattern(value) {
				fault("mx: %q is not a host name, with or without *. before it", shorten(value))
			}
			continue
		}
		if seen[name] {
			fault("%s appears twice", shorten(name))
			continue
		}
		seen[name] = true
		p.field(name, value, fault)
	}
	if !seen["version"] {
		fault("the policy has no version: STSv1")
	}
	if !seen["mode"] {
		fault("the policy has no mode")
	}
	if !seen["max_age"] {
		fault("the policy has no max_age")
	}
	if len(p.MX) == 0 && p.Mode != "none" {
		fault("the policy has no mx")
	}
	return p
}

func (p *Policy) field(name, value string, fault func(string, ...any)) {
	switch name {
	case "version":
		if value != "STSv1" {
			fault("version is %q; it must be STSv1", shorten(value))
		}
	case "mode":
		p.Mode = value
		if !slices.Contains([]string{"enforce", "testing", "none"}, value) {
			fault("mode is %q; it must be enforce, testing or none", shorten(value))
		}
	case "max_age":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n > year {
			fault("max_age is %q; it must be a number of seconds up to %d", shorten(value), year)
			return
		}
		p.Age = n
	}
}

func shorten(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

func isPattern(s string) bool {
	s = strings.TrimPrefix(strings.TrimSuffix(strings.ToLower(s), "."), "*.")
	return s != "" && len(s) <= 253 && strings.Contains(s, ".") &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}

// Covers reports whether the policy allows a host as MX: a * matches one label (RFC 8461
// section 4.1).
func (p Policy) Covers(host string) bool {
	return slices.ContainsFunc(p.MX, func(pattern string) bool { return matches(pattern, host) })
}

// Unused are the patterns that no host of a list matches.
func (p Policy) Unused(hosts []string) []string {
	return slices.DeleteFunc(slices.Clone(p.MX), func(pattern string) bool {
		return slices.ContainsFunc(hosts, func(h string) bool { return matches(pattern, h) })
	})
}

func matches(pattern, host string) bool {
	if base, isWild := strings.CutPrefix(pattern, "*."); isWild {
		_, above, _ := strings.Cut(host, ".")
		return above == base
	}
	return pattern == host
}

// Fetched is the answer of a policy's web server.
type Fetched struct {
	Type string // media type, without parameters
	Text string
}

// Refusal is an answer, or a certificate, for which senders treat the domain as if it had no
// policy.
type Refusal struct{ error }

// Unwrap returns the cause.
func (r Refusal) Unwrap() error { return r.error }

func refuse(format string, args ...any) error { return Refusal{fmt.Errorf(format, args...)} }

// Fetch gets the policy of a domain as senders do (RFC 8461 section 3.3): by HTTPS, from mta-sts.
// and the domain, without following redirects. The error is a Refusal where the server, or the DNS,
// gave an answer that senders do not take, else the failure to get one.
func (g *Guard) Fetch(ctx context.Context, domain string) (Fetched, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	host := "mta-sts." + domain
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return g.dial(ctx, host, 443)
		},
		TLSClientConfig:        &tls.Config{RootCAs: g.roots, MinVersion: tls.VersionTLS12, Time: g.Time},
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: maxPolicy,
	}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+
		"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return Fetched{}, refuse("%s cannot be queried: %w", host, err)
	}
	q.Header.Set("User-Agent", "mailseal")
	a, err := client.Do(q)
	if err != nil {
		return Fetched{}, classify(host, err)
	}
	defer a.Body.Close()
	if a.StatusCode >= 300 && a.StatusCode < 400 {
		return Fetched{}, refuse("%s redirects to %q, which senders do not follow", host,
			shorten(a.Header.Get("Location")))
	}
	if a.StatusCode != http.StatusOK {
		return Fetched{}, refuse("%s answers with status %d", host, a.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(a.Body, maxPolicy+1))
	switch {
	case err != nil:
		return Fetched{}, fmt.Errorf("the policy from %s: %w", host, err)
	case len(body) > maxPolicy:
		return Fetched{}, refuse("%s sends more than %d bytes", host, maxPolicy)
	}
	kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	return Fetched{Type: kind, Text: string(body)}, nil
}

// classify tells what a server or the DNS says from the failure to reach it.
func classify(host string, err error) error {
	var certificate *tls.CertificateVerificationError
	var none x509.SystemRootsError
	switch {
	case errors.As(err, &none):
		return fmt.Errorf("this host has no certificate authorities, which are needed to check "+
			"certificates: %w", err)
	case errors.Is(err, ErrPrivate), errors.Is(err, ErrAbsent):
		return refuse("%w", errors.Unwrap(err))
	case errors.As(err, &certificate):
		return refuse("the certificate of %s is not valid: %w", host, certificate.Err)
	}
	return err
}
