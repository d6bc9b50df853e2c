package intake

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
)

// errNoReport reports bytes that nothing is known of.
var errNoReport = errors.New("this is not a report: neither XML, JSON, gzip, zip, tar, bzip2 nor " +
	"a mail")

// errHTML is the errNoReport of a page of a web server that was saved in place of a report.
var errHTML = htmlPage{}

type htmlPage struct{}

func (htmlPage) Error() string {
	return "this is a web page (HTML), not a report: it may be the login page of the server from " +
		"which the report was to be fetched"
}

func (htmlPage) Is(target error) bool { return target == errNoReport }

// isHTML reports whether a text begins as a web page does.
func isHTML(start []byte) bool {
	text := plainStart(start)
	return bytes.HasPrefix(text, []byte("<!doctype html")) ||
		bytes.HasPrefix(text, []byte("<html"))
}

// sniffed is how many bytes tell what something is.
const sniffed = 4096

// between are the bytes that may stand before a report, or between two: white space, zeros, and the
// record separator of RFC 7464.
const between = " \t\r\n\x00\x1e"

// beginning returns the first bytes of data, behind white space and zeros.
func beginning(data []byte) []byte {
	return bytes.TrimLeft(data[:min(len(data), sniffed)], between)
}

// plainStart returns the first bytes in lower case, without byte order marks and without the zeros
// that UTF-16 and UTF-32 have between letters of ASCII.
func plainStart(start []byte) []byte {
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
	text := plainStart(start)
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

// holdsXML reports whether a report is in a text behind something else.
func holdsXML(data []byte) bool {
	text := bytes.ToLower(data[:min(len(data), 16*sniffed)])
	at := rootTag.FindIndex(text)
	return at != nil && bytes.Contains(text[at[0]:], []byte("<report_metadata"))
}

// holdsEscapedXML reports whether a report is in HTML as text that people can read.
func holdsEscapedXML(data []byte) bool {
	text := bytes.ToLower(data[:min(len(data), 16*sniffed)])
	at := bytes.Index(text, []byte("&lt;feedback"))
	return at >= 0 && bytes.Contains(text[at:], []byte("&lt;report_metadata"))
}

// rootEnd is the last tag of an aggregate report.
var rootEnd = regexp.MustCompile(`(?i)</([\w.-]+:)?feedback\s*>`)

// isJSON reports whether a text is JSON that may be a TLS report.
func isJSON(start []byte, isTop bool) bool {
	text := plainStart(start)
	if rest, isList := bytes.CutPrefix(text, []byte("[")); isList {
		text, isTop = bytes.TrimLeft(rest, " \t\r\n"), false
	}
	if !bytes.HasPrefix(text, []byte("{")) {
		return false
	}
	for _, name := range []string{`"organization-name"`, `"report-id"`, `"policies"`,
		`"date-range"`} {
		if bytes.Contains(text, []byte(name)) {
			return true
		}
	}
	return isTop
}

func isZip(data, start []byte) bool {
	return bytes.HasPrefix(start, []byte("PK\x03\x04")) || bytes.HasPrefix(start,
		[]byte("PK\x05\x06")) ||
		bytes.Contains(data[:min(len(data), sniffed)], []byte("PK\x03\x04"))
}

// isUnused recognizes what Yahoo sent for days without mail.
func isUnused(start []byte) bool {
	return bytes.EqualFold(bytes.TrimSpace(start), []byte("unused"))
}

// archives are those that are not read, by their first bytes, and how to unpack them.
var archives = []struct{ magic, name, unpack string }{
	{"\xfd7zXZ\x00", "xz", "xz -d"},
	{"7z\xbc\xaf\x27\x1c", "7-Zip", "7z x"},
	{"Rar!", "RAR", "unrar x"},
	{"\x28\xb5\x2f\xfd", "Zstandard", "zstd -d"},
	{"\x04\x22\x4d\x18", "LZ4", "lz4 -d"},
	{"LZIP", "lzip", "lzip -d"},
	{"\x1f\x9d", "compress", "uncompress"},
	{"MSCF", "Cabinet", "cabextract"},
}

// errWrapped reports a part of a mail that holds nothing beside a report: a signature.
var errWrapped = errors.New("the mail is signed with S/MIME as one block (smime.p7m): " +
	"open it in a mail program, save the attachment, and import that file")

// unreadable says what the bytes of programs are that cannot be read; nil for all others.
func unreadable(data []byte) error {
	switch {
	case bytes.HasPrefix(data, []byte("\xd0\xcf\x11\xe0")):
		return errors.New("this is a message saved by Outlook (.msg): save it as .eml, or " +
			"forward it as an attachment")
	case bytes.HasPrefix(data, []byte("\x78\x9f\x3e\x22")):
		return errors.New("this is winmail.dat, which Outlook and Exchange write: " +
			"set the sender's Exchange to send MIME, or forward the mail as an attachment from " +
			"another program")
	case isCMS(data, "\x03"), bytes.HasPrefix(data, []byte("-----BEGIN PGP MESSAGE-----")):
		return errors.New("the mail is encrypted: open it in a mail program that has the key, " +
			"save the attachment, and import that file")
	case isCMS(data, "\x02"):
		return errWrapped
	case bytes.HasPrefix(data, []byte("(This file must be converted with BinHex")):
		return errors.New("the attachment is encoded with BinHex, which is not supported: " +
			"save it in a mail program, and import that file")
	}
	for _, a := range archives {
		if bytes.HasPrefix(data, []byte(a.magic)) {
			return fmt.Errorf("this is a file of %s, which is not supported: unpack it with %s, "+
				"and import the files in it",
				a.name, a.unpack)
		}
	}
	return nil
}

// isCMS reports whether data are of S/MIME (RFC 5652), and of a type: "\x02" for signed data,
// "\x03" for encrypted.
func isCMS(data []byte, kind string) bool {
	return len(data) > 40 && data[0] == 0x30 &&
		bytes.Contains(data[:40], []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"+kind))
}
