package daemon

import (
	"context"
	"fmt"
	"iter"
	"time"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/config"
	"mailseal/milter/rotation"
)

// keysJob compares what the daemon signs with and what the name servers show, every rotation.watch;
// it rotates the keys of the state directory when rotation.every is set, and has the key before
// sign where rotation.fall_back is.
func (d *Daemon) keysJob() jobs.Job {
	return jobs.Job{
		Name:     "keys",
		Interval: func() time.Duration { return watchInterval(d.parts.Load().Config) },
		First:    func() time.Duration { return firstWatch(d.parts.Load().Config) },
		Do:       d.watchKeys,
	}
}

func (d *Daemon) watchKeys(ctx context.Context) error {
	p := d.parts.Load()
	o, err := assembly.RotationOptions(p.Config)
	if err != nil {
		return fmt.Errorf("the keys cannot be compared with the DNS: %w", err)
	}
	return d.watcher.Pass(ctx, watchOf(p, rotation.New(o)))
}

// beginEvery is how often first keys are looked for in the DNS: their mail goes unsigned until they
// are there.
const beginEvery = time.Minute

// firstKeysJob has the first keys of domains sign as soon as the DNS shows them, whatever
// rotation.every is.
func (d *Daemon) firstKeysJob() jobs.Job {
	return jobs.Job{
		Name: "first keys",
		Interval: func() time.Duration {
			if d.parts.Load().Managed == nil {
				return 0
			}
			return beginEvery
		},
		Do: d.beginKeys,
	}
}

func (d *Daemon) beginKeys(ctx context.Context) error {
	p := d.parts.Load()
	if p.Managed == nil {
		return nil
	}
	o, err := assembly.RotationOptions(p.Config)
	if err != nil {
		return fmt.Errorf("the records of first keys cannot be looked up: %w", err)
	}
	return d.watcher.Begin(ctx, rotation.New(o), p.Managed)
}

// watchOf is the pass that a configuration asks for.
func watchOf(p *assembly.Parts, r *rotation.Rotator) rotation.Watch {
	c := p.Config.Rotation
	w := rotation.Watch{
		Rotator:  r,
		Rotates:  c.Every > 0,
		Compares: c.Watch > 0,
		FallBack: c.FallBack,
		Others:   func(ctx context.Context) iter.Seq[rotation.Record] { return signingRecords(ctx, p) },
	}
	if p.Managed != nil {
		w.Signers = p.Managed
	}
	return w
}

func signingRecords(ctx context.Context, p *assembly.Parts) iter.Seq[rotation.Record] {
	return func(yield func(rotation.Record) bool) {
		for r := range p.SigningRecords(ctx) {
			if !yield(rotation.Record(r)) {
				return
			}
		}
	}
}

// How long after the start the first pass comes: not in the way of mail that has waited, but at
// once where keys sign in place of others, as what is remembered of that may be out of date.
const (
	firstAfter        = time.Minute
	firstAfterFalling = time.Second
)

func firstWatch(cfg *config.Config) time.Duration {
	if cfg.Rotation.FallBack {
		return min(firstAfterFalling, watchInterval(cfg))
	}
	return min(firstAfter, watchInterval(cfg))
}

// watchInterval is the time between passes; 0 for none.
func watchInterval(cfg *config.Config) time.Duration {
	switch {
	case !cfg.Signs():
		return 0
	case cfg.Rotation.Watch > 0:
		return cfg.Rotation.Watch
	case cfg.Rotation.Every > 0:
		return time.Hour
	}
	return 0
}
