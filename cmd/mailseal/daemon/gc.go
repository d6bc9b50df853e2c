package daemon

import "runtime/debug"

// garbagePercent is how much garbage may gather before it is collected, as a share of what is in
// use and not less than 8 MB. With Go's 100 judging a small message takes an eighth more processor
// time; 4 MB less are resident.
const garbagePercent = 200

// collectGarbage sets how often garbage is collected, unless the operator has: environment is the
// value of GOGC. The runtime obeys GOMEMLIMIT by itself.
func collectGarbage(environment string) {
	if environment == "" {
		debug.SetGCPercent(garbagePercent)
	}
}
