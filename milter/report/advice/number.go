package advice

import (
	"strconv"
	"strings"
)

// Count returns n with commas between thousands, and a real minus sign.
func Count(n int64) string {
	sign := ""
	digits := strconv.FormatInt(n, 10)
	if n < 0 {
		sign = "−"
		digits = digits[1:]
	}
	var out strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteByte(',')
		}
		out.WriteRune(c)
	}
	return sign + out.String()
}

// Rate returns part of whole in percent with one decimal, truncated and not rounded: 100
// means all, and 0 means none. If whole is 0, it returns "–".
func Rate(part, whole int64) string {
	switch {
	case whole <= 0:
		return "–"
	case part >= whole:
		return "100"
	case part <= 0:
		return "0"
	}
	tenths := permille(part, whole)
	if tenths == 0 {
		return "<0.1"
	}
	return strconv.FormatInt(tenths/10, 10) + "." + strconv.FormatInt(tenths%10, 10)
}

// permille returns part of whole in thousandths, cut.
func permille(part, whole int64) int64 {
	if whole > 1<<50 {
		return part / (whole / 1000)
	}
	return part * 1000 / whole
}

// Plural returns n and the noun in singular or plural.
func Plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}

// List joins names as English does: a, b and c. Of more than most it names most and counts the
// rest.
func List(names []string, most int) string {
	if len(names) > most {
		rest := int64(len(names) - most)
		names = append(append([]string{}, names[:most]...), Count(rest)+" more")
	}
	switch len(names) {
	case 0:
		return "none"
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// lower returns a sentence as it is written behind a colon.
func lower(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
