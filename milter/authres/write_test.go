package authres

import (
	"reflect"
	"strings"
	"testing"

	"mailseal/milter/message"
)

func property(value string) Field {
	return Field{ID: "mx.example.com", Results: []Result{{Method: "spf", Value: "pass",
		Properties: []Property{{"smtp", "mailfrom", value}}}}}
}

func TestPropertyValues(t *testing.T) {
	tests := []struct{ name, value, want string }{
		{"domain", "example.com", "example.com"},
		{"address", "joe@example.com", "joe@example.com"},
		{"no local part", "@example.com", "@example.com"},
		{"bounce address", "b+joe=example.org@list.example", "b+joe=example.org@list.example"},
		{"needless quotes", `"joe"@example.com`, "joe@example.com"},
		{"needed quotes", `"a..b"@example.com`, `"a..b"@example.com`},
		{"local part without the quotes it needs", ".joe.@example.com", `".joe."@example.com`},
		{"two at signs", `"a@b"@example.com`, `"a@b"@example.com`},
		{"base64", "ab/+c=", `"ab/+c="`},
		{"IPv6", "2001:db8::1", `"2001:db8::1"`},
		{"address literal", "joe@[192.0.2.1]", `"joe@[192.0.2.1]"`},
		{"address of no host", "joe@a..b", `"joe@a..b"`},
		{"semicolon", "a;dkim=pass", `"a?dkim?pass"`},
		{"semicolon in a quoted local part", `"a; dkim=pass"@example.com`, "a??dkim?pass@example.com"},
		{"quotes", `a"b`, `"a?b"`},
		{"quoted pairs", `"a\"; dkim=pass \\"@example.com`, "a???dkim?pass??@example.com"},
		{"backslash at the end", `a\`, `"a?"`},
		{"comment", "a(b)c", `"a?b?c"`},
		{"line ends", "a\r\nX-Evil: yes", `"a??X-Evil:?yes"`},
		{"NUL and DEL", "a\x00b\x7fc", `"a?b?c"`},
		{"white space", "a b\tc", `"a?b?c"`},
		{"UTF-8", "дм@example.com", "??@example.com"},
		{"U-labels", "bücher.example", "xn--bcher-kva.example"},
		{"U-labels of an address", "дм@bücher.example", "??@xn--bcher-kva.example"},
		{"invalid UTF-8", "a\xff\xfeb", `"a??b"`},
		{"result", "dmarc=pass@example.com", "dmarc?pass@example.com"},
		{"result of a method to come", "dkim2=pass.example", `"dkim2?pass.example"`},
		{"result in capitals", "x-DMARC=PASS", `"x-DMARC?PASS"`},
		{"property", "header.from=bank.example", `"header.from?bank.example"`},
		{"long local part", strings.Repeat("a", 500) + "@example.com",
			`"...` + strings.Repeat("a", 256-len(`...""@example.com`)) + `"@example.com`},
		{"longest path", strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 92) + "example",
			strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 92) + "example"},
		{"long text", strings.Repeat("a", 1000) + ".example", "..." + strings.Repeat("a", 245) + ".example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := "mx.example.com; spf=pass smtp.mailfrom=" + tt.want
			if got := property(tt.value).Payload(); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	if got := property("").Payload(); got != "mx.example.com; spf=pass" {
		t.Errorf("an empty value was written: %s", got)
	}
}

func TestNamesAndTexts(t *testing.T) {
	tests := []struct {
		name string
		in   Field
		want string
	}{
		{"none", Field{ID: "mx.example.com"}, "mx.example.com; none"},
		{"odd id", Field{ID: "a;b c"}, `"a?b?c"; none`},
		{"id in U-labels", Field{ID: "mx.bücher.example"}, "mx.xn--bcher-kva.example; none"},
		{"no id", Field{}, "unknown; none"},
		{"method", Field{ID: "mx", Results: []Result{{Method: "dkim=pass; x", Value: "none"}}},
			"mx; dkim-pass--x=none"},
		{"value", Field{ID: "mx", Results: []Result{{Method: "dkim", Value: "fail; dmarc=pass"}}},
			"mx; dkim=fail--dmarc-pass"},
		{"no method, no value", Field{ID: "mx", Results: []Result{{}}}, "mx; unknown=unknown"},
		{"property names", Field{ID: "mx", Results: []Result{{Method: "A", Value: "B",
			Properties: []Property{{"C d", "\r\nE", "f"}}}}}, "mx; a=b c-d.e=f"},
		{"comment", Field{ID: "mx", Results: []Result{{Method: "dkim", Value: "pass",
			Comment: "2048-bit  key"}}}, "mx; dkim=pass (2048-bit key)"},
		{"policy in a comment", Field{ID: "mx", Results: []Result{{Method: "dmarc", Value: "pass",
			Comment: "p=reject sp=none"}}}, "mx; dmarc=pass (p=reject sp=none)"},
		{"forged comment", Field{ID: "mx", Results: []Result{{Method: "dkim", Value: "fail",
			Comment: "a) dmarc=pass (\\"}}}, "mx; dkim=fail (a] dmarc:pass [/)"},
		{"forged reason", Field{ID: "mx",
			Results: []Result{{Method: "dkim", Value: "fail",
				Reason: `a"; dmarc=pass header.from = bank.example \`}}},
			`mx; dkim=fail reason="a', dmarc:pass header.from : bank.example /"`},
		{"line end in a reason", Field{ID: "mx", Results: []Result{{Method: "dkim", Value: "fail",
			Reason: "a\r\nX: b"}}}, `mx; dkim=fail reason="a X: b"`},
		{"one word", Field{ID: "mx", Results: []Result{{Method: "dkim", Value: "fail",
			Reason: "expired"}}}, "mx; dkim=fail reason=expired"},
		{"long reason", Field{ID: "mx",
			Results: []Result{{Method: "dkim", Value: "fail", Reason: strings.Repeat("x", 900)}}},
			"mx; dkim=fail reason=" + strings.Repeat("x", 157) + "..."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.Payload(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	with := Field{ID: "mx", Results: []Result{{Method: "dkim", Value: "pass", Comment: "c",
		Reason: "r"}}}
	if got := with.WithoutComments().Payload(); got != "mx; dkim=pass reason=r" {
		t.Errorf("without comments: %s", got)
	}
	if with.Results[0].Comment != "c" {
		t.Error("WithoutComments changed the field")
	}
}

func TestFieldsFold(t *testing.T) {
	f := Field{ID: "mx.example.com", Results: []Result{
		{Method: "dkim", Value: "pass", Comment: "2048-bit key", Properties: []Property{
			{"header", "d", "example.org"}, {"header", "i", "@example.org"}, {"header", "s",
				"selector"}, {"header", "a", "rsa-sha256"}, {"header", "b", "abcd/123"}}},
		{Method: "dmarc", Value: "fail", Reason: "no identifier that passed is of the author's " +
			"organization", Properties: []Property{{"header", "from", "example.net"}}},
		{Method: "spf", Value: "none", Properties: []Property{{"smtp", "helo", "mail.example.org"}}},
	}}
	want := "Authentication-Results: mx.example.com;\r\n" +
		"\tdkim=pass (2048-bit key) header.d=example.org header.i=@example.org\r\n" +
		"\theader.s=selector header.a=rsa-sha256 header.b=\"abcd/123\";\r\n" +
		"\tdmarc=fail reason=\"no identifier that passed is of the author's\r\n" +
		"\torganization\" header.from=example.net;\r\n" +
		"\tspf=none smtp.helo=mail.example.org"
	got := f.Fields()
	if len(got) != 1 || string(got[0].Raw()) != want {
		t.Errorf("got\n%s\nwant\n%s", got[0].Raw(), want)
	}
	if back, err := Parse(got[0].Value()); err != nil || !reflect.DeepEqual(back, f) {
		t.Errorf("read back: %+v, %v\nwant %+v", back, err, f)
	}
	if none := (Field{ID: "mx.example.com"}).Fields(); len(none) != 1 ||
		string(none[0].Raw()) != "Authentication-Results: mx.example.com; none" {
		t.Errorf("nothing checked: %q", none[0].Raw())
	}
}

// checkField holds what is promised of every field: lines, lengths, printable octets.
func checkField(t *testing.T, f message.Field) {
	t.Helper()
	if !f.Is(FieldName) {
		t.Errorf("it is called %q", f.Name())
	}
	unfolded := strings.ReplaceAll(string(f.Raw()), "\r\n", "")
	if len(unfolded) > maxField {
		t.Errorf("%d octets unfolded: %q", len(unfolded), unfolded)
	}
	for _, c := range []byte(unfolded) {
		if c != '\t' && (c < ' ' || c > '~') {
			t.Errorf("octet %#x in %q", c, unfolded)
		}
	}
	for i, line := range strings.Split(string(f.Raw()), "\r\n") {
		if i > 0 && (line == "" || line[0] != '\t' || strings.TrimSpace(line) == "") {
			t.Errorf("line %q in %q", line, f.Raw())
		}
		words := strings.Fields(line)
		if len(line)+indentWidth-1 >= lineWidth && len(words) > 1 && i > 0 {
			t.Errorf("a line of %d octets and %d words: %q", len(line), len(words), line)
		}
	}
}

func TestManyResultsSplit(t *testing.T) {
	f := Field{ID: "mx.example.com"}
	for i := range 60 {
		f.Results = append(f.Results, Result{Method: "dkim", Value: "pass",
			Properties: []Property{{"header", "b", strings.Repeat("x", i)}}})
	}
	fields := f.Fields()
	if len(fields) < 3 {
		t.Errorf("%d fields, want several", len(fields))
	}
	var back []Result
	for _, field := range fields {
		checkField(t, field)
		part, err := Parse(field.Value())
		if err != nil || part.ID != f.ID || len(part.Results) == 0 {
			t.Errorf("%q: %v", field.Raw(), err)
		}
		back = append(back, part.Results...)
	}
	if len(back) != len(f.Results) {
		t.Errorf("%d results came back of %d", len(back), len(f.Results))
	}
}

// A single result never fills more than a field, whatever a stranger called himself, and always
// says its value.
func TestLongestResult(t *testing.T) {
	long := strings.Repeat("x.", 5000) + "example"
	r := Result{Method: strings.Repeat("m", 99), Value: strings.Repeat("v", 99), Comment: long,
		Reason: long}
	for range 50 {
		r.Properties = append(r.Properties,
			Property{strings.Repeat("t", 99), strings.Repeat("p", 99), long})
	}
	for _, id := range []string{"mx", strings.Repeat("i", 253), strings.Repeat("i ", 5000)} {
		for _, field := range (Field{ID: id, Results: []Result{r, r}}).Fields() {
			checkField(t, field)
			got, err := Parse(field.Value())
			if err != nil || len(got.Results) != 1 ||
				got.Results[0].Value != strings.Repeat("v", 24) {
				t.Errorf("%q: %v", field.Raw(), err)
			}
		}
	}
}
