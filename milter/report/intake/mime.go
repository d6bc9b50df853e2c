package intake

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"regexp"
	"slices"
	"strings"

	"github.com/emersion/go-message/textproto"

	"mailseal/milter/report"
)

// fieldLine is how a header field begins.
var fieldLine = regexp.MustCompile(`^(?:From |>From |[!-9;-~]+[ \t]*:)`)

// looksLikeMail reports whether text begins with header fields. Lines that are none, which some
// programs leave in a header, may stand among them.
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

// splitHeader returns the header and the body of a mail. Lines of the header that are no field are
// left out.
func splitHeader(mail []byte) (textproto.Header, []byte) {
	var kept []byte
	for len(mail) > 0 {
		line, rest, _ := bytes.Cut(mail, []byte("\n"))
		mail = rest
		if len(bytes.TrimRight(line, "\r")) == 0 {
			break
		}
		isMore := line[0] == ' ' || line[0] == '\t'
		if isMore && kept == nil || !isMore && !fieldLine.Match(line) || len(kept)+len(line) > maxHeader {
			continue
		}
		kept = append(append(kept, line...), '\n')
	}
	h, _ := textproto.ReadHeader(bufio.NewReader(bytes.NewReader(append(kept, "\n"...))))
	return h, mail
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
func (w *walker) entity(at []string, h textproto.Header, body io.Reader, layers, nesting int) error {
	if nesting > maxNesting {
		return hostile("more than %d parts within each other", maxNesting)
	}
	kind, params := contentType(h)
	if strings.HasPrefix(kind, "multipart/") && params["boundary"] != "" {
		return w.multipart(at, kind, params, body, layers, nesting)
	}
	if err := w.budget.part(); err != nil {
		return err
	}
	data, err := io.ReadAll(decoded(h.Get("Content-Transfer-Encoding"), body))
	if err != nil && len(data) == 0 {
		return fmt.Errorf("a part of the mail cannot be read: %w", err)
	}
	if name := fileName(h, params); name != "" {
		at = append(slices.Clone(at), shown(name))
	}
	if kind == "message/rfc822" || kind == "message/global" {
		return w.mail(at, data, layers, nesting)
	}
	return w.look(at, data, layers, nesting, false)
}

// contentType returns the type of a part, which some gateways write into a field of another name.
func contentType(h textproto.Header) (string, map[string]string) {
	value := h.Get("Content-Type")
	if value == "" {
		value = h.Get("ContentType")
	}
	kind, params, err := mime.ParseMediaType(value)
	if err != nil { // "boundary" is all that matters, and it may be there
		kind, _, _ = strings.Cut(value, ";")
		if _, rest, ok := strings.Cut(strings.ToLower(value), "boundary="); ok {
			at := len(value) - len(rest)
			b, _, _ := strings.Cut(value[at:], ";")
			params = map[string]string{"boundary": strings.Trim(b, "\" \t\r\n")}
		}
	}
	return strings.ToLower(strings.TrimSpace(kind)), params
}

func fileName(h textproto.Header, params map[string]string) string {
	if _, p, err := mime.ParseMediaType(h.Get("Content-Disposition")); err == nil && p["filename"] != "" {
		return p["filename"]
	}
	return params["name"]
}

// maxBadLines bounds the lines between the parts of a mail that belong to none.
const maxBadLines = 1000

// multipart looks at each part. A failure report is made of several.
func (w *walker) multipart(at []string, kind string, params map[string]string, body io.Reader,
	layers, nesting int) error {
	parts := textproto.NewMultipartReader(body, params["boundary"])
	isReport := kind == "multipart/report"
	var feedback, original []byte
	for bad := 0; bad < maxBadLines; {
		part, err := parts.NextPart()
		if err != nil && strings.HasSuffix(err.Error(), "EOF") { // the end, or a mail that is cut off
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
			feedback = readSome(part)
		case isReport && feedback != nil && (partKind == "message/rfc822" ||
			partKind == "text/rfc822-headers" || partKind == "message/rfc822-headers"):
			original = readSome(part)
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
func readSome(part *textproto.Part) []byte {
	in := decoded(part.Header.Get("Content-Transfer-Encoding"), part)
	data, _ := io.ReadAll(io.LimitReader(in, 256<<10))
	return data
}

// decoded undoes a transfer encoding.
func decoded(encoding string, in io.Reader) io.Reader {
	switch strings.ToLower(strings.Trim(encoding, "\"'; \t\r\n")) {
	case "base64":
		return newBase64(in)
	case "quoted-printable":
		return quotedprintable.NewReader(in)
	}
	return in
}

// base64Reader decodes base64 as it is found in mail: what is not of the alphabet is skipped, an end
// may be cut off, and blocks that were encoded one by one, each with its padding, may be joined.
type base64Reader struct {
	in      *bufio.Reader
	bits    uint32
	n       int // letters in bits
	pending []byte
	buf     [3]byte
}

func newBase64(in io.Reader) *base64Reader { return &base64Reader{in: bufio.NewReader(in)} }

func (b *base64Reader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(b.pending) == 0 {
			if err := b.fill(); err != nil && len(b.pending) == 0 {
				return n, err
			}
		}
		k := copy(p[n:], b.pending)
		b.pending = b.pending[k:]
		n += k
	}
	return n, nil
}

// fill decodes letters until there is a byte.
func (b *base64Reader) fill() error {
	for len(b.pending) == 0 {
		c, err := b.in.ReadByte()
		if err != nil {
			b.end()
			return err
		}
		v, ok := letter(c)
		switch {
		case ok:
			b.bits = b.bits<<6 | v
			if b.n++; b.n == 4 {
				b.end()
			}
		case c == '=' && b.n > 1: // a single letter is no byte: the "=" is a stray one
			b.end()
		}
	}
	return nil
}

// end makes bytes of the letters that there are.
func (b *base64Reader) end() {
	full := b.bits << (6 * (4 - b.n))
	b.buf = [3]byte{byte(full >> 16), byte(full >> 8), byte(full)}
	b.pending = b.buf[:max(b.n-1, 0)]
	b.bits, b.n = 0, 0
}

// letter returns the value of a letter of the alphabet of base64.
func letter(c byte) (v uint32, ok bool) {
	switch {
	case c >= 'A' && c <= 'Z':
		return uint32(c - 'A'), true
	case c >= 'a' && c <= 'z':
		return uint32(c-'a') + 26, true
	case c >= '0' && c <= '9':
		return uint32(c-'0') + 52, true
	case c == '+':
		return 62, true
	case c == '/':
		return 63, true
	}
	return 0, false
}
