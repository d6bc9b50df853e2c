package advice

import (
	"net/netip"
	"strings"
)

// Class is whose a source is.
type Class string

// Classes of sources. The last two are given by a person alone: their mail raises no alert and
// leaves the pass rate.
const (
	Ours       Class = "ours"
	Service    Class = "service"    // a service that sends for the domain
	Forwarding Class = "forwarding" // passes mail on: forwarders, mailing lists
	Unknown    Class = "unknown"
	Spoof      Class = "spoof" // no message ever passed
	NotOurs    Class = "not ours"
	Scanner    Class = "scanner" // tests mail, and makes failures that mean nothing
)

// AcceptsSPF is a person's decision that mail of a source may pass by SPF alone. It is
// stored as a verdict, and does not change the class.
const AcceptsSPF Class = "accepts spf"

// NoName is the name of a source of which reports say nothing at all.
const NoName = "unknown address"

// ParseClass reads a verdict that a person may give: a class, or AcceptsSPF.
func ParseClass(s string) (Class, bool) {
	switch c := Class(s); c {
	case Ours, Service, Forwarding, NotOurs, Scanner, AcceptsSPF:
		return c, true
	}
	return "", false
}

// IsOwn reports whether mail of the class is the domain's own.
func (c Class) IsOwn() bool { return c == Ours || c == Service }

// Source is one origin of mail that claims the domain, in a period. Counts are messages.
type Source struct {
	Name      string // a name or an address, as pages show it
	Addresses []netip.Addr
	Class     Class
	Judged    bool // a person gave the class

	Messages int64
	Pass     int64 // DMARC
	DKIM     int64 // aligned DKIM pass
	SPF      int64 // aligned SPF pass

	OtherDKIM int64 // that fail, and DKIM passes for a domain that does not align
	OtherSPF  int64 // that fail, and SPF passes for a domain that does not align
	NoDKIM    int64 // without any signature
	BadDKIM   int64 // an aligned signature that does not verify
	TempError int64
	PermError int64 // SPF or DKIM permerror
	Strict    int64 // would pass if alignment were relaxed
	Listed    int64 // receivers reported mailing_list
	Forwarded int64 // receivers reported forwarded or trusted_forwarder

	Delivered int64 // failed, and neither held nor refused
	Held      int64
	Refused   int64

	Receivers     int
	FailReceivers int    // receivers at which some message failed
	FailReceiver  string // the one at which most failed
	NoAddress     bool   // reports name it with a text that is not an address

	Signer       string   // the most frequent domain of signatures that pass unaligned
	Envelope     string   // the most frequent envelope domain
	Selectors    []string // aligned ones that pass
	BadSelector  string   // the aligned one that fails most
	KeyMissing   bool     // DNS has no key at BadSelector now
	From         string   // the most frequent From domain
	ReverseNames []string // confirmed by a forward lookup
	Network      bool     // an address is in the networks of this host
	TellTale     Known    // the known service that its names belong to
	Days         []Day    // on which it sent
	SPFAccepted  bool     // a person accepts that it passes by SPF alone
}

// Fail returns the messages that failed DMARC.
func (s *Source) Fail() int64 { return s.Messages - s.Pass }

// SPFOnly returns the messages that pass by SPF alone, and so fail once they are forwarded.
func (s *Source) SPFOnly() int64 { return s.Pass - s.DKIM }

// SPFIsRemainder reports whether at most 1 % of the source's messages pass by SPF alone: only so
// much a person can accept on the way to p=reject.
func (s *Source) SPFIsRemainder() bool { return s.SPFOnly()*100 <= s.Messages }

// Context holds the facts about a domain that classifying a source needs.
type Context struct {
	Domain       string
	OwnSelectors map[string]bool // selectors of sources that pass SPF as the domain
	Parked       bool            // the domain sends no mail
}

// OwnSelectors returns the selectors that hosts sign with which the domain's own SPF record names.
func OwnSelectors(sources []Source) map[string]bool {
	out := map[string]bool{}
	for i := range sources {
		s := &sources[i]
		if s.SPF*2 < s.Messages {
			continue
		}
		for _, sel := range s.Selectors {
			out[sel] = true
		}
	}
	return out
}

// Classify returns the class of s, and the reason as a phrase. The caller applies a
// person's verdict first.
//
// Own are sources in this host's networks or in the domain's SPF record, and signing hosts
// below the domain. A known service comes next. Mail with our signature from a host that is
// not configured was forwarded, if the selector is one of our hosts'; with another selector
// it is a service that was set up. A source that never passed is a forgery, or looks like
// one; if the domain sends no mail, all such sources are forgeries.
func Classify(s *Source, c Context) (Class, string) {
	switch {
	case c.Parked && s.Pass == 0:
		return Spoof, "the domain sends no mail"
	case s.Network:
		return Ours, "the address is in this host's networks"
	case s.SPF*2 >= s.Messages && s.SPF > 0:
		return Ours, "the SPF record of the domain names it"
	case s.DKIM > 0 && below(s.ReverseNames, c.Domain):
		return Ours, "it signs for the domain and has a name below it"
	case s.TellTale.Name != "":
		return Service, "its name ends in " + s.TellTale.Suffix
	case s.Forwarded+s.Listed > 0 && (s.Forwarded+s.Listed)*2 >= s.Fail():
		return Forwarding, "receivers report that it forwards mail"
	case s.DKIM > 0 && foreign(s.Selectors, c.OwnSelectors):
		return Service, "it signs for the domain with a selector of its own"
	case s.DKIM > 0:
		return Forwarding, "its mail has signatures of your own hosts"
	case s.Pass > 0:
		return Unknown, "some of its mail passes"
	case s.NoAddress:
		return Unknown, "reports do not say which address it is"
	case s.OtherDKIM*2 >= s.Messages && s.OtherSPF*2 >= s.Messages && s.Messages >= fewMessages:
		return Unknown, "SPF and DKIM pass but do not align: it may be a service that is not set " +
			"up yet"
	}
	return Spoof, "no message ever passed"
}

func below(names []string, domain string) bool {
	for _, n := range names {
		n = strings.TrimSuffix(strings.ToLower(n), ".")
		if n == domain || strings.HasSuffix(n, "."+domain) {
			return true
		}
	}
	return false
}

// foreign reports whether selectors has none of own.
func foreign(selectors []string, own map[string]bool) bool {
	for _, s := range selectors {
		if own[s] {
			return false
		}
	}
	return len(selectors) > 0 && len(own) > 0
}
