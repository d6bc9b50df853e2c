package reporting

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/keys/database"
	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/domain"
	"mailseal/milter/filter"
	"mailseal/milter/message"
	"mailseal/milter/policy"
	"mailseal/milter/report"
	"mailseal/milter/report/send"
	"mailseal/milter/report/store"
	"mailseal/milter/report/store/storetest"
	"mailseal/milter/spf"
	"mailseal/milter/verify"
)

// peer is a host with a domain that reports to another one and is reported to.
type peer struct {
	domain string
	client netip.Addr
	other  *peer
	now    *time.Time
	filter *filter.Filter
	batch  *store.OutBatch
	store  *store.Store
	rep    *send.Reporter
	got    []string // reports that arrived
	folds  int
}

// Record and Wrote make a peer the Recorder of its filter.
func (p *peer) Record(e report.Evaluation) { p.batch.Add(&e) }
func (p *peer) Wrote(domain string)        { p.batch.Wrote(domain, *p.now) }
func (p *peer) Sent(s report.Sent)         { p.batch.Sent(&s) }
func (p *peer) Failed(f report.Failing)    { p.batch.AddFailing(&f) }

// Hand makes a peer the Transport of its Reporter: the mail goes to the other one, as from the
// Internet, after it went through the own filter as mail of ours.
func (p *peer) Hand(_ context.Context, from, to string, mail []byte) error {
	p.pass(from, to, string(mail), action.RoleOurs, netip.MustParseAddr("127.0.0.1"))
	p.other.got = append(p.other.got, string(mail))
	p.other.pass(from, to, string(mail), action.RoleTheirs, p.client)
	return nil
}

// HandOver implements send.Handover.
func (p *peer) HandOver(
	ctx context.Context, from, to string, mail []byte, taking func() error,
) error {
	if err := taking(); err != nil {
		return err
	}
	return p.Hand(ctx, from, to, mail)
}

// pass takes a message through the filter.
func (p *peer) pass(from, to, mail string, role action.Role, client netip.Addr) {
	env := message.Envelope{Client: client, Helo: "mx." + p.domain, Sender: from,
		Recipients: []string{to}}
	var judge milter.Judge
	m, err := message.Read(strings.NewReader(mail), 1<<20,
		func(h message.Header) []message.BodyHash {
			judge = p.filter.Begin(context.Background(), milter.Mail{Envelope: &env, Role: role,
				MayChange: true, Header: h})
			return judge.Wants().Hashes
		})
	if err != nil {
		panic(err)
	}
	judge.Decide(context.Background(), m, nil)
}

func newPeer(t *testing.T, name, client string, z dns.Resolver, now *time.Time) *peer {
	t.Helper()
	s, err := store.Open(t.Context(),
		store.Options{Driver: database.SQLite, DSN: storetest.SQLite(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	cfg, err := config.Parse("mailseal.toml", nil)
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return *now }
	p := &peer{domain: name, client: netip.MustParseAddr(client), now: now,
		batch: store.NewOutBatch(), store: s}
	never := func(string) bool { return false }
	sender := "reports." + name
	p.rep = &send.Reporter{
		Store: s, Rules: send.Rules{Send: true, Listed: never, Excluded: never, Minimum: 1, PerHour: 200},
		Sender: send.Sender{Address: "dmarc@" + sender, Domain: sender}, Transport: p,
		Log:        slog.New(slog.DiscardHandler),
		Authorizer: &send.Authorizer{Resolver: z, DMARC: &dmarc.Checker{Resolver: z}},
	}
	pc := cfg.Policy
	p.filter = &filter.Filter{
		ID: "mx." + name, Unmatched: action.UnmatchedAccept, Senders: filter.Senders{Require: action.SenderAny},
		Verifier: &verify.Verifier{
			Resolver: z, SPF: &spf.Checker{Now: clock}, DKIM: &dkim.Verifier{Now: clock},
			DMARC: &dmarc.Checker{Resolver: z},
		},
		Policy: &policy.Rules{
			Actions:    policy.Actions{SPF: pc.SPF, IPRev: pc.IPRev, DKIM: pc.DKIM, DMARC: pc.DMARC},
			MarkHeader: "X-Mark", NoAuthor: action.Mark, ManyAuthors: action.Mark,
		},
		Reports: filter.Reports{Recorder: p, Domain: domain.Name(sender), Relations: true, Now: clock},
	}
	return p
}

// fold takes what the filter recorded into the store.
func (p *peer) fold(t *testing.T) {
	t.Helper()
	p.folds++
	if _, err := p.store.Fold(t.Context(), []string{fmt.Sprint(p.folds)}, p.batch,
		*p.now); err != nil {
		t.Fatal(err)
	}
	p.batch = store.NewOutBatch()
}

// TestTwoHostsReportToEachOther has two hosts with the default rules exchange one letter a day for
// seven days: each gets one report a day about that letter, and no report is caused by a report, by
// a bounce of one, or by an answer.
func TestTwoHostsReportToEachOther(t *testing.T) {
	const zone = `
a.example.                IN TXT "v=spf1 ip4:192.0.2.1 -all"
b.example.                IN TXT "v=spf1 ip4:198.51.100.1 -all"
reports.a.example.        IN TXT "v=spf1 ip4:192.0.2.1 -all"
reports.b.example.        IN TXT "v=spf1 ip4:198.51.100.1 -all"
_dmarc.a.example.         IN TXT "v=DMARC1; p=reject; rua=mailto:dmarc@a.example"
_dmarc.b.example.         IN TXT "v=DMARC1; p=reject; rua=mailto:dmarc@b.example"
`
	// The senders of reports have no record of their own, so that those of the domains above, with
	// rua, apply: the worst case.
	z, err := dnstest.Load(strings.NewReader(zone))
	if err != nil {
		t.Fatal(err)
	}
	now := noon
	a, b := newPeer(t, "a.example", "192.0.2.1", z, &now),
		newPeer(t, "b.example", "198.51.100.1", z, &now)
	a.other, b.other = b, a
	for range 7 {
		for _, p := range []*peer{a, b} {
			letter := fmt.Sprintf("From: x@%s\r\nSubject: hello\r\n\r\nbody\r\n", p.domain)
			p.pass("x@"+p.domain, "y@"+p.other.domain, letter, action.RoleOurs,
				netip.MustParseAddr("127.0.0.1"))
			p.other.pass("x@"+p.domain, "y@"+p.other.domain, letter, action.RoleTheirs, p.client)
		}
		for range 24 * 6 { // until noon of the next day, ten minutes at a time
			now = now.Add(10 * time.Minute)
			for _, p := range []*peer{a, b} {
				p.fold(t)
				if err := p.rep.Build(t.Context(), store.Day(now)-1, now); err != nil {
					t.Fatal(err)
				}
				if err := p.rep.Deliver(t.Context(), now); err != nil {
					t.Fatal(err)
				}
			}
		}
		// A report comes back as a bounce, and someone's program answers another one.
		if len(a.got) > 0 {
			bounce := "From: MAILER-DAEMON@b.example\r\nContent-Type: multipart/report; boundary=x\r\n" +
				"Subject: failed\r\n\r\nbody\r\n"
			a.pass("", "r+x-1@reports.a.example", bounce, action.RoleTheirs, b.client)
			thanks := "From: dmarc@b.example\r\n\r\nthanks\r\n"
			a.pass("dmarc@b.example", "dmarc@reports.a.example", thanks, action.RoleTheirs,
				b.client)
		}
	}
	for _, p := range []*peer{a, b} {
		list, err := p.store.OutReports(t.Context(), "", "", 100)
		if err != nil || len(list) != 7 || len(p.got) != 7 {
			t.Fatalf("%s: %d reports made, %d received, %v", p.domain, len(list), len(p.got), err)
		}
		for _, r := range list {
			if r.State != store.Built || r.Messages != 1 {
				t.Errorf("%s: report of %s: %s, %d messages: %s", p.domain, r.Date, r.State,
					r.Messages, r.Reason)
			}
		}
	}
}
