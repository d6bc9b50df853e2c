package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestShadowUsage holds what the command line does not take.
func TestShadowUsage(t *testing.T) {
	for _, tc := range []struct{ flag, value string }{
		{"--upstream", "fd:x"},
		{"--upstream", "127.0.0.1:1"},
		{"--mode", "rw"},
		{"--role", "mine"},
		{"--ignore", "fields,polizei"},
	} {
		args := []string{"shadow", "--listen", "inet:0@127.0.0.1", "--upstream", "inet:1@127.0.0.1",
			tc.flag, tc.value}
		_, stderr, code := runCommandErr(t, args...)
		if code != exitUsage || !strings.Contains(stderr, tc.flag+": ") {
			t.Errorf("%s %s: exit code %d, want %d: %s", tc.flag, tc.value, code, exitUsage, stderr)
		}
	}
}

// TestShadowReport holds the table of a log, and the exit code that reports whether something
// differs.
func TestShadowReport(t *testing.T) {
	const same, differs = "time=1 level=INFO msg=same author=a.example\n",
		"time=2 level=WARN msg=differs author=b.example in=signed,fields\n"
	for _, tc := range []struct {
		name, log string
		args      []string
		code      int
		want      string
	}{
		{"nothing", "", nil, exitUnknown, "0  messages"},
		{"all the same", same + same, nil, exitGood, "1 to 1\n  2  messages\n  2  same\n  0  differ\n"},
		{"one differs", same + differs, nil, exitBad,
			"1 to 2\n  2  messages\n  1  same\n  1  differ\n  1  differ in: signed (b.example " +
				"1)\n  1  differ in: fields (b.example 1)\n"},
		{"one kind ignored", same + differs, []string{"--ignore", "fields"}, exitBad,
			"  1  differ\n  1  differ in: signed (b.example 1)\n"},
		{"all that differs ignored", same + differs, []string{"--ignore", "fields,signed"},
			exitGood, "  2  messages\n  2  same\n  0  differ\n"},
		{"no such kind", same, []string{"--ignore", "polizei"}, exitUsage, ""},
		{"as JSON", same + differs, []string{"--json"}, exitBad,
			`"domains":{"fields":{"b.example":1},"signed":{"b.example":1}}`},
	} {
		out, errs, code := mailseal(t, tc.log, append([]string{"shadow", "report"}, tc.args...)...)
		if code != tc.code || !strings.Contains(out, tc.want) {
			t.Errorf("%s: %s, exit code %d, want %d\n%s\nwant\n%s", tc.name, errs, code, tc.code,
				out, tc.want)
		}
	}
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, []byte(same), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, code := range map[string]int{file: exitGood, file + ".gone": exitUnknown} {
		if _, errs, got := mailseal(t, "", "shadow", "report", args); got != code {
			t.Errorf("%s: %s, exit code %d, want %d", args, errs, got, code)
		}
	}
}
