package domains

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/report/advice"
)

// DMARCWishes are the answers to three questions: does the domain send, who writes with it, who
// reads reports.
type DMARCWishes struct {
	Resolver dns.Resolver
	Silent   bool   // it sends nothing
	People   bool   // people write mail from the domain, and may post to mailing lists
	Reports  string // mail address that reads reports
	Policy   string // "none", "quarantine" or "reject"; "" is what is published, or where to begin
	Testing  bool   // t=y: receivers are asked for the step below

	published    string // the record of today, corrected; "" without one
	keepsReports bool   // Reports is the published one
}

// ProposeDMARC writes the records for what was answered, and judges them by the daemon's own
// parser.
func ProposeDMARC(ctx context.Context, name string, q DMARCWishes) (publish.Proposal, error) {
	names, err := parseAll([]string{name})
	if err != nil {
		return publish.Proposal{}, err
	}
	q.Reports = bareAddress(q.Reports)
	out := publish.Proposal{Version: publish.ProposalVersion, Domain: names[0].String()}
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
		return out, errors.Join(q.nullMX(ctx, &out), q.consent(ctx, names[0], &out))
	}
	out.Notes = append(out.Notes, ladder(text, q.People))
	q.noteParked(ctx, &out)
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

// begin takes the record that is published, corrected, for what the answers leave open: the policy,
// who reads reports, and every other tag. A policy is not weakened because nothing was said of it,
// but for reject where people write with the domain.
func (q *DMARCWishes) begin(ctx context.Context, out *publish.Proposal) error {
	a, err := q.Resolver.Lookup(ctx, "_dmarc."+out.Domain, dns.TXT)
	if err != nil {
		return answer.NewUnknown(fmt.Errorf("could not look up _dmarc.%s: %w", out.Domain, err))
	}
	for _, text := range a.Texts {
		repaired, ok := dmarc.Repair(text)
		r, err := dmarc.Parse(repaired)
		if !ok || err != nil {
			continue
		}
		out.Notes = append(out.Notes, "Published now; the proposal replaces it:\n  "+
			publish.Visible(text))
		if q.Silent {
			return nil // a domain that sends nothing has its own set
		}
		q.published = repaired
		if q.Policy == "" && !isInForce(a.Texts, text) && r.Policy != dmarc.None {
			q.Policy, q.published = string(dmarc.None), forDomainAlone(repaired)
			out.Notes = append(out.Notes, fmt.Sprintf("The published record is not valid, so "+
				"receivers apply no policy today, and p=%s has never had an effect. The proposal "+
				"begins with p=none; use --policy %s to propose the published policy at once.",
				r.Policy, r.Policy))
		}
		if q.Policy == "" {
			if q.Policy = string(r.Policy); q.Policy == "reject" && q.People {
				q.Policy = "quarantine"
				out.Notes = append(out.Notes,
					"p=reject is published. Mailing lists change the mail that your users post, "+
						"which is then rejected.")
			} else {
				q.Testing = q.Testing || r.Testing
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

// isInForce reports whether receivers apply the policy of one of the records of a name as it is
// written: a policy that is not valid counts as none, and so do several records.
func isInForce(texts []string, text string) bool {
	if count(texts, dmarc.IsRecord) > 1 {
		return false
	}
	r, err := dmarc.Parse(text)
	return err == nil && r.Broken == ""
}

// toBegin is the corrected record to publish first. Where the one with mistakes had no policy in
// force, it is one with p=none: what was meant would otherwise take effect at once, though it is
// not known yet which mail fails.
func toBegin(texts []string, text, repaired string) string {
	r, err := dmarc.Parse(repaired)
	if repaired == "" || err != nil || r.Policy == dmarc.None || isInForce(texts, text) {
		return repaired
	}
	return advice.WithStep(forDomainAlone(repaired), advice.None)
}

// forDomainAlone is a record without the policies of subdomains.
func forDomainAlone(record string) string {
	tags := slices.DeleteFunc(strings.Split(record, ";"), func(tag string) bool {
		name, _, _ := strings.Cut(tag, "=")
		return slices.Contains([]string{"sp", "np"}, strings.ToLower(strings.TrimSpace(name)))
	})
	return strings.Join(tags, ";")
}

// nullMX proposes a null MX, unless the domain takes mail.
func (q DMARCWishes) nullMX(ctx context.Context, out *publish.Proposal) error {
	a, err := q.Resolver.Lookup(ctx, out.Domain, dns.MX)
	switch {
	case err != nil:
		return answer.NewUnknown(fmt.Errorf("could not look up the MX records of %s: "+
			"%w", out.Domain, err))
	case len(a.Exchanges) == 0:
		out.Records = append(out.Records, publish.Record{Name: out.Domain, Type: "MX", Text: "0 ."})
	default:
		out.Notes = append(out.Notes,
			"The domain has MX records, so it receives mail. If it should not, replace them with "+
				"\"MX 0 .\" (RFC 7505).")
	}
	return nil
}

// SilentCommand is how the note about a domain that sends nothing names the command for it. Who has
// other means puts those in its place.
func SilentCommand(name string) string {
	return fmt.Sprintf("\"mailseal propose dmarc %s --silent\" prints the records for it",
		name)
}

// noteParked names the other set of records, if the SPF record says that the domain sends nothing.
// The proposal is good without the note: a lookup that fails leaves it out.
func (q DMARCWishes) noteParked(ctx context.Context, out *publish.Proposal) {
	a, err := q.Resolver.Lookup(ctx, out.Domain, dns.TXT)
	if err != nil {
		return
	}
	for _, text := range a.Texts {
		if strings.EqualFold(strings.Join(strings.Fields(text), " "), "v=spf1 -all") {
			out.Notes = append(out.Notes, fmt.Sprintf(
				"The SPF record of %s says that it sends no mail. If that is right, %s.",
				out.Domain, SilentCommand(out.Domain)))
		}
	}
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
				"p=reject does not suit a domain whose users post to mailing lists (RFC 9989 " +
					"section 7.4): lists change mail, which is then rejected; use quarantine",
			),
		)
	case !slices.Contains([]string{"none", "quarantine", "reject"}, p):
		return "", answer.NewUsage(fmt.Errorf("--policy is %q; it must be none, quarantine or "+
			"reject", p))
	}
	step, err := stepOf(p, q.Testing)
	if err != nil {
		return "", err
	}
	if q.published != "" {
		text := advice.WithStep(q.published, step)
		if q.Reports != "" && !q.keepsReports {
			text = withTag(text, "rua", "mailto:"+q.Reports)
		}
		return text, nil
	}
	text := advice.WithStep("v=DMARC1", step)
	if p == "quarantine" {
		text += "; np=reject"
	}
	if q.Reports != "" {
		text += "; rua=mailto:" + q.Reports
	}
	return text, nil
}

// consent adds the records that the domains of report addresses must publish, unless they are
// there.
func (q DMARCWishes) consent(ctx context.Context, name domain.Name, out *publish.Proposal) error {
	record, err := dmarc.Parse(out.Records[0].Text)
	if err != nil {
		return err
	}
	if len(record.Aggregate) == 0 {
		out.Notes = append(out.Notes,
			"No address receives reports. Name one with --reports to learn who sends in your name.")
	}
	for _, uri := range slices.Concat(record.Aggregate, record.Failure) {
		c := (&dmarc.Checker{Resolver: q.Resolver}).Consent(ctx, name, uri)
		isOutside := c.Host != "" && !c.Own && q.isOutside(dmarc.ConsentName(name, c.Host), c.Err)
		if isOutside {
			c.Err, c.Name = nil, dmarc.ConsentName(name, c.Host)
			c.Given = isOneOwner(name, c.Host)
		}
		if c.Err != nil {
			return answer.NewUnknown(fmt.Errorf("could not find out whether %s agrees to receive "+
				"reports: %w", c.Host, c.Err))
		}
		wanted := agreementOf(c)
		if !c.Given && c.Name != "" && !slices.Contains(out.Records, wanted) {
			out.Records = append(out.Records, wanted)
			text := mustPublish(c) + ", or no receiver sends reports there: ask its owner."
			if isOutside {
				text = fmt.Sprintf("%s receives reports only if it agrees to, by the record %s TXT "+
					"\"v=DMARC1\". The zone file does not show whether it does: ask its owner.",
					c.Host, c.Name)
			}
			out.Notes = append(out.Notes, text)
		}
	}
	return nil
}

// isOutside reports whether a zone file is asked, and cannot know of a name.
func (q DMARCWishes) isOutside(name string, err error) bool {
	zone, isFile := q.Resolver.(coverer)
	return errors.Is(err, errOutside) || isFile && !zone.Covers(name)
}
