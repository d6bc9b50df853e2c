package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/dns/dnstest"
)

const serversConfig = `authserv_id = "mx.example.com"
state_directory = "state"
listen = [{ address = "inet:8891@127.0.0.1" }]
dns = { servers = [%[1]q], timeout = "1m", tries = 1 }
rotation = { publish = "0s", algorithms = ["ed25519"], selector = "s{alg}", servers = [%[1]q, %[2]q], may_be_silent = %[3]d }
[[sign]]
from = "example.com"
managed = "example.com"
`

// silentServer returns the address of a name server that is down. Its port is taken by a socket
// that is connected elsewhere: no other process gets the port, and the kernel refuses each query at
// once, so that no test has to wait for a timeout.
func silentServer(t *testing.T) string {
	t.Helper()
	c, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().String()
}

func serveZone(t *testing.T, z *dnstest.Zone) string {
	t.Helper()
	s, err := dnstest.Serve(z, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.Addr()
}

// TestKeysServers walks the first steps of a key with two name servers of which one is silent, or
// disagrees: the refusal names it, and there are ways past the first.
func TestKeysServers(t *testing.T) {
	shows, behind := &dnstest.Zone{}, &dnstest.Zone{}
	good, late, silent := serveZone(t, shows), serveZone(t, behind), silentServer(t)
	behind.Replace(dnstest.FromMap(map[string][]string{"example.com": {"x"}}))
	for _, tc := range []struct {
		name      string
		second    string // the other server of rotation.servers
		maySilent int
		args      string // of publish-check and activate
		code      int
		want      []string
		isForced  bool
	}{
		{"a silent server", silent, 0, "", exitUnknown, []string{silent + ": unreached",
			"stays generated: not every name server answered", silent + ": no answer", "use " +
				"--server to query only", good + ": the key"}, false},
		{"a silent server that may be", silent, 1, "", exitGood, []string{"is now published"}, false},
		{"others are asked", silent, 0, "--server " + good, exitGood, []string{"is now published"}, false},
		{"force", silent, 0, "--force=ns2_is_being_moved", exitGood, []string{"is now published"}, true},
		{"a server that disagrees", late, 0, "", exitBad,
			[]string{"stays generated: not every name server shows the key", late + ": no record"},
			false},
		{"is not let off as silent", late, 1, "", exitBad, []string{late + ": no record"}, false},
		{"no such server", silent, 0, "--server ns.invalid", exitUnknown, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			config := filepath.Join(t.TempDir(), "mailseal.toml")
			if err := os.WriteFile(config, fmt.Appendf(nil, serversConfig, good, tc.second,
				tc.maySilent), 0o644); err != nil {
				t.Fatal(err)
			}
			run := func(args ...string) (string, int) {
				return runCommand(t, append([]string{"keys", "--config", config}, args...)...)
			}
			if out, code := run("generate", "example.com"); code != exitGood {
				t.Fatalf("generate: %d, %s", code, out)
			}
			store := keylife.Store{Dir: filepath.Join(filepath.Dir(config), "state")}
			state, err := store.Read()
			if err != nil {
				t.Fatal(err)
			}
			record := state.Keys[0].Record()
			shows.Replace(dnstest.FromMap(map[string][]string{record.Name: {record.Text}}))
			out, code := run(append([]string{"publish-check", "example.com"},
				strings.Fields(tc.args)...)...)
			if code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			for _, want := range tc.want {
				if !strings.Contains(out, want) {
					t.Errorf("says\n%s\nwithout %q", out, want)
				}
			}
			state, err = store.Read()
			if err != nil {
				t.Fatal(err)
			}
			isPublished := state.Keys[0].Stage == keys.Published
			if isPublished != (tc.code == exitGood) {
				t.Errorf("the key is %s", state.Keys[0].Stage)
			}
			if last := state.Keys[0].History[len(state.Keys[0].History)-1]; tc.isForced &&
				(last.Forced != "ns2_is_being_moved" ||
					!strings.Contains(last.Over, silent+": no answer")) {
				t.Errorf("remembered: %+v", last)
			}
		})
	}
}

// What a postmaster sees for a step at the wrong time, and where there is nothing to do.
func TestKeysSay(t *testing.T) {
	s := newLifeSite(t)
	s.run(exitGood, "\"mailseal keys generate DOMAIN\" makes the first", "list")
	s.run(exitGood, "", "generate", "example.com")
	s.run(exitGood, "se._domainkey.example.com (was there before: generated since", "generate", "example.com")
	s.run(exitGood, "is now removed", "remove", "se-2._domainkey.example.com")
	if _, out, _ := runCommandErr(t, "keys", "--config", s.config, "--zone", s.zone, "activate",
		"example.com"); !strings.Contains(out, "no key to activate: se is generated;") {
		t.Errorf("activate too early: %s", out)
	}
	state, _ := s.store.Read()
	s.publish(state.Keys[0].Record().Line() + "\n")
	s.run(exitGood, `"stage":"generated","sight":"key","servers":[{"server":"`+s.zone+
		`","state":"shown"}]}`+"\n"+`{"name":"se._domainkey.example.com","step":"published"}`,
		"publish-check", "--json")
	s.run(exitGood, "is now active", "activate", "example.com")
	s.run(exitBad, "stays active: it has no successor that signs and is published", "retire", "example.com")
	s.run(exitGood, "example.com (nothing is due; without rotation.every or --every, no new keys are made", "rotate")
	s.run(exitGood, "example.com (nothing is due; its next keys are made on ", "rotate", "--every",
		"90d")
	s.run(exitGood, `"note":"nothing is due`, "rotate", "--json")
	s.run(exitBad, "", "rotate", "exampel.com")
	s.run(exitBad, "", "publish-check", "exampel.com")
}

// The last steps: revoked counts as right whether the record says so or is gone, and nsupdate
// removes it.
func TestKeysRemoval(t *testing.T) {
	s := newLifeSite(t)
	for range 2 {
		s.run(exitGood, "", "generate", "example.com")
		state, _ := s.store.Read()
		zone := ""
		for _, k := range state.Keys {
			zone += k.Record().Line() + "\n"
		}
		s.publish(zone)
		s.run(exitGood, "is now published", "publish-check")
		s.run(exitGood, "is now active", "activate", "example.com")
	}
	state, _ := s.store.Read()
	second := state.Keys[1].Record().Line() + "\n"
	revoked := state.Keys[0].RevokedRecord().Line() + "\n"
	s.publish(second + revoked)
	s.run(exitGood, "is now revoked", "rotate")
	s.run(exitGood, "", "publish-check")
	s.run(exitGood, "update delete se._domainkey.example.com. TXT\nsend\n", "rotate", "--format",
		"nsupdate")
	s.run(exitBad, "update delete se._domainkey.example.com. TXT\nsend\n", "remove", "example.com",
		"--format", "nsupdate")
	s.run(exitGood, `"remove":true`, "rotate", "--json")
	s.publish(second)
	s.run(exitGood, "se._domainkey.example.com (revoked)", "publish-check")
	// A command that was killed after it had written the state left the private key.
	private := filepath.Join(s.store.Dir, "keys/example.com/se.pem")
	text, err := os.ReadFile(private)
	if err != nil {
		t.Fatal(err)
	}
	s.run(exitGood, "is now removed", "rotate")
	if err := os.WriteFile(private, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(exitGood, "", "rotate")
	if _, err := os.Stat(private); err == nil {
		t.Error("the private key of a removed key is still there")
	}
	// What is not that key is none of our business.
	if err := os.WriteFile(private, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(exitGood, "", "rotate")
	if _, err := os.Stat(private); err != nil {
		t.Error("somebody's file was removed")
	}
}

// A selector that a key of the configuration stands at, or a file, is taken.
func TestKeysTakenSelectors(t *testing.T) {
	s := newLifeSite(t)
	dir := filepath.Join(s.store.Dir, "keys/example.com")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "se-2.pem"), []byte("somebody's"),
		0o600); err != nil {
		t.Fatal(err)
	}
	text := lifeConfig + "[keys.\"se._domainkey.example.com\"]\nprivate_key = " +
		"\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n"
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(exitGood, "se-3._domainkey.example.com is now generated", "generate", "example.com")
}
