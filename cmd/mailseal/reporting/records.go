package reporting

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"mailseal/cmd/mailseal/domains"
	"mailseal/cmd/mailseal/inspect"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
	"mailseal/milter/report/web"
)

// Bounds of comparing the records of a domain with its mail.
const (
	longestLook  = 40 * time.Second // at its SPF record
	maxSelectors = 10               // keys of one domain
)

// look compares the records of a domain with the mail in received reports: how its SPF record ends
// and which terms let mail in, and whether the keys that sign are there; what its check found is
// kept beside. It returns the records of these keys, as far as the DNS answered.
func (h *history) look(ctx context.Context, r dns.Resolver, name domain.Name,
	checked domains.Result) ([]store.DNSRecord, error) {
	now := h.Now()
	today := advice.DayOf(now)
	text := name.String()
	if h.read == nil { // it holds the names of all domains, and is the same for each
		h.read = h.reader(h.store)
	}
	ids, err := h.read.Identities(ctx,
		web.Filter{From: today - 90, To: today, Domains: []string{text}})
	if err != nil {
		return nil, err
	}
	keys, err := h.keys(ctx, text, ids, now)
	if err != nil {
		return nil, err
	}
	asking, cancel := context.WithTimeout(ctx, longestLook)
	defer cancel()
	state, records, err := inspect.Look(asking, r, name, senders(text, ids), h.Config.Ours.Networks,
		keys)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil { // what was known stays; it is tried again in the next period
		h.Log.Info("the DNS records of a domain could not be compared with its mail; trying again "+
			"after reports.dns_every", "domain", text, "error", err)
		return nil, nil
	}
	detail := inspect.Describe(asking, r, signedWith(ids), namesBelow(text, ids))
	detail.Senders, detail.Findings = state.Detail.Senders, findingsOf(checked)
	state.Detail = detail
	state.Findings, state.Checked, state.Worst = countFindings(checked), true, worstOf(checked)
	if p := checked.DMARC; p != nil {
		state.DMARC = &store.OwnPolicy{Policy: p.Policy, Testing: p.Testing, At: p.At,
			Invalid: p.Invalid}
	}
	return records, h.store.SetOwnState(ctx, text, state, now)
}

// senders are the addresses that sent as a domain, each once with an envelope of the domain and
// once with others.
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

// keys are those that signed as a domain, passed, and were seen in the last 7 days: by reports, or
// on this host.
func (h *history) keys(ctx context.Context, name string, ids []web.Identity,
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
			if sig.Selector == "" || sig.Domain != name &&
				!strings.HasSuffix(sig.Domain, "."+name) {
				continue
			}
			u := at(sig.Selector, sig.Domain)
			u.messages += ids[i].Messages
			u.passed = u.passed || sig.Result == "pass"
			u.last = max(u.last, ids[i].Last)
		}
	}
	err := h.store.View(ctx, func(tx *store.Tx) error {
		own, err := tx.OwnKeys(ctx, name)
		for _, k := range own {
			u := at(k.Selector, k.Domain)
			u.passed, u.last = true, max(u.last, advice.DayOf(k.Last))
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
