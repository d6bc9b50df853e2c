package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/config/opendkim"
	"mailseal/contrib/test/rig"
	"mailseal/keys"
	"mailseal/milter/miltertest"
)

// Debian's OpenDKIM and Mailseal, started from what import-opendkim makes of OpenDKIM's files, and
// once more from the tables themselves, are shown the same senders from the same hosts: they must
// sign with the same d= and s=.

// rival is one of the milters that are compared.
type rival struct {
	name, address string
	daemon        *rig.Daemon // Mailseal; nil: OpenDKIM
}

// moved is a host's OpenDKIM configuration that is imported.
type moved struct {
	dir   string
	lines []string // of opendkim.conf
}

func newMoved(t *testing.T, keyTable, signingTable, hosts string, lines ...string) moved {
	t.Helper()
	rig.Build(t)
	m := moved{dir: t.TempDir(), lines: lines}
	private := made.key(t, "moved", keys.RSA)
	text, err := keys.Marshal(private)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.key(), text, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"KeyTable": keyTable, "SigningTable": signingTable,
		"TrustedHosts": hosts} {
		if err := os.WriteFile(filepath.Join(m.dir, name),
			[]byte(strings.ReplaceAll(text, "DIR", m.dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, l := range m.lines {
		m.lines[i] = strings.ReplaceAll(l, "DIR", m.dir)
	}
	return m
}

func (m moved) key() string { return filepath.Join(m.dir, "key.pem") }

// imported starts Mailseal from what the importer makes.
func (m moved) imported(t *testing.T) rival {
	t.Helper()
	listen := rig.FreePort(t, local)
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(m.dir, "opendkim.conf")
	text := fmt.Sprintf("Mode s\nOversignHeaders From\nSocket inet:%s@127.0.0.1\nAuthservID mx.example.com\n%s\n",
		port, strings.Join(m.lines, "\n"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := rig.Run(t, "import-opendkim", "--conf", conf, "--out", m.dir); said.Code != 0 {
		t.Fatalf("import: %+v", said)
	}
	return m.serve(t, "imported", filepath.Join(m.dir, "mailseal.toml"), listen)
}

// native starts Mailseal on the tables themselves.
func (m moved) native(t *testing.T, kind string, networks string) rival {
	t.Helper()
	listen := rig.FreePort(t, local)
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(m.dir, "native.toml")
	text := fmt.Sprintf("authserv_id = \"mx.example.com\"\nmode = \"sign\"\nkey_table = "+
		"\"file:KeyTable\"\nsigning_table = \"%s:SigningTable\"\n"+
		"listen = [{ address = \"inet:%s@127.0.0.1\" }]\n[ours]\nnetworks = [%s]\n", kind, port,
		networks)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return m.serve(t, "native", file, listen)
}

func (m moved) serve(t *testing.T, name, config, listen string) rival {
	t.Helper()
	return rival{name, listen, rig.Serve(t, rig.DaemonOptions{}, "serve", "--config", config)}
}

// client is a host that hands mail in.
type client struct {
	address, name string
	macros        map[string]string
}

// sent is a message.
type sent struct{ author, to string }

// answers shows a milter messages, and returns what became of each: "d/s/i d/s/i", "" for unsigned,
// or the refusal's code.
func (r rival) answers(t *testing.T, from client, mails []sent) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(r.address)
	if err != nil {
		t.Fatal(err)
	}
	c, err := miltertest.Dial(context.Background(), "inet:"+port+"@"+host,
		miltertest.Options{Client: netip.MustParseAddr(from.address), ClientName: from.name,
			Macros: from.macros, Timeout: time.Minute})
	if err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	defer c.Close()
	var out []string
	for _, m := range mails {
		raw := fmt.Sprintf("From: <%s>\r\nTo: <friend@elsewhere.example>\r\nSubject: "+
			"hello\r\nDate: Mon, 02 Mar 2026 10:00:00 +0000\r\nMessage-ID: <1@x.example>\r\n\r\nhello\r\n", m.author)
		o, err := c.Send(miltertest.Message{From: m.author, To: []string{m.to}, Raw: []byte(raw)})
		if err != nil {
			t.Fatalf("%s: %s from %s: %v", r.name, m.author, from.address, err)
		}
		if o.Refused() {
			out = append(out, o.Reply.Text[:1]+"xx")
			continue
		}
		var signatures []string
		for _, e := range o.Edits {
			if strings.EqualFold(e.Name, "DKIM-Signature") {
				signatures = append(signatures, strings.TrimSuffix(tag(e.Value, "d")+"/"+
					tag(e.Value, "s")+"/"+tag(e.Value, "i"), "/"))
			}
		}
		slices.Sort(signatures)
		out = append(out, strings.Join(signatures, " "))
	}
	return out
}

// tag returns the value of a tag of a signature.
func tag(signature, name string) string {
	for part := range strings.SplitSeq(signature, ";") {
		if key, value, _ := strings.Cut(strings.TrimSpace(part),
			"="); strings.TrimSpace(key) == name {
			return strings.ToLower(strings.Join(strings.Fields(value), ""))
		}
	}
	return ""
}

const importKeys = `k1 example.com:s1:DIR/key.pem
k2 %:s2:DIR/key.pem
k3 a.example.com:s3:DIR/key.pem
k4 third.example:s4:DIR/key.pem
lost %:s5:DIR/none.pem
example.net example.net:s6:DIR/key.pem
`

const importHosts = `127.0.0.1
192.0.2.0/24
!192.0.2.64/26
192.0.2.70
![192.0.2.71]
192.0.2.71
172.16/12
198.51.100.1/24
localhost
[203.0.113.7]
2001:db8::/32
!2001:db8:1::/48
`

// The same as networks, for the tables by themselves.
const importNetworks = `"127.0.0.1", "192.0.2.0/26", "192.0.2.70", "192.0.2.71", "192.0.2.128/25", "203.0.113.7",
"2001:db8::/48", "2001:db8:2::/47", "2001:db8:4::/46", "2001:db8:8::/45", "2001:db8:10::/44", "2001:db8:20::/43", "2001:db8:40::/42", "2001:db8:80::/41", "2001:db8:100::/40", "2001:db8:200::/39", "2001:db8:400::/38", "2001:db8:800::/37", "2001:db8:1000::/36", "2001:db8:2000::/35", "2001:db8:4000::/34", "2001:db8:8000::/33"`

var importTables = []struct{ kind, table string }{
	{"file", `* k2
u@* k1
.example.com k1
u@.com k4
*@example.com k4
sub.example.com k3
u@sub.example.com k2:@%
Example.COM k1:news@example.com
example.com k4
example.net %
gone.example.net nokey
lost.example.net lost
b.a.example.com k3:@example.com
`},
	{"refile", `u@sub.example.com k4
 *@example.com k4
*@example.com k1
(v|w)@*.example.com k2
[uv]@example.org k4:@%
example.org k1
*@*.a.example.com k3
x?u@b.com k4
*.example.com k1
*@lost.example.net lost
*@gone.example.net nokey
*@example.net %:@%
u@* k2
`},
}

func TestImportedSignsAsOpenDKIM(t *testing.T) {
	for _, tt := range importTables {
		t.Run(tt.kind, func(t *testing.T) {
			m := newMoved(t, importKeys, tt.table, importHosts,
				"Canonicalization relaxed/relaxed", "KeyTable file:DIR/KeyTable", "SigningTable "+
					tt.kind+":DIR/SigningTable", "InternalHosts file:DIR/TrustedHosts")
			old := rival{name: "OpenDKIM", address: rig.OpenDKIM(t, "unused.example", "unused",
				m.key(), m.lines...)}
			compare(t, old, []rival{m.imported(t)})
		})
	}
}

// The tables by themselves. A line that names no key is a mistake there.
func TestNativeSignsAsOpenDKIM(t *testing.T) {
	for _, tt := range importTables {
		t.Run(tt.kind, func(t *testing.T) {
			m := newMoved(t, importKeys, strings.ReplaceAll(tt.table, "nokey", "lost"), importHosts,
				"Canonicalization relaxed/relaxed", "KeyTable file:DIR/KeyTable", "SigningTable "+
					tt.kind+":DIR/SigningTable", "InternalHosts file:DIR/TrustedHosts")
			old := rival{name: "OpenDKIM", address: rig.OpenDKIM(t, "unused.example", "unused",
				m.key(), m.lines...)}
			compare(t, old, []rival{m.native(t, tt.kind, importNetworks)})
		})
	}
}

// compare shows random authors from each of some hosts to all.
func compare(t *testing.T, old rival, rivals []rival) {
	t.Helper()
	r := rand.New(rand.NewPCG(5, 6))
	users := []string{"u", "v", "w", "U", "xu", "news"}
	domains := []string{"example.com", "sub.example.com", "a.example.com", "b.a.example.com",
		"c.b.a.example.com", "example.org", "b.com", "x.com", "example.net",
		"sub.example.net", "gone.example.net", "lost.example.net", "EXAMPLE.com", "xexample.com"}
	clients := []client{{address: "127.0.0.1", name: "localhost"}, {address: "203.0.113.7",
		name: "mx.example.com"}, {address: "203.0.113.8", name: "mx.example.com"}}
	for _, a := range []string{"127.0.0.2", "192.0.2.1", "192.0.2.64", "192.0.2.70", "192.0.2.71",
		"192.0.2.200", "198.51.100.1", "172.16.0.1", "2001:db8::1", "2001:db8:1::1",
		"2001:db8:2::1"} {
		clients = append(clients, client{address: a, name: "unknown"})
	}
	signed := 0
	for _, from := range clients {
		var mails []sent
		for range 15 {
			mails = append(mails, sent{users[r.IntN(len(users))] + "@" +
				domains[r.IntN(len(domains))], "friend@elsewhere.example"})
		}
		want := old.answers(t, from, mails)
		for _, other := range rivals {
			got := other.answers(t, from, mails)
			for i, m := range mails {
				if got[i] != want[i] {
					t.Errorf("%s from %s: %s says %q, OpenDKIM %q", m.author, from.address,
						other.name, got[i], want[i])
				}
				if want[i] != "" {
					signed++
				}
			}
		}
	}
	if signed < 30 {
		t.Errorf("OpenDKIM signed %d messages only: the test looks at nothing", signed)
	}
}

// importReport is what import-opendkim says of a folder that is another host's /, "" where it
// fails.
func importReport(t *testing.T, folder string) string {
	t.Helper()
	r, err := opendkim.Import(opendkim.Options{Conf: "/opendkim.conf", Root: folder})
	if err != nil {
		return ""
	}
	var b strings.Builder
	if err := r.Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
