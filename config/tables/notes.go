package tables

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Group is what became of something that a file of OpenDKIM's said.
type Group string

// The groups.
const (
	Todo    Group = "still to do"                     // by hand
	Taken   Group = "taken over"                      // it works as it did
	Changed Group = "changed on purpose"              // Mailseal does it otherwise, and why
	Never   Group = "never worked in OpenDKIM either" // it looked as if it did something
	Dropped Group = "dropped"                         // and why
)

// Code names what is reported about a line. Codes are stable: programs and tests may compare them,
// while the wording may change.
type Code string

// Note is what all notes of one code have in common.
type Note struct {
	Group Group
	Text  string // for fmt, with what the note names
}

// Prose is an argument of a note that is a part of its sentence, and names nothing.
type Prose string

// Tell takes what is to be reported about a line of a table.
type Tell func(c Code, at Place, args ...any)

func silently(Code, Place, ...any) {}

// NoteOf returns what there is to say under a code.
func NoteOf(c Code) (Note, bool) {
	n, ok := notes[c]
	return n, ok
}

// Codes returns all codes, in their order.
func Codes() []Code { return slices.Sorted(maps.Keys(notes)) }

// NoteKey writes a code with what a note names, "line-twice(example.com, 3)": all that it says,
// whatever the wording.
func NoteKey(c Code, args ...any) string {
	var names []string
	for _, a := range args {
		if _, wording := a.(Prose); !wording {
			names = append(names, fmt.Sprint(a))
		}
	}
	if names == nil {
		return string(c)
	}
	return string(c) + "(" + strings.Join(names, ", ") + ")"
}

// notes has the group and the text of every code.
var notes = map[Code]Note{
	"identifier-left-out": {Taken, "i=%s is left out for authors whom it does not suit, as " +
		"OpenDKIM does: it must be at or below d="},
	"key-fourth-field": {Changed, "key %q: the fourth field %s, which OpenDKIM 2.11 takes " +
		"for a part of the key's name, is left out: a key's kind shows in the key"},
	"key-blanks":         {Changed, "key %q: the blanks around %q are left out"},
	"key-file-of-domain": {Taken, "key %q: %% in the file's name is the key's domain, not the author's: %s"},
	"key-file-percent": {Never,
		"key %q: %% is replaced only in a name that begins with /: this one is of a file %s"},
	"key-inline-kind": {Changed, "key %q: OpenDKIM reads keys in a table only if they " +
		"begin with MII, and defers the mail of this one; Mailseal also reads Ed25519 keys and " +
		"PEM there, and signs if it is one"},
	"key-inline-file": {Never, "key %q: %q is taken for the key itself, not for a file, " +
		"whose name begins with /, ./ or ../: OpenDKIM defers what it should sign, and so does Mailseal"},
	"key-name-differs": {Todo, "key %q signs as %s, whatever it is called, in OpenDKIM, " +
		"too: its record must be there. If it is published under the name, the selector is " +
		"wrong: mailseal check --dns says so"},
	"key-twice": {Never, "key %q stands in line %d already, and only the first counts"},
	"line-without-key-crash": {Never, "%s names no key: OpenDKIM breaks down over mail that fits " +
		"it; here later lines sign it, or none does"},
	"line-twice": {Never, "%s stands in line %d already, and only the first counts"},
	"line-regex": {Taken, "%s is a regular expression in OpenDKIM, though its manual " +
		"knows * only; it stands for %s"},
	"line-glob": {Dropped, "%s has no equal among Mailseal's patterns: name the " +
		"domains; until then later lines sign this mail, or none does"},
	"line-glob-narrowed": {Changed, "%s also matched names of others that only begin or end " +
		"alike: Mailseal signs for %s only"},
	"line-refile-domain": {Never, "%s matches no sender: a line of a refile: must match the whole of user@domain"},
	"line-never-reached": {Never, "%s is never reached: line %d takes it, and the first line " +
		"that fits signs (MultipleSignatures takes all)"},
	"recipient-pattern": {Never, "%s never matched: the recipient's whole address is looked for"},
	"start-fails": {Never, "OpenDKIM does not start with this line: it looks for a " +
		"key of the name %q, which is not in KeyTable"},
	"key-percent": {Never, "a key whose name is %% is never looked for: %% in the " +
		"signing table stands for the author's domain"},
	"key-unused": {Dropped, "key %q cannot sign, and nothing uses it: %s"},
	"line-without-key": {Never,
		"%s names no key: OpenDKIM defers this mail, and so does Mailseal until it names one"},
	"key-missing": {Never, "there is no key %q in KeyTable%s: OpenDKIM defers this " +
		"mail, and so does Mailseal until there is one"},
	"key-unusable": {Never, "key %q: %s"},
	"key-file-per-domain": {Taken, "key %q has a file for each author's domain; there are %d " +
		"now (%s). A domain whose file comes later needs its own entry; mail of domains without " +
		"one is deferred, as before"},
	"local-unsigned": {Changed, "mail of authors at localhost, and at other names of one " +
		"label, goes unsigned: a signature of such a domain cannot be verified (RFC 6376 section 3.5)"},
	"identifier-without-at": {Changed, "%q is not an i= tag, for it has no @: OpenDKIM lets " +
		"this mail go unsigned, Mailseal signs it without i="},
	"identifier-unwritable": {Changed, "i=%s cannot be written here: it is left out"},
	"line-never-looked": {Never, "%s matches no sender: it is not one of user@domain, " +
		"domain, user@.parent, .parent, user@* and *"},
	"line-never-looked-star": {Never, "%s matches no sender: only refile: knows *; %s alone is " +
		"everybody in the domain, and then signs mail that OpenDKIM left unsigned"},
	"leading-blank": {Never, "a line of a refile: that begins with a blank is not seen: %s"},
}
