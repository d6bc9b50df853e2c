package keyring

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/dns/dnstest"
)

const listConfig = `authserv_id = "mx.example.com"
state_directory = "state"
listen = [{ address = "inet:8891@127.0.0.1" }]
rotation = { every = "30d", publish = "2d", overlap = "14d", algorithms = ["ed25519"], selector = "{date}{alg}" }
[[sign]]
from = ["example.com", "example.net"]
managed = "%"
`

// publisher is a name server that shows what "keys list" prints, and nothing else.
type publisher struct {
	zone    *dnstest.Zone
	records map[string][]string
}

func (p *publisher) show() {
	shown := map[string][]string{"example.com": nil, "example.net": nil}
	for name, text := range p.records {
		shown[name] = text
	}
	p.zone.Replace(dnstest.FromMap(shown))
}

// publishJSON replaces the zone by the records that are listed.
func (p *publisher) publishJSON(t *testing.T, list string) {
	t.Helper()
	p.records = map[string][]string{}
	for d := json.NewDecoder(strings.NewReader(list)); d.More(); {
		var record struct{ Name, Value string }
		if err := d.Decode(&record); err != nil {
			t.Fatal(err)
		}
		p.records[record.Name] = []string{record.Value}
	}
}

// publishLines does the same with a line for each record.
func (p *publisher) publishLines(t *testing.T, list string) {
	t.Helper()
	p.records = map[string][]string{}
	for line := range strings.Lines(list) {
		name, _, _ := strings.Cut(line, " ")
		p.records[strings.TrimSuffix(name, ".")] = []string{quotedText(line)}
	}
}

// update does what nsupdate would: what is not spoken of stays.
func (p *publisher) update(t *testing.T, list string) {
	t.Helper()
	for line := range strings.Lines(list) {
		words := strings.Fields(line)
		switch {
		case len(words) > 2 && words[1] == "delete":
			delete(p.records, strings.TrimSuffix(words[2], "."))
		case len(words) > 2 && words[1] == "add":
			p.records[strings.TrimSuffix(words[2], ".")] = []string{quotedText(line)}
		case words[0] != "send":
			t.Fatalf("no command of nsupdate: %s", line)
		}
	}
}

var quotes = regexp.MustCompile(`"([^"]*)"`)

func quotedText(line string) string {
	text := ""
	for _, m := range quotes.FindAllStringSubmatch(line, -1) {
		text += m[1]
	}
	return text
}

// TestListFeedsPublisher holds that "keys list" and a name server that shows what it prints lead
// keys through their whole lives, from generated to removed, over ten rotations. No one reads what
// "keys rotate" says.
func TestListFeedsPublisher(t *testing.T) {
	for _, tc := range []struct {
		format    string
		publish   func(*publisher, *testing.T, string)
		rotations int
	}{{"json", (*publisher).publishJSON, 10}, {"line", (*publisher).publishLines, 3},
		{"nsupdate", (*publisher).update, 3}} {
		t.Run(tc.format, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mailseal.toml")
			if err := os.WriteFile(path, []byte(listConfig), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			p := &publisher{zone: &dnstest.Zone{}, records: map[string][]string{}}
			p.show()
			var out bytes.Buffer
			ring, err := Open(t.Context(), cfg, Options{Zone: p.zone, ZoneName: "test",
				Format: tc.format, Now: func() time.Time { return now }}, &out)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range []string{"example.com", "example.net"} {
				if err := ring.Generate(d, Generation{}); err != nil {
					t.Fatal(err)
				}
			}
			store := keylife.Store{Dir: cfg.StateDirectory}
			for range tc.rotations*30 + 20 { // days
				out.Reset()
				if err := ring.List(t.Context(), nil, false); err != nil {
					t.Fatal(err)
				}
				tc.publish(p, t, out.String())
				p.show()
				out.Reset()
				if err := ring.Rotate(t.Context(), nil); err != nil {
					t.Fatalf("%v: %s", err, &out)
				}
				isShown(t, store, p)
				now = now.Add(24 * time.Hour)
			}
			count := map[keys.Stage]int{}
			for _, k := range lives(t, store) {
				count[k.Stage]++
				_, err := os.Stat(filepath.Join(store.Dir, "keys", k.Domain, k.Selector+".pem"))
				if isThere := err == nil; isThere == (k.Stage == keys.Removed) {
					t.Errorf("%s is %s, and its private key is there: %v", k.Name(), k.Stage,
						isThere)
				}
			}
			if count[keys.Active] != 2 || count[keys.Removed] < 2*(tc.rotations-1) ||
				count[keys.Retiring]+count[keys.Revoked] > 2 {
				t.Errorf("after %d rotations of two domains: %v", tc.rotations, count)
			}
		})
	}
}

func lives(t *testing.T, store keylife.Store) []keylife.Key {
	t.Helper()
	state, err := store.Read()
	if err != nil {
		t.Fatal(err)
	}
	return state.Keys
}

// isShown wants the records of keys that sign, and of those that signed a while ago, to be there.
func isShown(t *testing.T, store keylife.Store, p *publisher) {
	t.Helper()
	for _, k := range lives(t, store) {
		if k.Stage == keys.Active && (len(p.records[k.Name()]) != 1 ||
			p.records[k.Name()][0] != k.Text) {
			t.Fatalf("%s signs, and the name server shows %q", k.Name(), p.records[k.Name()])
		}
	}
}
