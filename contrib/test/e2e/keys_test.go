package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/keys/keylife"
)

// killed is a configuration whose state directory commands are killed over.
const killed = `authserv_id = "mx.example.com"
state_directory = "state"
listen = [{ address = "inet:8891@127.0.0.1" }]
rotation = { algorithms = ["ed25519"], selector = "s{alg}" }
[[sign]]
from = "example.com"
managed = "example.com"
`

// TestKeysKilled kills commands that make keys at many moments, two at a time, over one state
// directory. Whenever that is, the state can be read, every key that it knows has its private key,
// and only keys are left at the end.
func TestKeysKilled(t *testing.T) {
	program := rig.Build(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "mailseal.toml")
	if err := os.WriteFile(config, []byte(killed), 0o600); err != nil {
		t.Fatal(err)
	}
	store := keylife.Store{Dir: filepath.Join(dir, "state")}
	generate := func() *exec.Cmd {
		return exec.Command(program, "keys", "--config", config, "generate", "example.com")
	}
	check := func() int {
		t.Helper()
		state, err := store.Read()
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range state.Keys {
			if _, err := store.Load(k); err != nil {
				t.Error(err)
			}
		}
		return len(state.Keys)
	}
	for i := range 20 {
		var wait sync.WaitGroup
		for range 2 {
			cmd := generate()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			wait.Go(func() {
				time.Sleep(time.Duration(10+2*i) * time.Millisecond)
				_ = cmd.Process.Kill() // it may have ended
				_ = cmd.Wait()
			})
		}
		wait.Wait()
		check()
	}
	before := check()
	if out, err := generate().CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := check(); n != before+1 {
		t.Errorf("%d keys, want %d", n, before+1)
	}
	for _, pattern := range []string{"*.new-*", "keys/example.com/*.new-*"} {
		if left, _ := filepath.Glob(filepath.Join(store.Dir, pattern)); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}
