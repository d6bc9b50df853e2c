package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/remedy"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/domain"
)

// managed finds rules whose mail would be deferred, since no key of their domain is active, and
// tries the active keys.
func (c *checker) managed() {
	store := keylife.Store{Dir: c.cfg.StateDirectory}
	state, err := store.Read()
	if c.denied(c.stateSetting(), c.cfg.StateDirectory, err) {
		return
	}
	if errors.Is(store.CheckDirectory(), keylife.ErrNoDirectory) {
		return // which assemble has reported: new keys beside those that exist would be no remedy
	}
	for _, r := range c.cfg.Sign {
		switch {
		case r.Managed == "" || r.Managed == "%" && err == nil:
		case err != nil:
			c.report(finding(StateUnread, at(r.Problem("managed", "")), err.Error()))
		case len(state.Of(domain.ASCII(r.Managed), keys.Active)) == 0:
			c.report(c.inactive(r, state))
		}
	}
	if err == nil {
		c.activeKeys(store, state)
		c.unusedKeys(state)
	}
}

// unusedKeys warns of active keys for which no rule is left: their operator expects signatures. The
// finding names ten domains, and counts the others.
func (c *checker) unusedKeys(state *keylife.State) {
	used := map[string]bool{}
	for _, r := range c.cfg.Sign {
		used[domain.ASCII(r.Managed)] = true
	}
	if used["%"] {
		return
	}
	var unused []string
	for _, k := range state.Keys {
		if k.Stage == keys.Active && !used[domain.ASCII(k.Domain)] {
			unused = append(unused, k.Domain)
		}
	}
	slices.Sort(unused)
	unused = slices.Compact(unused)
	if len(unused) == 0 {
		return
	}
	const names = 10
	named := strings.Join(unused[:min(len(unused), names)], ", ")
	if more := len(unused) - names; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	c.report(finding(ManagedUnused, c.stateSetting(), named))
}

func (c *checker) stateSetting() place {
	return at(c.cfg.Problem("state_directory", ""))
}

// inactive is the finding about a rule without an active key. Keys that are on their way need no
// new ones beside them.
func (c *checker) inactive(r config.Rule, state *keylife.State) Finding {
	setting := at(r.Problem("managed", ""))
	coming := state.Of(domain.ASCII(r.Managed), keys.Generated, keys.Published)
	if len(coming) == 0 {
		f := finding(ManagedNone, setting, r.Managed, without(r, state))
		f.Fix = remedy.Generate(c.ConfigFlag, r.Managed)
		return f
	}
	f := finding(ManagedWaiting, setting, r.Managed, without(r, state), coming[0].Name(),
		coming[0].Stage)
	f.Fix = remedy.Rotate(c.ConfigFlag, r.Managed)
	return f
}

// without describes the effect on the mail of a rule without an active key.
func without(r config.Rule, state *keylife.State) string {
	if r.FirstKey == config.FirstKeyUnsigned && !state.HasSigned(domain.ASCII(r.Managed)) {
		return "goes unsigned"
	}
	return "is deferred"
}

// activeKeys has the active keys sign a probe each.
func (c *checker) activeKeys(store keylife.Store, state *keylife.State) {
	for _, k := range state.Keys {
		if k.Stage != keys.Active || k.Vendor {
			continue
		}
		private, err := store.Load(k)
		var tried triedKey
		if err == nil {
			tried = tryKey(private)
			err = tried.err
		}
		if c.denied(c.stateSetting(), c.cfg.StateDirectory, err) {
			continue
		}
		if err != nil {
			c.report(finding(ManagedUnusable, c.stateSetting(),
				err.Error()))
			continue
		}
		c.result.Keys = append(c.result.Keys, tried.Key)
	}
}
