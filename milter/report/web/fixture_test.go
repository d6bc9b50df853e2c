package web

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// The clock of the tests, and the day that it is.
var (
	clock = time.Date(2026, 11, 30, 8, 14, 0, 0, time.UTC)
	today = advice.DayOf(clock)
)

// hostile is what a stranger may write into every field.
const hostile = "\u202e\x07<script>alert(1)</script>\u2066\x1b[31m\"'&" +
	`=HYPERLINK("http://x.test")`

// formula is the same, beginning as a formula does.
const formula = `=HYPERLINK("http://x.test")` + hostile

// world is 90 days of invented reports on 25 domains.
func world() *Memory {
	b := &builder{m: &Memory{Reverse: map[netip.Addr]string{}, RawXML: map[int64][]byte{},
		Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/26")}},
		r: rand.New(rand.NewPCG(1, 2))}
	b.domains()
	receivers := []struct {
		name  string
		share int64
	}{{"google.com", 50}, {"outlook.com", 22}, {"yahoo.com", 9}, {"gmx.net", 6}, {"web.de", 5},
		{"comcast.net", 3},
		{"mail.ru", 2}, {"seznam.cz", 1}, {"fastmail.com", 1}, {"small.test", 1}, {"uni.test", 1}}
	for back := int32(90); back >= 1; back-- {
		day := today - advice.Day(back)
		for _, d := range b.m.DomainList {
			for i, r := range receivers {
				if back <= 1 && i > 2 || r.name == "yahoo.com" && d.Name == "example.org" &&
					back < 8 {
					continue
				}
				b.report(d, r.name, r.share, day)
			}
		}
	}
	b.m.IntakeState = Intake{Today: 41, Usual: 44, Duplicates: 3, Last: clock.Add(-4 * time.Minute),
		Failures: 2, TLS: 5,
		Mails: 44, Bytes: 1_200_000, UnreadToday: 1,
		Unread: []UnreadKind{{"aggregate", 1, 1}, {hostile, 1, 1}},
		Errors: []Failure{{ID: 1, At: clock, Code: "aggregate", Why: "gzip ends before </feedback>",
			From: hostile, Subject: hostile, Length: 40960, Via: "lmtp", Held: true, Reports: 1},
			{ID: 2, At: clock, Code: hostile, Why: hostile, From: hostile, Subject: hostile,
				Length: 9, Via: "upload"}},
		Unverified: []Stranger{{"receiver.test", hostile, "shop.example", 3, clock}},
		Others:     []Stranger{{hostile, "gmx.net", "museum.test", 1, clock}},
		Decided:    []Decided{{"liar.test", true, 7}, {hostile, false, 2}}}
	b.m.RawMail = map[int64][]byte{1: []byte("Subject: " + hostile + "\n\n" + hostile)}
	b.m.Previews = map[string][]Preview{"college.example": {previewOf("college.example")},
		hostile: {previewOf(hostile)}}
	for i := range advice.Day(30) {
		b.m.IntakeState.Days = append(b.m.IntakeState.Days, DayCount{today - i, 30 + int64(i%9)})
	}
	b.m.OutgoingPage = &Outgoing{On: true,
		Rows: []OutRow{{Domain: "college.example", State: "sends", Why: "written to",
			Messages: 412, At: clock.Add(16 * time.Hour), Rows: 18},
			{Domain: hostile, State: "not told", Why: "no relation", Messages: 12,
				Gates: OutGates{Relation: Gate{Known: true, Note: hostile}}}},
		Sent: []SentReport{{"uni.test", "dmarc@uni.test", hostile, today - 1, clock,
			"20261129abcdefghijklmnopqrstuv", true}},
		Blocked: []Suppression{{1, hostile, "5.1.1 no such user", clock.Add(7 * 24 * time.Hour)}}}
	b.m.RuleList = []Rule{{ID: 41, Domain: "shop.example", Source: "esp.example",
		Class: advice.Service, By: "admin", At: clock.Add(-24 * 24 * time.Hour)}}
	b.m.EventList = []Event{{"shop.example", clock.Add(-27 * 24 * time.Hour), "policy",
		"policy changed from none to quarantine"},
		{"example.net", clock.Add(-3 * 24 * time.Hour), "dns", "key s2026a gone from DNS"}}
	b.m.Places = map[netip.Addr]Address{netip.MustParseAddr("198.51.100.12"): {ASN: 64500,
		Operator: "ESP-EXAMPLE", Country: "NL"}}
	b.m.OtherList = map[OtherKind][]Other{
		TLSReports: {{ID: 1, Domain: "shop.example", Reporter: "google.com", Begin: clock.AddDate(0, 0, -2),
			Received: clock, Proven: "google.com", Good: 120, Bad: 3, Policy: "sts",
			Failures: []TLSFailure{{"certificate-expired", "mx.shop.example", 3}}}},
		FailureReports: {{ID: 2, Domain: "shop.example", Reporter: "Lua/1.0", Begin: clock.AddDate(0, 0, -1),
			Received: clock, Source: "203.0.113.9", Failed: "dmarc", Result: "reject", Bad: 1,
			From: "a@shop.example", MailFrom: "x@junk.test"}}}
	b.m.Details = map[string]Detail{"shop.example": shopDetail(), "example.net": {At: clock,
		Keys: map[string]Key{"s2026a._domainkey.example.net": {State: store.KeyMissing}}}}
	return b.m
}

// shopDetail invents what the DNS says of the names in reports on shop.example.
func shopDetail() Detail {
	return Detail{At: clock.Add(-2 * time.Hour),
		Senders: map[netip.Addr]Judgment{
			netip.MustParseAddr("192.0.2.44"):    {"pass", "ip4:192.0.2.0/26"},
			netip.MustParseAddr("198.51.100.12"): {"softfail", "~all"}},
		Keys: map[string]Key{
			"s2026a._domainkey.shop.example": {store.KeyThere, "RSA 2048", clock.AddDate(-1, -1, 0)},
			"e1._domainkey.esp.example":      {State: store.KeyThere, Kind: "RSA 1024"}},
		Names: map[string]From{"shop.example": {"yes", "quarantine", "p"},
			"login.shop.example": {"no", "quarantine", "p"}},
		Findings: []Finding{{"note", "dmarc-np", "_dmarc.shop.example", "np= is not given"},
			{"warning", "spf-long", "shop.example", "the record is long"}}}
}

// previewOf is what a domain would get.
func previewOf(domain string) Preview {
	return Preview{Domain: domain, Day: today, ID: "20261130abcdefghijklmnopqrstuv", Messages: 412,
		Rows: 18, Sends: domain != hostile, Reason: hostile, To: []string{"dmarc@" + domain},
		Mail: []byte("From: reports@example.com\r\nTo: dmarc@" + domain + "\r\n\r\nbody"),
		XML:  []byte("<feedback>" + domain + "</feedback>")}
}

type builder struct {
	m *Memory
	r *rand.Rand
}

func (b *builder) domains() {
	policies := []advice.Step{advice.Quarantine, advice.None, advice.Quarantine, advice.Reject,
		advice.None}
	names := []string{"shop.example", "example.net", "example.org", "status.example.com",
		"example.com", "xn--bcher-kva.example", "old.example", "new.example"}
	for i := len(names); i < 25; i++ {
		names = append(names, fmt.Sprintf("client-%02d.example", i))
	}
	for i, n := range names {
		d := Domain{Name: n, Known: true, First: today - 90, Use: advice.UsePeople, UseBy: "admin",
			UseAt: today - 60,
			Policy: advice.Policy{Step: policies[i%len(policies)],
				Since: today - advice.Day(27+i*9), ADKIM: "r", ASPF: "r"}}
		d.Policy.Text = advice.WithStep("v=DMARC1; p=none; rua=mailto:dmarc@"+n, d.Policy.Step)
		switch n {
		case "old.example":
			d.Parked, d.Policy.Step = true, advice.Reject
		case "new.example":
			d.First, d.Known = 0, false
			d.NoReports = "Reports should go to dmarc@example.net, but example.net does not " +
				"publish the permission that receivers look for."
		}
		if d.Policy.Step == advice.Reject {
			d.Use = advice.UseMachines
		}
		d.checked()
		if n == "shop.example" {
			d.Terms = []advice.Term{{Text: "ip4:192.0.2.0/26", Messages: 41000},
				{Text: "include:_spf.esp.example", Foreign: true}, {Text: "ip4:203.0.113.200"}}
		}
		b.m.DomainList = append(b.m.DomainList, d)
	}
}

// checked invents what the last check of the records found.
func (d *Domain) checked() {
	d.Last = today - 1
	d.DNS = &Checks{At: clock.Add(-2 * time.Hour)}
	d.Published = &Published{Step: d.Policy.Step, At: d.Name}
	switch d.Name {
	case "example.net":
		d.DNS.Faults, d.DNS.Warnings = 2, 1
		d.DNS.Worst = "s2026a._domainkey.example.net: there is no key, but mail is signed with it"
	case "example.org":
		d.DNS.Warnings = 1
		d.DNS.Worst = "example.org: the SPF record has a term after all, which has no effect"
	case "new.example":
		d.DNS.Faults = 1
		d.DNS.Worst = "example.net does not agree to receive reports for new.example"
	case "client-10.example":
		was := advice.Reject
		d.Was, d.Published.Step = &was, advice.Reject
	case "client-11.example":
		d.Published.Step = advice.Quarantine
	case "client-24.example":
		d.DNS, d.Published = nil, nil
	}
}

// report invents the report of a receiver on a domain and a day.
func (b *builder) report(d Domain, receiver string, share int64, day advice.Day) {
	if d.Name == "new.example" {
		return
	}
	id := int64(len(b.m.ReportList) + 1)
	r := Report{ID: id, Receiver: receiver, Org: receiver, Email: "noreply@" + receiver,
		ReportID: fmt.Sprintf("%s.%d", receiver, id),
		Domain:   d.Name, Begin: day.Time(), End: day.Time().Add(24*time.Hour - time.Second),
		Received: day.Time().Add(30 * time.Hour),
		Trusted:  true, Trust: "aligned DKIM", Format: "dmarc-2.0", Policy: d.Policy.Text}
	weekday := day.Time().Weekday()
	busy := int64(4)
	if weekday == time.Saturday || weekday == time.Sunday {
		busy = 1
	}
	scale := share * busy * int64(1+len(d.Name)%5)
	own := netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + len(d.Name)%4)})
	add := func(ip netip.Addr, n int64, rec Record) {
		if n <= 0 {
			return
		}
		rec.Report, rec.N, rec.Day, rec.Domain, rec.Receiver, rec.Address, rec.Count = id,
			r.Records+1, day, d.Name, receiver, ip, n
		if rec.From == "" {
			rec.From = d.Name
		}
		if rec.Disposition == "" {
			rec.Disposition = "none"
		}
		b.m.RecordList = append(b.m.RecordList, rec)
		r.Records++
		r.Messages += n
		if rec.Pass() {
			r.Pass += n
		}
	}
	if !d.Parked {
		b.ours(d, own, scale, day, add)
	}
	if b.r.IntN(6) == 0 || d.Parked && b.r.IntN(40) == 0 {
		ip := netip.AddrFrom4([4]byte{203, 0, 113, byte(b.r.IntN(250))})
		disp := map[advice.Step]string{advice.Quarantine: "quarantine",
			advice.Reject: "reject"}[d.Policy.Step]
		add(ip, 1+int64(b.r.IntN(3)), Record{DKIM: "fail", SPF: "fail", Disposition: disp,
			SPFResult: "softfail", Envelope: "junk.test"})
	}
	if r.Messages > 0 {
		b.m.ReportList = append(b.m.ReportList, r)
		b.m.RawXML[id] = []byte("<?xml version=\"1.0\"?>\n<feedback>\n <org_name>" + receiver +
			"</org_name>\n</feedback>\n")
	}
}

func (b *builder) ours(d Domain, own netip.Addr, scale int64, day advice.Day,
	add func(netip.Addr, int64, Record)) {
	signed := func(domain, selector, result string) []advice.Signature {
		return []advice.Signature{{Domain: domain, Selector: selector, Result: result}}
	}
	good := Record{DKIM: "pass", SPF: "pass", SPFResult: "pass", Envelope: d.Name,
		Signatures: signed(d.Name, "s2026a", "pass")}
	if d.Name == "example.net" && day >= today-4 {
		good.DKIM, good.SPF, good.SPFResult, good.Signatures = "fail", "fail", "neutral",
			signed(d.Name, "s2026a", "permerror")
	}
	b.m.Reverse[own] = "mx." + d.Name
	add(own, scale+int64(b.r.IntN(int(scale)+1)), good)
	forward := netip.MustParseAddr("198.51.100.77")
	b.m.Reverse[forward] = "mx.forward.test"
	if b.r.IntN(3) == 0 {
		add(forward, 1+scale/40, Record{DKIM: "pass", SPF: "fail", SPFResult: "pass",
			Envelope: "forward.test", Signatures: signed(d.Name, "s2026a", "pass")})
		add(netip.MustParseAddr("198.51.100.80"), 1, Record{DKIM: "fail", SPF: "fail",
			SPFResult: "pass", Envelope: "lists.test",
			Signatures: signed(d.Name, "s2026a", "fail"),
			Reasons:    []Reason{{"mailing_list", "trusted \u202esender"}, {"local_policy", ""}}})
	}
	if d.Name == "shop.example" {
		if day.Time().Weekday() == time.Thursday {
			esp := netip.MustParseAddr("198.51.100.12")
			b.m.Reverse[esp] = "o12.out.esp.example"
			add(esp, scale*6, Record{DKIM: "fail", SPF: "fail", Disposition: "quarantine",
				SPFResult: "pass", Envelope: "bounce.esp.example",
				Signatures: signed("esp.example", "e1", "pass")})
		}
		if day.Time().Weekday() == time.Monday {
			add(netip.MustParseAddr("203.0.113.140"), 1, Record{DKIM: "fail", SPF: "fail",
				Disposition: "quarantine", SPFResult: "none", From: "login.shop.example"})
		}
		add(netip.MustParseAddr("192.0.2.44"), 1+scale/10, Record{DKIM: "fail", SPF: "pass",
			SPFResult: "pass", Envelope: d.Name})
		if day > today-6 {
			add(netip.MustParseAddr("198.51.100.201"), 2+scale/20,
				Record{DKIM: "fail", SPF: "fail", SPFResult: "none"})
		}
	}
}

// hostileWorld is one report with a stranger's worst in every field.
func hostileWorld(hostile string) *Memory {
	ip := netip.MustParseAddr("203.0.113.5")
	d := Domain{Name: "shop.example", Known: true, First: today - 40,
		DNS:       &Checks{Warnings: 2, At: clock, Worst: hostile},
		Terms:     []advice.Term{{Text: hostile}},
		Published: &Published{At: hostile},
		Policy:    advice.Policy{Step: advice.None, Since: today - 40, Text: hostile}}
	return &Memory{DomainList: []Domain{d}, Reverse: map[netip.Addr]string{ip: hostile},
		RawXML: map[int64][]byte{1: []byte(hostile)},
		ReportList: []Report{{ID: 1, Receiver: hostile, Org: hostile, Email: hostile,
			ReportID: hostile, Domain: d.Name, Begin: (today - 2).Time(),
			End: (today - 1).Time(), Received: clock, Trust: hostile, Format: hostile,
			Policy: hostile, Generator: hostile,
			Notes: []Note{{hostile, hostile, hostile}}, Messages: 60, Records: 1}},
		RecordList: []Record{{Report: 1, N: 1, Day: today - 2, Domain: d.Name, Receiver: hostile,
			Address: ip, Count: 60, Disposition: hostile,
			DKIM: hostile, SPF: hostile, From: hostile, Envelope: hostile, SPFDomain: hostile, SPFResult: hostile,
			Signatures: []advice.Signature{{Domain: hostile, Selector: hostile, Result: hostile}},
			Reasons:    []Reason{{hostile, hostile}}}},
		Details: map[string]Detail{d.Name: {At: clock,
			Senders:  map[netip.Addr]Judgment{ip: {hostile, hostile}},
			Keys:     map[string]Key{strings.ToLower(hostile + "._domainkey." + hostile): {hostile, hostile, clock}},
			Names:    map[string]From{hostile: {hostile, hostile, hostile}},
			Findings: []Finding{{hostile, hostile, hostile, hostile}}}},
		OtherList: map[OtherKind][]Other{
			TLSReports: {{Domain: d.Name, Reporter: hostile, Begin: clock.AddDate(0, 0, -2), Received: clock,
				Proven: hostile, Bad: 1, Policy: hostile, Failures: []TLSFailure{{hostile, hostile, 1}}}},
			FailureReports: {{Domain: d.Name, Reporter: hostile, Begin: clock.AddDate(0, 0, -2),
				Received: clock, Source: hostile, Failed: hostile, Result: hostile, From: hostile,
				MailFrom: hostile, Proven: hostile, Bad: 1}}},
		Places:    map[netip.Addr]Address{ip: {ASN: 1, Operator: hostile, Country: hostile}},
		RuleList:  []Rule{{ID: 1, Domain: d.Name, Source: ip.String(), Class: advice.Service, By: hostile, At: clock}},
		EventList: []Event{{d.Name, clock.Add(-48 * time.Hour), "dns", hostile}},
		RawMail:   map[int64][]byte{1: []byte(hostile)},
		IntakeState: Intake{Errors: []Failure{{ID: 1, At: clock, Code: hostile, Why: hostile,
			From: hostile, Subject: hostile, Length: 1, Via: hostile, Held: true}},
			Unread:     []UnreadKind{{hostile, 1, 1}},
			Unverified: []Stranger{{hostile, hostile, hostile, 1, clock}},
			Others:     []Stranger{{hostile, hostile, hostile, 1, clock}},
			Decided:    []Decided{{hostile, true, 1}}},
		Previews: map[string][]Preview{hostile: {previewOf(hostile)}},
		OutgoingPage: &Outgoing{Rows: []OutRow{{Domain: hostile, State: hostile, Why: hostile,
			Messages: 1, At: clock, Gates: OutGates{Free: Gate{Known: true, Note: hostile}}}},
			Sent:    []SentReport{{hostile, hostile, hostile, today, clock, hostile, true}},
			Blocked: []Suppression{{1, hostile, hostile, clock}}}}
}
