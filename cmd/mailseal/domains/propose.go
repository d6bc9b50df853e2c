package domains

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/spf"
)

// Proposal is a set of records to publish, with what to know of them.
type Proposal struct {
	Version int              `json:"version"`
	Domain  string           `json:"domain"`
	Records []publish.Record `json:"records"`
	Notes   []string         `json:"notes"`
}

// Write prints the records in three forms, and the notes.
func (p Proposal) Write(w io.Writer, asJSON bool) error {
	if asJSON {
		p.Notes = append([]string{}, p.Notes...)
		return json.NewEncoder(w).Encode(p)
	}
	for _, r := range p.Records {
		if _, err := fmt.Fprintf(w, "%s %s\n", r.Name, r.Kind()); err != nil {
			return err
		}
		if err := r.Write(w, "  "); err != nil {
			return err
		}
	}
	for _, n := range p.Notes {
		if _, err := fmt.Fprintf(w, "\n%s\n", n); err != nil {
			return err
		}
	}
	return nil
}

// SPFWishes are who may send for a domain.
type SPFWishes struct {
	Resolver  dns.Resolver
	Addresses []netip.Prefix // single addresses, and networks
	Includes  []string       // names of other records
}

// ownEnvelope are records of services that put a domain of their own into MAIL FROM: SPF is asked
// of that one.
var ownEnvelope = []string{"amazonses.com", "servers.mcsv.net", "spf.mandrillapp.com", "sendgrid.net", "spf.mtasv.net"}

// proposed answers for one name what it would answer with a proposal, and all else as the DNS does.
type proposed struct {
	dns.Resolver
	name, text string
}

func (p proposed) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	if t == dns.TXT && strings.EqualFold(strings.TrimSuffix(name, "."), p.name) {
		return dns.Answer{Status: dns.Found, Texts: []string{p.text}}, nil
	}
	return p.Resolver.Lookup(ctx, name, t)
}

// ProposeSPF starts from the record that is published, lets in who is asked for, and judges the
// result by the daemon's own evaluator. The answer is bad when no record would do, such as for more
// than ten lookups.
func ProposeSPF(ctx context.Context, name string, q SPFWishes) (Proposal, error) {
	names, err := parseAll([]string{name})
	if err != nil {
		return Proposal{}, err
	}
	out := Proposal{Version: Version, Domain: names[0].String()}
	text, notes, err := published(ctx, q.Resolver, out.Domain)
	if err != nil {
		return out, err
	}
	out.Notes = append(out.Notes, notes...)
	for _, host := range q.Includes {
		if slices.Contains(ownEnvelope, strings.ToLower(host)) {
			out.Notes = append(out.Notes,
				host+" was left out: an include will not help, since this service sends with an envelope domain of its own; have it sign with DKIM as your domain.")
			continue
		}
		if !strings.Contains(" "+strings.ToLower(text)+" ", " include:"+strings.ToLower(host)+" ") {
			text = withTerm(text, "include:"+host)
		}
	}
	for _, network := range q.Addresses {
		if n := network.Addr(); n.IsPrivate() || n.IsLoopback() || n.IsLinkLocalUnicast() {
			out.Notes = append(out.Notes, fmt.Sprintf(
				"%s is private: receivers never see mail from it. Name the public address that it leaves your network from.",
				strings.TrimPrefix(strings.TrimPrefix(termOfNetwork(network), "ip4:"), "ip6:"),
			))
		}
		if !allPass(ctx, proposed{q.Resolver, out.Domain, text}, names[0], network) {
			text = withTerm(text, termOfNetwork(network))
		}
	}
	overlay := proposed{q.Resolver, out.Domain, text}
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
func allPass(ctx context.Context, r proposed, name domain.Name, network netip.Prefix) bool {
	if network.IsSingleIP() {
		return passes(ctx, r, name, network.Addr())
	}
	return slices.Contains(strings.Fields(strings.ToLower(r.text)), termOfNetwork(network))
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
	got := (&spf.Checker{Resolver: r}).Check(ctx, spf.Identity{IP: addr, MailFrom: "postmaster@" + name.String()})
	return got.Value == spf.Pass
}

// published is the record to start from: what is there, mended, or one that allows no host. The
// notes say what of the published records is not in it.
func published(ctx context.Context, r dns.Resolver, name string) (text string, notes []string, err error) {
	a, err := r.Lookup(ctx, name, dns.TXT)
	if err != nil {
		return "", nil, answer.NewUnknown(fmt.Errorf("what is published could not be found out: %w", err))
	}
	for _, t := range a.Texts {
		if _, isNear := spf.Resembles(t); !spf.IsRecord(t) && !isNear {
			continue
		}
		mended, ok := spf.Repair(t)
		if !ok || text != "" {
			notes = append(
				notes,
				fmt.Sprintf(
					"The published record %q is not used: carry over by hand what you need of it, and delete it.",
					t,
				),
			)
			continue
		}
		text = mended
		for _, term := range spf.Omitted(t) {
			notes = append(notes, fmt.Sprintf("The term %q of the published record is left out.", term))
		}
		if soft := strings.Replace(mended, " -all", " ~all", 1); soft != mended {
			text = soft
			notes = append(notes,
				"The published record ends in -all, the proposal in ~all: some receivers refuse mail at -all before they look at DKIM, such as that of forwarded mail. With a DMARC policy of quarantine or reject ~all loses nothing; publish -all again if you want it.")
		}
	}
	return cmp.Or(text, "v=spf1 ~all"), notes, nil
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

// DMARCWishes are the answers to three questions: does the domain send, who writes with it, who
// reads reports.
type DMARCWishes struct {
	Resolver dns.Resolver
	Silent   bool   // it sends nothing
	People   bool   // people write with it, who may post to mailing lists
	Reports  string // mail address that reads reports
	Policy   string // "none", "quarantine" or "reject"; "" is what is published, or where to begin

	published    string // the record of today, mended; "" without one
	keepsReports bool   // Reports is the published one
}

// The steps of RFC 9989 section 7.4.
const (
	ladderPeople   = "Next steps: after a month of p=none at least, and when the reports show no mail of yours that fails, p=quarantine. p=reject is not for domains whose users post to mailing lists (RFC 9989 section 7.4)."
	ladderMachines = "Next steps: a month of p=none at least, then p=quarantine for as long, comparing what the reports say was done with the mail; then p=reject, which must not rest on SPF alone (RFC 9989 sections 7.4 and 8): every source must sign."
)

// ProposeDMARC writes the records for what was answered, and judges them by the daemon's own
// parser.
func ProposeDMARC(ctx context.Context, name string, q DMARCWishes) (Proposal, error) {
	names, err := parseAll([]string{name})
	if err != nil {
		return Proposal{}, err
	}
	q.Reports = bareAddress(q.Reports)
	out := Proposal{Version: Version, Domain: names[0].String()}
	if err := q.begin(ctx, &out); err != nil {
		return out, err
	}
	text, err := q.text()
	if err != nil {
		return out, err
	}
	if _, err := dmarc.Parse(text); err != nil {
		return out, err
	}
	for _, f := range dmarc.Lint(text) {
		if byCode[check.Code(f.Code)].Severity == fail || f.Code == dmarc.FlawAddress {
			return out, answer.NewUsage(fmt.Errorf("%q: %s", text, f.Text))
		}
	}
	out.Records = []publish.Record{{Name: "_dmarc." + out.Domain, Text: text}}
	if q.Silent {
		out.Records = append(out.Records,
			publish.Record{Name: out.Domain, Text: "v=spf1 -all"},
			publish.Record{Name: "*._domainkey." + out.Domain, Text: "v=DKIM1; p="})
		return out, errors.Join(q.parkMX(ctx, &out), q.consent(ctx, names[0], &out))
	}
	ladder := ladderMachines
	if q.People {
		ladder = ladderPeople
	}
	out.Notes = append(out.Notes, ladder)
	return out, q.consent(ctx, names[0], &out)
}

// bareAddress is a mail address without the "mailto:" that the record writes before it.
func bareAddress(text string) string {
	const scheme = "mailto:"
	if len(text) >= len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
		return text[len(scheme):]
	}
	return text
}

// begin takes the record that is published, mended, for what the answers leave open: the policy,
// who reads reports, and every other tag. A policy is not weakened because nothing was said of it,
// but for reject where people write with the domain.
func (q *DMARCWishes) begin(ctx context.Context, out *Proposal) error {
	a, err := q.Resolver.Lookup(ctx, "_dmarc."+out.Domain, dns.TXT)
	if err != nil {
		return answer.NewUnknown(fmt.Errorf("what _dmarc.%s publishes: %w", out.Domain, err))
	}
	for _, text := range a.Texts {
		mended, ok := dmarc.Repair(text)
		r, err := dmarc.Parse(mended)
		if !ok || err != nil {
			continue
		}
		out.Notes = append(out.Notes, fmt.Sprintf("Published now: %q. The proposal replaces it.", text))
		if q.Silent {
			return nil // a domain that sends nothing has its own set
		}
		q.published = mended
		if q.Policy == "" {
			if q.Policy = string(r.Policy); q.Policy == "reject" && q.People {
				q.Policy = "quarantine"
				out.Notes = append(out.Notes,
					"p=reject is published, but lists that your users post to change mail, and it is then refused.")
			}
		}
		if q.Reports == "" && len(r.Aggregate) > 0 {
			q.Reports = bareAddress(r.Aggregate[0])
			q.keepsReports = true
		}
		return nil
	}
	return nil
}

// withTag sets a tag of a record, behind the version where it is not there yet.
func withTag(record, name, value string) string {
	tags := strings.Split(record, ";")
	for i, tag := range tags {
		have, _, _ := strings.Cut(tag, "=")
		if strings.EqualFold(strings.TrimSpace(have), name) {
			tags[i] = " " + name + "=" + value
			return strings.Join(tags, ";")
		}
	}
	tags = slices.Insert(tags, 1, " "+name+"="+value)
	return strings.Join(tags, ";")
}

// parkMX says that the domain takes no mail, unless it does.
func (q DMARCWishes) parkMX(ctx context.Context, out *Proposal) error {
	a, err := q.Resolver.Lookup(ctx, out.Domain, dns.MX)
	switch {
	case err != nil:
		return answer.NewUnknown(fmt.Errorf("the MX records of %s: %w", out.Domain, err))
	case len(a.Exchanges) == 0:
		out.Records = append(out.Records, publish.Record{Name: out.Domain, Type: "MX", Text: "0 ."})
	default:
		out.Notes = append(out.Notes,
			"The domain has MX records, so that it takes mail. If it shall not, replace them by \"MX 0 .\" (RFC 7505).")
	}
	return nil
}

// text is the record itself.
func (q DMARCWishes) text() (string, error) {
	p := q.Policy
	switch {
	case q.Silent && p == "":
		p = "reject"
	case p == "":
		p = "none"
	case p == "reject" && q.People:
		return "", answer.NewBad(
			errors.New(
				"p=reject is not for a domain whose users post to mailing lists (RFC 9989 section 7.4): lists change mail, and it is refused; use quarantine",
			),
		)
	case !slices.Contains([]string{"none", "quarantine", "reject"}, p):
		return "", answer.NewUsage(fmt.Errorf("--policy is %q; it is none, quarantine or reject", p))
	}
	if q.published != "" {
		text := withTag(q.published, "p", p)
		if q.Reports != "" && !q.keepsReports {
			text = withTag(text, "rua", "mailto:"+q.Reports)
		}
		return text, nil
	}
	text := "v=DMARC1; p=" + p
	if p == "quarantine" {
		text += "; np=reject"
	}
	if q.Reports != "" {
		text += "; rua=mailto:" + q.Reports
	}
	return text, nil
}

// consent adds the record that the domain of the report address must publish, unless it is there.
func (q DMARCWishes) consent(ctx context.Context, name domain.Name, out *Proposal) error {
	if q.Reports == "" {
		out.Notes = append(out.Notes,
			"No address gets reports: name an address with --reports to learn who sends in your name.")
		return nil
	}
	c := (&dmarc.Checker{Resolver: q.Resolver}).Consent(ctx, name, "mailto:"+q.Reports)
	if c.Err != nil {
		return answer.NewUnknown(fmt.Errorf("whether %s takes reports: %w", c.Host, c.Err))
	}
	if !c.Given && c.Name != "" {
		out.Records = append(out.Records, publish.Record{Name: c.Name, Text: "v=DMARC1", Who: c.Host.String()})
	}
	return nil
}
