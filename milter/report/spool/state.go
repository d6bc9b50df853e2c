package spool

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// State describes the segments that wait in a spool for the process that makes reports.
type State struct {
	Segments int64
	Bytes    int64
	Oldest   time.Time // when the oldest segment was begun; zero: none waits
}

// Look returns the state of a directory; a directory that is missing has nothing.
func Look(dir string) (s State, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("the spool of reports: %w", err)
	}
	for _, e := range entries {
		if PartitionOf(e.Name()) < 0 || !strings.HasSuffix(e.Name(), closeExt) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // it was taken meanwhile
		}
		s.Segments++
		s.Bytes += info.Size()
		if start := StartOf(e.Name()); !start.IsZero() && (s.Oldest.IsZero() ||
			start.Before(s.Oldest)) {
			s.Oldest = start
		}
	}
	return s, nil
}
