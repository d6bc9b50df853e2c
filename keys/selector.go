package keys

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Selector fills a template of selectors: {year}, {quarter}, {month}, {date} (20261231) and {alg}
// (r for RSA, e for Ed25519), in UTC. A selector that is taken gets "-2", "-3" and so on behind it:
// the record of another key must never be overwritten.
func Selector(template string, now time.Time, a Algorithm, taken func(string) bool) string {
	now = now.UTC()
	short := "r"
	if a == Ed25519 {
		short = "e"
	}
	s := strings.ToLower(strings.NewReplacer(
		"{year}", now.Format("2006"),
		"{quarter}", strconv.Itoa((int(now.Month())+2)/3),
		"{month}", now.Format("01"),
		"{date}", now.Format("20060102"),
		"{alg}", short,
	).Replace(template))
	out := s
	for n := 2; taken(out); n++ {
		out = fmt.Sprintf("%s-%d", s, n)
	}
	return out
}
