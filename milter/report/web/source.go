package web

import (
	"cmp"
	"context"
	"html/template"
	"net/netip"
	"slices"

	"mailseal/milter/report/advice"
)

// sourcePage says who a source is, whether it is one's own, why it fails, and what to change.
func (s *Server) sourcePage(ctx context.Context, v visit, domain, source string) (*page, error) {
	d, err := s.domain(ctx, v, domain)
	if err != nil {
		return nil, err
	}
	x, err := s.facts(ctx, d, v.filter)
	if err != nil {
		return nil, err
	}
	src := x.find(source)
	if src == nil {
		return s.absentSource(ctx, v, d, source)
	}
	f := x.filter
	f.Addresses = src.Addresses
	p := &page{Current: "/", Title: visible(src.Name) + " as " + d.Name, Filter: v.filter,
		Periods: periods(v),
		Crumbs: []crumb{{"Domains", "/"},
			{name(d.Name), domainURL(d.Name) + "?" + v.filter.query()}, {name(src.Name), ""}}}
	class := map[advice.Severity]string{advice.Fault: "w-fail", advice.Warning: "w-warn",
		advice.Harmless: "w-quiet"}[src.cause.Severity]
	p.Heading = word(class, src.cause.Word) + " " + say("%s, as %s: %s, %s.", src.Name, d.Name,
		plain(advice.Plural(src.Messages, "message", "messages")),
		plain(passes(src.Pass, src.Messages)))
	p.Lead = []template.HTML{prose(src.cause.Text)}
	c := src.counts
	to := func(pairs ...string) string {
		return x.filter.messages(append([]string{"source", src.Name}, pairs...)...)
	}
	p.Facts = []fact{
		{Label: "Messages", Value: number(src.Messages, to()).HTML,
			Note: say("%s of %s", plain(percent(src.Messages, x.total.Messages)), d.Name)},
		{Label: "Pass DMARC", Value: plain(percent(src.Pass, src.Messages)),
			Class: rate(src.Pass, src.Messages).Class},
		{Label: "Aligned DKIM", Value: plain(percent(src.DKIM, src.Messages))},
		{Label: "Delivered", Value: number(c.Delivered, to("result", "delivered")).HTML},
		{Label: "Held", Value: number(c.Held, to("result", "held")).HTML},
		{Label: "Refused", Value: number(c.Refused, to("result", "refused")).HTML},
		{Label: "Seen", Value: dayHTML(src.first, x.now),
			Note: say("to %s", dayHTML(src.last, x.now))},
	}
	days, err := s.read.Sums(ctx, f, ByDay)
	if err != nil {
		return nil, err
	}
	receivers, err := s.read.Sums(ctx, f, ByReceiver)
	if err != nil {
		return nil, err
	}
	reasons, err := s.reasons(ctx, x, src.Name, f)
	if err != nil {
		return nil, err
	}
	detail, err := s.read.Detail(ctx, d.Name)
	if err != nil {
		return nil, err
	}
	latest, err := s.read.Records(ctx, f, Window{Rows: latestRecords})
	if err != nil {
		return nil, err
	}
	p.Sections = []section{remedy(src, d.Name), s.verdict(ctx, v, x, src),
		sourceDays(x, src.Name, days), identity(src, x, detail),
		sourceReceivers(receivers, reasons, to), identifiers(src, x), latestOf(latest, to(),
			"/reports?"+x.filter.query("source", src.Name))}
	return p, nil
}

// absentSource is the page of a source that sent nothing in the period, though it did in the last
// year: a link to another period must not end here.
func (s *Server) absentSource(ctx context.Context, v visit, d Domain, source string) (*page,
	error) {
	year := Filter{From: advice.DayOf(s.now()) - 365, To: advice.DayOf(s.now()) - 1,
		Domains: []string{d.Name}}
	if sent, err := s.maySend(ctx, year, source); err != nil || !sent {
		return nil, cmp.Or(err, ErrNotFound)
	}
	x, err := s.sent(ctx, d, year)
	if err != nil {
		return nil, err
	}
	src := x.find(source)
	if src == nil {
		return nil, ErrNotFound
	}
	p := &page{Current: "/", Title: visible(src.Name) + " as " + d.Name, Filter: v.filter,
		Periods: periods(v),
		Crumbs: []crumb{{"Domains", "/"},
			{name(d.Name), domainURL(d.Name) + "?" + v.filter.query()}, {name(src.Name), ""}},
		Heading: say("%s, as %s: no message in this period.", src.Name, d.Name)}
	p.Lead = []template.HTML{say("In the last year it sent %s as %s, the last on %s.",
		plain(advice.Plural(src.Messages, "message", "messages")), d.Name,
		dayHTML(src.last, x.now))}
	return p, nil
}

// maySend reports whether a name could be that of a source in the period of f, as far as its form
// and one short query tell: a year of reports is not read for every address that someone invents.
func (s *Server) maySend(ctx context.Context, f Filter, source string) (bool, error) {
	if _, err := netip.ParsePrefix(source); err == nil {
		return s.isJudgedNetwork(ctx, source)
	}
	ip, err := netip.ParseAddr(source)
	if err != nil {
		return source == forgeries || source == advice.NoName || organization(source) == source ||
			advice.IsKnown(source), nil
	}
	f.Addresses = []netip.Addr{ip}
	sums, err := s.read.Sums(ctx, f, ByDay)
	return len(sums) > 0, err
}

// sent are the sources of a period alone, without sums of days and receivers, events and advice.
func (s *Server) sent(ctx context.Context, d Domain, f Filter) (x *facts, err error) {
	now := advice.DayOf(s.now())
	x = &facts{domain: d, filter: f, now: now, late: now - 1, byIP: map[netip.Addr]*source{}}
	if x.rules, err = s.read.Rules(ctx); err != nil {
		return nil, err
	}
	if x.ids, err = s.read.Identities(ctx, f); err != nil {
		return nil, err
	}
	addresses, err := s.read.Sources(ctx, f)
	if err != nil {
		return nil, err
	}
	x.group(addresses)
	return x, nil
}

// latestRecords is how many records the page of a source shows as samples.
const latestRecords = 5

// latestOf are samples of the reports that a source stands in.
func latestOf(records []Record, all, reports string) section {
	t := recordTable(records, true)
	t.Name, t.Caption = "latest", say("The newest. A number opens the record in words. %s, %s",
		link(all, "All records"), link(reports, "the reports"))
	t.Empty = "None in this period."
	return section{ID: "latest", Title: "Latest records", Table: t}
}

func passes(pass, all int64) string {
	switch pass {
	case 0:
		return "none passes DMARC"
	case all:
		return "all pass DMARC"
	}
	return advice.Count(all-pass) + " of them fail DMARC"
}

// find returns the source with a name, or the one that an address belongs to.
func (x *facts) find(name string) *source {
	for i := range x.sources {
		if x.sources[i].Name == name {
			return &x.sources[i]
		}
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		return x.byIP[ip]
	}
	return nil
}

func remedy(s *source, domain string) section {
	out := section{Cols: "cols", ID: "fix", Title: "What to do"}
	step := func(text string) { out.Text = append(out.Text, plain(text)) }
	switch s.cause.Code {
	case "not-aligned", "dkim-not-aligned":
		where := "the domain settings of the service"
		if s.TellTale.DKIM != "" {
			where = s.TellTale.Name + ": " + s.TellTale.DKIM
		}
		step("1. Open " + where + ", and add " + domain +
			" as a sending or signing domain. Choose a key of 2048 bits if you can.")
		step("2. Publish the records that the service shows. They look like this one:")
		out.Records = []record{{"Zone file", "s1._domainkey." + domain + ". 3600 IN CNAME s1." +
			rowID(domain) + ".dkim." +
			cmp.Or(organization(s.Signer), "service.example") + "."}}
	case "spf-only", "own-host", "subdomain", "spf-not-aligned":
		step("Make a key on the host that signs. The private key stays on that host:")
		out.Records = []record{{"On the host that signs",
			"mailseal keygen --domain " + domain + " --selector s1"}}
	case "key-missing", "signature-broken":
		step("Compare the key in DNS with the key that signs:")
		out.Records = []record{{"On this host", "mailseal check --dns"}}
	default:
		if s.cause.Fix == "" {
			step("Nothing needs to be done.")
		} else {
			step(s.cause.Fix + ".")
		}
	}
	return out
}

// verdict is the form by which a person says whose a source is.
func (s *Server) verdict(ctx context.Context, v visit, x *facts, src *source) section {
	out := section{End: true, ID: "verdict", Title: "Who does it belong to?"}
	text := say("Classified as “%s” automatically: %s.", plain(string(src.Class)), prose(src.why))
	form := &judgeForm{Action: sourceURL(x.domain.Name, src.Name), Source: src.Name}
	if src.rule != nil {
		text = say("Judged “%s” by %s on %s; before that: %s.", plain(string(src.rule.Class)),
			src.rule.By, timeHTML(src.rule.At),
			plain(cmp.Or(string(src.rule.Was), "classified automatically")))
		form.Undo = src.rule.ID
	}
	form.Text = text
	for _, c := range []struct {
		class advice.Class
		text  string
	}{{advice.Ours, "Ours"}, {advice.Service, "A service we use"},
		{advice.Forwarding, "Forwarding"},
		{advice.NotOurs, "Not ours"}, {advice.Scanner, "Known scanner"}} {
		form.Classes = append(form.Classes, classButton{string(c.class), c.text, src.Judged &&
			src.Class == c.class})
	}
	if src.Name == forgeries {
		out.Text = []template.HTML{text}
		return out
	}
	form.SPF = acceptOf(src)
	form.Network = exampleNetwork(src.Addresses)
	commands, why := s.changes(ctx, v)
	if commands == nil {
		out.Text = append([]template.HTML{text}, why...)
		return out
	}
	out.Judge = form
	return out
}

// acceptOf is the form for mail that passes by SPF alone: p=reject needs that a person accepts it,
// and that it is a remainder.
func acceptOf(src *source) *acceptForm {
	n := plain(advice.Plural(src.SPFOnly(), "message passes", "messages pass"))
	if r := src.accepted; r != nil {
		text := say("%s by SPF alone, which %s accepted on %s.", n, r.By, timeHTML(r.At))
		if !src.SPFIsRemainder() {
			text += " This excuses at most 1% of its mail: p=reject is advised only after 99% of " +
				"it has aligned DKIM."
		}
		return &acceptForm{Undo: r.ID, Text: text}
	}
	if src.SPFOnly() == 0 {
		return nil
	}
	return &acceptForm{Text: say("%s by SPF alone, and fail once they are forwarded. p=reject is "+
		"advised only after 99%% of the mail of the source has aligned DKIM. Accepting does not "+
		"lift that rule: it excuses the rest, at most 1%%.", n)}
}

func sourceDays(x *facts, source string, sums []Sum) section {
	b := dayBars{from: x.filter.From, to: x.filter.To, late: x.late, days: map[advice.Day]Counts{}}
	for _, s := range sums {
		b.days[s.Day] = s.Counts
	}
	return section{ID: "days", Title: "Messages by day",
		Chart: chart(b, x.now, nil, func(d advice.Day) string {
			return x.filter.messages("source", source, "from", d.String(), "to", d.String())
		})}
}

func sourceReceivers(sums, reasons []Sum, to func(...string) string) section {
	slices.SortFunc(sums, func(a, b Sum) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Receiver, b.Receiver))
	})
	t := &Table{Name: "receivers", Fit: true, Caption: "Messages of this source by receiver.",
		Columns: []Column{{Key: "receiver", Title: "Receiver"}, {Key: "messages", Title: "Messages",
			Right: true}, {Key: "dmarc_percent", Title: "DMARC, %", Right: true},
			{Key: "delivered", Title: "Fail: delivered", Right: true}, {Key: "held", Title: "held",
				Right: true}, {Key: "refused", Title: "refused", Right: true},
			{Key: "reasons", Title: "own reasons given", Wrap: true}}}
	for _, r := range sums {
		at := func(pairs ...string) string {
			return to(append([]string{"receiver", r.Receiver}, pairs...)...)
		}
		t.Rows = append(t.Rows, []Cell{text(r.Receiver).head(), number(r.Messages, at()),
			rate(r.Pass, r.Messages),
			number(r.Delivered, at("result", "delivered")), number(r.Held, at("result", "held")),
			number(r.Refused, at("result", "refused")), reasonsCell(reasons, r.Receiver, to)})
	}
	return section{End: true, ID: "rcv", Title: "What receivers did", Table: t}
}

func identifiers(s *source, x *facts) section {
	t := &Table{Name: "identifiers", Caption: "Combinations of From, envelope and signature, the " +
		"most frequent first.",
		Columns: []Column{{Key: "from", Title: "From domain", Wrap: true},
			{Key: "envelope", Title: "Envelope domain", Wrap: true}, {Key: "spf", Title: "SPF"},
			{Key: "spf_aligned", Title: "aligned"},
			{Key: "signed", Title: "Signer / selector", Wrap: true},
			{Key: "dkim_aligned", Title: "aligned"},
			{Key: "dmarc", Title: "DMARC"}, {Key: "applied", Title: "applied"},
			{Key: "messages", Title: "Messages", Right: true}}}
	ids := slices.Clone(s.ids)
	slices.SortStableFunc(ids, func(a, b Identity) int {
		return cmp.Compare(b.Messages, a.Messages)
	})
	for _, id := range ids[:min(len(ids), tableRows)] {
		signed := ""
		for i, sig := range id.DKIM {
			if i > 0 {
				signed += ", "
			}
			signed += sig.Domain + " / " + sig.Selector + " " + sig.Result
		}
		result := words("pass").as("good")
		if !id.Pass() {
			result = words("fail").as("bad")
		}
		t.Rows = append(t.Rows, []Cell{text(id.From).head(), text(cmp.Or(id.Envelope, "not given")),
			text(id.SPF), words(yes(id.AlignedSPF)),
			text(cmp.Or(signed, "none")), words(yes(id.AlignedDKIM)), result, text(id.Disposition),
			{Value: id.Messages, HTML: plain(advice.Count(id.Messages))}})
	}
	return section{ID: "ids", Title: "Identifiers seen", Table: t}
}
