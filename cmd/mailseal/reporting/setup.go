package reporting

import (
	"context"
	"fmt"
	"io"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/message"
)

// need is one thing that the sender of reports needs.
type need struct {
	What  string `json:"what"`
	State string `json:"state"` // "good", "bad", "unknown"
	Found string `json:"found,omitempty"`
	Fix   string `json:"fix,omitempty"`

	isUnanswered bool // the DNS did not say
}

// sender is the set-up of the sender of reports.
type sender struct {
	config   *config.Config
	resolver dns.Resolver
}

// needs looks at all that the sender needs.
func (s sender) needs(ctx context.Context) []need {
	d := s.config.Reports.Domain()
	return []need{s.checkMX(ctx, d), s.checkSPF(ctx, d), s.checkRule(d), s.checkDMARC(ctx, d)}
}

// wrong returns why nothing may be sent yet, "" if everything that can be checked is right: the
// rules of a database are the daemon's to read.
func (s sender) wrong(ctx context.Context) string {
	if s.config.Reports.From == "" {
		return "set-up: reports.from is not set"
	}
	var bad, silent []string
	for _, n := range s.needs(ctx) {
		switch {
		case n.State == "bad":
			bad = append(bad, n.What+": "+n.Found)
		case n.isUnanswered:
			silent = append(silent, n.What+": "+n.Found)
		}
	}
	switch {
	case len(bad) > 0:
		return "set-up: " + strings.Join(bad, "; ") + " (mailseal reports check prints the " +
			"records to publish)"
	case len(silent) > 0:
		return "set-up: the DNS does not answer: " + strings.Join(silent, "; ")
	}
	return ""
}

// Check checks the setup of the sender of reports: a separate domain with MX, SPF, DKIM,
// and a DMARC record without rua, which would cause reports about our reports.
func (o *Out) Check(ctx context.Context) error {
	if o.Config.Reports.From == "" {
		return errNone("reports.from is not set: write from = \"dmarc@reports.example.com\" in " +
			"[reports], with a subdomain of yours that sends nothing else")
	}
	resolver := o.Resolver
	if resolver == nil {
		_, gate, err := assembly.NewResolver(o.Config)
		if err != nil {
			return answer.NewUnknown(err)
		}
		resolver = gate
	}
	needs := sender{o.Config, resolver}.needs(ctx)
	err := o.print(needs, func(w io.Writer) {
		for _, n := range needs {
			fmt.Fprintf(w, "%s\t%s\t%s\n", n.State, n.What, n.Found)
			if n.Fix != "" {
				fmt.Fprintf(w, "\t\t%s\n", n.Fix)
			}
		}
	})
	if err != nil {
		return err
	}
	return o.after(verdict(needs))
}

func verdict(needs []need) error {
	unknown := false
	for _, n := range needs {
		if n.State == "bad" {
			return errNone("the set-up of the sender of reports is wrong: nothing is sent until " +
				"it is corrected")
		}
		unknown = unknown || n.State == "unknown"
	}
	if unknown {
		return answer.NewUnknown(fmt.Errorf("the DNS did not answer, so the set-up of the sender " +
			"of reports cannot be checked; nothing is sent until it is"))
	}
	return nil
}

// looked starts a need with an answer of the DNS; ok is false if the DNS did not answer.
func looked(ctx context.Context, r dns.Resolver, what, name string, t dns.Type) (n need,
	a dns.Answer, ok bool) {
	a, err := r.Lookup(ctx, name, t)
	if err != nil {
		unknown := need{What: what, State: "unknown", Found: answer.Text(err), isUnanswered: true}
		return unknown, a, false
	}
	return need{What: what, State: "bad"}, a, true
}

func (s sender) checkMX(ctx context.Context, d string) need {
	n, a, ok := looked(ctx, s.resolver, "MX of "+d, d, dns.MX)
	if !ok {
		return n
	}
	n.Found, n.Fix = "no MX record: bounces do not arrive, and some receivers refuse such mail",
		fmt.Sprintf("publish: %s. IN MX 10 %s.", d, s.config.ServerName())
	if len(a.Exchanges) > 0 && a.Exchanges[0].Host != "" {
		n.State, n.Found, n.Fix = "good", a.Exchanges[0].Host, ""
	}
	return n
}

func (s sender) checkSPF(ctx context.Context, d string) need {
	n, a, ok := looked(ctx, s.resolver, "SPF of "+d, d, dns.TXT)
	if !ok {
		return n
	}
	n.Found, n.Fix = "no SPF record", fmt.Sprintf("publish: %s. IN TXT \"v=spf1 mx -all\"", d)
	for _, t := range a.Texts {
		if t == "v=spf1" || strings.HasPrefix(t, "v=spf1 ") {
			n.State, n.Found, n.Fix = "good", t, ""
		}
	}
	return n
}

func (s sender) checkRule(d string) need {
	n := need{
		What: "DKIM rule for " + d, State: "bad", Found: "no rule in [[sign]] signs for it",
		Fix: fmt.Sprintf("run mailseal keygen --domain %s, and add a [[sign]] with from = [%q]",
			d, s.config.Reports.From),
	}
	if len(s.config.Sources) > 0 || s.config.SigningTable != "" {
		n.State = "unknown"
		n.Found = "no rule in [[sign]] signs for it, but a table or database may have one"
		n.Fix = "to see, run mailseal explain-signing --from " + s.config.Reports.From
	}
	for _, rule := range s.config.Sign {
		from, err := message.ParsePatterns(rule.From)
		if err == nil && from.MatchPath(s.config.Reports.From) {
			n.State, n.Found, n.Fix = "good", strings.Join(rule.Keys, ", "), ""
		}
	}
	return n
}

func (s sender) checkDMARC(ctx context.Context, d string) need {
	n, a, ok := looked(ctx, s.resolver, "DMARC of "+d, "_dmarc."+d, dns.TXT)
	if !ok {
		return n
	}
	n.Found, n.Fix = "no record of its own: the record of the parent domain may request reports "+
		"about our reports",
		fmt.Sprintf("publish: _dmarc.%s. IN TXT \"v=DMARC1; p=reject\"", d)
	for _, t := range a.Texts {
		record, err := dmarc.Parse(t)
		switch {
		case err != nil:
		case len(record.Aggregate) > 0:
			n.Found = "it has rua: other hosts would send reports about our reports, and we " +
				"about theirs"
		default:
			n.State, n.Found, n.Fix = "good", t, ""
		}
	}
	return n
}
