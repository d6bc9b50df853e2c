package examine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"mailseal/config"
)

// replayOf replays a log by rules.
func replayOf(t *testing.T, rules, log string) *Replay {
	t.Helper()
	cfg, err := config.Parse("mailseal.toml", []byte("authserv_id = \"mx.example.net\"\n"+rules))
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReplay(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.ReadLog(strings.NewReader(log)); err != nil {
		t.Fatal(err)
	}
	r.Finish()
	return r
}

// logged is the line of a message that fails at a policy.
func logged(queue, author, action, policy string) string {
	return fmt.Sprintf(`{"time":"2026-01-31T12:00:00Z","level":"INFO","msg":"message","queue":%q,"role":"theirs","author":%q,`+
		`"results":"dmarc=fail","action":%q,"client":"192.0.2.1","facts":{"author":{"address":"a@%[2]s","domain":%[2]q},`+
		`"size":900,"dmarc":{"result":"fail","domain":%[2]q,"policy":%[4]q}}}`+"\n", queue, author,
		action, policy)
}

const replayRules = `
[[policy.rules]]
name = "partner"
when = 'in_network(client.address, "192.0.2.1") and author.domain == "partner.example"'
action = "accept"
[[policy.rules]]
name = "lists"
when = 'header("List-Id") != "" and dmarc.policy == "reject"'
action = "hold"
[[policy.rules]]
name = "would"
when = 'dmarc.policy == "quarantine"'
action = "hold"
dry_run = true
[[policy.rules]]
name = "published"
when = 'dmarc.result == "fail" and dmarc.policy != "none"'
action = "reject"
`

func TestReplay(t *testing.T) {
	log := logged("1", "partner.example", "mark", "reject") +
		logged("2", "a.example", "mark", "reject") +
		logged("3", "a.example", "mark", "reject") +
		logged("4", "a.example", "reject", "reject") + // would not change
		logged("5", "b.example", "accept", "quarantine") +
		logged("6", "b.example", "accept", "none") +
		// behind what syslog writes
		"Jan 31 12:00:00 mx mailseal[1]: " + logged("7", "a.example", "mark", "reject") +
		// of an older version
		`{"msg":"message","role":"theirs","queue":"8","action":"accept"}` + "\n" +
		`{"msg":"message","role":"ours","queue":"9","action":"accept"}` + "\n" +
		`{"msg":"reloaded"}` + "\n" + "not JSON\n" + strings.Repeat("x", maxLogLine+5) + "\n" +
		// the last line has no end
		strings.TrimSuffix(logged("10", "a.example", "mark", "reject"), "\n")
	r := replayOf(t, replayRules, log)
	if r.Messages != 8 || r.NoFacts != 1 || r.Unread != 2 {
		t.Errorf("messages %d, without facts %d, unread %d; want 8, 1, 2", r.Messages, r.NoFacts,
			r.Unread)
	}
	var rules []string
	for _, rule := range r.Rules {
		rules = append(rules, fmt.Sprintf("%s %d %d %v", rule.Name, rule.Holds, rule.Unknown,
			rule.Missing))
	}
	const wantRules = `partner 1 0 [], lists 0 5 [header], would 1 0 [], published 6 0 []`
	if got := strings.Join(rules, ", "); got != wantRules {
		t.Errorf("rules\n%s, want\n%s", got, wantRules)
	}
	var changes []string
	for _, g := range r.Changes {
		changes = append(changes, fmt.Sprintf("%d %s: %s to %s by %s %v", g.Count, g.Domain, g.Was,
			g.Would, g.Rule, g.Examples))
	}
	const wantChanges = `4 a.example: mark to reject by published [2 3 7]
1 partner.example: mark to accept by partner [1]
1 b.example: accept to reject by published [5]
1 b.example: accept to hold by would [5]`
	if got := strings.Join(changes, "\n"); got != wantChanges {
		t.Errorf("changes\n%s\nwant\n%s", got, wantChanges)
	}
	var text, object bytes.Buffer
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"8 messages of strangers", "1 more have no facts",
		"2 lines are not JSON", "unknown: the log does not contain [header]", "published; [2 3 7]"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, text.String())
		}
	}
	if err := r.JSON(&object); err != nil || !json.Valid(object.Bytes()) {
		t.Errorf("%v: %s", err, object.String())
	}
}

// TestReplayBounds keeps a log of many domains from filling memory.
func TestReplayBounds(t *testing.T) {
	var log strings.Builder
	for i := range maxChanges + 100 {
		log.WriteString(logged("q", fmt.Sprintf("d%d.example", i), "mark", "reject"))
	}
	r := replayOf(t, replayRules, log.String())
	if len(r.Changes) != maxChanges || r.Others != 100 {
		t.Errorf("%d changes and %d others, want %d and 100", len(r.Changes), r.Others, maxChanges)
	}
}

// BenchmarkReplay replays 100,000 lines at a time.
func BenchmarkReplay(b *testing.B) {
	cfg, err := config.Parse("mailseal.toml",
		[]byte("authserv_id = \"mx.example.net\"\n"+replayRules))
	if err != nil {
		b.Fatal(err)
	}
	log := strings.Repeat(logged("q", "a.example", "mark", "reject"), 100_000)
	for b.Loop() {
		r, err := NewReplay(cfg)
		if err != nil {
			b.Fatal(err)
		}
		if err := r.ReadLog(strings.NewReader(log)); err != nil {
			b.Fatal(err)
		}
	}
}
