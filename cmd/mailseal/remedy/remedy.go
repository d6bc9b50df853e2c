// Package remedy builds what Mailseal tells operators to do: commands to run, DNS records to
// publish, and lines to put into a configuration. Every remedy is made here, from what the packages
// found, so that one test can apply each kind to a copy and see that the finding is gone
// afterwards.
package remedy

import (
	"fmt"
	"maps"
	"slices"

	"mailseal/keys/files"
)

// Remedy is one step that corrects a finding. The zero value means that there is no remedy.
type Remedy struct {
	Kind Kind
	args []any
}

// Kind is the kind of a step, whatever it applies to. Kinds are stable: programs may rely
// on them.
type Kind string

// The kinds. Those that are commands can be given to a shell as they are printed.
const (
	ChangeMode  Kind = "change-mode"
	ChangeOwner Kind = "change-owner"
	GiveToGroup Kind = "give-to-group" // a file that the service's group may read already
	// a file and the directories on the way to it, for the daemon's user to read
	LetIn Kind = "let-in"
	// the same, where others would lose something otherwise
	AccessList Kind = "access-list"
	// for the daemon alone, and a line of mailseal.toml that names it
	Copy       Kind = "copy-key"
	GiveToUser Kind = "give-to-user" // a directory with all that is in it
	// a directory and all below it, for the group to read
	OpenTree      Kind = "open-tree"
	OpenEach      Kind = "open-each"      // files and directories that only have / in common
	MakeDirectory Kind = "make-directory" // and those above it
	// of mailseal.toml, where the daemon may not make it
	MoveSocket       Kind = "move-socket"
	MakeOwnDirectory Kind = "make-own-directory" // for the daemon's user to make files in
	GenerateKey      Kind = "generate-key"       // the first of a managed domain
	RotateKey        Kind = "rotate-key"         // one step of a managed domain
	// a DNS record where there is none, or in place of another
	Publish Kind = "publish-record"
	Move    Kind = "move-record" // from a wrong name to the right one
	// at a wrong name, where the right record is a vendor's
	Remove  Kind = "remove-record"
	KeepOne Kind = "keep-one-record" // of several at one name, the right one
	// of several at one name, where the right record is a vendor's
	KeepAny    Kind = "keep-any-record"
	LongerKey  Kind = "make-longer-key" // and publish it
	MainCF     Kind = "put-main-cf"     // lines of Postfix's main.cf
	MasterCF   Kind = "put-master-cf"   // an option of a service in master.cf
	SendmailMC Kind = "put-sendmail-mc" // lines of sendmail.mc
	// lines of sendmail.cf, where there is no sendmail.mc
	SendmailCF   Kind = "put-sendmail-cf"
	SendmailPort Kind = "put-daemon-port" // a port of sendmail.mc, or of sendmail.cf
	Setting      Kind = "put-setting"     // lines of mailseal.toml
	EditUnit     Kind = "edit-unit"       // lines of a unit of systemd
	// a command about users, units and sockets of the host
	System          Kind = "change-system"
	ServerName      Kind = "set-authserv-id"  // a line of mailseal.toml, before the first table
	CorrectSelector Kind = "correct-selector" // in place of another, in the entry of a key
	// lines of several files, and commands, which belong together
	Several Kind = "put-several"
)

// form is how a kind is printed.
type form struct {
	text      string // with a verb for each argument
	isCommand bool
}

var forms = map[Kind]form{
	ChangeMode:       {"chmod %s %s", true},
	ChangeOwner:      {"chown %s %s", true},
	GiveToGroup:      {"chgrp %s %s", true},
	LetIn:            {"%s", true},
	AccessList:       {"%s", true},
	Copy:             {"%s\n%s", false},
	GiveToUser:       {"chown -R %s:%s %s", true},
	OpenTree:         {"chgrp -R %s %s && chmod -R g+rX %[2]s", true},
	OpenEach:         {"chgrp %s %s && chmod g+rX %[2]s", true},
	MakeDirectory:    {"mkdir -p %s", true},
	MoveSocket:       {"%s", false},
	MakeOwnDirectory: {"install -d -o %s -g %s -m 0755 %s", true},
	GenerateKey:      {"mailseal keys generate%s %s", true},
	RotateKey:        {"mailseal keys rotate%s %s", true},
	Publish:          {"publish: %s", false},
	Move:             {"remove the record at %s., publish: %s", false},
	Remove:           {"remove the record at %s.", false},
	KeepOne:          {"remove all but one, publish: %s", false},
	KeepAny:          {"remove all but one", false},
	LongerKey:        {"make a longer key: mailseal keygen; publish: %s", false},
	MainCF:           {"%s", false},
	MasterCF:         {"%s", false},
	SendmailMC:       {"%s", false},
	SendmailCF:       {"%s", false},
	SendmailPort:     {"%s", false},
	Setting:          {"%s", false},
	EditUnit:         {"%s", false},
	System:           {"%s", false},
	ServerName:       {"authserv_id = \"%s\"  # mailseal.toml, before the first [table]%s", false},
	CorrectSelector:  {"write the selector %s in place of %s", false},
	Several:          {"%s", false},
}

// Kinds returns every kind of remedy, sorted.
func Kinds() []Kind { return slices.Sorted(maps.Keys(forms)) }

// IsZero reports whether there is nothing to do.
func (r Remedy) IsZero() bool { return r.Kind == "" }

// IsCommand reports whether the remedy can be given to a shell as it is printed.
func (r Remedy) IsCommand() bool { return forms[r.Kind].isCommand }

// String writes the remedy as operators read it, on one line or several. Paths are quoted for a
// shell.
func (r Remedy) String() string {
	if r.IsZero() {
		return ""
	}
	return fmt.Sprintf(forms[r.Kind].text, r.args...)
}

// Sentence appends the remedy to what is wrong, for a log line.
func (r Remedy) Sentence(text string) string {
	if r.IsZero() {
		return text
	}
	return text + "; to correct it: " + r.String()
}

func of(kind Kind, args ...any) Remedy { return Remedy{Kind: kind, args: args} }

// quote writes a word for a shell.
func quote(word string) string { return files.Quote(word) }
