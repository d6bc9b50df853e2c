package main

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

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/milter"
	"mailseal/milter/dns"
)

func newServeCmd() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon in the foreground",
		Long: `Serve signs and judges mail for the MTAs that call. It stays in the foreground and logs to standard error.
SIGHUP and SIGUSR1 reload the configuration and the keys without touching a connection; a file with mistakes leaves the
old one in force. SIGTERM stops: no new connection, and those that are open may end their message; a second one ends
them at once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), path, cmd.ErrOrStderr(), nil)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration file (default "+defaultConfig+")")
	return cmd
}

// daemon is what outlives a reload, and what the last one built.
type daemon struct {
	path     string
	log      *slog.Logger
	metrics  *metrics
	health   *health
	resolver dns.Resolver
	parts    *assembly.Parts
	server   *milter.Server
	watcher  *watcher
}

// serve runs the daemon until ctx ends. Ready, when not nil, is called once MTAs may come.
func serve(ctx context.Context, path string, stderr io.Writer, ready func()) error {
	cfg, err := loadConfig(path)
	if err != nil {
		return err
	}
	d, listeners, err := newDaemon(ctx, path, cfg, stderr)
	if err != nil {
		return exit(exitBad, err)
	}
	for _, w := range cfg.Warnings {
		d.log.Warn(w.Error())
	}
	run := &running{log: d.log, health: d.health, metrics: d.metrics, abandon: d.server.Close, reload: func() error { return d.reload(ctx) }}
	done, attended := make(chan struct{}), make(chan struct{})
	go func() {
		run.attend(ctx, done)
		close(attended)
	}()
	go d.parts.ExamineKeys(ctx, d.log)
	go d.watcher.run(ctx)
	if ready != nil {
		ready()
	}
	rarely := make([]byte, headroom)
	err = d.server.Serve(ctx, listeners...)
	runtime.KeepAlive(rarely)
	close(done)
	<-attended
	return err
}

// headroom is memory that is never touched, so that it is not resident, but counts for Go's garbage collector, which
// otherwise sweeps a heap of 4 MB every twenty messages: a fifth of what verifying a small message costs. So much more
// garbage may lie about; a larger GOGC would let it grow with the number of connections and keys.
const headroom = 16 << 20

// newDaemon makes the parts of a daemon and opens its sockets.
func newDaemon(ctx context.Context, path string, cfg *config.Config, stderr io.Writer) (*daemon, []*milter.Listener, error) {
	log, err := newLog(cfg.Log, stderr)
	if err != nil {
		return nil, nil, err
	}
	d := unstarted(path, log)
	if err := d.start(ctx, cfg); err != nil {
		return nil, nil, err
	}
	if err := d.showMetrics(ctx, cfg); err != nil {
		return nil, nil, err
	}
	for _, name := range unserved(cfg, os.Getenv) {
		log.Warn("systemd hands over a socket that no listen.address names, so MTAs would wait there in vain: add address = \"fd:"+name+"\", or disable the socket unit", "socket", name)
	}
	listeners, err := listen(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	return d, listeners, nil
}

// unstarted returns a daemon that has yet to read its configuration.
func unstarted(path string, log *slog.Logger) *daemon {
	slog.SetDefault(log) // go-milter writes to the default logger
	return &daemon{path: path, log: log, metrics: newMetrics(), health: &health{}}
}

// start makes the parts that a configuration asks for. With an error nothing has happened, and it may be tried again.
func (d *daemon) start(ctx context.Context, cfg *config.Config) error {
	client, cache, err := assembly.NewResolver(cfg)
	if err != nil {
		return err
	}
	p, err := assembly.New(ctx, cfg, cache, nil, d.metrics, d.log)
	if err == nil {
		err = p.AnyKey(ctx)
	}
	if err != nil {
		p.CloseSources(&assembly.Parts{}, 0, d.log)
		return err
	}
	_ = p.ExamineSources(ctx, nil, d.log) // errors are for reloads
	d.resolver, d.parts = cache, p
	d.metrics.watchDNS(client, cache)
	d.metrics.sources.sources.Store(&p.Sources)
	d.server = buildServer(p, d.log, d.metrics)
	d.watcher = newWatcher(d.log, d.metrics, p)
	return nil
}

// showMetrics serves the counters where the configuration wants them.
func (d *daemon) showMetrics(ctx context.Context, cfg *config.Config) error {
	if cfg.Metrics.Address == "" {
		return nil
	}
	_, err := serveMetrics(ctx, cfg.Metrics.Address, metricsHandler(d.metrics, d.health, cfg.Metrics.Pprof), d.log)
	return err
}

// reload puts the configuration and the keys in force as they are now. With an error all stays as it is.
func (d *daemon) reload(ctx context.Context) error {
	cfg, err := config.Load(orDefault(d.path))
	if err != nil {
		return err
	}
	p, err := assembly.New(ctx, cfg, d.resolver, d.parts, d.metrics, d.log)
	if err == nil {
		err = errors.Join(p.AnyKey(ctx), p.ExamineSources(ctx, d.parts, d.log))
	}
	if err != nil {
		p.CloseSources(d.parts, 0, d.log)
		return err
	}
	for _, what := range needRestart(d.parts.Config, cfg) {
		d.log.Warn("changed, and in force only after a restart", "setting", what)
	}
	old := d.parts
	d.parts = p
	d.server.Reload(p.Settings)
	d.watcher.reloaded(p)
	d.metrics.sources.sources.Store(&p.Sources)
	old.CloseSources(p, 2*old.Config.Limits.MessageDeadline, d.log)
	go p.ExamineKeys(ctx, d.log)
	return nil
}

func orDefault(path string) string {
	if path == "" {
		return defaultConfig
	}
	return path
}

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
