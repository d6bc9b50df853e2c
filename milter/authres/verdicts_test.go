package authres

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// judged is what judging one message may come to: every method, with the names and texts that a
// stranger chose.
func judged(id, name, text string, signatures int, dkimFirst bool) Field {
	verdicts := []Result{
		{Method: "dmarc", Value: "permerror", Comment: text, Reason: text,
			Properties: []Property{{"header", "from", name}, {"policy", "dmarc", "quarantine"}}},
		{Method: "spf", Value: "temperror", Comment: text, Properties: []Property{{"smtp", "mailfrom", name}}},
		{Method: "spf", Value: "permerror", Comment: text, Properties: []Property{{"smtp", "helo", name}}},
		{Method: "arc", Value: "fail", Comment: text,
			Properties: []Property{{"smtp", "remote-ip", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
				{"header", "oldest-pass", "49"}}},
		{Method: "iprev", Value: "temperror", Comment: text,
			Properties: []Property{{"policy", "iprev", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"}}},
	}
	var dkim []Result
	for i := range signatures {
		dkim = append(dkim, Result{Method: "dkim", Value: "permerror", Comment: text, Reason: text,
			Properties: []Property{
				{"header", "d", name}, {"header", "i", "@" + name}, {"header", "s", name},
				{"header", "a", name}, {"header", "b", fmt.Sprint(name, i)}}})
	}
	if dkimFirst {
		return Field{ID: id, Results: append(dkim, verdicts...)}
	}
	return Field{ID: id, Results: append(verdicts, dkim...)}
}

// checkVerdicts wants the verdict of every method in the first field, and every result somewhere.
func checkVerdicts(t *testing.T, in Field) {
	t.Helper()
	fields := in.Fields()
	read := 0
	for i, field := range fields {
		checkField(t, field)
		got, err := Parse(field.Value())
		if err != nil {
			t.Fatalf("%q: %v", field.Raw(), err)
		}
		read += len(got.Results)
		if i > 0 {
			continue
		}
		for _, want := range in.Results {
			if !slices.ContainsFunc(got.Results,
				func(r Result) bool { return r.Method == want.Method && r.Value == want.Value }) {
				t.Errorf("no %s=%s in the first field %q", want.Method, want.Value, field.Raw())
			}
		}
	}
	if read != len(in.Results) {
		t.Errorf("%d results written, %d given", read, len(in.Results))
	}
	if back, err := Parse([]byte(in.Payload())); err != nil ||
		len(back.Results) != len(in.Results) {
		t.Errorf("payload: %v, %d results", err, len(back.Results))
	}
}

func TestFirstFieldHoldsEveryVerdict(t *testing.T) {
	names := []struct{ name, value string }{
		{"short", "example.com"},
		{"longest name", strings.Repeat("a.", 123) + "example"},
		{"longest path", strings.Repeat("l", 64) + "@" + strings.Repeat("b.", 92) + "example"},
		{"no end of it", strings.Repeat("x", 5000)},
		{"quotes", strings.Repeat(`"\`, 400)},
		{"UTF-8", strings.Repeat("дм.", 200)},
	}
	for _, id := range []string{"mx", strings.Repeat("i", 253), strings.Repeat("i ", 5000)} {
		for _, n := range names {
			for _, signatures := range []int{0, 1, 20} {
				for _, first := range []bool{false, true} {
					t.Run(fmt.Sprintf("%.10s, %s, %d, %v", id, n.name, signatures, first),
						func(t *testing.T) {
							checkVerdicts(t, judged(id, n.value, strings.Repeat(n.value+" ", 20),
								signatures, first))
						})
				}
			}
		}
	}
}

// A long name of one result costs the others nothing as long as there is room.
func TestSqueezeTakesFromTheLargest(t *testing.T) {
	f := judged("mx.example.com", "example.com", "", 1, false)
	f.Results[5].Properties[2].Value = strings.Repeat("s", 5000)
	first := string(f.Fields()[0].Raw())
	for _, want := range []string{"header.from=example.com", "policy.dmarc=quarantine",
		"smtp.mailfrom=example.com", "header.oldest-pass=49"} {
		if !strings.Contains(first, want) {
			t.Errorf("no %s in %q", want, first)
		}
	}
}

func FuzzVerdicts(f *testing.F) {
	f.Add("mx.example.com", "example.com", "a text", uint8(6), true)
	f.Add(strings.Repeat("i", 300), strings.Repeat("é", 300), strings.Repeat(`";\`, 100), uint8(20),
		false)
	f.Fuzz(func(t *testing.T, id, name, text string, signatures uint8, dkimFirst bool) {
		checkVerdicts(t, judged(id, name, text, int(signatures%24), dkimFirst))
	})
}
