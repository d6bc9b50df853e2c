package spf

import (
	"fmt"
	"strings"
)

// Record is the evaluation of one domain's record, and of the records to which it refers.
type Record struct {
	Domain string `json:"domain"`
	Text   string `json:"record,omitempty"` // the record, cut after 1000 octets
	Value  Value  `json:"result"`
	Reason string `json:"reason,omitempty"` // why, when no term says it
	Steps  []Step `json:"terms,omitempty"`  // the terms that were evaluated, in order
	// terms that did not match and are left out, since there are too many
	Omitted int `json:"omitted,omitempty"`
}

// Step is the evaluation of one term.
type Step struct {
	Term string `json:"term"` // as the record has it
	// the name that was asked for, where the term has one; macros expanded
	Target string `json:"target,omitempty"`
	// "match", "no match", "temperror" or "permerror"; of redirect= the result
	Outcome string `json:"outcome"`
	Detail  string `json:"detail,omitempty"` // the DNS data, or the failure
	// terms that ask the DNS so far, this one and those below it included
	Lookups int     `json:"lookups,omitempty"`
	Voids   int     `json:"void_lookups,omitempty"` // those without an answer so far
	Nested  *Record `json:"nested,omitempty"`       // of include and redirect=
}

// String returns the result for people: what came out and why, the domain's explanation, the
// counts, the tree. It ends in a line end.
func (r Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.Value, visible(r.Reason))
	fmt.Fprintf(&b, "identity:    %s %s\n", r.Scope, visible(r.Sender))
	if r.Mechanism != "" {
		fmt.Fprintf(&b, "term:        %s\n", visible(r.Mechanism))
	}
	if r.Explanation != "" {
		fmt.Fprintf(&b, "explanation: %s explains: %s\n", r.Domain, visible(r.Explanation))
	}
	if r.Tree == nil {
		return b.String()
	}
	fmt.Fprintf(&b, "lookups:    %d of the %d allowed, %d of them void; %d DNS queries in all\n\n",
		r.Lookups,
		maxLookups, r.Voids, r.Queries)
	r.Tree.write(&b, "")
	return b.String()
}

// String returns the tree for people: a line for each record and each term, in the order of the
// evaluation, the counts of section 4.6.4 behind the terms that count. What strangers wrote is
// printable in it.
func (r *Record) String() string {
	var b strings.Builder
	r.write(&b, "")
	return b.String()
}

func (r *Record) write(b *strings.Builder, indent string) {
	fmt.Fprintf(b, "%s%s: ", indent, visible(r.Domain))
	if r.Text != "" {
		fmt.Fprintf(b, "%+q ", r.Text)
	}
	fmt.Fprintf(b, "= %s", r.Value)
	if r.Reason != "" && !r.stepTells() {
		fmt.Fprintf(b, " (%s)", visible(r.Reason))
	}
	b.WriteByte('\n')
	for _, s := range r.Steps {
		s.write(b, indent+"  ")
	}
	if r.Omitted > 0 {
		fmt.Fprintf(b, "%s  and %d more terms that do not match\n", indent, r.Omitted)
	}
}

// stepTells reports whether the last term already shows the reason.
func (r *Record) stepTells() bool {
	n := len(r.Steps)
	return n > 0 && (r.Steps[n-1].Detail == r.Reason || r.Steps[n-1].Nested != nil &&
		r.Steps[n-1].Outcome == string(r.Value))
}

func (s Step) write(b *strings.Builder, indent string) {
	fmt.Fprintf(b, "%s%-*s  %s", indent, max(40-len(indent), 0), visible(s.Term), s.Outcome)
	if s.Lookups > 0 {
		fmt.Fprintf(b, "  [%d of %d lookups", s.Lookups, maxLookups)
		if s.Voids > 0 {
			fmt.Fprintf(b, ", %d void", s.Voids)
		}
		b.WriteByte(']')
	}
	if s.Target != "" && s.Nested == nil && !strings.HasSuffix(s.Term, s.Target) {
		fmt.Fprintf(b, "  %s", visible(s.Target))
	}
	if s.Detail != "" {
		fmt.Fprintf(b, "  %s", visible(s.Detail))
	}
	b.WriteByte('\n')
	if s.Nested != nil {
		s.Nested.write(b, indent+"  ")
	}
}

// visible replaces what would move a terminal's cursor.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
