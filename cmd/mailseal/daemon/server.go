package daemon

import (
	"context"
	"errors"
	"log/slog"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/milter"
	"mailseal/milter/guard"
)

// buildServer makes the server that runs with some parts first.
func buildServer(p *assembly.Parts, log *slog.Logger, metrics milter.Metrics) *milter.Server {
	return milter.New(serverOptions(p.Config.Limits, log, metrics), p.Settings)
}

func serverOptions(l config.Limits, log *slog.Logger, metrics milter.Metrics) milter.Options {
	return milter.Options{
		Connections: l.Connections,
		Limits:      guard.Limits{Handshake: l.Handshake, InPacket: l.Packet, Idle: l.Idle, Write: l.Write},
		DrainSoft:   assembly.NegativeIfZero(l.DrainSoft),
		DrainHard:   assembly.NegativeIfZero(l.DrainHard),
		Log:         log,
		Metrics:     metrics,
	}
}

// listen opens every listener of a configuration, or none.
func listen(ctx context.Context, cfg *config.Config) ([]*milter.Listener, error) {
	var open []*milter.Listener
	var errs []error
	for i, c := range cfg.Listen {
		l, err := milter.Listen(ctx, listenOptions(c))
		if err != nil {
			errs = append(errs, cfg.Listen[i].Problem("address", err.Error()))
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

func listenOptions(c config.Listener) milter.ListenOptions {
	return milter.ListenOptions{Address: c.Address, Role: c.Role, Mode: c.Mode, User: c.User,
		Group: c.Group}
}
