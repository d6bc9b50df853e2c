package report

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"mailseal/milter/domain"
)

func hostileInput(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrHostile, fmt.Sprintf(format, args...))
}

var errCount = errors.New("not a number of messages")

// maxCount bounds the messages of a row. No receiver sees more of one source in a day.
const maxCount = 1_000_000_000

// parseCount reads the number of messages of a row. Some reporters write "1,234" or "2.0".
func parseCount(s string) (int64, error) {
	s = strings.ReplaceAll(s, ",", "")
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || f != math.Trunc(f) {
		return 0, fmt.Errorf("count %q is %w", s, errCount)
	}
	if f < 0 || f > maxCount {
		return 0, fmt.Errorf("count %q is out of range: 0 to %d", s, maxCount)
	}
	return int64(f), nil
}

// layouts are the dates that are read beside numbers. One that is ambiguous, with the month as a
// number in the first or second place, is not among them.
var layouts = []string{
	time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04:05-0700", "2006-01-02T15:04", "2006-01-02 15:04:05",
	"2006-01-02 15:04:05 MST", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05-07:00",
	"2006-01-02 15:04", "2006-01-02",
	"2006/01/02 15:04:05", "2006/01/02 15:04", "2006/01/02", time.RFC1123Z, time.RFC1123,
	"Mon, _2 Jan 2006 15:04:05 -0700", "_2 Jan 2006 15:04:05 -0700", "_2 Jan 2006", time.ANSIC, time.UnixDate,
}

// parseTime reads a date of a period: seconds since 1970 with or without decimals, milliseconds,
// microseconds, ISO 8601, or a date as mail has it.
func parseTime(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, false
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		switch {
		case math.IsNaN(f) || f <= 0 || f > 1e17:
			return time.Time{}, false
		case f > 1e14:
			f /= 1e6
		case f > 1e11:
			f /= 1e3
		}
		return time.Unix(int64(f), 0).UTC(), true
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// parseSource reads an address. ok is false for what is none.
func parseSource(s string) (netip.Addr, bool) {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	s = strings.TrimPrefix(strings.TrimPrefix(s, "IPv6:"), "ipv6:")
	a, err := netip.ParseAddr(s)
	if err == nil {
		return a.WithZone("").Unmap(), true
	}
	if p, err := netip.ParsePrefix(s); err == nil && p.Bits() == p.Addr().BitLen() {
		return p.Addr().Unmap(), true
	}
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a.Addr().WithZone("").Unmap(), true
	}
	return netip.Addr{}, false
}

// parseName reads a domain name that may be written as an address, in capitals, or in Unicode. What
// is no name is returned as text, so that it can be shown.
func parseName(s string) string {
	s = strings.Trim(s, "<> \t\"'")
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = s[i+1:]
	}
	s = strings.TrimSuffix(s, ".")
	if n, err := domain.Parse(s); err == nil {
		return n.String()
	}
	return strings.ToLower(s[:min(len(s), 255)])
}
