package intake

import (
	"bytes"
	"errors"
	"regexp"
)

// errNoReport reports bytes that nothing is known of.
var errNoReport = errors.New("this is not a report: neither XML, JSON, gzip, zip nor a mail")

// sniffed is how many bytes tell what something is.
const sniffed = 4096

// beginning returns the first bytes of data, behind white space and zeros.
func beginning(data []byte) []byte {
	return bytes.TrimLeft(data[:min(len(data), sniffed)], " \t\r\n\x00")
}

// legible returns the first bytes in lower case, without byte order marks and without the zeros that
// UTF-16 and UTF-32 have between letters of ASCII.
func legible(start []byte) []byte {
	text := bytes.ReplaceAll(start, []byte{0}, nil)
	for {
		rest := bytes.TrimLeft(text, " \t\r\n")
		for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
			rest = bytes.TrimPrefix(rest, []byte(mark))
		}
		if len(rest) == len(text) {
			return bytes.ToLower(text)
		}
		text = rest
	}
}

// rootTag is the first tag of an aggregate report.
var rootTag = regexp.MustCompile(`<([\w.-]+:)?feedback[\s>]`)

// isXML reports whether a text is XML that may hold a report. In a mail many texts for people begin
// with a tag: there it needs to say more of itself.
func isXML(start []byte, isTop bool) bool {
	text := legible(start)
	switch {
	case !bytes.HasPrefix(text, []byte("<")):
		return false
	case rootTag.Match(text):
		return true
	case bytes.HasPrefix(text, []byte("<!doctype html")), bytes.Contains(text, []byte("<html")):
		return false
	}
	return isTop || bytes.HasPrefix(text, []byte("<?xml")) && !bytes.Contains(text, []byte("<body"))
}

// holdsXML reports whether a report stands in a text behind something else.
func holdsXML(data []byte) bool {
	text := bytes.ToLower(data[:min(len(data), 16*sniffed)])
	at := rootTag.FindIndex(text)
	return at != nil && bytes.Contains(text[at[0]:], []byte("<report_metadata"))
}

// rootEnd is the last tag of an aggregate report.
var rootEnd = regexp.MustCompile(`(?i)</([\w.-]+:)?feedback\s*>`)

// endOfReport returns where the first report in data ends, if another one follows; else the length
// of data.
func endOfReport(data []byte) int {
	end := rootEnd.FindIndex(data)
	if end == nil || !isXML(beginning(data[end[1]:]), false) {
		return len(data)
	}
	return end[1]
}

// isJSON reports whether a text is JSON that may be a TLS report.
func isJSON(start []byte, isTop bool) bool {
	text := legible(start)
	if !bytes.HasPrefix(text, []byte("{")) {
		return false
	}
	for _, name := range []string{`"organization-name"`, `"report-id"`, `"policies"`, `"date-range"`} {
		if bytes.Contains(text, []byte(name)) {
			return true
		}
	}
	return isTop
}

func isZip(data, start []byte) bool {
	return bytes.HasPrefix(start, []byte("PK\x03\x04")) || bytes.HasPrefix(start, []byte("PK\x05\x06")) ||
		bytes.Contains(data[:min(len(data), sniffed)], []byte("PK\x03\x04"))
}

// isBase64 recognizes gzip, zip and XML that are still encoded: the field that says so is missing,
// or wrong.
func isBase64(start []byte) bool {
	for _, mark := range []string{"H4sI", "UEsDB", "PD94bWwg", "77u/PD94", "PGZlZWRiYWNr"} {
		if bytes.HasPrefix(start, []byte(mark)) {
			return true
		}
	}
	return false
}

// isUnused recognizes what Yahoo sent for days without mail.
func isUnused(start []byte) bool { return bytes.EqualFold(bytes.TrimSpace(start), []byte("unused")) }

// unreadable says what the bytes of programs are that cannot be read; nil for all others.
func unreadable(data []byte) error {
	switch {
	case bytes.HasPrefix(data, []byte("\xd0\xcf\x11\xe0")):
		return errors.New("this is a message saved by Outlook (.msg): save it as .eml, or forward it as an attachment")
	case bytes.HasPrefix(data, []byte("\x78\x9f\x3e\x22")):
		return errors.New("this is winmail.dat, which Outlook and Exchange write: " +
			"have the sender's Exchange send MIME, or forward the mail as an attachment from another program")
	}
	for _, magic := range []string{"BZh", "\xfd7zXZ\x00", "7z\xbc\xaf\x27\x1c", "Rar!", "\x28\xb5\x2f\xfd"} {
		if bytes.HasPrefix(data, []byte(magic)) {
			return errors.New("this archive is neither gzip nor zip: unpack it first")
		}
	}
	if len(data) > 262 && string(data[257:262]) == "ustar" {
		return errors.New("this archive is neither gzip nor zip but tar: unpack it first")
	}
	return nil
}
