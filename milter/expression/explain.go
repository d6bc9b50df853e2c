package expression

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm"
)

// Truth is the value of a condition as far as it is known.
type Truth int

// The values.
const (
	False   Truth = iota
	True          // it holds
	Unknown       // it asks for a fact that is not known
)

// String returns "false", "true" or "unknown".
func (t Truth) String() string { return [...]string{"false", "true", "unknown"}[t] }

func truth(b bool) Truth {
	if b {
		return True
	}
	return False
}

// Step is a part of a condition and its value.
type Step struct {
	Depth int    `json:"depth"` // 0 for the whole
	Text  string `json:"text"`  // the part
	Value string `json:"value"` // "true", "false", or the value of a name
}

// Explain evaluates a condition and each of its parts: the operands of and, or and not, and the
// names in each of those.
func (c *Condition) Explain(facts any) []Step {
	w := walk{condition: c, facts: facts, explains: true}
	w.truth(c.root, 0)
	return w.steps
}

// Weigh evaluates a condition of which only some facts are known. A part that asks for another is
// Unknown, and so is the whole, unless the other parts decide it. Known is asked for names such as
// "dmarc.result" and "header".
func (c *Condition) Weigh(facts any, known func(name string) bool) Truth {
	w := walk{condition: c, facts: facts, known: known}
	return w.truth(c.root, 0)
}

// Asks returns the facts that a condition asks for, sorted: "client.address", "dkim", "header".
func (c *Condition) Asks() []string { return asks(c.root) }

// walk evaluates a tree part by part.
type walk struct {
	condition *Condition
	facts     any
	known     func(string) bool // nil: all is known
	explains  bool              // steps are wanted
	steps     []Step
}

func (w *walk) truth(n ast.Node, depth int) Truth {
	if !w.explains {
		return w.combine(n, depth)
	}
	at := len(w.steps)
	w.steps = append(w.steps, Step{Depth: depth, Text: n.String()})
	t := w.combine(n, depth)
	w.steps[at].Value = t.String()
	return t
}

// combine computes the value of and, or and not from their operands, in the logic of three values;
// of anything else, as a whole.
func (w *walk) combine(n ast.Node, depth int) Truth {
	switch n := n.(type) {
	case *ast.UnaryNode:
		switch w.truth(n.Node, depth+1) {
		case True:
			return False
		case False:
			return True
		}
		return Unknown
	case *ast.BinaryNode:
		if decides, ok := connectives[n.Operator]; ok {
			left, right := w.truth(n.Left, depth+1), w.truth(n.Right, depth+1)
			switch {
			case left == decides || right == decides:
				return decides
			case left == Unknown || right == Unknown:
				return Unknown
			}
			return left
		}
	}
	return w.leaf(n, depth)
}

// connectives have a value of one operand that decides the whole.
var connectives = map[string]Truth{"and": False, "&&": False, "or": True, "||": True}

// leaf evaluates a part as a whole, and shows the names in it.
func (w *walk) leaf(n ast.Node, depth int) Truth {
	isUnknown := func(name string) bool { return !w.known(name) }
	if w.known != nil && slices.ContainsFunc(asks(n), isUnknown) {
		return Unknown
	}
	v, err := w.value(n)
	if err != nil {
		return Unknown
	}
	holds, _ := v.(bool)
	if w.explains {
		w.operands(n, depth+1)
	}
	return truth(holds)
}

// operands adds a step for each fact that a part asks for.
func (w *walk) operands(n ast.Node, depth int) {
	for _, name := range operands(n) {
		if value, err := w.value(name); err == nil {
			w.steps = append(w.steps, Step{depth, name.String(), show(value)})
		}
	}
}

// value evaluates a part alone. What was compiled for it is kept: a log has the same rules for each
// of its lines.
func (w *walk) value(n ast.Node) (any, error) {
	if program, ok := w.condition.parts.Load(n); ok {
		return run(program.(*vm.Program), w.facts)
	}
	program, err := compile(n.String(), w.condition.scope)
	if err != nil {
		return nil, err
	}
	w.condition.parts.Store(n, program)
	return run(program, w.facts)
}

// show writes a value that a stranger may have chosen: in quotes, and cut.
func show(v any) string {
	const most = 200
	var s string
	switch v := v.(type) {
	case string:
		s = strconv.QuoteToASCII(v)
	case []string:
		s = fmt.Sprintf("%+q", v)
	default:
		s = fmt.Sprintf("%+v", v)
	}
	if len(s) > most {
		s = s[:most] + "..."
	}
	return s
}

// visitor collects the nodes that asks and operands need.
type visitor struct{ names []ast.Node }

// walk collects the largest parts of a tree that are a name, a name with its parts, or a call about
// a field.
func (v *visitor) walk(n ast.Node) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		v.names = append(v.names, n)
	case *ast.MemberNode:
		if dottedName(n) != "" {
			v.names = append(v.names, n)
			return
		}
		v.walk(n.Node)
	case *ast.UnaryNode:
		v.walk(n.Node)
	case *ast.BinaryNode:
		v.walk(n.Left)
		v.walk(n.Right)
	case *ast.ArrayNode:
		v.all(n.Nodes...)
	case *ast.BuiltinNode:
		v.all(n.Arguments...)
	case *ast.PredicateNode:
		v.walk(n.Node)
	case *ast.CallNode:
		if id, ok := n.Callee.(*ast.IdentifierNode); ok && slices.Contains(ofHeader, id.Value) {
			v.names = append(v.names, n)
			return
		}
		v.all(n.Arguments...)
	}
}

func (v *visitor) all(list ...ast.Node) {
	for _, n := range list {
		v.walk(n)
	}
}

// operands returns the parts of n that stand for facts, each once.
func operands(n ast.Node) []ast.Node {
	var v visitor
	v.walk(n)
	seen := map[string]bool{}
	return slices.DeleteFunc(v.names, func(n ast.Node) bool {
		was := seen[n.String()]
		seen[n.String()] = true
		return was
	})
}

// asks returns the names of the facts that n asks for, sorted.
func asks(n ast.Node) []string {
	var names []string
	for _, o := range operands(n) {
		name := dottedName(o)
		if call, ok := o.(*ast.CallNode); ok {
			name = call.Callee.String()
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// dottedName returns "dmarc.result" for such a node, "" for any other.
func dottedName(n ast.Node) string {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return n.Value
	case *ast.MemberNode:
		property, ok := n.Property.(*ast.StringNode)
		above := dottedName(n.Node)
		if !ok || above == "" {
			return ""
		}
		return strings.Join([]string{above, property.Value}, ".")
	}
	return ""
}
