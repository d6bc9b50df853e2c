package expression

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"

	"mailseal/milter/domain"
)

// NeverHolds returns why a condition cannot hold for any message, "" where that is not seen: it is
// false, or two comparisons of one fact exclude each other. FindStrange finds comparisons with
// words that a fact never is.
func (c *Condition) NeverHolds() string {
	is := map[string]string{}
	for _, part := range conjuncts(c.root) {
		if b, ok := part.(*ast.BoolNode); ok && !b.Value {
			return "it is false"
		}
		fact, value, ok := equality(part)
		if !ok {
			continue
		}
		if before, again := is[fact]; again && before != value {
			return fmt.Sprintf("%s cannot be both %q and %q", fact, before, value)
		}
		is[fact] = value
	}
	return ""
}

// Covers reports whether a condition is certainly true whenever another one is: each of its parts
// is a part of the other.
func (c *Condition) Covers(other *Condition) bool {
	var have []string
	for _, part := range conjuncts(other.root) {
		have = append(have, part.String())
	}
	for _, part := range conjuncts(c.root) {
		if b, ok := part.(*ast.BoolNode); ok && b.Value {
			continue
		}
		if !slices.Contains(have, part.String()) {
			return false
		}
	}
	return true
}

// proofs are the facts that a sender of forged mail cannot choose.
var proofs = []string{
	"client.address", "client.name", "login", "role", "daemon", "iprev.result", "iprev.name",
	"spf.result", "spf.aligned",
	"dkim", "arc.result", "arc.sealer", "arc.sealers",
}

// ExcusesForgery reports whether a condition may hold for a message that DMARC says to refuse,
// though it asks for nothing that a forger cannot choose.
func (c *Condition) ExcusesForgery() bool {
	for _, name := range c.Asks() {
		if slices.Contains(proofs, name) {
			return false
		}
	}
	forgery := &Judged{DMARC: DMARC{Result: "fail", Policy: "reject", Disposition: "reject"}}
	known := func(name string) bool {
		return name == "dmarc.result" || name == "dmarc.policy" || name == "dmarc.disposition"
	}
	return c.Weigh(forgery, known) != False
}

// conjuncts are the parts of a condition that must all hold.
func conjuncts(n ast.Node) []ast.Node {
	if b, ok := n.(*ast.BinaryNode); ok && (b.Operator == "and" || b.Operator == "&&") {
		return append(conjuncts(b.Left), conjuncts(b.Right)...)
	}
	return []ast.Node{n}
}

// equality returns the fact and the text of a comparison such as dmarc.result == "fail".
func equality(n ast.Node) (fact, value string, ok bool) {
	b, isBinary := n.(*ast.BinaryNode)
	if !isBinary || b.Operator != "==" {
		return "", "", false
	}
	left, right := b.Left, b.Right
	if _, isText := left.(*ast.StringNode); isText {
		left, right = right, left
	}
	text, isText := right.(*ast.StringNode)
	fact = dottedName(left)
	if !isText || fact == "" {
		return "", "", false
	}
	return fact, text.Value, true
}

// Strange is a comparison of a fact with a text that the fact never is.
type Strange struct {
	Text  string   // a sentence that names both, and what the comparison amounts to
	Value string   // the text that the fact never is
	Known []string // the texts that the fact may be; nil: there are too many
	// the comparison is true of every message, as with !=; otherwise it is false, or a part of it
	// has no effect
	AlwaysTrue bool
}

// FindStrange returns the first comparison in a condition, wherever it is, of a fact with a word
// that it never is, and whether there is one: a typing error that would not show otherwise.
// Comparisons that are always true come first.
func (c *Condition) FindStrange() (Strange, bool) {
	var first Strange
	for _, n := range comparisons(c.root, false, nil) {
		fact, values := compared(n.BinaryNode)
		never, head, tail := 0, "", ""
		var s Strange
		for _, v := range values {
			statement, explanation := unlikely(fact, v)
			if statement == "" {
				continue
			}
			if never++; never == 1 {
				s = Strange{Value: v, Known: words[fact]}
				head, tail = statement, explanation
			}
		}
		if never == 0 {
			continue
		}
		effect := ""
		if never == len(values) {
			s.AlwaysTrue = (n.Operator == "!=") != n.isNegated
			effect = fmt.Sprintf(", so this is always %v", s.AlwaysTrue)
		}
		s.Text = head + effect + tail
		if s.AlwaysTrue {
			return s, true
		}
		if first.Text == "" {
			first = s
		}
	}
	return first, first.Text != ""
}

// normal are facts that hold a domain in the form of package domain.
var normal = []string{
	"author.domain", "envelope.sender_domain", "dmarc.domain", "dmarc.record_domain", "spf.domain",
	"arc.sealer",
}

// unlikely returns why a fact is never a text, "" where it may be: the statement, and what explains
// it.
func unlikely(fact, v string) (statement, explanation string) {
	never := fmt.Sprintf("%s is never %q", fact, v)
	if known, few := words[fact]; few && !slices.Contains(known, v) {
		return never, "; it is one of " + quoted(known)
	}
	if v == "" {
		return "", ""
	}
	switch {
	case fact == "client.address":
		if a, err := netip.ParseAddr(v); err != nil || a.String() != v {
			return never, ": it is a single address in its shortest form; to compare it with a " +
				"network, use in_network(client.address, \"192.0.2.0/24\")"
		}
	case slices.Contains(normal, fact):
		if d, err := domain.Parse(v); err != nil || string(d) != v {
			return never, fmt.Sprintf(": write domains in lower case, and international ones as "+
				"xn--...; below(%s, \"example.com\") also matches names below a domain", fact)
		}
	case fact == "client.name" && v != strings.ToLower(v):
		return never, ": it is in lower case"
	}
	return "", ""
}

// comparison is a comparison in a condition.
type comparison struct {
	*ast.BinaryNode
	isNegated bool // by an odd number of "not" around it
}

// comparisons appends all comparisons below n.
func comparisons(n ast.Node, isNegated bool, to []comparison) []comparison {
	switch n := n.(type) {
	case *ast.UnaryNode:
		return comparisons(n.Node, !isNegated, to)
	case *ast.BinaryNode:
		to = comparisons(n.Right, isNegated, comparisons(n.Left, isNegated, to))
		return append(to, comparison{n, isNegated})
	case *ast.PredicateNode:
		return comparisons(n.Node, isNegated, to)
	case *ast.BuiltinNode:
		for _, arg := range n.Arguments {
			to = comparisons(arg, isNegated != (n.Name == "none"), to)
		}
	}
	return to
}

// compared returns the fact of a comparison and the texts that it is compared with.
func compared(b *ast.BinaryNode) (fact string, values []string) {
	left, right := b.Left, b.Right
	if _, isText := left.(*ast.StringNode); isText && b.Operator != "in" {
		left, right = right, left
	}
	fact = dottedName(left)
	if m, ok := left.(*ast.MemberNode); ok && fact == "" {
		if _, isElement := m.Node.(*ast.PointerNode); isElement {
			fact = "dkim[]." + strings.Trim(m.Property.String(), `"`)
		}
	}
	switch b.Operator {
	case "==", "!=":
		if text, ok := right.(*ast.StringNode); ok {
			values = append(values, text.Value)
		}
	case "in":
		if list, ok := right.(*ast.ArrayNode); ok {
			for _, e := range list.Nodes {
				if text, ok := e.(*ast.StringNode); ok {
					values = append(values, text.Value)
				}
			}
		}
	}
	return fact, values
}

// quoted lists texts as a sentence does.
func quoted(list []string) string {
	var out []string
	for _, w := range list {
		out = append(out, strconv.Quote(w))
	}
	return strings.Join(out, ", ")
}
