package rig

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// buildDir is where Build puts the program; Main makes and removes it.
var buildDir string

// Main runs the tests of a package that uses Build. It belongs into the package's TestMain.
func Main(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "mailseal-build-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Daemons of other users start it.
	if err := os.Chmod(buildDir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if Race && os.Getenv(raceOptions) == "" {
		os.Setenv(raceOptions, quickExit)
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir) // what is left lies in a directory for temporary files
	os.Exit(code)
}

// At its end, a program with the race detector waits a second for reports of other threads, as if
// there were few such programs.
const raceOptions, quickExit = "GORACE", "atexit_sleep_ms=20"

// Build returns the file of mailseal, which it builds at its first call as the Makefile does, or
// with the race detector when the tests have it. The package's TestMain must call Main. With -short
// the test is skipped.
func Build(t testing.TB) string {
	t.Helper()
	skipShort(t, "mailseal itself")
	if buildDir == "" {
		t.Fatal("a package that uses rig.Build has a TestMain that calls rig.Main")
	}
	file, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

var build = sync.OnceValues(func() (string, error) {
	top, err := Repository()
	if err != nil {
		return "", err
	}
	if err := dependOnSources(top); err != nil {
		return "", err
	}
	file := filepath.Join(buildDir, "mailseal")
	cmd := exec.Command("make", "-s", "build", "BIN="+file)
	if Race {
		cmd = exec.Command("go", "build", "-race", "-o", file, "./cmd/mailseal")
	}
	cmd.Dir = top
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return file, nil
})

// dependOnSources looks at all sources of the program, so that go test, which notes what a test
// looks at, does not take the result of another program for current. The test's package does not
// import the program.
func dependOnSources(top string) error {
	for _, dir := range []string{"cmd", "config", "keys", "milter", "go.mod", "go.sum",
		"Makefile"} {
		err := filepath.WalkDir(filepath.Join(top, dir),
			func(path string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				if d.IsDir() && d.Name() == "testdata" {
					return fs.SkipDir
				}
				if strings.HasSuffix(path, "_test.go") {
					return nil
				}
				_, err = os.Stat(path)
				return err
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// Result is what a command wrote, and its exit status.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Run runs a command of mailseal to its end, with nothing on standard input.
func Run(t testing.TB, args ...string) Result {
	t.Helper()
	return RunWith(t, nil, args...)
}

// RunWith is Run with something on standard input.
func RunWith(t testing.TB, stdin []byte, args ...string) Result {
	t.Helper()
	return finish(t, stdin, exec.Command(Build(t), args...))
}

// RunIn is Run with the program that is installed in a root, chrooted there.
func (r *Root) RunIn(t testing.TB, args ...string) Result {
	t.Helper()
	return finish(t, nil, r.Command("/usr/sbin/mailseal", args...))
}

// blindRace is what a program with the race detector says when it does not see its own file, as in
// a chroot.
var blindRace = regexp.MustCompile(`(?m)^==\d+==WARNING: reading executable name failed.*\n`)

func finish(t testing.TB, stdin []byte, cmd *exec.Cmd) Result {
	t.Helper()
	cmd.Stdin = bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var failed *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	complaints := blindRace.ReplaceAllString(stderr.String(), "")
	if found := crash.FindString(complaints); found != "" {
		t.Errorf("mailseal %s: %s", strings.Join(cmd.Args[1:], " "), complaints)
	}
	return Result{stdout.String(), complaints, cmd.ProcessState.ExitCode()}
}
