package dmarc

import (
	"context"
	"fmt"

	"golang.org/x/net/publicsuffix"

	"mailseal/milter/dns"
	"mailseal/milter/domain"
)

// shortcut is the number of labels from which a walk jumps down to one less (RFC 9989 section
// 4.10), so that no walk has more than 8 queries.
const shortcut = 8

// Walk is one DNS tree walk (RFC 9989 section 4.10), or in PSL mode the one or two names looked at
// instead of it.
type Walk struct {
	Start                domain.Name
	Steps                []Step      // in the order of the walk
	OrganizationalDomain domain.Name // "" when a step failed, or the verdict did not need it
}

// Step is one name of a walk.
type Step struct {
	Domain  domain.Name
	Finding string  // what is at _dmarc.Domain, for people
	Record  *Record // the one policy record there, or nil
	Err     error   // why the answer is not known; the walk ends here
	Again   bool    // known from an earlier walk of the message: cost no query
}

// finder looks for records on behalf of one message and asks for each name once.
type finder struct {
	*Checker
	known   map[domain.Name]Step
	walks   []Walk
	walked  map[domain.Name]int // index into walks
	queries int
}

func (c *Checker) finder() *finder {
	return &finder{Checker: c, known: map[domain.Name]Step{}, walked: map[domain.Name]int{}}
}

// at returns what _dmarc.d holds.
func (f *finder) at(ctx context.Context, d domain.Name) Step {
	if s, known := f.known[d]; known {
		s.Again = true
		return s
	}
	f.queries++
	s := Step{Domain: d}
	a, err := f.Resolver.Lookup(ctx, "_dmarc."+d.String(), dns.TXT)
	if err != nil {
		s.Err = err
		s.Finding = err.Error()
	} else {
		s.Record, s.Finding = choose(a)
	}
	f.known[d] = s
	return s
}

// choose returns the policy record of an answer. Several are as good as none (RFC 9989 section
// 4.10, step 2); other texts do not count.
func choose(a dns.Answer) (*Record, string) {
	var found *Record
	n := 0
	for _, text := range a.Texts {
		if r, err := Parse(text); err == nil {
			found = &r
			n++
		}
	}
	switch {
	case n == 1:
		return found, found.Text
	case n > 1:
		return nil, fmt.Sprintf("%d policy records: all are ignored", n)
	case a.Status == dns.Found:
		return nil, "no policy record among the texts"
	}
	return nil, a.Status.String()
}

// begin returns the walk from a name with at least its first step.
func (f *finder) begin(ctx context.Context, start domain.Name) *Walk {
	i, begun := f.walked[start]
	if !begun {
		i = len(f.walks)
		f.walked[start] = i
		f.walks = append(f.walks, Walk{Start: start, Steps: []Step{f.at(ctx, start)}})
	}
	return &f.walks[i]
}

// walk returns the whole walk from a name. The error is that of the step that failed.
func (f *finder) walk(ctx context.Context, start domain.Name) (Walk, error) {
	w := f.begin(ctx, start)
	for w.OrganizationalDomain == "" && w.err() == nil {
		last := w.Steps[len(w.Steps)-1]
		d := f.next(start, last.Domain)
		if d == "" || isEnd(last.Record) {
			w.OrganizationalDomain = f.organizational(*w)
			break
		}
		w.Steps = append(w.Steps, f.at(ctx, d))
	}
	return *w, w.err()
}

// err returns why the walk ended before its end, if so.
func (w Walk) err() error { return w.Steps[len(w.Steps)-1].Err }

// next returns the name to ask for after d; "" at the end.
func (f *finder) next(start, d domain.Name) domain.Name {
	switch {
	case f.PublicSuffixList && d == start && suffixPlusOne(d) != d:
		return suffixPlusOne(d)
	case f.PublicSuffixList:
		return ""
	case d.Labels() >= shortcut:
		return d.Last(shortcut - 1)
	}
	return d.Parent()
}

// isEnd reports whether a record says what its name is, which ends the walk (RFC 9989 section 4.10,
// steps 2 and 6).
func isEnd(r *Record) bool { return r != nil && r.PSD != Unknown }

// organizational selects the organizational domain of a walk's start (RFC 9989 section 4.10.2).
// Only the last step can hold a psd of y or n, since it ends the walk. The name below a public
// suffix is taken from the start, which is right where the shortcut passed that name over, and
// where the public suffix is the start itself.
func (f *finder) organizational(w Walk) domain.Name {
	if f.PublicSuffixList {
		return suffixPlusOne(w.Start)
	}
	last := w.Steps[len(w.Steps)-1]
	if last.Record != nil && last.Record.PSD == PublicSuffix {
		return w.Start.Last(last.Domain.Labels() + 1)
	}
	return w.highest()
}

// policy returns the step whose record speaks for the start, or nil: its own, that of its
// organizational domain, that of the public suffix (RFC 9989 section 4.10.1). A record in between
// does not count, and if neither of the first two has one, the last step's can only be the public
// suffix's. Where the step of a public suffix failed, the name below it is the organizational
// domain if it has a record: it is that whatever the suffix holds.
func (w Walk) policy() *Step {
	last := w.Steps[len(w.Steps)-1]
	org := w.OrganizationalDomain
	if last.Err != nil && last.Domain != w.Start && isPublicSuffix(last.Domain) {
		org = w.Start.Last(last.Domain.Labels() + 1)
	}
	for _, d := range []domain.Name{w.Start, org, last.Domain} {
		for i := range w.Steps {
			if s := &w.Steps[i]; s.Domain == d && s.Record != nil {
				return s
			}
		}
	}
	return nil
}

// suffixPlusOne returns the organizational domain by the Public Suffix List, private suffixes
// included, as receivers of RFC 7489 use it. A public suffix is its own.
func suffixPlusOne(d domain.Name) domain.Name {
	if s, err := publicsuffix.EffectiveTLDPlusOne(d.String()); err == nil {
		return domain.Name(s)
	}
	return d
}
