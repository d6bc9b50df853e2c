// Package pages reads who may see the pages of "mailseal reports serve", and their certificates.
// The process that serves them and "mailseal check" read them in the same way, so that what one
// refuses the other reports.
package pages

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailseal/config"
	"mailseal/keys/files"
	"mailseal/milter/report/web"
)

// Bounds of the files.
const (
	maxToken = 4 << 10 // bytes of the file of the token
	maxPEM   = 1 << 20 // bytes of a certificate chain or a key
)

// Mistake is the reason why pages cannot be served, with the setting that causes it.
type Mistake struct {
	Setting string // reports.web.token_file
	Err     error
}

// Error implements error.
func (m *Mistake) Error() string { return m.Setting + ": " + m.Err.Error() }

func (m *Mistake) Unwrap() error { return m.Err }

// Access returns who may see the pages of reports, by the files and accounts of the settings. Its
// error is a Mistake.
func Access(settings config.ReportsWeb) (*web.Access, error) {
	a := &web.Access{ProxyHeader: settings.ProxyHeader, ProxyFrom: settings.ProxyFrom,
		Accounts: map[string]web.Account{}, Secure: settings.Certificate != "", Wait: time.Sleep}
	var err error
	if a.Token, a.Passwords, err = Secrets(settings); err != nil {
		return nil, err
	}
	for _, x := range settings.Accounts {
		role := web.Role(x.Role)
		if role == "" {
			role = web.Read
		}
		a.Accounts[x.Name] = web.Account{Name: x.Name, Role: role, Domains: x.Domains}
	}
	if err := a.Check(); err != nil {
		setting := "reports.web"
		if errors.Is(err, web.ErrToken) {
			setting = "reports.web.token_file"
			err = fmt.Errorf("%s: %w", settings.TokenFile, err)
		}
		return nil, &Mistake{setting, err}
	}
	return a, nil
}

// Secrets returns what the files of the token and of the passwords hold. Its error is a Mistake.
func Secrets(settings config.ReportsWeb) (token string, passwords map[string][]byte, err error) {
	if path := string(settings.TokenFile); path != "" {
		text, err := files.Read(path, maxToken)
		if err != nil {
			return "", nil, &Mistake{"reports.web.token_file", err}
		}
		token, _, _ = strings.Cut(string(text), "\n")
		if token = strings.TrimSpace(token); token == "" {
			return "", nil, &Mistake{"reports.web.token_file", fmt.Errorf("%s is empty: write "+
				"a token of 20 characters or more into it, such as openssl rand -hex 20 prints",
				path)}
		}
	}
	if path := string(settings.Htpasswd); path != "" {
		if passwords, err = web.ReadPasswords(path); err != nil {
			return "", nil, &Mistake{"reports.web.htpasswd", err}
		}
	}
	return token, passwords, nil
}

// Pair reads a certificate and its key.
func Pair(certificate, key string) (*tls.Certificate, error) {
	chain, err := files.Read(certificate, maxPEM)
	if err != nil {
		return nil, err
	}
	private, err := files.Read(key, maxPEM)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(chain, private)
	if err != nil {
		return nil, fmt.Errorf("%s with the key %s: %s", certificate, key,
			strings.TrimPrefix(err.Error(), "tls: "))
	}
	return &pair, nil
}

// Mistakes returns all that keeps the pages of a configuration from being served, but for sockets
// and the store.
func Mistakes(cfg *config.Config) []*Mistake {
	var out []*Mistake
	settings := cfg.Reports.Web
	if settings.Address != "" {
		_, err := Access(settings)
		out = add(out, err)
		out = add(out, pairMistake("reports.web.certificate", settings.Certificate,
			string(settings.Key)))
	}
	if cfg.Test.HasPages() {
		out = add(out, pairMistake("test.certificate", cfg.Test.Certificate,
			string(cfg.Test.Key)))
	}
	return out
}

func pairMistake(setting, certificate, key string) error {
	if certificate == "" {
		return nil
	}
	if _, err := Pair(certificate, key); err != nil {
		return &Mistake{setting, err}
	}
	return nil
}

func add(list []*Mistake, err error) []*Mistake {
	var m *Mistake
	if errors.As(err, &m) {
		return append(list, m)
	}
	return list
}
