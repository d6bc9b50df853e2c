package sign

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailseal/keys"
	"mailseal/milter/action"
	"mailseal/milter/domain"
	"mailseal/milter/expression"
	"mailseal/milter/message"
)

// Query holds the properties of a message that select rules of the signing table.
type Query struct {
	Author     message.Address
	Login      string                   // the SASL login, "" when there was none
	Client     netip.Addr               // the SMTP client
	DaemonName string                   // {daemon_name} of the MTA's listener
	Recipients []string                 // envelope recipients without angle brackets
	Facts      func() *expression.Known // what a rule's If may ask; nil: no such rule fits
	Sender     string                   // envelope sender without angle brackets; "" for a bounce
	ListID     domain.Name              // of the List-Id field; "" without one

	Lines Lines // what the MTA does to lines after us
	// a domain that was forged in From, as a method found: no signature may speak for it; "" for
	// none
	Forged domain.Name
}

// When narrows a rule. An empty list asks nothing; the lists that are set must all be satisfied.
type When struct {
	Recipients  message.Patterns // one of the recipients matches
	Networks    []netip.Prefix   // the client is in one of them
	DaemonNames []string         // the MTA's listener is one of them
	Logins      []string         // the client logged in as one of them; "*" is any login
	Senders     message.Patterns // the envelope sender matches
	// the envelope sender may be the null sender; with Senders, either will do
	NullSender bool
	ListIDs    message.Patterns // the identifier of List-Id matches
}

// Table is a signing table: rules in the order of the file, of which the first that matches signs,
// however wide or narrow its pattern is, or all that match. A lookup costs a few map reads for each
// label of the author's domain, whatever the number of rules, and a comparison with each pattern of
// that domain that has "*" among the letters of the user.
type Table struct {
	all   bool // all rules that match sign, not only the first
	rules []Rule
	index map[string][]int32 // normalised pattern → rules that have it, ascending
	// the part of a pattern behind "@" → those with "*" among the letters before it
	globs map[string][]glob
}

type glob struct {
	pattern message.Pattern
	rule    int32
}

// NewTable indexes rules of which the first that matches a message signs it.
func NewTable(rules []Rule) *Table { return newTable(rules, false) }

// NewTableOfAll indexes rules of which all that match a message sign it.
func NewTableOfAll(rules []Rule) *Table { return newTable(rules, true) }

func newTable(rules []Rule, all bool) *Table {
	t := &Table{all: all, rules: rules, index: make(map[string][]int32, len(rules)),
		globs: map[string][]glob{}}
	for i, r := range rules {
		for _, from := range r.From {
			if local := from.Local(); local != "*" && strings.Contains(local, "*") {
				t.globs[from.Place()] = append(t.globs[from.Place()], glob{from, int32(i)})
				continue
			}
			key := from.String()
			if list := t.index[key]; len(list) == 0 || list[len(list)-1] != int32(i) {
				t.index[key] = append(list, int32(i))
			}
		}
	}
	return t
}

// Match returns the rules that sign the message, if any, in the order of the file.
func (t *Table) Match(q Query) Match {
	var out Match
	for _, i := range t.candidates(q.Author) {
		r := &t.rules[i]
		if !r.When.holds(q) {
			continue
		}
		holds, err := r.holds(q)
		if err != nil {
			r = r.broken(err)
		} else if !holds {
			continue
		}
		if out = append(out, r); !t.all {
			break
		}
	}
	return out
}

// Rules returns all rules in the order of the file. Not to be changed.
func (t *Table) Rules() []Rule { return t.rules }

// candidates returns, ascending, the rules with a pattern that matches the author.
func (t *Table) candidates(author message.Address) []int32 {
	var found []int32
	local := strings.ToLower(author.Local)
	at := func(dom string) {
		found = append(found, t.index[local+"@"+dom]...)
		found = append(found, t.index["*@"+dom]...)
		for _, g := range t.globs[dom] {
			if g.pattern.Match(author) {
				found = append(found, g.rule)
			}
		}
	}
	at(string(author.Domain))
	for up := author.Domain.Parent(); up != ""; up = up.Parent() {
		at("*." + string(up))
	}
	at("*")
	slices.Sort(found)
	return slices.Compact(found)
}

func (w When) holds(q Query) bool { return w.lacks(q) == "" }

// holds reports whether the rule's expression holds for a message.
func (r *Rule) holds(q Query) (bool, error) {
	switch {
	case r.If == nil:
		return true, nil
	case q.Facts == nil:
		return false, nil
	}
	return r.If.Holds(q.Facts())
}

// broken returns the rule as one that fits and cannot sign, and so defers the message: whether it
// should have been signed is not known.
func (r *Rule) broken(err error) *Rule {
	out := *r
	out.OnKeyError = action.KeyTempfail
	out.Choose = func(context.Context, Query) ([]keys.Key, error) {
		return nil, fmt.Errorf("if: %w", err)
	}
	return &out
}
