package mta

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestConnects: the first class that fits decides, even where a later one would allow more.
func TestConnects(t *testing.T) {
	p := process{identity: identity{name: "postfix", uid: 100,
		gids: map[uint32]bool{101: true, 7: true}}}
	tests := []struct {
		name string
		p    process
		mode fs.FileMode
		uid  uint32
		gid  uint32
		want obstacleKind
	}{
		{"root", process{}, 0, 5, 5, passable},
		{"owner", p, 0o200, 100, 5, passable},
		{"owner who may not", p, 0o466, 100, 101, noWrite},
		{"group", p, 0o020, 5, 101, passable},
		{"another of its groups", p, 0o020, 5, 7, passable},
		{"group that may not", p, 0o602, 5, 101, noWrite},
		{"others", p, 0o002, 5, 5, passable},
		{"others who may only read", p, 0o664, 5, 5, noWrite},
		{"hidden owner", p, 0o660, hidden, 5, unseen},
		{"hidden group", p, 0o660, 5, hidden, unseen},
		{"hidden, but open to all", p, 0o666, hidden, hidden, passable},
	}
	for _, tt := range tests {
		if got := connects(tt.p, "/s", Node{Mode: tt.mode | fs.ModeSocket, UID: tt.uid,
			GID: tt.gid}); got.kind != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got.kind, tt.want)
		}
	}
	for mode, want := range map[fs.FileMode]obstacleKind{0o711: passable, 0o744: noSearch} {
		if got := may(p, "/d", Node{Mode: mode | fs.ModeDir, UID: 5, GID: 5}, 1,
			noSearch); got.kind != want {
			t.Errorf("directory %o: got %d, want %d", mode, got.kind, want)
		}
	}
}

func TestReach(t *testing.T) {
	h := newTestHost(t, map[string]string{"nodes": `
l0777 root root /var/run -> /run
l0777 root root /run/rel -> ../srv/./deep
s0666 root root /srv/deep/s
l0777 root root /run/loop -> loop
l0777 root root /jail/run -> /inside
s0666 root root /jail/inside/s
-0644 root root /srv/file
d0755 root root /empty
`[1:]})
	tests := []struct {
		name, chroot, path, at string
		want                   obstacleKind
	}{
		{"links", "", "/var/run/rel/s", "/srv/deep/s", passable},
		{"a link in a chroot", "/jail", "/run/s", "/jail/inside/s", passable},
		{"above a chroot", "/jail", "/../../run/s", "/jail/inside/s", passable},
		{"relative", "", "deep/../deep/s", "/srv/deep/s", passable},
		{"a circle", "", "/run/loop/s", "/run/loop/s", missing},
		{"nothing there", "", "/srv/none/s", "/srv/none/s", missing},
		{"a file on the way", "", "/srv/file/s", "/srv/file/s", noDir},
		{"a file at the end", "", "/srv/file", "/srv/file", noSocket},
		{"a directory", "", "/empty", "/empty", noSocket},
		{"the root", "", "/", "/", noSocket},
	}
	for _, tt := range tests {
		at, o := reach(h, process{identity: root, chroot: tt.chroot, dir: "/srv"}, tt.path)
		if at != tt.at || o.kind != tt.want {
			t.Errorf("%s: got %s, %d, want %s, %d", tt.name, at, o.kind, tt.at, tt.want)
		}
	}
}

// TestReachAsUser: a directory is passed with x, whatever else it allows.
func TestReachAsUser(t *testing.T) {
	h := newTestHost(t, map[string]string{"nodes": "d0711 root root /run/a\ns0666 root root " +
		"/run/a/s\nd0744 root root /run/b\ns0666 root root /run/b/s\n"})
	p := process{identity: identity{uid: 100}, dir: "/"}
	for path, want := range map[string]obstacleKind{"/run/a/s": passable, "/run/b/s": noSearch} {
		if _, o := reach(h, p, path); o.kind != want {
			t.Errorf("%s: got %+v", path, o)
		}
	}
}

func TestTakes(t *testing.T) {
	all := func(host string) endpoint {
		return endpoint{network: "tcp", host: host, port: "1", v4: true, v6: true}
	}
	only4 := func(host string) endpoint { e := all(host); e.v6 = false; return e }
	tests := []struct {
		network, target string
		e               endpoint
		want            bool
	}{
		{"tcp4", "127.0.0.1:1", all("127.0.0.1"), true},
		{"tcp4", "127.0.0.1:1", all("127.0.0.2"), false},
		{"tcp4", "127.0.0.1:2", all("127.0.0.1"), false},
		{"tcp4", "127.0.0.1:1", all("localhost"), true},
		{"tcp4", "127.0.0.1:1", all("::1"), false},
		{"tcp6", "[::1]:1", all("::1"), true},
		{"tcp6", "[::1]:1", all("localhost"), true},
		{"tcp6", "[::1]:1", only4("localhost"), false},
		{"tcp6", "[::1]:1", only4("::1"), false},
		{"tcp4", ":1", all("192.0.2.1"), true},
		{"tcp4", ":1", all("::1"), false},
		{"tcp6", ":1", all("::1"), true},
		{"tcp6", ":1", all("127.0.0.1"), false},
		{"tcp", ":1", all("127.0.0.1"), true},
		{"tcp", ":1", all("::1"), true},
		{"tcp4", "0.0.0.0:1", all("127.0.0.1"), true},
		{"tcp4", "0.0.0.0:1", all("::1"), false},
		{"tcp4", "localhost:1", all("127.0.0.1"), true},
		{"tcp4", "127.0.0.1:1", all("mx.example.com"), true},
		{"unix", "/s", all("127.0.0.1"), false},
		{"tcp4", "127.0.0.1:1", endpoint{network: "unix", path: "/s", port: "1"}, false},
	}
	for _, tt := range tests {
		if got := (Listener{Network: tt.network, Target: tt.target}).takes(tt.e); got != tt.want {
			t.Errorf("%s %s takes %+v: got %v", tt.network, tt.target, tt.e, got)
		}
	}
}

// TestExpand has what "postconf -x" of Postfix 3.7 made of each, but for the last ones, which have
// no end there either.
func TestExpand(t *testing.T) {
	p := readMain("main.cf", []byte(
		"host = 127.0.0.1\nport = 8891\nloop = $loop$loop$loop\na = $b\nb = $a\n"))
	for _, tt := range []struct{ value, want string }{
		{"$host:${port},$(host)", "127.0.0.1:8891,127.0.0.1"},
		{"$$x", "$x"},
		{"a$host.d", "a127.0.0.1.d"},
		{"${none?yes}${none:no}", "no"},
		{"${host?yes$port}${host:no}", "yes8891"},
		{"${none?{a}:{b}} ${host ? {yes} : {no}}", "b yes"},
		{"${host?{$port}}", "8891"},
		{"${host", ""},
		{"x$", "x"},
		{"x$-", "x-"},
		{"$a", ""},
	} {
		p.own["v"] = parameter{value: tt.value}
		if got := p.get("v"); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.value, got, tt.want)
		}
	}
	p.own["long"] = parameter{value: strings.Repeat("$large ", 500)}
	p.own["large"] = parameter{value: strings.Repeat("x", 1000)}
	if got := p.get("long"); len(got) < maxValue || len(got) > maxValue+2000 {
		t.Errorf("long: got %d octets", len(got))
	}
	e := &expander{p, maxReferences}
	if got := e.expand("$loop", maxDepth); got != "" || e.left > 0 {
		t.Errorf("loop: got %q with %d left", got, e.left)
	}
}

func TestAddressesWritten(t *testing.T) {
	for _, tt := range []struct{ network, target, queue, postfix, chrooted, sendmail string }{
		{"tcp4", "127.0.0.1:1", "", "inet:127.0.0.1:1", "inet:127.0.0.1:1", "inet:1@127.0.0.1"},
		{"tcp4", ":1", "", "inet:127.0.0.1:1", "inet:127.0.0.1:1", "inet:1@127.0.0.1"},
		{"tcp6", ":1", "", "inet:[::1]:1", "inet:[::1]:1", "inet6:1@::1"},
		{"tcp", "[::1]:1", "", "inet:[::1]:1", "inet:[::1]:1", "inet6:1@::1"},
		{"unix", "/run/s", "/q", "unix:/run/s", "", "unix:/run/s"},
		{"unix", "/q/d/s", "/q", "unix:d/s", "unix:d/s", "unix:/q/d/s"},
		{"fd", "name", "/q", "", "", ""},
	} {
		l := Listener{Network: tt.network, Target: tt.target}
		if got := [3]string{postfixAddress(l, tt.queue, false), postfixAddress(l, tt.queue, true),
			sendmailAddress(l)}; got != [3]string{tt.postfix, tt.chrooted, tt.sendmail} {
			t.Errorf("%s %s: got %q", tt.network, tt.target, got)
		}
	}
}

func TestUnits(t *testing.T) {
	h := newTestHost(t, map[string]string{
		"/usr/lib/systemd/system/a.socket": "[Socket]\nListenStream=8891\nListenStream=127.0.0.1:1\n" +
			"ListenStream=/run/s\nSocketMode=nonsense\n",
		"/usr/lib/systemd/system/b.socket": "[Socket]\nFileDescriptorName=b\n; " +
			"ListenStream=1\nListenStream=/old\nSocketMode=0600\nSocketUser=u\n",
		"/etc/systemd/system/b.socket.d/a.conf":     "[Socket]\nListenStream=\nListenStream=/new\nSocketMode=0660\n",
		"/etc/systemd/system/b.socket.d/readme":     "ListenStream=/readme\n",
		"/usr/lib/systemd/system/mailseal.service":  "FileDescriptorName=c\nListenStream=/c\n",
		"/usr/local/lib/systemd/system/over.socket": "[Socket]\nFileDescriptorName=over\nListenStream=/first\n",
		"/usr/lib/systemd/system/over.socket":       "[Socket]\nFileDescriptorName=over\nListenStream=/second\n",
	})
	for _, tt := range []struct{ name, want string }{
		{"a.socket", "tcp :8891 0000 , tcp 127.0.0.1:1 0000 , unix /run/s 0666 root:root"},
		{"b", "unix /new 0660 u:root"},
		{"c", "fd c 0000 "},
		{"over", "unix /first 0666 root:root"},
	} {
		var got []string
		for _, l := range resolve(h, []Listener{{Network: "fd", Target: tt.name}}) {
			owner := ""
			if l.Network == "unix" {
				owner = l.User + ":" + l.Group
			}
			got = append(got, strings.Join([]string{l.Network, l.Target, octal(l.Mode), owner},
				" "))
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func octal(m fs.FileMode) string {
	return string([]byte{'0', '0' + byte(m>>6&7), '0' + byte(m>>3&7), '0' + byte(m&7)})
}

func TestPostfixFilters(t *testing.T) {
	for _, tt := range []struct{ value, names, options string }{
		{"", "", ""},
		{"a:1, b:2\tc:3", "a:1 b:2 c:3", ""},
		{"{ a:1, x=1, { y = 2 3 } },{b:2}", "a:1 b:2", "x=1 y=2 3"},
		{"{}", "", ""},
		{"{ a:1", "{ a:1", ""},
		{strings.Repeat("x ", 2*maxFilters), strings.TrimSpace(strings.Repeat("x ", maxFilters)), ""},
	} {
		var names, options []string
		for _, f := range postfixFilters(tt.value) {
			names = append(names, f.name)
			for k, v := range f.options {
				options = append(options, k+"="+v)
			}
			if f.wrong.zero() {
				t.Errorf("%s: %s is an address", tt.value, f.name)
			}
		}
		slices.Sort(options)
		if strings.Join(names, " ") != tt.names || strings.Join(options, " ") != tt.options {
			t.Errorf("%q: got %q, %q", tt.value, names, options)
		}
	}
}

func TestTimes(t *testing.T) {
	for text, want := range map[string]time.Duration{"30": 30 * time.Second, "5m": 5 * time.Minute,
		"1h": time.Hour, "2w": 14 * 24 * time.Hour, "x": -1, "": -1, "5y": -1, "1ms": -1} {
		got, ok := postfixTime(text)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestIdentityOf(t *testing.T) {
	h := newTestHost(t, map[string]string{"/etc/passwd": "half:x:1\npostfix:x:100:101::/:/bin/sh\n" +
		"bad:x:x:1::/:/bin/sh\n", "/etc/group": "a:x:7:other,postfix\nb:x:8:postfixes\nshort:x:9\n"})
	p, err := identityOf(h, "postfix")
	if err != nil || p.uid != 100 || len(p.gids) != 2 || !p.gids[101] || !p.gids[7] {
		t.Errorf("got %+v, %v", p, err)
	}
	for _, name := range []string{"half", "bad", "nobody"} {
		if _, err := identityOf(h, name); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzConfigurations: the files are the administrator's own, but a check that panics helps no one.
func FuzzConfigurations(f *testing.F) {
	f.Add("smtpd_milters = { inet:${host?x}:1, default_action=accept }, unix:s",
		"smtp inet n - - - - smtpd\n  -o {smtpd_milters=$x}",
		"Xa, S=inet:1@h, T=C:1;R:x\nO InputMailFilters=a,b")
	f.Add("smtpd_milters=inet:8891 unix: inet: inet:@ {a\n}", ": pass - - - - - smtpd -o",
		"X\nX,\nO\nO InputMailFilters\nO DaemonPortOptions=,=,I=\n")
	f.Fuzz(func(t *testing.T, main, master, sendmail string) {
		h := newTestHost(t, map[string]string{"/etc/postfix/main.cf": main,
			"/etc/postfix/master.cf": master, "/etc/mail/sendmail.cf": sendmail,
			"/etc/mail/sendmail.mc": sendmail})
		for _, d := range []string{"", "listen unix /run/s 0660\nlisten fd x\n"} {
			for _, r := range look(h, testDaemon(t, d)) {
				for _, f := range r.Findings {
					if f.Severity == "" || f.File == "" || f.Text == "" {
						t.Errorf("an empty finding: %+v", f)
					}
				}
			}
		}
	})
}
