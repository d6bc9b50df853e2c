package assembly

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keyhttp"
	"mailseal/keys/keysql"
)

// TestRemembered holds which keys of a source's memory sign, and as which domain.
func TestRemembered(t *testing.T) {
	whole := func(name, selector, domain string) keys.Key {
		return keys.Key{Name: name, Selector: selector, Domain: domain, Signer: testKey(1).Signer}
	}
	fake := fakeRemote{
		"one":                  whole("one", "s1", "one.example"),
		"any":                  whole("any", "s2", "%"),
		"m._domainkey.a.test":  whole("", "m", "a.test"),
		"m._domainkey.b.test":  whole("", "m", "b.test"),
		"choose:named.example": {Name: "one"},
		"choose:any.example":   {Name: "any"},
		"choose:whole.example": whole("x", "w", "whole.example"),
	}
	for _, tc := range []struct {
		name string
		rule config.Rule
		want []string
	}{
		{"the source chooses", config.Rule{From: []string{"*"}},
			[]string{"s1._domainkey.one.example", "s2._domainkey.any.example",
				"w._domainkey.whole.example"}},
		{"for some authors", config.Rule{From: []string{"*@any.example"}}, []string{"s2._domainkey.any.example"}},
		{"as another domain", config.Rule{From: []string{"*@whole.example"},
			SignOptions: config.SignOptions{}, Domain: "third.example"}, []string{"w._domainkey.third.example"}},
		{"as the author's", config.Rule{From: []string{"*@named.example"}, Domain: "%"},
			[]string{"s1._domainkey.named.example"}},
		{"a key by name", config.Rule{From: []string{"*"}, Keys: []string{"one"}},
			[]string{"s1._domainkey.one.example"}},
		{"keys by the author's domain", config.Rule{From: []string{"*"},
			Keys: []string{"m._domainkey.%"}}, []string{"m._domainkey.a.test", "m._domainkey.b.test"}},
		{"nobody knows whose", config.Rule{From: []string{"*"}, Keys: []string{"any"}}, nil},
		{"not there", config.Rule{From: []string{"*"}, Keys: []string{"gone"}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := cached("fake", sourceOptions{ttl: time.Hour}, fake, slog.New(slog.DiscardHandler))
			for name := range fake {
				if d, ok := strings.CutPrefix(name, "choose:"); ok {
					_, _ = s.Choose(t.Context(), keys.Query{Domain: d})
				} else if _, err := s.Key(t.Context(), name); err != nil {
					t.Fatal(err)
				}
			}
			tc.rule.Source = "fake"
			p := Parts{Config: &config.Config{Sign: []config.Rule{tc.rule, tc.rule}},
				Sources: map[string]*Source{"fake": s}}
			var got []string
			for _, k := range p.Remembered() {
				got = append(got, k.Selector+"._domainkey."+k.Domain)
			}
			if slices.Sort(got); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// fakeRemote holds keys by name, and for "choose:DOMAIN" one that signs.
type fakeRemote map[string]keys.Key

func (f fakeRemote) Key(_ context.Context, name string) (keys.Key, error) {
	if k, ok := f[name]; ok {
		return k, nil
	}
	return keys.Key{}, keys.ErrNotFound
}

func (f fakeRemote) Choose(_ context.Context, q keys.Query) ([]keys.Key, error) {
	if k, ok := f["choose:"+q.Domain]; ok {
		return []keys.Key{k}, nil
	}
	return nil, nil
}
func (f fakeRemote) Narrow(q keys.Query) keys.Query        { return q }
func (f fakeRemote) Check(context.Context) (string, error) { return "fake", nil }
func (f fakeRemote) Close() error                          { return nil }

// lying signs with another key than it shows.
type lying struct{ crypto.Signer }

func (l lying) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{77}, 32)).Sign(random, digest, o)
}

// A key of a source whose halves do not match never signs, whichever way it came.
func TestSourceKeyIsTested(t *testing.T) {
	k := testKey(1)
	k.Signer = lying{k.Signer}
	s := cached("fake", sourceOptions{ttl: time.Hour}, fakeRemote{"k": k, "choose:d1.example": k},
		slog.New(slog.DiscardHandler))
	if got, err := s.Key(t.Context(), "k"); !errors.Is(err, keys.ErrAnswer) ||
		!strings.Contains(err.Error(), "self-test") ||
		!strings.Contains(err.Error(), `domain "d1.example"`) {
		t.Errorf("by name: got %v, %v", got, err)
	}
	if got, err := s.Choose(t.Context(), keys.Query{Domain: "d1.example"}); !errors.Is(err,
		keys.ErrAnswer) || !strings.Contains(err.Error(), "self-test") {
		t.Errorf("whole: got %v, %v", got, err)
	}
}

// A key is tested once, however often the cache forgets it; one that fails is tested each time.
func TestTestedKeys(t *testing.T) {
	good, broken := testKey(1), testKey(1)
	broken.Signer = lying{broken.Signer}
	var tested testedKeys
	for range 2 {
		if err := tested.test(good); err != nil {
			t.Error(err)
		}
		if err := tested.test(broken); err == nil {
			t.Error("a broken key passes, since its public half has been seen")
		}
	}
	if len(tested.passed) != 1 {
		t.Errorf("%d keys are remembered", len(tested.passed))
	}
	text, err := keys.Marshal(good.Signer)
	if err != nil || !tested.has(sha256.Sum256(text)) {
		t.Errorf("the key that passed is not remembered: %v", err)
	}
	for i := range maxTested {
		tested.add([32]byte{byte(i), byte(i >> 8), byte(i >> 16), 1})
	}
	if n := len(tested.passed); n > maxTested {
		t.Errorf("%d keys are remembered, at most %d may be", n, maxTested)
	}
}

// What a table holds stands in a header: names that are none do not sign.
func TestUsable(t *testing.T) {
	s := &Source{Name: "hosting"}
	for _, tc := range []struct{ domain, selector, want string }{
		{"example.com", "s", "s._domainkey.example.com"},
		{"Bücher.example", "s", "s._domainkey.xn--bcher-kva.example"},
		{"%", "2026.mail", "2026.mail._domainkey.%"},
		{"", "s", ""},
		{"example", "s", ""},
		{"example.com", "", ""},
		{"example.com; b=x", "s", ""},
		{"example.com", "s;\r\nX: y", ""},
		{"example..com", "s", ""},
	} {
		k, err := s.Usable(keys.Key{Domain: tc.domain, Selector: tc.selector}, "", "")
		if tc.want == "" {
			if !errors.Is(err, keys.ErrAnswer) {
				t.Errorf("%q %q: got %v, %v", tc.domain, tc.selector, k, err)
			}
			continue
		}
		if got := k.Selector + "._domainkey." + k.Domain; err != nil || got != tc.want {
			t.Errorf("%q %q: got %q, %v; want %q", tc.domain, tc.selector, got, err, tc.want)
		}
	}
}

// testKey is a key of its own for each i.
func testKey(i int) keys.Key {
	seed := bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize)
	return keys.Key{Domain: fmt.Sprintf("d%d.example", i), Selector: "s",
		Signer: ed25519.NewKeyFromSeed(seed)}
}

// TestInherit holds when a source takes over at a reload what the one before it has remembered:
// where it asks the same, in the same directory of keys, wherever the database has moved.
func TestInherit(t *testing.T) {
	base := sourceOptions{ttl: time.Hour,
		sql: keysql.Options{Name: "a", DSN: "postgres://one/keys", KeyQuery: "SELECT 1",
			SigningQuery: "SELECT 2", KeyDir: "/etc/keys"},
		http: keyhttp.Options{URL: "https://keys.example/{key}", KeyDir: "/etc/keys"}}
	for _, tc := range []struct {
		name   string
		change func(*sourceOptions)
		want   bool
	}{
		{"the same", func(*sourceOptions) {}, true},
		{"another name", func(o *sourceOptions) { o.sql.Name = "b" }, true},
		{"another server", func(o *sourceOptions) { o.sql.DSN = "postgres://two/keys" }, true},
		{"another directory of keys", func(o *sourceOptions) { o.sql.KeyDir = "/srv/keys" }, false},
		{"no directory of keys", func(o *sourceOptions) { o.sql.KeyDir = "" }, false},
		{"another directory of a web service's keys", func(o *sourceOptions) { o.http.KeyDir = "/srv/keys" }, false},
		{"another query", func(o *sourceOptions) { o.sql.KeyQuery = "SELECT 3" }, false},
		{"another query for choosing", func(o *sourceOptions) { o.sql.SigningQuery = "SELECT 3" }, false},
		{"another address", func(o *sourceOptions) { o.http.URL = "https://other.example/{key}" }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			key := testKey(1)
			before := cached("fake", base, fakeRemote{"k": key}, slog.New(slog.DiscardHandler))
			if _, err := before.Key(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			wanted := base
			tc.change(&wanted)
			// The new one has nothing: what it answers with is remembered.
			after := cached("fake", wanted, fakeRemote{}, slog.New(slog.DiscardHandler))
			after.inherit(before)
			if _, err := after.Key(t.Context(), "k"); (err == nil) != tc.want ||
				after.HasAnswered() != tc.want && tc.want {
				t.Errorf("the key is there: %v, want %v (%v)", err == nil, tc.want, err)
			}
		})
	}
}
