package rig

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// Verdict is what another implementation thinks of one DKIM signature, or of an ARC chain.
type Verdict struct {
	Domain    string `json:"domain"`
	Selector  string `json:"selector"`
	Algorithm string `json:"algorithm"` // "arc" for the verdict on a chain
	Pass      bool   `json:"pass"`
	Reason    string `json:"reason"` // when it does not pass
}

// Dkimpy verifies messages (with CRLF line ends) with Debian's python3-dkim: for each a verdict on
// each of its signatures from the top, and at the end one on the ARC chain if there is one. txt has
// the key records by name. The test is skipped, with the reason, where the package has not been
// fetched.
func Dkimpy(t testing.TB, txt map[string]string, messages ...[]byte) [][]Verdict {
	t.Helper()
	question, err := json.Marshal(map[string]any{"dns": txt, "messages": messages})
	if err != nil {
		t.Fatal(err)
	}
	python.mu.Lock()
	defer python.mu.Unlock()
	if python.answers == nil {
		python.start(t)
	}
	if _, err := python.questions.Write(append(question, '\n')); err != nil {
		t.Fatalf("dkimpy: %v", err)
	}
	var verdicts [][]Verdict
	if err := python.answers.Decode(&verdicts); err != nil {
		t.Fatalf("dkimpy: %v", err)
	}
	return verdicts
}

// python answers all the questions of a test's process: to start it takes longer than a hundred
// signatures.
var python interpreter

type interpreter struct {
	mu        sync.Mutex
	questions io.Writer
	answers   *json.Decoder
}

// start starts the program. It ends with the test's process, which closes its standard input.
func (p *interpreter) start(t testing.TB) {
	t.Helper()
	skipShort(t, "a real dkimpy")
	base := filepath.Join(repository(t), ".root")
	if why := absent(base, "python"); why != "" {
		t.Skip(why)
	}
	cmd := exec.Command(filepath.Join(base, "tools/python3"),
		filepath.Join(repository(t), "contrib/test/dkimpy.py"))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.questions, p.answers = in, json.NewDecoder(out)
}
