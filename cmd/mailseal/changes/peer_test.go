package changes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/web"
)

// socketOfTest names, in the environment of a child, the socket that it makes a change on.
const socketOfTest = "MAILSEAL_TEST_CHANGES"

// TestMain is also the child of TestAnotherUser.
func TestMain(m *testing.M) {
	path := os.Getenv(socketOfTest)
	if path == "" {
		os.Exit(m.Run())
	}
	rule := web.Rule{Domain: "a.example", Source: "192.0.2.1", Class: advice.Ours}
	err := NewClient(path).Judge(context.Background(), "mallory", rule)
	switch {
	case err == nil:
		fmt.Println("made")
	case errors.Is(err, web.ErrRefused):
		fmt.Println("refused:", err)
	default:
		fmt.Println("failed:", err)
	}
	os.Exit(0)
}

// TestAnotherUser has a process of another user make a change on a socket that its mode leaves
// open: the kernel says who it is, and it is refused; the same process as root is not.
func TestAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to run a process as another user")
	}
	s := newServer(t)
	c := served(t, s)
	dir, err := os.MkdirTemp("", "mailseal-changes-") // that of the test is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Skip("needs /proc, to run this program again")
	}
	child := filepath.Join(dir, "child")
	socket := filepath.Join(dir, "socket")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(child, program, 0o755),
		os.Chmod(child, 0o755),
		os.Rename(c.Path, socket), os.Chmod(socket, 0o666)); err != nil {
		t.Fatal(err)
	}
	for uid, want := range map[uint32]string{65534: "refused: the change was refused: only root",
		1: "refused:", 0: "made"} {
		cmd := exec.CommandContext(t.Context(), child)
		cmd.Dir, cmd.Env = "/", []string{socketOfTest + "=" + socket}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("user %d: %q, %v; want %q", uid, out, err, want)
		}
	}
	list, err := s.Intake.Store.Verdicts(t.Context())
	if err != nil || len(list) != 1 {
		t.Errorf("%d verdicts are stored, %v; want that of root alone", len(list), err)
	}
}
