package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
	"mailseal/milter/miltertest"
)

const killedDaemon = `authserv_id = "mx.example.com"
mode = "sign"
state_directory = %[1]q
listen = [{ address = "unix:%[2]s/s" }]
ours = { networks = ["127.0.0.1"] }
dns = { timeout = "1s", tries = 1 }
rotation = { every = "3s", publish = "300ms", overlap = "3s", watch = "200ms", fall_back = true, algorithms = ["ed25519"], selector = "{date}{alg}", servers = [%[3]q, %[4]q] }
[[sign]]
from = "example.com"
managed = "example.com"
`

// killedSite is two daemons over one state directory that rotate its keys, a publisher that shows
// what "keys list" prints at two name servers, of which the second is late, and mail that goes
// through both.
type killedSite struct {
	*testing.T
	state   string
	config  [2]string
	dirs    [2]string
	zones   [2]*dnstest.Zone
	records map[string][]string // as of the last look

	done                       atomic.Bool
	signed, deferred, unsigned atomic.Int64
}

// TestRotationKilledLong kills daemons, one at a time, at any moment of rotations that follow each
// other without a pause. Every message is signed by a key that both name servers show, or deferred;
// keys come to the end of their lives.
func TestRotationKilledLong(t *testing.T) {
	if os.Getenv("MAILSEAL_LONG") == "" {
		t.Skip("it takes minutes: MAILSEAL_LONG=1 runs it")
	}
	s := &killedSite{T: t, state: filepath.Join(rig.Dir(t), "state")}
	var servers [2]string
	for i := range s.zones {
		s.zones[i] = &dnstest.Zone{}
		server, err := dnstest.Serve(s.zones[i], "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Close() })
		servers[i] = server.Addr()
	}
	var daemons [2]*rig.Daemon
	for i := range daemons {
		s.dirs[i] = rig.Dir(t)
		s.config[i] = fmt.Sprintf(killedDaemon, s.state, s.dirs[i], servers[0], servers[1])
		daemons[i] = rig.MailsealIn(t, s.dirs[i], s.config[i], rig.DaemonOptions{})
	}
	// those of the daemons are written again at each start
	config := filepath.Join(rig.Dir(t), "publisher.toml")
	if err := os.WriteFile(config, []byte(s.config[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := rig.Run(t, "keys", "generate", "example.com", "--config", config); said.Code != 0 {
		t.Fatalf("%+v", said)
	}
	var wait sync.WaitGroup
	wait.Go(func() { s.publish(config) })
	s.await("the first key signs", func() bool { return s.count(keys.Active) > 0 })
	for i := range daemons {
		wait.Go(func() { s.send(i) })
	}
	const kills = 60
	for n := range kills {
		i := n % 2
		time.Sleep(time.Duration(rand.IntN(700)) * time.Millisecond)
		daemons[i].Kill()
		daemons[i] = rig.MailsealIn(t, s.dirs[i], s.config[i], rig.DaemonOptions{})
	}
	s.await("keys are removed", func() bool { return s.count(keys.Removed) >= 5 })
	s.done.Store(true)
	wait.Wait()
	s.left()
	t.Logf("%d kills: %d signed, %d deferred, %d unsigned, 0 wrong; %d keys lived to the end",
		kills, s.signed.Load(), s.deferred.Load(), s.unsigned.Load(), s.count(keys.Removed))
	if s.unsigned.Load() != 0 || s.signed.Load() < kills {
		t.Error("messages went out unsigned, or hardly any were signed")
	}
}

func (s *killedSite) await(what string, isTrue func() bool) {
	s.Helper()
	if !rig.Await(isTrue) {
		s.done.Store(true)
		s.Fatalf("it never was so: %s", what)
	}
}

func (s *killedSite) keys() []keylife.Key {
	state, err := keylife.Store{Dir: s.state}.Read()
	if err != nil {
		s.Error(err)
		return nil
	}
	return state.Keys
}

func (s *killedSite) count(stage keys.Stage) int {
	n := 0
	for _, k := range s.keys() {
		if k.Stage == stage {
			n++
		}
	}
	return n
}

// publish shows what is listed at the first server, and what was listed the time before at the
// second.
func (s *killedSite) publish(config string) {
	for !s.done.Load() {
		said := rig.Run(s, "keys", "list", "--format", "json", "--config", config)
		if said.Code != 0 {
			s.Errorf("%+v", said)
			return
		}
		now := map[string][]string{"example.com": nil}
		for d := json.NewDecoder(strings.NewReader(said.Stdout)); d.More(); {
			var record struct{ Name, Value string }
			if err := d.Decode(&record); err != nil {
				s.Error(err)
				return
			}
			now[record.Name] = []string{record.Value}
		}
		s.zones[0].Replace(dnstest.FromMap(now))
		if s.records != nil {
			s.zones[1].Replace(dnstest.FromMap(s.records))
		}
		s.records = now
		time.Sleep(100 * time.Millisecond)
	}
}

// send sends mail through one of the daemons. While that is not there, the MTA would defer.
func (s *killedSite) send(i int) {
	for n := 0; !s.done.Load(); n++ {
		time.Sleep(5 * time.Millisecond)
		raw := fmt.Sprintf("From: a@example.com\r\nTo: b@example.net\r\nSubject: %d\r\nDate: "+
			"Sat, 31 Jan 2026 12:00:00 +0000\r\nMessage-ID: <%[1]d.%d@example.com>\r\n\r\nHello.\r\n", n, i)
		c, err := miltertest.Dial(s.Context(), "unix:"+s.dirs[i]+"/s",
			miltertest.Options{Timeout: 3 * time.Minute})
		if err != nil {
			s.deferred.Add(1)
			continue
		}
		out, err := c.Send(miltertest.Message{From: "a@example.com", To: []string{"b@example.net"},
			Raw: []byte(raw)})
		c.Close()
		if err != nil || out.Refused() {
			s.deferred.Add(1)
			continue
		}
		s.judge(out.Delivered())
	}
}

// judge verifies a message at both name servers.
func (s *killedSite) judge(raw []byte) {
	for _, zone := range s.zones {
		v := &dkim.Verifier{Resolver: zone}
		var run *dkim.Verification
		whole, err := message.Read(bytes.NewReader(raw), 1<<20,
			func(h message.Header) []message.BodyHash {
				author, _ := h.Author()
				run = v.Select(h, author.Domain)
				return run.BodyHashes()
			})
		if err != nil {
			s.Error(err)
			return
		}
		results := run.Run(s.Context(), whole)
		if len(results) == 0 {
			s.unsigned.Add(1)
			return
		}
		for _, r := range results {
			if r.Value != dkim.Pass {
				s.Errorf("signed with %s, which a name server does not show: %s %s", r.Selector,
					r.Value, r.Reason)
			}
		}
	}
	s.signed.Add(1)
}

// left wants private keys of those keys to be there that are not removed, and of no others; but
// for keys that were removed by a process that did not live to destroy them, which the next
// rotation does.
func (s *killedSite) left() {
	for _, k := range s.keys() {
		_, err := keylife.Store{Dir: s.state}.Load(k)
		if (err == nil) == (k.Stage == keys.Removed) {
			s.Errorf("%s is %s, and of its private key: %v", k.Name(), k.Stage, err)
		}
	}
}
