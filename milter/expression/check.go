package expression

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"

	"mailseal/milter/domain"
)

// builtins are the functions of the language that expressions may use.
var builtins = []string{"all", "any", "count", "len", "lower", "none", "one", "trim"}

// ofLists are the functions that ask a condition of each element of a list. A stranger chooses how
// long some lists are, so that an expression has at most maxLists of them.
var ofLists = []string{"all", "any", "count", "none", "one"}

const maxLists = 10

// functions are ours. The first argument of the second kind is the name of a field.
var (
	ofNames  = []string{"in_network", "below"}
	ofHeader = []string{"header", "headers", "header_count"}
)

// operators are those that cost no more than their operands.
var operators = []string{
	"==", "!=", "<", "<=", ">", ">=", "and", "&&", "or", "||", "in", "matches", "contains",
	"startsWith", "endsWith",
	"+", "-", "*",
}

// checker refuses what is not bounded, or could fail at run time. What it does not know it refuses.
type checker struct {
	source file.Source
	err    error
	inside bool // a predicate
	lists  int  // functions over a list so far
}

// check reports the first node of an expression that may not be used, as an *Error.
func check(root ast.Node, source file.Source) error {
	c := checker{source: source}
	c.node(root)
	return c.err
}

func (c *checker) refuse(n ast.Node, format string, args ...any) {
	if c.err != nil {
		return
	}
	at := (&file.Error{Location: n.Location()}).Bind(c.source)
	c.err = &Error{Line: max(at.Line, 1), Column: at.Column + 1, Text: fmt.Sprintf(format, args...)}
}

func (c *checker) nodes(list []ast.Node) {
	for _, n := range list {
		c.node(n)
	}
}

func (c *checker) node(n ast.Node) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		if strings.HasPrefix(n.Value, "$") {
			c.refuse(n, "%s cannot be used here", n.Value)
		}
	case *ast.IntegerNode, *ast.BoolNode, *ast.StringNode, *ast.PointerNode:
	case *ast.UnaryNode:
		if n.Operator != "not" && n.Operator != "!" {
			c.refuse(n, "the operator %s cannot be used here", n.Operator)
		}
		c.node(n.Node)
	case *ast.BinaryNode:
		c.binary(n)
	case *ast.ConditionalNode:
		c.refuse(n, "there is no ? : and no if; write (CONDITION and this) or (not CONDITION and that)")
	case *ast.ArrayNode:
		c.nodes(n.Nodes)
	case *ast.MemberNode:
		if n.Method {
			c.refuse(n, "only functions can be called: %s", strings.Join(Functions(), ", "))
		}
		if _, isName := n.Property.(*ast.StringNode); !isName {
			c.refuse(n, "list elements cannot be accessed by number, since there may be fewer; "+
				"use any, all or none")
		}
		c.node(n.Node)
	case *ast.CallNode:
		c.call(n)
	case *ast.BuiltinNode:
		c.builtin(n)
	case *ast.PredicateNode:
		c.node(n.Node)
	case *ast.NilNode:
		c.refuse(n, `compare with "": every name has a value`)
	case *ast.ChainNode:
		c.refuse(n, "?. is not needed: every name has a value")
	default:
		c.refuse(n, "only comparisons, and, or, not, lists and functions can be used here")
	}
}

func (c *checker) binary(n *ast.BinaryNode) {
	if !slices.Contains(operators, n.Operator) {
		c.refuse(n, "the operator %s cannot be used here", n.Operator)
	}
	right, isText := n.Right.(*ast.StringNode)
	switch n.Operator {
	case "matches":
		if !isText {
			c.refuse(n.Right, "a pattern must be a text in quotes, so that it can be checked at the start")
		}
	case "+", "-", "*":
		if !isNumber(n.Left) || !isNumber(n.Right) {
			c.refuse(n, "%s is only for numbers that are written out", n.Operator)
		}
	case "in":
		if _, isList := n.Right.(*ast.ArrayNode); c.inside && !isList {
			c.refuse(n.Right, "inside a list function, in must be followed by a list, such as "+
				"[\"a\", \"b\"]")
		}
		if isText {
			c.refuse(n.Right, "%q is not a list; write [%q], or use ==", right.Value, right.Value)
		}
	}
	c.node(n.Left)
	c.node(n.Right)
}

// isNumber reports whether a node is a number, or is computed from numbers.
func isNumber(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IntegerNode:
		return true
	case *ast.BinaryNode:
		return isNumber(n.Left) && isNumber(n.Right)
	}
	return false
}

func (c *checker) call(n *ast.CallNode) {
	name := ""
	if id, ok := n.Callee.(*ast.IdentifierNode); ok {
		name = id.Value
	}
	switch {
	case slices.Contains(ofNames, name):
		c.constants(n, name)
	case slices.Contains(ofHeader, name):
		c.fieldName(n)
	}
	c.nodes(n.Arguments)
	c.node(n.Callee)
}

// constants wants the networks or domains of a call as texts that are valid.
func (c *checker) constants(n *ast.CallNode, name string) {
	if len(n.Arguments) < 2 {
		c.refuse(n, "%s needs two arguments or more: %s", name, usage[name])
		return
	}
	for _, arg := range n.Arguments[1:] {
		text, ok := arg.(*ast.StringNode)
		if !ok {
			c.refuse(arg, "%s needs texts in quotes: %s", name, usage[name])
			return
		}
		var err error
		if name == "below" {
			_, err = domain.Parse(text.Value)
		} else {
			_, err = parseNetwork(text.Value)
		}
		if err != nil {
			c.refuse(arg, "%q is not valid; write it as in %s", text.Value, usage[name])
			return
		}
	}
}

var usage = map[string]string{
	"in_network": `in_network(client.address, "192.0.2.0/24")`,
	"below":      `below(author.domain, "example.com")`,
}

// fieldName wants the name of a field as a text that can be one, so that a mistake in it shows.
func (c *checker) fieldName(n *ast.CallNode) {
	if len(n.Arguments) != 1 {
		return // the types say so
	}
	text, ok := n.Arguments[0].(*ast.StringNode)
	if !ok {
		c.refuse(n.Arguments[0], `the name of a field must be a text in quotes: header("List-Id")`)
		return
	}
	isOdd := func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }
	if text.Value == "" || strings.ContainsFunc(text.Value, isOdd) {
		c.refuse(text, "%q cannot be the name of a field", text.Value)
	}
}

func (c *checker) builtin(n *ast.BuiltinNode) {
	if !slices.Contains(builtins, n.Name) {
		c.refuse(n, "the function %s cannot be used here; there are %s", n.Name,
			strings.Join(Functions(), ", "))
		return
	}
	if slices.Contains(ofLists, n.Name) {
		if c.lists++; c.lists > maxLists {
			c.refuse(n, "more than %d of any, all, none, one and count", maxLists)
		}
		if len(n.Arguments) != 2 {
			c.refuse(n,
				"%s needs a list and a condition, such as %s(dkim, .aligned); len returns the number of elements",
				n.Name, n.Name)
			return
		}
	}
	within := c.inside
	for _, arg := range n.Arguments {
		if _, ok := arg.(*ast.PredicateNode); ok {
			if within {
				c.refuse(n, "%s cannot be inside another any, all, none, one or count", n.Name)
				return
			}
			c.inside = true
		}
	}
	c.nodes(n.Arguments)
	c.inside = within
}

// Functions returns the names of all functions that expressions may use, sorted.
func Functions() []string {
	return slices.Sorted(slices.Values(slices.Concat(builtins, ofNames, ofHeader)))
}
