package authres

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"mailseal/contrib/test/allocations"
)

func TestParse(t *testing.T) {
	dkim := func(properties ...Property) []Result {
		return []Result{{Method: "dkim", Value: "pass", Properties: properties}}
	}
	tests := []struct {
		name, value string
		want        Field
	}{
		{"none", " mx.example.com; none", Field{ID: "mx.example.com"}},
		{"none with comments", " (a) mx.example.com (b) ; (c) none (d)", Field{ID: "mx.example.com"}},
		{"id alone", " mx.example.com", Field{ID: "mx.example.com"}},
		{"version", " mx.example.com 1; dkim=pass", Field{ID: "mx.example.com", Results: dkim()}},
		{"quoted id", ` "mx.example.com" 1; dkim=pass`, Field{ID: "mx.example.com", Results: dkim()}},
		{"job id", " mx.example.com/99; dkim=pass", Field{ID: "mx.example.com/99", Results: dkim()}},
		{"method version", " mx; dkim/1=pass", Field{ID: "mx", Results: dkim()}},
		{"method version with comments", " mx; dkim (a) / (b) 1 (c) = (d) pass", Field{ID: "mx", Results: dkim()}},
		{"other method version", " mx; dkim/2=pass; spf=fail",
			Field{ID: "mx", Results: []Result{{Method: "spf", Value: "fail"}}}},
		{"names in capitals", " mx; DKIM=Pass Header.D=Example.com",
			Field{ID: "mx", Results: dkim(Property{"header", "d", "Example.com"})}},
		{"space at every place", " mx ; dkim = pass header . d = example.com ",
			Field{ID: "mx", Results: dkim(Property{"header", "d", "example.com"})}},
		{"folds", " mx;\r\n\tdkim=pass\r\n\theader.d=example.com",
			Field{ID: "mx", Results: dkim(Property{"header", "d", "example.com"})}},
		{"line feeds", " mx;\n dkim=pass\n header.d=example.com",
			Field{ID: "mx", Results: dkim(Property{"header", "d", "example.com"})}},
		{"final semicolon", " mx; dkim=pass;", Field{ID: "mx", Results: dkim()}},
		{"two semicolons", " mx;; dkim=pass", Field{ID: "mx", Results: dkim()}},
		{"quoted value", ` mx; dkim=pass header.b="ab/+c="`,
			Field{ID: "mx", Results: dkim(Property{"header", "b", "ab/+c="})}},
		{"base64 without quotes", " mx; dkim=pass header.b=ab/+c=",
			Field{ID: "mx", Results: dkim(Property{"header", "b", "ab/+c="})}},
		{"address", " mx; dkim=pass header.i=joe@example.com",
			Field{ID: "mx", Results: dkim(Property{"header", "i", "joe@example.com"})}},
		{"address without a local part", " mx; dkim=pass header.i=@example.com",
			Field{ID: "mx", Results: dkim(Property{"header", "i", "@example.com"})}},
		{"address with a quoted local part", ` mx; dkim=pass header.i="a; b=c"@example.com`,
			Field{ID: "mx", Results: dkim(Property{"header", "i", `"a; b=c"@example.com`})}},
		{"bounce address", " mx; dkim=pass header.i=b+joe=example.com@list.example", Field{ID: "mx",
			Results: dkim(Property{"header", "i", "b+joe=example.com@list.example"})}},
		{"UTF-8", " mx; dkim=pass header.i=дм@bücher.example",
			Field{ID: "mx", Results: dkim(Property{"header", "i", "дм@bücher.example"})}},
		{"comment of the result", " mx; dkim=pass (2048-bit  key; (un)protected) (again) header.d=a.example",
			Field{ID: "mx", Results: []Result{{
				Method: "dkim", Value: "pass", Comment: "2048-bit key; (un)protected",
				Properties: []Property{{"header", "d", "a.example"}}}}}},
		{"reason in quotes", ` mx; dkim=fail reason="bad; \"signature\"" header.d=a.example`,
			Field{ID: "mx", Results: []Result{{
				Method: "dkim", Value: "fail", Reason: `bad; "signature"`,
				Properties: []Property{{"header", "d", "a.example"}}}}}},
		{"folded reason", " mx; dkim=fail reason=\"bad\r\n\tsignature\"", Field{ID: "mx",
			Results: []Result{{Method: "dkim", Value: "fail", Reason: "bad signature"}}}},
		{"reason after the properties", " mx; dkim=fail header.d=a.example reason=bad",
			Field{ID: "mx", Results: []Result{{
				Method: "dkim", Value: "fail", Reason: "bad", Properties: []Property{{"header", "d", "a.example"}}}}}},
		{"pair without a type", " mx; dmarc=pass action=none header.from=a.example",
			Field{ID: "mx", Results: []Result{{
				Method: "dmarc", Value: "pass", Properties: []Property{{"header", "from", "a.example"}}}}}},
		{"underscores", " mx; x_y=pass policy.dkim_rules=none", Field{ID: "mx", Results: []Result{{
			Method: "x_y", Value: "pass", Properties: []Property{{"policy", "dkim_rules", "none"}}}}}},
		{"semicolon in a comment", " mx (a;b); dkim=pass (c;d); (e;f) spf=none",
			Field{ID: "mx", Results: []Result{
				{Method: "dkim", Value: "pass", Comment: "c;d"}, {Method: "spf", Value: "none"}}}},
		{"result in a reason", ` mx; dkim=fail reason="a; dmarc=pass header.from=bank.example"`,
			Field{ID: "mx", Results: []Result{{
				Method: "dkim", Value: "fail", Reason: "a; dmarc=pass header.from=bank.example"}}}},
		{"property in a comment", " mx; dkim=pass header.d=evil.example (also header.d=bank.example )",
			Field{ID: "mx", Results: dkim(Property{"header", "d", "evil.example"})}},
		{"result in a result", " mx; dkim=fail dmarc=pass",
			Field{ID: "mx", Results: []Result{{Method: "dkim", Value: "fail"}}}},
		{"many comments", " foo.example.net (foobar) 1 (baz); dkim (Because I like it) / 1 (One " +
			"yay) = (wait for it) fail policy (A dot can go here) . (like that) expired (this " +
			"surprised me) = (as I wasn't expecting it) 1362471462",
			Field{ID: "foo.example.net", Results: []Result{{Method: "dkim", Value: "fail",
				Properties: []Property{{"policy", "expired", "1362471462"}}}}}},
		{"oldest-pass", " mx; arc=pass smtp.remote-ip=\"2001:db8::1\" header.oldest-pass=0",
			Field{ID: "mx", Results: []Result{{
				Method: "arc", Value: "pass", Properties: []Property{{"smtp", "remote-ip",
					"2001:db8::1"}, {"header", "oldest-pass", "0"}}}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse([]byte(tt.value))
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Parse(%q)\n got %+v, %v\nwant %+v", tt.value, got, err, tt.want)
			}
		})
	}
}

func TestParseMistakes(t *testing.T) {
	spf := []Result{{Method: "spf", Value: "none"}}
	tests := []struct {
		name, value string
		want        Field
		err         error
	}{
		{"empty", "", Field{}, ErrSyntax},
		{"no id", " ; spf=none", Field{Results: spf}, ErrSyntax},
		{"result instead of an id", " spf=none; dkim=pass",
			Field{Results: []Result{spf[0], {Method: "dkim", Value: "pass"}}}, ErrSyntax},
		{"version 2", " mx 2; spf=none", Field{ID: "mx"}, ErrVersion},
		{"version 10", " mx 10; spf=none", Field{ID: "mx"}, ErrVersion},
		{"more before the semicolon", " mx 1 2; spf=none", Field{ID: "mx", Results: spf}, ErrSyntax},
		{"no result", " mx; dkim; spf=none", Field{ID: "mx", Results: spf}, ErrSyntax},
		{"no value", " mx; dkim=; spf=none", Field{ID: "mx", Results: spf}, ErrSyntax},
		{"no property", " mx; dkim=pass header.=x; spf=none", Field{ID: "mx", Results: spf}, ErrSyntax},
		{"word among properties", " mx; dkim=pass x; spf=none", Field{ID: "mx", Results: spf}, ErrSyntax},
		{"semicolon in the quotes of a mistake", ` mx; dkim=pass "; dmarc=pass" x; spf=none`,
			Field{ID: "mx", Results: spf}, ErrSyntax},
		{"quote that does not end", ` mx; spf=none; dkim=pass reason="; dmarc=pass`,
			Field{ID: "mx", Results: spf}, ErrSyntax},
		{"comment that does not end", " mx; spf=none; dkim=pass (; dmarc=pass",
			Field{ID: "mx", Results: spf}, ErrSyntax},
		{"quote after a value", ` mx; dkim=pass header.i=a"b"@c.example; spf=none`,
			Field{ID: "mx", Results: spf}, ErrSyntax},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse([]byte(tt.value))
			if !errors.Is(err, tt.err) || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Parse(%q)\n got %+v, %v\nwant %+v, %v", tt.value, got, err, tt.want,
					tt.err)
			}
		})
	}
}

func TestParseIsBounded(t *testing.T) {
	f, err := Parse([]byte("mx" + strings.Repeat("; spf=none", 1000)))
	if !errors.Is(err, ErrSyntax) || len(f.Results) != maxResults {
		t.Errorf("1000 results: got %d, %v", len(f.Results), err)
	}
	f, err = Parse([]byte("mx; spf=none" + strings.Repeat(" a.b=c", 1000)))
	if !errors.Is(err, ErrSyntax) || len(f.Results) != 0 {
		t.Errorf("1000 properties: got %d results, %v", len(f.Results), err)
	}
	for _, unit := range []string{"(", "()", `"`, `"a"`, "a", ";", "a=b;", " ", "\r\n ",
		"\"\r\n \"", `\`} {
		value := []byte("mx; spf=" + strings.Repeat(unit, 1<<20/len(unit)))
		allocations.Hold(t, "milter/authres: Parse of 1 MiB", 1, func() { _, _ = Parse(value) })
	}
}
