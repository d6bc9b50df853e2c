package report

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Redactor replaces the names of people in what a failure report tells (RFC 6590): the same local
// part becomes the same text under one key, and cannot be guessed without it.
type Redactor struct{ Key []byte }

// MaxFailingHeader is how much of a header a failure report has, in bytes.
const MaxFailingHeader = 8 << 10

// Local returns the code that replaces a local part.
func (r Redactor) Local(local string) string {
	h := hmac.New(sha256.New, r.Key)
	_, _ = h.Write([]byte(strings.ToLower(local)))
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(
		h.Sum(nil)[:10]))
}

// Address redacts an address without a name: only the domain stays.
func (r Redactor) Address(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return ""
	}
	return r.Local(address[:at]) + "@" + hostOf(address[at+1:])
}

var notHost = regexp.MustCompile(`[^A-Za-z0-9.:_\[\]-]`)

// hostOf is a stranger's domain without anything that could end a field.
func hostOf(text string) string {
	text = notHost.ReplaceAllString(text, "?")
	return text[:min(len(text), 255)]
}

// The fields whose value is addresses, and the others that a report may have. All else is left out:
// Received names hosts of the recipient, other fields hold whatever their makers put there.
var addressFields = []string{"from", "sender", "reply-to", "to", "cc"}

// FailingFields are the names of fields that a failure report may have, in lower case.
func FailingFields(subject bool) []string {
	out := append([]string{"date", "message-id", "dkim-signature"}, addressFields...)
	if subject {
		out = append(out, "subject")
	}
	return out
}

// Redact takes the local parts and names of people out of f.
func (r Redactor) Redact(f *Failing) {
	locals := map[string]bool{}
	note := func(local string) {
		if local = strings.ToLower(local); local != "" {
			locals[local] = true
		}
	}
	if at := strings.LastIndexByte(f.MailFrom, '@'); at > 0 {
		note(f.MailFrom[:at])
	}
	f.MailFrom = r.Address(f.MailFrom)
	if s := f.Signature; s != nil && !strings.HasPrefix(s.Identifier, "@") {
		s.Identifier = r.Address(s.Identifier)
	}
	var out, later []string
	for _, field := range unfold(f.Header) {
		name, value, _ := strings.Cut(field, ":")
		lower := strings.ToLower(strings.TrimSpace(name))
		value = strings.TrimSpace(value)
		if !slices.Contains(FailingFields(true), lower) {
			continue
		}
		if !slices.Contains(addressFields, lower) {
			later = append(later, name+": "+value)
			continue
		}
		out = append(out, name+": "+r.addresses(value, note))
	}
	for _, field := range later {
		if kept, ok := r.other(field, locals); ok {
			out = append(out, kept)
		}
	}
	f.Header = nil
	if len(out) > 0 {
		f.Header = []byte(strings.Join(out, "\r\n") + "\r\n")
	}
}

// unfold splits a header into fields on one line each.
func unfold(header []byte) []string {
	var out []string
	for line := range bytes.SplitSeq(bytes.ReplaceAll(header, []byte("\r"), nil), []byte("\n")) {
		switch {
		case len(line) == 0:
		case (line[0] == ' ' || line[0] == '\t') && len(out) > 0:
			out[len(out)-1] += " " + strings.TrimSpace(string(line))
		default:
			out = append(out, string(line))
		}
	}
	return out
}

// lastPart finds the domain at the end of a list of addresses that does not follow the syntax.
var lastPart = regexp.MustCompile(`@([A-Za-z0-9.-]+)[^@]*$`)

// maxRedacted is how many addresses of a field are kept.
const maxRedacted = 50

// addresses writes a field of addresses again, without names and comments.
func (r Redactor) addresses(value string, note func(string)) string {
	var out []string
	list, err := mail.ParseAddressList(value)
	if err == nil {
		for _, a := range list {
			at := strings.LastIndexByte(a.Address, '@')
			note(a.Address[:max(at, 0)])
			out = append(out, "<"+r.Address(a.Address)+">")
		}
	} else if m := lastPart.FindStringSubmatch(value); m != nil {
		out = append(out, "<redacted@"+hostOf(m[1])+">")
	}
	if len(out) == 0 {
		return "<redacted@invalid>"
	}
	return strings.Join(out[:min(len(out), maxRedacted)], ",\r\n ")
}

// signatureTags are the tags of a DKIM-Signature that say nothing of people. Of i= the domain
// stays.
var signatureTags = []string{"v", "a", "b", "bh", "c", "d", "h", "l", "q", "r", "s", "t", "x"}

// signature redacts a DKIM-Signature field.
func (r Redactor) signature(value string) string {
	var out []string
	for tag := range strings.SplitSeq(value, ";") {
		name, v, _ := strings.Cut(tag, "=")
		name = strings.TrimSpace(name)
		switch {
		case slices.Contains(signatureTags, name):
			out = append(out, name+"="+strings.TrimSpace(v))
		case name == "i" && strings.HasPrefix(strings.TrimSpace(v), "@"):
			out = append(out, "i="+"@"+hostOf(strings.TrimSpace(v)[1:]))
		case name == "i":
			out = append(out, "i="+r.Address(strings.Join(strings.Fields(v), "")))
		}
	}
	return strings.Join(out, "; ")
}

// other redacts a field that is not a list of addresses; one that might hold names is left out.
func (r Redactor) other(field string, locals map[string]bool) (string, bool) {
	name, value, _ := strings.Cut(field, ": ")
	switch strings.ToLower(name) {
	case "date":
		date, err := mail.ParseDate(value)
		if err != nil {
			return "", false
		}
		value = date.Format(time.RFC1123Z)
	case "dkim-signature":
		value = r.signature(value)
	case "message-id":
		at := strings.LastIndexByte(value, '@')
		switch {
		case at < 0 && hasAny(value, locals):
			return "", false
		case at >= 0 && hasAny(value[:at], locals):
			host := hostOf(strings.TrimSuffix(value[at+1:], ">"))
			value = "<" + r.Local(strings.Trim(value[:at], "<")) + "@" + host + ">"
		}
	case "subject":
		if hasAny(value, locals) {
			return "", false
		}
	}
	return name + ": " + fold(printable(value)), true
}

func hasAny(text string, locals map[string]bool) bool {
	text = strings.ToLower(text)
	for l := range locals {
		if strings.Contains(text, l) {
			return true
		}
	}
	return false
}

// printable leaves printable ASCII.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// fold breaks a long value at spaces.
func fold(s string) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(s) {
		if i > 0 && column+len(word) > 70 {
			b.WriteString("\r\n ")
			column = 0
		} else if i > 0 {
			b.WriteString(" ")
		}
		b.WriteString(word)
		column += len(word) + 1
	}
	return b.String()
}
