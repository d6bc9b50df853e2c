package setup

import (
	"fmt"
	"strings"
)

// maxDiff bounds the lines of a file that are compared one with another; the table has as many
// squares.
const maxDiff = 4000

// diff shows what changes in a file, in the unified format without context: what patch(1) takes.
func diff(path, before, after string) string {
	a, b := lines(before), lines(after)
	if len(a) > maxDiff || len(b) > maxDiff {
		return fmt.Sprintf("--- %s\n+++ %[1]s\n(too long to show)\n", path)
	}
	common := lengths(a, b)
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %[1]s\n", path)
	for i, j := 0, 0; i < len(a) || j < len(b); {
		if i < len(a) && j < len(b) && a[i] == b[j] {
			i, j = i+1, j+1
			continue
		}
		fromA, fromB := i, j
		for (i < len(a) || j < len(b)) && (i == len(a) || j == len(b) || a[i] != b[j]) {
			if j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1] {
				i++
			} else {
				j++
			}
		}
		fmt.Fprintf(&out, "@@ -%s +%s @@\n", extent(fromA, i), extent(fromB, j))
		for _, l := range a[fromA:i] {
			out.WriteString("-" + l + "\n")
		}
		for _, l := range b[fromB:j] {
			out.WriteString("+" + l + "\n")
		}
	}
	return out.String()
}

// extent is a range of lines as the unified format has it.
func extent(from, to int) string {
	if from == to {
		return fmt.Sprintf("%d,0", from)
	}
	return fmt.Sprintf("%d,%d", from+1, to-from)
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// lengths is the table of the lengths of the longest common sequences of the ends of two lists.
func lengths(a, b []string) [][]int {
	out := make([][]int, len(a)+1)
	for i := range out {
		out[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				out[i][j] = out[i+1][j+1] + 1
			} else {
				out[i][j] = max(out[i+1][j], out[i][j+1])
			}
		}
	}
	return out
}
