package remedy

import (
	"fmt"

	"mailseal/config/mta"
)

// MailServer does what package mta found to correct a finding: it puts lines into files of a mail
// server and of Mailseal, and runs commands about the host.
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

// SocketUnit is the unit of a socket for Postfix that comes with Mailseal.
const SocketUnit = "mailseal-postfix.socket"

// UnitSocket has systemd make the unix socket of a [[listen]], as root and at each boot. Mail
// servers need no change.
func UnitSocket(section, path string) Remedy {
	return of(MoveSocket, fmt.Sprintf("address = \"fd:mailseal-postfix\"  # mailseal.toml, %s\n"+
		"systemctl edit %s\n[Socket]\nListenStream=\nListenStream=%s\nsystemctl enable --now %[2]s",
		section, SocketUnit, path))
}

// Port has a [[listen]] be a port in place of a unix socket, with what mail servers have to name
// then.
func Port(section, port string) Remedy {
	return of(MoveSocket, fmt.Sprintf("address = \"inet:%s@127.0.0.1\"  # mailseal.toml, %s\n"+
		"in place of the socket: inet:127.0.0.1:%[1]s in main.cf and master.cf, S=inet:%[1]s@127.0.0.1 in sendmail.mc",
		port, section))
}
