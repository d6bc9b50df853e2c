package milter_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers says what each package of the module may import of the module, beside the packages that
// the whole of it may use. Arrows run down only: a package is listed after all that it may import.
var layers = []struct {
	pkg string
	may []string
}{
	{"milter/domain", nil},
	{"milter/taglist", nil},
	{"milter/lint", []string{"milter/domain"}},
	{"milter/guard", nil},
	{"milter/action", nil},
	{"milter/message/canon", nil},
	{"milter/message", []string{"milter/domain", "milter/message/canon"}},
	{"milter/expression", []string{"milter/action", "milter/domain", "milter/message"}},
	{"keys/cache", nil},
	{"keys/files", nil},
	{"milter/dns", []string{"milter/domain", "keys/cache", "keys/files"}},
	{"milter/dns/dnstest", []string{"milter/dns"}},
	{"milter/message/messagetest", []string{"milter/message"}},
	{"milter/authres", []string{"milter/domain", "milter/message"}},
	{"milter/dkim", []string{"milter/domain", "milter/message", "milter/dns", "milter/taglist", "milter/lint"}},
	{"milter/dkim/diagnose", []string{"milter/dkim", "milter/message", "milter/taglist"}},
	{"milter/dkim/crosscheck", []string{"milter/message", "milter/taglist"}},
	{"milter/spf", []string{"milter/dns", "milter/domain", "milter/lint"}},
	{"milter/iprev", []string{"milter/dns", "milter/domain"}},
	{"milter/arc", []string{"milter/dkim", "milter/authres", "milter/dns", "milter/domain",
		"milter/message", "milter/taglist"}},
	{"milter/dmarc", []string{"milter/dns", "milter/domain", "milter/taglist", "milter/lint"}},
	{"keys/openssl", nil},
	{"keys", []string{"keys/cache", "keys/files", "keys/openssl"}},
	{"keys/keyfile", []string{"keys", "keys/files"}},
	{"keys/database", []string{"keys", "keys/files"}},
	{"keys/keysql", []string{"keys", "keys/files", "keys/database"}},
	{"keys/keyhttp", []string{"keys", "keys/files"}},
	{"keys/keylife", []string{"keys", "keys/files"}},
	{"milter/keydns", []string{"keys", "milter/domain", "milter/dns", "milter/dkim", "milter/taglist"}},
	{"milter/verify", []string{"milter/spf", "milter/iprev", "milter/arc", "milter/dmarc",
		"milter/dkim", "milter/authres", "milter/dns", "milter/domain", "milter/message"}},
	{"milter/sign", []string{"milter/action", "milter/expression", "milter/message",
		"milter/domain", "milter/dns", "keys", "milter/dkim", "milter/dkim/crosscheck",
		"milter/arc", "milter/authres"}},
	{"milter/rotation", []string{"keys", "keys/keylife", "milter/domain", "milter/dkim",
		"milter/keydns", "milter/sign"}},
	{"milter/report", []string{"milter/domain"}},
	{"milter/report/spool", []string{"milter/report"}},
	{"milter/report/store", []string{"keys/database", "keys/files", "milter/report"}},
	{"milter/report/send", []string{"milter/dkim", "milter/dmarc", "milter/dns", "milter/domain",
		"milter/report", "milter/report/store"}},
	{"milter/report/evidence", []string{"keys/files", "milter/spf"}},
	{"milter", []string{"milter/action", "milter/guard", "milter/message"}},
	{"milter/policy", []string{"milter/action", "milter/expression", "milter/dmarc",
		"milter/verify", "milter/message", "milter/domain", "milter/authres"}},
	{"milter/filter", []string{"milter/action", "milter/dkim", "milter/dkim/diagnose",
		"milter/expression", "milter", "milter/message", "milter/domain", "milter/authres",
		"milter/verify", "milter/sign", "milter/policy", "milter/dmarc", "milter/spf",
		"milter/report", "milter/report/evidence"}},
	{"milter/report/advice", nil},
	{"milter/report/tally", []string{"milter/report", "milter/report/advice"}},
	{"milter/report/origin", []string{"milter/dns", "milter/iprev", "milter/report/advice",
		"milter/report/store", "milter/report/tally"}},
	{"milter/report/alert", []string{"milter/report", "milter/report/advice",
		"milter/report/origin", "milter/report/send", "milter/report/store",
		"milter/report/tally"}},
	{"milter/report/intake", []string{"milter/report", "milter/report/store"}},
	{"milter/report/lmtp", []string{"milter/report", "milter/report/intake", "milter/report/store",
		"milter/authres", "milter/dkim", "milter/dns", "milter/domain", "milter/message"}},
	{"milter/report/web", []string{"milter/report", "milter/report/advice", "milter/report/store",
		"keys/files"}},
	{"milter/report/store/storetest", []string{"keys/database", "milter/report/store"}},
	{"milter/report/testmail", []string{"keys/database", "keys/files", "milter/report/evidence",
		"milter/report/send", "milter/report/web", "milter/spf"}},
	{"milter/shadow", []string{"milter/guard", "milter/message", "milter/authres", "milter/dkim"}},
	{"milter/miltertest", []string{"milter/guard", "keys/files"}},
	{"config/tables", []string{"keys/files"}},
	{"config", []string{"milter/action", "milter/expression", "milter/domain", "config/tables", "keys", "keys/files"}},
	{"config/opendkim", []string{"milter/action", "keys", "config", "config/tables"}},
	{"config/mta", []string{"milter/action", "milter/domain", "keys/files"}},
	{"contrib/test/rig", nil}, // so that the tests of every package can use it
	{"contrib/test/allocations", []string{"contrib/test/rig"}},
	{"contrib/test/hosted", []string{"contrib/test/rig", "keys", "keys/keysql", "milter/dkim",
		"milter/dns/dnstest", "milter/message", "milter/miltertest"}},
}

// onlyIn names the libraries that one package alone may know.
var onlyIn = map[string]string{
	"github.com/emersion/go-milter":   "milter",
	"github.com/emersion/go-msgauth/": "milter/dkim/crosscheck",
	"github.com/BurntSushi/toml":      "config",
	"github.com/pressly/goose":        "milter/report/store",
	"github.com/oschwald/":            "milter/report/origin",
	"github.com/golang-fips/openssl":  "keys/openssl",
	"github.com/expr-lang/expr":       "milter/expression",
	"github.com/chromedp/":            "milter/report/web",
}

func TestLayers(t *testing.T) {
	may := map[string][]string{}
	for _, l := range layers {
		may[l.pkg] = l.may
	}
	for file, imports := range sources(t, "..") {
		pkg := filepath.ToSlash(filepath.Dir(file))
		inContrib := strings.HasPrefix(pkg, "contrib/")
		_, known := may[pkg]
		// programs, and what they share
		isFree := !known && (inContrib || strings.HasPrefix(pkg, "cmd/"))
		if !known && !isFree {
			t.Errorf("%s: package %s is not in the table of layers", file, pkg)
			continue
		}
		for _, path := range imports {
			in, ours := strings.CutPrefix(path, "mailseal/")
			if ours && !isFree && !slices.Contains(may[pkg], in) {
				t.Errorf("%s: %s may not import %s", file, pkg, in)
			}
			if ours && !inContrib && strings.HasPrefix(in, "contrib/") {
				t.Errorf("%s: %s may not import %s: only tests use contrib", file, pkg, in)
			}
			for lib, home := range onlyIn {
				if strings.HasPrefix(path, lib) && pkg != home {
					t.Errorf("%s: %s is imported outside %s", file, lib, home)
				}
			}
		}
	}
}

func TestLayersRunDown(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range layers {
		for _, below := range l.may {
			if !seen[below] {
				t.Errorf("%s may import %s, which is not below it", l.pkg, below)
			}
		}
		seen[l.pkg] = true
	}
}

// sources returns the imports of every Go file of the module but its tests, which may reach for
// more.
func sources(t *testing.T, root string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != root && (strings.HasPrefix(name, ".") ||
			name == "testdata" || name == "var" || name == "bin") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		out[rel] = []string{}
		for _, spec := range f.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			out[rel] = append(out[rel], p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("no Go file found: the test looks in the wrong place")
	}
	return out
}
