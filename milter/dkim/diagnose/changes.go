package diagnose

import (
	"regexp"
	"strings"

	"mailseal/milter/message"
)

// change is something that happens to a field, and the values that the field may have had before.
type change struct {
	undo        func(h message.Header, f message.Field) [][]byte
	cause, cure string
}

var changes = []change{
	{withoutTag, "a tag was added to the subject",
		"the list should not change the subject, or should rewrite From"},
	{otherEncodings, "the part was converted between 8 bit and an encoding on the way",
		"the signer should encode before signing"},
	{originalFrom, "From was rewritten on the way, as lists do",
		"check the signature of the host that rewrote it instead"},
	{stripped, "white space at the ends of the field was changed",
		"the signer should use c=relaxed/relaxed"},
	{refolded, "the field was folded differently on the way", "the signer should use c=relaxed/relaxed"},
	{spacedAddresses, "the MTA has rewritten the list of addresses after signing, as Sendmail does",
		`write addresses as "a@x, b@y" with one space after each comma, or sign at a later hop`},
	{unquoted, "the MTA added quotes around a display name after signing, as Sendmail does",
		"quote display names with dots or other special characters"},
}

// tag is what lists and filters put before a subject.
var tag = regexp.MustCompile(
	`^\s*(\[[^\]]{1,60}\]|\*{2,}[^*]{1,40}\*{2,}|\([^)]{1,40}\)|(?i:re|fwd?|aw|antw):)\s*`)

func withoutTag(_ message.Header, f message.Field) [][]byte {
	if !f.Is("Subject") {
		return nil
	}
	var out [][]byte
	value := f.Value()
	for range 3 {
		cut := tag.FindIndex(value)
		if cut == nil {
			break
		}
		value = append([]byte(" "), value[cut[1]:]...)
		out = append(out, value)
	}
	return out
}

func otherEncodings(_ message.Header, f message.Field) [][]byte {
	if !f.Is("Content-Transfer-Encoding") {
		return nil
	}
	return values(" 8bit", " 8BIT", " 7bit", " quoted-printable", " base64", " binary")
}

// maxOriginals is how many fields are tried as the From that was replaced.
const maxOriginals = 10

// originalFrom tries what rewriters leave of the From that they replaced.
func originalFrom(h message.Header, f message.Field) [][]byte {
	if !f.Is("From") {
		return nil
	}
	var out [][]byte
	for _, other := range h {
		for _, name := range []string{"X-Original-From", "Reply-To", "X-MailFrom-From",
			"Original-From", "X-Original-Sender"} {
			if other.Is(name) {
				out = append(out, other.Value())
			}
		}
		if len(out) >= maxOriginals {
			break
		}
	}
	return out
}

var (
	fold = regexp.MustCompile(`\r\n[ \t]+`)
	gaps = regexp.MustCompile(`[ \t]+`)
)

func refolded(_ message.Header, f message.Field) [][]byte {
	flat := fold.ReplaceAll(f.Value(), []byte(" "))
	return [][]byte{flat, fold.ReplaceAll(f.Value(), nil),
		fold.ReplaceAll(f.Value(), []byte("\r\n\t")), fold.ReplaceAll(f.Value(), []byte("\r\n ")),
		gaps.ReplaceAll(flat, []byte(" "))}
}

func spacedAddresses(_ message.Header, f message.Field) [][]byte {
	if !hasAddresses(f) {
		return nil
	}
	flat := string(gaps.ReplaceAll(fold.ReplaceAll(f.Value(), []byte(" ")), []byte(" ")))
	return values(strings.ReplaceAll(flat, ", ", ","), strings.ReplaceAll(flat, ", ", " , "),
		flat+",")
}

func unquoted(_ message.Header, f message.Field) [][]byte {
	if !hasAddresses(f) {
		return nil
	}
	return values(strings.ReplaceAll(string(f.Value()), `"`, ""))
}

func stripped(_ message.Header, f message.Field) [][]byte {
	bare := strings.Trim(string(f.Value()), " \t")
	return values(bare, " "+bare, "  "+bare, "\t"+bare, " "+bare+" ")
}

func hasAddresses(f message.Field) bool {
	for _, name := range []string{"From", "To", "Cc", "Reply-To", "Sender"} {
		if f.Is(name) {
			return true
		}
	}
	return false
}

func values(texts ...string) [][]byte {
	out := make([][]byte, len(texts))
	for i, s := range texts {
		out[i] = []byte(s)
	}
	return out
}

// shown is a field on one short line.
func shown(f message.Field) string {
	const most = 100
	s := strings.Join(strings.Fields(strings.ToValidUTF8(string(f.Raw()), "?")), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
