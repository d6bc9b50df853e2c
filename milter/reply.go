package milter

import (
	"strings"
	"unicode/utf8"

	gomilter "github.com/emersion/go-milter"
)

// Reply is the reply to the SMTP client (RFC 5321 section 4.2). The zero Reply is the
// generic one for its Action.
type Reply struct {
	Code     int    // 400 to 599
	Enhanced string // RFC 3463, of the same class: "5.7.1"
	Text     string // one line or several, parted by LF
}

// The replies that need no judge.
var (
	replyReject   = Reply{550, "5.7.1", "Message refused"}
	replyTempfail = Reply{451, "4.7.1", "Temporary failure, please try again later"}
	replyInternal = Reply{451, "4.3.0", "Temporary internal failure, please try again later"}
	replyTooMany  = Reply{452, "4.5.3", "Too many recipients"}
)

const (
	// maxReplyLine keeps a line with its codes below the 512 octets of RFC 5321 section 4.5.3.1.5.
	maxReplyLine = 480
	// maxReplyLines is what libmilter takes.
	maxReplyLines = 32
)

// is reports whether r can be given in a class of replies, 4 or 5. An MTA that gets anything else
// replies on its own: Sendmail with 554, so that a 451 would become a refusal for good.
func (r Reply) is(class int) bool {
	return r.Code/100 == class && isEnhanced(r.Enhanced, byte('0'+class)) && r.Text != ""
}

// isEnhanced reports whether s is an enhanced status code of a class (RFC 3463 section 2).
func isEnhanced(s string, class byte) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || parts[0] != string(class) {
		return false
	}
	for _, p := range parts[1:] {
		if len(p) < 1 || len(p) > 3 || strings.Trim(p, "0123456789") != "" ||
			len(p) > 1 && p[0] == '0' {
			return false
		}
	}
	return true
}

// wire returns r as SMFIR_REPLYCODE has it: each line with both codes, "%" doubled, since MTAs take
// it for the start of a format.
func (r Reply) wire() string {
	code := string(byte('0'+r.Code/100)) + string(byte('0'+r.Code/10%10)) +
		string(byte('0'+r.Code%10))
	lines := r.lines()
	var b strings.Builder
	for i, line := range lines {
		b.WriteString(code)
		if i < len(lines)-1 {
			b.WriteByte('-')
		} else {
			b.WriteByte(' ')
		}
		b.WriteString(r.Enhanced)
		b.WriteByte(' ')
		b.WriteString(strings.ReplaceAll(line, "%", "%%"))
		if i < len(lines)-1 {
			b.WriteString("\r\n")
		}
	}
	return b.String()
}

// lines returns the text in lines that SMTP can carry: printable ASCII (RFC 5321 section 4.2), none
// too long.
func (r Reply) lines() []string {
	var out []string
	for line := range strings.SplitSeq(r.Text, "\n") {
		line = strings.TrimRight(printable(line), " ")
		for len(line) > maxReplyLine {
			cut := strings.LastIndexByte(line[:maxReplyLine], ' ')
			if cut <= 0 {
				cut = maxReplyLine
			}
			out = append(out, line[:cut])
			line = strings.TrimLeft(line[cut:], " ")
		}
		out = append(out, line)
	}
	return out[:min(len(out), maxReplyLines)]
}

// printable returns s with a "?" for everything that is not printable ASCII.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r >= 0x7f || r == utf8.RuneError:
			return '?'
		}
		return r
	}, s)
}

// answer is a verdict. Unlike those of the library it always says that the conversation goes on:
// after any other answer the library forgets its session, in the middle of a message if it was one
// about a recipient.
type answer gomilter.Message

// Response returns the packet.
func (a *answer) Response() *gomilter.Message { return (*gomilter.Message)(a) }

// Continue reports that the session continues; it is always true.
func (a *answer) Continue() bool { return true }

// The answers without data.
var (
	answerAccept  = &answer{Code: 'a'}
	answerDiscard = &answer{Code: 'd'}
)

// answerReply returns the answer that gives the client a reply.
func answerReply(r Reply) *answer {
	return &answer{Code: 'y', Data: append([]byte(r.wire()), 0)}
}

// reject and tempfail return r, or a general reply if r is not one of the class.
func (r Reply) reject() *answer {
	if !r.is(5) {
		r = replyReject
	}
	return answerReply(r)
}

func (r Reply) tempfail() *answer {
	if !r.is(4) {
		r = replyTempfail
	}
	return answerReply(r)
}
