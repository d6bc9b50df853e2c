package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/cmd/mailseal/control"
)

const jsonHead = `# What --json prints

A command with --json prints one JSON object, or several objects, one per line, if it answers about several things. This page
lists the fields of each command with their types, as the commands print them in the tests: [] is an element of a list, and *
is any name. A field without a value may be missing. Fields whose names end in _ms are numbers of milliseconds. New versions
may add fields, but do not change the meaning of a field. A command that cannot answer prints an object that has only the field
error, and prints the text on standard error as well.
`

// jsonTail describes the commands whose output the test does not run.
const jsonTail = `
## mta

The fields of each message are file, accepted, stage, reply, edits, ignored, refused, quarantine, skipped, progress, took_ms and
judging_ms. With --count, --duration or --rate, mta prints one object with the figures that it prints without --json.

## keys generate, record, activate, retire, revoke and remove

These print the same fields as keys rotate.

## reports failures

A list of failure reports, with the fields id, domain, address (missing while it is not known), host, incidents, first, state,
reason, tries, due and changed. The states are open, handing over, handed over, in doubt, deferred, failed, suppressed and
withheld.

## setup

One object with the fields host (mta, mta_dir, name, networks, addresses, opendkim, opendmarc, systemd), domains, files (path,
state, diff), records (kind, domain, name, value, zone, strings, was, state, and servers with server and shows), test
(recipient, reply, good), done, todo and faults. The state of a file is written, unchanged, to be changed or left alone. The
state of a record is published, missing, to be changed or unknown.
`

// policyTry is the word instead of the rule that chose the role.
var policyTry = regexp.MustCompile(`"by": ?"policy try"`)

// TestJSON holds the fields of what each command prints with --json against contrib/JSON.md.
func TestJSON(t *testing.T) {
	s := newSite(t)
	prepare(t, s)
	life := newLifeSite(t)
	life.run(exitGood, "", "generate", "example.com")
	made := s.path("new")
	ruled(t, s)
	id := reported(t, s)
	const noon = " --now 2026-05-06T12:00:00Z"
	var b strings.Builder
	b.WriteString(jsonHead)
	samples := []struct{ name, line string }{
		{"a command that could not answer", "check --no-mta --limit 0"},
		{"check", "check --no-mta --zone @zone --config @good.toml"},
		{"dkim", "dkim --zone @zone s1 example.com"},
		{"dmarc", "dmarc --zone @zone --spf example.com example.com"},
		{"domain", "domain --zone @zone example.com"},
		{"domain --diff", "domain --zone @zone --diff @before.json example.com other.example"},
		{"domain whose DNS does not answer", "domain --zone @silent.zone example.com"},
		{"domain --list", "domain --list"},
		{"explain-signing", "explain-signing --config @good.toml --from a@example.com --ip 127.0.0.1"},
		{"import-opendkim", "import-opendkim --conf @taken.conf"},
		{"keygen", "keygen --domain example.com --algorithm ed25519 --dir " + made},
		{"keys list", "keys list --config " + life.config},
		{"keys publish-check", "keys publish-check --config " + life.config + " --zone " + life.zone},
		{"keys rotate", "keys rotate --config " + life.config + " --zone " + life.zone},
		{"policy replay", "policy replay --config @rules.toml --log @judged.log"},
		{"policy try", "policy try --zone @zone --config @rules.toml --ip 192.0.2.1 @plain.eml"},
		{"propose dkim", "propose dkim --config " + life.config + " --zone " + life.zone + " other.example"},
		{"propose dmarc", "propose dmarc --zone @zone --reports a@example.net example.com"},
		{"propose spf", "propose spf --zone @zone example.com"},
		{"reports read", "reports read @report.xml @tls.json"},
		{"reports import", "reports import --store sqlite:" + s.path("r.db") + " @report.xml @tls.json @arf.eml"},
		{"reports domains and sources", "reports domains --store sqlite:" + s.path("r.db")},
		{"reports received", "reports received --store sqlite:" + s.path("r.db")},
		{"reports received --kind tls", "reports received --kind tls --store sqlite:" + s.path("r.db")},
		{"reports received --kind tls NUMBER", "reports received --kind tls --store sqlite:" + s.path("r.db") + " 1"},
		{"reports received --kind failure", "reports received --kind failure --store sqlite:" + s.path("r.db")},
		{"reports received NUMBER", "reports received --store sqlite:" + s.path("r.db") + " 1"},
		{"reports preview", "reports preview --config @out.toml" + noon + " friend.example"},
		{"reports list and send", "reports list --config @out.toml" + noon},
		{"reports show and resend", "reports show --config @out.toml" + noon + " " + id},
		{"reports alerts", "reports alerts --config @out.toml" + noon},
		{"reports history", "reports history --config @out.toml" + noon},
		{"reports check", "reports check --config @out.toml --zone @out.zone"},
		{"reports suppress", "reports suppress --config @out.toml" + noon + " d@friend.example"},
		{"reports forget", "reports forget --config @out.toml" + noon + " other.example"},
		{"reports verify", "reports verify --store sqlite:" + s.path("r.db")},
		{"shadow report", "shadow report @differs.log"},
		{"spf", "spf --zone @zone --ip 192.0.2.1 --helo h.example --from a@example.com"},
		{"status", "status --no-check --control " + answering(t)},
		{"spf NAME", "spf --zone @zone example.com"},
		{"test address", "test address --config @tested.toml"},
		{"verify", "verify --zone @zone --config @good.toml --ip 192.0.2.1 --helo h.example " +
			"--from a@example.com @plain.eml"},
		{"verify of a file that cannot be read", "verify --zone @zone @gone"},
		{"version", "version"},
	}
	for _, sample := range samples {
		out, errs, _ := mailseal(t, "", append(s.words(sample.line), "--json")...)
		fields := map[string]string{}
		for d := json.NewDecoder(strings.NewReader(out)); ; {
			var v any
			err := d.Decode(&v)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v\n%s%s", sample.name, err, out, errs)
			}
			flatten("", v, fields)
		}
		if sample.name == "policy try" && !policyTry.MatchString(out) {
			t.Errorf("%s does not say by what the role was chosen: %s", sample.name, out)
		}
		if len(fields) == 0 {
			t.Errorf("%s prints nothing: %s", sample.name, errs)
		}
		fmt.Fprintf(&b, "\n## %s\n\n", sample.name)
		for _, path := range slices.Sorted(maps.Keys(fields)) {
			fmt.Fprintf(&b, "    %s: %s\n", path, fields[path])
		}
	}
	b.WriteString(jsonTail)
	const file = "../../contrib/JSON.md"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != b.String() {
		t.Errorf("%s is stale (%v): go test ./cmd/mailseal -run JSON -update; got\n%s", file, err,
			b.String())
	}
}

// ruled writes a configuration with a rule, and the line of a message that it would have held.
func ruled(t *testing.T, s site) {
	t.Helper()
	for name, text := range map[string]string{
		"rules.toml": "authserv_id = \"mx.example.net\"\n[[policy.rules]]\nname = " +
			"\"small\"\nwhen = 'size < 1000'\naction = \"hold\"\n",
		"judged.log": `{"msg":"message","queue":"1","role":"theirs","author":"example.com","action":"accept","facts":{"size":900}}` + "\n",
	} {
		if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// flatten lists the paths of all fields of a value, and their types.
func flatten(path string, v any, to map[string]string) {
	kind := map[bool]string{true: "null"}[v == nil]
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 && path != "" {
			to[path] = "object"
		}
		for name, below := range v {
			if strings.ContainsAny(name, ".@ ") {
				name = "*"
			}
			flatten(strings.TrimPrefix(path+"."+name, "."), below, to)
		}
		return
	case []any:
		if len(v) == 0 {
			to[path] = "list"
		}
		for _, below := range v {
			flatten(path+"[]", below, to)
		}
		delete(to, map[bool]string{true: path}[len(v) > 0])
		return
	case string:
		kind = "text"
	case float64:
		kind = "number"
	case bool:
		kind = "true or false"
	}
	to[path] = kind
}

// answering serves the control socket of a daemon that has one of everything to tell, and returns
// its path.
func answering(t *testing.T) string {
	t.Helper()
	at := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	some := []control.Count{{Of: "theirs", Result: "accept", Count: 1}}
	running := &control.Running{
		Version: "1", Config: "/etc/mailseal/mailseal.toml", Listeners: []string{"unix:/s"},
		MTAs:  []control.MTA{{Listener: "unix:/s", Peer: "local"}},
		Today: control.Today{Messages: some, Results: some, Signatures: some, Unsigned: some},
		Keys: control.Keys{List: []control.Key{{Name: "k", Made: at, DNS: "bad",
			Reason: "gone", Stage: "active"}}},
		Sources:     []control.Source{{Name: "sql"}},
		NameServers: []control.NameServer{{Address: "192.0.2.53:53", Dead: true}},
		Log:         control.Log{Last: []control.Record{{Time: at, Level: "ERROR", Text: "msg=broken"}}},
		Jobs:        []control.Job{{Name: "keys", Last: at, Next: at, Error: "disk full"}},
	}
	path := filepath.Join(t.TempDir(), "control")
	l, err := control.Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	server := control.Server{Log: slog.New(slog.DiscardHandler), Handle: func(context.Context,
		control.Request) control.Answer {
		return control.Answer{Running: running}
	}}
	go func() { _ = server.Serve(t.Context(), l) }()
	return path
}
