package milter

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
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
	"mailseal/milter/policy"
	"mailseal/milter/sign"
	"mailseal/milter/spf"
	"mailseal/milter/verify"
)

const stepsID = "mx.example.net"

// stepsZone is a domain that wants to be protected and one that sends from 192.0.2.1.
const stepsZone = `
example.com.        IN TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.example.com. IN TXT "v=DMARC1; p=reject"
other.example.      IN TXT "v=spf1 -all"
x.other.example.    IN TXT "v=spf1 ?all"
`

// stepsKeys has a key that works and one that does not.
type stepsKeys struct{}

func (stepsKeys) Key(_ context.Context, name string) (keys.Key, error) {
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
func (c *tally) SelfChecked(v sign.Verdict)    { c.words = append(c.words, "self-check: "+string(v)) }

func stepsPatterns(t *testing.T, texts ...string) message.Patterns {
	t.Helper()
	ps, err := message.ParsePatterns(texts)
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

// newSteps signs for example.com with keys and judges strangers by the factory's policy.
func newSteps(t *testing.T, keyNames ...string) (*Steps, *tally) {
	t.Helper()
	z, err := dnstest.Load(strings.NewReader(stepsZone))
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) }
	rule := sign.Rule{Name: "sign[0]", From: stepsPatterns(t, "example.com"), Keys: keyNames}
	c := &tally{}
	return &Steps{
		ID:       stepsID,
		Own:      Own{IDs: []string{stepsID}, Fields: []string{"X-Mark"}},
		Signer:   &sign.Signer{Table: sign.NewTable([]sign.Rule{rule}), Keys: stepsKeys{}, Now: now},
		Verifier: &verify.Verifier{Resolver: z, SPF: &spf.Checker{Now: now}, DKIM: &dkim.Verifier{Now: now}, DMARC: &dmarc.Checker{}},
		Policy: &policy.Rules{
			Actions:    policy.Actions{DMARC: map[string]policy.Action{"reject": policy.Mark}},
			MarkHeader: "X-Mark",
			Texts:      policy.Texts{DMARC: "DMARC policy for {domain}"},
		},
		Counters: c,
	}, c
}

// decide takes one message through s and returns the outcome, and the header as it will be.
func decide(t *testing.T, s *Steps, role Role, why Reason, env message.Envelope, raw string) (Outcome, message.Header) {
	t.Helper()
	var judge Judge
	m, err := message.Read(strings.NewReader(strings.ReplaceAll(raw, "\n", "\r\n")), 1<<20, func(h message.Header) []message.BodyHash {
		judge = s.Begin(t.Context(), Mail{Envelope: &env, Role: role, Why: why, Header: h})
		return judge.Wants().Hashes
	})
	if err != nil {
		t.Fatal(err)
	}
	o := judge.Decide(t.Context(), m, nil)
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
	local    = message.Envelope{Client: netip.MustParseAddr("127.0.0.1"), Sender: "a@example.com", Recipients: []string{"b@example.org"}}
	loggedIn = message.Envelope{Client: netip.MustParseAddr("198.51.100.7"), AuthType: "PLAIN", AuthUser: "alice", Sender: "a@example.com", Recipients: []string{"b@example.org"}}
	fromAway = message.Envelope{Client: netip.MustParseAddr("198.51.100.7"), Helo: "x.other.example", Sender: "a@other.example", Recipients: []string{"b@example.net"}}
)

const plainText = "From: a@example.com\nSubject: x\n\nbody\n"
const forgedText = "Authentication-Results: mx.example.net; dkim=pass\nX-Mark: no\nAuthentication-Results: other.example; spf=pass\n" + plainText

func TestSteps(t *testing.T) {
	for _, tc := range []struct {
		name   string
		keys   []string
		role   Role
		why    Reason
		env    message.Envelope
		raw    string
		change func(*Steps)
		action Action
		header string
		counts string
	}{
		{"ours is signed", []string{"good"}, Ours, ByNetwork, local, plainText, nil, Accept,
			"DKIM-Signature From Subject", "signed ed25519-sha256"},
		{"a user's forged fields go", []string{"good"}, Ours, ByAuthentication, loggedIn, forgedText, nil, Accept,
			"DKIM-Signature Authentication-Results From Subject", "signed ed25519-sha256"},
		{"our own hosts may hand on", []string{"good"}, Ours, ByNetwork, local, forgedText, nil, Accept,
			"DKIM-Signature Authentication-Results X-Mark Authentication-Results From Subject", "signed ed25519-sha256"},
		{"auth= by setting", []string{"good"}, Ours, ByAuthentication, loggedIn, plainText, func(s *Steps) { s.AuthResult = true }, Accept,
			"Authentication-Results DKIM-Signature From Subject", "signed ed25519-sha256"},
		{"a broken key among two", []string{"bad", "good"}, Ours, ByNetwork, local, plainText, nil, Accept,
			"DKIM-Signature From Subject", "signed ed25519-sha256 key failed: bad"},
		{"no key left", []string{"bad"}, Ours, ByNetwork, local, plainText, nil, Tempfail,
			"From Subject", "key failed: bad"},
		{"no rule", []string{"good"}, Ours, ByNetwork, local, "From: a@elsewhere.example\n\n", nil, Accept,
			"From", "unsigned: no rule"},
		{"no rule, judged", []string{"good"}, Ours, ByNetwork, local, "From: a@elsewhere.example\n\n", func(s *Steps) { s.JudgeUnmatched = true }, Accept,
			"Authentication-Results From", "dkim=none spf=fail dmarc=none"},
		{"no author", []string{"good"}, Ours, ByNetwork, local, "Subject: x\n\n", nil, Accept,
			"Subject", "unsigned: no author"},
		{"two authors", []string{"good"}, Ours, ByNetwork, local, "From: a@example.com, b@example.org\n\n", nil, Accept,
			"From", "unsigned: many authors"},
		{"unsigned recipient", []string{"good"}, Ours, ByNetwork, local, plainText, func(s *Steps) { s.UnsignedRecipients = stepsPatterns(t, "example.org") }, Accept,
			"From Subject", "unsigned: unsigned recipient"},
		{"exempt author", []string{"good"}, Theirs, ByDefault, fromAway, forgedText, func(s *Steps) { s.ExemptAuthors = stepsPatterns(t, "example.com") }, Accept,
			"Authentication-Results X-Mark Authentication-Results From Subject", ""},
		{"nothing signs", []string{"good"}, Ours, ByNetwork, local, plainText, func(s *Steps) { s.Signer = nil }, Accept,
			"From Subject", ""},
		{"nothing judges", []string{"good"}, Theirs, ByDefault, fromAway, forgedText, func(s *Steps) { s.Verifier = nil }, Accept,
			"Authentication-Results From Subject", ""},
		{"theirs is marked", []string{"good"}, Theirs, ByDefault, fromAway, forgedText, nil, Accept,
			"Authentication-Results X-Mark Authentication-Results From Subject", "dkim=none spf=fail dmarc=fail"},
		{"theirs is rejected", []string{"good"}, Theirs, ByDefault, fromAway, plainText, func(s *Steps) { s.Policy.DMARC["reject"] = policy.Reject }, Reject,
			"From Subject", "dkim=none spf=fail dmarc=fail"},
		{"theirs is held", []string{"good"}, Theirs, ByDefault, fromAway, plainText, func(s *Steps) { s.Policy.DMARC["reject"] = policy.Hold }, Hold,
			"Authentication-Results From Subject", "dkim=none spf=fail dmarc=fail"},
		{"dry run", []string{"good"}, Theirs, ByDefault, fromAway, plainText, func(s *Steps) { s.Policy.DMARC["reject"] = policy.Reject; s.Policy.DryRun = true }, Accept,
			"Authentication-Results From Subject", "dkim=none spf=fail dmarc=fail"},
		{"Received-SPF by setting", []string{"good"}, Theirs, ByDefault, fromAway, plainText, func(s *Steps) { s.ReceivedSPF = true; s.Policy.DMARC = nil }, Accept,
			"Authentication-Results Received-SPF From Subject", "dkim=none spf=fail dmarc=fail"},
		{"Received-SPF of HELO too", []string{"good"}, Theirs, ByDefault, fromAway, plainText, func(s *Steps) {
			s.ReceivedSPF, s.Verifier.HELO, s.Policy.DMARC = true, true, nil
		}, Accept, "Authentication-Results Received-SPF Received-SPF From Subject", "dkim=none spf=fail helo=neutral dmarc=fail"},
		{"a relay's results are kept", []string{"good"}, Relay, ByRelay, fromAway, forgedText, nil, Accept,
			"Authentication-Results Authentication-Results X-Mark Authentication-Results From Subject", "dkim=none"},
		{"a list's host signs again", []string{"good"}, Theirs, ByDefault, fromAway, plainText, func(s *Steps) {
			s.Signer.Table.Rules()[0].Resign = true
			s.Policy.DMARC = nil
		}, Accept, "Authentication-Results DKIM-Signature From Subject", "signed ed25519-sha256 dkim=none spf=fail dmarc=fail"},
		{"of all rules that fit, those that say so sign again", []string{"good"}, Theirs, ByDefault, fromAway, plainText, func(s *Steps) {
			list := sign.Rule{Name: "sign[1]", From: stepsPatterns(t, "*"), Keys: []string{"good"}, Resign: true}
			s.Signer.Table = sign.NewTableOfAll(append(s.Signer.Table.Rules(), list))
			s.Policy.DMARC = nil
		}, Accept, "Authentication-Results DKIM-Signature From Subject", "signed ed25519-sha256 dkim=none spf=fail dmarc=fail"},
		{"where the first rule signs, a later one does not sign again", []string{"good"}, Theirs, ByDefault, fromAway, plainText, func(s *Steps) {
			list := sign.Rule{Name: "sign[1]", From: stepsPatterns(t, "*"), Keys: []string{"good"}, Resign: true}
			s.Signer.Table = sign.NewTable(append(s.Signer.Table.Rules(), list))
			s.Policy.DMARC = nil
		}, Accept, "Authentication-Results From Subject", "dkim=none spf=fail dmarc=fail"},
		{"but not to recipients that get nothing signed", []string{"good"}, Theirs, ByDefault, fromAway, plainText, func(s *Steps) {
			s.Signer.Table.Rules()[0].Resign = true
			s.UnsignedRecipients = stepsPatterns(t, "example.net")
			s.Policy.DMARC = nil
		}, Accept, "Authentication-Results From Subject", "dkim=none spf=fail dmarc=fail"},
		{"and where nothing judges", []string{"good"}, Theirs, ByDefault, fromAway, forgedText, func(s *Steps) {
			s.Signer.Table.Rules()[0].Resign = true
			s.Verifier = nil
		}, Accept, "DKIM-Signature Authentication-Results From Subject", "signed ed25519-sha256"},
	} {
		s, counts := newSteps(t, tc.keys...)
		if tc.change != nil {
			tc.change(s)
		}
		o, h := decide(t, s, tc.role, tc.why, tc.env, tc.raw)
		if o.Action != tc.action || names(h) != tc.header {
			t.Errorf("%s:\n got %s, %s\nwant %s, %s", tc.name, o.Action, names(h), tc.action, tc.header)
		}
		got, want := strings.Fields(strings.Join(counts.words, " ")), strings.Fields(tc.counts)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: counted %q, want %q", tc.name, counts.words, tc.counts)
		}
		if (o.Action == Reject || o.Action == Tempfail) && !o.Reply.is(map[Action]int{Reject: 5, Tempfail: 4}[o.Action]) {
			t.Errorf("%s: reply %+v cannot be given", tc.name, o.Reply)
		}
	}
}

func TestSenders(t *testing.T) {
	for _, tc := range []struct {
		name    string
		senders Senders
		env     message.Envelope
		want    Action
		counts  string
	}{
		{"any", Senders{}, loggedIn, Accept, "signed ed25519-sha256"},
		{"envelope of the same domain", Senders{Rule: EnvelopeDomain, Action: Reject}, loggedIn, Accept, "signed ed25519-sha256"},
		{"envelope of another domain", Senders{Rule: EnvelopeDomain, Action: Reject}, fromAway, Reject, ""},
		{"deferred", Senders{Rule: EnvelopeDomain, Action: Tempfail}, fromAway, Tempfail, ""},
		{"accepted unsigned", Senders{Rule: EnvelopeDomain, Action: Accept}, fromAway, Accept, "unsigned: sender"},
		{"bounce", Senders{Rule: EnvelopeDomain, Action: Reject}, message.Envelope{Client: local.Client}, Accept, "signed ed25519-sha256"},
		{"login may", Senders{Rule: LoginMap, Action: Reject, Logins: map[string]message.Patterns{"alice": stepsPatterns(t, "example.com")}}, loggedIn, Accept, "signed ed25519-sha256"},
		{"login may not", Senders{Rule: LoginMap, Action: Reject, Logins: map[string]message.Patterns{"alice": stepsPatterns(t, "b@example.com")}}, loggedIn, Reject, ""},
		{"login unknown", Senders{Rule: LoginMap, Action: Reject}, loggedIn, Reject, ""},
		{"no login", Senders{Rule: LoginMap, Action: Reject}, local, Accept, "signed ed25519-sha256"},
	} {
		s, counts := newSteps(t, "good")
		s.Senders = tc.senders
		o, _ := decide(t, s, Ours, ByAuthentication, tc.env, plainText)
		if got := strings.Join(counts.words, " "); o.Action != tc.want || got != tc.counts {
			t.Errorf("%s: got %s, %q; want %s, %q", tc.name, o.Action, got, tc.want, tc.counts)
		}
	}
}

// TestResultsAreOurs holds that no verdict reads a field of the message: only what the methods find counts.
func TestResultsAreOurs(t *testing.T) {
	s, _ := newSteps(t, "good")
	s.Policy.DMARC["reject"] = policy.Reject
	for _, claim := range []string{"mx.example.net; dmarc=pass header.from=example.com", "mx.example.net; spf=pass; dkim=pass header.d=example.com", "none; dmarc=pass"} {
		o, _ := decide(t, s, Theirs, ByDefault, fromAway, fmt.Sprintf("Authentication-Results: %s\nReceived-SPF: pass\n%s", claim, plainText))
		if o.Action != Reject {
			t.Errorf("%s: %s, want reject", claim, o.Action)
		}
	}
}
