package config_test

import (
	"errors"
	"strings"
	"testing"

	"mailseal/config"
)

// TestSyntax reads files with one mistake in their TOML each.
func TestSyntax(t *testing.T) {
	for _, tt := range []struct {
		text string
		line int
		want string
	}{
		{"mode = \"sign\"\n[[sign]\nfrom = \"x\"\n", 2, "]] is missing"},
		{"\n[ours\nhosts = \"x\"\n", 2, "] is missing"},
		{"[ours]]\n", 1, "one ] too many"},
		{"[my table]\n", 1, "a header is one name"},
		{"[]\n", 1, "no name between its brackets"},
		{"[sign]\n\n[[sign]]\n", 3, "one pair of brackets is above"},
		{"[ours]\n[ours]\n", 2, "this table is above already"},
		{"user = \"a\"\nuser = \"b\"\n", 2, "is set twice"},
		{"user = \"a\nmode = 1\n", 1, "the closing \" is missing"},
		{"user = 'a\nmode = 1\n", 1, "the closing ' is missing"},
		{"user = \"\"\"a\n", 1, "the closing \"\"\" of this text is missing"},
		{"a = 1\nfrom = [\u201c*@example.com\u201d]\n", 2, "\u201c is a typographic quotation mark"},
		{"user = \u2018a\u2019\n", 1, "\u2018 is a typographic quotation mark"},
		{"user =\u00a0\"a\"\n", 1, "a special space (U+00A0)"},
		{"user\u00a0= \"a\"\n", 1, "a special space (U+00A0)"},
		{"user =\nmode = 1\n", 1, "the value after = is missing"},
		{"authenticated = yes\n", 1, "write true, without quotes"},
		{"authenticated = False\n", 1, "write false, without quotes"},
		{"authserv_id = mx.example.com\n", 1, "write text between double quotes"},
		{"mode = [\"sign\" \"verify\"]\n", 1, "a comma is missing between two entries"},
		{"mode = [\"sign\"\n[ours]\n", 2, "] is missing at the end of the list|a comma is missing"},
		{"mode = [\"sign\",\n\n[ours]\nhosts = 1\n", 3, "] is missing at the end of the list"},
		{"when = { logins = \"a\" clients = \"b\" }\n", 1, "a comma is missing between two settings"},
		{"when = { logins = \"a\"", 1, "} is missing"},
		{"authserv_id = \"a\" (mailseal.toml)\n", 1, "a remark begins with #"},
		{"user = \"a\";\n", 1, "delete the ;"},
		{"user = \"a\",\n", 1, "delete the ,"},
		{"when = \"dmarc.result == \"fail\"\"\n", 1, "write an expression with double quotes in it"},
		{"expiry = 10d\n", 1, "between double quotes, such as \"1d\""},
		{"address = 127.0.0.1\n", 1, "this is not a number"},
		{"mode = 0660\n", 1, "cannot begin with 0"},
		{"user: \"a\"\n", 1, "write = between"},
		{"user \"a\"\n", 1, "= is missing"},
		{"= 1\n", 1, "the name of a setting is missing"},
		{"// a remark\n", 1, "a remark begins with #"},
		{"<<<<<<< ours\n", 1, "not SETTING = VALUE"},
		{"file = \"C:\\Users\"\n", 1, "a \\ has a special meaning"},
		{"user = \"\xff\"\n", 1, "this is not UTF-8"},
	} {
		_, err := config.Parse("m.toml", []byte(tt.text))
		var problems config.Problems
		if !errors.As(err, &problems) || len(problems) != 1 {
			t.Errorf("%q: got %v", tt.text, err)
			continue
		}
		isWanted := false
		for _, want := range strings.Split(tt.want, "|") {
			isWanted = isWanted || strings.Contains(problems[0].Text, want)
		}
		if p := problems[0]; p.Line != tt.line || !isWanted {
			t.Errorf("%q: got line %d: %s; want line %d: %s", tt.text, p.Line, p.Text, tt.line,
				tt.want)
		}
	}
}

// TestSyntaxKeepsSecrets wants no value in the problem: it may be a password.
func TestSyntaxKeepsSecrets(t *testing.T) {
	for _, value := range []string{"hunter2secret", "7hunter2secret", "7.hunter2secret",
		"\"a\" hunter2secret", "postgres://a:hunter2secret@db/x", "/hunter2secret"} {
		_, err := config.Parse("m.toml", []byte("[sources.db]\ndsn = "+value+"\n"))
		if err == nil || strings.Contains(err.Error(), "unter2secret") {
			t.Errorf("%s: got %v", value, err)
		}
	}
}
