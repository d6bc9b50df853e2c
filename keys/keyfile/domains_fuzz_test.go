package keyfile

import (
	"path/filepath"
	"strings"
	"testing"
)

// FuzzDomainPath holds that no author's domain leads out of the directory before "%", nor to
// another domain's file, and that a file which List finds belongs to the domain that it says.
func FuzzDomainPath(f *testing.F) {
	for _, domain := range []string{"a.example", "xn--bcher-kva.example", "..", "a/../b", "", ".",
		"a..b", "-a", "_x.example", "a\x00b", "%", strings.Repeat("a.", 130)} {
		f.Add(domain, "/keys/%/mail.pem")
		f.Add(domain, "/keys/dkim-%.pem")
	}
	f.Fuzz(func(t *testing.T, domain, file string) {
		if !strings.HasPrefix(file, "/") || !strings.Contains(file, "%") ||
			filepath.Clean(file) != file {
			t.Skip("config hands over absolute and clean paths with a % only")
		}
		e := DomainEntry{File: file}
		if !isHostName(domain) {
			return
		}
		path, dir := e.Path(domain), e.Directory()
		below := strings.TrimSuffix(dir, "/") + "/"
		if filepath.Clean(path) != path || !strings.HasPrefix(path, below) {
			t.Errorf("%q in %q leads to %q, out of %q", domain, file, path, dir)
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, dir), "/"), "/")
		if got, ok := e.domainIn(name); ok && got != domain {
			t.Errorf("%q in %q is found as %q", domain, file, got)
		}
	})
}
