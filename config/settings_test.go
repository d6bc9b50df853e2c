package config

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the sample and the manual page again")

// TestSettingsAndStructs holds the tables of settings against the structs, both ways.
func TestSettingsAndStructs(t *testing.T) {
	inStructs := map[string]bool{}
	var walk func(path string, t reflect.Type)
	walk = func(path string, t reflect.Type) {
		for name, f := range fieldsOf(t) {
			at, kind := dotted(path, name), f.kind
			switch {
			case kind.Kind() == reflect.Map && kind.Elem().Kind() == reflect.Struct:
				walk(at+".NAME", kind.Elem())
				continue
			case kind.Kind() == reflect.Slice && kind.Elem().Kind() == reflect.Struct &&
				!isScalar(kind.Elem()):
				walk(at+"[]", kind.Elem())
				continue
			case kind.Kind() == reflect.Struct && !isScalar(kind):
				walk(at, kind)
				if settingAt(at) == nil {
					continue
				}
			}
			inStructs[at] = true
		}
	}
	walk("", reflect.TypeFor[Config]())
	for path := range inStructs {
		if settingAt(path) == nil {
			t.Errorf("%s is already in no table of settings", path)
		}
	}
	for path := range settingsByPath() {
		if !inStructs[path] {
			t.Errorf("%s is already in no struct", path)
		}
	}
}

// TestSettingsAreWhole holds each setting to what the sample and the manual page need of it, and
// its example to itself.
func TestSettingsAreWhole(t *testing.T) {
	for _, sec := range sections {
		if !strings.HasSuffix(sec.doc, ".") {
			t.Errorf("%s: %q is no sentence", sec.header, sec.doc)
		}
		for _, s := range sec.settings {
			path := dotted(sec.path, s.name)
			if !strings.HasSuffix(s.doc, ".") {
				t.Errorf("%s: %q is no sentence", path, s.doc)
			}
			if _, ok := forms[s.form]; s.form != "" && !ok {
				t.Errorf("%s: no form %q", path, s.form)
			}
			if s.def == "" && s.example == "" {
				t.Errorf("%s has neither default nor example", path)
			}
			for _, text := range []string{s.def, s.example} {
				if text == "" {
					continue
				}
				d := decoder{file: &file{}, seen: map[string]place{}}
				d.value(place{path: path}, path, literal(text), reflect.New(typeAt(path)).Elem())
				for _, p := range d.problems {
					t.Errorf("%s = %s: %s", path, text, p.Text)
				}
			}
		}
	}
}

func TestSampleRuns(t *testing.T) {
	c, err := Parse("mailseal.toml", []byte(Sample()))
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse("mailseal.toml", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range []*Config{c, want} { // where things stood differs, what they say does not
		each.Warnings, each.origin = nil, nil
		for i := range each.Listen {
			each.Listen[i].placed = placed{}
		}
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("the sample says something else than an empty file: got %+v, want %+v", c, want)
	}
}

// TestSampleUncommented does what a reader of the sample does.
func TestSampleUncommented(t *testing.T) {
	var b strings.Builder
	in := false
	for line := range strings.Lines(Sample()) {
		if name, ok := strings.CutPrefix(line, "#["); ok {
			in = strings.HasPrefix(name, "keys.") || strings.HasPrefix(name, "[sign]") ||
				strings.HasPrefix(name, "sign.when")
		} else if strings.HasPrefix(line, "[") {
			in = false
		}
		text, commented := strings.CutPrefix(line, "#")
		skip := strings.HasPrefix(text, "private_key") || strings.HasPrefix(text, "source") ||
			strings.HasPrefix(text, "managed")
		if in && commented && !skip && !strings.HasPrefix(text, " ") {
			line = text
		}
		b.WriteString(line)
	}
	c, err := Parse("mailseal.toml", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Keys) != 1 || len(c.Sign) != 1 || len(c.Sign[0].When.Recipients) != 1 {
		t.Errorf("got %d keys, %d rules; want one each, with a condition", len(c.Keys), len(c.Sign))
	}
}

func TestDocumentsAreFresh(t *testing.T) {
	for path, want := range map[string]string{
		"../contrib/mailseal.toml":       Sample(),
		"../contrib/man/mailseal.toml.5": Manual(),
	} {
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is stale: go test ./config -run Documents -update", path)
		}
	}
}

// TestManualIsRoff lets groff, where there is one, look for requests that it does not know.
func TestManualIsRoff(t *testing.T) {
	if _, err := exec.LookPath("groff"); err != nil {
		t.Skip("groff is not installed")
	}
	cmd := exec.Command("groff", "-man", "-Tascii", "-ww", "-z")
	cmd.Stdin = strings.NewReader(Manual())
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("groff: %v\n%s", err, out)
	}
}

const sourceOfKeys = `authserv_id = "mx.example.com"
mode = "sign"
listen = [{ address = "inet:8891@127.0.0.1" }]
sources = { a = { driver = "sqlite", dsn = "/x", key_query = "SELECT domain, selector, key FROM keys WHERE name = $1" } }
keys = { k = { source = "a" } }
sign = [{ from = "example.com", keys = "k" }]
`

// The default of cache_size leaves room for several sources under the memory limit of the service
// units.
func TestCacheSizeFitsUnits(t *testing.T) {
	const sources = 4
	path := filepath.Join(t.TempDir(), "mailseal.toml")
	if err := os.WriteFile(path, []byte(sourceOfKeys), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, unit := range []string{"mailseal.service", "mailseal-shadow.service"} {
		text, err := os.ReadFile("../contrib/systemd/" + unit)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), "\nMemoryMax=")
		line, _, _ := strings.Cut(rest, "\n")
		most, err := parseSize(strings.ToLower(line) + "iB")
		if err != nil {
			t.Fatalf("%s: MemoryMax=%s: %v", unit, line, err)
		}
		if size := cfg.Sources["a"].CacheSize; size == 0 || 2*sources*size > most/2 {
			t.Errorf("%s: %d sources of %d bytes, doubled by the garbage collector, leave nothing of %d",
				unit, sources, size, most)
		}
	}
}
