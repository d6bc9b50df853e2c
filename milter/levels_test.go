package milter

import (
	"log/slog"
	"testing"

	"mailseal/milter/action"
)

// TestLevelOfDeferred holds that a message that is deferred is at least a warning, no matter who
// deferred it.
func TestLevelOfDeferred(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    Outcome
		want slog.Level
	}{
		{"accepted", Outcome{Action: action.Accept}, slog.LevelInfo},
		{"rejected by policy", Outcome{Action: action.Reject}, slog.LevelInfo},
		{"deferred", Outcome{Action: action.Tempfail}, slog.LevelWarn},
		{"deferred for want of a key", Outcome{Action: action.Tempfail, Level: slog.LevelError}, slog.LevelError},
		{"a failure of ours", internal(action.Tempfail), slog.LevelWarn},
	} {
		if got := tt.o.level(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}
