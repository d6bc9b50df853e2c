// Package keyhttp finds keys, and who signs with them, at a web service: one of the operator's own,
// or a Vault with the KV secrets engine, version 2.
//
//	GET URL/keys/NAME                  {"domain": "example.com", "selector": "mail", "private_key": "-----BEGIN …"}
//	GET URL/signing/DOMAIN?login=NAME  {"keys": ["NAME", {"domain": …, "selector": …, "private_key": …}]}
//
// A URL with $1 or $2 is asked as it is, with the login and the author's domain in their places,
// and answers as signing does.
//
// Names are percent-encoded into one segment of the path. Either answer may be in {"data":
// {"data": …}}. 404 is "no such key", and for signing "no key signs" when its body is a JSON
// object; everything else is a failure.
package keyhttp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"mailseal/keys"
	"mailseal/keys/files"
)

// Options say where the service is and how it knows us. They can be compared. Files are read again
// for each connection.
type Options struct {
	Name      string        // of the source, for errors
	URL       string        // what the paths above hang on
	TokenFile string        // holds the bearer token; read again for each request
	TLS       keys.TLS      // for https
	KeyDir    string        // below which private_key may name a file instead; "": nowhere
	Timeout   time.Duration // for an answer; 0: 5 s
}

const (
	defaultTimeout = 5 * time.Second

	// maxAnswer bounds a body, in octets: as many keys as a message may have, of the largest size.
	maxAnswer = keys.MaxChosen * keys.MaxSize

	// maxToken bounds a token file: servers refuse header fields of more than 8 KB.
	maxToken = 8 << 10
)

// Source is a keys.Source and keys.Chooser over a web service.
type Source struct {
	options Options
	base    string // without a slash at the end
	shown   string // the same without a password and a query, for errors
	client  *http.Client
}

var _ keys.Remote = (*Source)(nil)

// New makes a source. It connects to nothing; the files of certificates must be there.
func New(o Options) (*Source, error) {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if err := checkTemplate(o.URL); err != nil {
		return nil, err
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("the url is not a web address") // which may hold a password
	}
	if _, err := o.TLS.Config(); err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialTLSContext = dialTLS(o)
	transport.Proxy = nil // keys pass no host that the configuration does not name
	transport.MaxResponseHeaderBytes = 64 << 10
	base := strings.TrimRight(o.URL, "/")
	if isTemplate(o.URL) {
		base = "" // the whole address is made for each question
	}
	return &Source{options: o, base: base,
		shown: keys.Mask(base), client: &http.Client{
			Transport: transport,
			Timeout:   o.Timeout,
			// A redirection would hand the token to wherever it points.
			CheckRedirect: func(*http.Request,
				[]*http.Request) error {
				return http.ErrUseLastResponse
			},
		}}, nil
}

// dialTLS returns what makes a connection. It reads the files of certificates again each time.
func dialTLS(o Options) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conf, err := o.TLS.Config()
		if err != nil {
			return nil, err
		}
		if conf.ServerName, _, err = net.SplitHostPort(address); err != nil {
			return nil, err
		}
		conf.NextProtos = []string{"h2", "http/1.1"}
		// the transport's context is not that of one request
		ctx, cancel := context.WithTimeout(ctx, o.Timeout)
		defer cancel()
		return (&tls.Dialer{Config: conf}).DialContext(ctx, network, address)
	}
}

// Reopen ends idle connections, so that the next one is made with the files of certificates as they
// are now. It reports that the answers are still those of the same service.
func (s *Source) Reopen() bool {
	s.client.CloseIdleConnections()
	return false
}

// Close ends idle connections.
func (s *Source) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

// fail names the source.
func (s *Source) fail(format string, args ...any) error {
	return fmt.Errorf("source %q: %w", s.options.Name, fmt.Errorf(format, args...))
}

// failAt names the request, too.
func (s *Source) failAt(path, format string, args ...any) error {
	return s.fail("GET %s: %w", keys.Mask(s.shown+path), fmt.Errorf(format, args...))
}

// reply is what came back: 200 or 404, and the body.
type reply struct {
	isFound bool
	body    []byte
}

// get asks for a path below the URL. Every status but 200 and 404 is an error.
func (s *Source) get(ctx context.Context, path string) (reply, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path, nil)
	if err != nil {
		return reply{}, s.fail("the path of a key cannot be added to the url")
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "mailseal")
	if err := s.authorize(r); err != nil {
		return reply{}, err
	}
	answer, err := s.client.Do(r)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok { // its text has the whole address
			err = wrapped.Err
		}
		return reply{}, s.failAt(path, "%w", err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return reply{}, s.failAt(path, "%w", err)
	case answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden:
		return reply{}, s.failAt(path, "%s: check token_file and client_certificate",
			answer.Status)
	case answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusNotFound:
		return reply{}, s.failAt(path, "%s", answer.Status)
	case len(body) > maxAnswer:
		return reply{}, s.failAt(path, "%w: more than %d octets", keys.ErrAnswer, maxAnswer)
	}
	return reply{answer.StatusCode == http.StatusOK, body}, nil
}

func (s *Source) authorize(r *http.Request) error {
	if s.options.TokenFile == "" {
		return nil
	}
	token, err := files.Read(s.options.TokenFile, maxToken)
	if err != nil {
		return s.fail("token_file: %w", err)
	}
	text := strings.TrimSpace(string(token))
	if text == "" || strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return s.fail("token_file: there is no token in %s", s.options.TokenFile)
	}
	r.Header.Set("Authorization", "Bearer "+text)
	return nil
}

// Key implements keys.Source: keys.ErrNotFound for 404, keys.ErrAnswer for a body that has no
// key.
func (s *Source) Key(ctx context.Context, name string) (keys.Key, error) {
	if s.isTemplate() {
		return keys.Key{}, s.fail("%w", errTemplateKey)
	}
	path := "/keys/" + segment(name)
	got, err := s.get(ctx, path)
	if err != nil {
		return keys.Key{}, err
	}
	if !got.isFound {
		return keys.Key{}, fmt.Errorf("%w: %q in source %q", keys.ErrNotFound, name, s.options.Name)
	}
	k, err := parseKey(got.body, s.options.KeyDir)
	if err != nil {
		return keys.Key{}, s.failAt(path, "%w", err)
	}
	k.Name = name
	return k, nil
}

// Choose implements keys.Chooser.
func (s *Source) Choose(ctx context.Context, q keys.Query) ([]keys.Key, error) {
	path := s.signingPath(q)
	got, err := s.get(ctx, path)
	if err != nil {
		return nil, err
	}
	if !got.isFound {
		// a server's own page for a wrong path must not send mail out unsigned
		if !isObject(got.body) {
			return nil, s.failAt(path, "404 without a JSON object: check the url")
		}
		return nil, nil
	}
	found, err := parseKeys(got.body, s.options.KeyDir)
	if err != nil {
		return nil, s.failAt(path, "%w", err)
	}
	return found, nil
}

// signingPath is what is asked about a sender, behind the base.
func (s *Source) signingPath(q keys.Query) string {
	if s.isTemplate() {
		return expand(s.options.URL, q.Login, q.Domain)
	}
	path := "/signing/" + segment(q.Domain)
	if q.Login != "" {
		path += "?login=" + url.QueryEscape(q.Login)
	}
	return path
}

func (s *Source) isTemplate() bool { return isTemplate(s.options.URL) }

// Narrow implements keys.Chooser: the author's address is not asked about.
func (s *Source) Narrow(q keys.Query) keys.Query {
	q.Address = ""
	return q
}

// segment makes one segment of a path out of any name: "." and ".." would be steps.
func segment(name string) string {
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}

// probe is a name that no service has: RFC 2606 section 2.
const probe = "mailseal-check.invalid"

// Check asks for a key that is not there, and for who signs for a domain that is not there.
func (s *Source) Check(ctx context.Context) (string, error) {
	if s.isTemplate() {
		if _, err := s.Choose(ctx, keys.Query{Domain: probe}); err != nil {
			return "", err
		}
		return "http answers for signing", nil
	}
	if _, err := s.Key(ctx, probe); err != nil && !errors.Is(err, keys.ErrNotFound) {
		return "", err
	}
	if _, err := s.Choose(ctx, keys.Query{Domain: probe}); err != nil {
		return "http answers for keys; not for signing: " + err.Error(), nil
	}
	return "http answers for keys and for signing", nil
}
