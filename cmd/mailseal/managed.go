package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/sign"
)

// managesKeys tells whether a rule signs with keys of the state directory.
func managesKeys(cfg *config.Config) bool {
	for _, r := range cfg.Sign {
		if r.Managed != "" {
			return true
		}
	}
	return false
}

// addManaged opens the state directory's keys, or takes them over from the parts before.
func (p *parts) addManaged(old *parts, log *slog.Logger) error {
	if !managesKeys(p.cfg) {
		return nil
	}
	if old != nil && old.managed != nil && old.cfg.StateDirectory == p.cfg.StateDirectory {
		p.managed = old.managed
		p.managed.Look()
		return nil
	}
	var err error
	p.managed, err = keylife.NewSource(keylife.Store{Dir: p.cfg.StateDirectory}, func(err error) {
		log.Error("the state of the keys cannot be read", "error", err)
	})
	if err != nil {
		return fmt.Errorf("state_directory: %w", err)
	}
	return nil
}

// errNoState says that the state directory could not be read when the rule was made. Without it the rule would have no
// keys at all, which is no reason to defer.
var errNoState = errors.New("the keys of the state directory could not be read")

// chooseManaged answers a rule with the active keys of a domain, "%" for the author's.
func chooseManaged(source *keylife.Source, domain string) func(context.Context, sign.Query) ([]keys.Key, error) {
	return func(_ context.Context, q sign.Query) ([]keys.Key, error) {
		if source == nil {
			return nil, errNoState
		}
		if domain == "%" {
			return source.Keys(string(q.Author.Domain))
		}
		return source.Keys(domain)
	}
}

// checkManaged finds rules whose mail would be deferred, since no key of their domain is active.
func (c *checked) checkManaged(cfg *config.Config) {
	state, err := keylife.Store{Dir: cfg.StateDirectory}.Read()
	for _, r := range cfg.Sign {
		switch {
		case r.Managed == "" || r.Managed == "%" && err == nil:
		case err != nil:
			c.Errors = append(c.Errors, r.Problem("managed", err.Error()))
		case len(state.Of(ascii(r.Managed), keys.Active)) == 0:
			c.Errors = append(c.Errors, r.Problem("managed", "no key of "+r.Managed+" is active, so its mail is deferred; "+howToActivate(state, r.Managed)))
		}
	}
	if err == nil {
		c.loadManaged(keylife.Store{Dir: cfg.StateDirectory}, state)
	}
}

// howToActivate names the command that brings a domain nearer to an active key: keys on their way need no new ones.
func howToActivate(state *keylife.State, domain string) string {
	if coming := state.Of(ascii(domain), keys.Generated, keys.Published); len(coming) > 0 {
		return fmt.Sprintf("%s is %s: mailseal keys rotate %s says what it waits for, and makes the step that is due", coming[0].Name(), coming[0].Stage, domain)
	}
	return fmt.Sprintf("mailseal keys generate %s begins one", domain)
}

// loadManaged has the active keys sign a probe each.
func (c *checked) loadManaged(store keylife.Store, state *keylife.State) {
	for _, k := range state.Keys {
		if k.Stage != keys.Active || k.Vendor {
			continue
		}
		private, err := store.Load(k)
		if err == nil {
			tried := tryKey(private)
			if err = tried.err; err == nil {
				c.Keys = append(c.Keys, tried.keySummary)
			}
		}
		if err != nil {
			c.Errors = append(c.Errors, config.Problem{File: c.File, Path: "state_directory", Text: err.Error()})
		}
	}
}
