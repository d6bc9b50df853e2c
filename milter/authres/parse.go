package authres

import (
	"fmt"
	"strings"
)

// What is read of one field at most. A field of 1 MiB may hold a hundred thousand results, none of
// them ours.
const (
	maxResults    = 128
	maxProperties = 64
)

// Parse reads the value of a field (RFC 8601 section 2.2). It is tolerant: comments, folds and
// white space may be between any two words, methods may come without an authserv-id before them (ID
// is "" then), and a result that cannot be read is left out. The Field holds all that could be read
// even when there is an error, which tells of the first mistake and wraps ErrSyntax; or ErrVersion,
// and then only the ID was read.
//
// Results of a method in another version than 1 are left out, as section 2.6 asks. Names are lower
// case; the Comment is the first after the result's value. An address keeps the quotes of its local
// part: `"a b"@example.com`.
func Parse(value []byte) (Field, error) {
	r := &reader{s: string(value)}
	id, err := r.id()
	f := Field{ID: id}
	if err != nil && err != errNoID {
		return f, err
	}
	if err == nil {
		err = r.version()
	}
	for r.more() {
		if len(f.Results) == maxResults {
			return f, fmt.Errorf("%w: over %d results", ErrSyntax, maxResults)
		}
		result, mistake := r.result()
		if mistake != "" && err == nil {
			err = fmt.Errorf("%w: %s at octet %d", ErrSyntax, mistake, r.pos)
		}
		if mistake == "" && result.Method != "" {
			f.Results = append(f.Results, result)
		}
		r.skipRest()
	}
	return f, err
}

var errNoID = fmt.Errorf("%w: no authserv-id", ErrSyntax)

// id reads the authserv-id. It is more than a token: some add "/jobid" to it.
func (r *reader) id() (string, error) {
	r.space()
	if r.peek() == '"' {
		return r.quotedString(), nil
	}
	start := r.pos
	id := r.until("=;\"(), \t\r\n")
	r.space()
	if r.peek() == '=' || id == "" {
		r.pos = start
		return "", errNoID
	}
	return id, nil
}

// version passes over the version and what else is before the first semicolon.
func (r *reader) version() error {
	r.space()
	digits := r.until(";\"(), \t\r\n")
	r.space()
	if r.pos < len(r.s) && r.peek() != ';' {
		r.skipRest()
		return fmt.Errorf("%w: more than a version after the authserv-id", ErrSyntax)
	}
	if digits != "" && strings.Trim(digits, "0123456789") == "" &&
		strings.TrimLeft(digits, "0") != "1" {
		r.pos = len(r.s)
		return fmt.Errorf("%w %.10s", ErrVersion, digits)
	}
	return nil
}

// result reads one resinfo. A zero Result without a mistake is "none", or nothing at all, or
// another version's.
func (r *reader) result() (Result, string) {
	r.space()
	method := r.keyword()
	r.space()
	if (method == "" || method == "none") && r.atEnd() {
		return Result{}, ""
	}
	other := r.methodVersion()
	if method == "" || !r.take('=') {
		return Result{}, "no method=result"
	}
	r.space()
	result := Result{Method: method, Value: r.keyword()}
	if result.Value == "" {
		return Result{}, "no result of " + method
	}
	r.comment = ""
	r.space()
	result.Comment = r.comment
	mistake := r.properties(&result)
	if other {
		return Result{}, ""
	}
	return result, mistake
}

// methodVersion passes over "/1", and reports whether another version is there.
func (r *reader) methodVersion() bool {
	if !r.take('/') {
		return false
	}
	r.space()
	v := r.keyword()
	r.space()
	return strings.TrimLeft(v, "0") != "1"
}

// properties reads what follows method=result: the reason and the properties, in any order. Pairs
// that are neither ("action=none") mean nothing here.
func (r *reader) properties(result *Result) (mistake string) {
	for !r.atEnd() {
		name, property := r.keyword(), ""
		r.space()
		if r.take('.') {
			r.space()
			property = r.keyword()
			r.space()
			if property == "" {
				return "no name after " + name + "."
			}
		}
		if name == "" || !r.take('=') {
			return "no name=value"
		}
		r.space()
		value := r.pvalue()
		r.space()
		switch {
		case property == "" && name == "reason":
			result.Reason = value
		case property != "" && len(result.Properties) < maxProperties:
			result.Properties = append(result.Properties, Property{name, property, value})
		case property != "":
			return fmt.Sprintf("over %d properties", maxProperties)
		}
	}
	if r.broken {
		return "a quote or comment that does not end"
	}
	return ""
}
