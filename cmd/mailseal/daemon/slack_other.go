//go:build !linux

package daemon

// SlackenTimers is for Linux, where a thread has a slack for its timers.
func SlackenTimers() {}
