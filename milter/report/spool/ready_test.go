package spool

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestReady holds that a day is ready only once no segment can add to it: one that began before
// midnight may still hold mail of the day before.
func TestReady(t *testing.T) {
	now := time.Date(2026, 11, 3, 0, 30, 0, 0, time.UTC)
	for _, tc := range []struct {
		name  string
		files []string
		want  string
	}{
		{"nothing is left", nil, "2026-11-02"},
		{"a segment of today", []string{name(now.Add(-20*time.Minute), 3, 1) + openExt}, "2026-11-02"},
		{"an open one of yesterday", []string{name(now.Add(-35*time.Minute), 3, 1) + openExt}, "2026-11-01"},
		{"a closed one of yesterday", []string{name(now.Add(-35*time.Minute), 3, 1) + closeExt}, "2026-11-01"},
		{"an old one", []string{name(now.AddDate(0, 0, -5), 0, 1) + closeExt, name(now, 1, 2) + openExt}, "2026-10-28"},
		{"another file", []string{"20261030T000000Z-notes.txt"}, "2026-11-02"},
	} {
		dir := t.TempDir()
		for _, f := range tc.files {
			if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := Ready(dir, now)
		if err != nil || got.UTC().Format(time.DateOnly) != tc.want {
			t.Errorf("%s: %s, %v; want %s", tc.name, got.UTC().Format(time.DateOnly), err, tc.want)
		}
	}
	if got, err := Ready(filepath.Join(t.TempDir(), "none"), now); err != nil || got.Day() != 2 {
		t.Errorf("without a spool: %s, %v", got, err)
	}
}
