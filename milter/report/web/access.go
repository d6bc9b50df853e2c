package web

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Role is what an account may do.
type Role string

// Roles. An account without one may read.
const (
	Admin Role = "admin"
	Read  Role = "read"
)

// Account is an account of the page.
type Account struct {
	Name    string
	Role    Role
	Domains []string // that it may see; empty is all
}

// Access decides who may see what.
type Access struct {
	// Token signs in as an administrator; at least 20 characters. Empty is none.
	Token string
	// Passwords maps names to bcrypt hashes, as in an htpasswd file.
	Passwords map[string][]byte
	// Accounts says what those names may do; a name without an account may read.
	Accounts map[string]Account
	// ProxyHeader names the account, if a reverse proxy signs users in. It is believed on a unix
	// socket and from ProxyFrom, and nowhere else.
	ProxyHeader string
	ProxyFrom   []netip.Prefix
	Secure      bool // cookies always go over TLS only, not just behind a proxy with TLS
	Now         func() time.Time
	// before an attempt that is slowed down, and after a wrong password
	Wait func(time.Duration)

	mu       sync.Mutex
	sessions map[string]session
	tries    tries
	hashing  hashing
	compare  func(hash []byte, password string) bool // nil is bcrypt
}

// session is a user who signed in.
type session struct {
	name    string
	role    Role
	domains []string
	proxy   bool
	secret  []byte
	until   time.Time
	proof   string // of the secret that it was opened with: when that is another one, it ends
}

func (s session) admin() bool { return s.role == Admin }

func (s session) all() bool { return len(s.domains) == 0 }

// may reports whether the session may see a domain.
func (s session) may(domain string) bool { return s.all() || slices.Contains(s.domains, domain) }

// token returns the secret that forms carry, masked again each time: what is compressed beside
// input must not repeat.
func (s session) token() string {
	if len(s.secret) == 0 {
		return ""
	}
	mask := make([]byte, len(s.secret))
	_, _ = rand.Read(mask)
	out := slices.Clone(mask)
	for i := range mask {
		mask[i] ^= s.secret[i]
	}
	return base64.RawURLEncoding.EncodeToString(append(out, mask...))
}

func (s session) isToken(t string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(t)
	if err != nil || len(s.secret) == 0 || len(raw) != 2*len(s.secret) {
		return false
	}
	n := len(s.secret)
	for i := range n {
		raw[i] ^= raw[n+i]
	}
	return subtle.ConstantTimeCompare(raw[:n], s.secret) == 1
}

// Bounds of signing in.
const (
	cookieName   = "mailseal"
	sessionFor   = 12 * time.Hour
	sessionsKept = 1000 // then the oldest ends
	tokenLength  = 20
	tokenName    = "token" // of the account that the token signs in
)

// ErrToken is in the error of Check about a token that is too short.
var ErrToken = errors.New("the token has")

// Check returns a mistake in the configured access.
func (a *Access) Check() error {
	if a.Token != "" && len(a.Token) < tokenLength {
		return fmt.Errorf("%w %d characters; it needs %d or more", ErrToken, len(a.Token),
			tokenLength)
	}
	if a.Token == "" && len(a.Passwords) == 0 && a.ProxyHeader == "" {
		return errors.New("no user can sign in: set a token, an htpasswd file or a proxy " +
			"header")
	}
	for n, acc := range a.Accounts {
		if acc.Role != Admin && acc.Role != Read {
			return fmt.Errorf("account %q has role %q; roles are admin and read", n, acc.Role)
		}
	}
	return nil
}

// secrets returns the token and the passwords that hold now.
func (a *Access) secrets() (token string, passwords map[string][]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.Token, a.Passwords
}

// Holds reports whether these are the token and the passwords that hold now.
func (a *Access) Holds(token string, passwords map[string][]byte) bool {
	t, p := a.secrets()
	return t == token && maps.EqualFunc(p, passwords, bytes.Equal)
}

// Replace has another token and other passwords hold from now on, and ends the sessions of those
// whose secret is another one or gone. What Check refuses changes nothing.
func (a *Access) Replace(token string, passwords map[string][]byte) error {
	next := &Access{Token: token, Passwords: passwords, Accounts: a.Accounts,
		ProxyHeader: a.ProxyHeader}
	if err := next.Check(); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.Token, a.Passwords = token, passwords
	for k, s := range a.sessions {
		if k != "" && s.proof != a.proofOf(s.name) {
			delete(a.sessions, k)
		}
	}
	return nil
}

// proofOf is that of the secret of an account. The caller holds the lock.
func (a *Access) proofOf(n string) string {
	if n == tokenName {
		return digest(a.Token)
	}
	return digest(string(a.Passwords[n]))
}

func (a *Access) now() time.Time {
	if a.Now == nil {
		return time.Now()
	}
	return a.Now()
}

// visitor returns who sent the request.
func (a *Access) visitor(r *http.Request) (session, bool) {
	if s, ok := a.proxied(r); ok {
		return s, true
	}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok &&
		r.Method == http.MethodGet && a.isSecret(token) {
		return session{name: tokenName, role: Admin}, true
	}
	c, err := r.Cookie(cookieName)
	if err != nil {
		return session{}, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.sessions[digest(c.Value)]
	return s, ok && a.now().Before(s.until)
}

func (a *Access) isSecret(token string) bool {
	secret, _ := a.secrets()
	x, y := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(secret))
	return secret != "" && subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// proxied believes the header of a proxy that it may come from. A header that stands twice is
// believed in neither place: a proxy that adds its own leaves that of the client.
func (a *Access) proxied(r *http.Request) (session, bool) {
	values := r.Header.Values(a.ProxyHeader)
	if a.ProxyHeader == "" || len(values) != 1 || values[0] == "" || !a.trusts(r.RemoteAddr) {
		return session{}, false
	}
	n := values[0]
	s := a.account(n)
	s.proxy = true
	sum := sha256.Sum256([]byte("proxy " + n + " " + a.key()))
	s.secret = sum[:]
	return s, true
}

// trusts reports whether the peer is a unix socket or a listed address.
func (a *Access) trusts(remote string) bool {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote == "" || remote == "@" || strings.HasPrefix(remote, "/")
	}
	return slices.ContainsFunc(a.ProxyFrom,
		func(p netip.Prefix) bool { return p.Contains(ap.Addr().Unmap()) })
}

// key is a secret of the process.
func (a *Access) key() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sessions == nil {
		a.sessions = map[string]session{}
	}
	s, ok := a.sessions[""]
	if !ok {
		s.secret = make([]byte, 32)
		_, _ = rand.Read(s.secret)
		a.sessions[""] = s
	}
	return string(s.secret)
}

func (a *Access) account(n string) session {
	acc, ok := a.Accounts[n]
	if !ok {
		acc.Role = Read
	}
	return session{name: n, role: acc.Role, domains: acc.Domains}
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return string(sum[:])
}

// enter checks name and password, and returns the value of a new cookie. The error is errRefused,
// errLocked or errBusy.
func (a *Access) enter(r *http.Request, user, password string) (string, error) {
	s, err := a.check(r, user, password)
	if err != nil {
		return "", err
	}
	id := make([]byte, 32)
	s.secret = make([]byte, 32)
	_, _ = rand.Read(id)
	_, _ = rand.Read(s.secret)
	s.until = a.now().Add(sessionFor)
	value := base64.RawURLEncoding.EncodeToString(id)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sessions == nil {
		a.sessions = map[string]session{}
	}
	a.sweep()
	if s.proof != a.proofOf(s.name) {
		return "", errRefused // the secret was replaced meanwhile
	}
	a.sessions[digest(value)] = s
	return value, nil
}

// check compares a token or a password. A token is never locked: with 20 characters or more it
// cannot be guessed, and its owner gets in while others try.
func (a *Access) check(r *http.Request, user, password string) (session, error) {
	if user == "" || user == tokenName {
		if a.isSecret(password) {
			return session{name: tokenName, role: Admin, proof: digest(password)}, nil
		}
		a.wait(time.Second)
		return session{}, errRefused
	}
	try := newAttempt(a.client(r), user, a.now())
	slow, err := a.tries.count(try)
	if err != nil {
		return session{}, err
	}
	a.wait(slow)
	var right bool
	_, passwords := a.secrets()
	if err := a.hashing.do(r.Context(),
		func() { right = a.isPassword(passwords, user, password) }); err != nil {
		a.tries.takeBack(try)
		return session{}, err
	}
	if !right {
		a.wait(time.Second)
		return session{}, errRefused
	}
	a.tries.takeBack(try)
	s := a.account(user)
	s.proof = digest(string(passwords[user]))
	return s, nil
}

func (a *Access) wait(d time.Duration) {
	if a.Wait != nil && d > 0 {
		a.Wait(d)
	}
}

// sweep drops sessions that ended, and the oldest if there are too many.
func (a *Access) sweep() {
	oldest := ""
	for k, s := range a.sessions {
		switch {
		case k == "":
		case a.now().After(s.until):
			delete(a.sessions, k)
		case oldest == "" || s.until.Before(a.sessions[oldest].until):
			oldest = k
		}
	}
	if len(a.sessions) > sessionsKept {
		delete(a.sessions, oldest)
	}
}

func (a *Access) leave(value string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.sessions, digest(value))
}
