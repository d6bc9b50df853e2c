package rotation

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"mailseal/keys"
)

// A zone that is gone must not fill the log.
func TestWatchSaysSoMuch(t *testing.T) {
	var log bytes.Buffer
	w := NewWatcher(slog.New(slog.NewTextHandler(&log, nil)), nil)
	var f findings
	w.compare(&f, slices.Repeat([]Seen{{Sight: keys.SightNothing}}, maxSaid+7))
	if n := strings.Count(log.String(), "\n"); n != maxSaid || f.unsaid != 7 || f.count["bad"] != maxSaid+7 {
		t.Errorf("%d lines, %+v", n, f)
	}
}
