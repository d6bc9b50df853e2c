package remedy

import "mailseal/config/mta"

// MailServer does what package mta found to mend a finding: it puts lines into files of a mail server and of Mailseal,
// and runs commands about the host.
func MailServer(fix mta.Fix) Remedy {
	if len(fix) == 0 {
		return Remedy{}
	}
	kind := ofChange[fix[0].Kind]
	for _, c := range fix[1:] {
		if ofChange[c.Kind] != kind {
			kind = Several
		}
	}
	return of(kind, fix)
}

// ofChange are the kinds of changes of package mta.
var ofChange = map[mta.ChangeKind]Kind{
	mta.MainCF:        MainCF,
	mta.MasterCF:      MasterCF,
	mta.SendmailMC:    SendmailMC,
	mta.SendmailCF:    SendmailCF,
	mta.SendmailPort:  SendmailPort,
	mta.SendmailBuild: System,
	mta.Setting:       Setting,
	mta.EditUnit:      EditUnit,
	mta.System:        System,
}
