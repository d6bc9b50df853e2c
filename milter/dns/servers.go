package dns

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailseal/keys/files"
)

const (
	// deadTime is how long a server that did not answer is asked after all others only.
	deadTime = 30 * time.Second
	// statEvery is how often at most resolv.conf is looked at.
	statEvery = 5 * time.Second
	// maxServers bounds the servers taken from resolv.conf; the C library takes 3.
	maxServers = 8
	// maxResolvConf bounds what is read of resolv.conf, in octets.
	maxResolvConf = 64 << 10
)

// server is one DNS server and whether it is alive.
type server struct {
	addr      string       // "192.0.2.1:53"
	deadUntil atomic.Int64 // nanoseconds since 1970; 0: alive

	queries atomic.Uint64
	silent  atomic.Uint64 // queries without a reply in time
	mean    atomic.Int64  // of the latest replies, in nanoseconds; 0 before the first
}

// ServerStatus is how a name server has answered since it became one of those that are asked.
type ServerStatus struct {
	Address string // "192.0.2.1:53"
	Queries uint64 // sent to it
	Silent  uint64 // of them, those without a reply in time
	// of the latest replies, the last one weighing an eighth; 0 before the first
	Mean time.Duration
	Dead bool // it did not reply lately, and is asked last
}

// Servers returns how the name servers answer, in the order of the configuration or resolv.conf.
func (c *Client) Servers() []ServerStatus {
	now := c.now()
	c.servers.mu.Lock()
	list := c.servers.list
	c.servers.mu.Unlock()
	var out []ServerStatus
	for _, s := range list {
		out = append(out, ServerStatus{
			Address: s.addr,
			Queries: s.queries.Load(),
			Silent:  s.silent.Load(),
			Mean:    time.Duration(s.mean.Load()),
			Dead:    s.isDead(now),
		})
	}
	return out
}

// replied notes how long a reply took. Two at the same time may lose one of them, which a mean can
// bear.
func (s *server) replied(took time.Duration) {
	before := s.mean.Load()
	if before == 0 {
		s.mean.Store(max(int64(took), 1))
		return
	}
	s.mean.Store(before + (int64(took)-before)/8)
}

func (s *server) alive() {
	if s.deadUntil.Load() != 0 {
		s.deadUntil.Store(0)
	}
}

func (s *server) dead(now time.Time) { s.deadUntil.Store(now.Add(deadTime).UnixNano()) }

// isDead reports whether the server is to be asked last. More time than there ever is at first
// means that the clock has been set back.
func (s *server) isDead(now time.Time) bool {
	left := time.Duration(s.deadUntil.Load() - now.UnixNano())
	return 0 < left && left <= deadTime
}

// servers are those of the options, or those of resolv.conf as it is now.
type servers struct {
	path string // of resolv.conf; "" when the options named servers

	mu      sync.Mutex
	list    []*server
	options resolvOptions
	turn    int         // with rotate: how often the servers have been asked
	looked  time.Time   // when the file was last looked at
	stamp   files.Stamp // of the file, when it was read
}

// configure takes the servers from the options or reads resolv.conf for the first time.
func (l *servers) configure(o Options) error {
	for _, s := range o.Servers {
		addr, err := serverAddr(s)
		if err != nil {
			return err
		}
		l.list = append(l.list, &server{addr: addr})
	}
	if len(l.list) > 0 {
		return nil
	}
	l.path = o.ResolvConf
	if l.path == "" {
		l.path = "/etc/resolv.conf"
	}
	if err := l.read(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the name servers: %w", err)
	}
	if len(l.list) == 0 {
		l.list = []*server{{addr: "127.0.0.1:53"}}
	}
	return nil
}

// resolvOptions are those of resolv.conf(5) that matter here; 0 for what the file does not say.
type resolvOptions struct {
	timeout  time.Duration
	attempts int
	rotate   bool
}

// said returns the current options of resolv.conf, or none if the servers are not from it.
func (l *servers) said(now time.Time) resolvOptions {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refresh(now)
	return l.options
}

// order returns the servers in the order in which to ask them: as configured, with "rotate" each in
// its turn, and the dead ones last.
func (l *servers) order(now time.Time) []*server {
	l.mu.Lock()
	l.refresh(now)
	list := l.list
	if l.options.rotate {
		first := l.turn % len(list)
		list = append(slices.Clone(list[first:]), list[:first]...)
		l.turn = first + 1
	}
	l.mu.Unlock()
	order := make([]*server, 0, len(list))
	var dead []*server
	for _, s := range list {
		if s.isDead(now) {
			dead = append(dead, s)
			continue
		}
		order = append(order, s)
	}
	return append(order, dead...)
}

// refresh reads resolv.conf again if it changed. One that has gone, or names no server, leaves the
// old list in effect: it is being replaced.
func (l *servers) refresh(now time.Time) {
	since := now.Sub(l.looked)
	isEarly := 0 <= since && since < statEvery // below 0 the clock has been set back
	if l.path == "" || isEarly {
		return
	}
	l.looked = now
	if now, err := files.Look(l.path); err == nil && now != l.stamp {
		_ = l.read() // with an error the servers stay, as with a file that has gone
	}
}

func (l *servers) read() error {
	text, stamp, err := files.ReadStamped(l.path, maxResolvConf)
	if err != nil {
		return err
	}
	l.stamp, l.options = stamp, optionsOf(text)
	if found := nameservers(text); len(found) > 0 {
		l.list = found
	}
	return nil
}

// nameservers reads the "nameserver" lines of resolv.conf(5); what is not an address is passed
// over, as libc does.
func nameservers(text []byte) []*server {
	var found []*server
	for line := range bytes.Lines(text) {
		words := strings.Fields(string(line))
		if len(words) < 2 || words[0] != "nameserver" || len(found) == maxServers {
			continue
		}
		if addr, err := serverAddr(words[1]); err == nil {
			found = append(found, &server{addr: addr})
		}
	}
	return found
}

// What the C library makes of larger values.
const (
	maxTimeout  = 30 * time.Second
	maxAttempts = 5
)

// optionsOf reads the "options" lines of resolv.conf(5). Of an option that comes twice, the last
// counts.
func optionsOf(text []byte) resolvOptions {
	var out resolvOptions
	for line := range bytes.Lines(text) {
		words := strings.Fields(string(line))
		if len(words) == 0 || words[0] != "options" {
			continue
		}
		for _, w := range words[1:] {
			name, value, _ := strings.Cut(w, ":")
			n, err := strconv.Atoi(value)
			switch isNumber := err == nil && n > 0; {
			case name == "rotate":
				out.rotate = true
			case name == "timeout" && isNumber:
				out.timeout = min(time.Duration(min(n, 1000))*time.Second, maxTimeout)
			case name == "attempts" && isNumber:
				out.attempts = min(n, maxAttempts)
			}
		}
	}
	return out
}

// serverAddr adds the port to an address that has none.
func serverAddr(s string) (string, error) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.String(), nil
	}
	ip, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return "", fmt.Errorf("server %q is neither an IP address nor address:port", s)
	}
	return net.JoinHostPort(ip.String(), "53"), nil
}
