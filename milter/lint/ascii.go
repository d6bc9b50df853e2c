package lint

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"mailseal/milter/domain"
)

// isForeign reports whether a character is of a word in another script than ASCII.
func isForeign(r rune) bool {
	if r < utf8.RuneSelf || r == utf8.RuneError {
		return false
	}
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r)
}

// host finds what may be a domain name, in whatever script.
var host = regexp.MustCompile(`[\p{L}\p{M}\p{N}-]+(?:\.[\p{L}\p{M}\p{N}-]+)+`)

// hostsInASCII writes domains that are not ASCII in A-labels. What is before an @ is no domain.
func hostsInASCII(text string) string {
	if strings.IndexFunc(text, isForeign) < 0 {
		return text
	}
	var b strings.Builder
	end := 0
	for _, at := range host.FindAllStringIndex(text, -1) {
		b.WriteString(text[end:at[0]])
		end = at[1]
		name := text[at[0]:end]
		if strings.IndexFunc(name, isForeign) >= 0 && !strings.HasPrefix(text[end:], "@") {
			name = domain.ASCII(name)
		}
		b.WriteString(name)
	}
	return b.String() + text[end:]
}

// Loses reports whether Clean leaves out a letter, which cannot be guessed: then there is no record
// to propose.
func Loses(text string) bool {
	return strings.IndexFunc(hostsInASCII(text), isForeign) >= 0
}
