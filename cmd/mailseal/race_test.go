//go:build race

package main_test

// raceDetector says that the tests were built with it; the program under test then is, too.
const raceDetector = true
