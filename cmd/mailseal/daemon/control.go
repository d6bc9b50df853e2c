package daemon

import (
	"context"
	"slices"
	"strings"
	"sync"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/control"
	"mailseal/cmd/mailseal/signed"
)

// control answers commands until ctx ends. All is served by goroutines of others.
func (d *Daemon) control(ctx context.Context, run *running, others *sync.WaitGroup) {
	server := &control.Server{Log: d.log,
		Handle: func(ctx context.Context, r control.Request) control.Answer {
			return d.answer(ctx, run, r)
		}}
	d.controlEndpoint.open = func(context.Context) error {
		l, err := control.Listen(ctx, d.parts.Load().Config.Control.Address)
		if err != nil {
			return err
		}
		others.Go(func() {
			defer d.controlEndpoint.closed()
			if err := server.Serve(ctx, l); err != nil {
				d.log.Warn("the control socket is closed, so commands cannot reach the daemon; "+
					"it is opened again within a minute", "error", err)
			}
		})
		return nil
	}
	d.controlEndpoint.try(ctx)
}

// answer does what a command asks for.
func (d *Daemon) answer(ctx context.Context, run *running, r control.Request) control.Answer {
	switch r.Command {
	case control.Reload:
		if r.Config != "" && d.file != "" && !control.IsSameFile(r.Config, d.file) {
			return control.Answer{Error: control.OtherConfig(d.file, r.Config).Error()}
		}
		warnings, err := run.reloadNow(r.Accept)
		a := control.Answer{Warnings: warnings}
		if err != nil {
			a.Error = err.Error()
		}
		return a
	case control.Status:
		return control.Answer{Running: d.status()}
	case control.Test:
		return control.Answer{Recipient: d.server.Expect()}
	case control.Signed:
		return control.Answer{Page: d.signedPage(ctx, r.After)}
	}
	return control.Answer{Error: "no such command"}
}

// pageSize is how many names an answer has: less than half of what fits.
const pageSize = 1000

// signedPage lists domains that signed mail lately and that the configuration in effect covers.
func (d *Daemon) signedPage(ctx context.Context, after string) *control.Page {
	covers := covering(ctx, assembly.NewCoverages(d.parts.Load(), nil))
	out := &control.Page{}
	names := d.signed.Recent()
	from, _ := slices.BinarySearchFunc(names, after, func(n signed.Name, name string) int {
		return strings.Compare(n.Name, name)
	})
	for _, n := range names[from:] {
		switch {
		case n.Name == after || !covers(n):
		case len(out.Names) == pageSize:
			out.More = true
			return out
		default:
			out.Names = append(out.Names, control.Name{Name: n.Name, Author: n.Author,
				Signer: n.Signer})
		}
	}
	return out
}
