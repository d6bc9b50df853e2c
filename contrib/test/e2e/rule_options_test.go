package e2e

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/keys"
	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
	"mailseal/milter/miltertest"
	"mailseal/milter/taglist"
)

// optionsConfig has a rule for each option that a rule can have, told by the author's domain. Each
// key is named after its selector.
const optionsConfig = `authserv_id = "mx.example.com"
mode = "sign"
listen = [{ address = "unix:%[1]s/s" }]
ours = { networks = ["127.0.0.0/8"] }
[keys.one]
domain = "%%"
selector = "one"
private_key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
[keys.two]
domain = "%%"
selector = "two"
private_key = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
[keys.gone]
domain = "%%"
selector = "gone"
file = "gone.pem"
[[sign]]
from = "canonicalization.example"
keys = ["one"]
canonicalization = "simple/simple"
[[sign]]
from = "headers.example"
keys = ["one"]
headers = ["+X-Ticket", "-Subject"]
oversign = ["+X-Ticket", "-Subject", "-Cc"]
oversign_if_present = ["-Date"]
[[sign]]
from = "expiry.example"
keys = ["one"]
expiry = "1h"
[[sign]]
from = "for-ever.example"
keys = ["one"]
expiry = "0s"
[[sign]]
from = "identifier.example"
keys = ["one"]
identifier = "news@%%"
[[sign]]
from = "customer.example"
keys = ["one"]
domain = "esp.example"
[[sign]]
from = ["*@*.parent.example"]
keys = ["one", "two"]
domain = "parent.example"
[[sign]]
from = "skip.example"
keys = ["one"]
skip_if_signed = true
[[sign]]
from = "again.example"
keys = ["one"]
[[sign]]
from = "remove.example"
keys = ["one"]
remove_old_signatures = true
[[sign]]
from = "when.example"
keys = ["two"]
when = { recipients = ["*@lists.example", "boss@other.example"], networks = ["127.0.0.2"], daemon_names = ["MSA"], logins = ["alice"] }
[[sign]]
from = "when.example"
keys = ["one"]
[[sign]]
from = "*"
keys = ["two"]
domain = "lists.example"
resign = true
when = { recipients = ["*@lists.example"], networks = ["198.51.100.0/24"] }
[[sign]]
from = "skips.example"
keys = ["gone", "one"]
on_key_error = "skip"
[[sign]]
from = "tempfails.example"
keys = ["gone", "one"]
on_key_error = "tempfail"
[[sign]]
from = "rejects.example"
keys = ["gone", "one"]
on_key_error = "reject"
[[sign]]
from = "accepts.example"
keys = ["gone"]
on_key_error = "accept"
[[sign]]
from = "default.example"
keys = ["one"]
`

// optionsZone publishes the keys at every domain that signs.
func optionsZone(t *testing.T, domains ...string) *dnstest.Zone {
	t.Helper()
	zone := dnstest.Must("")
	for _, d := range domains {
		for selector, seed := range map[string]string{"one": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
			"two": "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="} {
			signer, err := keys.Parse([]byte(seed))
			if err != nil {
				t.Fatal(err)
			}
			record, err := keys.Key{Domain: d, Selector: selector,
				Signer: signer}.Record(keys.RecordOptions{})
			if err != nil {
				t.Fatal(err)
			}
			zone.AddTXT(record.Name, record.Text)
		}
	}
	return zone
}

// TestRuleOptions sends a message through the daemon for each option of a rule, and looks at what
// is delivered: the signatures are made as the rule says, and verify.
func TestRuleOptions(t *testing.T) {
	dir := rig.Dir(t)
	rig.MailsealIn(t, dir, fmt.Sprintf(optionsConfig, dir), rig.DaemonOptions{})
	address := "unix:" + dir + "/s"
	const old = "DKIM-Signature: v=1; a=ed25519-sha256; d=%[1]s; s=one; h=from; " +
		"bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\n"
	for _, tc := range []struct {
		name   string
		author string // its domain
		more   string // header fields
		o      miltertest.Options
		login  string
		to     string
		reply  string   // of a message that is refused
		made   []string // s=/d= of the signatures, old ones too, from the top
		tags   map[string]string
	}{
		{name: "as it comes", author: "default.example", made: []string{"one/default.example"},
			tags: map[string]string{"c": "relaxed/relaxed", "x": "864000"}},
		{name: "canonicalization", author: "canonicalization.example",
			made: []string{"one/canonicalization.example"},
			tags: map[string]string{"c": "simple/simple", "x": "864000"}},
		{name: "headers and oversigning", author: "headers.example", more: "X-Ticket: 7\n",
			made: []string{"one/headers.example"},
			tags: map[string]string{"h": "from:from to:to date message-id:message-id " +
				"x-ticket:x-ticket reply-to -subject -cc"}},
		{name: "expiry", author: "expiry.example", made: []string{"one/expiry.example"},
			tags: map[string]string{"x": "3600", "c": "relaxed/relaxed"}},
		{name: "no expiry", author: "for-ever.example", made: []string{"one/for-ever.example"},
			tags: map[string]string{"x": ""}},
		{name: "identifier", author: "identifier.example", made: []string{"one/identifier.example"},
			tags: map[string]string{"i": "news@identifier.example"}},
		{name: "as a third party", author: "customer.example", made: []string{"one/esp.example"},
			tags: map[string]string{"i": ""}},
		{name: "as the parent domain, with two keys", author: "a.b.parent.example",
			made: []string{"one/parent.example", "two/parent.example"}},
		{name: "signed already, and left alone", author: "skip.example",
			more: fmt.Sprintf(old, "skip.example"), made: []string{"one/skip.example"}},
		{name: "signed by another, and signed", author: "skip.example", more: fmt.Sprintf(old,
			"other.example"), made: []string{"one/skip.example", "one/other.example"}},
		{name: "signed already, and signed again", author: "again.example", more: fmt.Sprintf(old,
			"again.example"), made: []string{"one/again.example", "one/again.example"}},
		{name: "old signatures removed", author: "remove.example",
			more: fmt.Sprintf(old, "remove.example") + fmt.Sprintf(old, "other.example"),
			made: []string{"one/remove.example"}},

		{name: "when: all holds", author: "when.example", o: when("127.0.0.2", "MSA"),
			login: "alice", to: "a@lists.example", made: []string{"two/when.example"}},
		{name: "when: all holds, by an address", author: "when.example", o: when("127.0.0.2",
			"MSA"), login: "alice", to: "boss@other.example", made: []string{"two/when.example"}},
		{name: "when: another recipient", author: "when.example", o: when("127.0.0.2", "MSA"),
			login: "alice", to: "bob@other.example", made: []string{"one/when.example"}},
		{name: "when: another network", author: "when.example", o: when("127.0.0.3", "MSA"),
			login: "alice", to: "a@lists.example", made: []string{"one/when.example"}},
		{name: "when: another daemon", author: "when.example", o: when("127.0.0.2", "MTA"),
			login: "alice", to: "a@lists.example", made: []string{"one/when.example"}},
		{name: "when: another login", author: "when.example", o: when("127.0.0.2", "MSA"),
			login: "bob", to: "a@lists.example", made: []string{"one/when.example"}},

		{name: "a list's host signs for strangers", author: "stranger.example",
			o: when("198.51.100.7", "MTA"), to: "a@lists.example", made: []string{"two/lists.example"}},
		{name: "but not to others", author: "stranger.example", o: when("198.51.100.7", "MTA"),
			to: "bob@other.example"},
		{name: "nor what looks like ours", author: "default.example",
			o: when("198.51.100.7", "MTA"), to: "bob@other.example"},

		{name: "a key is missing: the other signs", author: "skips.example", made: []string{"one/skips.example"}},
		{name: "a key is missing: deferred", author: "tempfails.example", reply: "451 "},
		{name: "a key is missing: rejected", author: "rejects.example", reply: "550 "},
		{name: "a key is missing: unsigned", author: "accepts.example"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.o.Timeout = 30 * time.Second
			c, err := miltertest.Dial(t.Context(), address, tc.o)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if tc.to == "" {
				tc.to = "bob@other.example"
			}
			raw := tc.more + "From: joe@" + tc.author + "\nTo: " + tc.to +
				"\nSubject: hello\nDate: Thu, 01 Jan 2026 00:00:00 +0000\nMessage-ID: <1@x>\n\nbody\n"
			out, err := c.Send(miltertest.Message{From: "joe@" + tc.author, To: []string{tc.to},
				Auth: tc.login, Raw: []byte(raw)})
			if err != nil {
				t.Fatal(err)
			}
			if out.Refused() != (tc.reply != "") || !strings.HasPrefix(out.Reply.Text, tc.reply) {
				t.Fatalf("answered %q, want %q", out.Reply.Text, tc.reply)
			}
			if !out.Refused() {
				holdsSignatures(t, out.Delivered(), tc.made, tc.tags)
			}
		})
	}
}

func when(client, daemon string) miltertest.Options {
	return miltertest.Options{Client: netip.MustParseAddr(client),
		Macros: map[string]string{"{daemon_name}": daemon}}
}

// holdsSignatures looks at the signatures of a message: what they say, and that all but old ones
// verify.
func holdsSignatures(t *testing.T, raw []byte, made []string, tags map[string]string) {
	t.Helper()
	var domains []string
	for _, m := range made {
		_, d, _ := strings.Cut(m, "/")
		domains = append(domains, d)
	}
	v := &dkim.Verifier{Resolver: optionsZone(t, domains...)}
	var run *dkim.Verification
	m, err := message.Read(bytes.NewReader(raw), 1<<20, func(h message.Header) []message.BodyHash {
		author, _ := h.Author()
		run = v.Select(h, author.Domain)
		return run.BodyHashes()
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	first := taglist.List{}
	for _, f := range m.Header {
		if !f.Is("DKIM-Signature") {
			continue
		}
		list, err := taglist.Parse(string(f.Value()))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, tagOf(list, "s")+"/"+tagOf(list, "d"))
		if len(got) == 1 {
			first = list
		}
	}
	if strings.Join(got, " ") != strings.Join(made, " ") {
		t.Fatalf("signed %q, want %q\n%s", got, made, raw)
	}
	for _, r := range run.Run(t.Context(), m) {
		if isOld := strings.Contains(string(raw), "b=AAAA"); r.Value != dkim.Pass && !isOld {
			t.Errorf("%s/%s: %s: %s", r.Selector, r.Domain, r.Value, r.Reason)
		}
	}
	for name, want := range tags {
		holdsTag(t, first, name, want)
	}
}

func tagOf(list taglist.List, name string) string {
	value, _ := list.Value(name)
	return taglist.Compact(value)
}

// holdsTag holds a tag to what is wanted: x= counted from t=; h= by groups, "a:a" for two and no
// more, "-a" for none.
func holdsTag(t *testing.T, list taglist.List, name, want string) {
	t.Helper()
	got := tagOf(list, name)
	switch {
	case name == "x" && want != "":
		var from, to int
		if _, err := fmt.Sscan(tagOf(list, "t")+" "+got, &from, &to); err != nil ||
			fmt.Sprint(to-from) != want {
			t.Errorf("x=%s, which is not t= and %s", got, want)
		}
	case name == "h":
		fields := strings.Split(strings.ToLower(got), ":")
		for group := range strings.FieldsSeq(want) {
			count, wanted := 0, strings.Count(group, ":")+1
			field, _, _ := strings.Cut(strings.TrimPrefix(group, "-"), ":")
			for _, f := range fields {
				if f == field {
					count++
				}
			}
			if strings.HasPrefix(group, "-") {
				wanted = 0
			}
			if count != wanted {
				t.Errorf("h=%s: %s is there %d times, want %d", got, field, count, wanted)
			}
		}
	case got != want:
		t.Errorf("%s=%s, want %s", name, got, want)
	}
}
