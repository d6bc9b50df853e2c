package assembly

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"mailseal/cmd/mailseal/remedy"
	"mailseal/config"
	"mailseal/keys/keyfile"
	"mailseal/milter/domain"
)

// FileKeys makes the source of all keys that the configuration names. A reload has read all of them
// when it returns; a start, which has no old parts, reads them in the background.
func FileKeys(ctx context.Context, cfg *config.Config, old *Parts) *keyfile.Source {
	return FileKeysAs(ctx, cfg, old, nil)
}

// FileKeysAs is FileKeys for a daemon that runs as another user than this process.
func FileKeysAs(ctx context.Context, cfg *config.Config, old *Parts,
	as *keyfile.Reader) *keyfile.Source {
	o := keyfile.Options{RequireSafe: cfg.RequireSafeKeys, As: as, Background: old == nil}
	if old != nil {
		o.Previous = old.Keys
	}
	entries := make(map[string]keyfile.Entry, len(cfg.Keys))
	for name, k := range cfg.Keys {
		if k.Source == "" && !k.IsPerDomain() {
			entries[name] = keyfile.Entry{Domain: domain.ASCII(k.Domain),
				Selector: domain.ASCII(k.Selector), File: k.File, Text: string(k.PrivateKey)}
		}
	}
	return keyfile.New(ctx, entries, o)
}

// ExamineKeys logs what is wrong with keys, once all of them have been loaded, and has each tested.
func (p *Parts) ExamineKeys(ctx context.Context, log *slog.Logger) {
	if p.Keys == nil {
		return
	}
	err := Survive(func() error {
		p.sayFindings(ctx, log)
		SelfTest(ctx, p.Config, p.Keys, func(key string, err error) {
			log.Error("a key fails its self-test, so no receiver would accept its signatures: "+
				"make a new key with \"mailseal keygen\"", "key",
				key, "error", err)
		})
		return nil
	})
	if err != nil {
		log.Error("the check of the keys stopped early; \"mailseal check\" checks all keys",
			"error", err)
	}
}

// AnyKey is an error when there are keys and none of them can sign: a configuration that can do
// only defer mail. One bad key among good ones does not keep the daemon from starting; it is
// logged. It waits for the first key that can sign.
func (p *Parts) AnyKey(ctx context.Context) error {
	if p.Keys == nil || len(p.Keys.Names()) == 0 || len(p.Sources) > 0 {
		return nil
	}
	for _, name := range p.Keys.Names() {
		if _, err := p.Keys.Key(ctx, name); err == nil {
			return nil
		}
	}
	found, err := p.Keys.Findings(ctx)
	if err != nil {
		return err
	}
	var broken []error
	for _, f := range found {
		if f.Err == nil {
			continue
		}
		if len(broken) == keysNamed {
			broken = append(broken, errors.New("and others"))
			break
		}
		broken = append(broken, p.keyProblem(f, found))
	}
	return fmt.Errorf("no key can sign: %w", errors.Join(broken...))
}

// keysNamed is how many keys an error of AnyKey names.
const keysNamed = 20

// keyProblem describes why a key cannot sign, where that is configured, and what to do. For
// a key that is refused as unsafe, the other findings about it have the remedies.
func (p *Parts) keyProblem(f keyfile.Finding, all []keyfile.Finding) error {
	text := remedy.KeyFile(f, remedy.Self(), remedy.Key{}).Sentence(f.Text)
	for _, other := range all {
		if fix := remedy.KeyFile(other, remedy.Self(), remedy.Key{}); f.Kind == keyfile.Unsafe &&
			other.Name == f.Name && !fix.IsZero() {
			text = fix.Sentence(text)
			break
		}
	}
	return p.Config.Keys[f.Name].Problem("file", fmt.Sprintf("key %q: %s", f.Name, text))
}

func (p *Parts) sayFindings(ctx context.Context, log *slog.Logger) {
	found, err := p.Keys.Findings(ctx)
	if err != nil {
		return
	}
	for _, f := range found {
		if f.Err != nil {
			log.Error("key cannot be used", "key", f.Name, "error", f.Err)
		} else {
			log.Warn(remedy.KeyFile(f, remedy.Self(), remedy.Key{}).Sentence(f.Text), "key", f.Name)
		}
	}
}
