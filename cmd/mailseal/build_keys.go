package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"mailseal/config"
	"mailseal/keys/keyfile"
	"mailseal/milter/domain"
)

// buildKeys makes the source of all keys that the configuration names.
func buildKeys(ctx context.Context, cfg *config.Config, old *parts) *keyfile.Source {
	o := keyfile.Options{RequireSafe: cfg.RequireSafeKeys}
	if old != nil {
		o.Previous = old.keys
	}
	entries := make(map[string]keyfile.Entry, len(cfg.Keys))
	for name, k := range cfg.Keys {
		if k.Source == "" {
			entries[name] = keyfile.Entry{Domain: ascii(k.Domain), Selector: ascii(k.Selector), File: k.File, Text: string(k.PrivateKey)}
		}
	}
	return keyfile.New(ctx, entries, o)
}

// ascii returns a name as the DNS has it, in A-labels; "%" and what is no name stay as they are.
func ascii(name string) string {
	if n, err := domain.Parse(name); err == nil {
		return n.String()
	}
	return name
}

// examineKeys logs what is wrong with keys, once all of them have been loaded, and has each tested.
func (p *parts) examineKeys(ctx context.Context, log *slog.Logger) {
	if p.keys == nil {
		return
	}
	err := survive(func() error {
		p.sayFindings(ctx, log)
		selfTest(ctx, p.cfg, p.keys, func(key string, err error) {
			log.Error("key fails its self-test: nobody will be able to verify what it signs", "key", key, "error", err)
		})
		return nil
	})
	if err != nil {
		log.Error("the keys are not examined to the end", "error", err)
	}
}

// waitForKeys is how many keys a start waits for. More load in the background.
const waitForKeys = 1000

// anyKey is an error when there are keys and none of them can sign: a configuration that can do nothing but defer mail.
// One bad key among good ones keeps nobody from starting; it is logged.
func (p *parts) anyKey(ctx context.Context) error {
	if p.keys == nil || len(p.keys.Names()) == 0 || len(p.sources) > 0 || len(p.keys.Names()) > waitForKeys {
		return nil
	}
	found, err := p.keys.Findings(ctx)
	if err != nil {
		return err
	}
	var broken []error
	for _, f := range found {
		if f.Err != nil {
			broken = append(broken, fmt.Errorf("key %q: %s", f.Name, f))
		}
	}
	if len(broken) < len(p.keys.Names()) {
		return nil
	}
	return fmt.Errorf("no key can sign: %w", errors.Join(broken...))
}

func (p *parts) sayFindings(ctx context.Context, log *slog.Logger) {
	found, err := p.keys.Findings(ctx)
	if err != nil {
		return
	}
	for _, f := range found {
		if f.Err != nil {
			log.Error("key cannot be used", "key", f.Name, "error", f.Err)
		} else {
			log.Warn(f.String(), "key", f.Name)
		}
	}
}
