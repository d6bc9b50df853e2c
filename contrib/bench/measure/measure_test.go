package measure

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
)

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		name string
		all  []float64
		want Distribution
	}{
		{"none", nil, Distribution{}},
		{"odd", []float64{3, 1, 2}, Distribution{2, 1, 3}},
		{"even", []float64{4, 1, 3, 2}, Distribution{2.5, 1, 4}},
	} {
		if got := Spread(tt.all, Same); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestLetter(t *testing.T) {
	for _, size := range []int{2, 75, 4096} {
		head, body, ok := bytes.Cut(LetterFrom("d1.example", size), []byte("\r\n\r\n"))
		if !ok || len(body) != size || !bytes.HasSuffix(body, []byte("\r\n")) {
			t.Errorf("a body of %d octets, want %d with a line end", len(body), size)
		}
		if !bytes.Contains(head, []byte("From: User <user@d1.example>\r\n")) {
			t.Errorf("the author is another one: %q", head)
		}
	}
	head, _, _ := strings.Cut(string(Letter(10, "A: 1\r\n", "B: 2\r\n")), "\r\n\r\n")
	if got := strings.Count(strings.ReplaceAll(head, "\r\n\t", " "), "\r\n") +
		1; got != HeaderFields+2 {
		t.Errorf("%d fields, want %d", got, HeaderFields+2)
	}
}

// TestProcess has a shell with two children for a milter: what they use counts, too.
func TestProcess(t *testing.T) {
	dir := t.TempDir()
	ready := filepath.Join(dir, "ready")
	server, err := rig.Start(exec.Command("sh", "-c", "sleep 60 & sleep 60 & : >"+ready+"; wait"),
		rig.StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{Process: server}
	defer p.Stop()
	hasBegun := func() bool {
		_, err := os.Stat(ready)
		return err == nil && len(p.family()) == 3
	}
	if !rig.Await(hasBegun) {
		t.Fatalf("the family of a shell with two children is %v", p.family())
	}
	if err := p.Settle(); err != nil {
		t.Error(err)
	}
	all, err := p.Resident()
	if err != nil {
		t.Fatal(err)
	}
	if own, err := status(p.PID(), "VmRSS:"); err != nil || all <= own || own <= 0 {
		t.Errorf("all hold %d octets, the first of them %d, %v", all, own, err)
	}
	if used, err := p.CPU(); err != nil || used <= 0 {
		t.Errorf("they have used %v, %v", used, err)
	}
}
