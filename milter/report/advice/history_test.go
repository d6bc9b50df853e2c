package advice

import (
	"fmt"
	"strings"
)

// Builders of histories. Day 1000 is the last day of each period.

const last Day = 1000

func span(from, to Day) []Day {
	var out []Day
	for d := from; d <= to; d++ {
		out = append(out, d)
	}
	return out
}

// host is a source of one's own that signs everything.
func host(name string, messages int64) Source {
	return Source{Name: name, Class: Ours, Messages: messages, Pass: messages, DKIM: messages,
		SPF:       messages,
		Selectors: []string{"s1"}, Days: span(last-59, last), Receivers: 8}
}

// invoices passes by SPF alone.
func invoices(messages int64) Source {
	s := host("invoice machine", messages)
	s.DKIM, s.NoDKIM, s.Selectors = 0, messages, nil
	return s
}

func spoofer(messages int64) Source {
	return Source{Name: "203.0.113.9", Class: Spoof, Messages: messages, Delivered: messages,
		NoDKIM: messages,
		Days:   span(last-3, last)}
}

// good is a domain that nothing is wrong with, at the given step for days days.
func good(step Step, days Day, more ...func(*History)) History {
	h := History{
		Domain: "shop.example", From: last - 59, To: last,
		Policy: Policy{Step: step, Since: last - days + 1, ADKIM: "r", ASPF: "r",
			Text: WithStep("v=DMARC1; p=none; rua=mailto:d@shop.example", step)},
		Reported: span(last-59, last),
		Receivers: []Receiver{
			{"google.com", 6000, last, true}, {"outlook.com", 3000, last, true}, {"gmx.net", 900, last, true},
		},
		Sources: []Source{host("mail hosts", 9900)},
		SPFAll:  "~all",
	}
	for _, f := range more {
		f(&h)
	}
	return h
}

func with(s ...Source) func(*History) {
	return func(h *History) { h.Sources = append(h.Sources, s...) }
}

func machines(h *History) { h.Use, h.UseBy, h.UseSince = UseMachines, "admin", last-30 }

func persons(h *History) { h.Use, h.UseBy, h.UseSince = UsePeople, "admin", last-30 }

func reported(days ...Day) func(*History) { return func(h *History) { h.Reported = days } }

// source is one that sent on each of the 60 days.
func source(name string, class Class, messages, pass, dkim int64, change ...func(*Source)) Source {
	s := Source{Name: name, Class: class, Messages: messages, Pass: pass, DKIM: dkim, SPF: pass,
		Delivered: messages - pass, Days: span(last-59, last), Receivers: 5}
	for _, f := range change {
		f(&s)
	}
	return s
}

// only makes a source the only one.
func only(s ...Source) func(*History) { return func(h *History) { h.Sources = s } }

func record(text string) func(*History) { return func(h *History) { h.Policy.Text = text } }

func seenOn(days ...Day) func(*Source) { return func(s *Source) { s.Days = days } }

func passedOn(forwarded, listed int64) func(*Source) {
	return func(s *Source) { s.Forwarded, s.Listed = forwarded, listed }
}

func receivers(list ...Receiver) func(*History) {
	return func(h *History) { h.Receivers = list }
}

// manyUnknown are n sources of 19 messages each that fail.
func manyUnknown(n int) []Source {
	var list []Source
	for i := range n {
		list = append(list, source(fmt.Sprint("192.0.2.", i), Unknown, 19, 0, 0))
	}
	return list
}

// tenSources is a domain with nine hosts that sign all, and one that signs a part.
func tenSources(dkim int64) func(*History) {
	var list []Source
	for _, name := range strings.Fields("a b c d e f g h i") {
		list = append(list, host("host-"+name, 1000))
	}
	return only(append(list, source("tiny", Ours, 12, 12, dkim))...)
}

func machinesAt(step Step, more ...func(*History)) History {
	return good(step, 60, append([]func(*History){machines}, more...)...)
}
