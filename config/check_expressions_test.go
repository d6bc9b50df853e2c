package config

import (
	"strings"
	"testing"
)

// TestRules parses rules with one mistake each, or something worth a warning.
func TestPolicyRules(t *testing.T) {
	const good = "[[policy.rules]]\nname = \"a\"\nwhen = 'dmarc.result == \"fail\" and " +
		"in_network(client.address, \"192.0.2.1\")'\naction = \"reject\"\n"
	for _, tc := range []struct {
		name, text string
		problem    string // "" for none
		warning    string
	}{
		{"good", good, "", ""},
		{"no name", strings.ReplaceAll(good, "name = \"a\"\n", ""), "mailseal.toml:2: policy.rules[0]: needs name", ""},
		{"no when", "[[policy.rules]]\nname = \"a\"\naction = \"reject\"\n",
			"mailseal.toml:2: policy.rules[0]: needs when", ""},
		{"no action", strings.ReplaceAll(good, "action = \"reject\"\n", ""),
			"mailseal.toml:2: policy.rules[0]: needs action", ""},
		{"an action that is none", strings.ReplaceAll(good, `"reject"`, `"refuse"`),
			"mailseal.toml:5: policy.rules[0].action: ", ""},
		{"discard is no action of a rule", strings.ReplaceAll(good, `"reject"`, `"discard"`),
			"mailseal.toml:5: policy.rules[0].action: ", ""},
		{"two of a name", good + good,
			`mailseal.toml:7: policy.rules[1].name: "a" is the name of another rule, too`, ""},
		{"an unknown fact", strings.ReplaceAll(good, "dmarc.result", "dmarc.resutl"),
			`mailseal.toml:4: policy.rules[0].when: column 7: unknown name resutl; did you mean "result"?`, ""},
		{"on the third line", strings.ReplaceAll(good,
			`when = 'dmarc.result == "fail" and in_network(client.address, "192.0.2.1")'`,
			"when = '''\ndmarc.result == \"fail\"\n and\n  dmrac.policy == \"none\"'''"),
			`mailseal.toml:7: policy.rules[0].when: column 3: unknown name dmrac; did you mean "dmarc"?`, ""},
		{"on the second line, text beside the quotes",
			strings.ReplaceAll(good, `when = 'dmarc.result == "fail" and in_network(client.address, "192.0.2.1")'`,
				"when = '''size > 1 and\n  sise > 5'''"),
			`mailseal.toml:5: policy.rules[0].when: column 3: unknown name sise; did you mean "size"?`, ""},
		{"an unknown setting", good + "wehn = 'true'\n",
			`mailseal.toml:6: policy.rules[0].wehn: unknown setting; did you mean "when"?`, ""},
		{"an unknown placeholder", good + "text = \"{dmarc.doman}\"\n",
			`mailseal.toml:6: policy.rules[0].text: {dmarc.doman} is not a known name; did you mean "dmarc.domain"?`,
			""},
		{"a text without a reply", strings.ReplaceAll(good, `"reject"`, `"hold"`) +
			"text = \"no\"\n", "policy.rules[0].text: " +
			"has an effect only with the actions reject and tempfail; the action is hold", ""},
		{"a word that is none", strings.ReplaceAll(good, `"fail"`, `"failed"`), "",
			`policy.rules[0].when: dmarc.result is never "failed"`},
		{"a word that is none, not equal", strings.ReplaceAll(good, `== "fail"`, `!= "passed"`),
			`mailseal.toml:4: policy.rules[0].when: dmarc.result is never "passed", so this is always true; ` +
				`it is one of "", "pass", "fail", "none", "temperror", "permerror"; did you mean "pass"?`, ""},
		{"the same in a dry run", strings.ReplaceAll(good, `== "fail"`, `!= "passed"`) + "dry_run = true\n", "",
			`so this is always true`},
		{"a forgotten comma", strings.ReplaceAll(good, `, "192.0.2.1"`, ` "192.0.2.1"`),
			`column 54: a comma or an operator such as == is missing before "192.0.2.1"`, ""},
		{"never", good + strings.ReplaceAll(good, `"a"`, `"b"`)[:0] +
			"[[policy.rules]]\nname = \"b\"\nwhen = 'role == \"ours\" and role == \"theirs\"'\naction = \"mark\"\n", "",
			`mailseal.toml:8: policy.rules[1].when: is never true: role cannot be both "ours" and "theirs"`},
		{"covered", good + strings.Replace(strings.ReplaceAll(good, `"a"`, `"b"`), "when = '",
			"when = 'size > 5 and ", 1), "",
			`mailseal.toml:8: policy.rules[1].when: is never used: whenever it is true, ` +
				`the rule "a" in line 2, above it, is true and decides`},
		{"covered by a dry run", good + "dry_run = true\n" + strings.ReplaceAll(good, `"a"`, `"b"`), "", ""},
		{"accepts forgeries", "[[policy.rules]]\nname = \"a\"\nwhen = 'header(\"List-Id\") != " +
			"\"\"'\naction = \"accept\"\n", "", "accepts mail that its domain asks to reject"},
		{"results in a rule that signs", "[keys.k]\ndomain = \"example.com\"\nselector = " +
			"\"s\"\nprivate_key = \"x\"\n[[sign]]\nfrom = \"example.com\"\nkeys = \"k\"\nif = " +
			"'dmarc.result == \"pass\"'\n",
			"mailseal.toml:9: sign[0].if: column 1: unknown name dmarc", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := Parse("mailseal.toml", []byte("authserv_id = \"mx.example.com\"\n"+tc.text))
			if (err != nil) != (tc.problem != "") || err != nil && !strings.Contains(err.Error(),
				tc.problem) {
				t.Errorf("got the problems %v, want %q", err, tc.problem)
			}
			if err != nil {
				return
			}
			var warnings []string
			for _, w := range c.Warnings {
				if strings.Contains(w.Path, "policy.rules") {
					warnings = append(warnings, w.Error())
				}
			}
			if got := strings.Join(warnings, "\n"); (got != "") != (tc.warning != "") ||
				!strings.Contains(got, tc.warning) {
				t.Errorf("got the warnings %q, want %q", got, tc.warning)
			}
		})
	}
}

// TestRuleExamples parses the rules that the manual shows.
func TestRuleExamples(t *testing.T) {
	const keys = "authserv_id = \"mx.example.com\"\n[keys.\"shop._domainkey.example.com\"]\ndomain " +
		"= \"example.com\"\nselector = \"shop\"\nprivate_key = \"x\"\n" +
		"[keys.\"mail._domainkey.example.com\"]\ndomain = \"example.com\"\nselector = \"mail\"\nprivate_key = \"x\"\n"
	for _, e := range RuleExamples {
		if c, err := Parse("mailseal.toml", []byte(keys+e.TOML)); err != nil {
			t.Errorf("%s: %v", e.Title, err)
		} else {
			for _, w := range c.Warnings {
				if strings.Contains(w.Path, "rules") || strings.Contains(w.Path, "sign[0]") {
					t.Errorf("%s: %v", e.Title, w)
				}
			}
		}
	}
}
