package web

import (
	"fmt"
	"html"
	"html/template"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"mailseal/milter/report/advice"
)

// Bounds of strangers' text on a page, in characters.
const (
	textLength  = 120
	labelLength = 30
)

// isOrder reports whether r must be shown by its number: control characters, formats, direction
// marks, and what is no character at all.
func isOrder(r rune) bool {
	return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) ||
		unicode.Is(unicode.Zp, r) ||
		unicode.Is(unicode.Co, r) || unicode.Is(unicode.Cs, r) || r == utf8.RuneError ||
		unicode.Is(unicode.Variation_Selector, r)
}

// visible returns s with each such character as U+202E, for CSV and attributes.
func visible(s string) string {
	var out strings.Builder
	for _, r := range s {
		if isOrder(r) {
			fmt.Fprintf(&out, "[U+%04X]", r)
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

// esc returns a stranger's text as HTML: escaped, cut at 120 characters, control and direction
// characters visible.
func esc(s string) template.HTML {
	var out strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > textLength {
			out.WriteString("…")
			break
		}
		if isOrder(r) {
			fmt.Fprintf(&out, `<span class="esc">U+%04X</span>`, r)
			continue
		}
		out.WriteString(html.EscapeString(string(r)))
	}
	return template.HTML(out.String()) //nolint:gosec // every character was escaped
}

// prose returns a text of ours that holds names of strangers: as esc, but never cut, since its
// author bounds it.
func prose(s string) template.HTML {
	s = cutNames(s)
	var out strings.Builder
	for _, r := range s {
		if isOrder(r) {
			fmt.Fprintf(&out, `<span class="esc">U+%04X</span>`, r)
			continue
		}
		out.WriteString(html.EscapeString(string(r)))
	}
	return template.HTML(out.String()) //nolint:gosec // every character was escaped
}

// longName is the length in characters from which a name may break anywhere on paper.
const longName = 32

// name returns a stranger's domain name, address or word, isolated from the direction of its
// surroundings. Long labels are cut in the middle, so that the organizational domain stays in
// sight; the U-label follows where it is of one script.
func name(s string) template.HTML {
	shown := cutLabels(s)
	class := "name"
	if utf8.RuneCountInString(shown) > longName {
		class = "name long"
	}
	out := template.HTML(`<span class="`+class+`">`) + esc(shown) +
		`</span>` //nolint:gosec // classes of ours
	if u := unicodeOf(s); u != "" {
		out += ` <span class="s name">` + esc(u) + `</span>`
	}
	return out
}

// cutNames cuts the labels of names of domains in a text as name does. Paths and addresses of the
// web stay whole.
func cutNames(s string) string {
	words := strings.Split(s, " ")
	for i, w := range words {
		if len(w) > labelLength && strings.Contains(w, ".") && !strings.ContainsAny(w, "/:<>=") {
			words[i] = cutLabels(w)
		}
	}
	return strings.Join(words, " ")
}

func cutLabels(s string) string {
	labels := strings.Split(s, ".")
	for i, l := range labels {
		runes := []rune(l)
		if len(runes) > labelLength {
			labels[i] = fmt.Sprintf("%s…(%d)", string(runes[:12]), len(runes))
		}
	}
	if len(labels) > 12 {
		labels = append(append(labels[:3:3], fmt.Sprintf("…(%d)", len(labels)-7)),
			labels[len(labels)-4:]...)
	}
	return strings.Join(labels, ".")
}

// unicodeOf returns the U-label form of an A-label name, or "" if it has none, is not valid, or
// mixes scripts.
func unicodeOf(s string) string {
	if !strings.Contains(strings.ToLower(s), "xn--") {
		return ""
	}
	u, err := idna.Lookup.ToUnicode(s)
	if err != nil || u == s {
		return ""
	}
	for label := range strings.SplitSeq(u, ".") {
		if !oneScript(label) {
			return ""
		}
	}
	return u
}

// oneScript reports whether the letters of s are of one script; Han goes with the Japanese scripts
// and Hangul.
func oneScript(s string) bool {
	script := ""
	for _, r := range s {
		if !unicode.IsLetter(r) {
			continue
		}
		got := scriptOf(r)
		if script != "" && got != script {
			return false
		}
		script = got
	}
	return true
}

func scriptOf(r rune) string {
	if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) {
		return "Han"
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return "?"
}

// say fills a sentence of ours with values: HTML as it is, numbers with commas, strings as
// strangers' text.
func say(format string, values ...any) template.HTML {
	for i, v := range values {
		switch v := v.(type) {
		case template.HTML:
		case string:
			values[i] = name(v)
		case int:
			values[i] = advice.Count(int64(v))
		case int64:
			values[i] = advice.Count(v)
		default:
			values[i] = esc(fmt.Sprint(v))
		}
	}
	return template.HTML(fmt.Sprintf(html.EscapeString(format),
		values...)) //nolint:gosec // all parts were escaped
}

// mono and link are parts of sentences.
func mono(s string) template.HTML { return `<span class="m">` + name(s) + `</span>` }

func link(href string, text template.HTML) template.HTML {
	return template.HTML(`<a href="`+html.EscapeString(href)+`">`) + text +
		`</a>` //nolint:gosec // escaped
}

// plain is text of ours.
func plain(s string) template.HTML {
	return template.HTML(html.EscapeString(s))
} //nolint:gosec // escaped

// rawBytes is how much of a report the page shows.
const rawBytes = 64 << 10

// rawXML shows XML as received: lines are kept, everything else of control is visible.
func rawXML(raw []byte) template.HTML {
	rest := len(raw) - rawBytes
	if rest > 0 {
		raw = raw[:rawBytes]
	}
	var out strings.Builder
	for line := range strings.SplitSeq(strings.ToValidUTF8(string(raw), "\ufffd"), "\n") {
		for _, r := range strings.TrimSuffix(line, "\r") {
			switch {
			case r == '\t':
				out.WriteByte('\t')
			case isOrder(r):
				fmt.Fprintf(&out, `<span class="esc">U+%04X</span>`, r)
			default:
				out.WriteString(template.HTMLEscapeString(string(r)))
			}
		}
		out.WriteByte('\n')
	}
	if rest > 0 {
		out.WriteString("… " + advice.Count(int64(rest)) + " more bytes\n")
	}
	return template.HTML(out.String()) //nolint:gosec // every character was escaped
}
