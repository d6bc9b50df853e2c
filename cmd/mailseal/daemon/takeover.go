package daemon

import (
	"context"
	"reflect"
	"slices"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/milter"
	"mailseal/milter/dns"
)

// ahead is what a reload makes before anything changes: sockets that are new, and the resolver.
type ahead struct {
	resolver dns.Resolver
	client   *dns.Client // nil: the resolver stays
	gate     *dns.Gate
	opened   []*milter.Listener
	closed   []*milter.Listener
	// why sockets are not open, such as a port for which root's rights were needed
	unopened []string
}

// prepare opens the sockets that a configuration has beyond those that are open, and makes a
// resolver where [dns] differs. With an error nothing has happened.
func (d *Daemon) prepare(ctx context.Context, now *config.Config) (*ahead, error) {
	a := &ahead{resolver: d.resolver}
	client, gate, err := assembly.NewResolver(now)
	if err != nil { // a start would fail
		return nil, err
	}
	if !reflect.DeepEqual(d.parts.Load().Config.DNS, now.DNS) {
		a.client, a.gate, a.resolver = client, gate, gate
	}
	if d.listeners == nil { // a daemon beside an old milter has no listeners
		return a, nil
	}
	for _, l := range now.Listen {
		if slices.ContainsFunc(d.listeners,
			func(open *milter.Listener) bool { return open.IsAt(l.Address) }) {
			continue
		}
		opened, err := milter.Listen(ctx, listenOptions(l))
		if err != nil {
			a.unopened = append(a.unopened,
				l.Problem("address", "takes effect only after a restart: "+err.Error()).Error())
			continue
		}
		a.opened = append(a.opened, opened)
	}
	for _, open := range d.listeners {
		if !slices.ContainsFunc(now.Listen,
			func(l config.Listener) bool { return open.IsAt(l.Address) }) {
			a.closed = append(a.closed, open)
		}
	}
	return a, nil
}

// abandon closes what was opened for a configuration that is not put into effect.
func (a *ahead) abandon() {
	for _, l := range a.opened {
		_ = l.Close() // no MTA knows it
	}
}

// takeOver applies the changes that need no new parts: sockets, limits, the resolver, the level of
// the log.
func (d *Daemon) takeOver(cfg *config.Config, a *ahead) {
	if a.client != nil {
		d.resolver = a.resolver
		d.metrics.watchDNS(a.client, a.gate)
	}
	d.server.Adjust(serverOptions(cfg.Limits, d.log, d.metrics))
	if err := d.setLevel(cfg.Log); err != nil {
		d.log.Error("log.level cannot be used; the old level stays in effect", "error", err)
	}
	d.moveListeners(cfg, a)
}

// moveListeners serves new sockets and closes old ones, and keeps d.listeners in the order of the
// configuration.
func (d *Daemon) moveListeners(cfg *config.Config, a *ahead) {
	if d.listeners == nil {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(d.listeners),
		func(l *milter.Listener) bool { return slices.Contains(a.closed, l) })
	all := append(kept, a.opened...)
	d.listeners = d.listeners[:0:0]
	for _, c := range cfg.Listen {
		options := listenOptions(c)
		if i := slices.IndexFunc(all, func(
			l *milter.Listener) bool {
			return l.IsAt(options.Address)
		}); i >= 0 {
			d.listeners = append(d.listeners, all[i])
		}
	}
	for _, l := range a.opened {
		d.server.Add(l)
	}
	for _, l := range a.closed {
		d.server.Remove(l)
	}
}

// setLevel sets the level of the log, which stays at warnings where the daemon's own lines would be
// in the way.
func (d *Daemon) setLevel(c config.Log) error {
	if d.quiet {
		c = fromWarnings(c)
	}
	return setLevel(d.level, c)
}

// restarts names each setting that has changed and that only a restart puts into effect.
func restarts(old, now *config.Config) []string {
	var out []string
	for _, r := range config.NeedRestart(old, now) {
		out = append(out, r.Setting+" has changed, which takes effect only after a restart: "+r.Why)
	}
	return out
}
