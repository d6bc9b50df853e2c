package milter

import (
	"log/slog"
	"testing"

	"mailseal/milter/action"
	"mailseal/milter/message"
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

// TestRemovedIsLogged counts each removed field once, and none of a message that does not go on.
func TestRemovedIsLogged(t *testing.T) {
	edits := message.Edits{Remove: []int{3, 1, 3}}
	for a, want := range map[action.Action]int{action.Accept: 2, action.Mark: 2, action.Hold: 2,
		action.Reject: 0, action.Tempfail: 0, action.Discard: 0} {
		o := Outcome{Action: a, Edits: edits}
		if got := o.removed(); got != want {
			t.Errorf("%s: got %d, want %d", a, got, want)
		}
	}
}
