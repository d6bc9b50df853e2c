package keyfile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailseal/keys"
)

// lately is a Memory.
type lately map[string][]string

func (m lately) HasKey(domain, name string)     { m[domain] = append(m[domain], name) }
func (m lately) HadKeys(domain string) []string { return m[domain] }

// tree makes a directory with the keys of two domains, and returns the source of its keys.
func tree(t *testing.T, m Memory, o DomainOptions) (string, *Domains) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	for _, name := range []string{"one.example", "two.example"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, "mail.pem"))
	}
	d := NewDomains(map[string]DomainEntry{
		"mail._domainkey.%": {Domain: "%", Selector: "mail", File: filepath.Join(dir, "%", "mail.pem")},
	}, o)
	if m != nil {
		d.Remember(m)
	}
	return dir, d
}

// write writes a new key.
func write(t *testing.T, path string) {
	t.Helper()
	signer, err := keys.Generate(keys.Ed25519, 0)
	if err != nil {
		t.Fatal(err)
	}
	text, err := keys.Marshal(signer)
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestDomains(t *testing.T) {
	const general = "mail._domainkey.%"
	for _, tt := range []struct {
		name   string
		domain string
		had    lately
		damage func(t *testing.T, dir string)
		want   error // nil: a key
	}{
		{name: "its key", domain: "one.example"},
		{name: "no key", domain: "three.example", want: keys.ErrNone},
		{name: "a way out", domain: "../keys/one.example", want: keys.ErrNone},
		{name: "the directory itself", domain: ".", want: keys.ErrNone},
		{name: "no name", domain: "", want: keys.ErrNone},
		{name: "capitals", domain: "ONE.example", want: keys.ErrNone},
		{name: "a hyphen before", domain: "-one.example", want: keys.ErrNone},
		{
			name: "not mounted", domain: "three.example", want: ErrTree,
			damage: func(t *testing.T, dir string) { must(t, os.Rename(dir, dir+".away")) },
		},
		{
			name: "a file where the directory was", domain: "three.example", want: errOther,
			damage: func(t *testing.T, dir string) {
				must(t, os.Rename(dir, dir+".away"))
				must(t, os.WriteFile(dir, nil, 0o600))
			},
		},
		{
			name: "lost", domain: "one.example", had: lately{"one.example": {general}}, want: ErrLost,
			damage: func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "one.example"))) },
		},
		{
			name: "removed long ago", domain: "one.example", want: keys.ErrNone,
			damage: func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "one.example"))) },
		},
		{
			name: "lost under another entry", domain: "three.example", want: ErrLost,
			had: lately{"three.example": {"as it was called before"}},
		},
		{
			name: "a link to nothing", domain: "three.example", want: errOther,
			damage: func(t *testing.T, dir string) {
				must(t, os.Symlink("/nonexistent/keys", filepath.Join(dir, "three.example")))
			},
		},
		{
			name: "not a key", domain: "one.example", want: keys.ErrMalformed,
			damage: func(t *testing.T, dir string) {
				must(t, os.WriteFile(filepath.Join(dir, "one.example", "mail.pem"), []byte("?"),
					0o600))
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			had := tt.had
			if had == nil {
				had = lately{}
			}
			dir, d := tree(t, had, DomainOptions{})
			if tt.damage != nil {
				tt.damage(t, dir)
			}
			before := len(had[tt.domain])
			k, err := d.KeyFor(t.Context(), general, tt.domain)
			switch {
			case tt.want == errOther:
				if err == nil || errors.Is(err, keys.ErrNone) {
					t.Errorf("got %v, want an error that defers", err)
				}
			case !errors.Is(err, tt.want) || tt.want == nil && (err != nil || k.Signer == nil):
				t.Errorf("got %v, %v, want %v", k, err, tt.want)
			}
			if noted := len(had[tt.domain]) > before; noted != (err == nil) {
				t.Errorf("remembered: %v, with the error %v", noted, err)
			}
		})
	}
}

// errOther stands for any error but keys.ErrNone.
var errOther = errors.New("another error")

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A key that is replaced signs from then on; one that goes and comes back does, too.
func TestDomainsFollowFiles(t *testing.T) {
	dir, d := tree(t, lately{}, DomainOptions{})
	file := filepath.Join(dir, "one.example", "mail.pem")
	look := func() string {
		t.Helper()
		k, err := d.KeyFor(t.Context(), "mail._domainkey.one.example", "one.example")
		if err != nil {
			return err.Error()
		}
		print, err := k.Fingerprint()
		must(t, err)
		return print
	}
	first := look()
	if !d.Is(d.entries, false) || d.Is(d.entries, true) || d.Is(nil, false) ||
		(*Domains)(nil).Is(nil, false) {
		t.Error("which entries a source is of is not told apart")
	}
	must(t, os.Remove(file))
	write(t, file)
	second := look()
	if first == second {
		t.Errorf("the key that was replaced still signs")
	}
	must(t, os.Rename(file, file+"~"))
	if got := look(); !strings.Contains(got, "restore it") {
		t.Errorf("lost: got %q", got)
	}
	must(t, os.Rename(file+"~", file))
	if got := look(); got != second {
		t.Errorf("put back: got %q, want %q", got, second)
	}
}

func TestDomainsRefuseUnsafe(t *testing.T) {
	dir, d := tree(t, nil, DomainOptions{RequireSafe: true})
	for at := range 3 { // up to the directory that the test was given
		must(t, os.Chmod(filepath.Join(dir, strings.Repeat("../", at)), 0o755))
	}
	must(t, os.Chmod(filepath.Join(dir, "one.example"), 0o755))
	must(t, os.Chmod(filepath.Join(dir, "one.example", "mail.pem"), 0o644))
	if _, err := d.KeyFor(t.Context(), "mail._domainkey.%", "one.example"); !errors.Is(err,
		ErrUnsafe) {
		t.Errorf("a key that all may read: got %v, want %v", err, ErrUnsafe)
	}
}

func TestDomainsList(t *testing.T) {
	dir, d := tree(t, nil, DomainOptions{})
	must(t, os.Mkdir(filepath.Join(dir, "empty.example"), 0o700))
	must(t, os.Mkdir(filepath.Join(dir, "Not A Domain"), 0o700))
	got, err := d.List("mail._domainkey.%")
	if want := []string{"one.example", "two.example"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestDomainIn(t *testing.T) {
	for _, tt := range []struct{ file, name, want string }{
		{"/keys/%/mail.pem", "a.example", "a.example"},
		{"/keys/%.pem", "a.example.pem", "a.example"},
		{"/keys/dkim-%/x", "dkim-a.example", "a.example"},
		{"/keys/dkim-%/x", "a.example", ""},
		{"/keys/%.pem", ".pem", ""},
		{"/keys/aa%aa", "aaa", ""},
	} {
		e := DomainEntry{File: tt.file}
		got, ok := e.domainIn(tt.name)
		if !ok {
			got = ""
		}
		if got != tt.want {
			t.Errorf("%s in %s: got %q, want %q", tt.name, tt.file, got, tt.want)
		}
		if e.Directory() != "/keys" {
			t.Errorf("%s: directory %q", tt.file, e.Directory())
		}
	}
}

// TestDomainsShareAFile holds that entries of one file sign by their own selectors.
func TestDomainsShareAFile(t *testing.T) {
	dir, _ := tree(t, nil, DomainOptions{})
	file := filepath.Join(dir, "%", "mail.pem")
	d := NewDomains(map[string]DomainEntry{
		"a._domainkey.%": {Domain: "%", Selector: "a", File: file},
		"b._domainkey.%": {Domain: "%", Selector: "b", File: file},
	}, DomainOptions{})
	for _, selector := range []string{"a", "b", "a"} {
		k, err := d.KeyFor(t.Context(), selector+"._domainkey.%", "one.example")
		if err != nil || k.Selector != selector {
			t.Errorf("%s: got %q, %v", selector, k.Selector, err)
		}
	}
}

// TestDomainsForgetErrors holds that an error which is not of the file passes while the file stays
// as it is: here of a directory that all could write to.
func TestDomainsForgetErrors(t *testing.T) {
	dir, d := tree(t, nil, DomainOptions{RequireSafe: true})
	for at := range 3 { // up to the directory that the test was given
		must(t, os.Chmod(filepath.Join(dir, strings.Repeat("../", at)), 0o755))
	}
	own := filepath.Join(dir, "one.example")
	must(t, os.Chmod(own, 0o777))
	if _, err := d.KeyFor(t.Context(), "mail._domainkey.%", "one.example"); !errors.Is(err,
		ErrUnsafe) {
		t.Fatalf("in a directory of everybody's: got %v, want %v", err, ErrUnsafe)
	}
	must(t, os.Chmod(own, 0o755))
	if _, err := d.KeyFor(t.Context(), "mail._domainkey.%", "one.example"); err != nil {
		t.Errorf("once it is closed: %v", err)
	}
}
