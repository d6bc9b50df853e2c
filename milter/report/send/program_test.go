package send

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProgram holds what a sendmail(1) is given, and what its exit codes mean.
func TestProgram(t *testing.T) {
	for _, tc := range []struct {
		name, script string
		want         string // "": taken; "refused", "later"
	}{
		{"taken", "exit 0", ""},
		{"no such user", "echo no such user; exit 67", "refused"},
		{"unavailable", "exit 69", "refused"},
		{"later", "echo queue file write error; exit 75", "later"},
		{"our bug or its", "exit 1", "later"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "sendmail")
		script := "#!/bin/sh\necho \"$@\" >" + dir + "/args\ncat >" + dir + "/mail\n" + tc.script +
			"\n"
		if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		err := (&Program{path}).Hand(t.Context(), "r+1@a.example", "-x@b.example",
			[]byte("A: b\r\n\r\nc\r\n"))
		var refused Refused
		got := ""
		switch {
		case errors.As(err, &refused):
			got = "refused"
		case err != nil:
			got = "later"
		}
		args, _ := os.ReadFile(filepath.Join(dir, "args"))
		mail, _ := os.ReadFile(filepath.Join(dir, "mail"))
		if got != tc.want || string(args) != "-i -f r+1@a.example -- -x@b.example\n" ||
			string(mail) != "A: b\n\nc\n" {
			t.Errorf("%s: %v, args %q, mail %q", tc.name, err, args, mail)
		}
		if strings.Contains(tc.script, "echo") &&
			!strings.Contains(err.Error(), strings.Fields(tc.script)[1]) {
			t.Errorf("%s: what it said is not in %v", tc.name, err)
		}
	}
	if err := (&Program{"/nowhere"}).Hand(t.Context(), "a@b", "c@d", nil); err == nil ||
		!strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("got %v", err)
	}
}
