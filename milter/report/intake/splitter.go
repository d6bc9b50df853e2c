package intake

import (
	"bufio"
	"bytes"
	"io"
	"iter"
	"strings"
)

// splitter ends where a report ends that another one follows. It looks at bytes alone, in whatever
// encoding they are, and never changes one.
type splitter struct {
	in    *bufio.Reader
	at    mark       // of the next byte
	next  func(mark) // is told where another report begins
	past  int64      // bytes of this report that were read
	isEnd bool
	width int // bytes of a letter of ASCII: 1, 2 or 4
	low   int // which of them is not zero

	isBegun bool // another report can begin before the end of this one was seen: it is damaged
	isWhole bool // the end of the report was seen; what follows is another one, or of no interest
	depth   int  // of JSON: brackets that are open
	quoted  bool // inside a text of JSON
	escaped bool
	newLine bool // of JSON: only white space was on this line

	looks  int         // at what might be another report, that are left
	tested int         // bytes of JSON or tags, to ask for the time now and then
	isLate func() bool // reports whether the reading of this mail takes too long
}

// maxLooks bounds how often it is looked at what might begin another report: each look costs as
// much as thousands of bytes. It holds for each reading of a report, so that all of them end it at
// the same place. In honest files every second look finds a report.
const maxLooks = 200

func newSplitter(in io.Reader, at mark, next func(mark), isLate func() bool) *splitter {
	s := &splitter{in: bufio.NewReaderSize(in, 64<<10), at: at, next: next, looks: maxLooks,
		isLate: isLate}
	head, _ := s.in.Peek(sniffed) // an error comes back with the first read
	s.width, s.low = unit(head)
	return s
}

// unit returns how many bytes a letter of ASCII has in a text, and which of them is the letter.
func unit(head []byte) (width, low int) {
	head = bytes.TrimLeft(head, " \t\r\n")
	begins := func(marks ...string) bool {
		for _, m := range marks {
			if bytes.HasPrefix(head, []byte(m)) {
				return true
			}
		}
		return false
	}
	switch {
	case begins("\xff\xfe\x00\x00", "<\x00\x00\x00", "{\x00\x00\x00"):
		return 4, 0
	case begins("\x00\x00\xfe\xff", "\x00\x00\x00<", "\x00\x00\x00{"):
		return 4, 3
	case begins("\xff\xfe", "<\x00", "{\x00"):
		return 2, 0
	case begins("\xfe\xff", "\x00<", "\x00{"):
		return 2, 1
	}
	return 1, 0
}

// Read implements io.Reader.
func (s *splitter) Read(p []byte) (int, error) {
	if s.isEnd {
		return 0, io.EOF
	}
	window, err := s.in.Peek(s.in.Size())
	n := len(window)
	if err == nil {
		n -= sniffed // so much is seen of what follows each byte
	}
	if n == 0 {
		s.isEnd = err == io.EOF
		return 0, err
	}
	n, isBoundary := s.scan(window, min(n, len(p)))
	copy(p, window[:n])
	s.consume(n)
	if isBoundary {
		s.isEnd = true
		s.begin()
	}
	return n, nil
}

func (s *splitter) consume(n int) {
	window, _ := s.in.Peek(n)
	s.at.line += bytes.Count(window, []byte("\n"))
	s.at.offset += int64(n)
	s.past += int64(n)
	s.in.Discard(n)
}

// begin leaves out what is between two reports, and says where the next one begins.
func (s *splitter) begin() {
	window, _ := s.in.Peek(s.in.Size())
	kind := kindOf(window)
	blank := 0
	// whole letters: the zero in front of "<" belongs to it in UTF-16
	for c := range s.letters(window) {
		if !strings.ContainsRune(between, rune(c)) {
			break
		}
		blank += s.width
	}
	s.consume(blank)
	next := s.at
	next.kind = kind
	next.n++
	s.next(next)
}

// kindOf returns the kind of the report that a text begins with; "" for none.
func kindOf(text []byte) Kind {
	switch head := beginning(text); {
	case isXML(head, false):
		return Aggregate
	case isJSON(head, false):
		return TLS
	}
	return ""
}

// scan goes through the first n bytes of window. It returns how many are of the report, and whether
// another one begins behind them.
func (s *splitter) scan(window []byte, n int) (int, bool) {
	if s.at.kind == TLS {
		return s.scanJSON(window, n)
	}
	for i := 0; i < n; i++ {
		k := bytes.IndexByte(window[i:n], '<')
		if k < 0 {
			break
		}
		i += k
		if s.isTime() {
			break
		}
		if s.letter(window, i-s.low) != '<' {
			continue
		}
		if end, isBoundary := s.tag(window, i-s.low); isBoundary {
			return end, true
		}
	}
	return n, false
}

// letter returns the letter of ASCII at a place, or 0.
func (s *splitter) letter(window []byte, at int) byte {
	if s.width == 1 && at >= 0 && at < len(window) {
		return window[at]
	}
	if at < 0 || at+s.width > len(window) || (s.past+int64(at))%int64(s.width) != 0 {
		return 0
	}
	for k, c := range window[at : at+s.width] {
		if k != s.low && c != 0 {
			return 0
		}
	}
	return window[at+s.low]
}

// letters yields the letters that a text begins with, until one that is none of ASCII.
func (s *splitter) letters(text []byte) iter.Seq[byte] {
	return func(yield func(byte) bool) {
		for ; len(text) >= s.width; text = text[s.width:] {
			letter := text[s.low]
			for k, c := range text[:s.width] {
				if k != s.low && c != 0 {
					return
				}
			}
			if !yield(letter) {
				return
			}
		}
	}
}

// isTime reports whether the reading takes too long. It asks for the time now and then.
func (s *splitter) isTime() bool {
	s.tested++
	return s.tested%1024 == 0 && s.isLate()
}

// isReport looks at what might begin another report, as often as it may.
func (s *splitter) isReport(window []byte, at int, is func([]byte) bool) bool {
	if s.looks--; s.looks < 0 || s.isLate() {
		return false
	}
	return is(window[at:min(at+sniffed, len(window))])
}

func hasKind(text []byte) bool { return kindOf(text) != "" }

func hasRootTag(text []byte) bool { return rootTag.Match(plainStart(text)) }

// longestTag is how much of a tag is looked at, in letters.
const longestTag = 64

// tag looks at the tag at a place. It returns where the report ends, if another one follows.
func (s *splitter) tag(window []byte, at int) (end int, isBoundary bool) {
	var name [longestTag]byte
	n, i := 0, at+s.width
	for ; n < len(name); i += s.width {
		c := s.letter(window, i)
		if c <= ' ' || c == '>' || c == '/' && n > 0 {
			break
		}
		name[n] = c
		n++
	}
	switch plainName(string(name[:n])) {
	case "/feedback":
		return s.rootEnds(window, i)
	case "feedback":
		return at, s.isBegun || s.isWhole
	case "?xml":
		return at, (s.isBegun || s.isWhole) && s.isReport(window, at, hasRootTag)
	case "report_metadata", "policy_published", "record":
		s.isBegun = true
	}
	return 0, false
}

// plainName returns the name of a tag in lower case, without its prefix.
func plainName(name string) string {
	name = strings.ToLower(name)
	start := ""
	if strings.HasPrefix(name, "/") {
		start, name = "/", name[1:]
	}
	return start + name[strings.LastIndexByte(name, ':')+1:]
}

// rootEnds looks behind the name of the last tag of a report.
func (s *splitter) rootEnds(window []byte, at int) (end int, isBoundary bool) {
	for limit := at + longestTag*s.width; at < limit; at += s.width {
		c := s.letter(window, at)
		if c == '>' {
			s.isWhole = true
			end = at + s.width
			return end, s.isReport(window, end, hasKind)
		}
		if c == 0 || !strings.ContainsRune(" \t\r\n", rune(c)) {
			break
		}
	}
	return 0, false
}

// scanJSON is scan for JSON.
func (s *splitter) scanJSON(window []byte, n int) (int, bool) {
	for i := 0; i < n; i++ {
		if s.isTime() {
			break
		}
		c := s.letter(window, i)
		isFirst := s.newLine && c == '{'
		switch {
		case c == '\n':
			s.newLine = true
		case s.newLine && c != 0 && !strings.ContainsRune(beforeReport, rune(c)):
			s.newLine = false
		}
		switch {
		case c == 0:
		case isFirst && s.isBegun && s.beginsTLS(window[i:min(i+sniffed, len(window))]):
			return i, true // in the middle of a report that is damaged
		case s.isWhole:
			if (c == '{' || c == '<') && s.isReport(window, i, hasKind) {
				return i, true
			}
		case s.escaped:
			s.escaped = false
		case s.quoted:
			s.quoted, s.escaped = c != '"', c == '\\'
		default:
			s.bracket(c)
		}
	}
	return n, false
}

// bracket counts the brackets of JSON that are open.
func (s *splitter) bracket(c byte) {
	switch c {
	case '"':
		s.quoted, s.isBegun = true, true
	case '{', '[':
		if c == '{' || s.depth > 0 { // a list of reports is none itself
			s.depth++
		}
	case '}', ']':
		s.depth--
		s.isWhole = s.depth <= 0
	}
}

// beforeReport are white space and the bytes of marks of the order of bytes.
const beforeReport = between + "\u00ef\u00bb\u00bf\u00fe\u00ff"

// beginsTLS reports whether an object is a TLS report. Most bytes are looked at once: those behind
// a bracket that are white space.
func (s *splitter) beginsTLS(object []byte) bool {
	const name = `{"organization-name"`
	n := 0
	for c := range s.letters(object) {
		if n == 1 && strings.ContainsRune(" \t\r\n", rune(c)) {
			continue
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != name[n] {
			return false
		}
		if n++; n == len(name) {
			return true
		}
	}
	return false
}
