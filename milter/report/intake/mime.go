package intake

import (
	"bufio"
	"bytes"
	"encoding/base64"
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

// looksLikeMail reports whether text begins with header fields: two of the first lines do, or the
// first one is a field that a mail begins with.
func looksLikeMail(start []byte) bool {
	fields := 0
	for i, line := range bytes.SplitN(start, []byte("\n"), 6) {
		switch {
		case i == 5 || len(bytes.TrimSpace(line)) == 0:
			return fields > 0
		case line[0] == ' ' || line[0] == '\t':
		case fieldLine.Match(line):
			fields++
		default:
			return false
		}
	}
	return fields > 0
}

// mail looks into a message.
func (w *walker) mail(at []string, data []byte, layers, nesting int) error {
	if line, rest, ok := bytes.Cut(data, []byte("\n")); ok && (bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))) {
		data = rest
	}
	in := bufio.NewReader(bytes.NewReader(data))
	h, err := textproto.ReadHeader(in)
	if err != nil && h.Len() == 0 {
		return fmt.Errorf("the header of the mail cannot be read: %w", err)
	}
	return w.entity(at, h, in, layers, nesting+1)
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
		return w.mail(at, bytes.TrimLeft(data, "\r\n"), layers, nesting)
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

// multipart looks at each part. A failure report is made of several.
func (w *walker) multipart(at []string, kind string, params map[string]string, body io.Reader, layers, nesting int) error {
	parts := textproto.NewMultipartReader(body, params["boundary"])
	isReport := kind == "multipart/report"
	var feedback, original []byte
	for {
		part, err := parts.NextPart()
		if err != nil { // the end, or a mail that is cut off
			break
		}
		partKind, _ := contentType(part.Header)
		switch {
		case partKind == "message/feedback-report":
			feedback = readSome(part)
		case isReport && feedback != nil && (partKind == "message/rfc822" || partKind == "text/rfc822-headers" || partKind == "message/rfc822-headers"):
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

// decoded undoes a transfer encoding. What is not of the alphabet of base64 is skipped.
func decoded(encoding string, in io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		return base64.NewDecoder(base64.RawStdEncoding, &alphabet{in: in})
	case "quoted-printable":
		return quotedprintable.NewReader(in)
	}
	return in
}

// alphabet passes on the letters of base64 alone: line breaks, padding and stray bytes are dropped.
// Blocks that were encoded one by one and joined are rare, and cannot be told from a stray "=".
type alphabet struct{ in io.Reader }

func (a *alphabet) Read(p []byte) (int, error) {
	for {
		n, err := a.in.Read(p)
		kept := 0
		for _, c := range p[:n] {
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' {
				p[kept] = c
				kept++
			}
		}
		if kept > 0 || err != nil {
			return kept, err
		}
	}
}
