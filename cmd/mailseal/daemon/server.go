package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/milter"
	"mailseal/milter/guard"
)

// buildServer makes the server that runs with some parts first.
func buildServer(p *assembly.Parts, log *slog.Logger, metrics milter.Metrics) *milter.Server {
	l := p.Config.Limits
	return milter.New(milter.Options{
		Connections: l.Connections,
		Limits:      guard.Limits{Handshake: l.Handshake, InPacket: l.Packet, Idle: l.Idle, Write: l.Write},
		DrainSoft:   l.DrainSoft,
		DrainHard:   l.DrainHard,
		Log:         log,
		Metrics:     metrics,
	}, p.Settings)
}

// listen opens every listener of a configuration, or none.
func listen(ctx context.Context, cfg *config.Config) ([]*milter.Listener, error) {
	var open []*milter.Listener
	var errs []error
	for i, c := range cfg.Listen {
		l, err := milter.Listen(ctx, listenOptions(c))
		if err != nil {
			errs = append(errs, fmt.Errorf("listen[%d]: %w", i, err))
			continue
		}
		open = append(open, l)
	}
	if len(errs) > 0 {
		for _, l := range open {
			errs = append(errs, l.Close())
		}
		return nil, errors.Join(errs...)
	}
	return open, nil
}

// needRestart lists the settings that differ and that a reload does not touch.
func needRestart(old, now *config.Config) []string {
	var out []string
	for _, s := range []struct {
		name     string
		old, now any
	}{
		{"listen", listenAddresses(old), listenAddresses(now)},
		{"dns", old.DNS, now.DNS},
		{"limits", ofServer(old.Limits), ofServer(now.Limits)},
		{"log", old.Log, now.Log},
		{"metrics", old.Metrics, now.Metrics},
		{"control", old.Control, now.Control},
		{"state_directory", old.StateDirectory, now.StateDirectory},
		{"user", old.User, now.User},
	} {
		if !reflect.DeepEqual(s.old, s.now) {
			out = append(out, s.name)
		}
	}
	return out
}

func listenAddresses(cfg *config.Config) []milter.ListenOptions {
	var out []milter.ListenOptions
	for _, l := range cfg.Listen {
		out = append(out, listenOptions(l))
	}
	return out
}

func listenOptions(c config.Listener) milter.ListenOptions {
	return milter.ListenOptions{Address: c.Address, Role: c.Role, Mode: c.Mode, User: c.User, Group: c.Group}
}

// ofServer are the limits that a server keeps for all its life; a reload changes the others.
func ofServer(l config.Limits) config.Limits {
	l.HeaderSize, l.MessageDeadline = 0, 0
	return l
}
