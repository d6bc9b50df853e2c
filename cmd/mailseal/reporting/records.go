package reporting

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"mailseal/cmd/mailseal/inspect"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
	"mailseal/milter/report/web"
)

// Bounds of the looks at the records of our domains. 10,000 domains take their turn within a day.
const (
	recordsEvery = 10 * time.Minute
	recordsAge   = 23 * time.Hour   // of what is known, before a domain is asked about again
	maxRecords   = 100              // domains of one run
	longestLook  = 20 * time.Second // at one domain
	maxSelectors = 10               // keys of one domain
)

// records looks at what the DNS says of our domains.
type records struct {
	store    *store.Store
	read     *web.Stored
	resolver dns.Resolver
	process  *Process
}

// recordsJob keeps the history of the records that our domains publish, and holds their SPF records
// against the mail that reports tell of.
func recordsJob(p *Process, s *store.Store, resolver dns.Resolver) jobs.Job {
	r := records{store: s, resolver: resolver, process: p, read: &web.Stored{Store: s,
		Names: signingDomains(p.Config), Now: p.Now}}
	return jobs.Job{
		Name:     "records",
		Interval: func() time.Duration { return recordsEvery },
		First:    func() time.Duration { return time.Minute },
		Do:       r.run,
	}
}

func (r records) run(ctx context.Context) error {
	list, err := r.read.Domains(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, d := range list {
		names = append(names, d.Name)
	}
	now := r.process.Now()
	due, err := r.store.OwnDue(ctx, names, now.Add(-recordsAge), maxRecords)
	if err != nil {
		return err
	}
	for _, name := range due {
		if err := r.one(ctx, name, now); err != nil {
			return err
		}
	}
	return nil
}

// one looks at a domain. A DNS that does not answer is no error: it is tried again the next day.
func (r records) one(ctx context.Context, text string, now time.Time) error {
	name, err := domain.Parse(text)
	if err != nil {
		return r.store.SetOwnState(ctx, text, nil, nil, now)
	}
	today := advice.DayOf(now)
	ids, err := r.read.Identities(ctx, web.Filter{From: today - 90, To: today, Domains: []string{text}})
	if err != nil {
		return err
	}
	keys, err := r.keys(ctx, text, ids, now)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, longestLook)
	defer cancel()
	state, found, err := inspect.Look(asking, r.resolver, name, senders(text, ids),
		r.process.Config.Ours.Networks, keys)
	if err != nil {
		r.process.Log.Info("the records of a domain could not be looked at", "domain", text, "error", err)
		state = nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return r.store.SetOwnState(ctx, text, state, found, now)
}

// senders are the addresses that sent as a domain, each once with an envelope of the domain and once
// with others.
func senders(name string, ids []web.Identity) []inspect.Sender {
	var out []inspect.Sender
	index := map[string]int{}
	for i := range ids {
		id := &ids[i]
		own := id.Envelope == name
		k := id.Address.String()
		if own {
			k += " own"
		}
		n, has := index[k]
		if !has {
			n = len(out)
			index[k] = n
			out = append(out, inspect.Sender{Address: id.Address, Envelope: own})
		}
		out[n].Messages += id.Messages
	}
	return out
}

// keys are those that signed as a domain, passed, and were seen in the last 7 days: by reports, or on
// this host.
func (r records) keys(ctx context.Context, name string, ids []web.Identity,
	now time.Time) ([]store.OwnSelector, error) {
	type use struct {
		messages int64
		passed   bool
		last     advice.Day
	}
	seen := map[string]*use{}
	at := func(selector, signer string) *use {
		n := strings.ToLower(selector + "._domainkey." + signer)
		if seen[n] == nil {
			seen[n] = &use{}
		}
		return seen[n]
	}
	for i := range ids {
		for _, sig := range ids[i].DKIM {
			if sig.Selector == "" || sig.Domain != name && !strings.HasSuffix(sig.Domain, "."+name) {
				continue
			}
			u := at(sig.Selector, sig.Domain)
			u.messages += ids[i].Messages
			u.passed = u.passed || sig.Result == "pass"
			u.last = max(u.last, ids[i].Last)
		}
	}
	err := r.store.View(ctx, func(tx *store.Tx) error {
		own, err := tx.OwnKeys(ctx)
		for _, k := range own {
			if k.Domain == name {
				u := at(k.Selector, k.Domain)
				u.passed, u.last = true, max(u.last, advice.DayOf(k.Last))
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []store.OwnSelector
	for n, u := range seen {
		if _, err := domain.Parse(n); err == nil && u.passed && u.last >= advice.DayOf(now)-7 {
			out = append(out, store.OwnSelector{Name: n, Messages: u.messages})
		}
	}
	slices.SortFunc(out, func(a, b store.OwnSelector) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Name, b.Name))
	})
	return out[:min(len(out), maxSelectors)], nil
}
