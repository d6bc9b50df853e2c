package daemon

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/contrib/test/rig"
	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/action"
	"mailseal/milter/domain"
	"mailseal/milter/message"
	"mailseal/milter/sign"
)

// lossSite is a daemon that has signed mail of domains, and the files that it was made of.
type lossSite struct {
	t       *testing.T
	dir     string
	daemon  *Daemon
	log     *bytes.Buffer
	domains []string
}

func newLossSite(t *testing.T, domains int, write func(s *lossSite)) *lossSite {
	t.Helper()
	s := &lossSite{t: t, dir: socketDir(t), log: &bytes.Buffer{}}
	for i := range domains {
		s.domains = append(s.domains, fmt.Sprintf("d%d.example", i))
	}
	write(s)
	d, err := build(t.Context(), filepath.Join(s.dir, "mailseal.toml"), s.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.closeListeners)
	s.daemon = d
	for _, name := range s.domains {
		d.counters.SignedFor(domain.Name(name))
		d.counters.Signed(sign.Signature{Domain: name, Algorithm: "ed25519-sha256"})
	}
	return s
}

func (s *lossSite) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *lossSite) head() string {
	return fmt.Sprintf("authserv_id = \"mx.example.com\"\nstate_directory = %q\n", s.dir)
}

const lossListen = "[[listen]]\naddress = \"unix:%s/s\"\n"

// inline is a private key that fits into a configuration.
func inline(i int) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(i + 1)}, 32))
}

// rules are the tables of keys and rules of all domains.
func (s *lossSite) rules(domains ...string) string {
	var b strings.Builder
	for i, d := range domains {
		fmt.Fprintf(&b, "[keys.\"s._domainkey.%[1]s\"]\nprivate_key = %[2]q\n[[sign]]\nfrom = "+
			"[\"*@%[1]s\"]\nkeys = [\"s._domainkey.%[1]s\"]\n", d, inline(i))
	}
	return b.String()
}

// unsigned returns the domains whose mail the daemon would not sign now, asked as it does for each
// message.
func (s *lossSite) unsigned() []string {
	s.t.Helper()
	p := s.daemon.parts.Load()
	if !p.Config.Signs() {
		return s.domains
	}
	signer, err := p.Signer()
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, d := range s.domains {
		q := sign.Query{Author: message.Address{Local: "joe", Domain: domain.Name(d)}}
		rules := signer.Match(q)
		found, _, err := signer.Look(s.t.Context(), rules, q)
		if err != nil || len(found) == 0 || len(found[0].Keys) == 0 {
			out = append(out, d)
		}
	}
	return out
}

// isOurs reports whether mail of a client of ours is still signed.
func (s *lossSite) isOurs() bool {
	role, _ := assembly.NewRoles(s.daemon.parts.Load().Config).Of(action.RoleAuto,
		&message.Envelope{Client: netip.MustParseAddr("192.0.2.7")},
		func(string) string { return "" })
	return role == action.RoleOurs
}

// TestReloadTruncated cuts the files of a site at every byte: a reload is refused, or names
// whatever is no longer signed.
func TestReloadTruncated(t *testing.T) {
	const ours = "[ours]\nnetworks = [\n\"127.0.0.1\",\n\"192.0.2.0/24\",\n]\n"
	for _, tt := range []struct {
		name    string
		domains int
		write   func(s *lossSite)
		cut     []string // files
	}{
		{"one file", 3, func(s *lossSite) {
			s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, s.dir)+s.rules(s.domains...)+
				ours)
		}, []string{"mailseal.toml"}},
		{"many domains, so that a few may be lost", 13, func(s *lossSite) {
			s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, s.dir)+s.rules(s.domains...))
		}, []string{"mailseal.toml"}},
		{"an included file", 3, func(s *lossSite) {
			s.write("mailseal.toml", s.head()+"include = [\"*.conf\"]\n"+
				fmt.Sprintf(lossListen, s.dir)+ours)
			s.write("a.conf", s.rules(s.domains[0]))
			s.write("b.conf", strings.ReplaceAll(s.rules(s.domains...), s.rules(s.domains[0]), ""))
		}, []string{"a.conf", "b.conf", "mailseal.toml"}},
		{"tables", 3, func(s *lossSite) {
			s.write("mailseal.toml", s.head()+"key_table = \"file:key.table\"\nsigning_table = "+
				"\"refile:signing.table\"\n"+fmt.Sprintf(lossListen, s.dir))
			var keyTable, signingTable string
			for i, d := range s.domains {
				keyTable += fmt.Sprintf("k%d %s:s:%s\n", i, d, inline(i))
				signingTable += fmt.Sprintf("*@%s k%d\n", d, i)
			}
			s.write("key.table", keyTable)
			s.write("signing.table", signingTable)
		}, []string{"key.table", "signing.table", "mailseal.toml"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newLossSite(t, tt.domains, tt.write)
			if lost := s.unsigned(); len(lost) > 0 {
				t.Fatalf("before anything is cut %q are unsigned\n%s", lost, s.log)
			}
			wasOurs := s.isOurs()
			whole := s.daemon.parts.Load()
			for _, name := range tt.cut {
				text, err := os.ReadFile(filepath.Join(s.dir, name))
				if err != nil {
					t.Fatal(err)
				}
				took, step := 0, 1
				if rig.Race {
					step = 7 // each cut once is for the run without
				}
				for n := 0; n < len(text); n += step {
					s.write(name, string(text[:n]))
					said, err := s.daemon.reload(t.Context(), false)
					if err != nil {
						continue
					}
					took++
					s.judge(fmt.Sprintf("%s cut at %d", name, n), said, wasOurs)
					s.daemon.inForce(whole)
					s.remember()
				}
				t.Logf("%s: %d of %d cuts took effect", name, took, len(text))
				s.write(name, string(text))
			}
		})
	}
}

// judge wants a warning for each domain whose mail would go unsigned.
func (s *lossSite) judge(what string, said []string, wasOurs bool) {
	s.t.Helper()
	text := strings.Join(said, "\n")
	for _, d := range s.unsigned() {
		if !strings.Contains(text, d) {
			s.t.Errorf("%s: %s goes unsigned in silence; said:\n%s", what, d, text)
		}
	}
	if wasOurs && !s.isOurs() && !strings.Contains(text, "192.0.2.0/24") {
		s.t.Errorf("%s: the network's mail goes unsigned in silence; said:\n%s", what, text)
	}
}

func (s *lossSite) remember() {
	for _, name := range s.domains {
		s.daemon.signed.Author(name)
		s.daemon.signed.Signer(name)
	}
}

// TestReloadLoss holds how much may be lost, and what a loss is.
func TestReloadLoss(t *testing.T) {
	const second = "[keys.\"t._domainkey.d0.example\"]\nprivate_key = " +
		"\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n"
	twoKeys := func(s *lossSite) string {
		return strings.Replace(s.rules(s.domains...), `keys = ["s._domainkey.d0.example"]`,
			`keys = ["s._domainkey.d0.example", "t._domainkey.d0.example"]`, 1) + second
	}
	without := func(lost int) func(s *lossSite) string {
		return func(s *lossSite) string { return s.rules(s.domains[:len(s.domains)-lost]...) }
	}
	edit := func(old, now string) func(s *lossSite) string {
		return func(s *lossSite) string {
			return strings.Replace(s.rules(s.domains...), old, now, 1)
		}
	}
	all := func(s *lossSite) string { return s.rules(s.domains...) }
	for _, tt := range []struct {
		name        string
		domains     int
		before, now func(s *lossSite) string
		refused     string // what the refusal says; "" for none
		warns       string
	}{
		{"nothing", 3, all, all, "", ""},
		{"one of two", 2, all, without(1), "1 of 2 domains", ""},
		{"one of ten", 10, all, without(1), "d9.example", ""},
		{"one of eleven", 11, all, without(1), "", "d10.example"},
		{"three of eleven", 11, all, without(3), "", "3 of 11"},
		{"four of eleven", 11, all, without(4), "4 of 11", ""},
		{"all", 11, all, without(11), "no rule with a key is left", ""},
		{"all, though a share of all may be lost", 11, all,
			func(*lossSite) string { return "[reload]\nmax_loss = 1\n" },
			"no rule with a key is left", ""},
		{"most, where that may be", 11, all,
			func(s *lossSite) string { return s.rules(s.domains[0]) + "[reload]\nmax_loss = 1\n" },
			"", "10 of 11"},
		{"any, where none may be", 20, all,
			func(s *lossSite) string {
				return s.rules(s.domains[1:]...) + "[reload]\nmax_loss = 0\n"
			}, "d0.example", ""},
		{"signing is turned off", 3, all, func(s *lossSite) string { return "" }, "no rule with a key is left", ""},
		{"one of two keys", 3, twoKeys, all, "", ""},
		{"the last key, since its file is not there", 3, all,
			edit(fmt.Sprintf("private_key = %q", inline(0)), `file = "none.pem"`), "d0.example",
			""},
		{"another key for the same domain", 3, all, edit(fmt.Sprintf("private_key = %q", inline(0)),
			fmt.Sprintf("private_key = %q", inline(99))), "", ""},
		{"a rule for one user of the domain", 3, all, edit("*@d0.example", "info@d0.example"), "d0.example", ""},
		{"a rule on a condition", 3, all, edit("keys = [\"s._domainkey.d0.example\"]",
			"keys = [\"s._domainkey.d0.example\"]\nwhen = { logins = [\"joe\"] }"), "d0.example",
			""},
		{"a rule for everybody instead", 3, all, edit("*@d0.example", "*"), "", ""},
		{"signed as another domain", 3, all, edit("from = [\"*@d0.example\"]",
			"domain = \"d1.example\"\nfrom = [\"*@d0.example\"]"), "d0.example", ""},
		{"names of other domains", 3, all,
			func(s *lossSite) string {
				return strings.ReplaceAll(s.rules(s.domains...), ".example", ".test")
			}, "3 of 3", ""},
		{"exempt", 3, all, func(s *lossSite) string {
			return s.rules(s.domains...) + "[exempt]\nauthor_domains = [\"d0.example\"]\n"
		}, "d0.example", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := func(s *lossSite, rules string) string {
				return s.head() + fmt.Sprintf(lossListen, s.dir) + rules
			}
			s := newLossSite(t, tt.domains,
				func(s *lossSite) { s.write("mailseal.toml", text(s, tt.before(s))) })
			s.write("mailseal.toml", text(s, tt.now(s)))
			before := s.daemon.parts.Load()
			said, err := s.daemon.reload(t.Context(), false)
			isRefused := tt.refused != ""
			if errors.Is(err, ErrRefused) != isRefused || err != nil && !isRefused || isRefused &&
				!strings.Contains(err.Error(), tt.refused) {
				t.Fatalf("got %v, want a refusal that says %q", err, tt.refused)
			}
			if isRefused != (s.daemon.parts.Load() == before) {
				t.Error("refused, and in effect")
			}
			if !strings.Contains(strings.Join(said, "\n"), tt.warns) {
				t.Errorf("said %q, want %q", said, tt.warns)
			}
			if !isRefused {
				return
			}
			if said, err = s.daemon.reload(t.Context(), true); err != nil ||
				s.daemon.parts.Load() == before {
				t.Errorf("accepted: %v, %q", err, said)
			}
			if _, err = s.daemon.reload(t.Context(), false); err != nil {
				t.Errorf("what was accepted is refused again: %v", err)
			}
		})
	}
}

// TestReloadStateGone removes the state of the keys that Mailseal made: its keys sign on, the
// reload is refused, and one that is meant goes through.
func TestReloadStateGone(t *testing.T) {
	for _, name := range []string{"one.example", "%"} {
		s := newLossSite(t, 0, func(s *lossSite) {
			makeManaged(s.t, s.dir, "one.example")
			s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, s.dir)+
				fmt.Sprintf("[[sign]]\nfrom = [\"*@one.example\"]\nmanaged = %q\n", name))
		})
		s.domains = []string{"one.example"}
		s.remember()
		if lost := s.unsigned(); len(lost) > 0 {
			t.Fatalf("managed = %q: unsigned before: %q\n%s", name, lost, s.log)
		}
		if err := os.Remove(filepath.Join(s.dir, "keys.json")); err != nil {
			t.Fatal(err)
		}
		_, err := s.daemon.reload(t.Context(), false)
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "keys.json") {
			t.Errorf("managed = %q: got %v, want a refusal that names the file", name, err)
		}
		if lost := s.unsigned(); len(lost) > 0 {
			t.Errorf("managed = %q: unsigned after the refusal: %q", name, lost)
		}
		if _, err := s.daemon.reload(t.Context(), true); err != nil {
			t.Errorf("managed = %q, accepted: %v", name, err)
		}
		if lost := s.unsigned(); len(lost) != 1 {
			t.Errorf("managed = %q: signs without a state", name)
		}
	}
}

// makeManaged makes a state directory with an active key of a domain.
func makeManaged(t *testing.T, dir, name string) {
	t.Helper()
	store := keylife.Store{Dir: dir}
	err := store.Update(func(state *keylife.State) error {
		k, err := store.Generate(state, name, "s", keys.Ed25519, 0, time.Now())
		if err != nil {
			return err
		}
		k.Stage = keys.Active
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestStartLoss starts a daemon where the one before signed more: it says so and serves.
func TestStartLoss(t *testing.T) {
	s := newLossSite(t, 2, func(s *lossSite) {
		s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, s.dir)+s.rules(s.domains...))
	})
	if err := s.daemon.writeSigned(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.daemon.closeListeners()
	s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, s.dir)+s.rules(s.domains[0]))
	var log bytes.Buffer
	d, err := build(t.Context(), filepath.Join(s.dir, "mailseal.toml"), &log)
	if err != nil {
		t.Fatal(err)
	}
	defer d.closeListeners()
	d.compareStart(t.Context(), d.parts.Load())
	if text := log.String(); !strings.Contains(text, "level=ERROR") ||
		!strings.Contains(text, "d1.example") || strings.Contains(text, "d0.example") {
		t.Errorf("the log does not say what is lost:\n%s", text)
	}
	log.Reset()
	if _, err := d.reload(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	d.compareStart(t.Context(), d.parts.Load())
	if strings.Contains(log.String(), "d1.example") {
		t.Errorf("an accepted loss is logged again:\n%s", log.String())
	}
}

// TestLossIsForgotten holds that a domain whose loss a reload has reported is not reported again at
// the next start.
func TestLossIsForgotten(t *testing.T) {
	text := func(s *lossSite, domains []string) string {
		return s.head() + fmt.Sprintf(lossListen, s.dir) + s.rules(domains...)
	}
	s := newLossSite(t, 13, func(s *lossSite) { s.write("mailseal.toml", text(s, s.domains)) })
	last := s.domains[12]
	s.write("mailseal.toml", text(s, s.domains[:12]))
	said, err := s.daemon.reload(t.Context(), false)
	if err != nil || !strings.Contains(strings.Join(said, "\n"), last) {
		t.Fatalf("the reload reports %q, %v; want %s", said, err, last)
	}
	for _, n := range s.daemon.signed.Recent() {
		if n.Name == last {
			t.Errorf("%s is still listed as one that signs", last)
		}
	}
}
