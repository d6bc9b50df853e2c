package filter

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/expression"
	"mailseal/milter/message"
	"mailseal/milter/policy"
	"mailseal/milter/sign"
)

func condition(t *testing.T, text string, scope expression.Scope) *expression.Condition {
	t.Helper()
	c, err := expression.Compile(text, scope)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var stranger = message.Envelope{
	Client: netip.MustParseAddr("192.0.2.99"), Helo: "liar.example", Sender: "x@liar.example",
	Recipients: []string{"b@example.net"},
}

const bigHeader = "From: a@example.com\nX-Big: "

// TestRuleFailure has a stranger's header exhaust what the rules may read: ERROR, counted, and the
// message deferred.
func TestRuleFailure(t *testing.T) {
	f, counted := newFilter(t)
	f.Policy.OnError = action.Tempfail
	f.Policy.Rules = []policy.Rule{{
		Name:   "big",
		When:   condition(t, strings.Repeat(`header("X-Big") == "b" or `, 12)+"false", expression.Judging),
		Action: action.Reject,
	}}
	raw := bigHeader + strings.Repeat("a", 900_000) + "\n\nbody\n"
	out, _ := decide(t, f, action.RoleTheirs, milter.ByDefault, stranger, raw)
	if out.Action != action.Tempfail || out.Reply.Code != 451 || out.Level != slog.LevelError {
		t.Errorf("got %v %d at %v, want tempfail 451 at ERROR", out.Action, out.Reply.Code,
			out.Level)
	}
	if !strings.Contains(strings.Join(counted.words, ","), "rule failed") {
		t.Errorf("not counted: %q", counted.words)
	}
}

// TestSignIf signs by the login, in the order of the rules.
func TestSignIf(t *testing.T) {
	for _, tc := range []struct {
		name, login, client, want string
		conditions                []string
	}{
		{"a key for each login", "shop", "192.0.2.7", "signed=example.com/k", []string{`login == "shop"`, ""}},
		{"another login", "joe", "192.0.2.7", "signed=other.example/k", []string{`login == "shop"`, ""}},
		{"the web server without a login", "", "192.0.2.80", "",
			[]string{`login != "" or not in_network(client.address, "192.0.2.80")`}},
		{"the web server with a login", "joe", "192.0.2.80", "signed=example.com/k",
			[]string{`login != "" or not in_network(client.address, "192.0.2.80")`}},
		{"a field", "", "192.0.2.7", "signed=example.com/k", []string{`header("Subject") startsWith "x"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, _ := newFilter(t)
			var rules []sign.Rule
			for i, text := range tc.conditions {
				r := sign.Rule{Name: "sign", From: patterns(t, "example.com"),
					Keys: []string{"good"}, Domain: []string{"", "other.example"}[i],
					OnKeyError: action.KeyTempfail}
				if text != "" {
					r.If = condition(t, text, expression.Signing)
				}
				rules = append(rules, r)
			}
			f.Signer.Table = sign.NewTable(rules)
			env := message.Envelope{Client: netip.MustParseAddr(tc.client), AuthUser: tc.login,
				Sender: "a@example.com"}
			out, _ := decide(t, f, action.RoleOurs, milter.ByDefault, env,
				"From: a@example.com\nSubject: x\n\nbody\n")
			if out.Action != action.Accept || !strings.HasPrefix(out.Results, tc.want) ||
				tc.want == "" && out.Results != "" {
				t.Errorf("got %v, %q; want accept, %q", out.Action, out.Results, tc.want)
			}
		})
	}
}

// TestSignIfFails defers a message of which it is not known whether it is to be signed.
func TestSignIfFails(t *testing.T) {
	f, _ := newFilter(t)
	f.Signer.Table = sign.NewTable([]sign.Rule{{
		Name: "sign[0]", From: patterns(t, "example.com"), Keys: []string{"good"}, OnKeyError: action.KeyAccept,
		If: condition(t, strings.Repeat(`header("X-Big") == "b" or `, 12)+"false", expression.Signing),
	}})
	raw := bigHeader + strings.Repeat("a", 900_000) + "\n\nbody\n"
	out, _ := decide(t, f, action.RoleOurs, milter.ByDefault,
		message.Envelope{Sender: "a@example.com"}, raw)
	if out.Action != action.Tempfail || out.Level != slog.LevelError {
		t.Errorf("got %v at %v, want tempfail at ERROR", out.Action, out.Level)
	}
}

// TestFactsInLog reads the facts back from the line of a message, as "mailseal policy replay" does.
func TestFactsInLog(t *testing.T) {
	f, _ := newFilter(t)
	env := stranger
	env.TLSVersion = "TLSv1.3"
	out, _ := decide(t, f, action.RoleTheirs, milter.ByDefault, env,
		"From: Ann <ann@example.com>\nSubject: secret\n\nbody\n")
	var line bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&line, nil))
	log.LogAttrs(t.Context(), slog.LevelInfo, "message", append([]slog.Attr{
		slog.String("role", "theirs"), slog.String("author", out.Author),
		slog.String("client", env.Client.String()),
		slog.String("action", out.Action.String()),
	}, out.Details...)...)
	if text := line.String(); strings.Contains(text, "secret") ||
		strings.Contains(text, "b@example.net") {
		t.Errorf("the line holds the header or recipients: %s", text)
	}
	var l expression.Line
	if err := json.Unmarshal(line.Bytes(), &l); err != nil {
		t.Fatal(err)
	}
	facts := l.Judged()
	if facts == nil {
		t.Fatalf("no facts in %s", line.String())
	}
	for _, text := range []string{
		`client.address == "192.0.2.99" and client.helo == "liar.example" and role == "theirs"`,
		`envelope.sender == "x@liar.example" and envelope.sender_domain == "liar.example"`,
		`author.address == "ann@example.com" and author.domain == "example.com" and tls.version == "TLSv1.3"`,
		`dmarc.result != "" and dmarc.domain == "example.com" and spf.result != "" and size > 50 and size < 80`,
	} {
		if got := condition(t, text, expression.Judging).Weigh(facts,
			expression.Logged); got != expression.True {
			t.Errorf("%s is %v, by %s", text, got, line.String())
		}
	}
}
