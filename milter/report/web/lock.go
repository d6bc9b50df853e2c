package web

import (
	"container/list"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of wrong passwords. A lock always includes the address that the tries come from: if a name
// alone could be locked, any client could keep its owner out.
const (
	maxTriesOfPair    = 5  // for a name from an address, within triesFor
	maxTriesOfAddress = 20 // for all names from an address
	slowAfter         = 5  // tries for a name from anywhere; later ones wait
	maxSlow           = 8 * time.Second
	triesFor          = 10 * time.Minute
	maxTryKeys        = 10_000 // then the key that was used the longest ago leaves
	maxNameBytes      = 64     // of a name, in keys and in the log
)

// Bounds of comparing passwords, which costs processor time by design.
const (
	maxHashing  = 2
	hashingWait = 10 * time.Second
)

// Causes for which no password was compared.
var (
	errLocked = errors.New("web: too many wrong passwords from this address")
	errBusy   = errors.New("web: too many logins at once")
)

// tries counts attempts to sign in by key. The zero value is ready.
type tries struct {
	mu   sync.Mutex
	keys map[string]*list.Element // of *tried
	used list.List                // the latest in front
}

// tried are the attempts of a key, the oldest first.
type tried struct {
	key string
	at  []time.Time
}

// attempt is one try to sign in: the keys that it counts for, and when it came.
type attempt struct {
	pair, address string // empty if the client is not known
	name          string
	at            time.Time
}

func newAttempt(client netip.Prefix, user string, now time.Time) attempt {
	t := attempt{name: "name " + clip(user), at: now}
	if client.IsValid() {
		t.address = "address " + client.String()
		t.pair = "pair " + client.String() + " " + clip(user)
	}
	return t
}

func (t attempt) keys() []string {
	if t.address == "" {
		return []string{t.name}
	}
	return []string{t.pair, t.address, t.name}
}

// count counts an attempt before its password is compared, so that parallel ones cannot exceed the
// bounds. It returns how long the attempt must wait. One that is locked is not counted.
func (l *tries) count(t attempt) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.recent(t.pair, t.at) >= maxTriesOfPair || l.recent(t.address, t.at) >= maxTriesOfAddress {
		return 0, errLocked
	}
	wait := slowness(l.recent(t.name, t.at))
	for _, key := range t.keys() {
		l.add(key, t.at)
	}
	return wait, nil
}

// slowness is how long an attempt for a name waits after n others: 1 s, 2 s, 4 s, then maxSlow.
func slowness(n int) time.Duration {
	if n < slowAfter {
		return 0
	}
	return min(time.Second<<min(n-slowAfter, 10), maxSlow)
}

// takeBack removes an attempt that was not wrong.
func (l *tries) takeBack(t attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range t.keys() {
		e := l.keys[key]
		if e == nil {
			continue
		}
		x := e.Value.(*tried)
		if i := slices.Index(x.at, t.at); i >= 0 {
			x.at = slices.Delete(x.at, i, i+1)
		}
		if len(x.at) == 0 {
			l.remove(e)
		}
	}
}

// recent returns how many attempts of the key are younger than triesFor.
func (l *tries) recent(key string, now time.Time) int {
	e := l.keys[key]
	if e == nil {
		return 0
	}
	x := e.Value.(*tried)
	x.at = slices.DeleteFunc(x.at, func(t time.Time) bool { return now.Sub(t) > triesFor })
	return len(x.at)
}

func (l *tries) add(key string, now time.Time) {
	if l.keys == nil {
		l.keys = map[string]*list.Element{}
	}
	e := l.keys[key]
	if e == nil {
		e = l.used.PushFront(&tried{key: key})
		l.keys[key] = e
	}
	l.used.MoveToFront(e)
	x := e.Value.(*tried)
	x.at = append(x.at, now)
	x.at = x.at[max(0, len(x.at)-maxTriesOfAddress):] // no bound needs to know of more
	for len(l.keys) > maxTryKeys {
		l.remove(l.used.Back())
	}
}

func (l *tries) remove(e *list.Element) {
	l.used.Remove(e)
	delete(l.keys, e.Value.(*tried).key)
}

func clip(name string) string { return name[:min(len(name), maxNameBytes)] }

// hashing bounds how many passwords are compared at the same time. The zero value is ready.
type hashing struct {
	once   sync.Once
	places chan struct{}
}

// do runs compare when there is a place. It returns errBusy if there is none within hashingWait, or
// if ctx ends first.
func (h *hashing) do(ctx context.Context, compare func()) error {
	h.once.Do(func() { h.places = make(chan struct{}, maxHashing) })
	ctx, cancel := context.WithTimeout(ctx, hashingWait)
	defer cancel()
	if ctx.Err() != nil {
		return errBusy // select would take a place half of the time
	}
	select {
	case h.places <- struct{}{}:
	case <-ctx.Done():
		return errBusy
	}
	defer func() { <-h.places }()
	compare()
	return nil
}

// client returns the address that a request comes from as attempts are counted: an IPv4 address, or
// the /64 of an IPv6 address, all of which a single host may use. It is invalid if many clients may
// hide behind the peer: a unix socket, a trusted proxy or a host on loopback, if they do not say
// for whom they ask. Attempts of those are slowed down and never locked.
func (a *Access) client(r *http.Request) netip.Prefix {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	switch {
	case a.trusts(r.RemoteAddr):
		return network(a.forwardedFor(r.Header))
	case err != nil || peer.Addr().Unmap().IsLoopback():
		return netip.Prefix{}
	}
	return network(peer.Addr())
}

// forwardedFor returns the address that trusted proxies name in X-Forwarded-For: the last one that
// is not a proxy itself. Those further to the left may be the client's own text.
func (a *Access) forwardedFor(h http.Header) netip.Addr {
	var client netip.Addr
	hops := strings.Split(strings.Join(h.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		addr, ok := parseHop(strings.TrimSpace(hop))
		if !ok {
			return netip.Addr{}
		}
		client = addr
		if !slices.ContainsFunc(a.ProxyFrom,
			func(p netip.Prefix) bool { return p.Contains(addr) }) {
			break
		}
	}
	return client
}

// parseHop reads an address with or without a port.
func parseHop(text string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap(), true
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return addr.Unmap().WithZone(""), err == nil
}

func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// overTLS reports whether the browser reached the page by TLS, ours or that of a proxy. A proxy
// that signs users in is taken to use TLS unless X-Forwarded-Proto denies it. No client gains from
// sending that header itself: it would only restrict its own cookie.
func (a *Access) overTLS(r *http.Request) bool {
	if a.Secure || r.TLS != nil {
		return true
	}
	switch strings.ToLower(r.Header.Get("X-Forwarded-Proto")) {
	case "https":
		return true
	case "":
		_, err := netip.ParseAddrPort(r.RemoteAddr)
		isSocket := err != nil
		return a.trusts(r.RemoteAddr) && (!isSocket || a.ProxyHeader != "")
	}
	return false
}
