package measure

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Machine describes this machine in a line, with its load of the moment.
func Machine() string {
	return fmt.Sprintf("%s, %d cores, %s; load %s when this was written", model(), runtime.NumCPU(),
		FirstLine("uname", "-sr"), load())
}

// FirstLine is the first line that a program prints; "unknown" if it does not.
func FirstLine(program string, args ...string) string {
	out, _ := exec.Command(program, args...).CombinedOutput()
	first, _, _ := strings.Cut(string(out), "\n")
	return cmp.Or(strings.TrimSpace(first), "unknown")
}

func model() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(text), "model name")
	name, _, _ := strings.Cut(rest, "\n")
	return cmp.Or(strings.TrimLeft(name, "\t :"), "unknown processor")
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(text))
	return strings.Join(f[:min(len(f), 3)], " ")
}
