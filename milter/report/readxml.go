package report

import (
	"fmt"
	"html"
	"io"
	"slices"
	"strings"
)

// ErrNoReport reports text that holds no aggregate report.
var ErrNoReport = fmt.Errorf("no <feedback> element: this is not a DMARC aggregate report")

// fields are the elements that hold a value, by parent and name.
var fields = map[string]func(*reader, string){
	"feedback/version":                   func(r *reader, s string) { r.out.Version = s },
	"report_metadata/org_name":           func(r *reader, s string) { r.out.Metadata.Org = s },
	"report_metadata/email":              func(r *reader, s string) { r.out.Metadata.Email = s },
	"report_metadata/extra_contact_info": func(r *reader, s string) { r.out.Metadata.Contact = s },
	"report_metadata/report_id":          func(r *reader, s string) { r.out.Metadata.ReportID = s },
	"report_metadata/generator":          func(r *reader, s string) { r.out.Metadata.Generator = s },
	"report_metadata/error":              (*reader).metadataError,
	"date_range/begin":                   func(r *reader, s string) { r.begin = s },
	"date_range/end":                     func(r *reader, s string) { r.end = s },
	"policy_published/domain":            (*reader).policyDomain,
	"policy_published/p":                 func(r *reader, s string) { r.policy.P = word(s) },
	"policy_published/sp":                func(r *reader, s string) { r.policy.SP = word(s) },
	"policy_published/np":                func(r *reader, s string) { r.policy.NP = word(s) },
	"policy_published/adkim":             func(r *reader, s string) { r.policy.ADKIM = word(s) },
	"policy_published/aspf":              func(r *reader, s string) { r.policy.ASPF = word(s) },
	"policy_published/fo":                func(r *reader, s string) { r.policy.FO = word(s) },
	"policy_published/pct": func(r *reader,
		s string) {
		r.policy.Pct = strings.TrimSuffix(word(s), "%")
	},
	"policy_published/testing":             func(r *reader, s string) { r.policy.Testing = word(s) },
	"policy_published/discovery_method":    func(r *reader, s string) { r.policy.Discovery = word(s) },
	"policy_published/version_published":   func(*reader, string) {},
	"row/source_ip":                        (*reader).sourceIP,
	"row/count":                            func(r *reader, s string) { r.count = s },
	"policy_evaluated/disposition":         func(r *reader, s string) { r.row.Disposition = r.word(s) },
	"policy_evaluated/dkim":                func(r *reader, s string) { r.row.DKIM = r.word(s) },
	"policy_evaluated/spf":                 func(r *reader, s string) { r.row.SPF = r.word(s) },
	"reason/type":                          func(r *reader, s string) { r.reason.Type = r.word(s) },
	"reason/comment":                       func(r *reader, s string) { r.reason.Comment = s },
	"identifiers/header_from":              func(r *reader, s string) { r.row.HeaderFrom = parseName(s) },
	"identifiers/envelope_from":            func(r *reader, s string) { r.row.EnvelopeFrom = parseName(s) },
	"identifiers/envelope_to":              func(r *reader, s string) { r.row.EnvelopeTo = parseName(s) },
	"dkim/domain":                          func(r *reader, s string) { r.signature.Domain = parseName(s) },
	"dkim/selector":                        func(r *reader, s string) { r.signature.Selector = strings.ToLower(s) },
	"dkim/result":                          func(r *reader, s string) { r.signature.Result = r.word(s) },
	"dkim/human_result":                    func(*reader, string) {},
	"spf/domain":                           func(r *reader, s string) { r.spf.Domain = parseName(s) },
	"spf/scope":                            func(r *reader, s string) { r.spf.Scope = r.word(s) },
	"spf/result":                           func(r *reader, s string) { r.spf.Result = r.word(s) },
	"spf/human_result":                     func(*reader, string) {},
	"policy_published/policy_published_by": func(*reader, string) {},
}

// containers are the elements that hold elements.
var containers = []string{"feedback", "report_metadata", "date_range", "policy_published", "record", "row",
	"policy_evaluated", "reason", "identifiers", "auth_results", "dkim", "spf", "extension", "extensions"}

// names are the local names of all elements that are known.
var names = func() map[string]bool {
	out := map[string]bool{"identities": true}
	for _, c := range containers {
		out[c] = true
	}
	for path := range fields {
		_, name, _ := strings.Cut(path, "/")
		out[name] = true
	}
	return out
}()

// reader builds a report of the tokens of a file. It holds one row at a time.
type reader struct {
	notebook
	tokens *tokenizer
	each   func(*Row) error

	out        Feedback
	policy     PolicyPublished
	begin, end string
	policies   int
	seen       int // records that were begun

	stack     []string
	value     []byte // of the element that is open
	row       Row
	count     string
	reason    Override
	signature SignatureResult
	spf       SPFResult
	line      int
}

// ReadXML reads an aggregate report. It calls each for every row that can be counted, in the order
// of the file; the row is each's to keep. An error of each ends the reading, and is returned.
//
// Reports are read as they are written, not as they should be: what is unusual is in Notes, a row
// that says nothing that can be counted in Refused, and a report that ends early has Cut. Words
// that are unknown are kept as they are. The error wraps ErrNoReport for text that holds no report
// at all, and ErrHostile for input that no reporter writes.
func ReadXML(in io.Reader, each func(*Row) error) (*Feedback, error) {
	r := &reader{each: each}
	r.tokens = newTokenizer(utf8Text(in, &r.notebook), func(name string) bool { return names[name] }, &r.notebook)
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
	if r.inRecord() {
		r.out.Cut += fmt.Sprintf(", in the middle of row %d", r.seen)
	}
	return nil
}

func (r *reader) started() bool  { return slices.Contains(r.stack, "feedback") }
func (r *reader) inRecord() bool { return slices.Contains(r.stack, "record") }

// inValue reports whether the element that is open holds a value.
func (r *reader) inValue() bool {
	return len(r.stack) > 1 && fields[r.path()] != nil
}

func (r *reader) path() string {
	if len(r.stack) < 2 {
		return ""
	}
	return r.stack[len(r.stack)-2] + "/" + r.stack[len(r.stack)-1]
}

func (r *reader) open(t token) error {
	name := t.name
	if name == "identities" { // of an old draft
		name = "identifiers"
	}
	if len(r.stack) >= maxDepth {
		return hostileInput("more than %d elements within each other in line %d", maxDepth, t.line)
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
	r.stack = append(r.stack, name)
	r.value = r.value[:0]
	r.tokens.inText = r.inValue()
	return nil
}

// close ends the nearest element of that name, and what is open in it. It reports whether that was
// the report.
func (r *reader) close(name string) (bool, error) {
	if name == "identities" {
		name = "identifiers"
	}
	if !slices.Contains(r.stack, name) {
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
		top := r.stack[len(r.stack)-1]
		if err := r.pop(); err != nil || top == name {
			return err
		}
		r.add("unclosed", "an element is not closed", r.line)
	}
}

// pop ends the element that was opened last.
func (r *reader) pop() error {
	set, top := fields[r.path()], r.stack[len(r.stack)-1]
	parent := ""
	if len(r.stack) > 1 {
		parent = r.stack[len(r.stack)-2]
	}
	if set != nil {
		set(r, r.text())
	}
	r.stack = r.stack[:len(r.stack)-1]
	r.value = r.value[:0]
	r.tokens.inText = false
	switch {
	case top == "record":
		return r.endRow()
	case top == "policy_published":
		if r.policies++; r.policies == 1 {
			r.out.Policy = r.policy
		} else {
			r.add("policies", "there is more than one <policy_published>; the first one is taken", r.line)
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

func (r *reader) addSignature() {
	if len(r.row.Signatures) == MaxResults {
		r.add("results", "results above 200 of a row were left out", r.line)
		return
	}
	r.row.Signatures = append(r.row.Signatures, r.signature)
}

func (r *reader) addSPF() {
	if len(r.row.SPFResults) == MaxResults {
		r.add("results", "results above 200 of a row were left out", r.line)
		return
	}
	r.row.SPFResults = append(r.row.SPFResults, r.spf)
}

// text is the value of the element that is open.
func (r *reader) text() string {
	s := cleanValue(r.value, r.line, &r.notebook)
	if strings.Contains(s, "&") {
		plain := html.UnescapeString(s)
		if strings.Contains(plain, "&") && strings.Contains(strings.ReplaceAll(s, "&amp;", ""), "&") {
			r.add("unescaped-amp", `"&" that is not written as "&amp;", or an entity that is not declared`, r.line)
		}
		s = plain
	}
	return strings.TrimSpace(s)
}

func word(s string) string { return strings.ToLower(s[:min(len(s), 100)]) }

// word reads one of the words of RFC 9990. What is none stays as it is.
func (r *reader) word(s string) string {
	out := word(s)
	if out != s {
		r.add("case", "a word is not in lower case", r.line)
	}
	return out
}

func (r *reader) metadataError(s string) {
	if len(r.out.Metadata.Errors) < 20 && s != "" {
		r.out.Metadata.Errors = append(r.out.Metadata.Errors, s)
	}
}

// policyDomain reads the domain of the policy. NULL is what a program writes that has none.
func (r *reader) policyDomain(s string) {
	if strings.EqualFold(s, "null") {
		r.add("domain", "the policy's domain is NULL", r.line)
		s = ""
	}
	r.policy.Domain = parseName(s)
}

func (r *reader) sourceIP(s string) {
	r.row.Source = s[:min(len(s), 100)]
	a, ok := parseSource(s)
	if !ok {
		if s != "" {
			r.add("source", fmt.Sprintf("source_ip %q is not an address", s[:min(len(s), 60)]), r.line)
		}
		return
	}
	if a.String() != s {
		r.add("source-form", "an address is written in an unusual form", r.line)
	}
	r.row.Address, r.row.Source = a, a.String()
}

// trailing looks at what stands behind the report.
func (r *reader) trailing() {
	for {
		t, err := r.tokens.token()
		if err != nil || t.kind == end {
			return
		}
		if t.kind != text || len(strings.TrimSpace(string(t.text))) > 0 {
			r.add("trailing", "something follows </feedback>, and was ignored", t.line)
		}
		if t.kind == openTag && t.name == "feedback" {
			r.out.Cut = fmt.Sprintf("line %d: another report follows in the same file, and was not read; "+
				"give each a file of its own", t.line)
			return
		}
	}
}
