package dkim

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// numbered returns the i-th of as many records as one likes, all sound.
func numbered(i int) string {
	key := make(ed25519.PublicKey, ed25519.PublicKeySize)
	copy(key, fmt.Sprint(i))
	return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key)
}

// rsaRecord returns the record of the key of testdata.
func rsaRecord(t *testing.T) string {
	text, err := os.ReadFile("testdata/rsa2048.pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return "v=DKIM1; t=y:s; p=" + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&key.PublicKey))
}

func (c *recordCache) count() int { return len(c.recent) + len(c.older) }

func TestRecordCache(t *testing.T) {
	text := rsaRecord(t)
	long := text + "; n=" + strings.Repeat("a", longestKept)
	for _, c := range []struct {
		name, text string
		kept       int
		err        bool
	}{
		{"RSA", text, 1, false},
		{"Ed25519", numbered(1), 1, false},
		{"revoked", "v=DKIM1; p=", 0, true},
		{"no record", "v=spf1 -all", 0, true},
		{"too long", long, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cache := recordCache{size: 10}
			first, firstErr := cache.read(c.text)
			again, err := cache.read(c.text)
			if cache.count() != c.kept || (err != nil) != c.err || (firstErr != nil) != c.err {
				t.Errorf("%d records are kept, errors %v, %v", cache.count(), firstErr, err)
			}
			want, _ := ParseRecord(c.text)
			if again.Text != want.Text || again.Testing != want.Testing || again.Strict != want.Strict || first.Text != want.Text {
				t.Errorf("read again, it is %+v, want %+v", again, want)
			}
			if kept := c.kept == 1 && first.Key.rsa != nil; kept && first.Key.rsa != again.Key.rsa {
				t.Error("the second key is another one")
			}
		})
	}
}

// TestRecordCacheIsBounded has strangers publish ever new keys while one domain goes on writing.
func TestRecordCacheIsBounded(t *testing.T) {
	cache := recordCache{size: 10}
	for i := range 100 {
		cache.read(numbered(1000 + i))
		if _, known := cache.get(numbered(7)); known != (i > 0) {
			t.Fatalf("after %d others, the record in use is known: %t", i, known)
		}
		cache.read(numbered(7))
		if n := cache.count(); n > cache.size {
			t.Fatalf("%d records are kept, want at most %d", n, cache.size)
		}
	}
	if _, known := cache.get(numbered(1000)); known {
		t.Error("the first record is still known")
	}
}

func TestRecordCacheConcurrently(t *testing.T) {
	cache := recordCache{size: 10}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for i := range 500 {
				text := numbered(i % 13)
				r, err := cache.read(text)
				if err != nil || r.Text != text {
					t.Errorf("read %q as %q, %v", text, r.Text, err)
				}
			}
		})
	}
	wait.Wait()
}

// Records that are read as what they are, and told in few words whatever they hold.
func TestBrokenRecordIsCut(t *testing.T) {
	long := strings.Repeat("x", 2000)
	for _, c := range []struct{ name, record, reason string }{
		{"no semicolons", "v=DKIM1 k=rsa p=" + long, "the key record has version "},
		{"an endless type", "v=DKIM1; k=" + long + "; p=AAAA", "the key record is of an unknown type (k=x"},
		{"an endless hash", "v=DKIM1; h=" + long + "; p=AAAA", "the key record does not allow SHA-256 (h=x"},
		{"an endless service", "v=DKIM1; s=" + long + "; p=AAAA", "the key record is not for mail (s=x"},
		{"no tags at all", long, "the key record is not a list of tags"},
		{"RSA-PSS", "v=DKIM1; k=rsa; p=MIIBIDALBgkqhkiG9w0BAQoDggEPADCCAQoCggEBALBf0aDpUNyI3UlP5x2T81CnjnCvV/t3L/Yuk2Xa9YHtCiedvyMUE/emb3Ccs0RPv0WZOCGt9iVwaTZjfoFHIpNJGWfs8/DEtN/aECnv1shfHqDps3JkPYSCHVjRo7+FpFufzz9axP44Kvv+IubhXNAIT9pQHs3Zr55/4v34V3lUk+8Gc6lAl9bpL9dzKOM932AQpWEvbZUS0Rj/eAzTeXUuYs3FZtu0YemtjR6kpitx457kDT0kgjjw++WK+1rtxaNSHU0ZWHy3JjKLfO/e5fO4RITYKNpH1lQC9pFaB8N8j217Nam25ncWxFx8yinIqHWLKJXjbMbWeADkqe6NfQcCAwEAAQ==",
			"the key in the record is an RSA-PSS key; DKIM has plain RSA only"},
		{"neither", "v=DKIM1; k=rsa; p=AAAA", "the key in the record cannot be read"},
	} {
		_, err := ParseRecord(c.record)
		if err == nil || !strings.Contains(err.Error(), c.reason) || len(err.Error()) > 160 {
			t.Errorf("%s: got %v, want %s", c.name, err, c.reason)
		}
	}
}
