package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/milter/domain"
	"mailseal/milter/filter"
	"mailseal/milter/keydns"
	"mailseal/milter/message"
	"mailseal/milter/sign"
)

// dnsScope is how much of the keys "check --dns" compares, and where it says so meanwhile.
type dnsScope struct {
	domains  []string  // those that sign as one of these; none: all
	limit    int       // keys of each list; 0: all
	progress io.Writer // how far it has come
	found    io.Writer // what is wrong with keys of sources; nil: it is kept, as far as keptViews
}

func (s *dnsScope) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&s.domains, "domain", nil, "compare the keys of these domains only, those of sources too; implies --dns")
	cmd.Flags().IntVar(&s.limit, "limit", 0, "compare so many keys of each source that can be listed; implies --dns")
}

func (s dnsScope) isSet() bool { return len(s.domains) > 0 || s.limit > 0 }

// parse brings the domains into A-labels.
func (s *dnsScope) parse() error {
	for i, name := range s.domains {
		d, err := domain.Parse(strings.TrimSuffix(name, "."))
		if err != nil {
			return exit(exitUsage, fmt.Errorf("--domain: %w", err))
		}
		s.domains[i] = d.String()
	}
	if s.limit < 0 {
		return exit(exitUsage, errors.New("--limit is a number of keys"))
	}
	return nil
}

// has tells whether a domain is to be looked at.
func (s dnsScope) has(name string) bool {
	return len(s.domains) == 0 || slices.Contains(s.domains, name)
}

// Bounds of what is kept of a source whose keys are all wrong.
const (
	keptViews   = 1000 // findings in the JSON answer
	keptErrors  = 100  // keys that cannot sign
	progressFor = 1000 // keys
)

// lister is a source whose keys can be listed.
type lister interface {
	CanList() bool
	List(ctx context.Context, after string) ([]string, error)
}

// walk is how the keys of one source compare with the DNS.
type walk struct {
	Source  string `json:"source"`
	Keys    int    `json:"keys"`
	Good    int    `json:"good"`
	Bad     int    `json:"bad"`     // their signatures do not verify, or not everywhere
	Unknown int    `json:"unknown"` // the DNS did not answer
	Broken  int    `json:"broken"`  // cannot be had, or cannot sign

	c       *checked
	source  *assembly.Source
	at      config.Source
	domains []string // the d= tags of the rules by which the source's keys sign, "" for the key's own
}

func (w *walk) String() string {
	return fmt.Sprintf("source %s: %d of %d keys good, %d bad, %d unknown, %d cannot sign", w.Source, w.Good, w.Keys, w.Bad, w.Unknown, w.Broken)
}

// walkSources compares the keys that sources hold under names of their own: those that list_query lists, a page at a
// time, or with --domain those that sign for these domains.
func (c *checked) walkSources(ctx context.Context, cfg *config.Config) {
	walks := map[string]*walk{}
	for _, s := range c.Sources { // which answer; the others are among the errors
		w := &walk{Source: s.Name, c: c, source: c.parts.Sources[s.Name], at: cfg.Sources[s.Name], domains: signDomains(cfg, s.Name)}
		if len(w.domains) > 0 { // else the key table alone uses it
			walks[s.Name] = w
			c.DNS.Sources = append(c.DNS.Sources, w)
		}
	}
	if len(c.scope.domains) > 0 {
		c.walkDomains(ctx, walks)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(walks)) {
		l, ok := walks[name].source.Remote.(lister)
		if !ok || !l.CanList() {
			why := either(ok, "has no list_query", "cannot be listed")
			c.DNS.Notes = append(c.DNS.Notes, fmt.Sprintf("source %q %s: its keys were not compared; --domain does so for the domains that it names", name, why))
			continue
		}
		if err := walks[name].list(ctx, l); err != nil {
			walks[name].failed("list_query", err)
		}
	}
}

// signDomains are what the rules that ask a source say of d=.
func signDomains(cfg *config.Config, source string) []string {
	var out []string
	for _, r := range cfg.Sign {
		if r.Source == source {
			out = append(out, domain.ASCII(r.Domain))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// list goes through the table, page by page.
func (w *walk) list(ctx context.Context, l lister) error {
	after, left := "", w.c.scope.limit
	for {
		names, err := l.List(ctx, after)
		if err != nil || len(names) == 0 {
			return err
		}
		after = names[len(names)-1]
		if left > 0 && len(names) >= left {
			names, after = names[:left], ""
		}
		for some := range slices.Chunk(names, atOnce) {
			w.look(ctx, some)
		}
		if left -= len(names); after == "" || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// looked is what came of one key.
type looked struct {
	name  string
	views []keydns.View
	err   error // it cannot be had, or cannot sign
}

// look compares some keys of the list side by side, and reports them in its order.
func (w *walk) look(ctx context.Context, names []string) {
	found := make([]looked, len(names))
	var workers errgroup.Group
	workers.SetLimit(lookupsAtOnce)
	for i, name := range names {
		workers.Go(func() error {
			k, err := w.source.Remote.Key(ctx, name)
			if err == nil {
				k, err = w.source.Usable(k, "", "")
			}
			var as []keys.Key
			for _, d := range w.domains {
				if err == nil {
					as = append(as, assembly.SignedAs(config.Rule{Domain: d}, k, "%"))
				}
			}
			found[i] = w.c.compareKeys(ctx, name, as, err)
			return nil
		})
	}
	_ = workers.Wait() // no worker returns an error
	for _, l := range found {
		w.add(l)
	}
}

// compareKeys tries a key and looks at its record wherever it signs.
func (c *checked) compareKeys(ctx context.Context, name string, as []keys.Key, err error) looked {
	out := looked{name: name, err: err}
	for _, k := range as {
		if out.err = tryKey(k).err; out.err != nil {
			return out
		}
		if k.Domain == "%" {
			continue
		}
		var record keys.Record
		if record, out.err = k.Record(keys.RecordOptions{}); out.err != nil {
			return out
		}
		out.views = append(out.views, keydns.Inspect(ctx, c.resolver, record, k.Domain))
	}
	return out
}

// add counts and reports one key.
func (w *walk) add(l looked) {
	w.Keys++
	bad, unknown := false, false
	for _, v := range l.views {
		bad, unknown = bad || !isGood(v) && v.State != keydns.Unreached, unknown || v.State == keydns.Unreached
		w.show(v)
	}
	switch {
	case l.err != nil:
		w.Broken++
		w.failed(l.name, l.err)
	case bad:
		w.Bad++
	case unknown:
		w.Unknown++
	default:
		w.Good++
	}
	if w.Keys%progressFor == 0 && w.c.scope.progress != nil {
		fmt.Fprintln(w.c.scope.progress, w)
	}
}

// show prints findings at once; where an answer has to be made of them, some are kept.
func (w *walk) show(v keydns.View) {
	switch {
	case len(v.Findings) == 0:
	case w.c.scope.found != nil:
		printView(w.c.scope.found, v)
	case len(w.c.DNS.Views) < keptViews:
		w.c.DNS.Views = append(w.c.DNS.Views, v)
	}
}

// failed reports what keeps keys from signing.
func (w *walk) failed(name string, err error) {
	if w.Broken <= keptErrors {
		w.c.Errors = append(w.c.Errors, w.at.Problem("", fmt.Sprintf("%s: %v", name, err)))
	}
}

// walkDomains compares the keys of sources that sign for the domains of the scope.
func (c *checked) walkDomains(ctx context.Context, walks map[string]*walk) {
	daemon, _ := c.parts.Settings.Filter.(*filter.Filter)
	if daemon == nil || daemon.Signer == nil {
		return
	}
	for _, name := range c.scope.domains {
		q := sign.Query{Author: message.Address{Local: "postmaster", Domain: domain.Name(name)}}
		for _, consideration := range daemon.Signer.Table.Explain(q) {
			s, _ := consideration.Rule.Source.(*assembly.Source)
			if s == nil || walks[s.Name] == nil {
				continue
			}
			c.walkDomain(ctx, walks[s.Name], daemon.Signer, consideration.Rule, q)
		}
	}
}

// walkDomain compares the keys by which one rule signs for one domain.
func (c *checked) walkDomain(ctx context.Context, w *walk, signer *sign.Signer, r *sign.Rule, q sign.Query) {
	var out sign.Signed
	found, err := signer.Find(ctx, r, q, &out)
	switch {
	case errors.Is(err, sign.ErrNoRule):
		c.DNS.Notes = append(c.DNS.Notes, fmt.Sprintf("source %q: no key signs for %s (%s)", w.Source, q.Author.Domain, r.Name))
	case err != nil:
		w.add(looked{name: string(q.Author.Domain), err: err})
	}
	for _, f := range out.Failed {
		w.add(looked{name: f.Key, err: f.Err})
	}
	for _, k := range found {
		w.add(c.compareKeys(ctx, k.Name, []keys.Key{k}, nil))
	}
}
