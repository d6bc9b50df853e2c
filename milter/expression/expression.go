// Package expression compiles and evaluates the conditions that operators write: short expressions
// over what is known of a message, such as
//
//	dmarc.result == "fail" and dmarc.policy == "reject" and not in_network(client.address, "192.0.2.0/24")
//
// The language is that of github.com/expr-lang/expr, cut down to what is bounded: comparisons, and,
// or, not, lists, a few functions, and any, all, none, one and count over a list, one inside no
// other. There are no variables, loops, ranges or slices. An expression is checked against the
// types of its facts when it is compiled, so that at run time it can fail only by reading too much
// of a header.
package expression

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// Bounds of one expression.
const (
	MaxLength = 8 << 10 // bytes
	maxNodes  = 500     // operators, names and constants
	maxMemory = 10_000  // elements of lists that an evaluation may make
)

// Scope is when an expression is evaluated, and so which facts it may ask for.
type Scope int

// The scopes.
const (
	Signing Scope = iota // at the end of the header: the facts of Known
	Judging              // when the methods have run: the facts of Judged
)

// facts returns a value of the type that holds the facts of a scope.
func (s Scope) facts() any {
	if s == Judging {
		return Judged{}
	}
	return Known{}
}

// Error is a mistake in an expression.
type Error struct {
	Line, Column int    // from 1
	Text         string // one clause
	// the name that is not known, if that is the mistake; Names has those that are
	Unknown string
}

// Error writes "line 1, column 5: unknown name dmrac".
func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Text)
}

// Condition is a compiled expression. It may be evaluated by several goroutines at once.
type Condition struct {
	text    string
	scope   Scope
	program *vm.Program
	root    ast.Node // as it was written, for Explain
	parts   sync.Map // of the parts that were evaluated alone: node to *vm.Program
}

// String returns the expression as it was written.
func (c *Condition) String() string { return c.text }

// Compile checks and compiles an expression. The error is an *Error.
func Compile(text string, scope Scope) (*Condition, error) {
	if len(text) > MaxLength {
		return nil, &Error{1, 1, fmt.Sprintf("longer than %d bytes", MaxLength), ""}
	}
	if strings.TrimSpace(text) == "" {
		return nil, &Error{1, 1, "the expression is empty", ""}
	}
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, mistake(err)
	}
	if err := check(tree.Node, tree.Source); err != nil {
		return nil, err
	}
	program, err := compile(text, scope, expr.AsBool())
	if err != nil {
		return nil, mistake(err)
	}
	return &Condition{text: text, scope: scope, program: program, root: tree.Node}, nil
}

// compile compiles what has passed check.
func compile(text string, scope Scope, more ...expr.Option) (*vm.Program, error) {
	options := []expr.Option{
		expr.Env(scope.facts()),
		expr.MaxNodes(maxNodes),
		expr.DisableAllBuiltins(),
		expr.Function("in_network", callInNetwork, new(func(string, ...string) bool)),
		expr.Function("below", callBelow, new(func(string, ...string) bool)),
	}
	for _, name := range builtins {
		options = append(options, expr.EnableBuiltin(name))
	}
	return expr.Compile(text, append(options, more...)...)
}

func callInNetwork(args ...any) (any, error) {
	address, networks := texts(args)
	return inNetwork(address, networks), nil
}

func callBelow(args ...any) (any, error) {
	name, tops := texts(args)
	return below(name, tops), nil
}

// texts returns the arguments of a call whose types have been checked.
func texts(args []any) (first string, others []string) {
	first, _ = args[0].(string)
	for _, a := range args[1:] {
		s, _ := a.(string)
		others = append(others, s)
	}
	return first, others
}

var machines = sync.Pool{New: func() any { return &vm.VM{MemoryBudget: maxMemory} }}

// Holds reports whether a condition holds for facts: a *Known for Signing, a *Judged for Judging.
// An error means that it is not known whether it does, and that the message must not be let through
// because of it.
func (c *Condition) Holds(facts any) (bool, error) {
	v, err := run(c.program, facts)
	if err != nil {
		return false, err
	}
	holds, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("the value is %T, not true or false", v)
	}
	return holds, nil
}

func run(program *vm.Program, facts any) (any, error) {
	m, _ := machines.Get().(*vm.VM)
	defer machines.Put(m)
	v, err := m.Run(program, facts)
	if err != nil {
		if errors.Is(err, errText) {
			return nil, errText
		}
		return nil, fmt.Errorf("%s", firstLine(err.Error()))
	}
	return v, nil
}

// mistake makes an Error of one of the library.
func mistake(err error) error {
	var at *file.Error
	if !errors.As(err, &at) {
		return &Error{1, 1, inOurWords(firstLine(err.Error())), ""}
	}
	text := firstLine(at.Message)
	if strings.HasSuffix(text, "exceeds maximum allowed nodes") {
		text = fmt.Sprintf("more than %d names, constants and operators", maxNodes)
	}
	return &Error{max(at.Line, 1), at.Column + 1, inOurWords(text), unknown(text)}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return cmp.Or(s, "not valid")
}
