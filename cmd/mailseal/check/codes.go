package check

import (
	"fmt"

	"mailseal/cmd/mailseal/remedy"
	"mailseal/config/mta"
	"mailseal/keys/keyfile"
	"mailseal/milter/keydns"
)

// Row holds the properties that all findings with one code share.
type Row struct {
	Code     Code
	Severity Severity
	Area     Area
	// a format with a verb for each detail; "%s" where another package has the words
	Text  string
	Fixes []remedy.Kind // remedies that a finding may have
}

// The codes of findings of this package, and of types that define no codes.
const (
	ConfigUnread    Code = "config-unreadable"
	ConfigMistake   Code = "config-mistake"
	ConfigWarning   Code = "config-warning"
	ConfigRefused   Code = "config-refused"
	ResolverRefused Code = "dns-settings-refused"
	SourceRefused   Code = "source-settings-refused"
	StateUnread     Code = "state-unreadable"

	IDShort   Code = "authserv-id-can-be-forged"
	IDSeveral Code = "authserv-id-differs"

	NotChecked            Code = "not-checked"
	FileClosed            Code = "file-closed-to-daemon"
	StateClosed           Code = "state-directory-closed-to-daemon"
	SpoolClosed           Code = "reports-spool-closed"
	OursEveryone          Code = "ours-is-everyone"
	SocketDirectoryClosed Code = "socket-directory-closed-to-daemon"

	KeyMissing    Code = "key-missing"
	KeyUnreadable Code = "key-unreadable"
	KeyUnusable   Code = "key-unusable"
	KeyRefused    Code = "key-refused-as-unsafe"
	KeyFailsTest  Code = "key-fails-test"
	KeyShort      Code = "key-shorter-than-advised"
	KeyTooLong    Code = "key-longer-than-verifiers-take"

	DirectoryOwner Code = "secret-directory-owner"
	DirectoryMode  Code = "secret-directory-mode"
	FileOwner      Code = "secret-file-owner"
	FileMode       Code = "secret-file-mode"
	SecretMissing  Code = "secret-missing"
	PagesRefused   Code = "pages-refused"

	ManagedNone     Code = "managed-key-missing"
	ManagedWaiting  Code = "managed-key-waiting"
	ManagedUnusable Code = "managed-key-unusable"
	ManagedUnused   Code = "managed-key-unused"

	SocketNoDirectory  Code = "socket-directory-missing"
	SocketDirectoryYet Code = "socket-directory-by-systemd"
	SocketDirectoryBad Code = "socket-directory-unusable"
	SocketOccupied     Code = "socket-path-occupied"
	SocketNoUser       Code = "socket-user-missing"
	SocketNoGroup      Code = "socket-group-missing"
	SocketAddress      Code = "socket-address-unusable"
	MetricsAddress     Code = "metrics-address-unusable"

	RunningRefused Code = "running-would-refuse"
	RunningLoss    Code = "running-would-lose"
	RunningUnknown Code = "running-unknown"

	SourceAway     Code = "source-unreachable"
	SourceNoList   Code = "source-list-fails"
	SourceNoKey    Code = "source-key-unusable"
	SourceUnlisted Code = "source-not-compared"
	SourceNobody   Code = "source-has-no-key"

	DNSMissing    Code = "dns-record-missing"
	DNSMisplaced  Code = "dns-record-misplaced"
	DNSTruncated  Code = "dns-record-truncated"
	DNSWrongKey   Code = "dns-record-of-other-key"
	DNSTesting    Code = "dns-record-testing"
	DNSRevoked    Code = "dns-key-revoked"
	DNSTooShort   Code = "dns-key-too-short"
	DNSSeveral    Code = "dns-records-several"
	DNSAlias      Code = "dns-record-alias"
	DNSDangling   Code = "dns-record-alias-dangling"
	DNSPasted     Code = "dns-record-quoted"
	DNSSpaced     Code = "dns-record-spaced"
	DNSExcluded   Code = "dns-record-excludes-mail"
	DNSTyped      Code = "dns-record-of-wrong-type"
	DNSOldForm    Code = "dns-record-in-old-form"
	DNSMalformed  Code = "dns-record-malformed"
	DNSNoAnswer   Code = "dns-no-answer"
	DNSNoRecord   Code = "dns-record-cannot-be-written"
	DNSAnyDomain  Code = "dns-key-of-any-domain"
	DNSNobody     Code = "dns-domain-without-key"
	DNSLabel      Code = "dns-record-under-name-of-entry"
	DMARCUncount  Code = "dmarc-not-aligned"
	DMARCNoAnswer Code = "dmarc-no-answer"

	ReportsMissing  Code = "dns-reporting-record-missing"
	ReportsUnusable Code = "dns-reporting-record-unusable"
	ReportsNoAnswer Code = "dns-reporting-no-answer"

	StoreUnusable Code = "reports-store-unusable"

	TestDomain  Code = "test-domain-not-taken"
	TestRefused Code = "test-address-refused"
	TestUnasked Code = "test-address-not-asked"
)

// rows is the table from code to severity, sentence and remedies.
var rows = []Row{
	{ConfigUnread, Unknown, Local, "%s", nil},
	{ConfigMistake, Error, Local, "%s", nil},
	{ConfigWarning, Warning, Local, "%s", nil},
	{ConfigRefused, Error, Local, "%s", nil},
	{ResolverRefused, Error, Local, "%s", nil},
	{SourceRefused, Error, Local, "%s", nil},
	{StateUnread, Error, Local, "%s", nil},

	{IDShort, Warning, Local, "not set, and no full name of this host is known: if the MTA's own " +
		"name is not a full one, results are written under %q, a name that others can use as well",
		fixes(remedy.ServerName)},
	{IDSeveral, Warning, Local, "not set, and more than one MTA may connect (%s): mail of each " +
		"MTA has results under a different name, and a field with such a name can be forged at " +
		"the other MTAs",
		fixes(remedy.ServerName)},

	{NotChecked, Unknown, Local, "%s was not checked: user %s has no rights to it; run check as root " +
		"(sudo mailseal check)", nil},
	{FileClosed, Error, Local, "the daemon cannot read %s: %s", fixes(remedy.LetIn, remedy.AccessList)},
	{StateClosed, Error, Local, "the daemon cannot use %s: %s", fixes(remedy.GiveToUser)},
	{SpoolClosed, Error, Local, "the daemon cannot write records for DMARC reports to %s: %s; %s; " +
		"then restart mailseal", nil},
	{OursEveryone, Error, Local, "%s matches every client: strangers' mail is signed in your " +
		"name, and nothing is judged",
		fixes(remedy.Setting)},
	{SocketDirectoryClosed, Error, Local, "the daemon cannot make a socket in %s: %s",
		fixes(remedy.MakeOwnDirectory, remedy.MoveSocket)},

	{KeyMissing, Error, Local, "%s", nil},
	{KeyUnreadable, Error, Local, "%s", fixes(remedy.LetIn, remedy.Copy, remedy.AccessList)},
	{KeyUnusable, Error, Local, "%s", nil},
	{KeyRefused, Error, Local, "%s", nil},
	{KeyFailsTest, Error, Local, "%s", nil},
	{KeyShort, Warning, Local, "the RSA key has %d bits, and should have %d (RFC 8301 section " +
		"3.2): some receivers ignore its signatures; make a new key under a new selector with " +
		"mailseal keygen",
		nil},
	{KeyTooLong, Warning, Local, "the key has %d bits: verifiers need not accept more than %d " +
		"(RFC 8301 section 3.2), so some of them reject its signatures; use a key of 2048 bits", nil},

	{TestDomain, Warning, MTA, "the configuration of %s does not accept mail for %s, so no sender " +
		"can write to the address for tests: add the domain to mydestination or " +
		"virtual_alias_domains (Postfix), or to class w (Sendmail), or use another domain", nil},
	{TestRefused, Warning, MTA, "the mail server at %s refuses %s at RCPT (%d %q), so tests do " +
		"not reach Mailseal; add an alias of that name, and let the server remove the part after " +
		"a plus sign (recipient_delimiter = + in Postfix; Sendmail does so by default)", nil},
	{TestUnasked, Unknown, MTA, "could not find out whether the mail server accepts the address " +
		"at RCPT: %s does not answer (%v)", nil},

	{DirectoryOwner, Warning, Local, "%s", fixes(remedy.ChangeOwner, remedy.Copy)},
	{DirectoryMode, Warning, Local, "%s", fixes(remedy.ChangeMode)},
	{FileOwner, Warning, Local, "%s", fixes(remedy.Copy)},
	{FileMode, Warning, Local, "%s", fixes(remedy.ChangeMode, remedy.LetIn)},
	{SecretMissing, Error, Local, "%s", nil},
	{PagesRefused, Error, Local, "%s", nil},
	{StoreUnusable, Error, Local, "no command for reports can use this store: %s", nil},

	{ManagedNone, Error, Local, "no key of %s is active, so its mail %s", fixes(remedy.GenerateKey)},
	{ManagedWaiting, Error, Local, "no key of %s is active, so its mail %s; %s is %s and waits " +
		"for its next step", fixes(remedy.RotateKey)},
	{ManagedUnusable, Error, Local, "%s", nil},
	{ManagedUnused, Warning, Local, "no rule uses the active keys of %s, so they sign nothing: " +
		"add a rule with managed in [[sign]], or end the keys with mailseal keys retire",
		nil},

	{SocketNoDirectory, Error, Local, "no directory %s", fixes(remedy.MakeDirectory, remedy.MakeOwnDirectory)},
	{SocketDirectoryYet, Warning, Local,
		"no directory %s yet; RuntimeDirectory= makes it when systemd starts the daemon", nil},
	{SocketDirectoryBad, Error, Local, "%s", nil},
	{SocketOccupied, Error, Local, "%s exists, but is not a socket", nil},
	{SocketNoUser, Error, Local, "no user %q on this host", nil},
	{SocketNoGroup, Error, Local, "no group %q on this host", nil},
	{SocketAddress, Error, Local, "nothing can listen on %q: %v", nil},
	{MetricsAddress, Error, Local, "nothing can listen on %q: %v", nil},

	{RunningRefused, Error, Local, "%s; a reload would be refused", nil},
	{RunningLoss, Warning, Local, "%s", nil},
	{RunningUnknown, Unknown, Local, "could not find out which domains signed mail in the last 7 days: %s", nil},

	{SourceAway, Error, Local, "%s", nil},
	{SourceNoList, Error, Local, "%s; allow the daemon's user to read that table, or remove " +
		"list_query", nil},
	{SourceNoKey, Error, Local, "%s", nil},
	{SourceUnlisted, Note, DNS, "source %q %s: its keys were not compared; --domain DOMAIN " +
		"compares those of a domain", nil},
	{SourceNobody, Note, DNS, "source %q: no key signs for %s (%s)", nil},

	{DNSMissing, Error, DNS, "%s", fixes(remedy.Publish)},
	{DNSMisplaced, Error, DNS, "%s", fixes(remedy.Move, remedy.Remove)},
	{DNSTruncated, Error, DNS, "%s", fixes(remedy.Publish)},
	{DNSWrongKey, Error, DNS, "%s", fixes(remedy.Publish)},
	{DNSTesting, Warning, DNS, "%s", fixes(remedy.Publish)},
	{DNSRevoked, Error, DNS, "%s", fixes(remedy.Publish)},
	{DNSTooShort, Error, DNS, "%s", fixes(remedy.LongerKey)},
	{DNSSeveral, Error, DNS, "%s", fixes(remedy.KeepOne, remedy.KeepAny)},
	{DNSAlias, Warning, DNS, "%s", nil},
	{DNSDangling, Error, DNS, "%s", fixes(remedy.Publish)},
	{DNSPasted, Error, DNS, "%s", fixes(remedy.Publish)},
	{DNSSpaced, Warning, DNS, "%s", fixes(remedy.Publish)},
	{DNSExcluded, Error, DNS, "%s", fixes(remedy.Publish)},
	{DNSTyped, Error, DNS, "%s", fixes(remedy.Publish)},
	{DNSOldForm, Warning, DNS, "%s", fixes(remedy.Publish)},
	{DNSMalformed, Error, DNS, "%s", fixes(remedy.Publish)},
	{DNSNoAnswer, Unknown, DNS, "%s", nil},
	{DNSNoRecord, Unknown, DNS, "key %q: %v", nil},
	{DNSAnyDomain, Note, DNS, "key %q signs as the author's domain, whatever it is; each of " +
		"these domains must publish the key", nil},
	{DNSNobody, Error, DNS, "no key signs for %s", nil},
	{DNSLabel, Error, DNS, "this key is published at %s, the name of the entry, but signatures " +
		"refer to %s, where it is not", fixes(remedy.CorrectSelector)},
	{DMARCUncount, Error, DNS, "signs mail from %s as d=%s, which DMARC does not accept for that domain: %s", nil},
	{DMARCNoAnswer, Unknown, DNS, "whether d=%s is aligned with %s: %s", nil},
	{ReportsMissing, Warning, DNS, "signatures of %s ask for failure reports (request_reports), " +
		"but %s has no TXT record with an address for them: publish \"ra=dkim-errors\" there for " +
		"dkim-errors@%s, or remove request_reports", nil},
	{ReportsUnusable, Warning, DNS, "signatures of %s ask for reports about failures " +
		"(request_reports), but no receiver can send any: %s: %s", nil},
	{ReportsNoAnswer, Unknown, DNS, "could not find out where reports about failing signatures go, %s: %v", nil},
}

func fixes(kinds ...remedy.Kind) []remedy.Kind { return kinds }

// ofKeyFile are the codes of what package keyfile finds.
var ofKeyFile = map[keyfile.Kind]Code{
	keyfile.DirectoryOwner: DirectoryOwner,
	keyfile.DirectoryMode:  DirectoryMode,
	keyfile.FileOwner:      FileOwner,
	keyfile.FileMode:       FileMode,
	keyfile.Unsafe:         KeyRefused,
	keyfile.Unreadable:     KeyUnreadable,
	keyfile.Absent:         KeyMissing,
	keyfile.Unusable:       KeyUnusable,
}

// ofRecord are the codes of what package keydns finds.
var ofRecord = map[keydns.Cause]Code{
	keydns.Missing:   DNSMissing,
	keydns.Doubled:   DNSMisplaced,
	keydns.Truncated: DNSTruncated,
	keydns.WrongKey:  DNSWrongKey,
	keydns.Testing:   DNSTesting,
	keydns.Empty:     DNSRevoked,
	keydns.TooShort:  DNSTooShort,
	keydns.Several:   DNSSeveral,
	keydns.Alias:     DNSAlias,
	keydns.Dangling:  DNSDangling,
	keydns.Pasted:    DNSPasted,
	keydns.Spaced:    DNSSpaced,
	keydns.Excluded:  DNSExcluded,
	keydns.Typed:     DNSTyped,
	keydns.PKCS1:     DNSOldForm,
	keydns.Malformed: DNSMalformed,
	keydns.NoAnswer:  DNSNoAnswer,
}

var byCode = index(rows)

func index(rows []Row) map[Code]Row {
	out := make(map[Code]Row, len(rows))
	for _, r := range rows {
		out[r.Code] = r
	}
	return out
}

// Codes returns the table of all codes but those of mail servers, which package mta keeps.
func Codes() []Row { return rows }

// place is where a finding belongs.
type place struct {
	file    string
	line    int
	setting string
}

// finding makes a finding of its row in the table. Details fill the row's sentence.
func finding(code Code, at place, details ...any) Finding {
	row := byCode[code]
	return Finding{
		Code: code, Severity: row.Severity, File: at.file, Line: at.line, Setting: at.setting,
		Text: fmt.Sprintf(row.Text, details...),
	}
}

// area returns what a code is about. Codes that are not in the table are those of package mta.
func (c Code) area() Area {
	if row, ok := byCode[c]; ok {
		return row.Area
	}
	return MTA
}

// severityOfMTA are the severities of package mta in our words.
var severityOfMTA = map[mta.Severity]Severity{
	mta.Error: Error, mta.Warning: Warning, mta.Unknown: Unknown, mta.Note: Note,
}

// codeOfMTA is a code of package mta, which keeps the table of its severities and sentences, in
// ours.
func codeOfMTA(c mta.Code) Code { return Code("mta-" + string(c)) }
