package filter

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/keys"
	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/domain"
	"mailseal/milter/message"
	"mailseal/milter/policy"
	"mailseal/milter/sign"
	"mailseal/milter/spf"
	"mailseal/milter/verify"
)

const testID = "mx.example.net"

// testZone is a domain that wants to be protected and one that sends from 192.0.2.1.
const testZone = `
example.com.        IN TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.example.com. IN TXT "v=DMARC1; p=reject"
other.example.      IN TXT "v=spf1 -all"
x.other.example.    IN TXT "v=spf1 ?all"
`

// testKeys has a key that works and one that does not.
type testKeys struct{}

func (testKeys) Key(_ context.Context, name string) (keys.Key, error) {
	if name != "good" {
		return keys.Key{}, errors.New("permission denied")
	}
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	return keys.Key{Name: name, Domain: "example.com", Selector: "k", Signer: private}, nil
}

// tally is Counters that remember.
type tally struct{ words []string }

func (c *tally) Signed(s sign.Signature)       { c.words = append(c.words, "signed "+s.Algorithm) }
func (c *tally) Unsigned(reason string)        { c.words = append(c.words, "unsigned: "+reason) }
func (c *tally) KeyFailed(key string, _ error) { c.words = append(c.words, "key failed: "+key) }
func (c *tally) Found(method, value string)    { c.words = append(c.words, method+"="+value) }
func (c *tally) SignedFor(domain.Name)         {}
func (c *tally) RuleFailed()                   { c.words = append(c.words, "rule failed") }
func (c *tally) Short()                        { c.words = append(c.words, "short") }
func (c *tally) SelfChecked(v sign.Verdict) {
	c.words = append(c.words, "self-check: "+
		string(v))
}
func (c *tally) LongFields(done string, n int) {
	c.words = append(c.words, fmt.Sprintf("%s: %d", done, n))
}

func patterns(t testing.TB, texts ...string) message.Patterns {
	t.Helper()
	ps, err := message.ParsePatterns(texts)
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

// newFilter signs for example.com with keys and judges strangers by the factory's policy.
func newFilter(t testing.TB, keyNames ...string) (*Filter, *tally) {
	t.Helper()
	z, err := dnstest.Load(strings.NewReader(testZone))
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) }
	rule := sign.Rule{Name: "sign[0]", From: patterns(t, "example.com"), Keys: keyNames,
		OnKeyError: action.KeySkip}
	const yes = action.Accept
	actions := policy.Actions{
		SPF:  action.SPF{Fail: yes, Softfail: yes, None: yes, Permerror: yes, Temperror: yes, HeloFail: yes},
		DKIM: action.DKIM{Fail: yes, Policy: yes, Neutral: yes, None: yes, Permerror: yes, Temperror: yes},
		DMARC: action.DMARC{Reject: action.Mark, Quarantine: yes, None: yes, NoRecord: yes,
			Permerror: yes, Temperror: yes},
	}
	c := &tally{}
	return &Filter{
		ID: testID,
		Own: OwnFields{
			IDs:         []string{testID},
			Names:       []string{"X-Mark"},
			KeepResults: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		},
		Signer: &sign.Signer{Table: sign.NewTable([]sign.Rule{rule}), Keys: testKeys{}, Now: now},
		Verifier: &verify.Verifier{Resolver: z, SPF: &spf.Checker{Now: now},
			DKIM: &dkim.Verifier{Now: now}, DMARC: &dmarc.Checker{}},
		Policy: &policy.Rules{
			Actions:     actions,
			MarkHeader:  "X-Mark",
			NoAuthor:    yes,
			ManyAuthors: yes,
			Texts:       policy.Texts{DMARC: "DMARC policy for {domain}"},
		},
		Unmatched:  action.UnmatchedAccept,
		Redirected: action.RedirectedUnsigned,
		Malformed:  action.MalformedSign,
		Senders:    Senders{Require: action.SenderAny},
		Counters:   c,
	}, c
}

// decide takes one message through f and returns the outcome, and the header as it will be.
func decide(t *testing.T, f *Filter, role action.Role, why milter.Reason, env message.Envelope,
	raw string) (milter.Outcome, message.Header) {
	t.Helper()
	return decideRaw(t, f, role, why, env, raw, nil)
}

// decideRaw is decide where the body was kept.
func decideRaw(t *testing.T, f *Filter, role action.Role, why milter.Reason, env message.Envelope,
	raw string, body []byte) (milter.Outcome, message.Header) {
	t.Helper()
	var judge milter.Judge
	m, err := message.Read(strings.NewReader(strings.ReplaceAll(raw, "\n", "\r\n")), 1<<20,
		func(h message.Header) []message.BodyHash {
			judge = f.Begin(t.Context(), milter.Mail{Envelope: &env, Role: role, Why: why,
				MayChange: true, Header: h})
			return judge.Wants().Hashes
		})
	if err != nil {
		t.Fatal(err)
	}
	o := judge.Decide(t.Context(), m, body)
	return o, m.Header.With(o.Edits)
}

// names lists the fields of a header in a line.
func names(h message.Header) string {
	var out []string
	for _, f := range h {
		out = append(out, f.Name())
	}
	return strings.Join(out, " ")
}

var (
	local = message.Envelope{Client: netip.MustParseAddr("127.0.0.1"), Sender: "a@example.com",
		Recipients: []string{"b@example.org"}}
	loggedIn = message.Envelope{Client: netip.MustParseAddr("198.51.100.7"), AuthType: "PLAIN",
		AuthUser: "alice", Sender: "a@example.com", Recipients: []string{"b@example.org"}}
	fromAway = message.Envelope{Client: netip.MustParseAddr("198.51.100.7"),
		Helo: "x.other.example", Sender: "a@other.example", Recipients: []string{"b@example.net"}}
)

const plainText = "From: a@example.com\nSubject: x\n\nbody\n"
const forgedText = "Authentication-Results: mx.example.net; dkim=pass\nX-Mark: " +
	"no\nAuthentication-Results: other.example; spf=pass\n" + plainText

func TestFilter(t *testing.T) {
	for _, tc := range []struct {
		name   string
		keys   []string
		role   action.Role
		why    milter.Reason
		env    message.Envelope
		raw    string
		change func(*Filter)
		action action.Action
		header string
		counts string
	}{
		{"ours is signed", []string{"good"}, action.RoleOurs, milter.ByNetwork, local, plainText, nil, action.Accept,
			"DKIM-Signature From Subject", "signed ed25519-sha256"},
		{"a user's forged fields go", []string{"good"}, action.RoleOurs, milter.ByAuthentication,
			loggedIn, forgedText, nil, action.Accept,
			"DKIM-Signature Authentication-Results From Subject", "signed ed25519-sha256"},
		{"our own hosts may hand on", []string{"good"}, action.RoleOurs, milter.ByNetwork, local,
			forgedText, nil, action.Accept,
			"DKIM-Signature Authentication-Results X-Mark Authentication-Results From Subject",
			"signed ed25519-sha256"},
		{"auth= by setting", []string{"good"}, action.RoleOurs, milter.ByAuthentication, loggedIn,
			plainText, func(s *Filter) { s.AuthResult = true }, action.Accept,
			"Authentication-Results DKIM-Signature From Subject", "signed ed25519-sha256"},
		{"a broken key among two", []string{"bad", "good"}, action.RoleOurs, milter.ByNetwork,
			local, plainText, nil, action.Accept,
			"DKIM-Signature From Subject", "signed ed25519-sha256 key failed: bad"},
		{"no key left", []string{"bad"}, action.RoleOurs, milter.ByNetwork, local, plainText, nil, action.Tempfail,
			"From Subject", "key failed: bad"},
		{"no rule", []string{"good"}, action.RoleOurs, milter.ByNetwork, local,
			"From: a@elsewhere.example\n\n", nil, action.Accept,
			"From", "unsigned: no rule"},
		{"no rule, judged", []string{"good"}, action.RoleOurs, milter.ByNetwork, local,
			"From: a@elsewhere.example\n\n",
			func(s *Filter) { s.Unmatched = action.UnmatchedJudge }, action.Accept,
			"Authentication-Results From", "dmarc=none spf=fail dkim=none"},
		{"no author", []string{"good"}, action.RoleOurs, milter.ByNetwork, local, "Subject: x\n\n", nil, action.Accept,
			"Subject", "unsigned: no author"},
		{"two authors", []string{"good"}, action.RoleOurs, milter.ByNetwork, local,
			"From: a@example.com, b@example.org\n\n", nil, action.Accept,
			"From", "unsigned: several authors"},
		{"unsigned recipient", []string{"good"}, action.RoleOurs, milter.ByNetwork, local,
			plainText, func(s *Filter) { s.UnsignedRecipients = patterns(t, "example.org") },
			action.Accept,
			"From Subject", "unsigned: unsigned recipient"},
		{"exempt author", []string{"good"}, action.RoleTheirs, milter.ByDefault, fromAway,
			forgedText, func(s *Filter) { s.ExemptAuthors = patterns(t, "example.com") },
			action.Accept,
			"Authentication-Results From Subject", ""},
		{"nothing signs", []string{"good"}, action.RoleOurs, milter.ByNetwork, local, plainText,
			func(s *Filter) { s.Signer = nil }, action.Accept,
			"From Subject", ""},
		{"nothing judges", []string{"good"}, action.RoleTheirs, milter.ByDefault, fromAway,
			forgedText, func(s *Filter) { s.Verifier = nil }, action.Accept,
			"Authentication-Results From Subject", ""},
		{"theirs is marked", []string{"good"}, action.RoleTheirs, milter.ByDefault, fromAway,
			forgedText, nil, action.Accept,
			"Authentication-Results X-Mark Authentication-Results From Subject",
			"dmarc=fail spf=fail dkim=none"},
		{"theirs is rejected", []string{"good"}, action.RoleTheirs, milter.ByDefault, fromAway,
			plainText, func(s *Filter) { s.Policy.DMARC.Reject = action.Reject }, action.Reject,
			"From Subject", "dmarc=fail spf=fail dkim=none"},
		{"theirs is held", []string{"good"}, action.RoleTheirs, milter.ByDefault, fromAway,
			plainText, func(s *Filter) { s.Policy.DMARC.Reject = action.Hold }, action.Hold,
			"Authentication-Results From Subject", "dmarc=fail spf=fail dkim=none"},
		{"dry run", []string{"good"}, action.RoleTheirs, milter.ByDefault, fromAway, plainText,
			func(s *Filter) { s.Policy.DMARC.Reject = action.Reject; s.Policy.DryRun = true },
			action.Accept,
			"Authentication-Results From Subject", "dmarc=fail spf=fail dkim=none"},
		{"Received-SPF by setting", []string{"good"}, action.RoleTheirs, milter.ByDefault, fromAway,
			plainText, func(s *Filter) {
				s.ReceivedSPF = true
				s.Policy.DMARC.Reject = action.Accept
			}, action.Accept,
			"Authentication-Results Received-SPF From Subject", "dmarc=fail spf=fail dkim=none"},
		{"Received-SPF of HELO too", []string{"good"}, action.RoleTheirs, milter.ByDefault,
			fromAway, plainText, func(s *Filter) {
				s.ReceivedSPF, s.Verifier.HELO, s.Policy.DMARC.Reject = true, true, action.Accept
			}, action.Accept, "Authentication-Results Received-SPF Received-SPF From Subject",
			"dmarc=fail spf=fail helo=neutral dkim=none"},
		{"a relay's results are kept", []string{"good"}, action.RoleRelay, milter.ByRelay, fromAway,
			forgedText, nil, action.Accept,
			"Authentication-Results Authentication-Results X-Mark Authentication-Results From Subject", "dkim=none"},
		{"a list's host signs again", []string{"good"}, action.RoleTheirs, milter.ByDefault,
			fromAway, plainText, func(s *Filter) {
				s.Signer.Table.Rules()[0].Resign, s.Signer.Table.Rules()[0].Domain = true,
					"lists.example"
				s.Policy.DMARC.Reject = action.Accept
			}, action.Accept, "Authentication-Results DKIM-Signature From Subject",
			"signed ed25519-sha256 dmarc=fail spf=fail dkim=none"},
		{"of all rules that fit, those that say so sign again", []string{"good"}, action.RoleTheirs,
			milter.ByDefault, fromAway, plainText, func(s *Filter) {
				list := sign.Rule{Name: "sign[1]", From: patterns(t, "*"), Domain: "lists.example",
					Keys: []string{"good"}, Resign: true, OnKeyError: action.KeySkip}
				s.Signer.Table = sign.NewTableOfAll(append(s.Signer.Table.Rules(), list))
				s.Policy.DMARC.Reject = action.Accept
			}, action.Accept, "Authentication-Results DKIM-Signature From Subject",
			"signed ed25519-sha256 dmarc=fail spf=fail dkim=none"},
		{"where the first rule signs, a later one does not sign again", []string{"good"},
			action.RoleTheirs, milter.ByDefault, fromAway, plainText, func(s *Filter) {
				list := sign.Rule{Name: "sign[1]", From: patterns(t, "*"), Keys: []string{"good"},
					Resign: true, OnKeyError: action.KeySkip}
				s.Signer.Table = sign.NewTable(append(s.Signer.Table.Rules(), list))
				s.Policy.DMARC.Reject = action.Accept
			}, action.Accept, "Authentication-Results From Subject",
			"dmarc=fail spf=fail dkim=none"},
		{"but not to recipients that get nothing signed", []string{"good"}, action.RoleTheirs,
			milter.ByDefault, fromAway, plainText, func(s *Filter) {
				s.Signer.Table.Rules()[0].Resign = true
				s.UnsignedRecipients = patterns(t, "example.net")
				s.Policy.DMARC.Reject = action.Accept
			}, action.Accept, "Authentication-Results From Subject",
			"dmarc=fail spf=fail dkim=none"},
		{"and where nothing judges", []string{"good"}, action.RoleTheirs, milter.ByDefault,
			fromAway, forgedText, func(s *Filter) {
				s.Signer.Table.Rules()[0].Resign = true
				s.Verifier = nil
			}, action.Accept, "DKIM-Signature Authentication-Results From Subject",
			"signed ed25519-sha256"},
	} {
		s, counts := newFilter(t, tc.keys...)
		if tc.change != nil {
			tc.change(s)
		}
		o, h := decide(t, s, tc.role, tc.why, tc.env, tc.raw)
		if o.Action != tc.action || names(h) != tc.header {
			t.Errorf("%s:\n got %s, %s\nwant %s, %s", tc.name, o.Action, names(h), tc.action,
				tc.header)
		}
		got, want := strings.Fields(strings.Join(counts.words, " ")), strings.Fields(tc.counts)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: counted %q, want %q", tc.name, counts.words, tc.counts)
		}
		if class := map[action.Action]int{action.Reject: 5,
			action.Tempfail: 4}[o.Action]; o.Reply.Code/100 != class {
			t.Errorf("%s: %s with reply %+v", tc.name, o.Action, o.Reply)
		}
	}
}

func TestSenders(t *testing.T) {
	for _, tc := range []struct {
		name    string
		senders Senders
		env     message.Envelope
		want    action.Action
		counts  string
	}{
		{"any", Senders{Require: action.SenderAny}, loggedIn, action.Accept, "signed ed25519-sha256"},
		{"envelope of the same domain", Senders{Require: action.SenderEnvelopeDomain,
			Action: action.Reject}, loggedIn, action.Accept, "signed ed25519-sha256"},
		{"envelope of another domain", Senders{Require: action.SenderEnvelopeDomain,
			Action: action.Reject}, fromAway, action.Reject, ""},
		{"deferred", Senders{Require: action.SenderEnvelopeDomain, Action: action.Tempfail},
			fromAway, action.Tempfail, ""},
		{"accepted unsigned", Senders{Require: action.SenderEnvelopeDomain, Action: action.Accept},
			fromAway, action.Accept, "unsigned: sender"},
		{"bounce", Senders{Require: action.SenderEnvelopeDomain, Action: action.Reject},
			message.Envelope{Client: local.Client}, action.Accept, "signed ed25519-sha256"},
		{"login may", Senders{Require: action.SenderLogin, Action: action.Reject,
			Logins: map[string]message.Patterns{"alice": patterns(t, "example.com")}}, loggedIn,
			action.Accept, "signed ed25519-sha256"},
		{"login may not", Senders{Require: action.SenderLogin, Action: action.Reject,
			Logins: map[string]message.Patterns{"alice": patterns(t, "b@example.com")}}, loggedIn, action.Reject, ""},
		{"login unknown", Senders{Require: action.SenderLogin, Action: action.Reject}, loggedIn, action.Reject, ""},
		{"no login", Senders{Require: action.SenderLogin, Action: action.Reject}, local,
			action.Accept, "signed ed25519-sha256"},
	} {
		s, counts := newFilter(t, "good")
		s.Senders = tc.senders
		o, _ := decide(t, s, action.RoleOurs, milter.ByAuthentication, tc.env, plainText)
		if got := strings.Join(counts.words, " "); o.Action != tc.want || got != tc.counts {
			t.Errorf("%s: got %s, %q; want %s, %q", tc.name, o.Action, got, tc.want, tc.counts)
		}
	}
}

// TestSendersOfAll holds that a login must be allowed to use each address that a reader could show.
func TestSendersOfAll(t *testing.T) {
	for _, tc := range []struct {
		from string
		want action.Action
	}{
		{"alice@example.com", action.Accept},
		{"Doe, Alice <alice@example.com>", action.Accept},
		{"<mailto:alice@example.com>", action.Accept},
		{"alice@example.com; alice@example.com", action.Accept},
		{"alice@example.com, ceo@example.com", action.Reject},
		{"alice@example.com; ceo@example.com", action.Reject},
		{"<alice@example.com> <ceo@example.com>", action.Reject},
		{"<alice@example.com> ceo@example.com", action.Reject},
		{"alice@example.com\nFrom: ceo@example.com", action.Reject},
		{"<ceo@example.com <alice@example.com>", action.Reject},
		{"<mailto:ceo@example.com>", action.Reject},
		{"alice@example.com; ceo@example.org", action.Reject},
		{"Alice", action.Reject},
	} {
		f, _ := newFilter(t, "good")
		f.Senders = Senders{Require: action.SenderLogin, Action: action.Reject,
			Logins: map[string]message.Patterns{"alice": patterns(t, "alice@example.com")}}
		o, _ := decide(t, f, action.RoleOurs, milter.ByAuthentication, loggedIn, "From: "+tc.from+
			"\n\nbody\n")
		if o.Action != tc.want {
			t.Errorf("%q: %s %v, want %s", tc.from, o.Action, o.Details, tc.want)
		}
	}
}

// TestResultsAreOurs holds that no verdict reads a field of the message: only what the methods find
// counts.
func TestResultsAreOurs(t *testing.T) {
	s, _ := newFilter(t, "good")
	s.Policy.DMARC.Reject = action.Reject
	for _, claim := range []string{"mx.example.net; dmarc=pass header.from=example.com",
		"mx.example.net; spf=pass; dkim=pass header.d=example.com", "none; dmarc=pass"} {
		o, _ := decide(t, s, action.RoleTheirs, milter.ByDefault, fromAway,
			fmt.Sprintf("Authentication-Results: %s\nReceived-SPF: pass\n%s", claim, plainText))
		if o.Action != action.Reject {
			t.Errorf("%s: %s, want reject", claim, o.Action)
		}
	}
}
