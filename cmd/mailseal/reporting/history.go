package reporting

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/domains"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/report/store"
	"mailseal/milter/report/web"
)

// Bounds of the checks of the DNS, so that they are spread and name servers do not notice them.
const (
	questionRate = 5.0 // to the DNS, a second
	maxRound     = 55 * time.Second
	roundEvery   = time.Minute
)

// historyKept is how long changes are kept.
const historyKept = 400 * day

// dnsRole checks the DNS records of our domains again and again.
func dnsRole() Role {
	return Role{
		Name: "dns",
		Doc: "checks the DNS records of your domains every reports.dns_every, compares them with " +
			"their mail, records changes, and raises alerts",
		Build: func(ctx context.Context, p *Process) (Part, error) {
			if p.Config.Reports.DNSEvery <= 0 || len(p.ownDomains()) == 0 {
				return Part{}, nil
			}
			s, err := p.Store(ctx)
			if err != nil {
				return Part{}, err
			}
			_, resolver, err := assembly.NewResolver(p.Config)
			if err != nil {
				return Part{}, err
			}
			return Part{Jobs: newLead(p, store.LeaseDNS).jobs(s, func(s *store.Store) []jobs.Job {
				h := &history{Process: p, store: s, resolver: resolver}
				return []jobs.Job{
					{Name: "dns", Interval: every(roundEvery), Do: h.round},
					{Name: "dns_expire", Interval: every(day), First: every(time.Hour),
						Do: func(ctx context.Context) error {
							return s.ExpireDNS(ctx, p.Now().Add(-historyKept))
						}},
				}
			})}, nil
		},
	}
}

// ownDomains are those that mail is signed for, and those whose reports count.
func (p *Process) ownDomains() []string {
	out := signingDomains(p.Config)
	known := make(map[string]bool, len(out))
	for _, d := range out {
		known[d] = true
	}
	for _, d := range slices.Concat(p.Config.Reports.Intake.Domains,
		p.Config.Reports.Intake.Parked) {
		if !known[d] {
			known[d] = true
			out = append(out, d)
		}
	}
	return out
}

// history is the role at work.
type history struct {
	*Process
	store    *store.Store
	resolver dns.Resolver
	clock    domains.Clock // of the pace; nil is the host's
	cache    dns.Resolver  // paced; what domains have in common is asked for once
	pace     lag
	read     *web.Stored // what the reports say; nil before the first look
}

// round checks the domains that are due. Each has one turn in the period, and a round ends
// before the next one begins, so that many domains are spread over the period. Where there are more
// than the rate of questions allows, the period grows, and the log says to what.
func (h *history) round(ctx context.Context) error {
	names, period := h.ownDomains(), h.Config.Reports.DNSEvery
	share := 1 + int(int64(len(names))*int64(roundEvery)/int64(period))
	began := h.Now()
	// The list is read once for the round, with those whose turn comes while it lasts: to read it
	// for each domain would be most of the work where there are many.
	due, err := h.store.DueDomains(ctx, names, began.Add(maxRound-period), share)
	if err != nil {
		return err
	}
	for n, turn := range due {
		now := h.Now()
		if took := now.Sub(began); took > maxRound {
			h.late(len(names), n, now)
			return nil
		}
		if !turn.IsDue(now.Add(-period)) {
			break
		}
		isMine, err := h.store.ClaimTurn(ctx, turn, now)
		if err != nil {
			return err
		}
		if !isMine {
			continue // another process was faster
		}
		if err := h.check(ctx, turn.Domain); err != nil {
			return fmt.Errorf("%s: %w", turn.Domain, err)
		}
	}
	h.pace = lag{told: h.pace.told}
	return nil
}

// lag measures how far the checks are behind.
type lag struct {
	rounds, checked int       // that were cut short in a row, and the domains that they checked
	told            time.Time // when the log said so
}

// manyRounds is how many rounds in a row must be cut short before the log reports it.
const manyRounds = 10

// late notes a round that was cut short after so many domains. The log says once a day which period
// is reached.
func (h *history) late(domains, checked int, now time.Time) {
	h.pace.rounds++
	h.pace.checked += checked
	if h.pace.rounds < manyRounds || now.Sub(h.pace.told) < day {
		return
	}
	h.pace.told = now
	rounds := time.Duration(h.pace.rounds)
	reached := time.Duration(domains) * roundEvery * rounds / time.Duration(max(h.pace.checked, 1))
	h.Log.Warn("DNS records of your domains are checked less often than reports.dns_every: at 5 "+
		"queries a second a round takes longer; set dns_every to the value of \"reached\" or more",
		"domains", domains, "dns_every", h.Config.Reports.DNSEvery, "reached",
		reached.Round(time.Minute))
}

// asked is the resolver of all checks: at most five questions a second, and answers are remembered
// as long as they live, but no longer than the period.
func (h *history) asked() dns.Resolver {
	if h.cache == nil {
		h.cache = dns.NewCache(domains.Paced(h.resolver, questionRate, h.clock), dns.CacheOptions{
			Now: h.Now, MaxTTL: h.Config.Reports.DNSEvery / 2,
			MaxNegative: h.Config.Reports.DNSEvery / 2,
		})
	}
	return h.cache
}

// check queries the DNS about a domain, compares the answers with its mail, and stores the changes.
func (h *history) check(ctx context.Context, name string) error {
	parsed, err := domain.Parse(name)
	if err != nil {
		return err
	}
	o := domains.Options{
		Resolver: h.asked(), Selectors: h.selectors(name), Brief: true,
	}
	r := domains.Check(ctx, parsed, o)
	if err := ctx.Err(); err != nil {
		return err
	}
	keys, err := h.look(ctx, o.Resolver, parsed, r)
	if err != nil {
		return err
	}
	now := h.Now()
	changes, err := h.store.CompareDNS(ctx, name, withKeys(ownRecords(r), keys), now)
	if err != nil {
		return err
	}
	for _, c := range changes {
		h.Log.Info("DNS record changed", "domain", name, "name", c.Name, "type", c.Kind,
			"before", strings.Join(c.Before, " | "), "now", strings.Join(c.Now, " | "))
	}
	if len(h.Config.Reports.Alerts.To) == 0 {
		return nil
	}
	quiet := time.Duration(h.Config.Reports.Alerts.QuietDays) * day
	_, err = h.store.Raise(ctx, now, quiet, alertsOf(r, changes)...)
	return err
}

// countFindings are the findings of a check by their codes, of which there are some hundred.
func countFindings(r domains.Result) (out []store.OwnFinding) {
	for _, f := range r.Findings {
		i := slices.IndexFunc(out, func(x store.OwnFinding) bool {
			return x.Code == string(f.Code) && x.Severity == string(f.Severity)
		})
		if i < 0 {
			i = len(out)
			out = append(out, store.OwnFinding{Code: string(f.Code), Severity: string(f.Severity)})
		}
		out[i].N++
	}
	return out
}

// maxWorst bounds the sentence that is kept of the worst finding, in bytes.
const maxWorst = 500

// worstOf is the first of the worst findings of a check as a sentence, "" if there is neither an
// error nor a warning.
func worstOf(r domains.Result) string {
	for _, severity := range []check.Severity{check.Error, check.Warning} {
		for _, f := range r.Findings {
			if f.Severity != severity {
				continue
			}
			out := f.Setting + ": " + f.Text
			if len(out) > maxWorst {
				out = strings.ToValidUTF8(out[:maxWorst], "") + "…"
			}
			return out
		}
	}
	return ""
}

func (h *history) selectors(name string) (out []string) {
	for _, k := range h.Config.Keys {
		if k.Domain == name && k.Selector != "" && !slices.Contains(out, k.Selector) {
			out = append(out, k.Selector)
		}
	}
	slices.Sort(out)
	return out
}

// ownRecords are the answers about names of the domain itself, those that say that there is nothing
// among them: what others publish, such as the addresses of a mail service, changes without anyone
// here having to know. Where the DNS did not answer, nothing is known to have changed.
func ownRecords(r domains.Result) (out []store.DNSRecord) {
	for _, s := range slices.Concat(r.Records, r.Absent) {
		name := strings.ToLower(s.Name)
		isOwn := name == r.Domain.String() || strings.HasSuffix(name, "."+r.Domain.String())
		if isOwn && s.Status != "failed" {
			out = append(out, store.DNSRecord{Name: name, Kind: s.Type, Values: s.Values})
		}
	}
	return out
}

// withKeys adds the records of keys that the check of the domain did not ask for.
func withKeys(records, keys []store.DNSRecord) []store.DNSRecord {
	for _, k := range keys {
		if !slices.ContainsFunc(records, func(r store.DNSRecord) bool {
			return r.Name == k.Name && r.Kind == k.Kind
		}) {
			records = append(records, k)
		}
	}
	return records
}

// maxChangeAlerts bounds the alerts of one check, of each kind.
const maxChangeAlerts = 10

// alertsOf are the alerts of a check: each change, and each mistake as long as it is there, which
// is mailed once.
func alertsOf(r domains.Result, changes []store.DNSChange) (out []store.Alert) {
	name := r.Domain.String()
	for _, c := range changes[:min(len(changes), maxChangeAlerts)] {
		out = append(out, store.Alert{
			Code: "dns-changed", Domain: name, Subject: c.Kind + " " + c.Name + " = " + strings.Join(c.Now, " | "),
			Text: fmt.Sprintf("The %s record of %s changed. Before: %s. Now: %s. If you did not "+
				"change it, find out who can write to the zone.",
				c.Kind, c.Name, shownValues(c.Before), shownValues(c.Now)),
		})
	}
	n := 0
	for _, f := range r.Findings {
		if n++; f.Severity != check.Error || n > maxChangeAlerts {
			n--
			continue
		}
		out = append(out, store.Alert{
			Code: "dns-mistake", Domain: name, Subject: string(f.Code) + " " + f.Setting,
			Text: fmt.Sprintf("%s: %s. \"mailseal domain %s\" shows the record to publish.",
				f.Setting, f.Text, name),
		})
	}
	return out
}

func shownValues(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	out := strings.Join(list, " | ")
	if len(out) > maxShown {
		out = strings.ToValidUTF8(out[:maxShown], "") + "…"
	}
	return out
}

// maxShown bounds what an alert repeats of a record, in bytes.
const maxShown = 600

// maxHistory is how many changes a list has.
const maxHistory = 1000

// History lists what changed in the DNS of our domains, the latest first; of one domain, or of all
// for "".
func (o *Out) History(ctx context.Context, domain string) error {
	s, err := openExisting(ctx, o.Config)
	if err != nil {
		return answer.NewUnknown(err)
	}
	defer s.Close()
	list, err := s.DNSChanges(ctx, domain, o.Now.Add(-historyKept), maxHistory)
	if err != nil {
		return answer.NewUnknown(err)
	}
	if o.JSON {
		return json.NewEncoder(o.Output).Encode(struct {
			Changes []store.DNSChange `json:"changes"`
		}{append([]store.DNSChange{}, list...)})
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(o.Output, "The store has no change of a record: none has changed "+
			"since the daily checks began, or no check has run yet "+
			"(role dns of \"mailseal reports serve\").")
		return err
	}
	for _, c := range list {
		if _, err := fmt.Fprintf(o.Output, "%s  %s  %s %s\n  was: %s\n  is:  %s\n",
			c.At.Format("2006-01-02 15:04"), c.Domain,
			c.Kind, c.Name, domains.Visible(shownValues(c.Before)),
			domains.Visible(shownValues(c.Now))); err != nil {
			return err
		}
	}
	return nil
}
