package authres

import (
	"strings"
	"testing"

	"mailseal/milter/message"
)

// The numbers are those of the list of acceptance checks that the project shares.

func TestCheck51ForgedFieldsAreClaimed(t *testing.T) {
	var header message.Header
	for _, raw := range []string{
		"Authentication-Results: MX.Example.COM 1; dkim=pass header.d=example.com",
		`Authentication-Results: (c) "mx.example.com"; dkim=pass header.d=example.com`,
		"Authentication-Results: other.example; dkim=pass header.d=example.com",
	} {
		f, err := message.ParseField([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		header = append(header, f)
	}
	want := []bool{true, true, false}
	for i, f := range header {
		if got := Claims(f.Value(), []string{"mx.example.com"}); got != want[i] {
			t.Errorf("field %d: %v, want %v", header.Ordinal(i), got, want[i])
		}
	}
}

func TestCheck52NothingChecked(t *testing.T) {
	f := Field{ID: "mx.example.com"}.Fields()
	if len(f) != 1 || string(f[0].Raw()) != "Authentication-Results: mx.example.com; none" {
		t.Errorf("got %q", f)
	}
}

func TestCheck53ThreeSignaturesOfOneDomain(t *testing.T) {
	f := Field{ID: "mx.example.com"}
	for _, b := range []string{"AbC/defg", "AbC+defg", "abc/defg"} {
		f.Results = append(f.Results, Result{Method: "dkim", Value: "pass", Properties: []Property{
			{"header", "d", "example.com"}, {"header", "s", "sel"}, {"header", "a", "rsa-sha256"},
			{"header", "b", b}}})
	}
	fields := f.Fields()
	for _, want := range []string{`header.b="AbC/defg"`, "header.b=AbC+defg",
		`header.b="abc/defg"`} {
		if len(fields) != 1 || strings.Count(string(fields[0].Raw()), want) != 1 {
			t.Errorf("no %s in %q", want, fields)
		}
	}
	back, err := Parse(fields[0].Value())
	if err != nil || len(back.Results) != 3 || back.Results[2].Properties[3].Value != "abc/defg" {
		t.Errorf("read back: %+v, %v", back, err)
	}
}

func TestCheck54HostileEnvelope(t *testing.T) {
	for _, s := range []string{
		"a; dkim=pass@example.com", `"a;b\"; dmarc=pass header.from=bank.example"@example.com`, `"`,
		`\`, "a\r\n\r\nbody",
		"a\r\nAuthentication-Results: mx.example.com; dkim=pass", "(a@b", "a\x00b",
		"\xf0\x28\x8c\x28@example.com", "дм@пример.example",
	} {
		f := Field{ID: "mx.example.com", Results: []Result{
			{Method: "spf", Value: "fail", Comment: s, Reason: s,
				Properties: []Property{{"smtp", "mailfrom", s}, {"smtp", "helo", s}}},
			{Method: "iprev", Value: "fail"},
		}}
		fields := f.Fields()
		checkField(t, fields[0])
		back, err := Parse(fields[0].Value())
		if err != nil || len(fields) != 1 || len(back.Results) != 2 {
			t.Fatalf("%q became %q: %v", s, fields, err)
		}
		spf, iprev := back.Results[0], back.Results[1]
		if spf.Method != "spf" || spf.Value != "fail" || len(spf.Properties) != 2 ||
			iprev.Method != "iprev" || iprev.Value != "fail" {
			t.Errorf("%q became %+v", s, back)
		}
		if strings.Contains(string(fields[0].Raw()), "=pass") {
			t.Errorf("%q still passes in %q", s, fields[0].Raw())
		}
	}
}
