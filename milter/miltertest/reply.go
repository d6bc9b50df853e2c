package miltertest

import (
	"bytes"
	"fmt"
	"strings"

	"mailseal/milter/guard"
)

// verdict reads the answer to a command.
func (c *Conn) verdict(command guard.Code, p guard.Packet) (Reply, error) {
	t := c.options.As.texts()
	r := Reply{Verdict: p.Code}
	switch p.Code {
	case guard.Continue:
		if command == guard.EndOfBody {
			r.Text = t.accept
		}
	case guard.Accept, guard.Discard:
		r.Text = t.accept
	case guard.Reject:
		r.Text = t.reject
	case guard.TempFail:
		r.Text = t.tempFail
	case guard.ConnFail:
		r.Text = t.connFail
	case guard.ReplyCode:
		r.Text = c.replyText(p.Data)
	case guard.SkipBody:
		if !c.agreed.Has(guard.Skip) || command == guard.EndOfBody {
			return Reply{}, fmt.Errorf("%w: it answered %v to %v", ErrFilter, p.Code, command)
		}
	default:
		return Reply{}, fmt.Errorf("%w: it answered %v to %v", ErrFilter, p.Code, command)
	}
	return r, nil
}

// replyText is what the MTA makes of a reply with a code and text of the milter's. "%%" stands for
// "%"; of a single "%" Postfix drops the sign, while Sendmail drops the whole reply, as both do
// with a malformed one.
func (c *Conn) replyText(data []byte) string {
	text := string(bytes.TrimSuffix(data, []byte{0}))
	plain := strings.ReplaceAll(text, "%%", "")
	single := strings.Contains(plain, "%")
	if !isReply(text) || single && c.options.As == Sendmail {
		return c.options.As.texts().badReply
	}
	const mark = "\x00" // cannot be in the text
	text = strings.ReplaceAll(text, "%%", mark)
	text = strings.ReplaceAll(text, "%", "")
	return strings.ReplaceAll(text, mark, "%")
}

// isReply reports whether every line has the same code of the 400s or 500s, and all but the last a
// hyphen behind it.
func isReply(text string) bool {
	lines := strings.Split(text, "\r\n")
	for i, l := range lines {
		separator := byte('-')
		if i == len(lines)-1 {
			separator = ' '
		}
		if len(l) < 4 || l[:3] != lines[0][:3] || l[3] != separator ||
			strings.ContainsAny(l, "\r\n\x00") {
			return false
		}
	}
	code := lines[0][:3]
	return (code[0] == '4' || code[0] == '5') && isDigit(code[1]) && isDigit(code[2])
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
