package diagnose

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"

	"mailseal/milter/dkim"
	"mailseal/milter/message"
)

// repair is a way to undo a change to a body.
type repair struct {
	undo  func(body []byte) []byte // nil when it does not apply
	cause string
	cure  string
}

var repairs = []repair{
	{unescapeFrom, `a mailbox or list put ">" before lines that begin with "From "`,
		"verify mail before it is written into a mbox"},
	{undot,
		`lines begin with ".." where they had one dot: a program did not undo SMTP's dot-stuffing`,
		"correct the program that forwarded the message"},
	{rejoin("\r\n "), "long lines were broken by Postfix (over 998 octets) after signing",
		"the sender should write shorter lines, or encode the part as quoted-printable"},
	{rejoin("!\r\n "), "long lines were broken by Sendmail (over 990 octets) after signing",
		"the sender should write shorter lines, or encode the part as quoted-printable"},
	{trimLines, "white space was added at the ends of lines, or the signer had removed it",
		"sign with a relaxed body"},
	{crToCRLF, "bare CR and LF were turned into line ends on the way",
		"the sender should write CRLF line ends"},
	{withoutFirstLine, "empty lines were added at the top of the body", ""},
}

// bodyFinding looks for what happened to a body whose hash is not the signed one.
func bodyFinding(h message.Header, body []byte, s dkim.Signature) Finding {
	fits := func(c message.Canonicalization, b []byte) bool {
		return bytes.Equal(sum(c, b, s.Limit), s.BodyHash)
	}
	if other := otherOf(s.Body); fits(other, body) {
		return Finding{"body",
			fmt.Sprintf(
				"the body matches as %s, but the signature says %s: the signer used one and "+
					"wrote the other", other, s.Body), "the signer's software has to be corrected",
			true}
	}
	for _, r := range repairs {
		if b := r.undo(body); b != nil && !bytes.Equal(b, body) && fits(s.Body, b) {
			return Finding{"body", r.cause, r.cure, true}
		}
	}
	if s.Body == message.Simple && fits(message.Relaxed, body) {
		return Finding{"body", "only white space differs: a relaxed body would have passed",
			"the signer should use c=relaxed/relaxed", true}
	}
	if b := decoded(h, body); b != nil && fits(s.Body, b) {
		return Finding{"body",
			"an 8-bit body was encoded as quoted-printable or base64 on the way, for a host that accepts only 7 bits",
			"the signer should encode before signing; in Postfix " +
				"disable_mime_output_conversion=yes keeps it from doing so afterwards", true}
	}
	if n := footer(s, body); n > 0 {
		return Finding{"body",
			fmt.Sprintf(
				"the body passes without its last %s: a footer was added, by a mailing list or a disclaimer", lines(n)),
			"the list should not change messages, or should rewrite From; if the footer is our " +
				"own, it must be added before signing", true}
	}
	if n := banner(s, body); n > 0 {
		return Finding{"body",
			fmt.Sprintf("the body passes without its first %s: a banner was added on the way",
				lines(n)), "add banners only after verifying, or not at all", true}
	}
	return Finding{Part: "body",
		Cause: "the body was changed on the way, by a change that Mailseal does not recognize",
		Cure:  "compare it with the message that was sent"}
}

// sum is the body hash of RFC 6376 section 3.7.
func sum(c message.Canonicalization, body []byte, limit int64) []byte {
	canonical := c.AppendBody(nil, body)
	if limit >= 0 && limit < int64(len(canonical)) {
		canonical = canonical[:limit]
	}
	hash := sha256.Sum256(canonical)
	return hash[:]
}

func otherOf(c message.Canonicalization) message.Canonicalization {
	if c == message.Simple {
		return message.Relaxed
	}
	return message.Simple
}

func lines(n int) string {
	if n == 1 {
		return "line"
	}
	return fmt.Sprintf("%d lines", n)
}

// footer returns how many lines at the end must go for the body to pass, 0 when that does not help.
// It reads the body once: the hash of each beginning costs no more than its end.
func footer(s dkim.Signature, body []byte) int {
	canonical := s.Body.AppendBody(nil, body)
	if s.Limit >= 0 {
		return 0
	}
	hash := sha256.New()
	pending := 0 // empty lines, which count only if something follows
	done, good := 0, -1
	for rest := canonical; len(rest) > 0; {
		end := bytes.Index(rest, []byte("\r\n")) + 2
		if end == 1 {
			end = len(rest)
		}
		line := rest[:end]
		rest = rest[end:]
		done++
		if len(line) == 2 {
			pending++
			continue
		}
		hash.Write(bytes.Repeat([]byte("\r\n"), pending))
		hash.Write(line)
		pending = 0
		if bytes.Equal(hash.Sum(nil), s.BodyHash) {
			good = done
		}
	}
	if good < 0 {
		return 0
	}
	return done - good
}

// banner returns how many lines at the top must go, at most maxBanner.
func banner(s dkim.Signature, body []byte) int {
	const maxBanner = 40
	rest := body
	for n := 1; n <= maxBanner && len(rest) > 0; n++ {
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
		if bytes.Equal(sum(s.Body, rest, s.Limit), s.BodyHash) {
			return n
		}
	}
	return 0
}

func unescapeFrom(body []byte) []byte {
	return bytes.TrimPrefix(bytes.ReplaceAll(append([]byte("\n"), body...), []byte("\n>From "),
		[]byte("\nFrom ")), []byte("\n"))
}

func undot(body []byte) []byte {
	return bytes.TrimPrefix(bytes.ReplaceAll(append([]byte("\n"), body...), []byte("\n.."),
		[]byte("\n.")), []byte("\n"))
}

func rejoin(fold string) func([]byte) []byte {
	return func(body []byte) []byte { return bytes.ReplaceAll(body, []byte(fold), nil) }
}

func trimLines(body []byte) []byte {
	all := bytes.Split(body, []byte("\r\n"))
	for i := range all {
		all[i] = bytes.TrimRight(all[i], " \t")
	}
	return bytes.Join(all, []byte("\r\n"))
}

// crToCRLF undoes nothing: it shows what a message with bare CR or LF becomes.
func crToCRLF(body []byte) []byte {
	s := strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(string(body))
	return []byte(s)
}

func withoutFirstLine(body []byte) []byte { return bytes.TrimLeft(body, "\r\n") }

// decoded is a body of one part before an MTA encoded it, nil when it is not encoded.
func decoded(h message.Header, body []byte) []byte {
	encoding := ""
	for _, f := range h {
		if f.Is("Content-Transfer-Encoding") {
			encoding = strings.ToLower(strings.TrimSpace(string(f.Value())))
		}
	}
	var r io.Reader
	switch encoding {
	case "quoted-printable":
		r = quotedprintable.NewReader(bytes.NewReader(body))
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, bytes.NewReader(body))
	default:
		return nil
	}
	out, err := io.ReadAll(r)
	if err != nil {
		return nil
	}
	return crToCRLF(out)
}
