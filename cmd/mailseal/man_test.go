package main

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"mailseal/cmd/mailseal/answer"
)

var update = flag.Bool("update", false, "write the golden files again")

// TestManual holds contrib's manual page in step with what the commands say of themselves.
func TestManual(t *testing.T) {
	const path = "../../contrib/man/mailseal.1"
	var b bytes.Buffer
	if err := manual(&b, newRootCmd()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%s is out of date: run go test ./cmd/mailseal -run TestManual -update", path)
	}
}

// TestManualIsWhole finds every word of the commands on the page: what the generator took for
// Markdown would be missing.
func TestManualIsWhole(t *testing.T) {
	var b bytes.Buffer
	if err := manual(&b, newRootCmd()); err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for word := range strings.FieldsSeq(strings.NewReplacer(`\fB`, "", `\fP`, "", `\&`, "", `\\`,
		`\`, `\-`, "-").Replace(b.String())) {
		shown[word] = true
	}
	for _, c := range answer.Commands(newRootCmd()) {
		texts := []string{c.Short + ".", c.Long, c.UseLine(), c.Example}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && f.Name != "help" {
				_, usage := pflag.UnquoteUsage(f)
				texts = append(texts, usage)
			}
		})
		for word := range strings.FieldsSeq(strings.Join(texts, " ")) {
			if !shown[word] {
				t.Errorf("%s: %q is not on the page", c.CommandPath(), word)
			}
		}
	}
}
