package assembly

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/domain"
	"mailseal/milter/sign"
)

// ManagesKeys reports whether a rule signs with keys of the state directory.
func ManagesKeys(cfg *config.Config) bool {
	for _, r := range cfg.Sign {
		if r.Managed != "" {
			return true
		}
	}
	return false
}

// AddManaged opens the state directory's keys, or takes them over from the parts before.
func (p *Parts) AddManaged(old *Parts, log *slog.Logger) error {
	if !ManagesKeys(p.Config) {
		return nil
	}
	if old != nil && old.Managed != nil && old.Config.StateDirectory == p.Config.StateDirectory {
		p.Managed = old.Managed
		err := p.Managed.Reload()
		if errors.Is(err, keylife.ErrGone) {
			p.Gone, err = err, nil
		}
		return err
	}
	var err error
	p.Managed, err = keylife.NewSource(keylife.Store{Dir: p.Config.StateDirectory},
		func(err error) {
			log.Error("the state of the managed keys cannot be read, so mail that they would "+
				"sign is handled by on_key_error", "error", err)
		})
	if err != nil {
		return fmt.Errorf("state_directory: %w", err)
	}
	if !p.Config.Rotation.FallBack {
		return nil
	}
	if err := p.Managed.Restore(); err != nil {
		log.Error("fallback.json, the list of keys that signed instead of others before the "+
			"restart, cannot be read; the next DNS check writes it again", "error", err)
	}
	return nil
}

// errNoState means that the state directory could not be read when the rule was made.
// Without it the rule would have no keys at all, and its mail would not be deferred.
var errNoState = errors.New("the keys in the state directory cannot be read")

// chooseManaged answers a rule with the active keys of its domain, "%" for the author's.
func chooseManaged(source *keylife.Source, r config.Rule) func(context.Context,
	sign.Query) ([]keys.Key, error) {
	return func(_ context.Context, q sign.Query) ([]keys.Key, error) {
		if source == nil {
			return nil, errNoState
		}
		of := domain.ASCII(r.Managed)
		if of == "%" {
			of = string(q.Author.Domain)
		}
		have, err := source.Keys(of)
		if errors.Is(err, keys.ErrNotFound) && r.FirstKey == config.FirstKeyUnsigned &&
			!source.HasSigned(of) {
			return nil, fmt.Errorf("%w for %s: make keys with \"mailseal keys generate %[2]s\" "+
				"if it has none, publish the records that \"mailseal keys list --format line "+
				"%[2]s\" prints, then run \"mailseal keys rotate %[2]s\"", sign.ErrFirstKey, of)
		}
		return have, err
	}
}
