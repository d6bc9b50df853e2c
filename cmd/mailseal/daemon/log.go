package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"log/syslog"
	"time"

	"mailseal/config"
	"mailseal/keys"
)

// newLog makes the logger that the configuration asks for. The level is what a reload changes.
func newLog(c config.Log, level *slog.LevelVar, stderr io.Writer) (*slog.Logger, error) {
	if err := setLevel(level, c); err != nil {
		return nil, err
	}
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: masked}
	if c.Syslog == "" {
		return slog.New(newHandler(c.Format, stderr, o)), nil
	}
	h, err := newSyslog(c, o, stderr)
	if err != nil {
		return nil, fmt.Errorf("log.syslog: %w", err)
	}
	return slog.New(h), nil
}

// masked hides what is secret in web addresses, wherever a message or an error got them from.
func masked(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindString:
		if clean := keys.Mask(v.String()); clean != v.String() {
			a.Value = slog.StringValue(clean)
		}
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			a.Value = slog.StringValue(keys.Plain(keys.Mask(err.Error())))
		}
	}
	return a
}

// setLevel sets the level that a configuration asks for.
func setLevel(level *slog.LevelVar, c config.Log) error {
	var l slog.Level
	if err := l.UnmarshalText([]byte(c.Level)); err != nil {
		return fmt.Errorf("log.level: %w", err)
	}
	level.Set(l)
	return nil
}

func newHandler(format string, w io.Writer, o *slog.HandlerOptions) slog.Handler {
	if format != "json" {
		return slog.NewTextHandler(w, withoutFacts(o))
	}
	inMilliseconds := slog.HandlerOptions{ReplaceAttr: milliseconds}
	if o != nil {
		inMilliseconds.Level = o.Level
		if replace := o.ReplaceAttr; replace != nil {
			inMilliseconds.ReplaceAttr = func(groups []string,
				a slog.Attr) slog.Attr {
				return milliseconds(groups, replace(groups, a))
			}
		}
	}
	return slog.NewJSONHandler(w, &inMilliseconds)
}

// withoutFacts leaves out what "mailseal policy replay" reads of a message: in JSON alone it is
// more than a long line.
func withoutFacts(o *slog.HandlerOptions) *slog.HandlerOptions {
	var out slog.HandlerOptions
	if o != nil {
		out = *o
	}
	replace := out.ReplaceAttr
	out.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == "facts" && len(groups) == 0 {
			return slog.Attr{}
		}
		if replace == nil {
			return a
		}
		return replace(groups, a)
	}
	return &out
}

// milliseconds writes times such as took as a number of milliseconds under a name that says so,
// took_ms: JSON has no type for them, and slog's nanoseconds read like nothing else that Mailseal
// prints.
func milliseconds(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindDuration {
		return a
	}
	return slog.Float64(a.Key+"_ms", float64(a.Value.Duration())/float64(time.Millisecond))
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
	return severity{to(syslog.LOG_DEBUG), to(syslog.LOG_INFO), to(syslog.LOG_WARNING),
		to(syslog.LOG_ERR)}, nil
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
	return severity{s.debug.WithAttrs(a), s.info.WithAttrs(a), s.warn.WithAttrs(a),
		s.err.WithAttrs(a)}
}

// WithGroup implements slog.Handler.
func (s severity) WithGroup(name string) slog.Handler {
	return severity{s.debug.WithGroup(name), s.info.WithGroup(name), s.warn.WithGroup(name),
		s.err.WithGroup(name)}
}
