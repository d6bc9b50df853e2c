package daemon

import (
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// timerSlack is by how much the kernel may put off the timers of the daemon, in order to serve several at once. Nothing
// that it does goes by shorter times.
const timerSlack = 2 * time.Millisecond

// SlackenTimers has the kernel put timers off. Go's runtime has a thread that sleeps for 20 µs at a time while there is
// anything to do, and its waking up is a sixth of the processor time of verifying a small message, more where it goes
// through a hypervisor. A thread hands its slack on to those that it makes, but that one is made before any of our code
// runs. Hence the program begins anew, as the same process, with the slack set: it is called before anything is opened.
// Where that is forbidden or the slack is large enough (TimerSlackNSec= of a unit) nothing happens.
func SlackenTimers() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil || time.Duration(slack) >= timerSlack {
		return
	}
	program, err := os.Executable()
	if err != nil {
		return
	}
	if unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0, 0, 0) == nil {
		_ = unix.Exec(program, os.Args, os.Environ()) // it returns only if it failed; then all stays as it was
	}
}
