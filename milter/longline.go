package milter

import (
	"bytes"
	"strings"

	"mailseal/milter/message"
)

// The longest lines, without their line ends, that leave a host as they came. Longer ones are
// broken after we have signed them, and the signature with them.
const (
	postfixLine  = 998 // smtp_line_length_limit
	sendmailLine = 990 // L= of the mailers smtp and esmtp
)

// LineLimit returns the length in bytes, without the line end, of the longest line that an
// MTA passes on unchanged. The macro v identifies the MTA: "Postfix 3.7.11",
// "8.17.1.9/8.17.1.9". Unknown MTAs get the lowest limit.
func LineLimit(mta string) int {
	if isPostfix(mta) {
		return postfixLine
	}
	return sendmailLine
}

func isPostfix(mta string) bool { return strings.HasPrefix(mta, "Postfix") }

// isSendmail reports whether v is that of Sendmail, which begins with its version.
func isSendmail(mta string) bool { return strings.HasPrefix(mta, "8.") }

// lineMeter watches a body stream by for a line of more than limit octets.
type lineMeter struct {
	limit int
	run   int // octets since the last line end
	long  bool
}

// write looks at the last place where the current line must have ended, and from there backwards:
// one octet in ten is read, and none any more once a long line was found.
func (l *lineMeter) write(p []byte) {
	for len(p) > 0 && !l.long {
		window := l.limit + 2 - l.run // a line of the limit, its CR and LF
		head := p[:min(window, len(p))]
		end := bytes.LastIndexByte(head, '\n')
		if end < 0 {
			l.run += len(head)
			l.long = len(head) == window
			return
		}
		p, l.run = p[end+1:], 0
	}
}

// end looks at a last line without a line end.
func (l *lineMeter) end() { l.long = l.long || l.run > l.limit }

// hasLongLine reports whether the header has a line of more than limit bytes.
func hasLongLine(h message.Header, limit int) bool { return longField(h, limit) != "" }
