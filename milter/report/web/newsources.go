package web

import (
	"context"
	"net/netip"
	"slices"

	"mailseal/milter/report/advice"
)

// Bounds of the marks of new sources.
const (
	maxNew       = 10             // sources of a period that are marked, those with most messages
	maxNewIPs    = 100            // addresses of these
	newAfter     = advice.Day(7)  // a domain must have had reports for so long before
	newUnlessFor = advice.Day(90) // a source that was seen in so many days before is not new
)

// markNew adds an event for each source that began to send in the period. Forgeries come and go,
// and are none.
func (s *Server) markNew(ctx context.Context, x *facts) error {
	if x.base != nil { // whether a source is new does not depend on who reports it
		for _, e := range x.base.events {
			if e.Kind == "source" {
				x.events = append(x.events, e)
			}
		}
		sortEvents(x.events)
		return nil
	}
	var list []*source
	var ips []netip.Addr
	for i := range x.sources {
		src := &x.sources[i]
		isForeign := src.Class == advice.Spoof || src.Class == advice.Forwarding ||
			src.Class == advice.NotOurs || src.Class == advice.Scanner
		if isForeign || src.Messages < fewest || src.first <= x.filter.From ||
			x.domain.First == 0 || src.first-x.domain.First < newAfter ||
			len(list) == maxNew || len(ips)+len(src.Addresses) > maxNewIPs {
			continue
		}
		list, ips = append(list, src), append(ips, src.Addresses...)
	}
	if len(list) == 0 {
		return nil
	}
	before, err := s.read.Sources(ctx, Filter{From: x.filter.From - newUnlessFor,
		To: x.filter.From - 1, Domains: []string{x.domain.Name}, Addresses: ips})
	if err != nil {
		return err
	}
	known := map[netip.Addr]bool{}
	for _, a := range before {
		known[a.IP] = true
	}
	for _, src := range list {
		if slices.ContainsFunc(src.Addresses, func(ip netip.Addr) bool { return known[ip] }) {
			continue
		}
		x.events = append(x.events, Event{Domain: x.domain.Name, At: src.first.Time(),
			Kind: "source", Text: "new source " + src.Name + ": " +
				advice.Plural(src.Messages, "message", "messages") + ", " + src.cause.Word})
	}
	sortEvents(x.events)
	return nil
}

func sortEvents(events []Event) {
	slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
}
