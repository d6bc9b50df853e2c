package check

import (
	"crypto/ed25519"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/service"
	"mailseal/config"
	"mailseal/config/mta"
	"mailseal/keys"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
)

// site is a configuration in a directory of its own, which everybody can get to, with the key s.pem
// beside it.
type site struct {
	dir  string
	zone string   // "": the DNS is not asked
	only []string // domains whose keys are compared; none for all
	mta  MTAOptions
	host *config.HostNames
	user *service.Service // with whose rights files are judged; nil: with our own
}

const listen = "authserv_id = \"mx.example.com\"\nlisten = [{ address = \"inet:8891@127.0.0.1\" }]\n"

const signing = "[keys.\"s._domainkey.example.com\"]\nfile = \"s.pem\"\n[[sign]]\nfrom = " +
	"\"example.com\"\nkeys = \"s._domainkey.example.com\"\n"

func newSite(t *testing.T, toml string) *site {
	t.Helper()
	s := &site{dir: filepath.Join(t.TempDir(), "site"), mta: MTAOptions{Skip: true}}
	for dir := s.dir; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		// test directories are closed, which makes any file safe
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text, err := keys.Marshal(testKey().Signer)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "s.pem", string(text), 0o600)
	s.write(t, "mailseal.toml", strings.ReplaceAll(toml, "DIR", s.dir), 0o640)
	return s
}

// testKey is the key of every site.
func testKey() keys.Key {
	seed := []byte("an Ed25519 seed has 32 octets...")
	return keys.Key{Domain: "example.com", Selector: "s", Signer: ed25519.NewKeyFromSeed(seed)}
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.path(name), mode); err != nil {
		t.Fatal(err)
	}
}

// check runs a check of the site, and returns what it finds, without what the directories above the
// site are to blame for.
func (s *site) check(t *testing.T) ([]Finding, *Result) {
	t.Helper()
	var found []Finding
	o := Options{File: s.path("mailseal.toml"), ConfigFlag: s.path("mailseal.toml"), MTA: s.mta,
		Names: s.host, Service: s.user, Domains: s.only}
	o.Report = func(f Finding) {
		if f.Code != DirectoryMode && f.Code != DirectoryOwner || strings.Contains(f.Text, s.dir) {
			found = append(found, f)
		}
	}
	if s.zone != "" {
		zone, err := dnstest.Load(strings.NewReader(s.zone))
		if err != nil {
			t.Fatal(err)
		}
		o.DNS, o.Resolver = true, zone
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return found, r
}

// codes lists the codes of findings, sorted, each once.
func codes(found []Finding) []Code {
	out := []Code{}
	for _, f := range found {
		out = append(out, f.Code)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// load reads the site's configuration.
func (s *site) load(t *testing.T) *config.Config {
	t.Helper()
	cfg, err := config.Load(s.path("mailseal.toml"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// txt returns the TXT records of a name.
func txt(t *testing.T, r dns.Resolver, name string) []string {
	t.Helper()
	a, err := r.Lookup(t.Context(), name, dns.TXT)
	if err != nil || len(a.Texts) == 0 {
		t.Fatalf("no record of %s: %v", name, err)
	}
	return a.Texts
}

// onlyHost is this host without the mail servers that are installed on it.
type onlyHost struct{}

func (onlyHost) hides(name string) bool {
	return strings.HasPrefix(name, PostfixDir+"/") || strings.HasPrefix(name, SendmailDir+"/")
}

func (h onlyHost) ReadFile(name string) ([]byte, error) {
	if h.hides(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return mta.HostAt("/").ReadFile(name)
}

func (h onlyHost) ReadDir(name string) ([]string, error) { return mta.HostAt("/").ReadDir(name) }

func (h onlyHost) Lstat(name string) (mta.Node, error) {
	if h.hides(name) {
		return mta.Node{}, &fs.PathError{Op: "lstat", Path: name, Err: fs.ErrNotExist}
	}
	return mta.HostAt("/").Lstat(name)
}
