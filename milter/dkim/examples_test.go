package dkim_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
)

// TestMessages verifies the messages of testdata, each with its zone.
func TestMessages(t *testing.T) {
	dirs, err := filepath.Glob("testdata/[0-9]*")
	if err != nil || len(dirs) == 0 {
		t.Fatal("no messages", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) { testMessage(t, dir) })
	}
}

func testMessage(t *testing.T, dir string) {
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	v := &dkim.Verifier{Resolver: dnstest.Must(string(read("zone"))), Now: testClock}
	var got string
	for _, r := range verify(t, v, read("msg")) {
		got += fmt.Sprintln(r.Value, r.Domain, r.Selector, r.Identifier, r.Algorithm, r.Bits,
			r.Canonicalization, r.HeaderB)
	}
	if want := string(read("want")); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}
