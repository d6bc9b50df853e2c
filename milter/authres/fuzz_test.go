package authres

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// FuzzWrite holds that whatever is written reads back as one result with the same names and values,
// and is the same when it is written again.
func FuzzWrite(f *testing.F) {
	f.Add("mx.example.com", "spf", "pass", "", "", "smtp", "mailfrom", `"a; dkim=pass"@example.com`)
	f.Add("mx.example.com", "dkim", "fail; dmarc=pass", "c) dmarc=pass (", `r"; dmarc=pass \`,
		"header", "i", "a\r\nX-Evil: b@c.example")
	f.Add("a;b", "", "", "\\", "\xff", "", "", strings.Repeat("é", 300))
	f.Fuzz(func(t *testing.T, id, method, value, comment, reason, ptype, name, content string) {
		in := Field{ID: id, Results: []Result{{Method: method, Value: value, Comment: comment,
			Reason:     reason,
			Properties: []Property{{ptype, name, content}, {"policy", "last", "yes"}}}}}
		fields := in.Fields()
		if len(fields) != 1 {
			t.Fatalf("%d fields", len(fields))
		}
		checkField(t, fields[0])
		got, err := Parse(fields[0].Value())
		if err != nil || len(got.Results) != 1 {
			t.Fatalf("%q: %v, %d results", fields[0].Raw(), err, len(got.Results))
		}
		if back, err := Parse([]byte(in.Payload())); err != nil || !reflect.DeepEqual(back, got) {
			t.Errorf("%q: folded and unfolded differ: %+v", in.Payload(), back)
		}
		if again := got.Payload(); again != in.Payload() {
			t.Errorf("written again:\n%q, first\n%q", again, in.Payload())
		}
		checkResult(t, in.Results[0], got.Results[0])
		if !Claims(fields[0].Value(), []string{id}) && id != "" {
			t.Errorf("we do not know our own %q", fields[0].Raw())
		}
	})
}

func checkResult(t *testing.T, in, got Result) {
	t.Helper()
	if got.Method != keyword(in.Method) || got.Value != keyword(in.Value) {
		t.Errorf("got %s=%s, want %s=%s", got.Method, got.Value, keyword(in.Method),
			keyword(in.Value))
	}
	n := len(got.Properties)
	if n == 0 || n > 2 || got.Properties[n-1] != (Property{"policy", "last", "yes"}) {
		t.Fatalf("properties %q", got.Properties)
	}
	if n == 1 {
		if in.Properties[0].Value != "" {
			t.Errorf("property %q was lost", in.Properties[0])
		}
		return
	}
	p := got.Properties[0]
	if p.Type != keyword(in.Properties[0].Type) || p.Name != keyword(in.Properties[0].Name) {
		t.Errorf("property %q, want %q", p, in.Properties[0])
	}
	if len(p.Value) > 256 || strings.ContainsAny(p.Value, "\r\n; ()\\") {
		t.Errorf("value %q", p.Value)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(" mx.example.com 1; dkim=pass (c) reason=\"r\" header.i=\"a " +
		"b\"@c.example\r\n\theader.b=ab/c=; spf=none"))
	f.Add([]byte(" spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=a.example; dkim=none action=none"))
	f.Add([]byte(`"mx" ((a)\)) ; dkim/1=fail reason="\""`))
	f.Fuzz(func(t *testing.T, value []byte) {
		got, err := Parse(value)
		if err != nil {
			return
		}
		// What was read without a mistake can be written, and reads as well then.
		for _, field := range got.Fields() {
			back, err := Parse(field.Value())
			if err != nil {
				t.Errorf("%q written as %q: %v", value, field.Raw(), err)
			}
			if len(got.Results) > 0 && len(back.Results) == 0 {
				t.Errorf("%q lost its results in %q", value, field.Raw())
			}
		}
		for _, r := range got.Results {
			if r.Method == "" || r.Value == "" {
				t.Errorf("%q: result %+v", value, r)
			}
		}
	})
}

// Some readers that stand in for those that come after us. Each returns the authserv-id that it
// takes value to have.
var readers = []struct {
	name string
	id   func(value string) string
}{
	{"ours", func(v string) string { f, _ := Parse([]byte(v)); return f.ID }},
	{"first word", func(v string) string {
		for _, w := range strings.FieldsFunc(v,
			func(r rune) bool { return r == ';' || isSpace(byte(r)) && r < 128 }) {
			return w
		}
		return ""
	}},
	{"before the semicolon", func(v string) string {
		id, _, _ := strings.Cut(v, ";")
		return strings.Trim(strings.TrimSpace(id), `"`)
	}},
	{"comments by pattern", func(v string) string {
		id, _, _ := strings.Cut(regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(v, ""), ";")
		return strings.Trim(strings.TrimSpace(id), `"'`)
	}},
	{"comments by pattern, then words", func(v string) string {
		id, _, _ := strings.Cut(regexp.MustCompile(`\([^()]*\)`).ReplaceAllString(v, " "), ";")
		for _, w := range strings.Fields(id) {
			return strings.TrimSuffix(w, ".")
		}
		return ""
	}},
	{"no white space at all", func(v string) string {
		id, _, _ := strings.Cut(strings.Join(strings.Fields(v), ""), ";")
		return id
	}},
	{"until a slash", func(v string) string {
		id, _, _ := strings.Cut(v, "/")
		return strings.TrimSpace(id)
	}},
	{"until a NUL", func(v string) string {
		id, _, _ := strings.Cut(v, "\x00")
		return strings.TrimSpace(id)
	}},
}

func FuzzClaims(f *testing.F) {
	f.Add([]byte(` (c) "mx.example.com" 1; dkim=pass`))
	f.Add([]byte(` m(a(b)x.example.com (c)); dkim=pass`))
	f.Add([]byte(" mx.exam\r\n ple.com/7; dkim=pass"))
	f.Add([]byte(" mx。example。com; dkim=pass"))
	ours := []string{"mx.example.com"}
	f.Fuzz(func(t *testing.T, value []byte) {
		claimed := Claims(value, ours)
		for _, r := range readers {
			if id := r.id(string(value)); strings.EqualFold(id, ours[0]) && !claimed {
				t.Errorf("%q: to one who reads %s it is ours", value, r.name)
			}
		}
	})
}

// FuzzDisguise strews what some reader passes over between the letters of our name.
func FuzzDisguise(f *testing.F) {
	noise := []string{"", " ", "\r\n ", "(c)", "(a(b)c)", `(a\)b)`, `"`, `\`, "\x00", "\t", "\xff",
		"()", "(;)", "'", "\x7f"}
	f.Add([]byte{0, 3, 0, 0, 5, 6, 0, 0, 0, 0, 7})
	f.Add([]byte{6, 0, 12, 6, 8, 9, 10, 11, 12, 13, 14})
	f.Fuzz(func(t *testing.T, picks []byte) {
		var b strings.Builder
		for i, c := range "mx.example.com" {
			if i < len(picks) {
				b.WriteString(noise[int(picks[i])%len(noise)])
			}
			b.WriteRune(c)
		}
		if value := b.String() + "; dkim=pass"; !Claims([]byte(value), []string{"mx.example.com"}) {
			t.Errorf("not claimed: %q", value)
		}
	})
}
