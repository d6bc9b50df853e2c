package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/milter/domain"
	"mailseal/milter/keydns"
	"mailseal/milter/message"
	"mailseal/milter/sign"
)

// Bounds of what is reported of a source whose keys are all wrong.
const (
	maxViews      = 1000 // records with findings, with Options.Bounded
	maxBroken     = 100  // keys that cannot sign
	pageSize      = 256  // keys that are held at a time
	progressEvery = 1000 // keys
)

// Walk is how the keys of one source compare with the DNS.
type Walk struct {
	Source  string `json:"source"`
	Keys    int    `json:"keys"`
	Good    int    `json:"good"`
	Bad     int    `json:"bad"`     // their signatures do not verify, or not everywhere
	Unknown int    `json:"unknown"` // the DNS did not answer
	Broken  int    `json:"broken"`  // cannot be loaded, or cannot sign

	c      *checker
	source *assembly.Source
	at     config.Source
	// the d= tags of the rules by which the source's keys sign, "" for the key's own
	domains []string
}

// String sums up the walk.
func (w *Walk) String() string {
	return fmt.Sprintf("source %s: %d of %d keys good, %d bad, %d unknown, %d cannot sign",
		w.Source, w.Good, w.Keys, w.Bad, w.Unknown, w.Broken)
}

// walkSources compares the keys that sources hold under names of their own: those that list_query
// lists, a page at a time, or with Options.Domains those that sign for these domains.
func (c *checker) walkSources(ctx context.Context) {
	walks := map[string]*Walk{}
	for _, s := range c.result.Sources { // which answer; the others are among the errors
		w := &Walk{
			Source: s.Name, c: c, source: c.parts.Sources[s.Name], at: c.cfg.Sources[s.Name],
			domains: signDomains(c.cfg, s.Name),
		}
		if len(w.domains) > 0 { // else the key table alone uses it
			walks[s.Name] = w
			c.result.Walks = append(c.result.Walks, w)
		}
	}
	if len(c.Domains) > 0 {
		c.walkDomains(ctx, walks)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(walks)) {
		c.walkList(ctx, walks[name])
	}
}

// walkList compares all keys of a source, if it can list them.
func (c *checker) walkList(ctx context.Context, w *Walk) {
	l, ok := w.source.Remote.(lister)
	switch {
	case !ok:
		c.report(finding(SourceUnlisted, place{}, w.Source, "cannot be listed"))
	case !l.CanList():
		c.report(finding(SourceUnlisted, place{}, w.Source, "has no list_query"))
	default:
		if err := w.list(ctx, l); err != nil {
			w.failed("list_query", err)
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
func (w *Walk) list(ctx context.Context, l lister) error {
	after, left := "", w.c.Limit
	for {
		names, err := l.List(ctx, after)
		if err != nil || len(names) == 0 {
			return err
		}
		after = names[len(names)-1]
		if left > 0 && len(names) >= left {
			names, after = names[:left], ""
		}
		for some := range slices.Chunk(names, pageSize) {
			w.look(ctx, some)
		}
		if left -= len(names); after == "" || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// looked is the result of checking one key.
type looked struct {
	name  string
	views []View
	err   error // it cannot be loaded, or cannot sign
}

// look compares some keys of the list side by side, and reports them in its order.
func (w *Walk) look(ctx context.Context, names []string) {
	found := make([]looked, len(names))
	var workers errgroup.Group
	workers.SetLimit(lookupsAtOnce)
	for i, name := range names {
		workers.Go(func() error {
			found[i] = w.lookAt(ctx, name)
			return nil
		})
	}
	_ = workers.Wait() // no worker returns an error
	for _, l := range found {
		w.add(l)
	}
}

// lookAt fetches one key and compares it as each of the rules' domains.
func (w *Walk) lookAt(ctx context.Context, name string) looked {
	k, err := w.source.Remote.Key(ctx, name)
	if err == nil {
		k, err = w.source.Usable(k, "", "")
	}
	if err != nil {
		return looked{name: name, err: err}
	}
	var as []keys.Key
	for _, d := range w.domains {
		as = append(as, assembly.SignedAs(config.Rule{Domain: d}, k, "%"))
	}
	return w.c.compareKeys(ctx, name, as)
}

// compareKeys tries a key and looks at its record wherever it signs.
func (c *checker) compareKeys(ctx context.Context, name string, as []keys.Key) looked {
	out := looked{name: name}
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
		out.views = append(out.views, keydns.Inspect(ctx, c.Resolver, record, k.Domain))
	}
	return out
}

// add counts and reports one key.
func (w *Walk) add(l looked) {
	w.Keys++
	bad, unknown := false, false
	for _, v := range l.views {
		bad = bad || !isGood(v) && v.State != keydns.Unreached
		unknown = unknown || v.State == keydns.Unreached
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
	if w.Keys%progressEvery == 0 && w.c.Progress != nil {
		w.c.Progress(w)
	}
}

// show reports the findings about one record. Where they are kept, only some are: the rest is
// counted.
func (w *Walk) show(v View) {
	report := w.c.report
	switch {
	case len(v.Findings) == 0:
		return
	case w.c.Bounded && len(w.c.result.Records) >= maxViews:
		report = w.c.count
	case w.c.Bounded:
		w.c.result.Records = append(w.c.result.Records, v)
	}
	for _, f := range viewFindings(v) {
		report(f)
	}
}

// failed reports what keeps keys from signing. Of many, the rest is counted.
func (w *Walk) failed(name string, err error) {
	f := finding(SourceNoKey, at(w.at.Problem("", "")), fmt.Sprintf("%s: %v", name, err))
	if w.Broken > maxBroken {
		w.c.count(f)
		return
	}
	w.c.report(f)
}

// walkDomains compares the keys of sources that sign for the domains of the scope.
func (c *checker) walkDomains(ctx context.Context, walks map[string]*Walk) {
	signer, err := c.parts.Signer()
	if err != nil || !c.cfg.Signs() {
		return // the mistakes in the rules have been reported
	}
	for _, name := range c.Domains {
		author := message.Address{Local: "postmaster", Domain: domain.Name(name)}
		q := sign.Query{Author: author}
		for _, considered := range signer.Table.Explain(q) {
			s, _ := considered.Rule.Source.(*assembly.Source)
			if s != nil && walks[s.Name] != nil {
				walks[s.Name].domain(ctx, signer, considered.Rule, q)
			}
		}
	}
}

// domain compares the keys by which one rule signs for one domain.
func (w *Walk) domain(ctx context.Context, signer *sign.Signer, r *sign.Rule, q sign.Query) {
	var out sign.Signed
	found, err := signer.Find(ctx, r, q, &out)
	switch {
	case errors.Is(err, sign.ErrNoRule):
		w.c.report(finding(SourceNobody, place{}, w.Source, q.Author.Domain, r.Name))
	case err != nil:
		w.add(looked{name: string(q.Author.Domain), err: err})
	}
	for _, f := range out.Failed {
		w.add(looked{name: f.Key, err: f.Err})
	}
	for _, k := range found {
		w.add(w.c.compareKeys(ctx, k.Name, []keys.Key{k}))
	}
}
