package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"mailseal/config"
	"mailseal/milter"
)

func newServeCmd() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon in the foreground",
		Long: `Serve signs and judges mail for the MTAs that call. It stays in the foreground and logs to standard error.
SIGHUP and SIGUSR1 reload the configuration and the keys without touching a connection; a file with mistakes leaves the
old one in force. SIGTERM stops: no new connection, and those that are open may end their message.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), path, cmd.ErrOrStderr(), nil)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration file (default "+defaultConfig+")")
	return cmd
}

// serve runs the daemon until ctx ends. Ready, when not nil, is called once MTAs may come.
func serve(ctx context.Context, path string, stderr io.Writer, ready func(*config.Config, []*milter.Listener)) error {
	cfg, err := loadConfig(path)
	if err != nil {
		return err
	}
	log, err := newLog(cfg.Log, stderr)
	if err != nil {
		return exit(exitBad, err)
	}
	slog.SetDefault(log)
	resolver, err := buildResolver(cfg)
	if err != nil {
		return exit(exitBad, err)
	}
	p, err := build(ctx, cfg, resolver, nil, nil, log)
	if err != nil {
		return exit(exitBad, err)
	}
	listeners, err := listen(ctx, cfg)
	if err != nil {
		return exit(exitBad, err)
	}
	server := buildServer(p, log, nil)
	d := &daemon{path: path, log: log, parts: p, server: server}
	go d.reloads(ctx)
	go p.examineKeys(ctx, log)
	if ready != nil {
		ready(cfg, listeners)
	}
	return server.Serve(ctx, listeners...)
}

// daemon is what a reload needs to know.
type daemon struct {
	path   string
	log    *slog.Logger
	parts  *parts
	server *milter.Server
}

// reloads reads the configuration again for each signal.
func (d *daemon) reloads(ctx context.Context) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(signals)
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			d.reload(ctx)
		}
	}
}

// reload puts the configuration in force as it is now, or says why not.
func (d *daemon) reload(ctx context.Context) {
	cfg, err := config.Load(orDefault(d.path))
	if err == nil {
		var p *parts
		if p, err = build(ctx, cfg, d.parts.resolver, d.parts, nil, d.log); err == nil {
			d.parts = p
			d.server.Reload(p.settings)
			go p.examineKeys(ctx, d.log)
			d.log.Info("reloaded", "config", orDefault(d.path))
			return
		}
	}
	d.log.Error("not reloaded, the old configuration stays in force", "error", err)
}

func orDefault(path string) string {
	if path == "" {
		return defaultConfig
	}
	return path
}

// newLog makes the logger that the configuration asks for.
func newLog(c config.Log, stderr io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, err
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(stderr, o)), nil
	}
	return slog.New(slog.NewTextHandler(stderr, o)), nil
}
