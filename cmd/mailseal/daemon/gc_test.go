package daemon

import (
	"runtime/debug"
	"testing"
)

// TestCollectGarbage sets how often garbage is collected where the operator has not.
func TestCollectGarbage(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	for _, tc := range []struct {
		name, environment string
		want              int
	}{
		{"the operator's, which the runtime has read", "50", 100},
		{"ours", "", garbagePercent},
	} {
		t.Run(tc.name, func(t *testing.T) {
			collectGarbage(tc.environment)
			if got := debug.SetGCPercent(100); got != tc.want {
				t.Errorf("collected at %d %%, want %d %%", got, tc.want)
			}
		})
	}
}
