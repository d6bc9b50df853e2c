package crosscheck

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailseal/milter/message"
	"mailseal/milter/taglist"
)

// fact is something that can be said about a message, a signature or its key without knowing any
// implementation.
type fact string

// The facts of a message.
const (
	headerBytes fact = "bytes of the header"
	headerLines fact = "lines of the header"
	bodyBytes   fact = "bytes of the body"
	bareCRs     fact = "CRs that are not part of a CRLF"
	bareLFs     fact = "LFs that are not part of a CRLF, where there are CRLFs"
	notFields   fact = "lines of the header that are neither a field nor part of one"
	fromFields  fact = "From fields"
)

// The facts of a signature. Tags are as written, without the white space around their values.
const (
	listError   fact = "why the field is not a list of tags"
	wholeField  fact = "the field"
	withoutB    fact = "the field without the value of b="
	spaceB      fact = "the white space before the value of b=, where the header is simple"
	identity    fact = "i= without white space"
	identityInD fact = "i= in d="
	hNames      fact = "h= without white space"
	hNameCount  fact = "names in h="
	timeToNow   fact = "t= to now"
	itsError    fact = "what go-msgauth says"

	tagA fact = "a="
	tagC fact = "c="
	tagD fact = "d="
	tagL fact = "l="
	tagS fact = "s="
	tagT fact = "t="
	tagX fact = "x="
)

// The facts of the key records that a signature names.
const (
	recordCount    fact = "key records"
	recordError    fact = "why the record is not a list of tags"
	recordBytes    fact = "bytes of the record"
	versionPlace   fact = "tags before v=DKIM1"
	strictIdentity fact = "i= under t=s"
)

// facts are what is known so far. What cannot be said is absent.
type facts map[fact]string

func (f facts) count(of fact, n int) { f[of] = strconv.Itoa(n) }

// maxName is the longest name of a field that SMTP carries in a line.
const maxName = 998

// maxHeader is how much of a header is read; a smaller limit is among the exceptions.
const maxHeader = 128 << 10

// prepare reads the header of a message and completes what go-msgauth cannot do without. The error
// wraps ErrUnfit: it names the first thing in the message that would be judged wrongly.
func prepare(raw []byte) (message.Header, []byte, error) {
	header, body, whole := split(raw)
	if why := lineFacts(header, body).unfit(); why != "" {
		return nil, nil, fmt.Errorf("%w: %s", ErrUnfit, why)
	}
	h, err := message.ReadHeader(bufio.NewReader(bytes.NewReader(header)), maxHeader)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	if why := headerFacts(h).unfit(); why != "" {
		return nil, nil, fmt.Errorf("%w: %s", ErrUnfit, why)
	}
	return h, whole, nil
}

// split parts header and body. A header without an empty line after it gets one, which go-msgauth
// insists on.
func split(raw []byte) (header, body, whole []byte) {
	for _, end := range []string{"\r\n\r\n", "\n\n"} {
		if i := bytes.Index(raw, []byte(end)); i >= 0 {
			return raw[:i+len(end)/2], raw[i+len(end):], raw
		}
	}
	end := "\r\n\r\n"
	if bytes.HasSuffix(raw, []byte("\n")) {
		end = "\r\n"
	}
	return raw, nil, slices.Concat(raw, []byte(end))
}

// lineFacts is about a message before its header is read.
func lineFacts(header, body []byte) facts {
	f := facts{}
	f.count(headerBytes, len(header))
	f.count(headerLines, bytes.Count(header, []byte("\n")))
	f.count(bodyBytes, len(body))
	inBoth := func(s string) int {
		return bytes.Count(header, []byte(s)) + bytes.Count(body, []byte(s))
	}
	crlf := inBoth("\r\n")
	f.count(bareCRs, inBoth("\r")-crlf)
	if crlf > 0 {
		f.count(bareLFs, inBoth("\n")-crlf)
	}
	f.count(notFields, countNotFields(header))
	return f
}

func countNotFields(header []byte) (n int) {
	for i, line := range bytes.Split(bytes.TrimSuffix(header, []byte("\n")), []byte("\n")) {
		isFold := i > 0 && len(line) > 0 && (line[0] == ' ' || line[0] == '\t')
		if !isFold && !isField(line) {
			n++
		}
	}
	return n
}

// isField reports whether a line begins a field: a name of printable ASCII that is not too long,
// and a colon.
func isField(line []byte) bool {
	name, _, found := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	isNotName := func(r rune) bool { return r <= ' ' || r >= 0x7f }
	return found && len(name) > 0 && len(name) <= maxName && !bytes.ContainsFunc(name, isNotName)
}

func headerFacts(h message.Header) facts {
	f := facts{}
	f.count(fromFields, len(h.Fields("From")))
	return f
}

// signatureFacts is about the signature in a field, of which go-msgauth holds err.
func signatureFacts(field message.Field, err error) (facts, taglist.List) {
	f := facts{wholeField: field.String()}
	tags, syntax := taglist.Parse(string(field.Value()))
	if syntax != nil {
		f[listError] = syntax.Error()
		return f, nil
	}
	f[tagD] = "" // a signature without it is one, too
	for _, t := range tags {
		f[fact(t.Name+"=")] = t.Value
		if t.Name == "b" {
			f[withoutB] = cutValue(field, t)
			f[spaceB] = spaceBefore(field, t)
		}
	}
	if strings.HasPrefix(f[tagC], "relaxed") {
		delete(f, spaceB)
	}
	if h, given := tags.Value("h"); given {
		f[hNames] = taglist.Compact(h)
		f.count(hNameCount, strings.Count(h, ":")+1)
	}
	f.identity(tags)
	if t, convErr := strconv.ParseInt(f[tagT], 10, 64); convErr == nil && t > time.Now().Unix() {
		f[timeToNow] = "future"
	}
	if err != nil {
		f[itsError] = err.Error()
	}
	return f, tags
}

// cutValue returns a field without the value of one of its tags, and the white space around that.
func cutValue(field message.Field, t taglist.Tag) string {
	value := string(field.Value())
	name := field.String()[:len(field.Raw())-len(value)]
	return name + value[:t.Start] + value[t.End:]
}

func spaceBefore(field message.Field, t taglist.Tag) string {
	value := string(field.Value()[t.Start:t.End])
	return value[:len(value)-len(strings.TrimLeft(value, " \t\r\n"))]
}

// identity is about i=, the agent that a signature speaks for.
func (f facts) identity(tags taglist.List) {
	i, given := tags.Value("i")
	if !given {
		return
	}
	d, _ := tags.Value("d")
	i = taglist.Compact(i)
	f[identity] = i
	switch {
	case strings.HasSuffix(i, "@"+d):
		f[identityInD] = "of it"
	case strings.HasSuffix(i, "."+d):
		f[identityInD] = "below it"
	case strings.HasSuffix(strings.ToLower(i), strings.ToLower(d)):
		f[identityInD] = "but for case"
	}
}

// recordFacts is about the key records of the signature with these tags and facts.
func (f facts) recordFacts(records []string) {
	f.count(recordCount, len(records))
	if len(records) != 1 {
		return
	}
	f.count(recordBytes, len(records[0]))
	record, err := taglist.Parse(records[0])
	if err != nil {
		f[recordError] = err.Error()
		return
	}
	place := slices.IndexFunc(record, func(t taglist.Tag) bool {
		return t.Name == "v" && t.Value == "DKIM1"
	})
	if place >= 0 {
		f.count(versionPlace, place)
	}
	flags, _ := record.Value("t")
	isStrict := slices.Contains(strings.Split(taglist.Compact(flags), ":"), "s")
	if _, given := f[identity]; isStrict && given && f[identityInD] != "of it" {
		f[strictIdentity] = "below d="
	}
}
