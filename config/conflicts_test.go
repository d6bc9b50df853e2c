package config

import (
	"strings"
	"testing"
)

// TestConflicts holds what is said of settings that take one another's mail or time, and that
// others pass.
func TestConflicts(t *testing.T) {
	const rule = "[keys.k]\ndomain = \"example.com\"\nselector = \"s\"\nprivate_key = " +
		"\"x\"\n[[sign]]\nfrom = \"example.com\"\nkeys = \"k\"\n"
	const override = "mode = \"verify\"\n[[policy.override]]\naction = \"accept\"\n"
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", rule, ""},
		{"all of IPv4 is ours", "ours.networks = [\"0.0.0.0/0\"]\n" + rule, "ours.networks: " +
			"contains most of the Internet"},
		{"halves of it", "ours.networks = [\"0.0.0.0/1\", \"128.0.0.0/1\"]\n" + rule,
			"ours.networks: contains most"},
		{"quarters of it", "exempt.networks = [\"0.0.0.0/2\", \"64.0.0.0/2\"]\n" + rule,
			"exempt.networks: contains most"},
		{"one quarter, twice", "policy.not_judged.networks = [\"64.0.0.0/2\", \"64.0.0.0/2\"]\n" + rule, ""},
		{"all of IPv6", "relays.networks = [\"::/0\"]\n" + rule, "relays.networks: contains most"},
		{"all of IPv6 that is already in use", "policy.not_judged.networks = [\"2000::/3\"]\n" +
			rule, "policy.not_judged.networks: " +
			"contains most"},
		{"a large network", "policy.not_judged.networks = [\"10.0.0.0/8\", \"2001:db8::/32\"]\n" + rule, ""},
		{"every sender", "policy.not_judged.senders = [\"*@*\"]\n" + rule,
			"policy.not_judged.senders: \"*\" matches every address"},
		{"every recipient", "policy.not_judged.recipients = [\"*\"]\n" + rule,
			"policy.not_judged.recipients: \"*\" matches every address"},
		{"nothing is signed", "signing.unsigned_recipients = [\"*\"]\n" + rule,
			"signing.unsigned_recipients: \"*\" matches every address: no mail is signed"},
		{"a condition that all mail meets", rule + "when = { networks = [\"0.0.0.0/0\"] }\n",
			"sign[0].when.networks: contains most"},
		{"a guard that all mail meets",
			rule + "resign = true\nwhen = { networks = [\"0.0.0.0/0\"] }\n", "!sign[0].resign: " +
				"would sign all mail of strangers"},
		{"a guard of every recipient", rule + "resign = true\nwhen = { recipients = [\"*\"] }\n",
			"!sign[0].resign: would sign all mail of strangers"},
		{"an override of all networks", override + "networks = [\"0.0.0.0/0\", \"::/0\"]\n",
			"!policy.override[0]: matches all mail"},
		{"an override of all senders", override + "senders = [\"*\", \"<>\"]\n",
			"!policy.override[0]: matches all mail"},
		{"an override of the null sender", override + "senders = [\"<>\"]\n", ""},
		{"an override of nothing", "mode = \"verify\"\n[[policy.override]]\naction = \"accept\"\nnetworks = []\n",
			"!policy.override[0].networks: is empty"},
		{"exempt before ours", "exempt.networks = [\"127.0.0.0/8\"]\n" + rule,
			"exempt.networks[0]: 127.0.0.0/8 contains 127.0.0.1/32 of ours.networks"},
		{"exempt before relays", "exempt.networks = [\"192.0.2.0/24\"]\nrelays.networks = [\"192.0.2.1\"]\n" +
			rule, "exempt.networks[0]: " +
			"192.0.2.0/24 contains 192.0.2.1/32 of relays.networks"},
		{"relays before ours", "relays.networks = [\"192.0.2.0/24\"]\nours.networks = [\"192.0.2.1\"]\n" +
			rule, "relays come before ours.networks"},
		{"relays beside ours", "relays.networks = [\"192.0.2.0/25\"]\nours.networks = [\"192.0.2.0/24\"]\n" + rule, ""},
		{"a key twice", strings.Replace(rule, `keys = "k"`, `keys = ["k", "k"]`, 1),
			`!sign[0].keys[1]: "k" is already in the list`},
		{"a deadline before its answers", "dns.timeout = \"30s\"\n" + rule,
			"dns.timeout: \"30s\" is longer than limits.message_deadline, \"20s\""},
		{"stopping before a message ends", "limits.drain_hard = \"15s\"\n" + rule,
			"limits.drain_hard: \"15s\" is shorter"},
		{"idle before a packet", "limits.idle = \"5s\"\n" + rule, "limits.idle: \"5s\" is shorter"},
		{"expired in a queue", "signing.expiry = \"1d\"\n" + rule,
			"signing.expiry: \"1d\" is shorter than mail may wait"},
		{"expired in a queue, by a rule", rule + "expiry = \"4d\"\n", "sign[0].expiry: \"4d\" is shorter"},
		{"rotated before it is published", "rotation.every = \"1d\"\n[[sign]]\nfrom = " +
			"\"example.com\"\nmanaged = \"example.com\"\n", "rotation.every: " +
			"rotation.every = \"1d\" is not longer than"},
		{"all servers silent", "rotation.servers = [\"192.0.2.1\"]\nrotation.may_be_silent = " +
			"1\n[[sign]]\nfrom = \"example.com\"\nmanaged = \"example.com\"\n",
			"rotation.may_be_silent: is 1 of 1 servers"},
		{"a source that waits longer",
			"[sources.s]\ndriver = \"http\"\nurl = \"https://k.example/\"\ntimeout = " +
				"\"30s\"\n[[sign]]\nsource = \"s\"\n", "sources.s: timeout is longer"},
		{"a source of nothing", "[sources.s]\ndriver = \"http\"\nurl = \"https://k.example/\"\n" +
			rule, "sources.s: " +
			"no rule and no key uses this source"},
		{"a socket whose mail is not signed",
			"mode = \"verify\"\n[[listen]]\naddress = \"unix:/m\"\nrole = \"ours\"\n",
			"listen[0].role: is \"ours\", but mode does not contain \"sign\""},
		{"a socket whose mail is not judged",
			"mode = \"sign\"\n[[listen]]\naddress = \"unix:/m\"\nrole = \"relay\"\n" + rule,
			"listen[0].role: is \"relay\", but mode does not contain \"verify\""},
		{"headers without what nobody may add", "signing.headers = [\"From\", \"To\", \"Cc\", " +
			"\"Reply-To\", \"Date\", \"Message-ID\", \"MIME-Version\", \"Content-Type\", " +
			"\"Content-Transfer-Encoding\", \"List-Unsubscribe\", \"List-Unsubscribe-Post\"]\n" +
			rule, `signing.headers: leaves out "Subject" of oversign`},
		{"said on purpose", "signing.headers = [\"From\", \"Date\"]\nsigning.oversign = " +
			"[\"From\"]\nsigning.oversign_if_present = []\n" + rule, ""},
		{"a mark of the author's", "policy.mark_header = \"subject\"\n" + rule,
			"!policy.mark_header: \"subject\" is a field that mail normally has"},
		{"a mark of traces", "policy.mark_header = \"Received\"\n" + rule, "!policy.mark_header"},
		{"a mark of lists", "policy.mark_header = \"List-Something\"\n" + rule, "!policy.mark_header"},
		{"a mark of ours", "policy.mark_header = \"X-Spam-Verdict\"\n" + rule, ""},
		{"metrics on a listener", "metrics.address = \"127.0.0.1:8891\"\n" + rule,
			"!metrics.address: the socket inet:8891@127.0.0.1 of [[listen]] has that port"},
		{"metrics on any address of its port", "metrics.address = \":8891\"\n" + rule, "!metrics.address"},
		{"metrics elsewhere", "metrics.address = \"127.0.0.2:8891\"\n" + rule, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, ps := parseText(tc.text)
			want, isError := strings.CutPrefix(tc.want, "!")
			got := ps.Error()
			if c != nil {
				got = Problems(c.Warnings).Error()
			}
			if isError != (c == nil) || want == "" && got != "" || !strings.Contains(got, want) {
				t.Errorf("got %q, refused %v; want %q, refused %v", got, c == nil, want, isError)
			}
			if strings.Contains(got, "\n") {
				t.Errorf("got several findings for one thing: %s", got)
			}
		})
	}
}

// TestNames holds what may be an authserv-id.
func TestNames(t *testing.T) {
	for name, good := range map[string]bool{"mx.example.com": true, "mx": true, "a..b": false,
		".a": false, "a.": false, "a b": false, "": false} {
		if _, err := parseAuthservID(name); (err == nil) != good {
			t.Errorf("%q: %v, want it good: %v", name, err, good)
		}
	}
}
