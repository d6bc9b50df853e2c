package assembly

import (
	"context"
	"errors"
	"fmt"

	"mailseal/cmd/mailseal/remedy"
)

// errNoKeyAtStart means that the keys in memory sign, but that no file could be read: a
// restart would find no key.
var errNoKeyAtStart = errors.New("no key could be read from its file, so that the daemon would " +
	"not start again with this configuration")

// RestartLosesKeys returns why a start with the files as they are now would fail, although the keys
// that the daemon has in memory still sign. It waits until all key files have been read.
func (p *Parts) RestartLosesKeys(ctx context.Context) error {
	if p.Keys == nil || len(p.Keys.Names()) == 0 || len(p.Sources) > 0 {
		return nil
	}
	found, err := p.Keys.Findings(ctx)
	if err != nil {
		return err
	}
	broken := map[string]bool{}
	var why []error
	for _, f := range found {
		if f.Err == nil && !f.IsKept || broken[f.Name] {
			continue
		}
		broken[f.Name] = true
		if len(why) < keysNamed {
			why = append(why, p.keyProblem(f, found))
		}
	}
	if len(broken) < len(p.Keys.Names()) {
		return nil
	}
	return fmt.Errorf("%w: %w", errNoKeyAtStart, errors.Join(why...))
}

// KeyWarnings returns, in sentences, what is wrong with the files of the keys, as ExamineKeys logs
// it. It waits until all key files have been read.
func (p *Parts) KeyWarnings(ctx context.Context) []string {
	if p.Keys == nil {
		return nil
	}
	found, err := p.Keys.Findings(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for _, f := range found {
		text := remedy.KeyFile(f, remedy.Self(), remedy.Key{}).Sentence(f.Text)
		if f.Err != nil {
			text = "it cannot be used: " + f.Err.Error()
		}
		out = append(out, fmt.Sprintf("key %s: %s", f.Name, text))
	}
	return shortList(out)
}

// ManagedWarnings returns, in sentences, which active keys of the state directory cannot be read
// from their files.
func (p *Parts) ManagedWarnings() []string {
	if p.Managed == nil {
		return nil
	}
	var out []string
	for _, u := range p.Managed.Unreadable() {
		effect := "mail that it would sign is handled by on_key_error"
		if u.IsLoaded {
			effect = "the key in memory stays in use until the daemon is restarted"
		}
		out = append(out, fmt.Sprintf("the active key %s cannot be read from state_directory: "+
			"%v; %s", u.Name, u.Err, effect))
	}
	return shortList(out)
}

// shortList keeps a list of warnings within what an answer of the daemon may have.
func shortList(list []string) []string {
	const most = 100
	if len(list) <= most {
		return list
	}
	more := fmt.Sprintf("and %d other keys; \"mailseal check\" lists all", len(list)-most)
	return append(list[:most:most], more)
}
