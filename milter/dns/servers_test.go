package dns

import (
	"errors"
	"mailseal/keys/files"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func addrs(order []*server) string {
	var s []string
	for _, x := range order {
		s = append(s, x.addr)
	}
	return strings.Join(s, " ")
}

func TestServers(t *testing.T) {
	tests := []struct {
		name string
		conf string
		want string
	}{
		{"addresses", "nameserver 192.0.2.1\nnameserver 2001:db8::1\n", "192.0.2.1:53 [2001:db8::1]:53"},
		{"the rest is skipped", "search x\n# nameserver 192.0.2.9\n;nameserver 192.0.2.9\n " +
			"nameserver\t192.0.2.1 # why\nnameserver\nnameserver localhost", "192.0.2.1:53"},
		{"with a zone", "nameserver fe80::1%eth0", "[fe80::1%eth0]:53"},
		{"none", "search example.com\n", "127.0.0.1:53"},
		{"too many", strings.Repeat("nameserver 192.0.2.1\n", 100),
			strings.TrimSpace(strings.Repeat("192.0.2.1:53 ", 8))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "resolv.conf")
			if err := os.WriteFile(path, []byte(tt.conf), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := New(Options{ResolvConf: path})
			if err != nil {
				t.Fatal(err)
			}
			if got := addrs(c.servers.order(time.Now())); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestServersLarge wants a file that is too large to be one of servers refused, not read in part.
func TestServersLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	text := "nameserver 192.0.2.1\n" + strings.Repeat(" ", 64<<10)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{ResolvConf: path}); !errors.Is(err, files.ErrLarge) {
		t.Errorf("got %v, want %v", err, files.ErrLarge)
	}
}

func TestServersByOption(t *testing.T) {
	tests := []struct {
		name, in, want, err string
	}{
		{"address", "192.0.2.1", "192.0.2.1:53", ""},
		{"port", "192.0.2.1:5353", "192.0.2.1:5353", ""},
		{"v6", "2001:DB8::1", "[2001:db8::1]:53", ""},
		{"v6 in brackets", "[2001:db8::1]", "[2001:db8::1]:53", ""},
		{"v6 and port", "[2001:db8::1]:5353", "[2001:db8::1]:5353", ""},
		{"name", "dns.example", "", `server "dns.example" is neither an IP address nor address:port`},
		{"port out of range", "192.0.2.1:99999", "",
			`server "192.0.2.1:99999" is neither an IP address nor address:port`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := New(Options{Servers: []string{tt.in}, ResolvConf: "/nonexistent"})
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("error: got %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil || addrs(c.servers.order(time.Now())) != tt.want {
				t.Errorf("got %s, %v; want %s", addrs(c.servers.order(time.Now())), err, tt.want)
			}
		})
	}
}

func TestServersFollowResolvConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	now := time.Unix(1e9, 0)
	c, err := New(Options{ResolvConf: path, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		name  string
		after time.Duration
		conf  string // "" removes the file
		want  string
	}{
		{"no file", 0, "", "127.0.0.1:53"},
		{"looked at a moment ago", 4 * time.Second, "nameserver 192.0.2.1", "127.0.0.1:53"},
		{"a file", time.Second, "nameserver 192.0.2.1", "192.0.2.1:53"},
		{"changed", 5 * time.Second, "nameserver 192.0.2.22", "192.0.2.22:53"},
		{"half written", 5 * time.Second, "# by a program\n", "192.0.2.22:53"},
		{"gone", 5 * time.Second, "", "192.0.2.22:53"},
		{"back", 5 * time.Second, "nameserver 192.0.2.3", "192.0.2.3:53"},
	}
	for _, st := range steps {
		os.Remove(path)
		if st.conf != "" {
			if err := os.WriteFile(path, []byte(st.conf), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(st.after)
		if got := addrs(c.servers.order(now)); got != st.want {
			t.Errorf("%s: got %s, want %s", st.name, got, st.want)
		}
	}
}

func TestServersUnreadable(t *testing.T) {
	dir := t.TempDir() // a directory opens, and cannot be read: root may read any file
	if _, err := New(Options{ResolvConf: dir}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want an error that names %s", err, dir)
	}
}

func TestServersDead(t *testing.T) {
	c, err := New(Options{Servers: []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1e9, 0)
	first := c.servers.order(now)[0]
	first.dead(now)
	for _, st := range []struct {
		name  string
		after time.Duration
		want  string
	}{
		{"dead", 30*time.Second - 1, "192.0.2.2:53 192.0.2.3:53 192.0.2.1:53"},
		{"tried again", 30 * time.Second, "192.0.2.1:53 192.0.2.2:53 192.0.2.3:53"},
		{"the clock is set back by an hour", -time.Hour, "192.0.2.1:53 192.0.2.2:53 192.0.2.3:53"},
		{"the clock is set back by a year", -365 * 24 * time.Hour, "192.0.2.1:53 192.0.2.2:53 192.0.2.3:53"},
	} {
		if got := addrs(c.servers.order(now.Add(st.after))); got != st.want {
			t.Errorf("%s: got %s, want %s", st.name, got, st.want)
		}
	}
	first.alive()
	if got := addrs(c.servers.order(now)); !strings.HasPrefix(got, "192.0.2.1:53") {
		t.Errorf("answered again: got %s", got)
	}
}

// TestServerStatus has the mean follow the latest replies.
func TestServerStatus(t *testing.T) {
	now := time.Unix(1e9, 0)
	c, err := New(Options{Servers: []string{"192.0.2.1", "192.0.2.2"},
		Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	list := c.servers.order(now)
	list[0].replied(8 * time.Millisecond)
	list[0].replied(16 * time.Millisecond)
	list[1].dead(now)
	want := []ServerStatus{{Address: "192.0.2.1:53", Mean: 9 * time.Millisecond},
		{Address: "192.0.2.2:53", Dead: true}}
	if got := c.Servers(); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestResolvOptions holds that timeout, attempts and rotate of resolv.conf are obeyed, unless the
// options say otherwise or name the servers.
func TestResolvOptions(t *testing.T) {
	const two = "nameserver 192.0.2.1\nnameserver 192.0.2.2\n"
	for _, tt := range []struct {
		name, text string
		options    Options
		timeout    time.Duration
		tries      int
		second     string // whom the second question goes to first
	}{
		{"nothing", two, Options{}, 5 * time.Second, 2, "192.0.2.1:53"},
		{"all", two + "options timeout:1 attempts:3 rotate\n", Options{}, time.Second, 3, "192.0.2.2:53"},
		{"among others", "options ndots:2 rotate\n" + two + "options edns0 timeout:2\n", Options{},
			2 * time.Second, 2, "192.0.2.2:53"},
		{"the last counts", two + "options timeout:1\noptions timeout:3\n", Options{},
			3 * time.Second, 2, "192.0.2.1:53"},
		{"too much", two + "options timeout:100 attempts:99\n", Options{}, 30 * time.Second, 5, "192.0.2.1:53"},
		{"nonsense", two + "options timeout:x attempts:-1 attempts: timeout:0 rotated\n", Options{},
			5 * time.Second, 2, "192.0.2.1:53"},
		{"the configuration says otherwise", two + "options timeout:1 attempts:3\n",
			Options{Timeout: 7 * time.Second, Tries: 1}, 7 * time.Second, 1, "192.0.2.1:53"},
		{"other servers", two + "options timeout:1 attempts:3 rotate\n",
			Options{Servers: []string{"192.0.2.8", "192.0.2.9"}}, 5 * time.Second, 2,
			"192.0.2.8:53"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.options.ResolvConf = filepath.Join(t.TempDir(), "resolv.conf")
			if err := os.WriteFile(tt.options.ResolvConf, []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			c, err := New(tt.options)
			if err != nil {
				t.Fatal(err)
			}
			timeout, tries := c.patience()
			if timeout != tt.timeout || tries != tt.tries {
				t.Errorf("got %s and %d tries, want %s and %d", timeout, tries, tt.timeout,
					tt.tries)
			}
			c.servers.order(time.Now())
			if got := c.servers.order(time.Now())[0].addr; got != tt.second {
				t.Errorf("the second question goes to %s, want %s", got, tt.second)
			}
		})
	}
}
