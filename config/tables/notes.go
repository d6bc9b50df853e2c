package tables

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Group is the outcome of translating a line of an OpenDKIM file.
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

// Note holds the text that all notes of one code share.
type Note struct {
	Group Group
	Text  string // for fmt, with what the note names
}

// Prose is an argument of a note that is a part of its sentence, and names nothing.
type Prose string

// Tell receives a note about a line of a table.
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
	"identifier-left-out": {Taken, "i=%s is left out for authors at other domains, as OpenDKIM " +
		"does: it must be at or below d="},
	"key-fourth-field": {Changed, "key %q: the fourth field %s is ignored, since the key itself " +
		"shows its kind; OpenDKIM 2.11 takes it as a part of the key's name"},
	"key-blanks":         {Changed, "key %q: the blanks around %q are removed"},
	"key-file-of-domain": {Taken, "key %q: %% in the file's name is the key's domain, not the author's: %s"},
	"key-file-percent": {Never,
		"key %q: %% is replaced only in a name that begins with /: this one names the file %s"},
	"key-inline-kind": {Changed, "key %q: OpenDKIM reads keys in a table only if they " +
		"begin with MII, and defers the mail of this one; Mailseal also reads Ed25519 keys and " +
		"PEM there, and signs if it is one"},
	"key-inline-file": {Never, "key %q: %q is read as the key itself, not as a file, whose name " +
		"would begin with /, ./ or ../: OpenDKIM defers the mail that it should sign, and so " +
		"does Mailseal"},
	"key-name-differs": {Todo, "key %q signs as %s, which does not match its name; OpenDKIM does " +
		"the same. Its record must be at %[2]s. If the record is published under the name of the " +
		"key, the selector is wrong: mailseal check --dns reports that"},
	"key-twice": {Never, "key %q is already in line %d, and only the first one counts"},
	"line-without-key-crash": {Never, "%s names no key: OpenDKIM crashes on mail that matches " +
		"it; in Mailseal later lines sign such mail, or it goes unsigned"},
	"line-twice": {Never, "%s is already in line %d, and only the first one counts"},
	"line-regex": {Taken, "%s is a regular expression in OpenDKIM, although its manual only " +
		"mentions *; it matches %s"},
	"line-glob": {Dropped, "Mailseal has no pattern like %s: list the domains. Until then later " +
		"lines sign this mail, or it goes unsigned"},
	"line-glob-narrowed": {Changed, "%s also matched other domains with a similar name: Mailseal " +
		"signs only for %s"},
	"line-refile-domain": {Never, "%s matches no sender: a line of a refile: must match the whole of user@domain"},
	"line-never-reached": {Never, "%s is never used: line %d matches first, and the first line " +
		"that matches signs (all do with MultipleSignatures)"},
	"recipient-pattern": {Never, "%s never matched: OpenDKIM looks for the recipient's whole " +
		"address"},
	"start-fails": {Never, "OpenDKIM does not start with this line: it looks for a key named %q, " +
		"which is not in KeyTable"},
	"key-percent": {Never, "a key named %% is never used: %% in the signing table stands for the " +
		"author's domain"},
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
	"identifier-without-at": {Changed, "%q is not an i= tag, since it has no @: OpenDKIM sends " +
		"this mail unsigned, Mailseal signs it without i="},
	"identifier-unwritable": {Changed, "i=%s cannot be expressed in mailseal.toml, and is left " +
		"out"},
	"line-never-looked": {Never, "%s matches no sender: it is none of the forms user@domain, " +
		"domain, user@.parent, .parent, user@* and *"},
	"line-never-looked-star": {Never, "%s matches no sender: * works only in a refile:. Write %s " +
		"for all users of the domain; this signs mail that OpenDKIM left unsigned"},
	"leading-blank": {Never, "OpenDKIM ignores a line of a refile: that begins with a blank: %s"},
}
