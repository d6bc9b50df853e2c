package intake

import (
	"bufio"
	"bytes"
	"io"
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
}

func newSplitter(in io.Reader, at mark, next func(mark)) *splitter {
	s := &splitter{in: bufio.NewReaderSize(in, 64<<10), at: at, next: next}
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
	s.consume(len(window) - len(bytes.TrimLeft(window, between)))
	next := s.at
	next.kind = kind
	next.n++
	s.next(next)
}

// kindOf returns the kind of the report that a text begins with; "" for none.
func kindOf(text []byte) Kind {
	switch head := beginning(bytes.TrimLeft(text, between)); {
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
		isReport := rootTag.Match(plainStart(window[at:min(at+sniffed, len(window))]))
		return at, isReport && (s.isBegun || s.isWhole)
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
			return end, kindOf(window[end:min(end+sniffed, len(window))]) != ""
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
		c := s.letter(window, i)
		switch {
		case c == 0:
		case c == '\n' && s.isBegun && beginsTLS(window[i:min(i+sniffed, len(window))]):
			return i, true // in the middle of a report that is damaged
		case s.isWhole:
			if (c == '{' || c == '<') && kindOf(window[i:min(i+sniffed, len(window))]) != "" {
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

// beginsTLS reports whether a line begins a TLS report.
func beginsTLS(line []byte) bool {
	text := bytes.TrimLeft(plainStart(line), between)
	rest, ok := bytes.CutPrefix(text, []byte("{"))
	return ok && bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(`"organization-name"`))
}
