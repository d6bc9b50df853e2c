package rig

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrNoMemoryLimit reports that no control group with a limit of its memory can be made here.
var ErrNoMemoryLimit = errors.New("rig: no memory cgroup can be made here")

// cgroup is the directory of a control group below that of this process; "" for none.
type cgroup string

// newCgroup makes a control group with a limit of its memory in bytes; none for 0.
func newCgroup(limit int64) (cgroup, error) {
	if limit == 0 {
		return "", nil
	}
	parent, file, err := memoryGroup()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoMemoryLimit, err)
	}
	dir := filepath.Join(parent, "mailseal-test-"+rand.Text())
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoMemoryLimit, err)
	}
	group := cgroup(dir)
	if err := os.WriteFile(filepath.Join(dir, file), []byte(strconv.FormatInt(limit, 10)),
		0); err != nil {
		group.remove()
		return "", fmt.Errorf("%w: %w", ErrNoMemoryLimit, err)
	}
	return group, nil
}

// add moves a process into the group, which works for every root and user and for both versions of
// control groups. What the process has allocated since it was started, a moment ago, counts
// elsewhere.
func (g cgroup) add(pid int) error {
	if g == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(string(g), "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
}

// peak returns how much memory the group has had at most, in bytes.
func (g cgroup) peak() (int64, error) {
	if g == "" {
		return 0, ErrNoMemoryLimit
	}
	for _, name := range []string{"memory.max_usage_in_bytes", "memory.peak"} {
		text, err := os.ReadFile(filepath.Join(string(g), name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	}
	return 0, fmt.Errorf("%w: the kernel does not say what was used", ErrNoMemoryLimit)
}

// remove removes the group; the kernel refuses as long as a process is left in it.
func (g cgroup) remove() {
	if g != "" {
		_ = os.Remove(string(g))
	}
}

// memoryGroup returns the directory of this process's group in the hierarchy that limits memory,
// and the name of the file that holds the limit (cgroups(7)).
func memoryGroup() (dir, file string, err error) {
	list, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(list)) { // hierarchy:controllers:path
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) == 3 && f[1] == "memory" {
			return filepath.Join("/sys/fs/cgroup/memory", f[2]), "memory.limit_in_bytes", nil
		}
		if len(f) == 3 && f[1] == "" {
			dir, file = filepath.Join("/sys/fs/cgroup", f[2]), "memory.max"
		}
	}
	if dir == "" {
		return "", "", errors.New("no memory controller in /proc/self/cgroup")
	}
	return dir, file, nil
}
