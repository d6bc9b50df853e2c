package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// sampleWidth is where the sample's lines end, in columns.
const sampleWidth = 100

const sampleHead = `# A sample configuration of Mailseal. It works unchanged, and has the same effect as an empty file.
#
# Lines that begin with "# " explain a setting. A line that begins with "#" and no space is the setting itself, with its
# default or, if it has none, an example. mailseal.toml(5) has the same texts, and explains the terms. "mailseal check"
# reports every mistake and what to do about it.
#
# To sign for one domain, three lines are enough (mailseal keygen prints them):
#
#     domain = "example.com"
#     selector = "mail"
#     key_file = "/var/lib/mailseal/keys/example.com/mail.pem"
`

// Sample returns a configuration file that has every setting in it, each with a comment.
func Sample() string {
	var b strings.Builder
	b.WriteString(sampleHead)
	for _, sec := range sections {
		b.WriteString("\n")
		if sec.header != "" {
			b.WriteString("\n")
			comment(&b, sec.doc)
			b.WriteString(sampleHeader(sec) + "\n\n")
		}
		for i, s := range sec.settings {
			if i > 0 {
				b.WriteString("\n")
			}
			sampleSetting(&b, sec, s)
		}
	}
	return b.String()
}

// sampleHeader leaves the headers of single tables in effect, so that to use a setting is to
// uncomment its line. A table that can come several times would be one more.
func sampleHeader(sec section) string {
	if isRepeated(sec) && sec.path != listenSection.path {
		return "#" + sec.header
	}
	return sec.header
}

func isRepeated(sec section) bool {
	return strings.Contains(sec.path, "[]") || strings.Contains(sec.path, "NAME")
}

func sampleSetting(b *strings.Builder, sec section, s setting) {
	short, _ := s.remarks(sec)
	text := strings.TrimSpace(s.doc + " " + sentences(short))
	if choice := choices(sec, s); choice != "" {
		text += " " + choice
	}
	comment(b, text)
	if s.def != "" && s.example != "" {
		b.WriteString("# Example: " + s.example + "\n")
	}
	value, mark := s.def, "#"
	if value == "" {
		value = s.example
	}
	if sec.path == listenSection.path && s.name == "address" {
		value, mark = strconv.Quote(defaultListener), ""
	}
	lines := []string{s.name + " = " + value}
	if strings.HasPrefix(value, "[") {
		lines = wrap(lines[0], sampleWidth-5)
	}
	for _, line := range lines {
		b.WriteString(mark + line + "\n")
		mark = "#    "
	}
}

// choices names the possible values, unless the text does.
func choices(sec section, s setting) string {
	values := s.choices(typeAt(dotted(sec.path, s.name)))
	for _, v := range values {
		if quoted := strconv.Quote(v); !strings.Contains(s.doc, quoted) &&
			!strings.Contains(sec.doc+policySection.doc, quoted) {
			return "One of " + strings.Replace(quotedList(values), " and ", " or ", 1) + "."
		}
	}
	return ""
}

// manualSection matches a reference to a section of the manual page that is not about a setting.
var manualSection = regexp.MustCompile(`\b([A-Z]{2,}(?: [A-Z]{2,})*) below\b`)

// comment writes a text of the manual page; the sections to which it refers are only there.
func comment(b *strings.Builder, text string) {
	text = manualSection.ReplaceAllString(text, "$1 in mailseal.toml(5)")
	for _, line := range wrap(text, sampleWidth-2) {
		b.WriteString("# " + line + "\n")
	}
}

// wrap breaks text at spaces into lines of at most width bytes; a longer word gets a
// separate line.
func wrap(text string, width int) []string {
	var lines []string
	for word := range strings.FieldsSeq(text) {
		if last := len(lines) - 1; last >= 0 && len(lines[last])+1+len(word) <= width {
			lines[last] += " " + word
			continue
		}
		lines = append(lines, word)
	}
	return slices.Clip(lines)
}
