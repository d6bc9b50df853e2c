package domains

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/publish"
	"mailseal/config"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/spf"
)

// SPFWishes are who may send for a domain.
type SPFWishes struct {
	Resolver  dns.Resolver
	Addresses []netip.Prefix // single addresses, and networks
	Clients   []string       // Addresses as they were written, to be added to these
	Includes  []string       // names of other records
	Without   []string       // terms of the published record that are taken out, as it writes them
	// how the record ends: "-all", "~all", or "" for what is published, softened
	All     string
	Reports *Reports       // whose sources of the domain's own mail are let in; nil for none
	Config  *config.Config // whose reports.store is opened for Reports; nil for none
}

// open understands what was written, and opens the reports.
func (q *SPFWishes) open(ctx context.Context) (done func(), err error) {
	more, err := ParseNetworks(q.Clients)
	if err != nil {
		return nil, err
	}
	q.Addresses = slices.Concat(q.Addresses, more)
	if q.Config == nil {
		return func() {}, nil
	}
	if q.Reports, err = OpenReports(ctx, q.Config); err != nil {
		return nil, err
	}
	return func() { q.Reports.Close() }, nil
}

// ParseNetworks reads addresses, and networks such as 192.0.2.0/24, as --address has them.
func ParseNetworks(texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range texts {
		if p, err := netip.ParsePrefix(text); err == nil {
			if p != p.Masked() {
				return nil, answer.NewUsage(fmt.Errorf(
					"--address %s is an address in the network %s; write one or the "+
						"other", text, p.Masked()))
			}
			out = append(out, p)
			continue
		}
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return nil, answer.NewUsage(fmt.Errorf(
				"--address %q is neither an IP address nor a network, such as 192.0.2.0/24", text))
		}
		a = a.Unmap()
		out = append(out, netip.PrefixFrom(a, a.BitLen()))
	}
	return out, nil
}

// ownEnvelope are records of services that put their own domain into MAIL FROM: receivers
// look up SPF for that one.
var ownEnvelope = []string{"amazonses.com", "servers.mcsv.net", "spf.mandrillapp.com",
	"sendgrid.net", "spf.mtasv.net"}

// ProposeSPF starts from the record that is published, lets in who is asked for, and judges the
// result by the daemon's own evaluator. The answer is bad when no record would do, such as for more
// than ten lookups.
func ProposeSPF(ctx context.Context, name string, q SPFWishes) (publish.Proposal, error) {
	names, err := parseAll([]string{name})
	if err != nil {
		return publish.Proposal{}, err
	}
	out := publish.Proposal{Version: publish.ProposalVersion, Domain: names[0].String()}
	done, err := q.open(ctx)
	if err != nil {
		return out, err
	}
	defer done()
	text, notes, err := published(ctx, q.Resolver, out.Domain)
	if err != nil {
		return out, err
	}
	isFirst := text == ""
	text, more, err := q.edit(cmp.Or(text, noHost))
	if err != nil {
		return out, err
	}
	out.Notes = slices.Concat(notes, more)
	if err := q.fromReports(ctx, names[0], text, &out); err != nil {
		return out, err
	}
	for _, host := range q.Includes {
		if slices.Contains(ownEnvelope, strings.ToLower(host)) {
			out.Notes = append(out.Notes,
				host+" was left out: an include will not help, because this service uses an "+
					"envelope domain of its own. Have it sign with DKIM as your domain.")
			continue
		}
		if !strings.Contains(" "+strings.ToLower(text)+" ", " include:"+strings.ToLower(host)+" ") {
			text = withTerm(text, "include:"+host)
		}
	}
	for _, network := range q.Addresses {
		if n := network.Addr(); n.IsPrivate() || n.IsLoopback() || n.IsLinkLocalUnicast() {
			out.Notes = append(out.Notes, fmt.Sprintf(
				"%s is private, so receivers never see mail from it. Name the public address "+
					"from which the mail leaves your network.",
				strings.TrimPrefix(strings.TrimPrefix(termOfNetwork(network), "ip4:"), "ip6:"),
			))
		}
		if !allPass(ctx, dns.Pretend{Resolver: q.Resolver, Name: out.Domain, Text: text}, names[0],
			network) {
			text = withTerm(text, termOfNetwork(network))
		}
	}
	if isFirst && text == noHost {
		more := ""
		if len(out.Notes) > 0 {
			more = "\n" + strings.Join(out.Notes, "\n")
		}
		return out, answer.NewBad(fmt.Errorf("%s has no usable SPF record, and no sender was given, "+
			"so the record would allow no host: name the addresses from which its mail leaves "+
			"(--address) and the records of its services (--include); if it sends no mail, %s%s",
			out.Domain, SilentCommand(out.Domain), more))
	}
	overlay := dns.Pretend{Resolver: q.Resolver, Name: out.Domain, Text: text}
	v := spf.Explore(ctx, overlay, names[0])
	if err := judgeSPF(v, text); err != nil {
		return out, err
	}
	for _, network := range q.Addresses {
		if !passes(ctx, overlay, names[0], network.Addr()) {
			return out, answer.NewBad(fmt.Errorf("%s would not pass with %q", network.Addr(), text))
		}
	}
	out.Records = []publish.Record{{Name: out.Domain, Text: text}}
	out.Notes = append(out.Notes, strings.TrimSpace(v.Words()))
	return out, nil
}

// allPass reports whether a network is let in already: a single address by the evaluator, of others
// the term itself must be there.
func allPass(ctx context.Context, r dns.Pretend, name domain.Name, network netip.Prefix) bool {
	if network.IsSingleIP() {
		return passes(ctx, r, name, network.Addr())
	}
	return slices.Contains(strings.Fields(strings.ToLower(r.Text)), termOfNetwork(network))
}

func termOfNetwork(n netip.Prefix) string {
	if n.IsSingleIP() {
		return termOf(n.Addr())
	}
	if n.Addr().Is4() {
		return "ip4:" + n.String()
	}
	return "ip6:" + n.String()
}

func passes(ctx context.Context, r dns.Resolver, name domain.Name, addr netip.Addr) bool {
	got := (&spf.Checker{Resolver: r}).Check(ctx,
		spf.Identity{IP: addr, MailFrom: "postmaster@" + name.String()})
	return got.Value == spf.Pass
}

// noHost is the record to start from where no usable one is published.
const noHost = "v=spf1 ~all"

// published is the record to start from: what is there, corrected, or "". The
// notes say what of the published records is not in it.
func published(ctx context.Context, r dns.Resolver, name string) (text string, notes []string,
	err error) {
	a, err := r.Lookup(ctx, name, dns.TXT)
	if err != nil {
		return "", nil, answer.NewUnknown(fmt.Errorf("could not look up the published record: %w",
			err))
	}
	for _, t := range a.Texts {
		if _, isNear := spf.Resembles(t); !spf.IsRecord(t) && !isNear {
			continue
		}
		repaired, ok := spf.Repair(t)
		if !ok || text != "" {
			notes = append(notes, "This published record is not used. Copy what you need from it "+
				"by hand, then delete it:\n  "+publish.Visible(t))
			continue
		}
		text = repaired
		for _, term := range spf.Omitted(t) {
			note := fmt.Sprintf("The term %q of the published record was left out.", term)
			if !slices.Contains(notes, note) {
				notes = append(notes, note)
			}
		}
	}
	return text, notes, nil
}

// judgeSPF refuses a record that receivers would not use.
func judgeSPF(v spf.Survey, text string) error {
	var errs []error
	for _, f := range v.Flaws {
		if f.Code == spf.FlawUnanswered {
			return answer.NewUnknown(errors.New(f.Text))
		}
		if byCode[check.Code(f.Code)].Severity == fail {
			errs = append(errs, fmt.Errorf("%q: %s", text, f.Text))
		}
	}
	for _, f := range spf.Lint(text) {
		if byCode[check.Code(f.Code)].Severity == fail {
			errs = append(errs, fmt.Errorf("%q: %s", text, f.Text))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return answer.NewBad(err)
	}
	return nil
}
