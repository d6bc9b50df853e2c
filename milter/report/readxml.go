package report

import (
	"fmt"
	"html"
	"io"
	"net/netip"
	"strings"
)

// ErrNoReport reports text that contains no aggregate report.
var ErrNoReport = fmt.Errorf("no <feedback> element: this is not a DMARC aggregate report")

// reader builds a report of the tokens of a file. It holds one record at a time.
type reader struct {
	notebook
	tokens *tokenizer
	each   func(*Row) error

	out        Feedback
	policy     PolicyPublished
	begin, end string
	policies   int
	seen       int // records that were begun

	stack  []element
	inside map[string]int // elements of a name that are open
	value  []byte         // of the element that is open
	// values that the element around it has already, by the id of the field
	given     []bool
	row       Row
	count     string
	more      []rowPart // of a record with several <row>: all but the last
	isRow     bool      // the record has had a <row>
	left      int       // results of the record that were left out
	reason    Override
	signature SignatureResult
	spf       SPFResult
	line      int
}

// rowPart is what <row> holds.
type rowPart struct {
	row   Row
	count string
}

// ReadXML reads an aggregate report. It calls each for every row that can be counted, in
// the order of the file; each may keep the row. An error of each ends the reading, and is
// returned.
//
// ReadXML is lenient: deviations are in Notes, a row without usable counts is in Refused,
// and a report that ends early has Cut set. Unknown words are kept unchanged. The error
// wraps ErrNoReport for text that contains no report at all, and ErrHostile for input that
// no reporter writes.
func ReadXML(in io.Reader, each func(*Row) error) (*Feedback,
	error) {
	return ReadXMLFrom(in, 1, each)
}

// ReadXMLFrom is ReadXML for a report that begins in a line of its file, which has others before
// it.
func ReadXMLFrom(in io.Reader, line int, each func(*Row) error) (*Feedback, error) {
	r := &reader{each: each, given: make([]bool, len(fields)), inside: map[string]int{}}
	isKnown := func(name string) bool { return names[canonical(name)] }
	r.tokens = newTokenizer(utf8Text(in, &r.notebook), isKnown, &r.notebook)
	r.tokens.line = line
	err := r.run()
	r.finish()
	return &r.out, err
}

func (r *reader) run() error {
	for {
		t, err := r.tokens.token()
		if err != nil {
			return r.failed(err)
		}
		r.line = t.line
		switch t.kind {
		case text:
			if r.inValue() {
				r.value = append(r.value, t.text[:min(len(t.text), maxValue-len(r.value))]...)
			}
		case openTag:
			if err := r.open(t); err != nil {
				return err
			}
		case closeTag:
			isEnd, err := r.close(t.name)
			if isEnd || err != nil {
				return err
			}
		case end:
			return r.atEnd()
		}
	}
}

// failed turns an error of the input into a report that ends early, where there is one already.
func (r *reader) failed(err error) error {
	if r.started() && !isHostile(err) {
		r.out.Cut = fmt.Sprintf("line %d: %v", r.tokens.line, err)
		return nil
	}
	return err
}

func (r *reader) atEnd() error {
	if !r.started() {
		return ErrNoReport
	}
	r.out.Cut = fmt.Sprintf("line %d: the file ends before </feedback>", r.tokens.line)
	if r.tokens.unclosed > 0 {
		r.out.Cut += fmt.Sprintf(", in a comment that begins in line %d", r.tokens.unclosed)
	}
	if r.inRecord() {
		r.out.Cut += fmt.Sprintf(", in the middle of row %d", r.seen)
	}
	return nil
}

func (r *reader) started() bool  { return r.inside["feedback"] > 0 }
func (r *reader) inRecord() bool { return r.inside["record"] > 0 }

// inValue reports whether the element that is open holds a value.
func (r *reader) inValue() bool { return len(r.stack) > 0 && r.stack[len(r.stack)-1].field != nil }

// parent returns the name of the element around the one that is open.
func (r *reader) parent() string {
	if len(r.stack) < 2 {
		return ""
	}
	return r.stack[len(r.stack)-2].name
}

// push opens an element.
func (r *reader) push(name string) {
	e := element{name: name}
	if len(r.stack) > 0 {
		e.field = fieldOf[place{r.stack[len(r.stack)-1].name, name}]
	}
	r.stack = append(r.stack, e)
	r.inside[name]++
}

func (r *reader) open(t token) error {
	name := r.name(t)
	if len(r.stack) >= maxDepth {
		return hostileInput("more than %d nested elements in line %d", maxDepth, t.line)
	}
	if r.inValue() { // the value's own end is missing
		r.add("unclosed", "an element is not closed", t.line)
		r.pop()
	}
	switch name {
	case "feedback":
		r.out.Namespace = t.space
	case "record":
		if r.inRecord() {
			r.add("unclosed", "an element is not closed", t.line)
			r.closeTo("record")
		}
		r.seen++
		r.row, r.count = Row{N: r.seen, Line: t.line}, ""
		r.more, r.isRow, r.left = nil, false, 0
	case "row":
		r.anotherRow(t)
	case "policy_published":
		r.policy = PolicyPublished{}
	case "reason":
		r.reason = Override{}
	case "dkim":
		r.signature = SignatureResult{}
	case "spf":
		r.spf = SPFResult{}
	}
	if !names[name] && r.started() {
		r.add("unknown-element", fmt.Sprintf("element <%s> is unknown and was ignored",
			name[:min(len(name), 40)]), t.line)
	}
	r.push(name)
	r.value = r.value[:0]
	if r.tokens.inText = r.inValue(); !r.tokens.inText {
		r.forget(name)
	}
	return nil
}

// name returns the name of a tag as RFC 9990 has it.
func (r *reader) name(t token) string {
	name := canonical(t.name)
	if name != t.name && (name == "feedback" || r.started()) {
		r.add("name-form", "names of elements are spelled differently", t.line)
	}
	if name == "identities" { // of an old draft
		return "identifiers"
	}
	return name
}

// forget begins an element: it has no values yet.
func (r *reader) forget(name string) {
	for _, id := range anew[name] {
		r.given[id] = false
	}
}

// maxRowParts bounds the <row> elements of a record.
const maxRowParts = 1000

// anotherRow begins a <row>. A record has one; where it has several, the identifiers and results
// are those of all.
func (r *reader) anotherRow(t token) {
	switch {
	case r.isRow && len(r.more) == maxRowParts:
		r.refuse(r.row, fmt.Sprintf("its record has more than %d <row>", maxRowParts))
		r.seen++
		r.row.N, r.row.Line = r.seen, t.line
	case r.isRow:
		r.add("rows", "a record has more than one <row>; each is counted", t.line)
		r.more = append(r.more, rowPart{r.row, r.count})
		r.row.Address, r.row.Source, r.row.Disposition = netip.Addr{}, "", ""
		r.row.DKIM, r.row.SPF, r.row.Reasons = "", "", nil
		r.count = ""
		r.seen++
		r.row.N, r.row.Line = r.seen, t.line
	}
	r.isRow = true
}

// close ends the nearest element of that name, and what is open in it. It reports whether that was
// the report.
func (r *reader) close(name string) (bool, error) {
	if name = canonical(name); name == "identities" {
		name = "identifiers"
	}
	if r.inside[name] == 0 {
		r.add("unopened", "an element is closed that was not opened", r.line)
		return false, nil
	}
	err := r.closeTo(name)
	if name == "feedback" && err == nil {
		r.trailing()
		return true, nil
	}
	return false, err
}

func (r *reader) closeTo(name string) error {
	for {
		top := r.stack[len(r.stack)-1].name
		if err := r.pop(); err != nil || top == name {
			return err
		}
		r.add("unclosed", "an element is not closed", r.line)
	}
}

// pop ends the element that was opened last.
func (r *reader) pop() error {
	open, parent := r.stack[len(r.stack)-1], r.parent()
	if open.field != nil {
		r.set(open.field)
	}
	top := open.name
	r.inside[top]--
	r.stack = r.stack[:len(r.stack)-1]
	r.value = r.value[:0]
	r.tokens.inText = false
	switch {
	case top == "record":
		return r.endRecord()
	case top == "policy_published":
		if r.policies++; r.policies == 1 {
			r.out.Policy = r.policy
		} else {
			r.add("policies", "there is more than one <policy_published>; the first one was used",
				r.line)
		}
	case top == "reason" && len(r.row.Reasons) < MaxResults && r.reason != (Override{}):
		r.row.Reasons = append(r.row.Reasons, r.reason)
	case top == "dkim" && parent == "auth_results" && r.signature != (SignatureResult{}):
		r.addSignature()
	case top == "spf" && parent == "auth_results" && r.spf != (SPFResult{}):
		r.addSPF()
	}
	return nil
}

// set takes the value that was read. The first one is taken of those that can be there once.
func (r *reader) set(f *field) {
	value := r.text()
	if value == "" && r.given[f.id] {
		return
	}
	if r.given[f.id] && !f.repeats {
		r.add("repeated", "an element occurs twice; the first one was used", r.line)
		return
	}
	r.given[f.id] = r.given[f.id] || value != ""
	f.set(r, value)
}

func (r *reader) addSignature() {
	if len(r.row.Signatures) == MaxResults {
		r.left++
		r.add("results", "a row has more than 200 results; the rest was left out", r.line)
		return
	}
	r.row.Signatures = append(r.row.Signatures, r.signature)
}

func (r *reader) addSPF() {
	if len(r.row.SPFResults) == MaxResults {
		r.left++
		r.add("results", "a row has more than 200 results; the rest was left out", r.line)
		return
	}
	r.row.SPFResults = append(r.row.SPFResults, r.spf)
}

// text is the value of the element that is open.
func (r *reader) text() string {
	s := cleanValue(r.value, r.line, &r.notebook)
	if strings.Contains(s, "&") {
		plain := html.UnescapeString(s)
		if strings.Contains(plain, "&") &&
			strings.Contains(strings.ReplaceAll(s, "&amp;", ""), "&") {
			r.add("unescaped-amp", `"&" that is not written as "&amp;",
				or an entity that is not declared`, r.line)
		}
		s = plain
	}
	return strings.Trim(strings.TrimSpace(s), invisible)
}

// invisible are letters without width, which programs that write for the web leave around values.
const invisible = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00a0 \t\r\n"

// trailing checks the text behind the report.
func (r *reader) trailing() {
	for {
		t, err := r.tokens.token()
		if err != nil || t.kind == end {
			return
		}
		if t.kind != text || len(strings.TrimSpace(string(t.text))) > 0 {
			r.add("trailing", "text after </feedback> was ignored", t.line)
		}
		if t.kind == openTag && t.name == "feedback" {
			r.out.Cut = fmt.Sprintf("line %d: another report in the same file was not read; "+
				"save each report in a file of its own", t.line)
			return
		}
	}
}
