package keyfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/keys"
)

const (
	ours    = 54321 // not in /etc/passwd, one hopes
	another = 54322
)

func TestJudge(t *testing.T) {
	root := node{path: "/", mode: 0o755}
	us := checker{uid: ours, gid: ours, groups: []uint32{54323}}
	dir := func(mode fs.FileMode, uid, gid uint32) node {
		return node{path: "/k", mode: mode, uid: uid, gid: gid}
	}
	file := func(mode fs.FileMode, uid, gid uint32) node {
		return node{path: "/k/m.pem", mode: mode, uid: uid, gid: gid}
	}
	tests := []struct {
		name  string
		who   checker
		nodes []node
		want  []string // each a part of a finding
	}{
		{"private", us, []node{root, dir(0o755, 0, 0), file(0o600, ours, ours)}, nil},
		{"root's, for our group", us, []node{root, dir(0o755, 0, 0), file(0o640, 0, ours)}, nil},
		{"for a further group of ours", us, []node{root, file(0o640, 0, 54323)}, nil},
		{"for everybody", us, []node{root, file(0o644, 0, ours)}, []string{"chmod 0640 /k/m.pem"}},
		{"for everybody and a group", us, []node{root, file(0o644, 0, another)}, []string{"chmod 0600 /k/m.pem"}},
		{"everybody may write", us, []node{root, file(0o602, ours, ours)}, []string{"chmod 0600 /k/m.pem"}},
		{"everybody, but the directory is closed", us, []node{root, dir(0o700, ours, ours),
			file(0o644, ours, ours)}, nil},
		{"another group", us, []node{root, file(0o640, 0, another)},
			[]string{"read by group 54322; chmod 0600"}},
		{"another group, but the directory is closed", us, []node{root, dir(0o700, ours, another),
			file(0o640, 0, another)}, nil},
		{"a group may write", us, []node{root, file(0o660, 0, 54323)}, []string{"chmod 0640"}},
		{"our group may write", us, []node{root, file(0o660, 0, ours)}, nil},
		{"belongs to another", us, []node{root, file(0o600, another, ours)}, []string{"/k/m.pem belongs to 54322"}},
		{"directory of another", us, []node{root, dir(0o755, another, 0), file(0o600, 0, 0)},
			[]string{"chown root /k"}},
		{"directory for everybody", us, []node{root, dir(0o777, 0, 0), file(0o600, 0, 0)}, []string{"chmod o-w /k"}},
		{"sticky, as in a container", us, []node{root, dir(0o777|fs.ModeSticky, 0, 0), file(0o640, 0, ours)}, nil},
		{"directory of a group", us, []node{root, dir(0o775, 0, another), file(0o600, 0, 0)}, []string{"chmod g-w /k"}},
		{"directory of our group", us, []node{root, dir(0o775, 0, ours), file(0o600, 0, 0)}, nil},
		{"everything", us, []node{root, dir(0o777, another, 0), file(0o666, another, 0)},
			[]string{"chown root /k", "/k/m.pem belongs to 54322"}},
		{"checked by root", checker{root: true}, []node{root, dir(0o750, ours, ours), file(0o640, ours, ours)}, nil},
		{"checked by root, another's directory", checker{root: true},
			[]node{root, dir(0o750, another, ours), file(0o600, ours, ours)},
			[]string{"chown root /k"}},
		{"checked by root, for everybody", checker{root: true},
			[]node{root, file(0o604, ours, ours)}, []string{"chmod 0600"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i := range tt.nodes { // as walk.enter finds out
				tt.nodes[i].others, tt.nodes[i].group = true, true
				if i > 0 {
					above := tt.nodes[i-1]
					tt.nodes[i].others = above.others && above.mode&0o001 != 0
					tt.nodes[i].group = above.group && above.mode&0o011 != 0
				}
			}
			got := tt.who.judge(tt.nodes)
			if len(got) != len(tt.want) {
				t.Fatalf("got %v, want %q", got, tt.want)
			}
			for i, f := range got {
				if !strings.Contains(remedied(f), tt.want[i]) {
					t.Errorf("got %s, want it to say %q", f, tt.want[i])
				}
			}
		})
	}
}

// remedied writes a finding with what would correct it.
func remedied(f Finding) string {
	switch f.Kind {
	case DirectoryOwner:
		return f.Text + "; chown " + f.Owner + " " + f.Path
	case DirectoryMode, FileMode:
		return f.Text + "; chmod " + f.Mode + " " + f.Path
	}
	return f.Text
}

// A directory that is closed keeps everybody from the file in it, whatever the file's own mode.
func TestClosedDirectory(t *testing.T) {
	dir := filepath.Join(reachable(t), "keys")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "m.pem")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if fs := ofDirectory(Check(path, nil), dir); len(fs) != 1 || fs[0].Kind != FileMode {
		t.Errorf("got %v for a file that everybody can read", fs)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if fs := ofDirectory(Check(path, nil), dir); len(fs) > 0 {
		t.Errorf("got %v for a file in a closed directory", fs)
	}
}

// reachable returns a directory that everybody can get to, which test directories are not.
func reachable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// ofDirectory leaves out what the test's surroundings are to blame for.
func ofDirectory(fs []Finding, dir string) []Finding {
	var out []Finding
	for _, f := range fs {
		if strings.HasPrefix(f.Path, dir) {
			out = append(out, f)
		}
	}
	return out
}

func TestWay(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"secret/..2026", "elsewhere"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(dir+"/secret/..2026/m.pem", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{
		"secret/..data": "..2026", "secret/m.pem": "..data/m.pem", "elsewhere/m.pem": dir + "/secret/m.pem",
		"elsewhere/up.pem": "../secret/./m.pem", "elsewhere/loop": "loop",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name, path string
		passes     []string // directories that must be on the way
		bad        bool
	}{
		{"container secret", "secret/m.pem", []string{"secret", "secret/..2026"}, false},
		{"by an absolute link", "elsewhere/m.pem", []string{"elsewhere", "secret", "secret/..2026"}, false},
		{"by a relative link", "elsewhere/up.pem", []string{"elsewhere", "secret", "secret/..2026"}, false},
		{"round and round", "elsewhere/loop", nil, true},
		{"nowhere", "elsewhere/none", nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nodes, err := way(filepath.Join(dir, tt.path))
			if (err != nil) != tt.bad {
				t.Fatalf("got %v", err)
			}
			if tt.bad {
				return
			}
			passed := map[string]bool{}
			for _, n := range nodes {
				passed[n.path] = true
			}
			for _, p := range tt.passes {
				if !passed[filepath.Join(dir, p)] {
					t.Errorf("%s is not on the way: %v", p, passed)
				}
			}
			if last := nodes[len(nodes)-1].path; last != dir+"/secret/..2026/m.pem" {
				t.Errorf("got to %s", last)
			}
		})
	}
}

func TestRequireSafe(t *testing.T) {
	path := reachable(t) + "/m.pem"
	if err := os.WriteFile(path, []byte("YW4gRWQyNTUxOSBzZWVkIGhhcyAzMiBvY3RldHMuLi4="),
		0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o646); err != nil {
		t.Fatal(err)
	}
	entries := map[string]Entry{"k": {File: path}}
	lenient := New(t.Context(), entries, Options{})
	if _, err := lenient.Key(t.Context(), "k"); err != nil {
		t.Errorf("got %v, want a key and a warning", err)
	}
	strict := New(t.Context(), entries, Options{RequireSafe: true, Previous: lenient})
	if _, err := strict.Key(t.Context(), "k"); !errors.Is(err, ErrUnsafe) ||
		errors.Is(err, keys.ErrNotFound) {
		t.Errorf("got %v, want %v", err, ErrUnsafe)
	}
}

func TestUnusable(t *testing.T) {
	c := checker{uid: ours, gid: ours}
	unreadable := &fs.PathError{Op: "open", Path: "/k/m.pem", Err: fs.ErrPermission}
	tests := []struct {
		name, path string
		err        error
		kind       Kind
	}{
		{"not for us", "/k/m.pem", unreadable, Unreadable},
		{"not there", "/k/m.pem", fs.ErrNotExist, Absent},
		{"refused", "/k/m.pem", ErrUnsafe, Unsafe},
		{"no key", "/k/m.pem", keys.ErrMalformed, Unusable},
		{"in the configuration", "", unreadable, Unusable},
	}
	for _, tt := range tests {
		if got := c.unusable(tt.path, tt.err); got.Kind != tt.kind {
			t.Errorf("%s: got %+v, want %s", tt.name, got, tt.kind)
		}
	}
}

// TestCheckDirectory holds that a directory that is named as a key is not judged as a file: without
// its x the daemon could not pass it.
func TestCheckDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if got := Check(dir, nil); len(got) > 0 {
		t.Errorf("got %+v about a directory", got)
	}
}
