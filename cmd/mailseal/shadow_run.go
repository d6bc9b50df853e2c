package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/shadow"
)

// observer is a daemon that judges what a proxy shows it.
type observer struct {
	*daemon
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

// run serves until ctx ends. Ready, when not nil, is called once MTAs may come.
func (f *shadowFlags) run(ctx context.Context, stdout, stderr io.Writer, ready func()) error {
	upstream, err := f.dialer()
	if err != nil {
		return exit(exitUsage, err)
	}
	at, err := f.options()
	if err != nil {
		return exit(exitUsage, err)
	}
	out := &logFile{path: f.log, w: stdout}
	defer out.Close()
	logErr := out.reopen()
	l, err := milter.Listen(ctx, at)
	if err != nil {
		return exit(exitBad, err)
	}
	o := f.observer(ctx, at.Role, out, upstream, stderr)
	if logErr != nil {
		o.log.Error("the log cannot be opened, its lines go to standard output until a reload", "error", logErr)
	}
	for _, w := range l.Warnings {
		o.log.Warn(w)
	}
	if ready != nil {
		ready()
	}
	return f.serve(ctx, o, l)
}

// observer makes what judges. A configuration that cannot be used is no reason to keep mail waiting: it is told, and
// nothing is judged until a reload.
func (f *shadowFlags) observer(ctx context.Context, role action.Role, out *logFile, upstream shadow.Dial, stderr io.Writer) *observer {
	cfg, cfgErr := loadConfig(f.config)
	if cfgErr != nil {
		cfg = &config.Config{Log: config.Log{Level: "warn", Format: "text"}}
	}
	log, err := newLog(fromWarnings(cfg.Log), stderr)
	if err != nil { // such as no syslog
		log = slog.New(newHandler("text", stderr, nil))
		log.Error("trouble is told on standard error", "error", err)
	}
	o := &observer{daemon: unstarted(f.config, log), role: role, pipe: shadow.NewPipe(), out: out}
	o.ctx, o.stop = context.WithCancel(context.WithoutCancel(ctx)) // what has come is still judged after the word to stop
	if cfgErr == nil {
		cfgErr = assembly.Survive(func() error { return o.begin(cfg) })
	}
	if cfgErr != nil {
		log.Error("nothing is judged until a reload finds a configuration that can be used; mail goes on", "error", cfgErr)
	}
	o.recorder = shadow.NewRecorder(slog.New(newHandler(f.format(), out, nil)), log, f.ignore...)
	o.proxy = shadow.New(shadow.Options{
		Upstream: upstream, Judge: o.dial, Recorder: o.recorder, Log: log,
		DrainSoft: cfg.Limits.DrainSoft, DrainHard: cfg.Limits.DrainHard,
	})
	o.metrics.registry.MustRegister(shadowMetrics{o.recorder})
	return o
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
	if err := o.showMetrics(o.ctx, cfg); err != nil {
		o.log.Error("no metrics", "error", err)
	}
	go o.parts.ExamineKeys(o.ctx, o.log)
	o.served.Go(func() {
		if err := o.server.Serve(o.ctx, &milter.Listener{Listener: o.pipe, Role: o.role}); err != nil {
			o.log.Error("judging ended", "error", err)
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

// reload opens the log anew, as when it has been rotated, and puts the configuration in force as it is now.
func (o *observer) reload() error {
	if err := o.out.reopen(); err != nil {
		o.log.Error("the log cannot be opened anew, the old file stays", "error", err)
	}
	if o.isOpen.Load() {
		return o.daemon.reload(o.ctx)
	}
	cfg, err := loadConfig(o.path)
	if err != nil {
		return err
	}
	return o.begin(cfg)
}

// end ends judging, once no MTA is served any more.
func (o *observer) end() {
	o.stop()
	if o.isOpen.Load() {
		o.server.Close()
	}
	o.served.Wait()
}

// serve serves MTAs until ctx ends, and tells what was seen.
func (f *shadowFlags) serve(ctx context.Context, o *observer, l net.Listener) error {
	run := &running{log: o.log, health: o.health, metrics: o.metrics, abandon: o.proxy.Close, reload: o.reload}
	done, attended := make(chan struct{}), make(chan struct{})
	go func() {
		run.attend(ctx, done)
		close(attended)
	}()
	told := make(chan struct{})
	go func() {
		f.tell(ctx, o)
		close(told)
	}()
	err := o.proxy.Serve(ctx, l)
	o.end()
	<-told
	if stuck := o.recorder.Close(lastWords); stuck == nil {
		f.summarize(o)
	}
	close(done)
	<-attended
	return err
}

// lastWords is how long what waits for the log may take in the end.
const lastWords = 10 * time.Second

// tell writes the table from time to time, until ctx ends.
func (f *shadowFlags) tell(ctx context.Context, o *observer) {
	if f.summaryEvery <= 0 {
		return
	}
	t := time.NewTicker(f.summaryEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			f.summarize(o)
		case <-ctx.Done():
			return
		}
	}
}

func (f *shadowFlags) summarize(o *observer) {
	s := o.recorder.Summary()
	if f.json {
		slog.New(newHandler("json", o.out, nil)).Info("summary", "summary", s)
		return
	}
	_ = s.WriteTable(o.out) // as with the lines before it, there is nowhere else to complain
}

func (f *shadowFlags) format() string {
	if f.json {
		return "json"
	}
	return "text"
}
