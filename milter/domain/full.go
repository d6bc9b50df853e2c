package domain

import "strings"

// IsFull reports whether a name is a fully qualified domain name, one that no other host has. Names
// that every host has, such as localhost.localdomain, are not, and neither are addresses.
func IsFull(name string) bool {
	d, err := Parse(strings.TrimSuffix(name, "."))
	if err != nil {
		return false
	}
	labels := strings.Split(d.String(), ".")
	top := labels[len(labels)-1]
	switch {
	case len(labels) < 2 || strings.Trim(top, "0123456789") == "":
		return false
	case labels[0] == "localhost" || top == "localdomain" || top == "localhost":
		return false
	}
	return true
}

// FirstLabel returns a host name up to its first dot.
func FirstLabel(name string) string {
	first, _, _ := strings.Cut(name, ".")
	return first
}
