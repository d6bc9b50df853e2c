package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"mailseal/cmd/mailseal/assembly"
)

// running is what signals and systemd have to do with a daemon at work.
type running struct {
	log     *slog.Logger
	health  *health
	metrics *metrics
	abandon func() // ends all connections at once

	// reload puts the present configuration into effect and returns its warnings, or leaves the old
	// one. With accept, domains may lose their signatures.
	reload func(accept bool) ([]string, error)

	reloading sync.Mutex // so that systemd hears of one after another
}

// attend tells systemd that the daemon is ready and looks after it until done is closed, which is
// after ctx ended and the daemon has drained: SIGHUP and SIGUSR1 reload, and a second SIGTERM or
// SIGINT ends the draining.
func (r *running) attend(ctx context.Context, done <-chan struct{}) {
	stops, reloads := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(stops, syscall.SIGTERM, os.Interrupt)
	signal.Notify(reloads, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(stops)
	defer signal.Stop(reloads)
	beats, stop := watchdog()
	defer stop()
	r.health.set(healthy)
	r.notify(sd.SdNotifyReady)
	go r.reloads(ctx, reloads)
	leave := ctx.Done()
	for isSecond := false; ; {
		select {
		case <-leave:
			leave = nil
			r.health.set(leaving)
			r.notify(sd.SdNotifyStopping)
		case <-beats:
			r.notify(sd.SdNotifyWatchdog)
		case <-stops: // the first has ended ctx, too
			if isSecond {
				r.log.Warn("second signal to stop: all connections are closed")
				r.abandon()
			}
			isSecond = true
		case <-done:
			// nothing was left to drain, so that the end came together with the word to leave
			if leave != nil {
				r.notify(sd.SdNotifyStopping)
			}
			return
		}
	}
}

// reloads reloads at each signal until ctx ends. It has a goroutine to itself, since systemd would
// take a daemon for hung that reads ten thousand keys. Signals that come meanwhile are one.
func (r *running) reloads(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			_, _ = r.reloadNow(false) // both are logged
		}
	}
}

// reloadNow reloads, logs, counts, and tells systemd.
func (r *running) reloadNow(accept bool) (warnings []string, err error) {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	r.notify(sd.SdNotifyReloading + "\n" + monotonic())
	err = assembly.Survive(func() (err error) {
		warnings, err = r.reload(accept)
		return err
	})
	r.metrics.Reloaded(err)
	switch {
	case errors.Is(err, ErrRefused):
		r.log.Error("not reloaded: the old configuration stays in effect", "error", err)
		r.notify(sd.SdNotifyReady + "\nSTATUS=Running with an old configuration: with the new " +
			"one, domains would lose their signatures.")
	case err != nil:
		r.log.Error("not reloaded: the old configuration stays in effect", "error", err)
		r.notify(sd.SdNotifyReady + "\nSTATUS=Running with an old configuration: the new one has mistakes.")
	default:
		r.log.Info("reloaded")
		r.notify(sd.SdNotifyReady + "\nSTATUS=")
	}
	return warnings, err
}

// monotonic is the clock that systemd compares with its own before it believes a RELOADING=1.
func monotonic() string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return "MONOTONIC_USEC=0"
	}
	return fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000)
}

// notify tells systemd, if it is there.
func (r *running) notify(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		r.log.Warn("systemd cannot be notified", "state", state, "error", err)
	}
}

// watchdog beats twice in the time after which systemd takes the daemon for hung; never, if it does
// not watch.
func watchdog() (<-chan time.Time, func()) {
	interval, err := sd.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return nil, func() {}
	}
	t := time.NewTicker(interval / 2)
	return t.C, t.Stop
}
