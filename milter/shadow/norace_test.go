//go:build !race

package shadow_test

const raceDetector = false
