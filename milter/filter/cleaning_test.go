package filter

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/authres"
	"mailseal/milter/message"
	"mailseal/milter/message/messagetest"
	"mailseal/milter/policy"
)

func TestForged(t *testing.T) {
	own := OwnFields{IDs: []string{"mx.example.com"}, Names: []string{"X-Mark", "Received-SPF"}}
	h := messagetest.Header(
		"Authentication-Results: mx.example.com; dkim=pass",
		"AUTHENTICATION-RESULTS: (hi) \"MX.example.COM\"/1 job; spf=pass",
		"Authentication-Results: mx.example.net; dkim=pass",
		"x-mark: spam",
		"Received-SPF: pass",
		"Subject: mx.example.com",
		"Authentication-Results:\n\tmx.example.com\n\t; none",
	)
	own.KeepResults = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("192.0.2.25/32"), netip.MustParsePrefix("::1/128")}
	all := []int{0, 1, 3, 4, 6}
	const filter, pc = "192.0.2.25", "192.0.2.77"
	for _, c := range []struct {
		name   string
		role   action.Role
		why    milter.Reason
		client string
		want   []int
	}{
		{"stranger", action.RoleTheirs, milter.ByDefault, pc, all},
		{"stranger by the listener", action.RoleTheirs, milter.ByListener, "127.0.0.1", all},
		{"stranger in keep_results alone", action.RoleTheirs, milter.ByDefault, filter, all},
		{"judged as a stranger, from our network", action.RoleTheirs, milter.ByNetwork, filter, all},
		{"authenticated", action.RoleOurs, milter.ByAuthentication, filter, all},
		{"authenticated on the host itself", action.RoleOurs, milter.ByAuthentication, "127.0.0.1", all},
		{"submission by daemon name", action.RoleOurs, milter.ByDaemon, filter, all},
		{"submission by macro", action.RoleOurs, milter.ByMacro, filter, all},
		{"listener for ours", action.RoleOurs, milter.ByListener, "127.0.0.1", all},
		{"PC in our network", action.RoleOurs, milter.ByNetwork, pc, all},
		{"PC of ours by its name", action.RoleOurs, milter.ByHost, pc, all},
		{"no address", action.RoleOurs, milter.ByNetwork, "", all},
		{"content filter in our network", action.RoleOurs, milter.ByNetwork, filter, nil},
		{"content filter by its name", action.RoleOurs, milter.ByHost, filter, nil},
		{"content filter, mapped address", action.RoleOurs, milter.ByNetwork, "::ffff:192.0.2.25", nil},
		{"loopback", action.RoleOurs, milter.ByNetwork, "127.0.0.1", nil},
		{"loopback, IPv6", action.RoleOurs, milter.ByNetwork, "::1", nil},
		{"local process", action.RoleOurs, milter.BySubmission, "", nil},
		{"relay", action.RoleRelay, milter.ByRelay, pc, nil},
		{"listener for relays", action.RoleRelay, milter.ByListener, pc, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := &message.Envelope{}
			if c.client != "" {
				env.Client = netip.MustParseAddr(c.client)
			}
			got := own.Forged(milter.Mail{Envelope: env, Role: c.role, Why: c.why, Header: h})
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// spellings are fields that readers take for ours in many ways of writing.
func spellings(yield func(string) bool) {
	names := []string{"Authentication-Results", "authentication-results", "AUTHENTICATION-RESULTS"}
	ids := []string{testID, "MX.Example.Net", testID + ".", "\"" + testID + "\"", "(hi) " + testID,
		"\n\t" + testID, testID + "/1", testID + " 1", "(a (b) c)\n " + testID}
	tails := []string{"; dmarc=pass header.from=example.com", " ; spf=pass", ";dkim=pass",
		"\n\t; none", " (comment); arc=pass"}
	for _, name := range names {
		for _, id := range ids {
			for _, tail := range tails {
				if !yield(name+": "+id+tail) || !yield(name+":"+id+tail) {
					return
				}
			}
		}
	}
	for _, mark := range []string{"X-Mark: no", "x-mark:no", "X-MARK: \n\tno"} {
		if !yield(mark) {
			return
		}
	}
}

// TestStrangersKeepNothing holds that no setting whose condition a stranger can fulfil, by what is
// written into the envelope or the header, lets a forged field through, in whatever spelling.
func TestStrangersKeepNothing(t *testing.T) {
	env := fromAway
	env.Recipients = []string{"abuse@example.net"}
	policyOf := func(f *Filter) *policy.Rules { return f.Policy }
	accept := func(f *Filter) policy.Actions { return f.Policy.Actions }
	for name, change := range map[string]func(*Filter){
		"nothing":                     func(*Filter) {},
		"exempt.author_domains":       func(f *Filter) { f.ExemptAuthors = patterns(t, "example.com") },
		"signing.unsigned_recipients": func(f *Filter) { f.UnsignedRecipients = patterns(t, "*") },
		"policy.not_judged.senders": func(
			f *Filter) {
			policyOf(f).NotJudged.Senders.Patterns = patterns(t, "*@other.example")
		},
		"policy.not_judged.recipients": func(f *Filter) { policyOf(f).NotJudged.Recipients = patterns(t, "abuse@*") },
		"policy.override.author_domains": func(f *Filter) {
			policyOf(f).Overrides = []policy.Override{{Authors: patterns(t, "example.com"),
				Replace: action.Accept, Actions: accept(f)}}
		},
		"policy.override.list_ids": func(f *Filter) {
			policyOf(f).Overrides = []policy.Override{{ListIDs: patterns(t, "lists.example"),
				Replace: action.Accept, Actions: accept(f)}}
		},
		"policy.dry_run":          func(f *Filter) { f.Policy.DryRun = true },
		"a rule that signs again": func(f *Filter) { f.Signer.Table.Rules()[0].Resign = true },
		"mode sign":               func(f *Filter) { f.Verifier = nil },
		"mode verify":             func(f *Filter) { f.Signer = nil },
	} {
		f, _ := newFilter(t, "good")
		f.Policy.DMARC.Reject = action.Accept
		change(f)
		for field := range spellings {
			raw := field + "\nList-Id: <lists.example>\n" + plainText
			o, h := decide(t, f, action.RoleTheirs, milter.ByDefault, env, raw)
			own := 0 // ours is on top, where there is one
			for _, left := range h {
				isOurs := left.Is("Authentication-Results") &&
					authres.Claims(left.Value(), f.Own.IDs)
				isForged := left.Is("X-Mark") ||
					isOurs && strings.Contains(left.String(), "=pass header.from")
				if isOurs {
					own++
				}
				if isForged || own > 1 {
					t.Fatalf("%s: %q leaves\n%s", name, field, left)
				}
			}
			if o.Action != action.Accept {
				t.Fatalf("%s: %q: %s", name, field, o.Action)
			}
			if judged := f.Verifier != nil &&
				name != "exempt.author_domains"; (own == 1) != judged {
				t.Fatalf("%s: %q leaves %d fields with our id", name, field, own)
			}
		}
	}
}

// Some readers take a bare CR for a line end, and see our field inside of another.
func TestForgedBehindCR(t *testing.T) {
	own := OwnFields{IDs: []string{"mx.example.com"}, Names: []string{"X-Mark"}}
	for _, tt := range []struct {
		name, field string
		isForged    bool
	}{
		{"in a field of its own name",
			"Authentication-Results: a.example; none\rAuthentication-Results: mx.example.com; dmarc=pass", true},
		{"in the subject", "Subject: hi\rAuthentication-Results: mx.example.com; dmarc=pass", true},
		{"in small letters, folded", "X-A:\rauthentication-results :\n mx.example.com; dmarc=pass", true},
		{"behind a fold and another field",
			"Received: by x\n for y\rA: b\rAuthentication-Results: \"mx.example.com\"; dmarc=pass",
			true},
		{"a mark", "X-A: b\rx-mark: no", true},
		{"of another host", "X-A: b\rAuthentication-Results: other.example; dmarc=pass", false},
		{"behind a thousand others", "X-A: b" +
			strings.Repeat("\rAuthentication-Results: other.example; none", 1000) +
			"\rAuthentication-Results: mx.example.com; dmarc=pass", true},
		{"behind a fold alone", "X-A: b\n Authentication-Results: mx.example.com; dmarc=pass", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := milter.Mail{Envelope: &message.Envelope{}, Role: action.RoleTheirs,
				Header: messagetest.Header("To: a@example.com", tt.field, "From: b@example.com")}
			var want []int
			if tt.isForged {
				want = []int{1}
			}
			if got := own.Forged(m); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}
