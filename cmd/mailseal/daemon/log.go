package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"log/syslog"

	"mailseal/config"
	"mailseal/keys"
)

// newLog makes the logger that the configuration asks for.
func newLog(c config.Log, stderr io.Writer) (*slog.Logger, error) {
	o := &slog.HandlerOptions{}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	o.Level, o.ReplaceAttr = level, masked
	if c.Syslog == "" {
		return slog.New(newHandler(c.Format, stderr, o)), nil
	}
	h, err := newSyslog(c, o, stderr)
	if err != nil {
		return nil, fmt.Errorf("log.syslog: %w", err)
	}
	return slog.New(h), nil
}

// masked hides what is secret in web addresses, whoever has put them into a message or an error.
func masked(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindString:
		if clean := keys.Mask(v.String()); clean != v.String() {
			a.Value = slog.StringValue(clean)
		}
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			a.Value = slog.StringValue(keys.Mask(err.Error()))
		}
	}
	return a
}

func newHandler(format string, w io.Writer, o *slog.HandlerOptions) slog.Handler {
	if format == "json" {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}

// facilities are those of syslog(3) that suit a mail filter.
var facilities = map[string]syslog.Priority{
	"mail": syslog.LOG_MAIL, "daemon": syslog.LOG_DAEMON, "user": syslog.LOG_USER,
	"local0": syslog.LOG_LOCAL0, "local1": syslog.LOG_LOCAL1, "local2": syslog.LOG_LOCAL2, "local3": syslog.LOG_LOCAL3,
	"local4": syslog.LOG_LOCAL4, "local5": syslog.LOG_LOCAL5, "local6": syslog.LOG_LOCAL6, "local7": syslog.LOG_LOCAL7,
}

// severity parts slog's levels among handlers, each of which writes with one severity of syslog.
type severity struct{ debug, info, warn, err slog.Handler }

// newSyslog logs to the syslog of this host, which need not be there. Times are left to it.
func newSyslog(c config.Log, o *slog.HandlerOptions, stderr io.Writer) (slog.Handler, error) {
	facility, known := facilities[c.Syslog]
	if !known {
		return nil, fmt.Errorf("no facility %q", c.Syslog)
	}
	o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return masked(groups, a)
	}
	lost := &loss{stderr: stderr}
	to := func(p syslog.Priority) slog.Handler {
		return newHandler(c.Format, newSyslogWriter(facility|p, lost), o)
	}
	return severity{to(syslog.LOG_DEBUG), to(syslog.LOG_INFO), to(syslog.LOG_WARNING), to(syslog.LOG_ERR)}, nil
}

func (s severity) of(l slog.Level) slog.Handler {
	switch {
	case l < slog.LevelInfo:
		return s.debug
	case l < slog.LevelWarn:
		return s.info
	case l < slog.LevelError:
		return s.warn
	}
	return s.err
}

// Enabled implements slog.Handler.
func (s severity) Enabled(ctx context.Context, l slog.Level) bool { return s.of(l).Enabled(ctx, l) }

// Handle implements slog.Handler.
func (s severity) Handle(ctx context.Context, r slog.Record) error {
	return s.of(r.Level).Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (s severity) WithAttrs(a []slog.Attr) slog.Handler {
	return severity{s.debug.WithAttrs(a), s.info.WithAttrs(a), s.warn.WithAttrs(a), s.err.WithAttrs(a)}
}

// WithGroup implements slog.Handler.
func (s severity) WithGroup(name string) slog.Handler {
	return severity{s.debug.WithGroup(name), s.info.WithGroup(name), s.warn.WithGroup(name), s.err.WithGroup(name)}
}
