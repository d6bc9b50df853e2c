package main

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// invalid are values that an argument cannot have, by its name in the help, and what the error
// shows as an example of a good one.
var invalid = map[string]struct {
	values []string
	shows  string
}{
	"DOMAIN": {[]string{"localhost", "foo..bar", "a b.example", "-a.example", "192.0.2.1",
		"user@example.net", "https://example.net/", "*.example.net", "_dmarc.example.net",
		"s1._domainkey.example.net", "b\u00fccher\u3002example", "example.net..", "."}, "example."},
	"KEY":      {[]string{"localhost", "foo..bar", "a b.example", "user@example.net"}, "example."},
	"RECORD":   {[]string{"localhost", "foo..bar", "a b.example", "user@example.net"}, "example."},
	"SELECTOR": {[]string{"a b", "s..s", "-s", "s@example.net", "s1._domainkey", "{yr}"}, ""},
	"ADDRESS":  {[]string{"user", "user@", "@example.net", "user@foo..bar"}, "such as "},
	"now":      {[]string{"yesterday", "2026-01-31", "12:00"}, "2026-01-31T12:00:00Z"},
	"day":      {[]string{"yesterday", "31.1.2026", "2026-02-30"}, "2026-01-31"},
	"smtp":     {[]string{"foo", "foo:", ":25", "foo:99999"}, "mx.example.net:25"},
	"server":   {[]string{"a b", "foo:", ":25", "foo:99999", "b@example.net"}, "mx.example.net:25"},
	"IP":       {[]string{"1.2.3", "example.net", "192.0.2.0/99", "192.0.2.1:25"}, "192.0.2."},
}

// addressFlags are the flags that take an IP address. In the help their value is ADDRESS as is that
// of flags that take a mail address.
var addressFlags = []string{"domain --address", "propose spf --address", "setup --address",
	"explain-signing --ip", "policy try --ip", "spf --ip", "verify --ip", "mta --client",
	"setup --network"}

// free are flags with a value named ADDRESS that is checked elsewhere, or may be anything.
var free = []string{"mta --from", "mta --to", "mta --milter", "shadow --listen",
	"shadow --upstream", "setup --mta", "setup --smtp"}

// others are arguments without which a command does not look at its flags.
var others = map[string]string{
	"dmarc": "example.net", "propose spf": "example.net", "propose dmarc": "example.net",
	"sql-import": "x", "test send": "a@example.net", "keys generate": "example.net",
	"policy try": "--ip=192.0.2.1 x", "spf": "--ip=192.0.2.1 --helo=example.net",
	"verify": "--ip=192.0.2.1 --config=x", "reports bounced": "r@example.net", "reports resend": "1",
	"reports forget": "example.net", "reports preview": "example.net", "reports show": "1",
	"sign": "--domain=example.net --selector=s1 --key=x",
}

// kindOf is the key of invalid for a flag, "" if it has none.
func kindOf(command string, f *pflag.Flag) string {
	id := command + " --" + f.Name
	switch name := f.Value.Type(); {
	case slices.Contains(free, id):
		return ""
	case f.Name == "now" || f.Name == "day" || f.Name == "smtp" || id == "test send --server":
		return f.Name
	case id == "propose spf --include":
		return "RECORD"
	case slices.Contains(addressFlags, id):
		return "IP"
	case name == "DOMAIN" || name == "SELECTOR" || name == "ADDRESS":
		return name
	}
	return ""
}

// TestInvalidFlags runs every command with each invalid name, selector and address that a flag can
// be given: exit code 2, and a text that names the flag and shows what it should look like.
func TestInvalidFlags(t *testing.T) {
	seen := 0
	everyCommand(func(cmd *cobra.Command, words []string) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			command := strings.Join(words, " ")
			bad := invalid[kindOf(command, f)]
			for _, v := range bad.values {
				seen++
				args := append(slices.Clone(words), strings.Fields(others[command])...)
				args = append(args, "--"+f.Name, v)
				wantUsage(t, args, "--"+f.Name, v, bad.shows)
			}
		})
	})
	if seen < 200 {
		t.Errorf("only %d values were tried", seen)
	}
}

// invalidArguments are command lines with an invalid argument in place of %, and its name and kind.
var invalidArguments = map[string]struct{ line, name, kind string }{
	"dkim":               {"% example.net", "SELECTOR", "SELECTOR"},
	"dmarc":              {"%", "DOMAIN", "DOMAIN"},
	"domain":             {"example.net %", "NAME", "DOMAIN"},
	"keys activate":      {"example.net %", "NAME", "KEY"},
	"keys generate":      {"%", "DOMAIN", "DOMAIN"},
	"keys list":          {"%", "DOMAIN", "KEY"},
	"keys publish-check": {"%", "NAME", "KEY"},
	"keys remove":        {"%", "NAME", "KEY"},
	"keys retire":        {"%", "NAME", "KEY"},
	"keys revoke":        {"%", "NAME", "KEY"},
	"keys rotate":        {"%", "DOMAIN", "DOMAIN"},
	"propose dkim":       {"%", "DOMAIN", "DOMAIN"},
	"propose dmarc":      {"%", "DOMAIN", "DOMAIN"},
	"propose spf":        {"%", "DOMAIN", "DOMAIN"},
	"reports bounced":    {"%", "RECIPIENT", "ADDRESS"},
	"reports deliver":    {"%", "RECIPIENT", "ADDRESS"},
	"reports forget":     {"%", "DOMAIN", "DOMAIN"},
	"reports history":    {"%", "DOMAIN", "DOMAIN"},
	"reports preview":    {"%", "DOMAIN", "DOMAIN"},
	"reports suppress":   {"%", "ADDRESS", "ADDRESS"},
	"setup":              {"example.net %", "DOMAIN", "DOMAIN"},
	"spf":                {"%", "NAME", "RECORD"},
	"test send":          {"--from a@example.net --server 127.0.0.1:9 %", "ADDRESS", "ADDRESS"},
}

// TestInvalidArguments does the same with the arguments that are not flags.
func TestInvalidArguments(t *testing.T) {
	everyCommand(func(cmd *cobra.Command, words []string) {
		tc, ok := invalidArguments[strings.Join(words, " ")]
		if !ok && named.MatchString(cmd.Use) && cmd.Name() != "record" {
			t.Errorf("%q takes a name and is not tested", cmd.Use)
		}
		for _, v := range invalid[tc.kind].values {
			args := slices.Clone(words)
			for _, w := range strings.Fields(tc.line) {
				if w == "%" {
					args = append(args, "--")
					w = v
				}
				args = append(args, w)
			}
			wantUsage(t, args, tc.name, v, invalid[tc.kind].shows)
		}
	})
	args := []string{"dkim", "s1", "localhost"}
	wantUsage(t, args, "DOMAIN", "localhost", "example.com")
}

// named matches the usage line of a command with an argument that is a name.
var named = regexp.MustCompile(`^\S+ [[{]?(DOMAIN|NAME|SELECTOR|ADDRESS|RECIPIENT)`)

func wantUsage(t *testing.T, args []string, names, value, shows string) {
	t.Helper()
	_, errs, code := mailseal(t, "", args...)
	first, _, _ := strings.Cut(errs, "\n")
	_, text, _ := strings.Cut(first, names)
	if code != exitUsage || text == "" || !strings.Contains(text, strconv.Quote(value)) ||
		!strings.Contains(text, shows) {
		t.Errorf("%q: exit code %d, %q; want %d, and a text with %q and %q", args, code, errs,
			exitUsage, names, value)
	}
}
