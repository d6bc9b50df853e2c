package main

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"mailseal/keys"
	"mailseal/keys/keyfile"
	"mailseal/milter/dkim"
	"mailseal/milter/sign"
)

// triedKey is a key that was loaded, and why it cannot sign.
type triedKey struct {
	keySummary
	err error
}

// tryKeys has every key that could be loaded sign a probe, by name.
func tryKeys(ctx context.Context, source *keyfile.Source) []triedKey {
	var loaded []keys.Key
	for _, name := range source.Names() {
		if k, err := source.Key(ctx, name); err == nil { // otherwise it is among the source's findings
			loaded = append(loaded, k)
		}
	}
	tried := make([]triedKey, len(loaded))
	var workers errgroup.Group
	workers.SetLimit(runtime.GOMAXPROCS(0))
	for i, k := range loaded {
		workers.Go(func() error {
			tried[i] = tryKey(k)
			return nil
		})
	}
	_ = workers.Wait() // no worker returns an error
	return tried
}

// tryKey tries a key for any author's domain with one that nobody has.
func tryKey(k keys.Key) triedKey {
	out := triedKey{keySummary: keySummary{Name: k.Name, Record: k.Selector + "._domainkey." + k.Domain}}
	if out.Fingerprint, out.err = k.Fingerprint(); out.err != nil {
		return out
	}
	if k.Domain == "%" {
		k.Domain = "probe.invalid"
	}
	if err := sign.TestKey(k, dkim.SignOptions{}); err != nil {
		out.err = fmt.Errorf("the key does not sign: %w", err)
	}
	return out
}
