package setup

import (
	"context"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/control"
	"mailseal/keys/files"
)

// startService enables and starts the unit, and sees that the daemon answers. Without it mail would
// wait.
func (r *run) startService(ready bool) error {
	if !ready || !r.Apply {
		return nil
	}
	running := r.status()
	switch {
	case running != nil && running.ConfigSince.After(modTime(r.Config)):
		return nil
	case running != nil:
		a, err := control.Ask(r.ctx, r.cfg.Control.Address,
			control.Request{Command: control.Reload})
		if err == nil && a.Error == "" {
			r.done("reloaded the daemon")
			return nil
		}
		if !r.result.Host.Systemd {
			r.fault("the daemon refuses the configuration: %s", a.Error)
			return nil
		}
	}
	if !r.result.Host.Systemd {
		r.fault("the daemon does not run; start it as user %s: mailseal serve --config %s",
			r.service.Name, files.Quote(r.Config))
		r.todo("then run mailseal setup --apply%s again", r.again())
		return nil
	}
	if err := r.enable(running != nil); err != nil {
		return answer.NewBad(err)
	}
	for wait := 50 * time.Millisecond; wait < 8*time.Second; wait *= 2 {
		if r.status() != nil {
			return nil
		}
		time.Sleep(wait)
	}
	r.fault("the daemon does not answer; see journalctl -u mailseal")
	return nil
}

// enable has systemd start the service now, or again where it runs, and at every start of the host.
func (r *run) enable(isRunning bool) error {
	if _, err := r.Run(r.ctx, "systemctl", "is-enabled", "--quiet",
		"mailseal.service"); err != nil {
		if _, err := r.Run(r.ctx, "systemctl", "enable", "mailseal.service"); err != nil {
			return err
		}
		if err := r.remember(applied{Unit: "mailseal.service"}); err != nil {
			return err
		}
	}
	verb := "start"
	if isRunning {
		verb = "restart"
	}
	if _, err := r.Run(r.ctx, "systemctl", verb, "mailseal.service"); err != nil {
		return err
	}
	r.done("enabled and started mailseal.service")
	return nil
}

// status is how the daemon is; nil when none answers.
func (r *run) status() *control.Running {
	ctx, cancel := context.WithTimeout(r.ctx, 5*time.Second)
	defer cancel()
	a, err := control.Ask(ctx, r.cfg.Control.Address, control.Request{Command: control.Status})
	if err != nil {
		return nil
	}
	return a.Running
}
