package mta

import (
	"strings"
)

// logical is a line of main.cf or master.cf with those that continue it.
type logical struct {
	text  string
	line  int // where it begins
	parts []part
}

// part maps the text from a byte offset on to a line.
type part struct{ offset, line int }

// lineAt returns the line of a byte.
func (l logical) lineAt(offset int) int {
	line := l.line
	for _, p := range l.parts {
		if p.offset <= offset {
			line = p.line
		}
	}
	return line
}

// logicalLines reads a file as Postfix does (postconf(5)): a line that begins with white space
// continues the one before, also over comments and empty lines between them.
func logicalLines(text string) []logical {
	var out []logical
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if bare := strings.TrimSpace(line); bare == "" || bare[0] == '#' {
			continue
		}
		if line[0] != ' ' && line[0] != '\t' {
			out = append(out, logical{line: n})
		} else if len(out) == 0 {
			continue // Postfix ignores it, and says so
		}
		l := &out[len(out)-1]
		l.parts = append(l.parts, part{len(l.text), n})
		l.text += line
	}
	return out
}

// parameter is a setting of Postfix.
type parameter struct {
	file  string
	line  int // 0: it is not set
	value string
}

// parameters are those of main.cf, or those with the -o of a service before them.
type parameters struct {
	own map[string]parameter
	up  *parameters
}

// defaults are those of Postfix's own values that matter here.
var defaults = map[string]string{
	"queue_directory": "/var/spool/postfix", "mail_owner": "postfix", "compatibility_level": "0",
	"inet_protocols":        "all",
	"milter_default_action": "tempfail", "milter_protocol": "6", "milter_content_timeout": "300s",
	"milter_command_timeout": "30s",
	"milter_connect_timeout": "30s", "milter_macro_daemon_name": "$myhostname",
}

// readMain reads main.cf: the last of several lines for a parameter counts.
func readMain(file string, text []byte) *parameters {
	p := &parameters{own: map[string]parameter{}}
	for _, l := range logicalLines(string(text)) {
		if name, value, ok := strings.Cut(l.text, "="); ok {
			p.own[strings.TrimSpace(name)] = parameter{file, l.line, strings.TrimSpace(value)}
		}
	}
	return p
}

// raw returns a parameter as it is written, with its default where it is not.
func (p *parameters) raw(name string) parameter {
	for at := p; at != nil; at = at.up {
		if v, ok := at.own[name]; ok {
			return v
		}
	}
	return parameter{value: defaults[name]}
}

// get returns a parameter's value, all that it refers to filled in.
func (p *parameters) get(name string) string {
	return (&expander{p, maxReferences}).expand(p.raw(name).value, maxDepth)
}

// The bounds of what a parameter may refer to, one in the other and in all, and of what may come of
// it, in bytes. Postfix has 100 levels; no value of a sane file needs more than this.
const (
	maxDepth      = 20
	maxReferences = 1000
	maxValue      = 16 << 10
)

// expander fills in what a value refers to.
type expander struct {
	*parameters
	left int // how many references may come yet
}

// expand replaces $name, ${name}, $(name), ${name?text}, ${name:text} and $$.
func (p *expander) expand(value string, depth int) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(value, "$")
		b.WriteString(before)
		if p.left--; !found || depth == 0 || p.left < 0 || b.Len() > maxValue {
			return b.String()
		}
		var expression string
		switch {
		case after == "":
			return b.String()
		case after[0] == '$':
			b.WriteByte('$')
			value = after[1:]
			continue
		case after[0] == '{' || after[0] == '(':
			n := balanced(after)
			if n == 0 {
				return b.String() // Postfix gives up here, too
			}
			expression, value = after[1:n-1], after[n:]
		default:
			n := nameLength(after)
			expression, value = after[:n], after[n:]
		}
		b.WriteString(p.evaluate(expression, depth-1))
	}
}

// evaluate gives the value of what is between ${ and }. Comparisons are beyond it: they are
// taken as untrue.
func (p *expander) evaluate(expression string, depth int) string {
	n := nameLength(expression)
	value := p.expand(p.raw(expression[:n]).value, depth)
	rest := strings.TrimSpace(expression[n:])
	switch {
	case rest == "":
		return value
	case rest[0] == ':':
		if value != "" {
			return ""
		}
		return p.expand(unbraced(rest[1:]), depth)
	case rest[0] == '?':
		yes, no := strings.TrimSpace(rest[1:]), ""
		if n := balanced(yes); n > 0 {
			yes, no = yes[:n], strings.TrimPrefix(strings.TrimSpace(yes[n:]), ":")
		}
		if value != "" {
			return p.expand(unbraced(yes), depth)
		}
		return p.expand(unbraced(no), depth)
	}
	return ""
}

// unbraced takes {text} apart.
func unbraced(s string) string {
	if s = strings.TrimSpace(s); balanced(s) == len(s) && s != "" {
		return strings.TrimSpace(s[1 : len(s)-1])
	}
	return s
}

// nameLength is how much of a text is the name of a parameter.
func nameLength(s string) int {
	n := 0
	for n < len(s) && (s[n] == '_' || '0' <= s[n] && s[n] <= '9' ||
		'a' <= s[n]|0x20 && s[n]|0x20 <= 'z') {
		n++
	}
	return n
}

// balanced returns the length of the parenthesis that a text begins with, 0 if it begins with none
// or it has no end.
func balanced(s string) int {
	if s == "" || s[0] != '{' && s[0] != '(' {
		return 0
	}
	open, end := s[0], byte('}')
	if open == '(' {
		end = ')'
	}
	level := 0
	for i := range len(s) {
		switch s[i] {
		case open:
			level++
		case end:
			if level--; level == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// word is a word of a text, with its position.
type word struct {
	text   string
	offset int
}

// words splits a text at separators, but not inside braces.
func words(s, separators string) []word {
	var out []word
	level, start := 0, -1
	for i := range len(s) {
		if level == 0 && strings.IndexByte(separators, s[i]) >= 0 {
			if start >= 0 {
				out = append(out, word{s[start:i], start})
			}
			start = -1
			continue
		}
		switch {
		case s[i] == '{':
			level++
		case s[i] == '}' && level > 0:
			level--
		}
		if start < 0 {
			start = i
		}
	}
	if start >= 0 {
		out = append(out, word{s[start:], start})
	}
	return out
}
