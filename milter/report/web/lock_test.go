package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func TestLoginIsLockedByAddressOnly(t *testing.T) {
	a, now, waited := accounts(t)
	s := serverWith(t, a, nil)
	login := func(remote, user, password string) int {
		b := &browser{t: t, s: s, cookies: map[string]string{}, remote: remote}
		return b.login(user, password).Code
	}
	for range maxTriesOfPair {
		login("[2001:db8:1:2::1]:1", "anna", "wrong")
	}
	for _, c := range []struct {
		what, remote, user, password string
		want                         int
	}{
		{"the same address", "[2001:db8:1:2::1]:1", "anna", "secret of anna", http.StatusTooManyRequests},
		{"another address of the /64", "[2001:db8:1:2:3::1]:1", "anna", "secret of anna", http.StatusTooManyRequests},
		{"another name", "[2001:db8:1:2::1]:1", "ben", "secret of ben", http.StatusSeeOther},
		{"the token", "[2001:db8:1:2::1]:1", "", tokenOfTests, http.StatusSeeOther},
		{"the owner from elsewhere", "[2001:db8:1:3::1]:1", "anna", "secret of anna", http.StatusSeeOther},
	} {
		if got := login(c.remote, c.user, c.password); got != c.want {
			t.Errorf("%s: status %d, want %d", c.what, got, c.want)
		}
	}
	*now = now.Add(triesFor + time.Second)
	*waited = 0
	if got := login("[2001:db8:1:2::1]:1", "anna", "secret of anna"); got != http.StatusSeeOther ||
		*waited != 0 {
		t.Errorf("after ten minutes: status %d, waited %s", got, *waited)
	}
}

func TestNameAloneIsSlowedNeverLocked(t *testing.T) {
	a, _, waited := accounts(t)
	s := serverWith(t, a, nil)
	for i := range 200 {
		b := &browser{t: t, s: s, cookies: map[string]string{},
			remote: fmt.Sprintf("198.51.100.%d:1", i+1)}
		if w := b.login("anna", "wrong"); w.Code != http.StatusForbidden {
			t.Fatalf("try %d: status %d", i, w.Code)
		}
	}
	*waited = 0
	owner := &browser{t: t, s: s, cookies: map[string]string{}, remote: "203.0.113.1:1"}
	if w := owner.login("anna", "secret of anna"); w.Code != http.StatusSeeOther ||
		*waited != maxSlow {
		t.Errorf("the owner: status %d, waited %s, want %s", w.Code, *waited, maxSlow)
	}
	*waited = 0
	if w := owner.login("ben", "secret of ben"); w.Code != http.StatusSeeOther || *waited != 0 {
		t.Errorf("another name: status %d, waited %s", w.Code, *waited)
	}
}

func TestAddressIsLockedForAllNames(t *testing.T) {
	a, _, _ := accounts(t)
	s := serverWith(t, a, nil)
	b := &browser{t: t, s: s, cookies: map[string]string{}, remote: "198.51.100.1:1"}
	for i := range maxTriesOfAddress {
		b.login(fmt.Sprint("name", i), "wrong")
	}
	if w := b.login("anna", "secret of anna"); w.Code != http.StatusTooManyRequests {
		t.Errorf("after %d names: status %d", maxTriesOfAddress, w.Code)
	}
}

// TestRightPasswordsAreNotCounted signs in more often than wrong passwords are allowed.
func TestRightPasswordsAreNotCounted(t *testing.T) {
	a, _, waited := accounts(t)
	s := serverWith(t, a, nil)
	for i := range 2 * maxTriesOfAddress {
		b := &browser{t: t, s: s, cookies: map[string]string{}, remote: "198.51.100.1:1"}
		if w := b.login("anna", "secret of anna"); w.Code != http.StatusSeeOther || *waited != 0 {
			t.Fatalf("login %d: status %d, waited %s", i, w.Code, *waited)
		}
	}
	if len(a.tries.keys) != 0 || a.tries.used.Len() != 0 {
		t.Errorf("%d keys are left", len(a.tries.keys))
	}
}

// TestParallelTries holds comparisons until all requests are there: no more than the bound of
// passwords is compared, and no more than maxHashing at once.
func TestParallelTries(t *testing.T) {
	a, _, _ := accounts(t)
	a.Wait = nil
	var mu sync.Mutex
	running, most, compared := 0, 0, 0
	counted := make(chan struct{})
	a.compare = func([]byte, string) bool {
		<-counted
		mu.Lock()
		running++
		compared++
		most = max(most, running)
		mu.Unlock()
		mu.Lock()
		defer mu.Unlock()
		running--
		return false
	}
	const requests = 50
	results := make(chan error, requests)
	for range requests {
		go func() {
			r := httptest.NewRequest(http.MethodPost, "/login", nil)
			r.RemoteAddr = "198.51.100.1:1"
			_, err := a.enter(r, "anna", "wrong")
			results <- err
		}()
	}
	for range requests - maxTriesOfPair { // these are refused before the first is compared
		if err := <-results; !errors.Is(err, errLocked) {
			t.Errorf("a try beyond the bound: %v", err)
		}
	}
	close(counted)
	for range maxTriesOfPair {
		if err := <-results; !errors.Is(err, errRefused) {
			t.Errorf("a try within the bound: %v", err)
		}
	}
	if compared != maxTriesOfPair || most > maxHashing {
		t.Errorf("%d comparisons, %d at once, want at most %d", compared, most, maxHashing)
	}
}

func TestHashingIsBounded(t *testing.T) {
	var h hashing
	hold, begun := make(chan struct{}), make(chan struct{}, maxHashing)
	ended := make(chan error, maxHashing)
	for range maxHashing {
		go func() { ended <- h.do(context.Background(), func() { begun <- struct{}{}; <-hold }) }()
		<-begun
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ran := false
	if err := h.do(ctx, func() { ran = true }); !errors.Is(err, errBusy) || ran {
		t.Errorf("one more whose client left: %v, compared %v", err, ran)
	}
	close(hold)
	for range maxHashing {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestOldestKeyLeaves(t *testing.T) {
	var l tries
	client := netip.MustParsePrefix("198.51.100.1/32")
	locked := newAttempt(client, "anna", clock)
	for range maxTriesOfPair {
		if _, err := l.count(locked); err != nil {
			t.Fatal(err)
		}
	}
	for i := range maxTryKeys - 10 {
		if _, err := l.count(newAttempt(netip.Prefix{}, fmt.Sprint(i), clock)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.count(locked); !errors.Is(err, errLocked) {
		t.Errorf("the lock before the map is full: %v", err)
	}
	for i := range maxTryKeys {
		_, _ = l.count(newAttempt(netip.Prefix{}, fmt.Sprint("x", i), clock))
		if len(l.keys) > maxTryKeys || len(l.keys) != l.used.Len() {
			t.Fatalf("%d keys, %d in order", len(l.keys), l.used.Len())
		}
	}
	if l.keys["name x"+fmt.Sprint(maxTryKeys-1)] == nil || l.keys["name x0"] == nil ||
		l.keys["name 0"] != nil {
		t.Error("it is not the oldest that left")
	}
}

func TestLongNamesAreClipped(t *testing.T) {
	long := strings.Repeat("n", 10_000)
	for _, key := range newAttempt(netip.MustParsePrefix("2001:db8::/64"), long, clock).keys() {
		if len(key) > maxNameBytes+64 {
			t.Errorf("a key has %d bytes", len(key))
		}
	}
}

// TestUnknownNamesTakeAsLong adds up the work of a wrong password: it is that of the highest cost
// in the file for every name.
func TestUnknownNamesTakeAsLong(t *testing.T) {
	a := &Access{Passwords: map[string][]byte{}}
	for user, cost := range map[string]int{"low": 4, "middle": 6, "high": 9} {
		hash, err := bcrypt.GenerateFromPassword([]byte("right"), cost)
		if err != nil {
			t.Fatal(err)
		}
		a.Passwords[user] = hash
	}
	for _, user := range []string{"low", "middle", "high", "unknown"} {
		work := 0
		a.compare = func(hash []byte, password string) bool {
			work += 1 << costOf(hash)
			return bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil
		}
		if a.isPassword(a.Passwords, user, "wrong") || work != 1<<9 {
			t.Errorf("%s: work %d, want %d", user, work, 1<<9)
		}
		if got, want := a.isPassword(a.Passwords, user, "right"), user != "unknown"; got != want {
			t.Errorf("%s with the right password: %v", user, got)
		}
	}
}

func TestClient(t *testing.T) {
	a := &Access{ProxyFrom: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	tests := []struct{ name, remote, forwarded, want string }{
		{"direct", "198.51.100.7:5", "", "198.51.100.7/32"},
		{"direct, mapped", "[::ffff:198.51.100.7]:5", "", "198.51.100.7/32"},
		{"direct, forged header", "198.51.100.7:5", "203.0.113.1", "198.51.100.7/32"},
		{"direct, IPv6", "[2001:db8:1:2:3:4:5:6]:5", "", "2001:db8:1:2::/64"},
		{"loopback", "127.0.0.1:5", "203.0.113.1", ""},
		{"proxy without the header", "10.0.0.1:5", "", ""},
		{"proxy", "10.0.0.1:5", "203.0.113.1", "203.0.113.1/32"},
		{"proxy, with port", "10.0.0.1:5", "[2001:db8::1]:99", "2001:db8::/64"},
		{"proxy, client forged the left", "10.0.0.1:5", "192.0.2.1, 203.0.113.1", "203.0.113.1/32"},
		{"two proxies", "10.0.0.1:5", "192.0.2.1, 203.0.113.1, 10.0.0.2", "203.0.113.1/32"},
		{"proxy, a client in its networks", "10.0.0.1:5", "10.0.0.9", "10.0.0.9/32"},
		{"proxy, not an address", "10.0.0.1:5", "203.0.113.1, unknown", ""},
		{"socket", "@", "203.0.113.1", "203.0.113.1/32"},
		{"socket without the header", "", "", ""},
	}
	for _, c := range tests {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.remote
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		got := ""
		if p := a.client(r); p.IsValid() {
			got = p.String()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestProxyDoesNotShareALock has two visitors behind one proxy.
func TestProxyDoesNotShareALock(t *testing.T) {
	for _, forwards := range []bool{true, false} {
		a, _, _ := accounts(t)
		a.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.5/32")}
		s := serverWith(t, a, nil)
		visitor := func(from string) *browser {
			b := &browser{t: t, s: s, cookies: map[string]string{}, remote: "127.0.0.5:1",
				header: http.Header{}}
			if forwards {
				b.header.Set("X-Forwarded-For", from)
			}
			return b
		}
		for range 2 * maxTriesOfAddress {
			visitor("198.51.100.1").login("anna", "wrong")
		}
		for user, want := range map[string]int{"anna": http.StatusSeeOther,
			"ben": http.StatusSeeOther} {
			if w := visitor("203.0.113.1").login(user, "secret of "+user); w.Code != want {
				t.Errorf("header %v, %s: status %d, want %d", forwards, user, w.Code, want)
			}
		}
	}
}

func TestCookieIsSecureBehindTLS(t *testing.T) {
	const header = "X-Remote-User"
	tests := []struct {
		name, remote, header, proto string
		tls, secure, want           bool
	}{
		{"plain", "198.51.100.1:1", "", "", false, false, false},
		{"plain on loopback", "127.0.0.1:1", "", "", false, false, false},
		{"certificate is set", "198.51.100.1:1", "", "", false, true, true},
		{"TLS", "198.51.100.1:1", "", "", true, false, true},
		{"from the proxy", "127.0.0.5:1", "", "", false, false, true},
		{"from the proxy, which has no TLS", "127.0.0.5:1", "", "http", false, false, false},
		{"socket with a proxy header", "@", header, "", false, false, true},
		{"socket without", "@", "", "", false, false, false},
		{"socket, with TLS by its word", "@", "", "https", false, false, true},
		{"loopback, with TLS by its word", "127.0.0.1:1", "", "https", false, false, true},
	}
	for _, c := range tests {
		a, _, _ := accounts(t)
		a.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.5/32")}
		a.ProxyHeader, a.Secure = c.header, c.secure
		h := http.Header{}
		if c.proto != "" {
			h.Set("X-Forwarded-Proto", c.proto)
		}
		s := serverWith(t, a, nil)
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c.tls {
				r.TLS = &tls.ConnectionState{}
			}
			s.ServeHTTP(w, r)
		})
		b := &browser{t: t, s: handler, cookies: map[string]string{}, remote: c.remote, header: h}
		cookies := slices.Concat(b.get("/login").Result().Cookies(),
			b.login("anna", "secret of anna").Result().Cookies())
		if len(cookies) < 2 {
			t.Errorf("%s: %d cookies", c.name, len(cookies))
		}
		for _, cookie := range cookies {
			if cookie.Secure != c.want {
				t.Errorf("%s: cookie %s: Secure %v, want %v", c.name, cookie.Name, cookie.Secure,
					c.want)
			}
		}
	}
}
