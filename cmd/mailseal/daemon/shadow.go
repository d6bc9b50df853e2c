package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/config"
	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/shadow"
)

// ShadowOptions are the command line options of a daemon that runs beside an old milter.
type ShadowOptions struct {
	Options
	// where the MTA connects: inet:port@host, inet6:port@host, unix:/path, fd:name
	Listen       string
	Mode         fs.FileMode // of a unix socket
	Group        string      // of a unix socket
	Role         string      // whose mail comes in: auto, ours, relay, theirs
	Upstream     string      // the old milter: inet:port@host, inet6:port@host, unix:/path
	Log          string      // the file that lines go to; "" for Stdout
	Stdout       io.Writer
	JSON         bool          // lines are JSON objects
	Ignore       []string      // kinds of differences that are not logged
	SummaryEvery time.Duration // how often the table is written; 0 for at the end alone
}

// OptionError is an option of the command line that has no meaning.
type OptionError struct {
	Option string
	Err    error
}

func (e *OptionError) Error() string { return e.Option + ": " + e.Err.Error() }

func (e *OptionError) Unwrap() error { return e.Err }

// observer is a daemon that judges what a proxy shows it.
type observer struct {
	*Daemon
	options  ShadowOptions
	role     action.Role
	out      *logFile
	recorder *shadow.Recorder
	proxy    *shadow.Proxy

	pipe   *shadow.Pipe
	isOpen atomic.Bool     // there is a configuration, and the pipe is served
	ctx    context.Context // ends when nothing is to be judged any more
	stop   func()          // ends it
	served sync.WaitGroup
}

// Shadow relays between an MTA and its old milter until ctx ends. If ready is not nil, it
// is called once MTAs can connect. An unusable configuration does not cause an error: mail
// is relayed but not judged until a reload. An invalid option causes an OptionError.
func Shadow(ctx context.Context, s ShadowOptions, ready func()) error {
	upstream, err := s.dialer()
	if err != nil {
		return &OptionError{"upstream", err}
	}
	at, err := s.listen()
	if err != nil {
		return &OptionError{"role", err}
	}
	if err := s.checkLoop(); err != nil {
		return &OptionError{"upstream", err}
	}
	out := &logFile{path: s.Log, w: s.Stdout}
	defer out.Close()
	logErr := out.reopen()
	l, err := milter.Listen(ctx, at)
	if err != nil {
		return err
	}
	o := observe(ctx, s, at.Role, out, upstream)
	if logErr != nil {
		o.log.Error("the file of --log cannot be opened, so its lines go to standard output until a reload",
			"error", logErr)
	}
	for _, w := range l.Warnings {
		o.log.Warn(w)
	}
	if ready != nil {
		ready()
	}
	return o.serve(ctx, l)
}

// dialer returns what reaches the old milter.
func (s ShadowOptions) dialer() (shadow.Dial, error) {
	a, err := milter.ParseAddress(s.Upstream)
	if err != nil {
		return nil, err
	}
	if a.Network == "fd" {
		return nil, fmt.Errorf("%w: a socket of systemd can only be used to listen on",
			milter.ErrAddress)
	}
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, a.Network, a.Target)
	}, nil
}

var errLoop = errors.New("is the address of --listen, so shadow would connect to itself; give " +
	"the socket of the old milter")

// checkLoop reports an upstream that is the proxy itself, under whatever name.
func (s ShadowOptions) checkLoop() error {
	from, err1 := milter.ParseAddress(s.Listen)
	to, err2 := milter.ParseAddress(s.Upstream)
	if err1 != nil || err2 != nil {
		return nil // which Listen and dialer report
	}
	if from.Meets(to) {
		return errLoop
	}
	return nil
}

// listen returns where to listen, and whose all mail is that comes in.
func (s ShadowOptions) listen() (milter.ListenOptions, error) {
	o := milter.ListenOptions{Address: s.Listen, Mode: s.Mode, Group: s.Group}
	if err := o.Role.UnmarshalText([]byte(s.Role)); err != nil {
		return o, fmt.Errorf("no role %q; there are auto, ours, relay and theirs", s.Role)
	}
	return o, nil
}

// observe makes the judge of the mail. An unusable configuration must not delay mail: it is
// logged, and nothing is judged until a reload.
func observe(ctx context.Context, s ShadowOptions, role action.Role, out *logFile,
	upstream shadow.Dial) *observer {
	cfg, cfgErr := s.loadAsUser()
	if cfgErr != nil {
		cfg = &config.Config{Log: config.Log{Level: "warn", Format: "text"},
			Limits: config.Default().Limits}
	}
	level := &slog.LevelVar{}
	log, err := newLog(fromWarnings(cfg.Log), level, s.Stderr)
	if err != nil { // such as no syslog
		log = slog.New(newHandler("text", s.Stderr, nil))
		log.Error("syslog cannot be reached, so warnings and errors are logged to standard error",
			"error", err)
	}
	o := &observer{Daemon: unstarted(s.Options, log), options: s, role: role,
		pipe: shadow.NewPipe(), out: out}
	o.level, o.quiet, o.isShadow = level, true, true
	// what has come is still judged after the word to stop
	o.ctx, o.stop = context.WithCancel(context.WithoutCancel(ctx))
	if cfgErr == nil {
		cfgErr = assembly.Survive(func() error { return o.begin(cfg) })
	}
	if cfgErr != nil {
		log.Error("the configuration cannot be used, so nothing is judged until a reload with a usable one; mail is "+
			"not affected",
			"error", cfgErr)
	}
	o.recorder = shadow.NewRecorder(slog.New(newHandler(s.format(), out, nil)), log, s.Ignore...)
	o.proxy = shadow.New(shadow.Options{
		Upstream: upstream, Judge: o.dial, Recorder: o.recorder, Log: log,
		DrainSoft: assembly.NegativeIfZero(cfg.Limits.DrainSoft),
		DrainHard: assembly.NegativeIfZero(cfg.Limits.DrainHard),
	})
	o.metrics.registry.MustRegister(shadowMetrics{o.recorder})
	o.jobs = jobs.New(log, o.summaryJob(), o.metricsEndpoint.job("metrics"))
	return o
}

// loadAsUser reads the configuration, and again as its user where root has started us. The sockets
// are open by then.
func (s ShadowOptions) loadAsUser() (*config.Config, error) {
	cfg, err := s.Load()
	if err != nil || cfg.User == "" || os.Geteuid() != 0 {
		return cfg, err
	}
	if err := become(cfg.User); err != nil {
		return nil, fmt.Errorf("as user %q: %w", cfg.User, err)
	}
	return s.Load()
}

// fromWarnings leaves out the daemon's line per message: the comparison has one.
func fromWarnings(c config.Log) config.Log {
	if c.Level == "debug" || c.Level == "info" {
		c.Level = "warn"
	}
	return c
}

// begin judges by a configuration from now on.
func (o *observer) begin(cfg *config.Config) error {
	if err := o.start(o.ctx, cfg); err != nil {
		return err
	}
	o.showMetrics(o.ctx, cfg)
	go o.parts.Load().ExamineKeys(o.ctx, o.log)
	o.served.Go(func() {
		if err := o.server.Serve(o.ctx,
			&milter.Listener{Listener: o.pipe, Role: o.role}); err != nil {
			o.log.Error("Mailseal no longer judges mail, which is not affected: restart shadow",
				"error", err)
		}
	})
	o.isOpen.Store(true)
	return nil
}

var errNoConfiguration = errors.New("no configuration that can be used")

// dial is how the proxy reaches what judges.
func (o *observer) dial(ctx context.Context) (net.Conn, error) {
	if !o.isOpen.Load() {
		return nil, errNoConfiguration
	}
	return o.pipe.Dial(ctx)
}

// reload opens the log again, for log rotation, and puts the configuration into effect as it is
// now.
func (o *observer) reload(bool) ([]string, error) {
	if err := o.out.reopen(); err != nil {
		o.log.Error("the file of --log cannot be opened again; the old file is used", "error", err)
	}
	if o.isOpen.Load() {
		return o.Daemon.reload(o.ctx, true)
	}
	cfg, err := o.load()
	if err != nil {
		return nil, err
	}
	return nil, o.begin(cfg)
}

// end ends judging, once no MTA is served any more.
func (o *observer) end() {
	o.stop()
	if o.isOpen.Load() {
		o.server.Close()
	}
	o.served.Wait()
}

// serve serves MTAs until ctx ends, and writes what was seen.
func (o *observer) serve(ctx context.Context, l net.Listener) error {
	run := &running{log: o.log, health: o.health, metrics: o.metrics, abandon: o.proxy.Close,
		reload: o.reload}
	drained := make(chan struct{})
	var attending, working sync.WaitGroup
	attending.Go(func() { run.attend(ctx, drained) })
	working.Go(func() { o.jobs.Run(ctx) })
	err := o.proxy.Serve(ctx, l)
	o.end()
	working.Wait()
	if stuck := o.recorder.Close(lastWords); stuck == nil {
		o.summarize()
	}
	close(drained)
	attending.Wait()
	return err
}

// lastWords is how long what waits for the log may take in the end.
const lastWords = 10 * time.Second

// summaryJob writes the table from time to time.
func (o *observer) summaryJob() jobs.Job {
	return jobs.Job{
		Name:     "summary",
		Interval: func() time.Duration { return o.options.SummaryEvery },
		Do: func(context.Context) error {
			o.summarize()
			return nil
		},
	}
}

func (o *observer) summarize() {
	s := o.recorder.Summary()
	if o.options.JSON {
		slog.New(newHandler("json", o.out, nil)).Info("summary", "summary", s)
		return
	}
	_ = s.WriteTable(o.out) // as with the lines before it, there is nowhere else to complain
}

func (s ShadowOptions) format() string {
	if s.JSON {
		return "json"
	}
	return "text"
}
