package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"mailseal/config"
	"mailseal/milter"
	"mailseal/milter/shadow"
)

// shadowFlags is the command line of "mailseal shadow".
type shadowFlags struct {
	config, listen, upstream, log string
	mode, group, role             string
	json                          bool
	summaryEvery                  time.Duration
}

func newShadowCmd() *cobra.Command {
	var f shadowFlags
	cmd := &cobra.Command{
		Use:   "shadow --listen ADDRESS --upstream ADDRESS",
		Short: "Stand before the old milter and log where Mailseal would differ",
		Long: `Shadow stands between the MTA and the milter that it has, such as OpenDKIM. The MTA gets what the old milter
answers; Mailseal sees the same messages, judges them by its own configuration, and nothing of that reaches the MTA. For
each message there is one line: "same"; or "differs", and in what: the verdict, recipients refused, who signed (d=, s= and
algorithm), the results of dkim, spf and dmarc, fields removed or changed; or "not judged", and why. Methods that the old
milter never reports are not compared.

The only thing that is asked of the MTA beyond what the old milter asked for is to see whole messages. When the old milter
lets a message pass before its body has come, only who signs it is compared (body_unseen). When it cannot be reached, the
MTA's connection is closed, and the MTA does what it does without a milter; the same when shadow ends.

The configuration is that of the daemon; its [[listen]] and [metrics] are left alone, and [log] is where trouble is told,
from warnings up. On SIGTERM or SIGINT connections may end their message, and a table of all differences is written.`,
		Example: `  mailseal shadow --listen inet:8892@127.0.0.1 --upstream inet:8891@127.0.0.1 --log /var/log/mailseal-shadow.log
  mailseal shadow --listen unix:/run/mailseal/shadow.sock --group postfix --upstream unix:/run/opendkim/opendkim.sock --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), nil)
		},
	}
	f.define(cmd)
	return cmd
}

func (f *shadowFlags) define(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	flags.StringVar(&f.listen, "listen", "", "where the MTA calls: inet:port@host, inet6:port@host, unix:/path, fd:name")
	flags.StringVar(&f.mode, "mode", "0660", "permissions of a unix socket")
	flags.StringVar(&f.group, "group", "", "group of a unix socket")
	flags.StringVar(&f.upstream, "upstream", "", "the old milter: inet:port@host, inet6:port@host, unix:/path")
	flags.StringVar(&f.role, "role", "auto", "whose mail it is: auto, ours, relay, theirs")
	flags.StringVar(&f.log, "log", "", "append to this file instead of writing to standard output")
	flags.BoolVar(&f.json, "json", false, "one JSON object per message and line")
	flags.DurationVar(&f.summaryEvery, "summary-every", 0, "write the table this often, too")
	_ = cmd.MarkFlagRequired("listen")
	_ = cmd.MarkFlagRequired("upstream")
}

// run serves until ctx ends. Ready, when not nil, is called once MTAs may come.
func (f *shadowFlags) run(ctx context.Context, stdout, stderr io.Writer, ready func()) error {
	upstream, err := f.dialer()
	if err != nil {
		return exit(exitUsage, err)
	}
	o, role, err := f.options()
	if err != nil {
		return exit(exitUsage, err)
	}
	cfg, err := loadConfig(f.config)
	if err != nil {
		return err
	}
	out, done, err := f.output(stdout)
	if err != nil {
		return exit(exitBad, err)
	}
	defer done()
	filter, err := newShadowFilter(ctx, cfg, role, stderr)
	if err != nil {
		return exit(exitBad, err)
	}
	defer filter.stop()
	l, err := milter.Listen(ctx, o)
	if err != nil {
		return exit(exitBad, err)
	}
	for _, w := range l.Warnings {
		filter.log.Warn(w)
	}
	if ready != nil {
		ready()
	}
	return f.compare(ctx, l, upstream, filter, out)
}

// compare serves MTAs until ctx ends, and tells what was seen.
func (f *shadowFlags) compare(ctx context.Context, l net.Listener, upstream shadow.Dial, filter *shadowFilter, out io.Writer) error {
	log := slog.New(newHandler(f.format(), out, nil))
	recorder := shadow.NewRecorder(log)
	proxy := shadow.New(shadow.Options{Upstream: upstream, Judge: filter.pipe.Dial, Recorder: recorder, Log: filter.log})
	ended := make(chan struct{})
	var told sync.WaitGroup
	told.Go(func() { f.tell(ended, recorder, log, out) })
	err := proxy.Serve(ctx, l)
	close(ended)
	told.Wait()
	recorder.Close()
	f.summarize(recorder.Summary(), log, out)
	return err
}

// tell writes the table from time to time.
func (f *shadowFlags) tell(ended <-chan struct{}, r *shadow.Recorder, log *slog.Logger, out io.Writer) {
	if f.summaryEvery <= 0 {
		return
	}
	t := time.NewTicker(f.summaryEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			f.summarize(r.Summary(), log, out)
		case <-ended:
			return
		}
	}
}

func (f *shadowFlags) summarize(s shadow.Summary, log *slog.Logger, out io.Writer) {
	if f.json {
		log.Info("summary", "summary", s)
		return
	}
	_ = s.WriteTable(out) // as with the lines before it, there is nowhere else to complain
}

func (f *shadowFlags) format() string {
	if f.json {
		return "json"
	}
	return "text"
}

// output opens where the lines go. Lines and tables come from two goroutines.
func (f *shadowFlags) output(stdout io.Writer) (out io.Writer, done func(), err error) {
	if f.log == "" {
		return &lockedWriter{w: stdout}, func() {}, nil
	}
	file, err := os.OpenFile(f.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, nil, err
	}
	return &lockedWriter{w: file}, func() { _ = file.Close() }, nil // every line has been written
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// dialer returns what reaches the old milter.
func (f *shadowFlags) dialer() (shadow.Dial, error) {
	a, err := milter.ParseAddress(f.upstream)
	if err != nil {
		return nil, fmt.Errorf("--upstream: %w", err)
	}
	if a.Network == "fd" {
		return nil, fmt.Errorf("--upstream: %w: a socket of systemd is one to listen on", milter.ErrAddress)
	}
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, a.Network, a.Target)
	}, nil
}

// options returns where to listen, and the role of all mail that comes in.
func (f *shadowFlags) options() (o milter.ListenOptions, role milter.Role, err error) {
	mode, err := strconv.ParseUint(f.mode, 8, 9)
	if err != nil {
		return o, role, fmt.Errorf("--mode: %q is no octal number of permissions", f.mode)
	}
	switch r := config.Role(f.role); r {
	case config.RoleAuto:
		role = milter.Auto
	case config.RoleOurs, config.RoleRelay, config.RoleTheirs:
		role = milter.Role(r)
	default:
		return o, role, fmt.Errorf("--role: no role %q; there are auto, ours, relay and theirs", f.role)
	}
	return milter.ListenOptions{Address: f.listen, Mode: fs.FileMode(mode), Group: f.group}, role, nil
}

// shadowFilter is the daemon, reached within the process.
type shadowFilter struct {
	pipe *shadow.Pipe
	log  *slog.Logger
	stop func()
}

// newShadowFilter builds the daemon's parts and serves them. Its line per message is left out: the comparison has one.
func newShadowFilter(ctx context.Context, cfg *config.Config, role milter.Role, stderr io.Writer) (*shadowFilter, error) {
	quiet := cfg.Log
	if quiet.Level == "debug" || quiet.Level == "info" {
		quiet.Level = "warn"
	}
	log, err := newLog(quiet, stderr)
	if err != nil {
		return nil, err
	}
	slog.SetDefault(log) // go-milter writes to the default logger
	_, resolver, err := buildResolver(cfg)
	if err != nil {
		return nil, err
	}
	p, err := build(ctx, cfg, resolver, nil, nil, log)
	if err != nil {
		return nil, err
	}
	if err := p.anyKey(ctx); err != nil {
		return nil, err
	}
	go p.examineKeys(ctx, log)
	return serveShadow(ctx, buildServer(p, log, nil), role, log), nil
}

// serveShadow serves on a pipe until stop is called, whatever becomes of ctx: messages that have come are still judged.
func serveShadow(ctx context.Context, server *milter.Server, role milter.Role, log *slog.Logger) *shadowFilter {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &shadowFilter{pipe: shadow.NewPipe(), log: log}
	ended := make(chan error)
	go func() { ended <- server.Serve(ctx, &milter.Listener{Listener: f.pipe, Role: role}) }()
	f.stop = func() {
		cancel()
		server.Close()
		<-ended
	}
	return f
}
