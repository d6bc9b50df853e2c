//go:build !linux

package main

// wakeSeldom is for Linux, where a thread has a slack for its timers.
func wakeSeldom() {}
