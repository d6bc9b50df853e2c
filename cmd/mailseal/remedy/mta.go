package remedy

import (
	"path"
	"strings"

	"mailseal/config/mta"
)

// MailServer puts the lines of a mail server's configuration, or the command about the host, that package mta proposes.
// Its text says what it is: mta writes each in the syntax of the file that it belongs to.
func MailServer(f mta.Finding) Remedy {
	if f.Fix == "" {
		return Remedy{}
	}
	return of(mailServerKind(f), f.Fix)
}

func mailServerKind(f mta.Finding) Kind {
	const ours = "(mailseal.toml, "
	first, _, several := strings.Cut(f.Fix, "\n")
	switch {
	case f.Code == "sendmail-typographic":
		return SendmailMC
	case strings.Contains(first, ours):
		return Setting
	case strings.Contains(f.Fix, ours):
		return Both
	case strings.HasPrefix(first, "systemctl edit ") && several:
		return EditUnit
	case strings.HasPrefix(first, "  -o "):
		return MasterCF
	case strings.HasSuffix(first, "in DAEMON_OPTIONS"), strings.Contains(first, " in DAEMON_OPTIONS of "):
		return SendmailPort
	case strings.HasSuffix(first, "')dnl"), strings.HasPrefix(first, "dnl "):
		return SendmailMC
	case strings.HasPrefix(first, "X"), strings.HasPrefix(first, "O "):
		return SendmailCF
	case isPostfixFile(f.File) && strings.Contains(first, " ="):
		return MainCF
	}
	return System
}

func isPostfixFile(file string) bool {
	return path.Base(file) == "main.cf" || path.Base(file) == "master.cf"
}
