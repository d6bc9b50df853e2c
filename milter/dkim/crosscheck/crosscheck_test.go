package crosscheck_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailseal/milter/dkim"
	"mailseal/milter/dkim/crosscheck"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
)

const vectors = "../../../../shared/vectors/"

// rsaKey is the key that the tests of package dkim use.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	text, err := os.ReadFile("../testdata/rsa2048.pem")
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	return key
})

var edKey = sync.OnceValue(func() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(make([]byte, 32))
})

// keys are published as rsa._domainkey.example.com and ed._domainkey.example.com.
func keys() []dkim.Key {
	return []dkim.Key{
		{Domain: "example.com", Selector: "rsa", Signer: rsaKey()},
		{Domain: "example.com", Selector: "ed", Signer: edKey()},
	}
}

func record(key crypto.Signer) string {
	if public, ok := key.Public().(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic(err)
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}

func zone() *dnstest.Zone {
	texts := map[string][]string{}
	for _, k := range keys() {
		texts[k.Selector+"._domainkey.example.com"] = []string{record(k.Signer)}
	}
	return dnstest.FromMap(texts)
}

// lookup is how a resolver of ours is handed to Message.
func lookup(r dns.Resolver) crosscheck.Lookup {
	return func(ctx context.Context, name string) ([]string, error) {
		a, err := r.Lookup(ctx, name, dns.TXT)
		return a.Texts, err
	}
}

// read reads a message for signing with o.
func read(t testing.TB, raw []byte, o dkim.SignOptions) *message.Message {
	t.Helper()
	m, err := message.Read(bytes.NewReader(raw), 10<<20, func(message.Header) []message.BodyHash {
		return []message.BodyHash{o.BodyHash()}
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// judge is our own verdict.
func judge(t testing.TB, r dns.Resolver, raw []byte) []dkim.Result {
	t.Helper()
	v := &dkim.Verifier{Resolver: r}
	var x *dkim.Verification
	m, err := message.Read(bytes.NewReader(raw), 10<<20, func(h message.Header) []message.BodyHash {
		x = v.Select(h, "")
		return x.BodyHashes()
	})
	if err != nil {
		t.Fatal(err)
	}
	return x.Run(t.Context(), m)
}

func TestKey(t *testing.T) {
	sign := func(k dkim.Key, o dkim.SignOptions) crosscheck.SignFunc {
		return func(h message.Header, body *message.Digests) (message.Field,
			error) {
			return dkim.Sign(h, body, k, o)
		}
	}
	rsa, ed := keys()[0], keys()[1]
	broken := func(h message.Header, body *message.Digests) (message.Field, error) {
		return message.NewField("DKIM-Signature", []byte(" v=1")), nil
	}
	gone := errors.New("gone")
	for _, c := range []struct {
		name, record string
		sign         crosscheck.SignFunc
		want         error
	}{
		{"RSA", record(rsa.Signer), sign(rsa, dkim.SignOptions{}), nil},
		{"Ed25519", record(ed.Signer), sign(ed, dkim.SignOptions{}), nil},
		{"simple", record(rsa.Signer), sign(rsa, dkim.SignOptions{SimpleBody: true, SimpleHeader: true}), nil},
		{"the record of another key", record(ed.Signer), sign(rsa, dkim.SignOptions{}), crosscheck.ErrDisagree},
		{"no record", "", sign(rsa, dkim.SignOptions{}), crosscheck.ErrUnfit},
		{"revoked", "v=DKIM1; p=", sign(rsa, dkim.SignOptions{}), crosscheck.ErrDisagree},
		{"not a signature", record(rsa.Signer), broken, crosscheck.ErrUnfit},
		{"no key", "", func(message.Header, *message.Digests) (message.Field,
			error) {
			return message.Field{}, gone
		}, gone},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := crosscheck.Key(c.sign, c.record); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// TestVectors: where go-msgauth is not left out, it agrees with us on every vector.
func TestVectors(t *testing.T) {
	text, err := os.ReadFile(vectors + "dkim/index.json")
	if os.IsNotExist(err) {
		t.Skip("no vectors: ../shared is absent")
	}
	var index struct {
		Cases []struct {
			Name, File string
			DNS        map[string][]string
		}
	}
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, c := range index.Cases {
		raw, err := os.ReadFile(filepath.Join(vectors, "dkim", c.File))
		if err != nil {
			t.Fatal(err)
		}
		zone := dnstest.FromMap(c.DNS)
		opinions, err := crosscheck.Message(t.Context(), raw, lookup(zone))
		if err != nil {
			if !errors.Is(err, crosscheck.ErrUnfit) {
				t.Errorf("%s: %v", c.Name, err)
			}
			continue
		}
		if disagreement(t, opinions, judge(t, zone, raw), c.Name) {
			asked++
		}
	}
	if asked < 90 {
		t.Errorf("only %d of %d messages were fit for go-msgauth", asked, len(index.Cases))
	}
}

// disagreement reports where the two differ. It is false when no signature was judged by both.
func disagreement(t *testing.T, opinions []crosscheck.Opinion, results []dkim.Result,
	name string) (compared bool) {
	t.Helper()
	for _, o := range opinions {
		i := slices.IndexFunc(results,
			func(r dkim.Result) bool { return r.Evidence.Field == o.Field })
		if i < 0 || strings.HasPrefix(results[i].Reason, "not tried") ||
			o.Value == crosscheck.Unfit {
			continue
		}
		compared = true
		if o.Contradicts(string(results[i].Value)) {
			t.Errorf("%s: signature %d: go-msgauth says %s (%s), we %s (%s)", name, o.Field,
				o.Value, o.Reason, results[i].Value, results[i].Reason)
		}
	}
	return compared
}

// TestUnfit: what go-msgauth would judge wrongly is left out, and for the right reason.
func TestUnfit(t *testing.T) {
	k := keys()[0]
	m := read(t, []byte("From: a@example.com\r\n\r\nbody\r\n"), dkim.SignOptions{})
	f, err := dkim.Sign(m.Header, m.Body, k, dkim.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	good := string(f.Raw()) + "\r\nFrom: a@example.com\r\n\r\nbody\r\n"
	for _, c := range []struct{ name, old, new, reason string }{
		{"as it is", "", "", ""},
		{"no empty line", "\r\n\r\nbody\r\n", "", ""},
		{"bare CR", "body", "bo\rdy", "it takes a bare CR for a line end"},
		{"bare LF", "body", "bo\ndy", "it takes a bare LF for a line end"},
		{"no From", "\nFrom:", "\nTo:", "it does not mind several From fields, or none"},
		{"two From fields", "\nFrom:", "\nFrom: b\r\nFrom:", "it does not mind several From fields, or none"},
		{"a line without a colon", "\nFrom:", "\nhello\r\nFrom:", "it reads a line as a field " +
			"that is not one"},
		{"an endless name", "\nFrom:", "\n" + strings.Repeat("x", 5000) + ":\r\nFrom:", "it " +
			"reads a line as a field that is not one"},
		{"mbox", "DKIM", "From joe\r\nDKIM", "it reads a line as a field that is not one"},
		{"many lines", "\nFrom:", "\nX:" + strings.Repeat("\r\n ", 3000) + "\r\nFrom:",
			"it is too slow for a message of this size"},
		{"large body", "body", strings.Repeat("\r\n", 1<<19), "it is too slow for a message of this size"},
		{"b= in another tag", "s=rsa;", "s=rsa; z=Feb=202026;", `it empties every "b=" in the field, not only the tag`},
		{"b= at the end of a name", "s=rsa;", "s=rsa; sub=x;", `it empties every "b=" in the field, not only the tag`},
		{"i= in another case", "s=rsa;", "s=rsa; i=@EXAMPLE.com;", "it compares i= with d= by case"},
		{"i= without @", "s=rsa;", "s=rsa; i=x.example.com;", "it takes i= without an @"},
		{"U-label", "d=example.com", "d=bücher.example", "it knows only ASCII"},
		{"final dot", "d=example.com", "d=example.com.", "it takes any d="},
		{"l=", "s=rsa;", "s=rsa; l=1;", "it refuses l="},
		{"white space in c=", "c=relaxed/", "c=relaxed /", "it takes white space inside c="},
		{"two semicolons", "s=rsa;", "s=rsa;;", "it reads lists of tags more loosely"},
		{"empty name in h=", "h=From:", "h=From::", "it takes empty names in h="},
		{"own field in h=", "h=From:", "h=From:DKIM-Signature:",
			"it covers the signature's own field when h= names it"},
		{"negative time", "x=", "x=-", "it reads numbers in another way"},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := strings.Replace(good, c.old, c.new, 1)
			opinions, err := crosscheck.Message(t.Context(), []byte(raw), lookup(zone()))
			got := ""
			switch {
			case err != nil:
				_, got, _ = strings.Cut(err.Error(), "go-msgauth: ")
			case len(opinions) != 1:
				t.Fatalf("%d opinions", len(opinions))
			case opinions[0].Value == crosscheck.Unfit:
				got = opinions[0].Reason
			}
			if got != c.reason {
				t.Errorf("got %q, want %q", got, c.reason)
			}
		})
	}
}

// TestUnfitSignatures are signatures that only another signing makes.
func TestUnfitSignatures(t *testing.T) {
	for _, c := range []struct {
		name     string
		options  dkim.SignOptions
		old, new string
		reason   string
	}{
		{"expired", dkim.SignOptions{Time: signTime.Add(-time.Hour), Expiry: time.Minute}, "", "",
			"it has a clock of its own"},
		{"signed in the future", dkim.SignOptions{Time: signTime.Add(time.Hour)}, "", "",
			"it does not mind t= in the future"},
		{"white space before b, simple", dkim.SignOptions{SimpleHeader: true}, "\tb=", "\tb= ",
			"white space before the value of b= has two readings"},
	} {
		m := read(t, []byte("From: a@example.com\r\n\r\nbody\r\n"), c.options)
		f, err := dkim.Sign(m.Header, m.Body, keys()[0], c.options)
		if err != nil {
			t.Fatal(err)
		}
		raw := strings.Replace(string(f.Raw()), c.old, c.new, 1) +
			"\r\nFrom: a@example.com\r\n\r\nbody\r\n"
		opinions, err := crosscheck.Message(t.Context(), []byte(raw), lookup(zone()))
		if err != nil || len(opinions) != 1 || opinions[0].Value != crosscheck.Unfit ||
			opinions[0].Reason != c.reason {
			t.Errorf("%s: got %v, %v", c.name, opinions, err)
		}
	}
}

func TestLookup(t *testing.T) {
	k := keys()[0]
	m := read(t, []byte("From: a@example.com\r\n\r\nbody\r\n"), dkim.SignOptions{})
	f, err := dkim.Sign(m.Header, m.Body, k, dkim.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	raw := []byte(strings.Repeat(string(f.Raw())+"\r\n", 12) +
		"From: a@example.com\r\n\r\nbody\r\n")
	calls := 0
	for _, c := range []struct {
		name   string
		lookup crosscheck.Lookup
		want   crosscheck.Value
	}{
		{"found", func(context.Context, string) ([]string,
			error) {
			calls++
			return []string{record(k.Signer)}, nil
		}, crosscheck.Pass},
		{"a tab in the key", func(context.Context, string) ([]string, error) {
			return []string{strings.Replace(record(k.Signer), "p=MII", "p=M\tII", 1)}, nil
		}, crosscheck.Pass},
		{"absent", func(context.Context, string) ([]string, error) { return nil, nil }, crosscheck.PermError},
		{"failed", func(context.Context, string) ([]string, error) {
			return nil, errors.New("no answer")
		}, crosscheck.TempError},
		{"broken", func(context.Context, string) ([]string, error) { panic("a bug") }, crosscheck.TempError},
		{"two records", func(context.Context, string) ([]string,
			error) {
			return []string{record(k.Signer), "x"}, nil
		}, crosscheck.Unfit},
		{"t=s", func(context.Context, string) ([]string,
			error) {
			return []string{record(k.Signer) + "; t=s"}, nil
		}, crosscheck.Pass},
		{"v second", func(context.Context, string) ([]string, error) {
			return []string{strings.TrimPrefix(record(k.Signer), "v=DKIM1; ") + "; v=DKIM1"}, nil
		}, crosscheck.Unfit},
	} {
		t.Run(c.name, func(t *testing.T) {
			opinions, err := crosscheck.Message(t.Context(), raw, c.lookup)
			if err != nil || len(opinions) != 10 {
				t.Fatalf("%d opinions, %v", len(opinions), err)
			}
			for i, o := range opinions {
				if o.Value != c.want || o.Field != i {
					t.Errorf("signature %d: got %s (%s), want %s", o.Field, o.Value, o.Reason,
						c.want)
				}
			}
		})
	}
	if calls != 1 {
		t.Errorf("%d lookups of one name", calls)
	}
}

func TestContradicts(t *testing.T) {
	for _, c := range []struct {
		theirs crosscheck.Value
		ours   string
		want   bool
	}{
		{crosscheck.Pass, "pass", false},
		{crosscheck.Pass, "fail", true},
		{crosscheck.Fail, "pass", true},
		{crosscheck.PermError, "policy", false},
		{crosscheck.TempError, "pass", true}, {crosscheck.Unfit, "pass", false}, {crosscheck.Unfit, "fail", false},
	} {
		if got := (crosscheck.Opinion{Value: c.theirs}).Contradicts(c.ours); got != c.want {
			t.Errorf("%s against %s: %v", c.theirs, c.ours, got)
		}
	}
}

// signTime is when the messages of the tests are signed: the clock of go-msgauth cannot be set.
var signTime = time.Now().Add(-time.Minute)

// keyText returns the RSA key as PEM, or the Ed25519 seed as base64.
func keyText(key crypto.Signer) string {
	if private, ok := key.(ed25519.PrivateKey); ok {
		return base64.StdEncoding.EncodeToString(private.Seed())
	}
	der := x509.MarshalPKCS1PrivateKey(key.(*rsa.PrivateKey))
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}))
}

// anyName answers the same for every name.
type anyName func(name string) []string

func (f anyName) Lookup(_ context.Context, name string, _ dns.Type) (dns.Answer, error) {
	return dns.Answer{Texts: f(name)}, nil
}
