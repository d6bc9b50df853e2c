package reporting

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"mailseal/config"
	"mailseal/keys/files"
	"mailseal/milter/report/web"
)

// Bounds of files with secrets of the pages.
const (
	maxToken     = 4 << 10 // bytes of the file of the token
	maxPEM       = 1 << 20 // bytes of a certificate chain or a key
	secretsEvery = 5 * time.Second
)

// pageSecrets are the files with the token and the passwords of the pages, read again when one of
// them changes: an account that is taken out of its file must not wait for a restart.
type pageSecrets struct {
	token, htpasswd string
	state           [2]files.Stamp // of the two, when they were read or refused last
	missing         bool           // one could not be looked at, and the log says so
}

// newPageSecrets reads who may sign in.
func newPageSecrets(settings config.ReportsWeb) (*pageSecrets, *web.Access, error) {
	s := &pageSecrets{token: string(settings.TokenFile), htpasswd: string(settings.Htpasswd)}
	a := &web.Access{ProxyHeader: settings.ProxyHeader, ProxyFrom: settings.ProxyFrom,
		Accounts: map[string]web.Account{},
		Secure:   settings.Certificate != "", Wait: time.Sleep}
	var err error
	if s.state, err = s.look(); err != nil {
		return nil, nil, err
	}
	if a.Token, a.Passwords, err = s.read(); err != nil {
		return nil, nil, err
	}
	for _, x := range settings.Accounts {
		role := web.Role(x.Role)
		if role == "" {
			role = web.Read
		}
		a.Accounts[x.Name] = web.Account{Name: x.Name, Role: role, Domains: x.Domains}
	}
	if err := a.Check(); err != nil {
		return nil, nil, fmt.Errorf("reports.web: %w", err)
	}
	return s, a, nil
}

// look returns the state of the files.
func (s *pageSecrets) look() (state [2]files.Stamp, err error) {
	for i, f := range []struct{ setting, path string }{{"token_file", s.token},
		{"htpasswd", s.htpasswd}} {
		if f.path == "" {
			continue
		}
		if state[i], err = files.Look(f.path); err != nil {
			return state, fmt.Errorf("reports.web.%s: %w", f.setting, err)
		}
	}
	return state, nil
}

// read returns what the files hold.
func (s *pageSecrets) read() (token string, passwords map[string][]byte, err error) {
	if s.token != "" {
		text, err := files.Read(s.token, maxToken)
		if err != nil {
			return "", nil, fmt.Errorf("reports.web.token_file: %w", err)
		}
		token, _, _ = strings.Cut(string(text), "\n")
		token = strings.TrimSpace(token)
	}
	if s.htpasswd != "" {
		if passwords, err = web.ReadPasswords(s.htpasswd); err != nil {
			return "", nil, fmt.Errorf("reports.web.htpasswd: %w", err)
		}
	}
	return token, passwords, nil
}

// watch looks at the files until ctx ends.
func (s *pageSecrets) watch(ctx context.Context, a *web.Access, log *slog.Logger) {
	if s.token == "" && s.htpasswd == "" {
		return
	}
	tick := time.NewTicker(secretsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.renew(a, log)
		}
	}
}

// renew takes over what the files hold, if one has changed. What cannot be read, or lets no user
// in, leaves those in force that are, and the log says so once.
func (s *pageSecrets) renew(a *web.Access, log *slog.Logger) {
	const stays = "tokens and passwords of the pages stay as they are"
	state, err := s.look()
	if err != nil {
		if !s.missing {
			log.Warn(stays, "error", err)
		}
		s.missing = true
		return
	}
	if s.missing = false; state == s.state {
		return
	}
	s.state = state
	token, passwords, err := s.read()
	if err == nil {
		err = a.Replace(token, passwords)
	}
	if err != nil {
		log.Warn(stays, "error", err)
		return
	}
	log.Info("tokens and passwords of the pages were read again", "accounts", len(passwords))
}

// keyPair is a certificate with its key, read again when a file changes.
type keyPair struct {
	certificate, key string
	log              *slog.Logger

	mu    sync.Mutex
	state [2]files.Stamp // of the files, when they were read or refused last
	pair  *tls.Certificate
	bad   bool // they cannot be looked at, and the log says so
}

// get implements tls.Config.GetCertificate. A pair that cannot be read leaves the one before in
// force, and the log says so once.
func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var state [2]files.Stamp
	for i, path := range []string{k.certificate, k.key} {
		var err error
		if state[i], err = files.Look(path); err != nil {
			return k.kept(err, !k.bad)
		}
	}
	if k.bad = false; k.pair != nil && state == k.state {
		return k.pair, nil
	}
	k.state = state
	pair, err := k.read()
	if err != nil {
		return k.kept(err, true)
	}
	k.pair = pair
	return pair, nil
}

func (k *keyPair) read() (*tls.Certificate, error) {
	certificate, err := files.Read(k.certificate, maxPEM)
	if err != nil {
		return nil, err
	}
	key, err := files.Read(k.key, maxPEM)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	return &pair, err
}

// kept returns the pair before, if there is one.
func (k *keyPair) kept(err error, isNew bool) (*tls.Certificate, error) {
	if k.pair == nil {
		return nil, err
	}
	if isNew {
		k.log.Warn("the certificate of the pages stays the one before", "certificate",
			k.certificate, "key", k.key,
			"error", err)
	}
	k.bad = true
	return k.pair, nil
}
