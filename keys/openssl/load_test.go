//go:build openssl && cgo && linux

package openssl

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestLoaded fails where a build that can load OpenSSL does not, on a host that has it.
func TestLoaded(t *testing.T) {
	name, err := Backend()
	if err != nil || !strings.HasPrefix(name, "OpenSSL") {
		t.Fatalf("got %q, %v", name, err)
	}
	if _, wrapped := Signer(key(t, 2048)).(*signer); !wrapped {
		t.Error("Go signs all the same")
	}
}

// TestAbsent runs this test's program again without the library: what is loaded stays loaded.
func TestAbsent(t *testing.T) {
	if os.Getenv("MAILSEAL_NO_OPENSSL") != "" {
		libraries = []string{"libcrypto.so.nowhere"}
		name, err := Backend()
		if name != "Go" || err == nil || !strings.Contains(err.Error(), "nowhere") {
			t.Errorf("got %q, %v", name, err)
		}
		TestSignatures(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestAbsent$", "-test.v")
	cmd.Env = append(os.Environ(), "MAILSEAL_NO_OPENSSL=1")
	if out, err := cmd.CombinedOutput(); err != nil ||
		!strings.Contains(string(out), "--- PASS: TestAbsent") {
		t.Errorf("%v\n%s", err, out)
	}
}
