//go:build race

package rig

// Race reports whether the tests have the race detector; the program under test has it too then.
const Race = true
