package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/cmd/mailseal/signed"
	"mailseal/milter/domain"
	"mailseal/milter/sign"
)

// ErrRefused means that a valid configuration was not put into effect, because it would
// leave mail unsigned that was signed before.
var ErrRefused = errors.New("the reload is refused")

// wayOut ends the sentence that says why.
const wayOut = `"mailseal check --against-running" shows the difference, ` +
	`"mailseal reload --accept" reloads all the same`

var errNothingSigns = fmt.Errorf("%w: no rule with a key is left, so no mail would be signed; %s",
	ErrRefused, wayOut)

// compareTime bounds the questions that a comparison asks of key sources. What is not known by then
// counts as signed.
const compareTime = 30 * time.Second

// judgeLoss compares what a new configuration signs with what the one before did. It returns the
// loss that takes effect, in sentences, or why the new one must not take effect.
func (d *Daemon) judgeLoss(ctx context.Context, old, p *assembly.Parts, accept bool) ([]string,
	error) {
	if d.signed == nil {
		return nil, nil
	}
	if p.Gone != nil && !accept {
		return nil, fmt.Errorf("%w: %w; %s", ErrRefused, p.Gone, wayOut)
	}
	if p.Gone != nil {
		if err := p.Managed.AcceptGone(); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, compareTime)
	defer cancel()
	shared := func(s *assembly.Source) bool {
		return old.Sources[s.Name] == s && p.Sources[s.Name] == s
	}
	before, after := assembly.NewCoverages(old, shared), assembly.NewCoverages(p, shared)
	if !accept && before.Signs(ctx) && !after.Signs(ctx) {
		return nil, errNothingSigns
	}
	loss := compare(ctx, d.signed.Recent(), before, after)
	if !accept && loss.TooMuch(p.Config.Reload.MaxLoss) {
		return nil, fmt.Errorf("%w: %s; %s", ErrRefused, loss, wayOut)
	}
	if accept {
		d.forgetUncovered(ctx, p)
	}
	if len(loss.Names) == 0 {
		return nil, nil
	}
	d.signed.Forget(loss.Names) // it is known now, and meant
	return []string{loss.String()}, nil
}

// refuseKeyLoss refuses a configuration with which the daemon could not start, since none of its
// key files can be read. The keys in memory would sign until a restart, and hide the loss.
func (d *Daemon) refuseKeyLoss(ctx context.Context, p *assembly.Parts) error {
	if err := p.RestartLosesKeys(ctx); err != nil {
		return fmt.Errorf("%w: %w; until then the keys in memory stay in use; restore the files, "+
			`or run "mailseal reload --accept"`, ErrRefused, err)
	}
	return nil
}

// compare finds the domains of which before signed more than after does.
func compare(ctx context.Context, names []signed.Name, before,
	after *assembly.Coverages) signed.Loss {
	return signed.Compare(names, func(n signed.Name) bool {
		return n.Author && after.Author(ctx, n.Name) < before.Author(ctx, n.Name) ||
			n.Signer && before.Signer(ctx, n.Name) && !after.Signer(ctx, n.Name)
	})
}

// covering returns what reports whether mail of a domain is signed.
func covering(ctx context.Context, c *assembly.Coverages) func(signed.Name) bool {
	return func(n signed.Name) bool {
		return (!n.Author || c.Author(ctx, n.Name) > assembly.Uncovered) && (!n.Signer ||
			c.Signer(ctx, n.Name))
	}
}

// compareStart logs which domains signed mail before the start and will not now. It is too late to
// refuse.
func (d *Daemon) compareStart(ctx context.Context, p *assembly.Parts) {
	ctx, cancel := context.WithTimeout(ctx, compareTime)
	defer cancel()
	err := assembly.Survive(func() error {
		covers := covering(ctx, assembly.NewCoverages(p, nil))
		loss := signed.Compare(d.signed.Recent(), func(n signed.Name) bool { return !covers(n) })
		if len(loss.Names) > 0 && ctx.Err() == nil {
			d.log.Error(loss.String() + `; if that is intended, confirm it with "mailseal reload --accept"`)
		}
		return nil
	})
	if err != nil {
		d.log.Error("cannot find out whether this start leaves domains unsigned that signed mail "+
			"before; \"mailseal check --against-running\" reports them", "error", err)
	}
}

// forgetUncovered has the list forget the domains that a configuration does not cover, which an
// administrator has accepted.
func (d *Daemon) forgetUncovered(ctx context.Context, p *assembly.Parts) {
	covers := covering(ctx, assembly.NewCoverages(p, func(*assembly.Source) bool { return true }))
	d.signed.Forget(signed.Compare(d.signed.Recent(),
		func(n signed.Name) bool { return !covers(n) }).Names)
	if p.Domains == nil {
		return
	}
	var lost []string
	for _, name := range d.signed.WithKeys() {
		if ctx.Err() == nil && p.Domains.Lost(ctx, name) {
			lost = append(lost, name)
		}
	}
	d.signed.Forget(lost)
}

// remember sets the list of domains that signed, which decides which of them have lost
// their separate key.
func (d *Daemon) remember(p *assembly.Parts) {
	if d.signed != nil {
		p.RememberKeys(d.signed)
	}
}

// noting counts, and notes which domains sign.
type noting struct {
	*metrics
	list *signed.List
}

// Signed implements filter.Counters.
func (c noting) Signed(s sign.Signature) {
	c.metrics.Signed(s)
	c.list.Signer(domain.ASCII(s.Domain))
}

// SignedFor implements filter.Counters.
func (c noting) SignedFor(author domain.Name) { c.list.Author(string(author)) }

// How often the list of domains that sign is written: after a crash the last ones are missing from
// it.
const (
	signedEvery = 5 * time.Minute
	signedFirst = 10 * time.Second
)

// signedJob writes the list.
func (d *Daemon) signedJob() jobs.Job {
	return jobs.Job{
		Name:     "signed",
		Interval: func() time.Duration { return signedEvery },
		First:    func() time.Duration { return signedFirst },
		Do:       d.writeSigned,
	}
}

func (d *Daemon) writeSigned(context.Context) error {
	return d.signed.Write(d.parts.Load().Config.StateDirectory)
}
