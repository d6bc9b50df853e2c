package expression

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Template is the text of a reply with placeholders: names of facts in braces, as in
// "{dmarc.domain} asks to refuse {message_id}".
type Template struct{ text string }

// placeholders are the names that a Template may have, and what they stand for. All of it is
// written by strangers, and is made one line of harmless characters. Nothing else of a header or
// body can get into a reply.
var placeholders = map[string]func(*Judged) string{
	"author.domain":       func(f *Judged) string { return inReply(f.Author.Domain) },
	"client.address":      func(f *Judged) string { return f.Client.Address },
	"client.name":         func(f *Judged) string { return inReply(f.Client.Name) },
	"dmarc.domain":        func(f *Judged) string { return inReply(f.DMARC.Domain) },
	"dmarc.policy":        func(f *Judged) string { return f.DMARC.Policy },
	"dmarc.record_domain": func(f *Judged) string { return inReply(f.DMARC.RecordDomain) },
	"envelope.sender":     func(f *Judged) string { return path(f.Envelope.Sender) },
	"message_id":          func(f *Judged) string { return path(f.Header("Message-ID")) },
	"spf.domain":          func(f *Judged) string { return inReply(f.SPF.Domain) },
	"spf.result":          func(f *Judged) string { return f.SPF.Result },
	"dmarc.result":        func(f *Judged) string { return f.DMARC.Result },
}

// Placeholders returns the names that a Template may have in braces, sorted.
func Placeholders() []string { return slices.Sorted(maps.Keys(placeholders)) }

var braces = regexp.MustCompile(`\{[^{}]*\}`)

// maxTemplate is how long a text may be, in bytes: the reply is cut at 400.
const maxTemplate = 300

// NewTemplate checks a text. The error names what is wrong in it; UnknownPlaceholder has the name.
func NewTemplate(text string) (Template, error) {
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' {
			return Template{}, fmt.Errorf(
				"expression: a reply is one line of ASCII, but the text has the byte %#x", c)
		}
	}
	if len(text) > maxTemplate {
		return Template{}, fmt.Errorf("the text has %d bytes; %d are the most",
			len(text), maxTemplate)
	}
	for _, name := range braces.FindAllString(text, -1) {
		name = strings.Trim(name, "{}")
		if _, ok := placeholders[name]; !ok {
			return Template{}, UnknownPlaceholder(name)
		}
	}
	return Template{text}, nil
}

// UnknownPlaceholder is the error for a name in braces that is not the name of a fact.
type UnknownPlaceholder string

func (u UnknownPlaceholder) Error() string {
	return fmt.Sprintf("{%s} is not known; there are {%s}", string(u),
		strings.Join(Placeholders(), "}, {"))
}

// Fill returns the text with the facts of a message, "" for a template without a text.
func (t Template) Fill(f *Judged) string {
	if t.text == "" {
		return ""
	}
	filled := braces.ReplaceAllStringFunc(t.text, func(name string) string {
		value := placeholders[strings.Trim(name, "{}")]
		if value == nil {
			return ""
		}
		return orNobody(value(f))
	})
	return filled
}

// inReply makes a name of a stranger's fit for a reply.
func inReply(name string) string {
	const most = 253
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-',
			r == '_':
			return r
		}
		return '?'
	}, name)
	return name[:min(len(name), most)]
}

// orNobody returns s, or the replacement for an unknown fact.
func orNobody(s string) string {
	if s == "" {
		return "(unknown)"
	}
	return s
}

// path makes an address or message identifier of a stranger fit for a reply: in quotes, cut, and
// without characters that could end them.
func path(s string) string {
	const most = 100
	if s == "" {
		return ""
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z',
			r >= 'A' && r <= 'Z',
			r >= '0' && r <= '9',
			strings.ContainsRune("@.<>_+-=/!#$&'*~", r):
			return r
		}
		return '?'
	}, s)
	if len(s) > most {
		s = s[:most] + "..."
	}
	return `"` + s + `"`
}
