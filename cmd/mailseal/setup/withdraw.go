package setup

import (
	"slices"
	"strings"
)

// unsetMainCF removes a setting with the lines that continue it.
func unsetMainCF(text, name string) string {
	var out []string
	inOld := false
	for _, line := range lines(text) {
		isMore := line != "" && (line[0] == ' ' || line[0] == '\t')
		if inOld && isMore {
			continue
		}
		before, _, found := strings.Cut(line, "=")
		inOld = found && !isMore && strings.TrimSpace(before) == name
		if !inOld {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n") + "\n"
}

// withoutFilter removes the lines of sendmail.mc that setup put there.
func withoutFilter(now string, a applied) string {
	before := lines(a.Before)
	ours := slices.DeleteFunc(lines(a.After),
		func(l string) bool { return slices.Contains(before, l) })
	kept := slices.DeleteFunc(lines(now), func(l string) bool { return slices.Contains(ours, l) })
	return strings.Join(kept, "\n") + "\n"
}
