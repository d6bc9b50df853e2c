package intake

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"regexp"
	"slices"
	"strings"

	"github.com/emersion/go-message/textproto"
	"golang.org/x/text/encoding/unicode"

	"mailseal/milter/report"
)

// fieldLine is how a header field begins.
var fieldLine = regexp.MustCompile(`^(?:From |>From |[!-9;-~]+[ \t]*:)`)

// looksLikeMail reports whether text begins with header fields. There may be invalid lines
// among them, which some programs leave in a header.
func looksLikeMail(start []byte) bool {
	fields, others := 0, 0
	for i, line := range bytes.SplitN(start, []byte("\n"), 10) {
		switch {
		case i == 9 || len(bytes.TrimSpace(line)) == 0:
			return fields > others
		case line[0] == ' ' || line[0] == '\t':
		case fieldLine.Match(line):
			fields++
		default:
			others++
		}
	}
	return fields > others
}

// mimeField is a field that a mail has which was attached as a file.
var mimeField = regexp.MustCompile(`(?im)^(?:mime-version|content-type|received|message-id)[ \t]*:`)

// isAttachedMail reports whether a part of a mail is a mail, although its type does not say so.
func isAttachedMail(start []byte) bool { return looksLikeMail(start) && mimeField.Match(start) }

// maxHeader bounds the header of a mail that is looked at, in bytes.
const maxHeader = 1 << 20

// splitHeader returns the header and the body of a mail. It omits invalid lines of the
// header.
func splitHeader(mail []byte) (textproto.Header, []byte) {
	var kept []byte
	for len(mail) > 0 {
		line, rest, _ := bytes.Cut(mail, []byte("\n"))
		mail = rest
		if len(bytes.TrimRight(line, "\r")) == 0 {
			break
		}
		isMore := line[0] == ' ' || line[0] == '\t'
		if isMore && kept == nil || !isMore && !fieldLine.Match(line) ||
			len(kept)+len(line) > maxHeader {
			continue
		}
		kept = append(append(kept, line...), '\n')
	}
	h, _ := textproto.ReadHeader(bufio.NewReader(bytes.NewReader(append(kept, "\n"...))))
	return h, mail
}

// isOldText reports whether a mail was saved by a program that writes UTF-16, or whose lines end
// with CR alone.
func isOldText(data []byte) bool {
	head := data[:min(len(data), sniffed)]
	isWide := bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff"))
	return isWide || bytes.IndexByte(head, '\n') < 0 && bytes.IndexByte(head, '\r') >= 0 &&
		looksLikeMail(bytes.ReplaceAll(head, []byte("\r"), []byte("\n")))
}

// plainText returns such a mail as others are.
func plainText(data []byte) []byte {
	if data[0] >= 0xfe {
		text, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder().Bytes(data)
		if err != nil {
			return nil
		}
		return text
	}
	return bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
}

// isMailbox reports whether an archive holds a mailbox in one file (mbox).
func isMailbox(start []byte) bool {
	line, rest, ok := bytes.Cut(start, []byte("\n"))
	return ok && bytes.HasPrefix(line, []byte("From ")) && fieldLine.Match(rest)
}

// feedbackField is the field that the machine-readable part of a failure report has (RFC 5965).
var feedbackField = regexp.MustCompile(
	`(?i)^(?:[!-9;-~]+[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*)*?feedback-type[ \t]*:`)

// isFeedback reports whether a text is the machine-readable part of a failure report, which was
// saved alone, or has the type of something else.
func isFeedback(start []byte) bool { return feedbackField.Match(start) && !mimeField.Match(start) }

// feedback adds a failure report of which only that part is there.
func (w *walker) feedback(at []string, data []byte) error {
	f, err := report.ReadFailure(data[:min(len(data), maxHeader)], nil)
	if err != nil {
		return err
	}
	w.found = append(w.found, &Part{Kind: Failure, Path: at, Failure: f})
	return nil
}

// mailbox looks into each mail of a mailbox.
func (w *walker) mailbox(at []string, data []byte, layers, nesting int) error {
	n := 0
	return eachMail("", bufio.NewReaderSize(bytes.NewReader(data), 64<<10), func(f File) error {
		n++
		inside := at
		if n > 1 {
			inside = append(slices.Clone(at), fmt.Sprintf("mail %d", n))
		}
		left := w.budget.parts
		err := w.mail(inside, f.Data, layers, nesting)
		if errors.Is(err, report.ErrHostile) {
			return err
		}
		if err != nil {
			w.fail(inside, err)
		}
		if w.budget.parts == left { // nothing in it was counted, not even the text
			return w.budget.part()
		}
		return nil
	})
}

// mail looks into a message.
func (w *walker) mail(at []string, data []byte, layers, nesting int) error {
	data = bytes.TrimLeft(data, "\r\n")
	if line, rest, ok := bytes.Cut(data, []byte("\n")); ok &&
		(bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))) {
		data = rest
	}
	h, body := splitHeader(data)
	if h.Len() == 0 {
		return errors.New("the header of the mail cannot be read")
	}
	outer := w.subject
	defer func() { w.subject = outer }()
	w.subject = decodedSubject(h.Get("Subject"))
	return w.entity(at, h, bytes.NewReader(body), layers, nesting+1)
}

// decodedSubject returns a subject without encoded words.
func decodedSubject(s string) string {
	s = s[:min(len(s), 2000)]
	if plain, err := new(mime.WordDecoder).DecodeHeader(s); err == nil {
		return plain
	}
	return s
}

// entity looks at a message or a part of one.
func (w *walker) entity(at []string, h textproto.Header, body io.Reader, layers,
	nesting int) error {
	if nesting > maxNesting {
		return hostile("more than %d nested parts", maxNesting)
	}
	kind, params := contentType(h)
	if strings.HasPrefix(kind, "multipart/") {
		in, boundary := boundaryOf(params["boundary"], body)
		if boundary != "" {
			return w.multipart(at, kind, boundary, in, layers, nesting)
		}
		body = in
	}
	if err := w.budget.part(); err != nil {
		return err
	}
	if name := fileName(h, params); name != "" {
		at = append(slices.Clone(at), shown(name))
	}
	switch kind {
	case "message/partial":
		return errors.New("the report was sent in several mails (message/partial), of which this " +
			"is one: join them in a mail program, and import the file that it saves")
	case "message/external-body":
		return errors.New("the report is not in the mail, which only names its location: " +
			"download it, and import the file")
	case "application/pkcs7-signature", "application/x-pkcs7-signature",
		"application/pgp-signature":
		return nil
	}
	data, err := w.decoded(h, body)
	if err != nil {
		return err
	}
	if kind == "message/rfc822" || kind == "message/global" {
		return w.mail(at, data, layers, nesting)
	}
	if isArchiveName(at[len(at)-1]) && len(bytes.TrimSpace(data)) == 0 {
		return errors.New("the attachment is empty: a filter on the way may have removed its " +
			"content")
	}
	return w.look(at, data, layers, nesting, false)
}

// decoded returns a part as it was before it was encoded for transport. A part that is damaged is
// returned as far as it goes.
func (w *walker) decoded(h textproto.Header, body io.Reader) ([]byte, error) {
	encoding := h.Get("Content-Transfer-Encoding")
	in := &limited{in: body, copied: &w.budget.copied, left: maxReport}
	data, err := io.ReadAll(io.LimitReader(in, maxDamaged))
	if err == nil && len(data) == maxDamaged { // there is more
		all := io.MultiReader(bytes.NewReader(data), in)
		if encodingName(encoding) == "base64" {
			encoding, all = "", newBase64(all)
		}
		data, err = io.ReadAll(all)
	}
	switch {
	case errors.Is(err, report.ErrHostile):
		return nil, err
	case err != nil && len(data) == 0:
		return nil, fmt.Errorf("a part of the mail cannot be read: %w", err)
	}
	return decoded(encoding, data, w.budget), nil
}

// maxDamaged is how long base64 can be, in bytes, of which several readings are tried. What is
// longer is decoded as it is read.
const maxDamaged = 4 << 20

func encodingName(encoding string) string {
	return strings.ToLower(strings.Trim(encoding, "\"'; \t\r\n"))
}

// isArchiveName reports whether a file is one that a report is sent in.
func isArchiveName(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".gz") || strings.HasSuffix(name, ".zip") ||
		strings.HasSuffix(name, ".xml")
}

// boundaryOf returns the boundary of a multipart body: the one that its header names, or, if that
// is not in the first 64 KiB of the body, the one that is. boundary is "" if there is none. in is
// to be read in place of body.
func boundaryOf(named string, body io.Reader) (in io.Reader, boundary string) {
	r := bufio.NewReaderSize(body, 64<<10)
	head, _ := r.Peek(64 << 10)
	if named != "" && (bytes.Contains(head, []byte("--"+named)) || len(head) == 64<<10) {
		return r, named
	}
	rest := head
	for line := range bytes.Lines(head) {
		rest = rest[len(line):]
		text := string(bytes.TrimSpace(line))
		if len(text) > 2 && len(text) < 200 && strings.HasPrefix(text, "--") &&
			fieldLine.Match(rest) {
			return r, text[2:]
		}
	}
	return r, named
}

// boundaryParam finds a parameter where the field cannot be parsed. The field may have any bytes:
// in lower case it would have another length.
var boundaryParam = regexp.MustCompile(`(?i)boundary=`)

// contentType returns the type of a part, which some gateways write into a field of another name.
func contentType(h textproto.Header) (string, map[string]string) {
	value := h.Get("Content-Type")
	if value == "" {
		value = h.Get("ContentType")
	}
	kind, params, err := mime.ParseMediaType(value)
	if err != nil { // "boundary" is all that matters, and it may be there
		kind, _, _ = strings.Cut(value, ";")
		if at := boundaryParam.FindStringIndex(value); at != nil {
			b, _, _ := strings.Cut(value[at[1]:], ";")
			params = map[string]string{"boundary": strings.Trim(b, "\" \t\r\n")}
		}
	}
	return strings.ToLower(strings.TrimSpace(kind)), params
}

func fileName(h textproto.Header, params map[string]string) string {
	if _, p, err := mime.ParseMediaType(h.Get("Content-Disposition")); err == nil &&
		p["filename"] != "" {
		return p["filename"]
	}
	return params["name"]
}

// maxBadLines bounds the lines between the parts of a mail that belong to none.
const maxBadLines = 1000

// multipart looks at each part. A failure report is made of several.
func (w *walker) multipart(at []string, kind, boundary string, body io.Reader, layers,
	nesting int) error {
	parts := textproto.NewMultipartReader(body, boundary)
	isReport := kind == "multipart/report"
	var feedback, original []byte
	for bad := 0; bad < maxBadLines; {
		part, err := parts.NextPart()
		// the end, or a mail that is cut off
		if err != nil && strings.HasSuffix(err.Error(), "EOF") {
			break
		}
		if err != nil { // the next part can be found behind lines that are wrong
			if bad++; strings.HasPrefix(err.Error(), "message:") {
				w.fail(at, fmt.Errorf("a part of the mail cannot be read: %w", err))
			}
			continue
		}
		partKind, _ := contentType(part.Header)
		if partKind == "" && kind == "multipart/digest" { // RFC 2046 section 5.1.5
			part.Header.Set("Content-Type", "message/rfc822")
		}
		switch {
		case partKind == "message/feedback-report":
			feedback = w.readSome(part)
		case isReport && feedback != nil && (partKind == "message/rfc822" ||
			partKind == "text/rfc822-headers" || partKind == "message/rfc822-headers"):
			original = w.readSome(part)
		case isReport && partKind == "message/delivery-status":
			w.found = append(w.found, &Part{Kind: Bounce, Path: at})
			return nil
		default:
			if err := w.entity(at, part.Header, part, layers, nesting+1); err != nil {
				if errors.Is(err, report.ErrHostile) {
					return err
				}
				w.fail(at, err)
			}
		}
	}
	if feedback == nil {
		return nil
	}
	f, err := report.ReadFailure(feedback, original)
	if err != nil {
		return err
	}
	w.found = append(w.found, &Part{Kind: Failure, Path: at, Failure: f})
	return nil
}

// readSome reads a part of a failure report as far as header fields go.
func (w *walker) readSome(part *textproto.Part) []byte {
	data, _ := io.ReadAll(io.LimitReader(part, 256<<10))
	return decoded(part.Header.Get("Content-Transfer-Encoding"), data, w.budget)
}

// decoded undoes a transfer encoding.
func decoded(encoding string, data []byte, b *budget) []byte {
	switch encodingName(encoding) {
	case "base64":
		return fromBase64(data, b)
	case "quoted-printable":
		return fromQuotedPrintable(data)
	}
	return data
}
