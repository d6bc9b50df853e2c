package advice

import (
	"slices"
	"strings"
	"testing"
)

// histories are the situations that advice must get right. want is the step that may be published
// next: of an advice that is not ready, the step to stay at.
var histories = []struct {
	name     string
	h        History
	kind     Kind
	next     Step
	blockers []string
	says     string // part of the sentence
}{
	{"clean, a month at none", good(None, 40), Ready, QuarantineTest, nil,
		"Ready for quarantine; t=y: 60 days, 9,900 messages of 1 own source, 100% by aligned DKIM."},
	{"clean, at none for 12 days", good(None, 12), Stay, QuarantineTest, []string{"time"}, "12 days of 30 at none"},
	{"test rung, 14 days", good(QuarantineTest, 14), Ready, Quarantine, nil, "Ready for quarantine:"},
	{"test rung, 13 days", good(QuarantineTest, 13), Stay, Quarantine, []string{"time"}, "13 days of 14"},
	{"quarantine, nobody said who writes", good(Quarantine, 60), Done, Quarantine, []string{"people"},
		"whether people write mail from it"},
	{"quarantine, people write", good(Quarantine, 60, persons), Done, Quarantine, nil,
		"should not publish p=reject"},
	{"quarantine, machines, a month", good(Quarantine, 30, machines), Ready, RejectTest, nil, "Ready for reject; t=y"},
	{"quarantine, machines, 29 days", good(Quarantine, 29, machines), Stay, RejectTest,
		[]string{"time"}, "29 days of 30"},
	{"reject; t=y, machines, 14 days", good(RejectTest, 14, machines), Ready, Reject, nil, "Ready for reject:"},
	{"reject, machines", good(Reject, 90, machines), Done, Reject, nil, "last step"},
	{"reject, people write", good(Reject, 90, persons), Retreat, Quarantine, nil, "RFC 9989 section 7.4"},
	{"reject, nobody said who writes", good(Reject, 90), Retreat, Quarantine, []string{"people"},
		"Answer whether they do"},
	{"SPF-only source before quarantine", good(None, 40, with(invoices(1240))), Ready,
		QuarantineTest, nil, "2 own sources"},
	{"SPF-only source before reject", good(Quarantine, 60, machines, with(invoices(1240))), Stay, RejectTest,
		[]string{"dkim", "spf-only"}, "1,240 of invoice machine by SPF alone"},
	{"SPF-only, accepted by a person, but no DKIM",
		good(Quarantine, 60, machines, func(h *History) {
			s := invoices(1240)
			s.SPFAccepted = true
			h.Sources = append(h.Sources, s)
		}), Stay, RejectTest, []string{"dkim", "spf-only"},
		"invoice machine 0 of 1,240 by aligned DKIM"},
	{"all by SPF alone, accepted, at reject", good(Reject, 60, machines, func(h *History) {
		h.Sources = []Source{invoices(200)}
		h.Sources[0].SPFAccepted = true
	}), Retreat, Quarantine, []string{"dkim", "spf-only"}, "excuses at most 1% of a source"},
	{"unknown, all by SPF alone, accepted", good(Quarantine, 60, machines, func(h *History) {
		s := invoices(15)
		s.Class, s.SPFAccepted = Unknown, true
		h.Sources = append(h.Sources, s)
	}), Stay, RejectTest, []string{"spf-only"}, "15 of invoice machine by SPF alone"},
	{"most of the mail is of small unknown sources",
		good(RejectTest, 60, machines, func(h *History) {
			h.Sources = append([]Source{host("mail hosts", 100)}, manyUnknown(50)...)
		}), Stay, Reject, []string{"judged"},
		"50 small unknown sources with 950 messages together not judged"},
	{"two small unknown sources, below 1%", good(RejectTest, 60, machines, with(manyUnknown(2)...)),
		Ready, Reject, nil, "Ready for reject"},
	{"two of one's own, 200 of a forwarder", good(RejectTest, 60, machines, func(h *History) {
		h.Sources = []Source{host("mail hosts", 2), source("forward.test", Forwarding, 200, 200,
			200)}
	}), TooLittle, Reject, []string{"messages"}, "2 messages of your own"},
	{"reject, and one of two messages is not signed", good(Reject, 60, machines, func(h *History) {
		h.Sources = []Source{source("mail hosts", Ours, 2, 1, 1)}
	}), Done, Reject, nil, "The reports are few"},
	{"reject, one of two not signed, and enough of others", good(Reject, 60, machines,
		with(source("fax", Ours, 2, 1, 1))), Retreat, Quarantine, []string{"dkim"}, "fax 1 of 2"},
	{"reject, ten of 20 not signed", good(Reject, 60, machines, func(h *History) {
		h.Sources = []Source{source("mail hosts", Ours, 20, 10, 10)}
	}), Retreat, Quarantine, []string{"dkim"}, "mail hosts 10 of 20"},
	{"a few pass by SPF alone", good(Quarantine, 60, machines, func(h *History) { h.Sources[0].DKIM -= 9 }),
		Stay, RejectTest, []string{"spf-only"}, "9 of mail hosts by SPF alone"},
	{"SPF alone everywhere, test rung before reject",
		good(RejectTest, 30, machines, func(h *History) {
			h.Sources = []Source{invoices(5000)}
		}), Stay, Reject, []string{"dkim", "spf-only"}, "by SPF alone"},
	{"monthly invoice run, seen once", good(None, 40, with(func() Source {
		s := host("invoice run", 800)
		s.Days = []Day{last - 20, last - 19}
		return s
	}())), Stay, QuarantineTest, []string{"rhythm"}, "invoice run seen only once"},
	{"monthly invoice run, seen twice", good(None, 40, with(func() Source {
		s := host("invoice run", 800)
		s.Days = []Day{last - 50, last - 49, last - 20, last - 19}
		return s
	}())), Ready, QuarantineTest, nil, "2 own sources"},
	{"reject, and this host sends answers of people",
		good(Reject, 90, func(h *History) { h.Replies = 7 }), Retreat, Quarantine, nil,
		"This host sent 7 replies to other mail, and replies are written by people"},
	{"quarantine, answers, but a person said machines",
		good(Quarantine, 30, machines, func(h *History) { h.Replies = 7 }),
		Ready, RejectTest, nil, "Ready for reject; t=y"},
	{"list users, said by receivers, machines claimed", good(Quarantine, 60, machines, with(Source{Name: "lists.test",
		Class: Forwarding, Messages: 41, Listed: 41, Delivered: 41})), Done, Quarantine, nil,
		"41 messages came through mailing lists"},
	{"list users, seen in our own outbound mail", good(Quarantine, 60, machines, func(h *History) { h.ToLists = 12 }),
		Done, Quarantine, nil, "This host sent 12 messages to mailing lists"},
	{"list users at reject", good(Reject, 200, machines, func(h *History) { h.ToLists = 12 }), Retreat, Quarantine, nil,
		"people write from it"},
	{"forwarder-heavy", good(None, 40,
		with(Source{Name: "forward.example", Class: Forwarding, Messages: 4000, Pass: 3960,
			DKIM: 3960, Delivered: 40, Forwarded: 40, Days: span(last-59, last)})), Ready,
		QuarantineTest, nil, "1 own source"},
	{"spoof wave", good(None, 40, with(spoofer(50000))), Ready, QuarantineTest, nil, "9,900 messages of 1 own source"},
	{"one reporter only", good(None, 40, func(h *History) { h.Receivers = h.Receivers[:1] }), TooLittle, QuarantineTest,
		[]string{"receivers"}, "1 receiver, google.com"},
	{"three reporters, no big one", good(None, 40, func(h *History) {
		h.Receivers = []Receiver{{"a.test", 1, last, true}, {"b.test", 1, last, true},
			{"c.test", 1, last, true}}
	}), TooLittle, QuarantineTest, []string{"receivers"}, "none of them Google"},
	{"gap in reports", good(None, 40, reported(span(last-20, last)...)), TooLittle, QuarantineTest, []string{"days"},
		"9 more days of reports are needed"},
	{"a daily reporter stopped reporting",
		good(None, 40, func(h *History) { h.Receivers[1].Last = last - 4 }), TooLittle,
		QuarantineTest, []string{"silent"}, "outlook.com silent"},
	{"t=y ignored by a receiver", good(QuarantineTest, 20,
		func(h *History) { h.Sources[0].Held, h.Sources[0].Pass = 90, 9810 }),
		Ready, Quarantine, nil, "Ready for quarantine"},
	{"low volume", good(None, 40, func(h *History) { h.Sources[0] = host("mail hosts", 12) }),
		TooLittle, QuarantineTest,
		[]string{"messages"}, "12 messages"},
	{"own source fails", good(None, 40, with(Source{Name: "newsletter service", Class: Service, Messages: 4812,
		Delivered: 4812, OtherDKIM: 4812, OtherSPF: 4812, Days: span(last-40, last)})), Stay, QuarantineTest,
		[]string{"failing"}, "4,812 of newsletter service fail"},
	{"unknown source not judged", good(None, 40, with(Source{Name: "198.51.100.201", Class: Unknown, Messages: 214,
		Delivered: 214})), Stay, QuarantineTest, []string{"judged"}, "198.51.100.201 not judged"},
	{"key gone from DNS", good(None, 40, func(h *History) {
		h.Selectors = []Selector{{"s1._domainkey.shop.example", 500, true}}
	}), Stay, QuarantineTest, []string{"keys"}, "no key in DNS at s1._domainkey.shop.example"},
	{"no source of one's own", good(None, 40, func(h *History) { h.Sources = []Source{spoofer(500)} }), Stay,
		QuarantineTest, []string{"own"}, "no source of your own"},
	{"parked, at none", good(None, 3, func(h *History) { h.Parked, h.Sources = true, nil }), Ready, Reject, nil,
		"sends no mail"},
	{"parked, at reject", good(Reject, 3, func(h *History) {
		h.Parked, h.Sources = true, []Source{spoofer(5)}
	}), Done, 0, nil, "says so with p=reject"},
	{"parked, but it sends", good(None, 3, func(h *History) { h.Parked = true }), Stay, Reject, []string{"parked"},
		"is configured as parked"},
	{"parked, but a source of its own fails", good(None, 3, func(h *History) {
		h.Parked, h.Sources = true, []Source{source("fax", Ours, 500, 0, 0)}
	}), Stay, Reject, []string{"parked"},
		"500 messages of fax, a source of your own, used its name"},
}

func TestHistories(t *testing.T) {
	if len(histories) < 30 {
		t.Fatalf("%d histories, want 30 or more", len(histories))
	}
	for _, c := range histories {
		t.Run(c.name, func(t *testing.T) {
			a := Judge(c.h)
			if a.Kind != c.kind {
				t.Errorf("kind %s, want %s: %s", a.Kind, c.kind, a.Sentence)
			}
			if c.next != 0 && a.Next != c.next {
				t.Errorf("next %s, want %s", a.Next, c.next)
			}
			if got := a.Blockers(); !slices.Equal(got, c.blockers) {
				t.Errorf("blockers %q, want %q", got, c.blockers)
			}
			if !strings.Contains(a.Sentence, c.says) {
				t.Errorf("sentence %q does not say %q", a.Sentence, c.says)
			}
		})
	}
}

// TestProofAndWayBack holds that a step that is advised comes with its record, its cost and its way
// back, and that too little data never gives a percentage or a record.
func TestProofAndWayBack(t *testing.T) {
	for _, c := range histories {
		a := Judge(c.h)
		switch a.Kind {
		case Ready, Retreat:
			if a.Record == "" || a.Back == "" || a.BackText == "" || a.Opposite == "" {
				t.Errorf("%s: record %q, back %q, cost %q", c.name, a.Record, a.Back, a.Opposite)
			}
			if a.Record == c.h.Policy.Text {
				t.Errorf("%s: the record to publish is the one that is published", c.name)
			}
		case TooLittle:
			if strings.Contains(a.Sentence, "%") || a.Record != "" {
				t.Errorf("%s: %q with record %q: too little data allows neither a rate "+
					"nor a record", c.name, a.Sentence, a.Record)
			}
		}
	}
}

// TestNeverReject holds RFC 9989 sections 7.4 and 8 for every history and step: no domain with list
// users, and none with mail that passes by SPF alone, is ever told that it is ready for reject.
func TestNeverReject(t *testing.T) {
	tried := 0
	for _, c := range histories {
		spfOnly := slices.ContainsFunc(c.h.Sources, func(s Source) bool {
			return s.Class.IsOwn() && s.SPFOnly() > 0 && !s.SPFAccepted
		})
		if c.h.Parked || !spfOnly && !writesToLists(c.h) && c.h.Use == UseMachines {
			continue
		}
		for step := None; step <= Reject; step++ {
			h := c.h
			h.Policy.Step, h.Policy.Since = step, last-400
			a := Judge(h)
			tried++
			if a.Kind == Ready && a.Next >= RejectTest {
				t.Errorf("%s at %s: %s", c.name, step, a.Sentence)
			}
			if strings.Contains(strings.ToLower(a.Title), "ready for reject") {
				t.Errorf("%s at %s: title %q", c.name, step, a.Title)
			}
		}
	}
	if tried < 50 {
		t.Errorf("%d histories tried: the loop looks in the wrong place", tried)
	}
}

func TestWithStep(t *testing.T) {
	tests := []struct {
		record string
		step   Step
		want   string
	}{
		{"v=DMARC1; p=none; rua=mailto:d@x.example", QuarantineTest,
			"v=DMARC1; p=quarantine; t=y; rua=mailto:d@x.example"},
		{"v=DMARC1;p=quarantine;t=y;np=reject;", Quarantine, "v=DMARC1; p=quarantine; np=reject"},
		{"v=DMARC1; rua=mailto:d@x.example", Quarantine, "v=DMARC1; p=quarantine; rua=mailto:d@x.example"},
		{"", Reject, "v=DMARC1; p=reject"},
		{"v=DMARC1; p=none; p=reject", Quarantine, "v=DMARC1; p=quarantine"},
		{"p=none; rua=mailto:d@x.example", Quarantine, "v=DMARC1; p=quarantine; rua=mailto:d@x.example"},
		{"v=DMARC1; P=Reject; T=y; sp=none", Reject, "v=DMARC1; p=reject; sp=none"},
	}
	for _, c := range tests {
		if got := WithStep(c.record, c.step); got != c.want {
			t.Errorf("WithStep(%q, %s) = %q, want %q", c.record, c.step, got, c.want)
		}
	}
}

func TestNotes(t *testing.T) {
	long := reported(span(last-95, last)...)
	tests := []struct {
		name  string
		h     History
		codes []string
	}{
		{"nothing", good(None, 40), nil},
		{"-all at none is fine", good(None, 40, func(h *History) { h.SPFAll = "-all" }), nil},
		{"-all under quarantine", good(Quarantine, 40, func(h *History) { h.SPFAll = "-all" }), []string{"spf-hard"}},
		{"-all of a parked domain", good(Reject, 40, func(h *History) { h.SPFAll, h.Parked = "-all", true }), nil},
		{"a parked domain that others may send as",
			good(Reject, 40, func(h *History) { h.SPFAll, h.Parked = "~all", true }),
			[]string{"spf-parked"}},
		{"a parked domain with a term", good(Reject, 40, func(h *History) {
			h.SPFAll, h.Parked, h.Terms = "-all", true, []Term{{Text: "mx"}}
		}), []string{"spf-parked"}},
		{"a parked domain without SPF",
			good(Reject, 40, func(h *History) { h.NoSPF, h.Parked = true, true }),
			[]string{"spf-parked"}},
		{"+all", good(None, 40, func(h *History) { h.SPFAll = "+all" }), []string{"spf-open"}},
		{"unused term", good(None, 40, long, func(h *History) { h.Terms = []Term{{Text: "ip4:192.0.2.200"}} }),
			[]string{"spf-unused"}},
		{"unused term, 60 days only", good(None, 40,
			func(h *History) { h.Terms = []Term{{Text: "ip4:192.0.2.200"}} }), nil},
		{"unused term, but our host", good(None, 40, long, func(h *History) {
			h.Terms = []Term{{Text: "ip4:192.0.2.1", OwnHost: true}}
		}), nil},
		{"foreign envelope", good(None, 40, func(h *History) {
			h.Terms = []Term{{Text: "include:esp.example", Messages: 5, Foreign: true}}
		}), []string{"spf-foreign"}},
		{"key missing", good(None, 40, func(h *History) { h.Selectors = []Selector{{"s1", 5, true}} }),
			[]string{"key-missing"}},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, n := range Judge(c.h).Notes {
				got = append(got, n.Code)
				if n.Text == "" || n.Fix == "" {
					t.Errorf("note %s has no text or no remedy", n.Code)
				}
			}
			if !slices.Equal(got, c.codes) {
				t.Errorf("notes %q, want %q", got, c.codes)
			}
		})
	}
}
