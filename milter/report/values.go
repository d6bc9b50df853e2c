package report

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"regexp"
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

// grouped are numbers with separators between their thousands, as different languages have them. A
// single "." is not among them: it begins decimals.
var grouped = []*regexp.Regexp{
	regexp.MustCompile(`^([0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3})(?:[.]0+)?$`),
	regexp.MustCompile(`^([0-9]{1,3}(?:[.][0-9]{3}){2,})(?:,0+)?$`),
	regexp.MustCompile(`^([0-9]{1,3}[.][0-9]{3}),0+$`),
	regexp.MustCompile("^([0-9]{1,3}(?:[ '_’\u00a0\u2009\u202f][0-9]{3})+)(?:[.,]0+)?$"),
}

// plainNumber reads a number, with separators between its thousands or without. ok is false for
// what is not a number.
func plainNumber(s string) (f float64, ok bool) {
	for _, form := range grouped {
		if m := form.FindStringSubmatch(s); m != nil {
			s = strings.Map(onlyDigit, m[1])
			break
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsNaN(f) && !strings.ContainsAny(s, "_xXpP")
}

// onlyDigit returns a digit, or -1 for all else, which strings.Map leaves out.
func onlyDigit(r rune) rune {
	if r < '0' || r > '9' {
		return -1
	}
	return r
}

// parseCount reads the number of messages of a row. Some reporters write "1,234" or "2.0".
func parseCount(s string) (int64, error) {
	if n, err := strconv.ParseUint(s, 10, 32); err == nil && n <= maxCount {
		return int64(n), nil // as nearly all are
	}
	f, ok := plainNumber(s)
	if !ok || !math.IsInf(f, 0) && f != math.Trunc(f) {
		return 0, fmt.Errorf("count %q is %w", s[:min(len(s), 40)], errCount)
	}
	if f < 0 || f > maxCount {
		return 0, fmt.Errorf("count %q is out of range: 0 to %d", s[:min(len(s), 40)], maxCount)
	}
	return int64(f), nil
}

// layouts are the dates that are read beside numbers. One that is ambiguous, with the month as a
// number in the first or second place, is not among them.
var layouts = []string{
	time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04:05-0700", "2006-01-02T15:04",
	"2006-01-02 15:04:05",
	"2006-01-02 15:04:05 MST", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05-07:00",
	"2006-01-02 15:04", "2006-01-02",
	"2006/01/02 15:04:05", "2006/01/02 15:04", "2006/01/02", time.RFC1123Z, time.RFC1123,
	"Mon, _2 Jan 2006 15:04:05 -0700", "_2 Jan 2006 15:04:05 -0700", "_2 Jan 2006", time.ANSIC,
	time.UnixDate,
	"2.1.2006 15:04:05", "2.1.2006 15:04", "2.1.2006", "20060102T150405Z", "20060102T150405",
	"2-Jan-2006 15:04:05", "2-Jan-2006", "2/Jan/2006:15:04:05 -0700", "2 January 2006",
	"Jan _2, 2006 15:04:05", "Jan _2, 2006", "January 2, 2006",
}

// compact are dates that look like numbers, by their length.
var compact = map[int]string{8: "20060102", 14: "20060102150405"}

// parseTime reads a date of a period: seconds since 1970 with or without decimals, milliseconds,
// microseconds, nanoseconds, ISO 8601, or a date as mail has it.
func parseTime(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, false
	}
	if layout := compact[len(s)]; layout != "" && (strings.HasPrefix(s, "20") ||
		strings.HasPrefix(s, "19")) {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	if whole, decimals, ok := strings.Cut(s, ","); ok && len(whole) > 6 &&
		strings.Trim(decimals, "0123456789") == "" {
		s = whole // a decimal comma
	}
	if f, ok := plainNumber(s); ok {
		switch {
		case f <= 0 || f > 1e20:
			return time.Time{}, false
		case f > 1e17:
			f /= 1e9
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

// inside finds what is in brackets behind a name: "mail.example.com [192.0.2.1]".
var inside = regexp.MustCompile(`^[A-Za-z0-9._-]+ ?[\[(]([0-9A-Fa-f:.]+)[\])]$`)

// parseSource reads an address. ok is false if the text is not one.
func parseSource(s string) (netip.Addr, bool) {
	s = strings.Trim(s, "<>\"' ")
	if m := inside.FindStringSubmatch(s); m != nil {
		s = m[1]
	}
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a.Addr().WithZone("").Unmap(), true
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	for _, prefix := range []string{"ipv6:", "ip6:", "ip4:", "ipv4:"} {
		if len(s) > len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
			s = s[len(prefix):]
		}
	}
	s = strings.TrimSuffix(s, ".")
	if a, err := netip.ParseAddr(s); err == nil {
		return a.WithZone("").Unmap(), true
	}
	if p, err := netip.ParsePrefix(s); err == nil && p.Bits() == p.Addr().BitLen() {
		return p.Addr().Unmap(), true
	}
	return netip.Addr{}, false
}

// parseName reads a domain name that may be written as an address, in capitals, or in
// Unicode. It returns invalid names as text, so that they can be shown.
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
