package rotation

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/keys"
	"mailseal/keys/keylife"
)

// A zone that is gone must not fill the log.
func TestWatchSaysSoMuch(t *testing.T) {
	var log bytes.Buffer
	w := NewWatcher(slog.New(slog.NewTextHandler(&log, nil)), nil)
	var f findings
	w.compare(&f, slices.Repeat([]Seen{{Sight: keys.SightNothing}}, maxSaid+7))
	if n := strings.Count(log.String(), "\n"); n != maxSaid || f.unsaid != 7 ||
		f.count["bad"] != maxSaid+7 {
		t.Errorf("%d lines, %+v", n, f)
	}
}

// TestSurvey names the bad keys first, and of more than fit drops good ones.
func TestSurvey(t *testing.T) {
	w := NewWatcher(slog.New(slog.DiscardHandler), nil)
	var f findings
	key := func(sight keys.Sight, selector string) Seen {
		return Seen{Key: keylife.Key{Domain: "example.com", Selector: selector}, Sight: sight}
	}
	for i := range maxSurveyed + 5 {
		w.compare(&f, []Seen{key(keys.SightKey, fmt.Sprintf("g%03d", i))})
	}
	w.compare(&f, []Seen{key(keys.SightUnknown, "u"), key(keys.SightNothing, "b")})
	at := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	s := f.survey(at)
	if len(s.Keys) != maxSurveyed || s.Keys[0].Name != "b._domainkey.example.com" ||
		s.Keys[0].Shown != "bad" || s.Keys[0].Why == "" ||
		s.Keys[1].Shown != "unknown" || s.Keys[2].Shown != "good" || s.Count["good"] != maxSurveyed+
		5 || s.At != at {
		t.Errorf("%+v", s)
	}
}
