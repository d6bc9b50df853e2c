package web

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"mailseal/milter/report/advice"
)

// oddWorlds are stores at the edges: nothing, little, long, and much.
func oddWorlds() map[string]*Memory {
	one := &Memory{DomainList: []Domain{{Name: "only.example"}}}
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, strings.Repeat("b", 63), strings.Repeat("c", 63),
		strings.Repeat("d", 61)}, ".")
	names := renamed(map[string]string{"shop.example": long,
		"example.net": label + ".example", "example.org": "xn--" + strings.Repeat("bcher-kva", 6) +
			".example",
		"example.com": "xn--fiqs8s", "google.com": "receiver-" + label + ".example",
		"esp.example": strings.Repeat("e", 63) + ".esp.example"})
	much := smallWorld()
	for i := range much.RecordList {
		much.RecordList[i].Count *= 1_000_000
	}
	for i := range much.ReportList {
		much.ReportList[i].Messages *= 1_000_000
		much.ReportList[i].Pass *= 1_000_000
	}
	return map[string]*Memory{"none": {}, "one": one, "long": names, "much": much}
}

// renamed is the small world with other names.
func renamed(names map[string]string) *Memory {
	m := smallWorld()
	other := func(name *string) {
		if n := names[*name]; n != "" {
			*name = n
		}
	}
	for i := range m.DomainList {
		other(&m.DomainList[i].Name)
	}
	for i := range m.ReportList {
		r := &m.ReportList[i]
		other(&r.Domain)
		other(&r.Receiver)
		other(&r.Org)
	}
	for i := range m.RecordList {
		r := &m.RecordList[i]
		for _, name := range []*string{&r.Domain, &r.Receiver, &r.From, &r.Envelope} {
			other(name)
		}
		signatures := []advice.Signature{}
		for _, s := range r.Signatures {
			other(&s.Domain)
			signatures = append(signatures, s)
		}
		r.Signatures = signatures
	}
	for ip, name := range m.Reverse {
		if strings.HasSuffix(name, "esp.example") {
			m.Reverse[ip] = "out." + names["esp.example"]
		}
	}
	return m
}

// silentStore is a store that does not answer.
type silentStore struct{ *Memory }

var errSilent = errors.New("the store does not answer")

func (silentStore) Domains(context.Context) ([]Domain, error) { return nil, errSilent }

func (silentStore) Changed(context.Context, Mark) (Change, error) { return Change{}, errSilent }

// TestLongBrowserOdd looks at the pages of stores at the edges, and at pages of errors.
func TestLongBrowserOdd(t *testing.T) {
	if os.Getenv("MAILSEAL_LONG") == "" {
		t.Skip("it takes minutes; MAILSEAL_LONG=1 runs it")
	}
	looks := []look{desktop, telephone, dark, paper}
	for name, m := range oddWorlds() {
		s := newServer(t, m, fakeCommands{})
		b := newWindow(t, s)
		paths := map[string]string{"overview": "/", "ingest": "/ingest", "messages": "/messages",
			"reports": "/reports", "check": "/check"}
		for i, d := range m.DomainList {
			if i < 3 {
				paths["domain-"+itoa(int64(i))] = domainURL(d.Name)
			}
		}
		if len(m.ReportList) > 0 {
			r := m.ReportList[len(m.ReportList)-1]
			paths["report"], paths["record"] = "/r/"+itoa(r.ID), "/r/"+itoa(r.ID)+"/1"
			paths["receiver"] = "/receiver?" + Filter{}.query("name", r.Receiver)
			paths["source"] = sourceURL(m.DomainList[0].Name, "198.51.100.12")
		}
		for page, path := range paths {
			for _, l := range looks {
				b.open(t, path, l)
				b.inspect(t, name+"-"+page, l)
			}
		}
	}
	errorPages(t, looks)
}

// errorPages looks at what a visitor sees where nothing is, and where the store is away.
func errorPages(t *testing.T, looks []look) {
	away := newWindow(t, newServer(t, silentStore{world()}, fakeCommands{}))
	good := newWindow(t, newServer(t, world(), fakeCommands{}))
	for _, l := range looks {
		away.open(t, "/", l)
		away.inspect(t, "error-500", l)
		for name, path := range map[string]string{"domain": "/d/nothing.example",
			"page": "/nothing", "source": "/d/shop.example/s/nothing.example",
			"record": "/r/1/999"} {
			good.open(t, path, l)
			good.inspect(t, "error-404-"+name, l)
		}
	}
}
