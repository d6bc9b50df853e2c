package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/keydns"
)

// lookupsAtOnce bounds how many names are asked for side by side, so that no name server takes us for an attack.
const lookupsAtOnce = 16

// dnsChecked is what "check --dns" found out.
type dnsChecked struct {
	Views      []keydns.View `json:"records"`
	Misaligned []misaligned  `json:"misaligned"`
	Unknown    []string      `json:"unknown"` // what could not be found out, in sentences
	Notes      []string      `json:"notes"`   // what is not compared, in sentences
	Sources    []*walk       `json:"sources,omitempty"`
}

// misaligned is a rule whose signatures DMARC does not count for some of its authors.
type misaligned struct {
	Rule   string `json:"rule"`
	Author string `json:"author"` // the domain
	Domain string `json:"domain"` // the d= tag
	Text   string `json:"text"`
}

// checkDNS compares every key within a scope with what is published wherever it signs, and every rule's d= with its
// authors. Keys that sources hold under names which the configuration does not know are left to walkSources.
func checkDNS(ctx context.Context, cfg *config.Config, source keys.Source, r dns.Resolver, scope dnsScope) dnsChecked {
	out := dnsChecked{Views: []keydns.View{}, Misaligned: []misaligned{}, Unknown: []string{}, Notes: []string{}}
	wanted := slices.DeleteFunc(append(out.records(ctx, source, assembly.Placements(cfg)), out.managed(cfg)...), func(w wantedRecord) bool {
		return !scope.has(w.domain)
	})
	out.Views = make([]keydns.View, len(wanted))
	var workers errgroup.Group
	workers.SetLimit(lookupsAtOnce)
	for i, w := range wanted {
		workers.Go(func() error {
			out.Views[i] = keydns.Inspect(ctx, r, w.record, w.domain)
			return nil
		})
	}
	_ = workers.Wait() // no worker returns an error
	out.align(ctx, cfg, r, scope)
	return out
}

// wantedRecord is a record that must be published, and the domain that it is for.
type wantedRecord struct {
	record keys.Record
	domain string
}

// records turns placements into records; keys that cannot be had are reported where they are loaded.
func (c *dnsChecked) records(ctx context.Context, source keys.Source, places []assembly.Placement) []wantedRecord {
	var out []wantedRecord
	for _, p := range places {
		k, err := source.Key(ctx, p.Key)
		if err != nil {
			continue
		}
		if p.Domain != "" { // else it is for the source to say
			k.Domain = p.Domain
		}
		if k.Domain == "%" {
			c.Notes = append(c.Notes, fmt.Sprintf("key %q signs as whatever domain the author has; each of them must publish it", p.Key))
			continue
		}
		record, err := k.Record(keys.RecordOptions{})
		if err != nil {
			c.Unknown = append(c.Unknown, fmt.Sprintf("key %q: %v", p.Key, err))
			continue
		}
		out = append(out, wantedRecord{record, k.Domain})
	}
	return out
}

// managed are the records of the state directory's keys that must be in the DNS by now.
func (c *dnsChecked) managed(cfg *config.Config) []wantedRecord {
	state, err := keylife.Store{Dir: cfg.StateDirectory}.Read()
	if err != nil {
		return nil // check has said so, if anybody needs them
	}
	var out []wantedRecord
	for _, k := range state.Keys {
		if k.Stage == keys.Published || k.Stage == keys.Active || k.Stage == keys.Retiring {
			out = append(out, wantedRecord{k.Record(), k.Domain})
		}
	}
	return out
}

// align asks DMARC about each rule's authors and domains. That a rule for everybody has one d= is found by config.
func (c *dnsChecked) align(ctx context.Context, cfg *config.Config, r dns.Resolver, scope dnsScope) {
	checker := &dmarc.Checker{Resolver: r}
	type pair struct{ author, d string }
	known := map[pair]dmarcAlignment{}
	for i, rule := range cfg.Sign {
		for _, author := range assembly.AuthorDomains(rule) {
			for _, d := range assembly.SigningDomains(cfg, rule, author) {
				if author == "%" || d == "%" || d == author || !scope.has(author) {
					continue
				}
				p := pair{author, d}
				if _, ok := known[p]; !ok {
					known[p] = alignment(ctx, checker, author, d)
				}
				c.note(fmt.Sprintf("sign[%d]", i), author, d, known[p])
			}
		}
	}
}

func (c *dnsChecked) note(rule, author, d string, a dmarcAlignment) {
	switch {
	case a.err != "":
		c.Unknown = append(c.Unknown, fmt.Sprintf("%s: whether d=%s is aligned with %s: %s", rule, d, author, a.err))
	case !a.aligned:
		c.Misaligned = append(c.Misaligned, misaligned{rule, author, d, fmt.Sprintf("signs mail from %s as d=%s, which DMARC does not count: %s", author, d, a.why)})
	}
}

// dmarcAlignment is whether a signature counts for an author.
type dmarcAlignment struct {
	aligned  bool
	why, err string
}

// alignment weighs one domain for one author. Where no policy is published nothing can fail, but the organizational
// domain tells all the same.
func alignment(ctx context.Context, checker *dmarc.Checker, author, d string) dmarcAlignment {
	id := dmarc.Identifier{Method: dmarc.DKIM, Domain: domain.Name(d)}
	result := checker.Discover(ctx, []domain.Name{domain.Name(author)}).Weigh(ctx, []dmarc.Identifier{id})
	if result.Value == dmarc.Temperror {
		return dmarcAlignment{err: result.Reason}
	}
	if len(result.Alignments) == 1 {
		return dmarcAlignment{aligned: result.Alignments[0].Aligned, why: result.Alignments[0].Why}
	}
	org := result.OrganizationalDomain
	if org == "" {
		org = domain.Name(author)
	}
	return dmarcAlignment{aligned: id.Domain.Within(org) || org.Within(id.Domain), why: fmt.Sprintf("it is not within %s", org)}
}

// exit is the error of the whole command.
func (c *dnsChecked) exit() error {
	bad, unknown := len(c.Misaligned) > 0, false
	for _, v := range c.Views {
		bad = bad || v.Harm()
		unknown = unknown || v.State == keydns.Unreached
	}
	for _, w := range c.Sources {
		bad, unknown = bad || w.Bad > 0, unknown || w.Unknown > 0
	}
	switch {
	case bad:
		return exit(exitBad, nil)
	case unknown || len(c.Unknown) > 0:
		return exit(exitUnknown, nil)
	}
	return nil
}

func (c *dnsChecked) print(out io.Writer) {
	good := 0
	for _, v := range c.Views {
		if isGood(v) {
			good++
		}
		printView(out, v)
	}
	for _, m := range c.Misaligned {
		fmt.Fprintf(out, "error: %s: %s\n", m.Rule, m.Text)
	}
	for _, text := range c.Unknown {
		fmt.Fprintln(out, "unknown:", text)
	}
	for _, text := range c.Notes {
		fmt.Fprintln(out, "note:", text)
	}
	for _, w := range c.Sources {
		fmt.Fprintf(out, "DNS: %s\n", w)
	}
	if len(c.Views) > 0 || len(c.Sources) == 0 {
		fmt.Fprintf(out, "DNS: %d of %d records good\n", good, len(c.Views))
	}
}

func isGood(v keydns.View) bool { return v.State == keydns.Shown && !v.Harm() }

// printView writes the findings on one record.
func printView(out io.Writer, v keydns.View) {
	for _, f := range v.Findings {
		word := either(f.Harms, "error", "warning")
		if f.Cause == keydns.NoAnswer {
			word = "unknown"
		}
		fmt.Fprintf(out, "%s: %s: %s\n", word, v.Name, f.Text)
		if f.Fix != "" {
			fmt.Fprintf(out, "  %s\n", f.Fix)
		}
	}
}
