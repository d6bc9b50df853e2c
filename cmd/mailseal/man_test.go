package main

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

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
