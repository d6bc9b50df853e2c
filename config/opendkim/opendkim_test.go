package opendkim_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailseal/config"
	"mailseal/config/opendkim"
	"mailseal/config/tables"
)

var update = flag.Bool("update", false, "write want.toml and want-report again")

// TestGolden imports each folder of testdata as if it were another host's /: what comes out is
// want.toml, which config.Parse takes, and want-report, where codes stand for sentences. Where
// want-error stands instead, the import fails with that.
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/[0-9]*")
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases", err)
	}
	for _, dir := range cases {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			r, err := opendkim.Import(optionsOf(dir))
			if err != nil {
				want(t, filepath.Join(dir, "want-error"), err.Error()+"\n")
				return
			}
			want(t, filepath.Join(dir, "want.toml"), r.TOML)
			want(t, filepath.Join(dir, "want-report"), coded(r))
			c, err := config.Parse("mailseal.toml", []byte(r.TOML))
			if err != nil {
				t.Fatalf("config does not take it: %v\n%s", err, r.TOML)
			}
			for _, w := range c.Warnings {
				if strings.Contains(w.Text, "never reached") {
					t.Errorf("a rule that nothing reaches: %v", w)
				}
			}
		})
	}
}

// coded writes a report by the codes of its notes.
func coded(r *opendkim.Report) string {
	var b strings.Builder
	var group opendkim.Group
	for _, n := range r.Notes {
		if n.Group != group {
			group = n.Group
			fmt.Fprintf(&b, "%s:\n", group)
		}
		fmt.Fprintf(&b, "  %s\n", n.Coded())
	}
	return b.String()
}

// TestSentences holds the sentence of every code, as the first of the folders that has it shows it,
// or, where none has it, as it is before what it names is put in. It is the one place where the
// wording of the report is tested as a whole.
func TestSentences(t *testing.T) {
	dirs, err := filepath.Glob("testdata/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	sentences, shown := opendkim.Codes(), map[tables.Code]bool{}
	for _, dir := range dirs {
		r, err := opendkim.Import(optionsOf(dir))
		if err != nil {
			continue
		}
		for _, n := range r.Notes {
			if _, known := sentences[n.Code]; !known || strings.Contains(n.Text, "%!") ||
				n.Group == "" {
				t.Errorf("%s: %s: %s: %q", dir, n.Code, n.Group, n.Text)
			}
			if !shown[n.Code] {
				shown[n.Code] = true
				sentences[n.Code] = n.Text
			}
		}
	}
	var got strings.Builder
	for _, c := range slices.Sorted(maps.Keys(sentences)) {
		fmt.Fprintf(&got, "%s: %s\n", c, sentences[c])
	}
	want(t, "testdata/sentences", got.String())
}

// optionsOf finds the files of a case.
func optionsOf(dir string) opendkim.Options {
	o := opendkim.Options{Root: dir}
	for name, to := range map[string]*string{"/opendkim.conf": &o.Conf, "/opendmarc.conf": &o.DMARC,
		"/default": &o.Defaults} {
		if _, err := os.Stat(dir + name); err == nil {
			*to = name
		}
	}
	return o
}

func want(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; got:\n%s", err, got)
	}
	if string(b) != got {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, b)
	}
}
