// Package reporting implements "mailseal reports serve": a process beside the daemon, with
// a separate user that cannot read keys. It reads files from strangers, and its databases
// may fail without an effect on mail. It runs one or several roles.
package reporting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"mailseal/cmd/mailseal/control"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/config"
	"mailseal/keys/database"
	"mailseal/keys/files"
	"mailseal/milter/report/spool"
	"mailseal/milter/report/store"
)

// Process holds the state that roles share.
type Process struct {
	Config  *config.Config
	File    string // that Config was read from
	Log     *slog.Logger
	Now     func() time.Time
	Version string // of the program
	Host    string // what it is called among those that share a store; "": the name of this host

	opening sync.Mutex
	store   *store.Store
	leads   []*lead // that roles ask for

	folding  sync.Mutex
	lastFold time.Time // when all that was in the spool was taken
	folded   [spool.Partitions]folded
}

// Store opens the store, once for all roles.
func (p *Process) Store(ctx context.Context) (*store.Store, error) {
	p.opening.Lock()
	defer p.opening.Unlock()
	if p.store != nil {
		return p.store, nil
	}
	s, err := openStore(ctx, p.Config, p.host(), false)
	if err == nil {
		p.store = s
	}
	return s, err
}

// OpenStore opens the store that reports.store names, and creates it where it is missing.
func OpenStore(ctx context.Context, cfg *config.Config) (*store.Store, error) {
	return openStore(ctx, cfg, hostName(), false)
}

// openExisting opens the store that reports.store names, for a command that only makes sense with
// one: a store that is created because of a mistyped path would look like one without reports.
func openExisting(ctx context.Context, cfg *config.Config) (*store.Store, error) {
	return openStore(ctx, cfg, hostName(), true)
}

// isShared reports whether several hosts may use the store.
func isShared(cfg *config.Config) bool {
	return cfg.Reports.Store != "" && !strings.HasPrefix(cfg.Reports.Store, "sqlite:")
}

func openStore(ctx context.Context, cfg *config.Config, host string, existing bool) (*store.Store,
	error) {
	o := store.Options{Driver: database.Postgres, DSN: cfg.Reports.Store, Host: host}
	if path, ok := strings.CutPrefix(cfg.Reports.Store, "sqlite:"); ok {
		o = store.Options{Driver: database.SQLite, DSN: path}
	}
	o.Existing = existing
	s, err := store.Open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("reports.store: %w", err)
	}
	return s, nil
}

// Part is the work of a role in a process.
type Part struct {
	Jobs  []jobs.Job                      // work on a timer
	Serve func(ctx context.Context) error // until ctx ends; nil where there are jobs alone
}

// Role is a kind of work that the process may do.
type Role struct {
	Name  string
	Doc   string // for help: what it does, a clause
	Build func(ctx context.Context, p *Process) (Part, error)
	Idle  func(cfg *config.Config) string // why it has nothing to do; "": it has; nil: always
}

// Idle returns why none of some roles has anything to do, "" if one has.
func Idle(cfg *config.Config, roles []Role) string {
	var why []string
	for _, r := range roles {
		if r.Idle == nil || r.Idle(cfg) == "" {
			return ""
		}
		why = append(why, fmt.Sprintf("role %s: %s", r.Name, r.Idle(cfg)))
	}
	return strings.Join(why, "; ")
}

// unless returns a reason if a setting is not as a role needs it.
func unless(isSet func(*config.Config) bool, why string) func(*config.Config) string {
	return func(cfg *config.Config) string {
		if isSet(cfg) {
			return ""
		}
		return why
	}
}

// Names are the names of roles.
func Names(roles []Role) []string {
	var out []string
	for _, r := range roles {
		out = append(out, r.Name)
	}
	return out
}

// Select returns those of all roles that are named, or all for no names.
func Select(all []Role, names []string) ([]Role, error) {
	if len(names) == 0 {
		return all, nil
	}
	var out []Role
	for _, name := range names {
		i := slices.IndexFunc(all, func(r Role) bool { return r.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no role %q; the roles are %s", name,
				strings.Join(Names(all), ", "))
		}
		if !slices.ContainsFunc(out, func(r Role) bool { return r.Name == name }) {
			out = append(out, all[i])
		}
	}
	return out, nil
}

// Serve runs roles until ctx ends. Ready, when not nil, is called once the process answers at its
// control socket.
func (p *Process) Serve(ctx context.Context, roles []Role, ready func()) error {
	LimitMemory()
	if err := files.MakeOf(files.ReportsUser, p.Config.Reports.Directory, 0o750); err != nil {
		return fmt.Errorf("reports.directory: %w", err)
	}
	var list []jobs.Job
	var serving []func(context.Context) error
	for _, r := range roles {
		part, err := r.Build(ctx, p)
		if err != nil {
			return fmt.Errorf("role %s: %w", r.Name, err)
		}
		list = append(list, part.Jobs...)
		if part.Serve != nil {
			serving = append(serving, part.Serve)
		}
	}
	socket := ControlPath(p.Config, roles)
	l, err := control.Listen(ctx, socket)
	if err != nil {
		return err
	}
	runner := jobs.New(p.Log, list...)
	status := p.status(runner, Names(roles))
	server := &control.Server{Log: p.Log, Handle: status}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	run := func(f func(context.Context) error) {
		all.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	run(func(ctx context.Context) error { return server.Serve(ctx, l) })
	run(func(ctx context.Context) error { runner.Run(ctx); return nil })
	for _, f := range serving {
		run(f)
	}
	p.Log.Info("mailseal reports serve is ready", "roles", strings.Join(Names(roles), ","),
		"control", socket)
	_, _ = sd.SdNotify(false, sd.SdNotifyReady) // without systemd nothing is told
	if ready != nil {
		ready()
	}
	<-ctx.Done()
	all.Wait()
	for _, l := range p.leads {
		l.end()
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// ControlPath is where a process of these roles answers commands. Processes that share the roles
// among them share the directory, too.
func ControlPath(cfg *config.Config, roles []Role) string {
	name := config.ReportsControlName
	if len(roles) < len(Roles()) {
		name += "-" + strings.Join(Names(roles), "-")
	}
	return filepath.Join(cfg.Reports.Directory, name)
}

// status answers requests: how the process is.
func (p *Process) status(runner *jobs.Runner, roles []string) func(context.Context,
	control.Request) control.Answer {
	started := p.Now()
	return func(_ context.Context, r control.Request) control.Answer {
		if r.Command != control.Status {
			return control.Answer{Error: "mailseal reports serve answers only \"status\"; " +
				"restart it to read its configuration again"}
		}
		out := &control.Running{
			Version: p.Version, PID: os.Getpid(), Started: started, Config: p.File,
			ConfigSince: started, Listeners: roles, Leads: p.leading(), Spool: p.spoolState(),
		}
		for _, s := range runner.Status() {
			j := control.Job{Name: s.Name, Running: s.Running, Last: s.Last, Next: s.Next}
			if s.Err != nil {
				j.Error = s.Err.Error()
			}
			out.Jobs = append(out.Jobs, j)
		}
		return control.Answer{Running: out}
	}
}
