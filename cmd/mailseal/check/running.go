package check

import (
	"context"
	"errors"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/control"
	"mailseal/cmd/mailseal/signed"
)

// againstRunning compares the domains that signed mail lately with what the configuration would
// sign.
func (c *checker) againstRunning(ctx context.Context) {
	names, err := c.signedLately(ctx)
	if err != nil {
		c.report(finding(RunningUnknown, place{file: c.File}, err.Error()))
		return
	}
	covers := assembly.NewCoverages(c.parts, nil)
	loss := signed.Compare(names, func(n signed.Name) bool {
		return n.Author && covers.Author(ctx, n.Name) == assembly.Uncovered ||
			n.Signer && !covers.Signer(ctx, n.Name)
	})
	switch {
	case len(loss.Names) == 0:
	case loss.TooMuch(c.cfg.Reload.MaxLoss):
		c.report(finding(RunningRefused, place{file: c.File}, loss))
	default:
		c.report(finding(RunningLoss, place{file: c.File}, loss))
	}
}

// signedLately asks the daemon or, where none runs, reads the list that the last one wrote.
func (c *checker) signedLately(ctx context.Context) ([]signed.Name, error) {
	names, err := askSigned(ctx, c.cfg.Control.Address)
	if !errors.Is(err, control.ErrAway) {
		return names, err
	}
	list := signed.New(nil)
	readErr := list.Read(c.cfg.StateDirectory)
	if names := list.Recent(); len(names) > 0 {
		return names, nil
	}
	return nil, errors.Join(err, readErr)
}

// askSigned gets the list from the daemon, page by page.
func askSigned(ctx context.Context, socket string) ([]signed.Name, error) {
	var out []signed.Name
	for after := ""; ; {
		a, err := control.Ask(ctx, socket, control.Request{Command: control.Signed, After: after})
		switch {
		case err != nil:
			return nil, err
		case a.Error != "":
			return nil, errors.New(a.Error)
		case a.Page == nil:
			return nil, control.ErrMalformed
		}
		for _, n := range a.Page.Names {
			out = append(out, signed.Name{Name: n.Name, Author: n.Author, Signer: n.Signer})
		}
		if !a.Page.More || len(a.Page.Names) == 0 {
			return out, nil
		}
		after = out[len(out)-1].Name
	}
}
