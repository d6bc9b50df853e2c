package reporting

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/changes"
	"mailseal/cmd/mailseal/domains"
	"mailseal/cmd/mailseal/inspect"
	"mailseal/config"
	"mailseal/milter/report/send"
	"mailseal/milter/report/store"
	"mailseal/milter/report/web"
)

// refreshEvery is how often the pages look for new reports, and refresh their data.
const refreshEvery = 15 * time.Second

// webRole serves the pages, where reports.web.address says so. It only reads the store.
func webRole() Role {
	return Role{
		Name: "web",
		Doc:  "serves the pages of the reports, if reports.web.address is set",
		Idle: unless(func(cfg *config.Config) bool { return cfg.Reports.Web.Address != "" },
			"reports.web.address is not set"),
		Build: func(ctx context.Context, p *Process) (Part, error) {
			settings := p.Config.Reports.Web
			if settings.Address == "" {
				return Part{}, nil
			}
			secrets, access, err := newPageSecrets(settings)
			if err != nil {
				return Part{}, err
			}
			handler, err := p.pages(ctx, access)
			if err != nil {
				return Part{}, err
			}
			listener, err := listenWeb(ctx, settings, p.Log)
			if err != nil {
				return Part{}, err
			}
			p.Log.Info("pages are served", "address", settings.Address)
			return Part{Serve: func(ctx context.Context) error {
				tick := time.NewTicker(refreshEvery)
				defer tick.Stop()
				ctx, stop := context.WithCancel(ctx)
				defer stop()
				var ahead sync.WaitGroup
				ahead.Go(func() { handler.Refresh(ctx, tick.C) })
				ahead.Go(func() { secrets.watch(ctx, access, p.Log) })
				err := servePages(ctx, listener, handler)
				stop()
				ahead.Wait()
				return err
			}}, nil
		},
	}
}

// pages makes the handler of the pages.
func (p *Process) pages(ctx context.Context, access *web.Access) (*web.Server, error) {
	s, err := p.Store(ctx)
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	sender, err := NewReporter(p.Config, s, p.Log, p.Version)
	if err != nil {
		return nil, err
	}
	read := p.reader(s)
	read.Sending = &web.Sending{On: p.Config.Reports.Send, Outlook: outlook(sender),
		Preview: pagePreview(s, sender, p.Now)}
	checker, err := p.inspector()
	if err != nil {
		return nil, err
	}
	return web.New(web.Config{
		Read: read, Commands: changes.NewClient(p.Config.Reports.Intake.Changes),
		Checker: checker, Access: access,
		Groups: groupsOf(p.Config.Reports.Web.Groups),
		Host:   host, Version: p.Version, Now: p.Now, Log: p.Log, Waiting: p.waiting,
	})
}

// outlook returns the function by which /out asks for the conditions of a report.
func outlook(sender *send.Reporter) func(context.Context, store.OutPending) (web.Outlook, error) {
	return func(ctx context.Context, p store.OutPending) (web.Outlook, error) {
		o, err := sender.Outlook(ctx, p)
		gate := func(g send.Gate) web.Gate {
			return web.Gate{Open: g.Open, Known: true, Note: g.Note}
		}
		return web.Outlook{Why: o.Why, At: o.At, Gates: web.OutGates{Allowed: gate(o.Allowed),
			Enough: gate(o.Enough), Relation: gate(o.Relation), Address: gate(o.Address)}}, err
	}
}

// groupsOf are the groups of domains of the first page.
func groupsOf(list []config.WebGroup) []web.Group {
	var out []web.Group
	for _, g := range list {
		out = append(out, web.Group{Name: g.Name, Has: config.InTrees(g.Domains)})
	}
	return out
}

// inspector asks the DNS for the page of checks, by the name servers of the configuration.
func (p *Process) inspector() (*inspect.Inspector, error) {
	client, _, err := assembly.NewResolver(p.Config)
	if err != nil {
		return nil, err
	}
	selectors := map[string][]string{}
	for _, k := range p.Config.Keys {
		if k.Selector != "" && !slices.Contains(selectors[k.Domain], k.Selector) {
			selectors[k.Domain] = append(selectors[k.Domain], k.Selector)
		}
	}
	return &inspect.Inspector{Resolver: client, Trusted: domains.Trusts(client.Servers()),
		Keys: selectors, Now: p.Now}, nil
}

// signingDomains are the domains that this host has keys for.
func signingDomains(cfg *config.Config) []string {
	var out []string
	for _, k := range cfg.Keys {
		if k.Domain != "" {
			out = append(out, k.Domain)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// listenWeb opens the socket of the pages, with TLS where a certificate is set.
func listenWeb(ctx context.Context, settings config.ReportsWeb, log *slog.Logger) (net.Listener,
	error) {
	return listenPages(ctx, "reports.web", settings, log)
}

// listenPages is listenWeb for a section of the configuration, which errors name.
func listenPages(ctx context.Context, section string, settings config.ReportsWeb,
	log *slog.Logger) (net.Listener, error) {
	name := section + ".address"
	if section == "test" {
		name = "test.page_address"
	}
	var lc net.ListenConfig
	network, address := "tcp", settings.Address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
		if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
			// left by a process that was killed; a live one holds the control socket
			_ = os.Remove(path)
		}
	}
	l, err := lc.Listen(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if network == "unix" {
		if err := os.Chmod(address, 0o660); err != nil {
			return nil, fmt.Errorf("%s: %w", name, errors.Join(err, l.Close()))
		}
	}
	if settings.Certificate == "" {
		return l, nil
	}
	pair := &keyPair{certificate: settings.Certificate, key: string(settings.Key), log: log}
	if _, err := pair.get(nil); err != nil {
		return nil, fmt.Errorf("%s.certificate: %w", section, errors.Join(err, l.Close()))
	}
	return tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get,
		NextProtos: []string{"h2", "http/1.1"}}), nil
}

// servePages serves until ctx ends.
func servePages(ctx context.Context, l net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:  2 * time.Minute,
		WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopped()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the pages: %w", err)
	}
	return nil
}
