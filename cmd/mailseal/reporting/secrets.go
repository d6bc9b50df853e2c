package reporting

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"mailseal/cmd/mailseal/pages"
	"mailseal/config"
	"mailseal/keys/files"
	"mailseal/milter/report/web"
)

// secretsEvery is how often the files of the token and the passwords are looked at.
const secretsEvery = 5 * time.Second

// pageSecrets are the files with the token and the passwords of the pages, read again when one of
// them changes: an account that is taken out of its file must not wait for a restart.
type pageSecrets struct {
	settings config.ReportsWeb
	state    [2]files.Stamp // of the two, when they were read or refused last
	missing  bool           // one could not be looked at, and the log says so
}

// newPageSecrets reads who may sign in.
func newPageSecrets(settings config.ReportsWeb) (*pageSecrets, *web.Access, error) {
	s := &pageSecrets{settings: settings}
	var err error
	if s.state, err = s.look(); err != nil {
		return nil, nil, err
	}
	a, err := pages.Access(settings)
	return s, a, err
}

// look returns the state of the files.
func (s *pageSecrets) look() (state [2]files.Stamp, err error) {
	for i, f := range []struct{ setting, path string }{
		{"token_file", string(s.settings.TokenFile)}, {"htpasswd", string(s.settings.Htpasswd)}} {
		if f.path == "" {
			continue
		}
		if state[i], err = files.Look(f.path); err != nil {
			return state, fmt.Errorf("reports.web.%s: %w", f.setting, err)
		}
	}
	return state, nil
}

// watch looks at the files until ctx ends.
func (s *pageSecrets) watch(ctx context.Context, a *web.Access, log *slog.Logger) {
	if s.settings.TokenFile == "" && s.settings.Htpasswd == "" {
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
// in, leaves those in effect that are, and the log says so once.
func (s *pageSecrets) renew(a *web.Access, log *slog.Logger) {
	const stays = "the changed tokens or passwords of the pages cannot be read; the old ones stay in effect"
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
	token, passwords, err := pages.Secrets(s.settings)
	if err == nil && a.Holds(token, passwords) {
		return // the state of a file that was just written changes by itself
	}
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
	pair, err := pages.Pair(k.certificate, k.key)
	if err != nil {
		return k.kept(err, true)
	}
	k.pair = pair
	return pair, nil
}

// kept returns the pair before, if there is one.
func (k *keyPair) kept(err error, isNew bool) (*tls.Certificate, error) {
	if k.pair == nil {
		return nil, err
	}
	if isNew {
		k.log.Warn("the changed certificate of the pages cannot be read; the old one stays in use", "certificate",
			k.certificate, "key", k.key,
			"error", err)
	}
	k.bad = true
	return k.pair, nil
}
