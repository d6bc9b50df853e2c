package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// choice is a type of which every value has a word. The package that acts on it defines it, so that
// a word which that package does not know cannot be decoded.
type choice interface {
	encoding.TextUnmarshaler
	Words() []string
}

// setChoice decodes a word. The setting may narrow the words of its type.
func setChoice(s *setting, isText bool, text string, t reflect.Type, to choice) error {
	if !isText {
		return nil
	}
	if err := oneOf(text, s.choices(t)); err != nil {
		return err
	}
	return to.UnmarshalText([]byte(text))
}

// choices returns the only texts that a setting of type t takes, nil when there are others.
func (s *setting) choices(t reflect.Type) []string {
	if s.values != nil {
		return s.values
	}
	if c, ok := reflect.New(t).Interface().(choice); ok {
		return c.Words()
	}
	return nil
}

// meant are words of other programs and of DMARC policies, and ours for the same thing.
var meant = map[string]string{
	"quarantine": "hold", "none": "accept", "pass": "accept", "ok": "accept", "deliver": "accept",
	"allow": "accept", "junk": "mark", "tag": "mark", "deny": "reject", "refuse": "reject",
	"defer": "tempfail", "temperror": "tempfail", "ignore": "accept",
	"postgresql": "postgres", "pgsql": "postgres", "mariadb": "mysql", "sqlite3": "sqlite",
	"https": "http", "local": "ours", "external": "theirs",
}

// oneOf returns an error if text is not one of words, and names the nearest word.
func oneOf(text string, words []string) error {
	if slices.Contains(words, text) {
		return nil
	}
	if word := meant[strings.ToLower(text)]; slices.Contains(words, word) {
		return fmt.Errorf("%q is not one of %s%s", text, quotedList(words), didYouMean(word))
	}
	g := guesser{left: 1}
	return fmt.Errorf("%q is not one of %s%s", text, quotedList(words),
		g.nearest(text, slices.Values(words)))
}
