package expression

import "testing"

func compiled(t *testing.T, text string) *Condition {
	t.Helper()
	c, err := Compile(text, Judging)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return c
}

func TestNeverHolds(t *testing.T) {
	for text, want := range map[string]string{
		`dmarc.result == "pass"`: "",
		`false`:                  "it is false",
		`dmarc.result == "pass" and spf.result == "x" and size > 1`:      "",
		`dmarc.result == "pass" and "fail" == dmarc.result`:              `dmarc.result cannot be both "pass" and "fail"`,
		`dmarc.result == "pass" && size > 5 && dmarc.result == "fail"`:   `dmarc.result cannot be both "pass" and "fail"`,
		`dmarc.result == "pass" or dmarc.result == "fail"`:               "",
		`client.name == "a.example" and client.name == "b.example"`:      `client.name cannot be both "a.example" and "b.example"`,
		`any(dkim, .result == "pass") and any(dkim, .result == "fail")`:  "",
		`not (dmarc.result == "pass") and dmarc.result == "fail"`:        "",
		`header("X-A") == "a" and header("X-A") == "b" and 1 == 1`:       "",
		`(dmarc.result == "pass" and true) and (dmarc.result == "none")`: `dmarc.result cannot be both "pass" and "none"`,
	} {
		if got := compiled(t, text).NeverHolds(); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestStrange(t *testing.T) {
	for text, want := range map[string]string{
		`dmarc.policy == "rejct" or true`:                 `dmarc.policy is never "rejct", so this is always false; it is one of "", "none", "quarantine", "reject"`,
		`not (role in ["ours", "mine"])`:                  `role is never "mine"; it is one of "ours", "theirs", "relay"`,
		`any(dkim, .result == "passed")`:                  `dkim[].result is never "passed", so this is always false; it is one of "pass", "fail", "policy", "neutral", "temperror", "permerror"`,
		`time.weekday != "Monday"`:                        `time.weekday is never "Monday", so this is always true; it is one of "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"`,
		`client.address in ["192.0.2.1", "192.0.2.0/24"]`: `client.address is never "192.0.2.0/24": it is a single address in its shortest form; to compare it with a network, use in_network(client.address, "192.0.2.0/24")`,
		`client.address == "2001:DB8::1"`:                 `client.address is never "2001:DB8::1", so this is always false: it is a single address in its shortest form; to compare it with a network, use in_network(client.address, "192.0.2.0/24")`,
		`author.domain == "Example.com"`:                  `author.domain is never "Example.com", so this is always false: write domains in lower case, and international ones as xn--...; below(author.domain, "example.com") also matches names below a domain`,
		`author.domain in ["example.com", ""]`:            "",
		`client.name == "MX.example.com"`:                 `client.name is never "MX.example.com", so this is always false: it is in lower case`,
		`client.helo == "anything" and login != "alice"`:  "",
	} {
		if got, _ := compiled(t, text).FindStrange(); got.Text != want {
			t.Errorf("%s: got %q, want %q", text, got.Text, want)
		}
	}
}

// TestStrangeIsAlwaysTrue wants those comparisons to be known that spare no message.
func TestStrangeIsAlwaysTrue(t *testing.T) {
	for text, want := range map[string]bool{
		`dmarc.result != "passed"`:                             true,
		`"passed" != dmarc.result`:                             true,
		`dmarc.result == "passed"`:                             false,
		`not (dmarc.result == "passed")`:                       true,
		`not (not (dmarc.result == "passed"))`:                 false,
		`not (dmarc.result != "passed")`:                       false,
		`not (dmarc.result in ["passed", "ok"])`:               true,
		`not (dmarc.result in ["pass", "ok"])`:                 false,
		`none(dkim, .result == "passed")`:                      true,
		`any(dkim, .result == "passed")`:                       false,
		`spf.result == "passed" and dmarc.result != "passed"`:  true,
		`author.domain != "Example.com" and size > 5`:          true,
		`client.address != "192.0.2.0/24" or role == "theirs"`: true,
	} {
		if got, found := compiled(t, text).FindStrange(); !found || got.AlwaysTrue != want {
			t.Errorf("%s: got %+v, want %v", text, got, want)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, tc := range []struct {
		wide, narrow string
		want         bool
	}{
		{`true`, `size > 5`, true},
		{`dmarc.result == "fail"`, `dmarc.result == "fail" and size > 5`, true},
		{`size > 5 and dmarc.result == "fail"`, `dmarc.result == "fail" and spf.result == "fail" && size > 5`, true},
		{`dmarc.result == "fail" and size > 5`, `dmarc.result == "fail"`, false},
		{`dmarc.result == "fail"`, `dmarc.result == "fail" or size > 5`, false},
		{`dmarc.result == "fail"`, `not (dmarc.result == "fail")`, false},
	} {
		if got := compiled(t, tc.wide).Covers(compiled(t, tc.narrow)); got != tc.want {
			t.Errorf("%s covers %s: got %v", tc.wide, tc.narrow, got)
		}
	}
}

func TestExcusesForgery(t *testing.T) {
	for text, want := range map[string]bool{
		`dmarc.result == "fail"`:                                        true,
		`header("List-Id") == "<a.example>"`:                            true,
		`envelope.sender_domain == "partner.example"`:                   true,
		`client.helo endsWith ".partner.example"`:                       true,
		`dmarc.result == "pass" and size > 5`:                           false,
		`dmarc.policy == "none"`:                                        false,
		`in_network(client.address, "192.0.2.0/24")`:                    false,
		`arc.sealer == "lists.example.org" and dmarc.result == "fail"`:  false,
		`any(dkim, .result == "pass" and .domain == "partner.example")`: false,
		`login != ""`: false,
	} {
		if got := compiled(t, text).ExcusesForgery(); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

// TestDocs holds the texts of the manual against the types.
func TestDocs(t *testing.T) {
	for _, f := range Facts(Judging) {
		if f.Doc == "" {
			t.Errorf("%s has no text for the manual", f.Name)
		}
	}
	for _, f := range Functions() {
		if FunctionDocs[f] == "" {
			t.Errorf("%s() has no text for the manual", f)
		}
	}
	if len(docs) != len(Facts(Judging)) || len(FunctionDocs) != len(Functions()) {
		t.Errorf("%d texts for %d facts, %d for %d functions", len(docs), len(Facts(Judging)),
			len(FunctionDocs), len(Functions()))
	}
}
