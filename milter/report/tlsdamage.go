package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// plainJSON returns a report as JSON can be: control characters, which some reporters write into
// texts as they are, become blanks. Lines are counted before. A report may be the first one of a
// list.
func plainJSON(text []byte) []byte {
	text = bytes.TrimLeft(text, " \t\r\x1e\x00")
	out := bytes.Clone(text)
	isQuoted, isEscaped := false, false
	for i, c := range out {
		switch {
		case isEscaped:
			isEscaped = false
		case c == '"':
			isQuoted = !isQuoted
		case isQuoted && c == '\\':
			isEscaped = true
		case isQuoted && c < ' ':
			out[i] = ' '
		}
	}
	if start := bytes.TrimLeft(out, " \t\r\n"); bytes.HasPrefix(start, []byte("[")) {
		out[len(out)-len(start)] = ' '
	}
	return out
}

// wholeJSON is what of a damaged report is whole.
type wholeJSON struct {
	text    []byte // valid JSON
	open    int    // objects and lists that the damage is in
	line    int    // of the damage, from 0
	column  int    // byte of that line, from 1
	problem string
}

// maxBrackets bounds the brackets that are open in a damaged TLS report: whole ones have 8 at most.
const maxBrackets = 20

// salvageJSON takes the values before the first damage, and closes what is open there.
func salvageJSON(text []byte) wholeJSON {
	in := json.NewDecoder(bytes.NewReader(text))
	// how the brackets that are open are closed, in the order in which they were opened
	var open []byte
	var safe []byte // the same behind the last value that is whole
	end, isName := 0, false
	for {
		t, err := in.Token()
		at := int(in.InputOffset())
		if err != nil {
			return newWhole(text, end, safe, at, err)
		}
		switch d, isBracket := t.(json.Delim); {
		case isBracket && (d == '{' || d == '['):
			if len(open) == maxBrackets {
				err = fmt.Errorf("more than %d brackets are open", maxBrackets)
				return newWhole(text, end, safe, at, err)
			}
			open = append(open, byte(d)+2) // "}" is two behind "{" in ASCII, and "]" behind "["
		case isBracket:
			open = open[:len(open)-1]
		case isName:
			isName = false
			continue
		case at == len(text) || !strings.ContainsRune(",]} \t\r\n", rune(text[at])):
			continue // the rest of a number may be missing
		}
		end, safe = at, append(safe[:0], open...)
		isName = len(open) > 0 && open[len(open)-1] == '}'
	}
}

// newWhole closes the brackets that are open at a place, and says where the damage behind it is.
func newWhole(text []byte, end int, open []byte, at int, err error) wholeJSON {
	out := wholeJSON{text: bytes.Clone(text[:end]), open: len(open), problem: err.Error()}
	for i := len(open) - 1; i >= 0; i-- {
		out.text = append(out.text, open[i])
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		out.problem = "the file ends early"
		at = len(text)
	}
	out.line = bytes.Count(text[:at], []byte("\n"))
	out.column = at - bytes.LastIndexByte(text[:at], '\n')
	return out
}

// Brackets that are open in a policy, and in a kind of failure: the report, the list of policies,
// the policy, the list of failures, the failure.
const (
	inPolicy  = 3
	inFailure = 5
)

// keep removes what the damage has made incomplete from a report that begins in a line, and says
// what was lost. A policy is kept if its sums are there.
func (w *wholeJSON) keep(t *tlsJSON, line int) (lost string) {
	where := fmt.Sprintf("line %d, byte %d: %s", line+w.line, w.column, w.problem)
	n := len(t.Rows)
	if n == 0 {
		return where
	}
	if last := &t.Rows[n-1]; w.open >= inPolicy {
		where += fmt.Sprintf(", in policy %d", n)
		if w.open >= inFailure && len(last.Failures) > 0 {
			last.Failures = last.Failures[:len(last.Failures)-1]
		}
		if last.Summary.Good == "" || last.Summary.Bad == "" {
			t.Rows = t.Rows[:n-1]
		} else {
			where += ", whose sums are whole"
		}
	}
	switch n = len(t.Rows); n {
	case 0:
		return where
	case 1:
		return where + "; 1 policy was read"
	}
	return where + fmt.Sprintf("; %d policies were read", n)
}
