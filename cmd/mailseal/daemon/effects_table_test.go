package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/keys"
)

// keyRecord is the record of a private key.
func keyRecord(t *testing.T, private string) string {
	t.Helper()
	signer, err := keys.Parse([]byte(private))
	if err != nil {
		t.Fatal(err)
	}
	record, err := keys.Key{Domain: "example.com", Selector: "k",
		Signer: signer}.Record(keys.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return record.Text
}

// unobservable are the settings of which no effect is observed here, and why.
var unobservable = map[string]string{
	"test.reply":                      "filter tests it",
	"test.page_url":                   "reporting tests it, and filter",
	"test.page_address":               "reporting tests it",
	"test.certificate":                "reporting tests it, as that of reports.web",
	"test.key":                        "reporting tests it, as that of reports.web",
	"test.answer_by_mail":             "reporting tests it, and testmail",
	"reports.dns_every":               "reporting tests it",
	"test.days":                       "testmail tests it with a clock",
	"user":                            "needs root and another user; control tests it",
	"signing.first_key":               "needs keys with a life; rotation_test.go",
	"signing.fragile_warnings":        "warns once an hour; milter tests it with a clock",
	"sources.NAME.other_domains":      "sources_test.go of assembly",
	"control.address":                 "control tests it",
	"reload.max_loss":                 "loss_test.go",
	"on_internal_error":               "needs a bug; milter tests it with a filter that panics",
	"listen[].user":                   "needs root and another user; milter tests the owner of a socket",
	"listen[].group":                  "as listen[].user",
	"keys.NAME.source":                "needs a source; hosting_test.go",
	"sign[].managed":                  "needs keys with a life; rotation_test.go",
	"sign[].source":                   "hosting_test.go",
	"signing.self_check":              "a share of signatures; sign_test.go of assembly counts them",
	"signing.self_check_action":       "needs two implementations that disagree; filter tests it",
	"rotation.every":                  "rotation_test.go",
	"rotation.selector":               "keys_test.go of the command keys",
	"rotation.algorithms":             "keys_test.go of the command keys",
	"rotation.publish":                "rotation_test.go",
	"rotation.overlap":                "rotation_test.go",
	"rotation.servers":                "keys_servers_test.go of the command keys",
	"rotation.may_be_silent":          "keys_servers_test.go of the command keys",
	"rotation.watch":                  "keys_test.go",
	"rotation.fall_back":              "rotation_test.go",
	"sources.NAME.driver":             "hosting_test.go",
	"sources.NAME.dsn":                "hosting_test.go",
	"sources.NAME.key_query":          "hosting_test.go",
	"sources.NAME.signing_query":      "hosting_test.go",
	"sources.NAME.list_query":         "check_walk_test.go of the command check",
	"sources.NAME.key_dir":            "keydir_test.go of keysql",
	"sources.NAME.url":                "sources_test.go of assembly",
	"sources.NAME.token_file":         "keyhttp tests it",
	"sources.NAME.client_certificate": "keyhttp and keysql test it",
	"sources.NAME.client_key":         "keyhttp and keysql test it",
	"sources.NAME.ca_file":            "keyhttp and keysql test it",
	"sources.NAME.timeout":            "keys tests it with a clock",
	"sources.NAME.ttl":                "keys tests it with a clock",
	"sources.NAME.negative_ttl":       "keys tests it with a clock",
	"sources.NAME.stale":              "keys tests it with a clock",
	"sources.NAME.cache_size":         "keys tests it",
	"verify.accept_unsigned_body":     "needs a signature with l=, which Mailseal does not make; dkim tests it",
	"verify.clock_skew":               "needs a signature of another clock; dkim tests it",
	"dns.timeout":                     "needs a clock; dns tests it",
	"dns.tries":                       "needs a server that loses questions; dns tests it",
	"limits.message_deadline":         "needs a clock; verify tests it",
	"limits.write":                    "needs an MTA that reads nothing and a full buffer; guard tests it",
	"log.syslog":                      "needs a syslog",
	"policy.override[].reason":        "policy tests it",
	"policy.rules[].reason":           "policy tests it",
	"reports.collect":                 "reports_test.go",
	"reports.spool_directory":         "reports_test.go",
	"reports.spool_size":              "spool tests it",
	"reports.addresses":               "filter tests it",
	"reports.relation":                "filter tests it",
}

const listID = "List-Id: <dev.lists.example>\n"

// held is an effect of a policy setting on a letter: it is held.
func held(setting string, l letter) effect {
	return effect{setting: setting, top: setting + ` = "hold"`, probe: stranger(l),
		want: "action=hold"}
}

// heldSigned is held, on a letter that the daemon signed and that was changed.
func heldSigned(setting, author string, change func(string) string, more string) effect {
	e := held(setting, letter{})
	e.before = more
	e.probe = signedBy(author, change, letter{})
	return e
}

// lets is an effect of a condition: a letter that is held without it, and accepted with it.
func lets(setting, value string, l letter) effect {
	return effect{
		setting: setting, top: setting + " = " + value, before: `policy.dmarc.p_reject = "hold"`,
		probe: stranger(l), want: "!action=hold",
	}
}

// overridden is an effect of a condition of an override.
func overridden(condition, value string, l letter) effect {
	return effect{
		setting: "policy.override[]." + condition,
		rest:    "[[policy.override]]\naction = \"accept\"\n" + condition + " = " + value,
		before:  `policy.dmarc.p_reject = "hold"`, probe: stranger(l), want: "override=policy.override[0]",
	}
}

// ruled is an effect of a rule of the policy, which refuses a forged letter.
func ruled(setting, line, want string) effect {
	return effect{
		setting: "policy.rules[]." + setting, probe: stranger(forged), want: want,
		rest: "[[policy.rules]]\nname = \"r\"\nwhen = 'dmarc.result == \"fail\"'\naction = \"reject\"\n" + line + "\n",
	}
}

// refusedWith is an effect of a text.
func refusedWith(method, policy string, l letter) effect {
	setting := "policy.texts." + method
	return effect{setting: setting, top: setting + ` = "Of our own"`, before: policy,
		probe: stranger(l), want: "Of our own"}
}

// signsWith is an effect of signing, on mail of ours.
func signsWith(setting, top, want string, l letter) effect {
	return effect{setting: setting, top: top, probe: mine(l), want: want}
}

var forged = letter{client: "192.0.2.26", helo: "x.example", from: "a@good.example",
	author: "a@r.example"}

func effects() []effect {
	return slicesOf(daemonEffects(), roleEffects(), signingEffects(), verifyEffects(),
		policyEffects(), serverEffects())
}

func slicesOf(all ...[]effect) (out []effect) {
	for _, list := range all {
		out = append(out, list...)
	}
	return out
}

func daemonEffects() []effect {
	short := "domain = \"example.com\"\nselector = \"s\"\nkey_file = \"%DIR%/short.pem\"\n"
	simple := func(setting, want string) effect {
		return effect{setting: setting, top: short, probe: mine(letter{}), want: want,
			rig:    []string{"tables", "rule"},
			tables: "[[listen]]\naddress = \"unix:%DIR%/s\"\n"}
	}
	table := func(setting, top, want string) effect {
		return effect{setting: setting, top: top, probe: mine(letter{}), want: want,
			rig:    []string{"tables", "rule"},
			tables: "[[listen]]\naddress = \"unix:%DIR%/s\"\n"}
	}
	both := "key_table = \"file:%DIR%/kt\"\nsigning_table = \"file:%DIR%/st\"\n"
	return []effect{
		{setting: "authserv_id", top: `authserv_id = "other.test"`, probe: stranger(letter{}),
			want: "Authentication-Results: other.test;"},
		{setting: "mode", top: `mode = "sign"`, probe: stranger(letter{}), want: "!Authentication-Results: mx.test"},
		{setting: "state_directory", top: `state_directory = "%DIR%/short.pem"`,
			rule:  "[[sign]]\nfrom = \"example.com\"\nmanaged = \"example.com\"\n",
			probe: mine(letter{}), want: "short.pem"},
		{setting: "require_safe_keys", top: "require_safe_keys = true", probe: mine(letter{}), want: "!DKIM-Signature",
			rule: "[keys.open]\ndomain = \"example.com\"\nselector = \"o\"\nfile = " +
				"\"%DIR%/open.pem\"\n[[sign]]\nfrom = \"example.com\"\nkeys = \"open\"\n"},
		{setting: "include", top: `include = "other/*.toml"`,
			probe: stranger(letter{daemon: "FROMFILE", author: "a@example.com"}), want: "role=ours"},
		simple("domain", "d=example.com; s=s"), simple("selector", "s=s"),
		simple("key_file", "a=rsa-sha256"),
		table("key_table", both, "s=second"), table("signing_table", both, "s=second"),
		table("multiple_signatures", both+"multiple_signatures = true\n", "s=fromtable"),
		{setting: "dns.servers", top: `dns.servers = ["%DNS2%"]`, probe: stranger(letter{}), want: "spf=none"},
		{setting: "dns.cache_size", top: "dns.cache_size = 0", probe: asked(letter{}), want: "more=true"},
		{setting: "log.level", top: `log.level = "warn"`, probe: stranger(letter{}), want: "!msg=message"},
		{setting: "log.format", top: `log.format = "json"`, probe: stranger(letter{}), want: `"took_ms":`},
		{setting: "metrics.address", top: `metrics.address = "%METRICS%"`,
			probe: fetched("/healthz"), want: "503 starting"},
		{setting: "metrics.pprof", top: "metrics.pprof = true",
			before: `metrics.address = "%METRICS%"`, probe: fetched("/debug/pprof/"), want: "200"},
	}
}

func roleEffects() []effect {
	ours := func(setting, top string, l letter) effect {
		l.author = "a@example.com"
		return effect{setting: setting, top: top, probe: stranger(l), want: "role=ours"}
	}
	return []effect{
		{setting: "listen[].address", rest: "[[listen]]\naddress = \"unix:%DIR%/second\"\n",
			probe: func(t *testing.T, w *world) string {
				_, err := os.Stat(filepath.Join(w.dir, "second"))
				return map[bool]string{true: "there", false: "gone"}[err == nil]
			}, want: "there"},
		{setting: "listen[].role", listen: "role = \"ours\"",
			probe: stranger(letter{author: "a@example.com"}), want: "role=ours"},
		{setting: "listen[].mode", listen: "mode = \"0600\"",
			probe: func(t *testing.T, w *world) string {
				info, err := os.Stat(filepath.Join(w.dir, "s"))
				if err != nil {
					t.Fatal(err)
				}
				return info.Mode().String()
			}, want: "Srw-------"},
		ours("ours.networks", `ours.networks = ["192.0.2.0/24"]`, letter{}),
		ours("ours.hosts", `ours.hosts = [".good.example"]`, letter{name: "mx.good.example"}),
		{setting: "ours.authenticated", top: "ours.authenticated = false",
			probe: stranger(letter{auth: "joe", author: "a@example.com"}), want: "role=theirs"},
		ours("ours.daemon_names", `ours.daemon_names = ["SUBMIT"]`, letter{daemon: "SUBMIT"}),
		ours("ours.macros", `ours.macros = { verified = ["*"] }`,
			letter{macros: map[string]string{"{verified}": "1"}}),
		{setting: "ours.keep_results", top: "ours.keep_results = []",
			probe: mine(letter{extra: "Authentication-Results: mx.test; spf=pass\n"}),
			want:  "delete Authentication-Results"},
		{setting: "ours.unmatched", top: `ours.unmatched = "judge"`,
			probe: mine(letter{author: "a@elsewhere.example"}), want: "Authentication-Results: mx.test"},
		{setting: "relays.networks", top: `relays.networks = ["192.0.2.0/24"]`,
			probe: stranger(letter{}), want: "role=relay"},
		{setting: "exempt.networks", top: `exempt.networks = ["192.0.2.0/24"]`,
			probe: stranger(letter{}), want: "the client is exempt"},
		{setting: "exempt.hosts", top: `exempt.hosts = ["mx.good.example"]`,
			probe: stranger(letter{name: "mx.good.example"}), want: "the client is exempt"},
		{setting: "exempt.author_domains", top: `exempt.author_domains = ["good.example"]`,
			probe: stranger(letter{}), want: "exempt author"},
	}
}

// signRule is the rule of the base with another line.
func signRule(setting, line, want string, l letter) effect {
	return effect{
		setting: setting, rest: "[[sign]]\nfrom = \"example.com\"\nkeys = \"k\"\n" + line + "\n", rig: []string{"rule"},
		probe: mine(l), want: want,
	}
}

func signingEffects() []effect {
	when := func(name, value string, l letter) effect {
		return signRule("sign[].when."+name, "when = { "+name+" = "+value+" }", "DKIM-Signature:",
			l)
	}
	key := func(setting, lines, rule, want string, l letter) effect {
		return effect{setting: "keys.NAME." + setting, rest: "[keys.o]\n" + lines + "\n" + rule,
			rig: []string{"rule"}, probe: mine(l), want: want}
	}
	const seed = "private_key = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\""
	const named = "domain = \"example.com\"\nselector = \"o\"\n"
	const rule = "[[sign]]\nfrom = \"example.com\"\nkeys = \"o\"\n"
	strict := "senders.require = \"login\"\nsenders.logins = { joe = [\"example.org\"] }\nsenders.action = \"reject\"\n"
	badKey := "[keys.gone]\ndomain = \"example.com\"\nselector = \"g\"\nfile = " +
		"\"/gone.pem\"\n[[sign]]\nfrom = \"example.com\"\nkeys = [\"gone\", \"k\"]\n"
	again := func(setting, top, want string) effect {
		return effect{setting: setting, top: top, want: want,
			probe: func(t *testing.T, w *world) string {
				o, err := play(t, w, letter{client: "127.0.0.1", author: "a@example.com"})
				if err != nil {
					t.Fatal(err)
				}
				return mine(letter{raw: strings.ReplaceAll(string(o.Delivered()), "\r\n", "\n")})(t,
					w)
			}}
	}
	return []effect{
		key("domain", "domain = \"%\"\nselector = \"o\"\n"+seed,
			"[[sign]]\nfrom = \"*\"\nkeys = \"o\"\n", "d=sub.example.com",
			letter{author: "a@sub.example.com"}),
		key("selector", named+seed, rule, "s=o;", letter{}),
		key("file", named+"file = \"%DIR%/short.pem\"", rule, "a=rsa-sha256", letter{}),
		key("private_key", named+seed, rule, "a=ed25519-sha256", letter{}),
		key("identifier", named+seed+"\nidentifier = \"news@example.com\"", rule,
			"i=news@example.com", letter{}),
		signRule("sign[].from", "[[sign]]\nfrom = \"a@example.org\"\nkeys = \"k\"",
			"DKIM-Signature:", letter{author: "a@example.org"}),
		signRule("sign[].keys", "", "s=k;", letter{}),
		signRule("sign[].domain", "domain = \"parent.example\"", "d=parent.example", letter{}),
		{setting: "sign[].resign", rest: "[[sign]]\nfrom = \"*\"\nkeys = \"k\"\nresign = " +
			"true\nwhen = { recipients = [\"b@example.net\"] }\n",
			rig: []string{"rule"}, probe: stranger(letter{}), want: "DKIM-Signature:"},
		signRule("sign[].if", "if = 'login == \"joe\" and header(\"From\") != \"\"'",
			"DKIM-Signature:", letter{auth: "joe"}),
		when("recipients", `["b@example.net"]`, letter{}),
		when("networks", `["127.0.0.0/8"]`, letter{}),
		when("daemon_names", `["SUBMIT"]`, letter{daemon: "SUBMIT"}),
		when("logins", `["*"]`, letter{auth: "joe"}),
		when("senders", `["*@good.example"]`, letter{from: "a@good.example"}),
		when("list_ids", `["dev.lists.example"]`, letter{extra: listID}),
		signsWith("signing.canonicalization", `signing.canonicalization = "simple/simple"`,
			"c=simple/simple", letter{}),
		signsWith("signing.headers", `signing.headers = ["+X-Ticket"]`, "X-Ticket",
			letter{extra: "X-Ticket: 7\n"}),
		signsWith("signing.oversign", `signing.oversign = ["+X-Other"]`, "X-Other", letter{}),
		signsWith("signing.oversign_if_present", `signing.oversign_if_present = ["+X-Third"]`,
			"X-Third:X-Third", letter{extra: "X-Third: 7\n"}),
		signsWith("signing.oversign_mime", "signing.oversign_mime = false", "!MIME-Version",
			letter{}),
		{setting: "signing.redirected", top: `signing.redirected = "sign"`,
			probe: mine(letter{extra: "Authentication-Results: mx.test; dmarc=fail header.from=example.com\n"}),
			want:  "DKIM-Signature:"},
		signsWith("signing.expiry", `signing.expiry = "0s"`, "!x=", letter{}),
		signsWith("signing.request_reports", "signing.request_reports = true", "r=y;", letter{}),
		signsWith("signing.identifier", `signing.identifier = "all@%"`, "i=all@example.com",
			letter{}),
		again("signing.skip_if_signed", "signing.skip_if_signed = true", "unsigned="),
		again("signing.remove_old_signatures", "signing.remove_old_signatures = true",
			"delete DKIM-Signature"),
		{setting: "signing.on_key_error", top: `signing.on_key_error = "tempfail"`, rule: badKey,
			probe: mine(letter{}), want: " 451 4."},
		{setting: "signing.match", top: `signing.match = "all"`, probe: mine(letter{}), want: "d=short.example",
			rule: baseRule + "[[sign]]\nfrom = \"*\"\nkeys = \"short\"\n"},
		signsWith("signing.malformed_from", `signing.malformed_from = "reject"`, " 550 5.",
			letter{author: "Company, Inc. <a@example.com>"}),
		signsWith("signing.unsigned_recipients", `signing.unsigned_recipients = ["b@example.net"]`,
			"!DKIM-Signature:", letter{}),
		{setting: "senders.require", top: `senders.require = "envelope_domain"`,
			probe: mine(letter{from: "a@elsewhere.example"}), want: " 550 5."},
		{setting: "senders.action", top: "senders.require = \"envelope_domain\"\nsenders.action = \"tempfail\"",
			probe: mine(letter{from: "a@elsewhere.example"}), want: " 451 4."},
		{setting: "senders.logins", top: strict, probe: mine(letter{auth: "joe"}), want: " 550 5."},
	}
}

func changedBody(raw string) string { return raw + "more\n" }

func verifyEffects() []effect {
	off := func(name, want string, l letter) effect {
		return effect{setting: "verify." + name, top: "verify." + name + " = false",
			probe: stranger(l), want: "!" + want}
	}
	return []effect{
		{setting: "verify.max_signatures", top: "verify.max_signatures = 1",
			probe: signedBy("a@example.com", func(raw string) string {
				field, _, _ := strings.Cut(raw, "From: ")
				return strings.Replace(field, "s=k;", "s=gone;", 1) + raw
			}, letter{}), want: "!dkim=pass"},
		{setting: "verify.uncovered_duplicates", top: `verify.uncovered_duplicates = "note"`,
			probe: signedBy("a@short.example", func(raw string) string {
				return "Subject: another\n" + raw
			}, letter{}), want: "dkim=pass", tables: "", before: "",
			rule: "[[sign]]\nfrom = \"short.example\"\nkeys = \"short\"\nheaders = [\"From\", " +
				"\"Subject\"]\noversign = []\noversign_if_present = []\n"},
		{setting: "verify.min_rsa_bits", top: "verify.min_rsa_bits = 2048",
			probe: signedBy("a@short.example", nil, letter{}), want: "dkim=policy"},
		off("iprev", "iprev=pass", letter{}),
		off("spf", "spf=pass", letter{}),
		off("spf_helo", "smtp.helo=badhelo.example", letter{helo: "badhelo.example"}),
		{setting: "verify.received_spf", top: "verify.received_spf = true",
			probe: stranger(letter{}), want: "Received-SPF: pass"},
		off("dmarc", "dmarc=pass", letter{}),
		{setting: "verify.organizational_domain", top: `verify.organizational_domain = "psl"`,
			probe: stranger(letter{from: "a@y.co.example", author: "a@x.co.example"}), want: "dmarc=pass"},
		off("arc", " arc=none", letter{}),
		{setting: "verify.trusted_sealers", top: `verify.trusted_sealers = ["example.com"]`,
			before: "policy.dmarc.p_reject = \"hold\"\nseal.key = \"k\"", probe: sealed(letter{}),
			want: `override="arc=pass, sealed by example.com"`},
		{setting: "seal.key", top: `seal.key = "k"`, probe: stranger(letter{}), want: "ARC-Seal: a="},
		{setting: "seal.domain", top: "seal.key = \"k\"\nseal.domain = \"sealer.example\"",
			probe: stranger(letter{}), want: "d=sealer.example"},
		{setting: "seal.selector", top: "seal.key = \"k\"\nseal.selector = \"other\"",
			probe: stranger(letter{}), want: "s=other"},
		{setting: "authentication_results.remove_ids", top: `authentication_results.remove_ids = ["old.test"]`,
			probe: stranger(letter{extra: "Authentication-Results: old.test; spf=pass\n"}),
			want:  "delete Authentication-Results"},
		{setting: "authentication_results.auth", top: "authentication_results.auth = true",
			probe: mine(letter{auth: "joe"}), want: "auth=pass"},
	}
}

// sealed is a letter that passed here, was sealed, and was changed, so that its DMARC fails.
func sealed(letter) probe {
	return func(t *testing.T, w *world) string {
		o, err := play(t, w, letter{client: "192.0.2.25"})
		if err != nil {
			t.Fatal(err)
		}
		raw := strings.ReplaceAll(string(o.Delivered()), "\r\n", "\n")
		return stranger(letter{client: "192.0.2.26", from: "list@lists.example", helo: "x.example",
			raw: raw})(t, w)
	}
}

func policyEffects() []effect {
	temp := letter{from: "a@temp.example", author: "a@soft.example", helo: "x.example"}
	none := letter{from: "a@none.example", author: "a@none.example", helo: "x.example"}
	all := []effect{
		{setting: "policy.dry_run", top: "policy.dry_run = true",
			before: `policy.dmarc.p_reject = "reject"`, probe: stranger(forged), want: "dry_run=reject"},
		{setting: "policy.mark_header", top: `policy.mark_header = "X-Judged"`,
			probe: stranger(forged), want: "X-Judged: dmarc=reject"},
		held("policy.no_author", letter{raw: "To: b@example.net\nSubject: s\n\nbody\n"}),
		held("policy.many_authors", letter{author: "a@1.example, a@2.example, a@3.example, " +
			"a@4.example, a@5.example, a@6.example"}),
		held("policy.spf.fail", letter{client: "192.0.2.99"}),
		held("policy.spf.softfail", letter{from: "a@soft.example"}),
		held("policy.spf.none", none),
		held("policy.spf.permerror", letter{from: "a@perm.example", author: "a@soft.example"}),
		held("policy.spf.temperror", temp),
		held("policy.spf.helo_fail", letter{helo: "badhelo.example"}),
		held("policy.iprev.fail", letter{client: "192.0.2.26", author: "a@soft.example"}),
		held("policy.iprev.permerror", letter{client: "192.0.2.28", author: "a@soft.example"}),
		held("policy.iprev.temperror", letter{client: "192.0.2.27", author: "a@soft.example"}),
		heldSigned("policy.dkim.fail", "a@example.com", changedBody, ""),
		heldSigned("policy.dkim.policy", "a@short.example", nil, "verify.min_rsa_bits = 2048"),
		held("policy.dkim.none", letter{}),
		held("policy.dkim.neutral", letter{extra: "DKIM-Signature: v=1; a=rsa-sha256; d\n"}),
		heldSigned("policy.dkim.permerror", "a@example.com",
			func(s string) string { return strings.Replace(s, "s=k;", "s=gone;", 1) }, ""),
		heldSigned("policy.dkim.temperror", "a@example.com",
			func(s string) string {
				return strings.Replace(s, "d=example.com;", "d=temp.example;", 1)
			}, ""),
		{setting: "test.address", top: `test.address = "probe@example.net"`,
			probe: stranger(letter{to: []string{"probe@example.net"}}), want: "550 5.7.0"},
		held("policy.dmarc.p_reject", forged),
		held("policy.dmarc.p_quarantine", letter{author: "a@q.example"}),
		held("policy.dmarc.p_none", letter{author: "a@n.example"}),
		held("policy.dmarc.no_record", letter{author: "a@nothing.example"}),
		held("policy.dmarc.permerror", letter{author: "a@perm.example"}),
		held("policy.dmarc.temperror", letter{author: "a@temp.example"}),
		refusedWith("spf", `policy.spf.fail = "reject"`,
			letter{client: "192.0.2.99", author: "a@soft.example"}),
		refusedWith("iprev", `policy.iprev.fail = "reject"`,
			letter{client: "192.0.2.26", author: "a@soft.example"}),
		refusedWith("dkim", `policy.dkim.none = "reject"`, letter{}),
		refusedWith("dmarc", `policy.dmarc.p_reject = "reject"`, forged),
		refusedWith("other", `policy.no_author = "reject"`,
			letter{raw: "To: b@example.net\nSubject: s\n\nbody\n"}),
		lets("policy.not_judged.networks", `["192.0.2.0/24"]`, forged),
		lets("policy.not_judged.hosts", `["mx.liar.example"]`,
			letter{client: "192.0.2.26", name: "mx.liar.example", author: "a@r.example"}),
		lets("policy.not_judged.senders", `["<>"]`, letter{client: "192.0.2.26", from: "<>",
			helo: "x.example", author: "a@r.example"}),
		lets("policy.not_judged.recipients", `["b@example.net"]`, forged),
		lets("policy.not_judged.author_domains", `["r.example"]`, forged),
		ruled("name", "", `override="rule r"`),
		ruled("when", "", "action=reject"),
		ruled("action", "", "action=reject"),
		ruled("text", "text = \"no, {dmarc.domain}\"", "no, r.example"),
		ruled("dry_run", "dry_run = true", `rules_dry_run="r=reject"`),
		overridden("networks", `["192.0.2.0/24"]`, forged),
		overridden("hosts", `["mx.liar.example"]`, letter{client: "192.0.2.26",
			name: "mx.liar.example", author: "a@r.example"}),
		overridden("senders", `["good.example"]`, forged),
		overridden("recipients", `["*@example.net"]`, forged),
		overridden("author_domains", `["r.example"]`, forged),
		overridden("list_ids", `[".lists.example"]`, letter{client: "192.0.2.26",
			author: "a@r.example", extra: listID}),
		{setting: "policy.override[].action",
			rest:  "[[policy.override]]\nnetworks = \"192.0.2.0/24\"\naction = \"tempfail\"\n",
			probe: stranger(forged), want: " 451 4."},
		{setting: "policy.override[].sealers", before: "policy.dmarc.p_reject = \"hold\"\nseal.key = \"k\"",
			rest:  "[[policy.override]]\naction = \"accept\"\nsealers = [\"example.com\"]\n",
			probe: sealed(letter{}), want: "override=policy.override[0]"},
	}
	for method, c := range map[string]struct {
		value string
		l     letter
	}{
		"spf":   {`{ fail = "hold" }`, letter{client: "192.0.2.99", author: "a@soft.example"}},
		"iprev": {`{ permerror = "hold" }`, letter{client: "192.0.2.99", author: "a@soft.example"}},
		"dkim":  {`{ none = "hold" }`, letter{author: "a@soft.example"}},
		"dmarc": {`{ p_none = "hold" }`, letter{author: "a@n.example"}},
	} {
		all = append(all, effect{
			setting: "policy.override[]." + method,
			rest:    "[[policy.override]]\nnetworks = \"192.0.2.0/24\"\n" + method + " = " + c.value,
			probe:   stranger(c.l), want: "action=hold",
		})
	}
	return all
}

func serverEffects() []effect {
	huge := letter{extra: "X-Long: " + strings.Repeat("x", 9000) + "\n"}
	return []effect{
		{setting: "limits.header_size", top: `limits.header_size = "4KiB"`, probe: stranger(huge), want: "end 552 "},
		{setting: "limits.connections", top: "limits.connections = 1", probe: secondConnection,
			want: "the limit of connections is reached"},
		{
			setting: "limits.handshake", top: `limits.handshake = "1s"`, without: `limits.handshake = "1h"`,
			probe: closedAfter(nil, false), want: "closed",
		},
		{
			setting: "limits.packet", top: `limits.packet = "1s"`, without: `limits.packet = "1h"`,
			probe: closedAfter([]byte{0, 0}, true), want: "closed",
		},
		{setting: "limits.idle", top: `limits.idle = "1s"`, probe: closedAfter(nil, true), want: "closed"},
		{
			setting: "limits.drain_soft", top: `limits.drain_soft = "0s"`,
			without: "limits.drain_soft = \"1h\"\nlimits.drain_hard = \"1h\"",
			probe:   servedOn, want: "closed",
		},
		{
			setting: "limits.drain_hard", top: "limits.drain_soft = \"0s\"\nlimits.drain_hard = \"0s\"",
			without: "limits.drain_soft = \"0s\"\nlimits.drain_hard = \"1h\"",
			probe:   stopped, want: "stopped",
		},
	}
}
