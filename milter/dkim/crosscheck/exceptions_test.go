package crosscheck_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/milter/dkim"
	"mailseal/milter/dkim/crosscheck"
	"mailseal/milter/dns"
	"mailseal/milter/message"
)

// TestExceptionsAreOfThisRelease: after an upgrade of go-msgauth each exception wants a look.
// TestExceptionsAreNeeded says which of them may go; those that stay get the new version.
func TestExceptionsAreOfThisRelease(t *testing.T) {
	text, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^\s*github\.com/emersion/go-msgauth (\S+)`).FindSubmatch(text)
	if found == nil {
		t.Fatal("go.mod does not require go-msgauth")
	}
	versions, names := crosscheck.ExceptionVersions()
	if len(versions) != len(names) {
		t.Errorf("%d exceptions have %d names", len(names), len(versions))
	}
	for name, version := range versions {
		if version != string(found[1]) {
			t.Errorf("the exception %q is about go-msgauth %s, go.mod requires %s", name, version,
				found[1])
		}
	}
}

// proof is a message to which one exception applies, and that go-msgauth judges otherwise than we
// do, or in more than linear time.
type proof struct {
	name    string
	message string // header and body; "": one with a From field
	// between "v=1; " and "bh=", with "; " at the end; "": those of ordinary
	tags    string
	spaced  string             // white space before the value of b=, which is hashed
	records []string           // nil: the key's
	names   dns.Resolver       // nil: any name has the records
	now     time.Time          // our clock; zero: that of the host
	rsa     *smoothKey         // signs instead of the Ed25519 key
	slow    func(n int) string // the message by size, for exceptions about time
	copies  int                // of the signature; 0: 1
}

const (
	ordinary = "a=ed25519-sha256; c=relaxed/relaxed; d=example.com; s=ed; h=From; "
	plain    = "From: a@example.com\r\n\r\nbody\r\n"
)

func with(old, new string) string { return strings.Replace(ordinary, old, new, 1) }

func proofs(t testing.TB) []proof {
	unix := func(d time.Duration) string { return fmt.Sprint(time.Now().Add(d).Unix()) }
	key := record(edKey())
	large := newSmoothKey(t, 19_000)
	return []proof{
		{name: "large header", slow: func(n int) string {
			return "From: a@example.com\r\nX: x" + strings.Repeat("\r\n "+strings.Repeat("x", 118),
				600*n) + "\r\n\r\nbody\r\n"
		}},
		{name: "many lines", slow: func(n int) string {
			return "From: a@example.com\r\nX: x" + strings.Repeat("\r\n x", 2500*n) +
				"\r\n\r\nbody\r\n"
		}},
		{name: "large body", copies: 2, tags: with("relaxed/relaxed", "simple/simple"),
			slow: func(n int) string {
				return "From: a@example.com\r\n\r\n" + strings.Repeat("\r\n", n*600<<10)
			}},
		{name: "many names", tags: with("h=From", "h=From"+strings.Repeat(":x", 10_001))},
		{name: "bare CR", message: strings.Replace(plain, "body", "bo \rdy", 1)},
		{name: "bare LF", message: strings.Replace(plain, "body", "bo \ndy", 1)},
		{name: "not a field", message: strings.Replace(plain, "\r\n", "\r\nhello\r\n", 1)},
		{name: "From count", message: "From: b@example.com\r\n" + plain},
		{name: "tag list", tags: with("s=ed;", "s=ed;;")},
		{name: "b= elsewhere", tags: with("s=ed;", "s=ed; z=Feb=202026;")},
		{name: "space before b=", tags: with("relaxed/relaxed", "simple/simple"), spaced: " "},
		{name: "8-bit", tags: with("example.com", "bücher.example"),
			names: zoneOf("ed._domainkey.xn--bcher-kva.example", key)},
		{name: "i= without @", tags: with("s=ed;", "s=ed; i=x.example.com;")},
		{name: "i= by case", tags: with("s=ed;", "s=ed; i=@EXAMPLE.com;")},
		{name: "any d=", tags: with("example.com", "example.com.")},
		{name: "l=", tags: with("s=ed;", "s=ed; l=6;")},
		{name: "space in a=", tags: with("ed25519-", "ed25519- ")},
		{name: "space in c=", tags: with("relaxed/", "relaxed /")},
		{name: "space in d=", tags: with("example.", "example. ")},
		{name: "space in s=", tags: with("s=ed", "s=e d")},
		{name: "space in t=", tags: with("s=ed;", "s=ed; t=1 5;")},
		{name: "space in x=", tags: with("s=ed;", "s=ed; x=9 999999999;")},
		{name: "empty name", tags: with("h=From", "h=From::")},
		{name: "own field", tags: with("h=From", "h=From:DKIM-Signature")},
		{name: "number in t=", tags: with("s=ed;", "s=ed; t=-5;")},
		{name: "number in x=", tags: with("s=ed;", "s=ed; x=10000000000000000000;")},
		{name: "t= in the future", tags: with("s=ed;", "s=ed; t="+unix(time.Hour)+";")},
		{name: "expired", tags: with("s=ed;", "s=ed; x="+unix(-time.Hour)+";"), now: time.Now().Add(-2 * time.Hour)},
		{name: "several records", records: []string{key, "x"}},
		{name: "record syntax", records: []string{key + "; x y=1"}},
		{name: "large key", tags: with("ed25519", "rsa"), rsa: large, records: []string{large.record(t)}},
		{name: "v= not first", records: []string{strings.TrimPrefix(key, "v=DKIM1; ") + "; v=DKIM1"}},
		{name: "t=s", tags: with("s=ed;", "s=ed; i=@sub.example.com;"), records: []string{key + "; t=s"}},
	}
}

// TestExceptionsAreNeeded: go-msgauth still does what each exception says, and no other exception
// covers that.
func TestExceptionsAreNeeded(t *testing.T) {
	_, unproven := crosscheck.ExceptionVersions()
	for _, p := range proofs(t) {
		unproven = slices.DeleteFunc(unproven, func(name string) bool { return name == p.name })
		t.Run(p.name, func(t *testing.T) {
			if p.slow != nil && rig.Race {
				t.Skip("one goroutine, which takes minutes with the race detector")
			}
			if p.slow != nil {
				p.wantSlow(t)
				return
			}
			raw := p.signed(t)
			applying, theirs := crosscheck.Uncensored(raw, lookup(p.resolver()))
			if !slices.Equal(applying, []string{p.name}) {
				t.Errorf("the exceptions %q apply, want this one alone", applying)
			}
			ours := p.ours(raw)
			if isPass := theirs == nil; isPass == (ours == string(dkim.Pass)) {
				t.Errorf("go-msgauth says %v, we %q: the exception is not needed", theirs, ours)
			}
		})
	}
	if len(unproven) > 0 {
		t.Errorf("exceptions that nothing proves: %q", unproven)
	}
	ordinary := proof{}
	applying, theirs := crosscheck.Uncensored(ordinary.signed(t), lookup(ordinary.resolver()))
	if ours := ordinary.ours(ordinary.signed(t)); theirs != nil || ours != string(dkim.Pass) ||
		applying != nil {
		t.Errorf("an ordinary signature: go-msgauth says %v, we %s; the exceptions %q apply",
			theirs, ours, applying)
	}
}

// wantSlow holds that what go-msgauth allocates grows much faster than the message does.
func (p proof) wantSlow(t *testing.T) {
	cost := func(n int) uint64 {
		p.message = p.slow(n)
		raw := p.signed(t)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		applying, _ := crosscheck.Uncensored(raw, lookup(p.resolver()))
		runtime.ReadMemStats(&after)
		if n == 1 && !slices.Equal(applying, []string{p.name}) {
			t.Errorf("the exceptions %q apply, want this one alone", applying)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	if once, twofold := cost(1), cost(2); twofold < 3*once {
		t.Errorf("%d bytes are allocated, and %d for twice the message: the exception is not needed",
			once, twofold)
	}
}

func (p proof) resolver() dns.Resolver {
	switch {
	case p.names != nil:
		return p.names
	case p.records != nil:
		return anyName(func(string) []string { return p.records })
	}
	return anyName(func(string) []string { return []string{record(edKey())} })
}

func zoneOf(name, text string) dns.Resolver {
	return anyName(func(asked string) []string {
		if strings.TrimSuffix(asked, ".") == name {
			return []string{text}
		}
		return nil
	})
}

// ours is our verdict on the topmost signature; "" if we cannot read the message.
func (p proof) ours(raw []byte) string {
	v := &dkim.Verifier{Resolver: p.resolver()}
	if !p.now.IsZero() {
		v.Now = func() time.Time { return p.now }
	}
	var x *dkim.Verification
	m, err := message.Read(bytes.NewReader(raw), 10<<20, func(h message.Header) []message.BodyHash {
		x = v.Select(h, "")
		return x.BodyHashes()
	})
	if err != nil {
		return ""
	}
	results := x.Run(context.Background(), m)
	if len(results) == 0 {
		return ""
	}
	return string(results[0].Value)
}

// signed returns the message with a signature that says what no signer of ours would write. It is
// correct: what is hashed is what RFC 6376 says.
func (p proof) signed(t testing.TB) []byte {
	t.Helper()
	raw, tags := p.message, p.tags
	if raw == "" {
		raw = plain
	}
	if tags == "" {
		tags = ordinary
	}
	form := message.Relaxed
	if strings.Contains(tags, "simple") {
		form = message.Simple
	}
	header, body, _ := strings.Cut(raw, "\r\n\r\n")
	bodyHash := sha256.Sum256(form.AppendBody(nil, []byte(body)))
	value := " v=1; " + tags + "bh=" + base64.StdEncoding.EncodeToString(bodyHash[:]) + "; b="
	from := header[strings.LastIndex("\r\n"+header, "\r\nFrom:"):]
	from, _, _ = strings.Cut(from, "\r\n")
	name, text, _ := strings.Cut(from, ":")
	input := form.AppendField(nil, message.NewField(name, []byte(text)))
	input = form.AppendField(input, message.NewField("DKIM-Signature", []byte(value+p.spaced)))
	hash := sha256.Sum256(bytes.TrimSuffix(input, []byte("\r\n")))
	signature := ed25519.Sign(edKey(), hash[:])
	if p.rsa != nil {
		signature = p.rsa.sign(hash)
	}
	field := "DKIM-Signature:" + value + p.spaced + base64.StdEncoding.EncodeToString(signature) +
		"\r\n"
	return []byte(strings.Repeat(field, max(1, p.copies)) + raw)
}

// smoothKey is an RSA key whose modulus is the product of many small primes: one of two large
// primes takes minutes to find, and seconds to sign with.
type smoothKey struct {
	rsa.PublicKey
	primes []*big.Int
}

func newSmoothKey(t testing.TB, bits int) *smoothKey {
	t.Helper()
	k := &smoothKey{PublicKey: rsa.PublicKey{N: big.NewInt(1), E: 65537}}
	for k.N.BitLen() < bits {
		prime, err := rand.Prime(rand.Reader, 128)
		if err != nil {
			t.Fatal(err)
		}
		if new(big.Int).Mod(prime, big.NewInt(int64(k.E))).Cmp(big.NewInt(1)) == 0 {
			continue // it has no private exponent
		}
		k.N.Mul(k.N, prime)
		k.primes = append(k.primes, prime)
	}
	return k
}

// sign signs as RFC 8017 section 8.2.1 says, prime by prime (section 5.1.2).
func (k *smoothKey) sign(hash [sha256.Size]byte) []byte {
	const info = "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
	padded := "\x00\x01" + strings.Repeat("\xff", k.Size()-3-len(info)-len(hash)) + "\x00" + info +
		string(hash[:])
	m := new(big.Int).SetBytes([]byte(padded))
	s, modulus := big.NewInt(0), big.NewInt(1)
	for _, prime := range k.primes {
		d := new(big.Int).ModInverse(big.NewInt(int64(k.E)), new(big.Int).Sub(prime, big.NewInt(1)))
		step := new(big.Int).Exp(m, d, prime)
		step.Sub(step, s)
		step.Mul(step, new(big.Int).ModInverse(modulus, prime))
		s.Add(s, step.Mod(step, prime).Mul(step, modulus))
		modulus.Mul(modulus, prime)
	}
	return s.FillBytes(make([]byte, k.Size()))
}

func (k *smoothKey) record(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}
