package opendkim_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/config"
	"mailseal/config/opendkim"
)

var update = flag.Bool("update", false, "write want.toml and want-report anew")

// TestGolden imports each folder of testdata as if it were another host's /: what comes out is want.toml, which
// config.Parse takes, and want-report. Where want-error stands instead, the import fails with that.
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
			var report strings.Builder
			if err := r.Print(&report); err != nil {
				t.Fatal(err)
			}
			want(t, filepath.Join(dir, "want.toml"), r.TOML)
			want(t, filepath.Join(dir, "want-report"), report.String())
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

// optionsOf finds the files of a case.
func optionsOf(dir string) opendkim.Options {
	o := opendkim.Options{Root: dir}
	for name, to := range map[string]*string{"/opendkim.conf": &o.Conf, "/opendmarc.conf": &o.DMARC, "/default": &o.Defaults} {
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
