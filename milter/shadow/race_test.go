//go:build race

package shadow_test

// raceDetector reports whether the tests have it: its stacks are larger, and its heap has more room
// for them.
const raceDetector = true
