// Package daemon implements "mailseal serve" and "mailseal shadow". It builds the parts of a
// configuration, opens the sockets, counts, runs the jobs on their timers, and reloads a changed
// configuration. It returns errors and does not know exit codes.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/control"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/cmd/mailseal/signed"
	"mailseal/config"
	"mailseal/keys/openssl"
	"mailseal/milter"
	"mailseal/milter/dns"
	"mailseal/milter/filter"
	"mailseal/milter/report/evidence"
	"mailseal/milter/report/spool"
	"mailseal/milter/rotation"
)

// Options are the options of a daemon from its command line.
type Options struct {
	// Load reads the configuration as it is now. Reload calls it.
	Load    func() (*config.Config, error)
	File    string    // that Load reads, for those who ask
	Stderr  io.Writer // of the log, unless the configuration names a syslog
	Version string    // of the program, for the metrics
}

// Daemon holds the state that outlives a reload, and the parts that the last reload built.
type Daemon struct {
	load      func() (*config.Config, error)
	file      string
	version   string
	started   time.Time
	log       *slog.Logger
	memory    *memory        // of log
	level     *slog.LevelVar // of log
	quiet     bool           // log warnings and errors alone
	isShadow  bool           // beside an old milter
	metrics   *metrics
	health    *health
	resolver  dns.Resolver
	server    *milter.Server
	listeners []*milter.Listener
	watcher   *rotation.Watcher
	jobs      *jobs.Runner
	signed    *signed.List // nil where mail is not really signed
	counters  filter.Counters
	lists     *filter.Lists    // addresses of mailing lists, for the same
	spool     *spool.Writer    // nil where nothing is collected for reports
	tests     *evidence.Writer // nil where tests have no pages

	metricsEndpoint, controlEndpoint *endpoint

	reloading sync.Mutex
	parts     atomic.Pointer[assembly.Parts]
	since     atomic.Pointer[time.Time] // when parts came in effect
}

// Build makes a daemon of a configuration and opens its sockets. All that is wrong is in the error.
func Build(ctx context.Context, cfg *config.Config, o Options) (*Daemon, error) {
	level := &slog.LevelVar{}
	log, err := newLog(cfg.Log, level, o.Stderr)
	if err != nil {
		return nil, err
	}
	sayBackend(log)
	d := unstarted(o, log)
	log, d.level = d.log, level
	d.signed = signed.New(nil)
	d.counters = noting{d.metrics, d.signed}
	d.controlEndpoint = &endpoint{log: log, what: "commands cannot reach the daemon"}
	if cfg, err = d.open(ctx, cfg); err != nil {
		return nil, err
	}
	if err := d.start(ctx, cfg); err != nil {
		d.closeListeners()
		return nil, err
	}
	if err := d.signed.Read(cfg.StateDirectory); err != nil {
		log.Error("signed.json, the list of domains that signed mail in the last 7 days, cannot "+
			"be read, so a reload cannot recognize which domains it would leave unsigned",
			"error", err)
	}
	d.warnOfName(cfg)
	d.warn(warnings(cfg))
	d.jobs = jobs.New(log, d.keysJob(), d.firstKeysJob(), d.signedJob(),
		d.metricsEndpoint.job("metrics"), d.controlEndpoint.job("control"))
	// not before all that it looks at is there
	d.metrics.registry.MustRegister(statusMetrics{d.status})
	return d, nil
}

// open opens the sockets, and becomes the configuration's user, as which it reads the configuration
// again.
func (d *Daemon) open(ctx context.Context, cfg *config.Config) (*config.Config, error) {
	var err error
	if d.listeners, err = listen(ctx, cfg); err != nil {
		return nil, err
	}
	d.showMetrics(ctx, cfg)
	if cfg.User == "" || os.Geteuid() != 0 {
		return cfg, nil
	}
	name := cfg.User
	if err := become(name); err != nil {
		d.closeListeners()
		return nil, cfg.Problem("user", err.Error())
	}
	if cfg, err = d.load(); err != nil {
		d.closeListeners()
		return nil, fmt.Errorf("as user %q: %w", name, err)
	}
	return cfg, nil
}

func (d *Daemon) closeListeners() {
	for _, l := range d.listeners {
		_ = l.Close() // there is another error to return
	}
}

// warn logs problems that do not prevent the daemon from running.
func (d *Daemon) warn(list []string) {
	for _, w := range list {
		d.log.Warn(w)
	}
}

// warnings are those that a start and a reload give of a configuration.
func warnings(cfg *config.Config) []string {
	var out []string
	for _, name := range unserved(cfg, os.Getenv) {
		out = append(out, fmt.Sprintf("systemd passed the socket %q, but no listen.address uses "+
			"it: MTAs that connect to it get no answer; "+
			"add address = \"fd:%s\", or disable the socket unit", name, name))
	}
	for _, w := range cfg.Warnings {
		out = append(out, w.Error())
	}
	if os.Geteuid() == 0 {
		out = append(out, "the daemon runs as root: name another user in the setting \"user\", or "+
			"start it as another user, so that a bug in it cannot affect the rest of the host")
	}
	return append(out, assembly.UnsafeSecrets(cfg)...)
}

// SigningBackend names what makes RSA signatures in this program; with an error, why it is not the
// host's OpenSSL.
func SigningBackend() (string, error) { return openssl.Backend() }

// sayBackend logs what makes RSA signatures, where this build leaves a choice.
func sayBackend(log *slog.Logger) {
	name, err := openssl.Backend()
	switch {
	case err == nil:
		log.Info("RSA signatures are made by " + name)
	case !errors.Is(err, openssl.ErrNotBuilt):
		log.Warn("OpenSSL cannot be loaded, so Go makes the RSA signatures, which takes two to "+
			"four times the processor time",
			"error", err)
	}
}

// unstarted returns a daemon that has yet to read its configuration.
func unstarted(o Options, log *slog.Logger) *Daemon {
	remembered := &memory{now: time.Now}
	log = withRecent(log, remembered)
	slog.SetDefault(log) // go-milter writes to the default logger
	d := &Daemon{
		load:    o.Load,
		file:    control.Absolute(o.File),
		version: o.Version,
		started: time.Now(),
		log:     log,
		memory:  remembered,
		metrics: newMetrics(o.Version),
		health:  &health{},
	}
	d.counters = d.metrics
	d.metricsEndpoint = &endpoint{log: log, what: "metrics are not served"}
	return d
}

// start makes the parts that a configuration asks for. With an error nothing has happened, and it
// may be tried again.
func (d *Daemon) start(ctx context.Context, cfg *config.Config) error {
	client, gate, err := assembly.NewResolver(cfg)
	if err != nil {
		return err
	}
	p, err := assembly.New(ctx, cfg, gate, nil, d.counters, d.log)
	d.remember(p)
	if err == nil {
		err = errors.Join(p.AnyKey(ctx), d.collect(cfg, p))
	}
	if err != nil {
		p.CloseSources(&assembly.Parts{}, 0, d.log)
		return err
	}
	_ = p.ExamineSources(ctx, nil, d.log) // errors are for reloads
	d.resolver = gate
	d.inForce(p)
	d.metrics.watchDNS(client, gate)
	d.metrics.sources.sources.Store(&p.Sources)
	d.server = buildServer(p, d.log, d.metrics)
	d.watcher = rotation.NewWatcher(d.log, d.metrics)
	return nil
}

// inForce has parts serve from now on.
func (d *Daemon) inForce(p *assembly.Parts) {
	now := time.Now()
	d.parts.Store(p)
	d.since.Store(&now)
}

// showMetrics serves the counters where the configuration wants them. Mail does not wait for that.
func (d *Daemon) showMetrics(ctx context.Context, cfg *config.Config) {
	if cfg.Metrics.Address == "" {
		return
	}
	d.metricsEndpoint.open = func(context.Context) error {
		_, err := serveMetrics(ctx, cfg.Metrics.Address,
			metricsHandler(d.metrics, d.health, cfg.Metrics.Pprof), d.log)
		return err
	}
	d.metricsEndpoint.try(ctx)
}

// Run serves MTAs until ctx ends and the daemon has drained. It reloads at SIGHUP and
// SIGUSR1, and reports its state to systemd. If ready is not nil, it is called once MTAs
// can connect.
func (d *Daemon) Run(ctx context.Context, ready func()) error {
	run := &running{
		log:     d.log,
		health:  d.health,
		metrics: d.metrics,
		abandon: d.server.Close,
		reload:  func(accept bool) ([]string, error) { return d.reload(ctx, accept) },
	}
	drained := make(chan struct{})
	for _, l := range d.listeners {
		d.server.Add(l) // before the first reload, which may add and remove some
	}
	var others sync.WaitGroup
	d.health.set(healthy) // before the first message: its sender may ask
	d.control(ctx, run, &others)
	others.Go(func() { run.attend(ctx, drained) })
	others.Go(func() { d.jobs.Run(ctx) })
	stopSpool := d.runSpool()
	go d.examine(ctx)
	if ready != nil {
		ready()
	}
	collectGarbage(os.Getenv("GOGC"))
	err := d.server.Serve(ctx)
	close(drained)
	stopSpool()
	others.Wait()
	if err := d.writeSigned(context.Background()); err != nil {
		d.log.Warn("signed.json, the list of domains that signed mail in the last 7 days, cannot "+
			"be written", "error", err)
	}
	return err
}

// examine looks at the keys of a daemon that has started, and at what it lost since the one before.
func (d *Daemon) examine(ctx context.Context) {
	p := d.parts.Load()
	d.compareStart(ctx, p)
	d.warn(p.ManagedWarnings())
	p.ExamineKeys(ctx, d.log)
}

// Reload reads the configuration and the keys again and puts them into effect, as far as no
// restart is required. With an error nothing changes.
func (d *Daemon) Reload(ctx context.Context) error {
	_, err := d.reload(ctx, false)
	return err
}

// reload is Reload that returns its warnings, which it logs, too. With accept it takes signatures
// from mail, if that is what the configuration comes to.
func (d *Daemon) reload(ctx context.Context, accept bool) ([]string, error) {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	cfg, err := d.load()
	if err != nil {
		return nil, err
	}
	old := d.parts.Load()
	ahead, err := d.prepare(ctx, cfg)
	if err != nil {
		return nil, err
	}
	p, err := assembly.New(ctx, cfg, ahead.resolver, old, d.counters, d.log)
	d.remember(p)
	if err == nil {
		err = errors.Join(p.AnyKey(ctx), p.ExamineSources(ctx, old, d.log), d.collect(cfg, p))
	}
	if err == nil && !accept {
		err = d.refuseKeyLoss(ctx, p)
	}
	var lost []string
	if err == nil {
		lost, err = d.judgeLoss(ctx, old, p, accept)
	}
	if err != nil {
		ahead.abandon()
		p.CloseSources(old, 0, d.log)
		return nil, err
	}
	said := slices.Concat(lost, assembly.Shrunk(old, p), warnings(cfg), restarts(old.Config, cfg),
		ahead.unopened, p.ManagedWarnings())
	d.warnOfName(cfg)
	d.warn(said)
	said = append(said, p.KeyWarnings(ctx)...) // ExamineKeys logs them
	d.inForce(p)
	d.server.Reload(p.Settings)
	d.takeOver(cfg, ahead)
	d.metrics.sources.sources.Store(&p.Sources)
	if d.jobs != nil {
		d.jobs.Reloaded()
	}
	old.CloseSources(p, 2*old.Config.Limits.MessageDeadline, d.log)
	p.ReopenSources(old)
	go p.ExamineKeys(ctx, d.log)
	return said, nil
}

// warnOfName reports that the fields with our results may carry a name that any host could have.
func (d *Daemon) warnOfName(cfg *config.Config) {
	if cfg.AuthservID != "" || cfg.Host.Full != "" {
		return
	}
	d.log.Error("the full name of this host is not known: if the MTA's own name is not a full one "+
		"either, results are written under a name that others can use as well; set authserv_id to "+
		"this host's name, such as \"mx.example.com\"", "name", cfg.ServerName())
}

// Jobs returns the status of each of the daemon's jobs.
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
