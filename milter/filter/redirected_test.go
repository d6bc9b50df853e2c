package filter

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/sign"
)

// TestRedirected holds of which mail of ours the author's domain is not vouched for: that of which
// the newest field of our own says that it failed DMARC.
func TestRedirected(t *testing.T) {
	ar := func(id, results string) string {
		return "Authentication-Results: " + id + "; " + results + "\n"
	}
	const fail, pass = "dmarc=fail (p=reject dis=quarantine) header.from=example.com",
		"dmarc=pass header.from=example.com"
	former := "mx-old.example.net"
	for _, tc := range []struct {
		name   string
		fields string
		signed bool
	}{
		{"none", "", true},
		{"failed", ar(testID, "spf=fail smtp.mailfrom=x.example; "+fail), false},
		{"failed, of a former id", ar(former, fail), false},
		{"failed, in another spelling", "AUTHENTICATION-RESULTS:\n\tMX.example.NET 1 " +
			"(x);\n\tDMARC=Fail header.from=Example.COM\n", false},
		{"failed, without header.from", ar(testID, "dmarc=fail"), false},
		{"failed, final dot", ar(testID+".", fail), false},
		{"the second result", ar(testID, "dmarc=fail header.from=other.example; "+fail), false},
		{"in the second field of two", ar(testID, "dkim=none; spf=fail") + ar(testID, fail), false},
		{"below one of another host", ar("mx.other.example", pass) + ar(testID, fail), false},
		{"below what a login says", ar(testID, "auth=pass smtp.auth=bob") + ar(testID, fail), false},
		{"below an older pass", ar(testID, fail) + ar(testID, pass), false},
		{"below other fields", "Received: x\nX-Sieve: y\n" + ar(testID, fail), false},
		{"passed", ar(testID, pass), true},
		{"passed since", ar(testID, pass) + ar(testID, fail), true},
		{"no result since", ar(testID, "dmarc=temperror header.from=example.com") + ar(testID, fail), true},
		{"of another host", ar("mx.other.example", fail), true},
		{"of a host below ours", ar("a."+testID, fail), true},
		{"of another author", ar(testID, "dmarc=fail header.from=other.example"), true},
		{"of an author below", ar(testID, "dmarc=fail header.from=a.example.com"), true},
		{"only DKIM failed", ar(testID, "dkim=fail header.d=example.com; spf=fail"), true},
		{"a word in a comment", ar(testID, "spf=pass (dmarc=fail header.from=example.com)"), true},
		{"that cannot be read", ar(testID, "dmarc=fail=fail"), true},
		{"of another name", "X-Authentication-Results: " + testID + "; " + fail + "\n", true},
	} {
		for _, why := range []milter.Reason{milter.ByNetwork, milter.BySubmission,
			milter.ByAuthentication, milter.ByDaemon} {
			f, counts := newFilter(t, "good")
			f.Own.IDs = append(f.Own.IDs, former)
			o, h := decide(t, f, action.RoleOurs, why, local, tc.fields+plainText)
			want, level := "signed ed25519-sha256", slog.LevelInfo
			if !tc.signed {
				want, level = "unsigned: redirected", slog.LevelWarn
			}
			got := strings.Join(counts.words, " ")
			if o.Action != action.Accept || got != want || o.Level != level ||
				tc.signed != strings.Contains(names(h), "DKIM-Signature") {
				t.Errorf("%s, by %s: %s at %s, %q; want %q\n%s", tc.name, why, o.Action, o.Level,
					got, want, names(h))
			}
			if !tc.signed && !strings.Contains(fmt.Sprint(o.Details), "unsigned=redirected") {
				t.Errorf("%s: details %v", tc.name, o.Details)
			}
		}
	}
}

// TestRedirectedIsSignedBySetting holds that "sign" signs all the same.
func TestRedirectedIsSignedBySetting(t *testing.T) {
	f, counts := newFilter(t, "good")
	f.Redirected = action.RedirectedSign
	o, h := decide(t, f, action.RoleOurs, milter.ByNetwork, local, "Authentication-Results: "+
		testID+"; dmarc=fail\n"+plainText)
	if got := strings.Join(counts.words, " "); got != "signed ed25519-sha256" ||
		o.Level != slog.LevelInfo || !strings.Contains(names(h), "DKIM-Signature") {
		t.Errorf("%q at %s, %s", got, o.Level, names(h))
	}
}

// TestRedirectedByOthers holds that only the author's own signature is withheld: a forwarder's own
// domain signs.
func TestRedirectedByOthers(t *testing.T) {
	for _, tc := range []struct {
		d, from string
		signed  bool
	}{
		{"", "a@example.com", false},
		{"forwarder.example", "a@example.com", true},
		{"%", "a@example.com", false},
		{"example.com", "a@b.example.com", false},
		{"b.example.com", "a@example.com", false},
		{"c.example.com", "a@b.example.com", false},
		{"notexample.com", "a@example.com", true},
		{"example.net", "a@example.com", true},
		{"other.co.uk", "a@one.co.uk", true},
	} {
		f, _ := newFilter(t, "good")
		rule := &f.Signer.Table.Rules()[0]
		rule.From, rule.Domain = patterns(t, "*"), tc.d
		f.Signer.Table = sign.NewTable([]sign.Rule{*rule})
		raw := "Authentication-Results: " + testID + "; dmarc=fail\nFrom: " + tc.from + "\n\nbody\n"
		o, h := decide(t, f, action.RoleOurs, milter.ByNetwork, local, raw)
		if signed := strings.Contains(names(h), "DKIM-Signature"); signed != tc.signed ||
			o.Action != action.Accept {
			t.Errorf("d=%s, From %s: %s, signed %v", tc.d, tc.from, o.Action, signed)
		}
	}
}

// TestForgedIsNotResigned holds that a mailing list's host does not sign a forged message as its
// author's domain either, and that strangers do not fill the log with warnings.
func TestForgedIsNotResigned(t *testing.T) {
	f, counts := newFilter(t, "good")
	f.Signer.Table.Rules()[0].Resign = true
	f.Policy.DMARC.Reject = action.Accept
	o, h := decide(t, f, action.RoleTheirs, milter.ByDefault, fromAway, plainText)
	if strings.Contains(names(h), "DKIM-Signature") || o.Level != slog.LevelInfo ||
		strings.Contains(strings.Join(counts.words, " "), "unsigned") {
		t.Errorf("%s at %s, %s, counted %q", o.Action, o.Level, names(h), counts.words)
	}
	f.Signer.Table.Rules()[0].Domain = "lists.example"
	if _, h = decide(t, f, action.RoleTheirs, milter.ByDefault, fromAway,
		plainText); !strings.Contains(names(h), "DKIM-Signature") {
		t.Error("the list's own domain does not sign")
	}
}

// TestRedirectedUnderTheMTAsName holds of hosts without authserv_id: our fields have the name of
// the MTA.
func TestRedirectedUnderTheMTAsName(t *testing.T) {
	for _, tt := range []struct {
		mta, id string
		signed  bool
	}{
		{"mail.example.net", "mail.example.net", false},
		{"mail.example.net", "MAIL.Example.NET.", false},
		{"mail.example.net", "mail", false},
		{"mail.example.net", "other.example.net", true},
		{"", "mail.example.net", true},
	} {
		f, _ := newFilter(t, "good")
		env := local
		env.Hostname = tt.mta
		raw := "Authentication-Results: " + tt.id + "; dmarc=fail header.from=example.com\n" +
			plainText
		_, h := decide(t, f, action.RoleOurs, milter.ByNetwork, env, raw)
		if signed := strings.Contains(names(h), "DKIM-Signature"); signed != tt.signed {
			t.Errorf("MTA %q, id %s: signed %v", tt.mta, tt.id, signed)
		}
	}
}
