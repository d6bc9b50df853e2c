package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"

	"mailseal/keys"
)

// syntaxProblem puts a mistake in the TOML of a file into words for those who do not know TOML:
// what to write, and on which line.
func syntaxProblem(f *file, data []byte, err error) Problem {
	out := Problem{File: f.name, Text: keys.Mask(err.Error()), order: f.order}
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		return out
	}
	s := syntaxMistake{message: pe.Message, key: pe.LastKey, got: gotIn(pe.Message)}
	out.Line, out.Path = pe.Position.Line, pe.LastKey
	lines := strings.Split(string(data), "\n")
	if s.got == "\n" && strings.Contains(s.message, "table") && out.Line > 1 {
		out.Line-- // the library has counted the end of the line in which the header is
	}
	if i := out.Line - 1; i >= 0 && i < len(lines) {
		s.line = strings.TrimSpace(lines[i])
		_, value, _ := strings.Cut(s.line, "=")
		s.value = strings.TrimSpace(value)
	}
	out.Text = keys.Mask(s.text())
	return out
}

// syntaxMistake is what is known of a mistake.
type syntaxMistake struct {
	message string // the library's
	key     string // the setting before the mistake
	got     string // what the library found in place of what it expected; "" if it does not say
	line    string // without blanks around it
	value   string // what is after "=" on it
}

var gotPattern = regexp.MustCompile(`(?:got|found) ('(?:[^'\\]|\\.|')+'|"[^"]*"|end of file)`)

// gotIn returns what a message says was found, unquoted.
func gotIn(message string) string {
	m := gotPattern.FindStringSubmatch(message)
	if m == nil {
		return ""
	}
	quoted := m[1]
	switch {
	case quoted == "end of file":
		return quoted
	case quoted == `'\n'`, quoted == `'\r'`:
		return "\n"
	case quoted == `'\u00a0'`:
		return "\u00a0"
	case quoted == `'\''`:
		return "'"
	}
	return quoted[1 : len(quoted)-1]
}

func (s syntaxMistake) has(part string) bool { return strings.Contains(s.message, part) }

// text returns the mistake in our words. What it does not know stays as the library wrote it.
func (s syntaxMistake) text() string {
	first, _ := firstRune(s.got)
	switch {
	case strings.ContainsRune("“”„‟‘’‚«»", first):
		return fmt.Sprintf(`%c is a typographic quotation mark; write the plain one, "`, first)
	case first > unicode.MaxASCII && unicode.IsSpace(first):
		return fmt.Sprintf("a special space (%U) is here, which looks like a plain one; replace it "+
			"by a space", first)
	case s.has("strings cannot contain newlines"):
		if strings.HasPrefix(s.value, "'") {
			return "the closing ' is missing at the end of the text"
		}
		return `the closing " is missing at the end of the text`
	case s.has(`expected '"""'`):
		return `the closing """ of this text is missing`
	case s.has(`expected "'''"`):
		return `the closing ''' of this text is missing`
	case s.has("invalid escape"), s.has("hexadecimal digits after"):
		return `a \ has a special meaning between double quotes; write \\, or write the text ` +
			`between single quotes`
	case s.has("invalid UTF-8"):
		return "this is not UTF-8 text; save the file in the encoding UTF-8"
	}
	for _, explain := range []func() string{s.header, s.list, s.missingValue, s.afterValue,
		s.noSetting, s.number} {
		if text := explain(); text != "" {
			return text
		}
	}
	return s.message
}

func firstRune(s string) (rune, bool) {
	for _, r := range s {
		return r, true
	}
	return 0, false
}

// header explains mistakes in [table] and [[table]].
func (s syntaxMistake) header() string {
	switch {
	case s.has("expected end of table array name"):
		return "]] is missing at the end of the header: it has two brackets on each side"
	case s.has("to end table name") && s.got == "\n":
		return "] is missing at the end of the header"
	case s.has("to end table name"):
		return "a header is one name between brackets, such as [ours]; the closing ] is missing, " +
			"or there is a space in the name"
	case s.has("table names cannot be empty"):
		return "the header has no name between its brackets"
	case s.has("was already created and cannot be used as an array"):
		return "a header of this name with one pair of brackets is above; write two pairs, " +
			"[[...]], in all headers of this name"
	case s.has("has already been defined") && strings.HasPrefix(s.line, "["):
		return "this table is above already; move its settings there, and delete this header"
	case s.has("has already been defined"):
		return "is set twice: here and above; delete one of them"
	}
	return ""
}

// list explains mistakes in [lists] and { tables }.
func (s syntaxMistake) list() string {
	switch {
	case s.has("array terminator") && strings.ContainsAny(s.got, "\"'{[") && s.got != "":
		return "a comma is missing between two entries of the list"
	case s.has("array terminator"):
		return "] is missing at the end of the list"
	case s.has("expected value") && strings.HasPrefix(s.line, "[") && s.key != "":
		return "] is missing at the end of the list of this setting, above this line"
	case s.has("inline table terminator") && (s.got == "\n" || s.got == "end of file"):
		return "} is missing at the end of the table"
	case s.has("inline table terminator"):
		return "a comma is missing between two settings of the table { ... }" + orQuotes
	case s.has("unexpected comma"):
		return "a comma is here with no value before it; delete it"
	}
	return ""
}

const orQuotes = `; or a text has double quotes in it: it ends at the next ", so write it between ` +
	`single quotes`

// missingValue explains values that are missing, or are no values.
func (s syntaxMistake) missingValue() string {
	if !s.has("expected value") {
		return ""
	}
	switch strings.ToLower(s.got) {
	case "", "\n", "#", "end of file":
		return "the value after = is missing"
	case "yes", "on", "true":
		return fmt.Sprintf("%s is not a value; write true, without quotes", s.got)
	case "no", "off", "false":
		return fmt.Sprintf("%s is not a value; write false, without quotes", s.got)
	}
	// The value is not repeated: it may be a password.
	return `write text between double quotes, such as "example.com"; only numbers, true and false ` +
		`have none`
}

// afterValue explains what follows a value or a header.
func (s syntaxMistake) afterValue() string {
	if !s.has("expected a top-level item to end") {
		return ""
	}
	first, _ := firstRune(s.value)
	switch {
	case strings.HasPrefix(s.line, "[") && s.got == "]":
		return "there is one ] too many at the end of the header"
	case s.got == ";" || s.got == ",":
		return fmt.Sprintf("delete the %s at the end: each setting has a line of its own", s.got)
	case unicode.IsDigit(first):
		return `write a value that is not a mere number between double quotes, such as "1d" or ` +
			`"192.0.2.1"`
	case first == '"' && strings.Count(s.value, `"`) > 2:
		return `a text in double quotes ends at the next "; write an expression with double quotes ` +
			`in it between single quotes`
	case first == '\'' && strings.Count(s.value, "'") > 2:
		return `a text in single quotes ends at the next '; write text with ' in it between double ` +
			`quotes`
	}
	return "there is more text after the value or the header; a remark begins with #, and each " +
		"setting has a line of its own"
}

// noSetting explains lines that are not NAME = VALUE.
func (s syntaxMistake) noSetting() string {
	switch {
	case s.has("unexpected '='"):
		return "the name of a setting is missing before ="
	case !s.has("expected '.' or '='") && !s.has("expected key separator"):
		return ""
	case strings.HasPrefix(s.line, "//") || strings.HasPrefix(s.line, ";"):
		return "a remark begins with #"
	case s.got == ":":
		return "write = between a setting and its value, not :"
	case s.got == `"` || s.got == "'":
		return "= is missing between the setting and its value"
	}
	return "this line is not SETTING = VALUE; names of settings have no spaces, and remarks begin " +
		"with #"
}

// number explains what begins like a number.
func (s syntaxMistake) number() string {
	switch {
	case s.has("leading zeroes"):
		return `a number cannot begin with 0; file modes are written in quotes, "0660"`
	case s.has("Invalid float"), s.has("Invalid integer"), s.has("invalid float"),
		s.has("floats must"), s.has("expected a digit"):
		return `this is not a number; write text between double quotes, such as "192.0.2.1"`
	}
	return ""
}
