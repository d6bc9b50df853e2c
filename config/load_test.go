package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/config"
)

// files writes files into a new directory and returns it.
func files(t *testing.T, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const rulesOfA = `
[keys."m._domainkey.a.example"]
file = "a.pem"
[[sign]]
from = "a.example"
keys = "m._domainkey.a.example"
`

func TestInclude(t *testing.T) {
	const main = "authserv_id = \"mx.example.com\"\ninclude = [\"conf.d/*.toml\"]\n"
	tests := []struct {
		name  string
		files map[string]string
		want  []string // problems, each a part of a line; none: it loads
	}{
		{"two", map[string]string{"m.toml": main, "conf.d/a.toml": rulesOfA,
			"conf.d/b.toml": "[signing]\nexpiry = \"5d\"\n"}, nil},
		{"none", map[string]string{"m.toml": main}, nil},
		{"itself among them", map[string]string{"m.toml": "include = \"*.toml\"\n", "a.toml": rulesOfA}, nil},
		{"key of another file", map[string]string{"m.toml": main + "[[sign]]\nfrom = \"*\"\nkeys " +
			"= \"m._domainkey.a.example\"\ndomain = \"%\"\n", "conf.d/a.toml": rulesOfA}, nil},
		{"set twice", map[string]string{"m.toml": main + "[log]\nlevel = \"warn\"\n",
			"conf.d/a.toml": "[log]\nlevel = \"info\"\n"},
			[]string{"conf.d/a.toml:2: log.level: is already set in", "m.toml, line 4"}},
		{"key twice", map[string]string{"m.toml": main, "conf.d/a.toml": rulesOfA, "conf.d/b.toml": "\n" + rulesOfA},
			[]string{"conf.d/b.toml:3: keys.\"m._domainkey.a.example\": is already in"}},
		{"mistake in a rule", map[string]string{"m.toml": main + rulesOfA,
			"conf.d/b.toml": "[[sign]]\nfrom = \"b.example\"\nkeys = \"x\"\n"},
			[]string{"conf.d/b.toml:3: sign[0].keys[0]: there is no key \"x\""}},
		{"one broken, one mistaken", map[string]string{"m.toml": main, "conf.d/a.toml": "x = \n",
			"conf.d/b.toml": "y = 1\n[[sign]]\nfrom=\"c\"\nkeys=\"k\"\n"},
			[]string{"conf.d/a.toml:1: x: ", "conf.d/b.toml:1: y: unknown setting"}},
		{"cannot be read", map[string]string{"m.toml": main +
			"[[sign]]\nfrom = \"a.example\"\nkeys = \"in the other file\"\n",
			"conf.d/a.toml/x": ""},
			[]string{"conf.d/a.toml: it is a directory"}},
		{"includes further", map[string]string{"m.toml": main,
			"conf.d/a.toml": "include = \"x\"\n"}, []string{"conf.d/a.toml:1: include: an included file"}},
		{"missing by name", map[string]string{"m.toml": "include = \"rules.toml\"\n"},
			[]string{"m.toml:1: include[0]: no file "}},
		{"no pattern", map[string]string{"m.toml": "include = [\"[\", \"\"]\n"},
			[]string{"include[0]: ", "include[1]: "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := files(t, tt.files)
			c, err := config.Load(filepath.Join(dir, "m.toml"))
			if tt.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				if _, ok := tt.files["conf.d/a.toml"]; ok &&
					c.Keys["m._domainkey.a.example"].File != filepath.Join(dir, "conf.d/a.pem") {
					t.Errorf("got %s, want it beside the file that names it",
						c.Keys["m._domainkey.a.example"].File)
				}
				return
			}
			if err == nil {
				t.Fatal("got no problem")
			}
			if tt.name == "cannot be read" && strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v: what refers to a file that cannot be read is no mistake", err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %v, want it to say %q", err, part)
				}
			}
		})
	}
}

func TestIncludeOrder(t *testing.T) {
	rule := func(domain string) string {
		return "[[sign]]\nfrom = \"" + domain + "\"\nkeys = \"m._domainkey.%\"\n"
	}
	dir := files(t, map[string]string{
		"m.toml": "authserv_id = \"mx.example.com\"\ninclude = [\"z/*.toml\", \"b.toml\", \"[ab].toml\"]\n" +
			rule("main.example"),
		"a.toml": rule("a.example"), "b.toml": rule("b.example"), "z/c.toml": rule("c.example"),
	})
	c, err := config.Load(dir + "/m.toml")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range c.Sign {
		got = append(got, r.From...)
	}
	if want := "[*@main.example *@a.example *@b.example *@c.example]"; fmt.Sprint(got) != want {
		t.Errorf("got rules in the order %v, want %s", got, want)
	}
}

func TestLoadNothing(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "mailseal.toml"))
	var problems config.Problems
	if !errors.As(err, &problems) || len(problems) != 1 || !strings.HasSuffix(err.Error(),
		`mailseal.toml: no such file or directory: -c names it; is the path right? "mailseal setup" makes a configuration`) {
		t.Errorf("got %v", err)
	}
}

// hoster writes the configuration of so many domains, each with a key and a rule.
func hoster(domains int) []byte {
	var b strings.Builder
	b.WriteString("authserv_id = \"mx.example.com\"\n")
	for i := range domains {
		fmt.Fprintf(&b, "[keys.\"mail._domainkey.d%d.example\"]\nfile = \"/keys/%d.pem\"\n", i, i)
	}
	for i := range domains {
		fmt.Fprintf(&b, "[[sign]]\nfrom = [\"d%d.example\"]\nkeys = [\"mail._domainkey.d%d.example\"]\n", i, i)
	}
	return []byte(b.String())
}

// TestGrowth counts the work of reading tables of hosters: five times the domains, not much more
// than five times the work.
func TestGrowth(t *testing.T) {
	work := func(text []byte) float64 {
		return testing.AllocsPerRun(1, func() {
			if _, err := config.Parse("m.toml", text); err != nil &&
				!strings.Contains(err.Error(), "no key") {
				t.Fatal(err)
			}
		})
	}
	wrong := func(domains int) []byte {
		return []byte(strings.ReplaceAll(string(hoster(domains)), "keys = [\"mail.",
			"keys = [\"male."))
	}
	for _, tt := range []struct {
		name string
		text func(domains int) []byte
	}{{"good", hoster}, {"every rule wrong", wrong}} {
		small, large := work(tt.text(400)), work(tt.text(2000))
		if large > 6*small {
			t.Errorf("%s: got %.0f allocations for 2,000 domains and %.0f for 400", tt.name, large,
				small)
		}
	}
}

func BenchmarkParse10000(b *testing.B) {
	text := hoster(10000)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := config.Parse("m.toml", text); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(config.Sample())
	mistakes, err := os.ReadFile("testdata/mistakes.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(mistakes))
	f.Add(string(hoster(2)))
	f.Add("a = \"\"\"\n\\\"\"\"\"\"\"\n[[\"x\".y]]\nz = [[{a.b = 1}], '''']''']\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Parse("m.toml", []byte(text))
		var problems config.Problems
		switch {
		case err == nil && c == nil, err != nil && (!errors.As(err, &problems) ||
			len(problems) == 0):
			t.Fatalf("got %v, %v", c, err)
		case err == nil:
			problems = c.Warnings
		}
		count := strings.Count(text, "\n") + 1
		for _, p := range problems {
			if p.Line < 0 || p.Line > count || p.Text == "" {
				t.Errorf("got problem %+v in a text of %d lines", p, count)
			}
		}
	})
}

// TestIncludeOfNoDirectory wants a warning where a pattern cannot match because its directory is
// missing.
func TestIncludeOfNoDirectory(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.toml")
	text := "authserv_id = \"mx.example.com\"\nmode = \"verify\"\ninclude = [\"conf.d/*.toml\"]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	warnings := func() string {
		c, err := config.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		return config.Problems(c.Warnings).Error()
	}
	if got := warnings(); !strings.Contains(got, "m.toml:3: include[0]: ") ||
		!strings.Contains(got, "matches no file: the directory") {
		t.Errorf("got %q", got)
	}
	if err := os.Mkdir(filepath.Join(dir, "conf.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := warnings(); got != "" {
		t.Errorf("with an empty directory: %q", got)
	}
}
