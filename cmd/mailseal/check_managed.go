package main

import (
	"fmt"

	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/domain"
)

// checkManaged finds rules whose mail would be deferred, since no key of their domain is active.
func (c *checked) checkManaged(cfg *config.Config) {
	state, err := keylife.Store{Dir: cfg.StateDirectory}.Read()
	for _, r := range cfg.Sign {
		switch {
		case r.Managed == "" || r.Managed == "%" && err == nil:
		case err != nil:
			c.Errors = append(c.Errors, r.Problem("managed", err.Error()))
		case len(state.Of(domain.ASCII(r.Managed), keys.Active)) == 0:
			c.Errors = append(c.Errors, r.Problem("managed", "no key of "+r.Managed+" is active, so its mail is deferred; "+howToActivate(state, r.Managed)))
		}
	}
	if err == nil {
		c.loadManaged(keylife.Store{Dir: cfg.StateDirectory}, state)
	}
}

// howToActivate names the command that brings a domain nearer to an active key: keys on their way need no new ones.
func howToActivate(state *keylife.State, name string) string {
	if coming := state.Of(domain.ASCII(name), keys.Generated, keys.Published); len(coming) > 0 {
		return fmt.Sprintf("%s is %s: mailseal keys rotate %s says what it waits for, and makes the step that is due", coming[0].Name(), coming[0].Stage, name)
	}
	return fmt.Sprintf("mailseal keys generate %s begins one", name)
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
