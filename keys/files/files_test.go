package files

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// odd makes what may be at a path instead of a file, and returns the paths by what they are.
func odd(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		unix.Mkfifo(at("pipe"), 0o600),
		os.Symlink("pipe", at("link to a pipe")),
		os.Symlink("/dev/zero", at("link to a device")),
		os.Mkdir(at("directory"), 0o700),
		os.Symlink("loop", at("loop")),
		os.WriteFile(at("large"), make([]byte, 101), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	found := map[string]string{"nothing": at("none")}
	for _, name := range []string{"pipe", "link to a pipe", "link to a device", "directory", "loop",
		"large"} {
		found[name] = at(name)
	}
	return found
}

func TestReadRefuses(t *testing.T) {
	want := map[string]error{
		"pipe": ErrSpecial, "link to a pipe": ErrSpecial, "link to a device": ErrSpecial, "directory": ErrSpecial,
		"loop": unix.ELOOP, "large": ErrLarge, "nothing": fs.ErrNotExist,
	}
	for name, path := range odd(t) {
		_, err := Read(path, 100)
		if !errors.Is(err, want[name]) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %v that names %s", name, err, want[name], path)
		}
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, size := range []int{0, 1, 99, 100} {
		text := bytes.Repeat([]byte("x"), size)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, read := range []func(string, int64) ([]byte, error){Read, ReadAny} {
			if got, err := read(path, 100); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%d bytes: got %d, %v", size, len(got), err)
			}
		}
	}
}

// TestReadAny wants a command to read a pipe to its end, and a device up to the limit.
func TestReadAny(t *testing.T) {
	paths := odd(t)
	go func() {
		if err := os.WriteFile(paths["pipe"], []byte("text"), 0); err != nil {
			t.Error(err)
		}
	}()
	if text, err := ReadAny(paths["pipe"], 100); err != nil || string(text) != "text" {
		t.Errorf("pipe: got %q, %v", text, err)
	}
	if _, err := ReadAny(paths["link to a device"], 100); !errors.Is(err, ErrLarge) {
		t.Errorf("device: got %v, want %v", err, ErrLarge)
	}
}

// TestSlow wants a call that hangs to end at the deadline, one beside it to be let in, and calls
// that find all places taken by such calls to end as well.
func TestSlow(t *testing.T) {
	r := &reader{places: make(chan struct{}, 2), deadline: time.Millisecond}
	hang := make(chan struct{})
	stuck := func() (int, error) { <-hang; return 0, nil }
	for i := range 4 {
		if _, err := timely(r, "read", "f", stuck); !errors.Is(err, ErrSlow) {
			t.Errorf("call %d: got %v, want %v", i, err, ErrSlow)
		}
		if n := len(r.places); n > 2 || n != min(i+1, 2) {
			t.Errorf("call %d: %d places taken", i, n)
		}
	}
	close(hang)
	r.deadline = time.Minute // the places come free
	if _, err := timely(r, "read", "f", func() (int, error) { return 0, nil }); err != nil {
		t.Error(err)
	}
}

// settle waits until the state of a file is not taken for one that may just be changing, and
// returns it.
func settle(t *testing.T, path string) Stamp {
	t.Helper()
	for {
		s, err := Look(path)
		if err != nil {
			t.Fatal(err)
		}
		if s.Changed != 0 {
			return s
		}
	}
}

// TestStamp wants every way to change a file to change its stamp, and reading it to change nothing.
func TestStamp(t *testing.T) {
	dir := t.TempDir()
	path, other, link := filepath.Join(dir, "f"), filepath.Join(dir, "g"),
		filepath.Join(dir, "link")
	write := func(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }
	when := time.Unix(1_700_000_000, 0)
	for _, tt := range []struct {
		name   string
		change func() error
		isSame bool
	}{
		{name: "nothing", isSame: true, change: func() error { _, err := Read(path, 100); return err }},
		{name: "mv over it", change: func() error { return os.Rename(other, path) }},
		{name: "cp -p in place", change: func() error {
			return errors.Join(write(path, "two"), os.Chtimes(path, when, when))
		}},
		{name: "truncated", change: func() error { return os.Truncate(path, 0) }},
		{name: "a link to another", change: func() error {
			return errors.Join(os.Remove(link), os.Symlink(other, link))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			os.Remove(link)
			if err := errors.Join(write(path, "one"), write(other, "two"), os.Symlink(path, link),
				os.Chtimes(path, when, when), os.Chtimes(other, when, when)); err != nil {
				t.Fatal(err)
			}
			before := settle(t, link)
			if err := tt.change(); err != nil {
				t.Fatal(err)
			}
			after, err := Look(link)
			if err != nil || (after == before) != tt.isSame {
				t.Errorf("same: %t, want %t, %v\n%+v\n%+v", after == before, tt.isSame, err, before,
					after)
			}
		})
	}
}

// TestStampUnsettled wants a file that has just changed to be read again: the next change may get
// the same time.
func TestStampUnsettled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, first, err := ReadStamped(path, 100)
	if err != nil {
		t.Fatal(err)
	}
	if last := settle(t, path); first == last {
		t.Errorf("a change within the clock's resolution would go unnoticed: %+v", first)
	}
}

// readers are the sources that read files by other means, and why.
var readers = map[string]string{
	"keys/files/files.go":            "this package",
	"keys/files/write.go":            "opens a directory to write it out",
	"keys/keylife/store.go":          "opens a directory to write it out, and a lock",
	"cmd/mailseal/service/probe.go":  "opens the program itself, to run it",
	"milter/report/spool/reader.go":  "opens segments of its own, with locks, and never waits",
	"cmd/mailseal/operate/shadow.go": "a command that reads logs of any size line by line, or from a pipe",
	"cmd/mailseal/policy.go":         "a command that reads logs of any size line by line, or from a pipe",

	"milter/report/store/storetest/storetest.go": "a helper of tests, which copies a store that it has made",

	"milter/report/intake/sources.go": "a command that reads mailboxes of any size mail by mail",
}

// TestOnlyReader wants no other source to open or read a file by its name.
func TestOnlyReader(t *testing.T) {
	banned := []string{"ReadFile", "Open", "OpenFile", "LoadX509KeyPair"}
	for _, top := range []string{"cmd", "config", "keys", "milter"} {
		root := filepath.Join("../..", top)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") ||
				strings.HasSuffix(path, "_test.go") {
				return err
			}
			name, err := filepath.Rel("../..", path)
			if err != nil || readers[name] != "" {
				return err
			}
			for _, call := range calls(t, path) {
				pkg, function, _ := strings.Cut(call, ".")
				if (pkg == "os" || pkg == "tls") && slices.Contains(banned, function) {
					t.Errorf("%s calls %s: read files by package files, which ends whatever is there", name, call)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// calls returns the functions of packages that a source calls for reading, "os.Open".
func calls(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || writes(call) {
			return true
		}
		if s, ok := call.Fun.(*ast.SelectorExpr); ok {
			if pkg, ok := s.X.(*ast.Ident); ok {
				out = append(out, fmt.Sprintf("%s.%s", pkg.Name, s.Sel.Name))
			}
		}
		return true
	})
	return out
}

// writes reports whether a call opens a file to write to.
func writes(call *ast.CallExpr) bool {
	found := false
	for _, arg := range call.Args {
		ast.Inspect(arg, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && (s.Sel.Name == "O_CREATE" ||
				s.Sel.Name == "O_WRONLY") {
				found = true
			}
			return true
		})
	}
	return found
}

// TestMakeOf holds that every directory that root makes for a user belongs to it, and that those
// which were there do not change.
func TestMakeOf(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives directories away")
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("no user nobody")
	}
	top := t.TempDir()
	if err := MakeOf("nobody", filepath.Join(top, "a", "b", "c"), 0o750); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{"": "0", "a": u.Uid, "a/b": u.Uid, "a/b/c": u.Uid} {
		uid, _, ok := owner(filepath.Join(top, dir))
		if !ok || strconv.Itoa(uid) != want {
			t.Errorf("%q belongs to %d, want %s", dir, uid, want)
		}
		info, err := os.Stat(filepath.Join(top, dir))
		if err != nil || dir != "" && info.Mode().Perm() != 0o750 {
			t.Errorf("%q: %v, %v, want 0750", dir, info.Mode(), err)
		}
	}
}
