package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mailseal/cmd/mailseal/reporting"
	"mailseal/keys/files"
	"mailseal/milter/report/intake"
	"mailseal/milter/report/store"
)

// tokenFile is where the demo keeps the token of its pages.
const tokenFile = "token"

// newToken makes the token with which a browser signs in.
func newToken(dir string) error {
	return os.WriteFile(filepath.Join(dir, tokenFile), []byte(rand.Text()+"\n"), 0o600)
}

// page serves the pages of reports until ctx ends, over reports on two months of mail that the demo
// makes up, and the one of today that the daemon makes of the message from outside.
type page struct {
	process *reporting.Process
	stopped chan error
}

// startPage returns when the pages are served. It returns nil for a configuration that has none.
func (d *demo) startPage(ctx context.Context) (*page, error) {
	if d.cfg.Reports.Web.Address == "" || !d.cfg.Reports.Collect {
		return nil, nil
	}
	p := &page{stopped: make(chan error, 1)}
	p.process = &reporting.Process{
		Config: d.cfg, File: d.config, Log: slog.New(slog.NewTextHandler(d.log, nil)),
		Now: time.Now, Version: d.Version,
	}
	if err := p.fill(ctx); err != nil {
		return nil, err
	}
	roles, err := reporting.Select(reporting.Roles(), []string{"fold", "intake", "web"})
	if err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	go func() { p.stopped <- p.process.Serve(ctx, roles, func() { close(ready) }) }()
	select {
	case <-ready:
		return p, nil
	case err := <-p.stopped:
		return nil, err
	}
}

// fill stores the reports. Those that are there from an earlier run are known by their bytes.
func (p *page) fill(ctx context.Context) error {
	s, err := p.process.Store(ctx)
	if err != nil {
		return err
	}
	taker := &intake.Intake{Store: s, Domains: p.process.Config.Reports.Intake.Domains}
	take := func(name string, received time.Time, text []byte) error {
		_, err := taker.Take(ctx, &store.Arrival{Received: received, Via: "demo", Name: name,
			Trust: store.ByHand, Data: text})
		return err
	}
	if err := history(p.process.Now(), p.process.Version, take); err != nil {
		return err
	}
	if err := p.process.Fold(ctx); err != nil {
		return err
	}
	r, err := reporting.NewReporter(p.process.Config, s, p.process.Log, p.process.Version)
	if err != nil {
		return err
	}
	pending, err := s.OutPending(ctx, store.Day(p.process.Now()), "example.com")
	if err != nil {
		return err
	}
	for _, x := range pending {
		parts, err := r.Reports(ctx, x)
		if err != nil {
			return err
		}
		for _, part := range parts {
			if err := take(part.ID+".xml.gz", p.process.Now(), part.XML); err != nil {
				return err
			}
		}
	}
	return nil
}

// printPage tells where the pages are, and how to sign in.
func (d *demo) printPage() {
	web := d.cfg.Reports.Web
	token, err := files.Read(string(web.TokenFile), maxConfig)
	if err != nil {
		return // the process would not have started
	}
	title := "The pages of DMARC reports"
	fmt.Fprintf(d.Out, "\n%s\n%s\n\n", title, strings.Repeat("-", len(title)))
	fmt.Fprintf(d.Out, `    address   http://%[1]s/
    token     %[2]s

Sign in with the token and no name. The pages show two months of mail that the demo made up, of
example.com and shop.example. The report of today, about the message from outside:

    http://%[1]s/reports?from=%[3]s&to=%[3]s
`, web.Address, strings.TrimSpace(string(token)), time.Now().UTC().Format(time.DateOnly))
}
