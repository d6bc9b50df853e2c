// Package daemon runs what "mailseal serve" and "mailseal shadow" do. It builds the parts of a configuration, opens the
// sockets, counts, runs the jobs that come round on a timer, and puts a changed configuration in force. It returns errors
// and knows no exit code.
package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/config"
	"mailseal/keys/openssl"
	"mailseal/milter"
	"mailseal/milter/dns"
	"mailseal/milter/rotation"
)

// Options are what a daemon has from its command line.
type Options struct {
	// Load reads the configuration as it is now. Reload calls it.
	Load    func() (*config.Config, error)
	Stderr  io.Writer // of the log, unless the configuration names a syslog
	Version string    // of the program, for the metrics
}

// Daemon is what outlives a reload, and what the last one built.
type Daemon struct {
	load      func() (*config.Config, error)
	log       *slog.Logger
	metrics   *metrics
	health    *health
	resolver  dns.Resolver
	server    *milter.Server
	listeners []*milter.Listener
	watcher   *rotation.Watcher
	jobs      *jobs.Runner

	reloading sync.Mutex
	parts     atomic.Pointer[assembly.Parts]
}

// Build makes a daemon of a configuration and opens its sockets. All that is wrong is in the error.
func Build(ctx context.Context, cfg *config.Config, o Options) (*Daemon, error) {
	log, err := newLog(cfg.Log, o.Stderr)
	if err != nil {
		return nil, err
	}
	sayBackend(log)
	d := unstarted(o, log)
	if err := d.start(ctx, cfg); err != nil {
		return nil, err
	}
	if err := d.showMetrics(ctx, cfg); err != nil {
		return nil, err
	}
	for _, name := range unserved(cfg, os.Getenv) {
		log.Warn("systemd hands over a socket that no listen.address names, so MTAs would wait there in vain: add address = \"fd:"+name+"\", or disable the socket unit", "socket", name)
	}
	if d.listeners, err = listen(ctx, cfg); err != nil {
		return nil, err
	}
	for _, w := range cfg.Warnings {
		log.Warn(w.Error())
	}
	d.warnOfName(cfg)
	d.jobs = jobs.New(log, d.keysJob(), d.firstKeysJob())
	return d, nil
}

// sayBackend logs what makes RSA signatures, where this build leaves a choice.
func sayBackend(log *slog.Logger) {
	name, err := openssl.Backend()
	switch {
	case err == nil:
		log.Info("RSA signatures are made by " + name)
	case !errors.Is(err, openssl.ErrNotBuilt):
		log.Warn("RSA signatures are made by Go, at two to four times the processor time: OpenSSL cannot be loaded", "error", err)
	}
}

// unstarted returns a daemon that has yet to read its configuration.
func unstarted(o Options, log *slog.Logger) *Daemon {
	slog.SetDefault(log) // go-milter writes to the default logger
	return &Daemon{load: o.Load, log: log, metrics: newMetrics(o.Version), health: &health{}}
}

// start makes the parts that a configuration asks for. With an error nothing has happened, and it may be tried again.
func (d *Daemon) start(ctx context.Context, cfg *config.Config) error {
	client, gate, err := assembly.NewResolver(cfg)
	if err != nil {
		return err
	}
	p, err := assembly.New(ctx, cfg, gate, nil, d.metrics, d.log)
	if err == nil {
		err = p.AnyKey(ctx)
	}
	if err != nil {
		p.CloseSources(&assembly.Parts{}, 0, d.log)
		return err
	}
	_ = p.ExamineSources(ctx, nil, d.log) // errors are for reloads
	d.resolver = gate
	d.parts.Store(p)
	d.metrics.watchDNS(client, gate)
	d.metrics.sources.sources.Store(&p.Sources)
	d.server = buildServer(p, d.log, d.metrics)
	d.watcher = rotation.NewWatcher(d.log, d.metrics)
	return nil
}

// showMetrics serves the counters where the configuration wants them.
func (d *Daemon) showMetrics(ctx context.Context, cfg *config.Config) error {
	if cfg.Metrics.Address == "" {
		return nil
	}
	_, err := serveMetrics(ctx, cfg.Metrics.Address, metricsHandler(d.metrics, d.health, cfg.Metrics.Pprof), d.log)
	return err
}

// headroom is memory that is never touched, so that it is not resident, but counts for Go's garbage collector, which
// otherwise sweeps a heap of 4 MB every twenty messages: a fifth of what verifying a small message costs. So much more
// garbage may lie about; a larger GOGC would let it grow with the number of connections and keys.
const headroom = 16 << 20

// Run serves MTAs until ctx ends and the daemon has drained. It reloads at SIGHUP and SIGUSR1, and tells systemd how it
// stands. Ready, when not nil, is called once MTAs may come.
func (d *Daemon) Run(ctx context.Context, ready func()) error {
	run := &running{
		log:     d.log,
		health:  d.health,
		metrics: d.metrics,
		abandon: d.server.Close,
		reload:  func() error { return d.Reload(ctx) },
	}
	drained := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() { run.attend(ctx, drained) })
	others.Go(func() { d.jobs.Run(ctx) })
	go d.parts.Load().ExamineKeys(ctx, d.log)
	if ready != nil {
		ready()
	}
	untouched := make([]byte, headroom)
	err := d.server.Serve(ctx, d.listeners...)
	runtime.KeepAlive(untouched)
	close(drained)
	others.Wait()
	return err
}

// Reload puts the configuration and the keys in force as they are now. With an error all stays as it is.
func (d *Daemon) Reload(ctx context.Context) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	cfg, err := d.load()
	if err != nil {
		return err
	}
	old := d.parts.Load()
	p, err := assembly.New(ctx, cfg, d.resolver, old, d.metrics, d.log)
	if err == nil {
		err = errors.Join(p.AnyKey(ctx), p.ExamineSources(ctx, old, d.log))
	}
	if err != nil {
		p.CloseSources(old, 0, d.log)
		return err
	}
	for _, what := range needRestart(old.Config, cfg) {
		d.log.Warn("changed, and in force only after a restart", "setting", what)
	}
	d.parts.Store(p)
	d.server.Reload(p.Settings)
	d.metrics.sources.sources.Store(&p.Sources)
	if d.jobs != nil {
		d.jobs.Reloaded()
	}
	old.CloseSources(p, 2*old.Config.Limits.MessageDeadline, d.log)
	go p.ExamineKeys(ctx, d.log)
	return nil
}

// warnOfName reports that the fields with our results may carry a name that any host could have.
func (d *Daemon) warnOfName(cfg *config.Config) {
	if cfg.AuthservID != "" || cfg.Host.Full != "" {
		return
	}
	d.log.Error("the full name of this host is not known: where the MTA's own name is not a full one, results are written under a name that can be forged; "+
		"write authserv_id = \"mx.example.com\" with this host's name", "name", cfg.ServerName())
}

// Jobs tells how each of the daemon's jobs stands.
func (d *Daemon) Jobs() []jobs.Status { return d.jobs.Status() }

// unserved lists the sockets that systemd hands over (sd_listen_fds(3)) and that no listener takes.
func unserved(cfg *config.Config, env func(string) string) []string {
	var out []string
	if env("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil
	}
	for i, name := range strings.Split(env("LISTEN_FDNAMES"), ":") {
		taken := func(l config.Listener) bool {
			return l.Network == "fd" && (l.Target == name || l.Target == strconv.Itoa(3+i))
		}
		if name != "" && !slices.ContainsFunc(cfg.Listen, taken) {
			out = append(out, name)
		}
	}
	return out
}
