package miltertest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"mailseal/milter/guard"
)

// defaultMacros are what each MTA sends when neither its configuration nor the milter says
// otherwise.
var defaultMacros = map[MTA]map[guard.Stage][]string{
	Postfix: {
		guard.StageConnect: {"j", "{daemon_name}", "{daemon_addr}", "v", "_"},
		guard.StageHelo:    tlsMacros,
		guard.StageMail: {"i", "{auth_type}", "{auth_authen}", "{auth_author}",
			"{mail_addr}", "{mail_host}", "{mail_mailer}"},
		guard.StageRcpt:         {"i", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}"},
		guard.StageData:         {"i"},
		guard.StageEndOfHeader:  {"i"},
		guard.StageEndOfMessage: {"i"},
	},
	Sendmail: {
		guard.StageConnect: {"j", "_", "{daemon_name}", "{if_name}", "{if_addr}"},
		guard.StageHelo:    tlsMacros,
		guard.StageMail: {"i", "{auth_type}", "{auth_authen}", "{auth_ssf}",
			"{auth_author}", "{mail_mailer}", "{mail_host}", "{mail_addr}"},
		guard.StageRcpt:         {"{rcpt_mailer}", "{rcpt_host}", "{rcpt_addr}"},
		guard.StageEndOfMessage: {"{msg_id}"},
	},
}

var tlsMacros = []string{"{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}",
	"{cert_issuer}"}

// maxMacros is what Sendmail takes for one stage.
const maxMacros = 50

// asked returns the macros for a stage, nil if the MTA sends none, not even an empty list.
func (c *Conn) asked(stage guard.Stage) []string {
	list, byDefault := c.agreed.Macros[stage], defaultMacros[c.options.As][stage]
	switch {
	case c.options.As == Postfix && len(list) == 0:
		return byDefault
	case list != nil:
		return list
	case stage == guard.StageEndOfMessage && c.agreed.Macros[guard.StageEndOfHeader] != nil:
		return nil // Sendmail looks at the wrong stage's list
	}
	return byDefault
}

// sendMacros sends the macros for a command.
func (c *Conn) sendMacros(command guard.Code) error {
	stage, ok := c.stageOf(command)
	if !ok {
		return nil
	}
	names := c.asked(stage)
	if len(names) == 0 {
		return nil
	}
	c.scratch = append(c.scratch[:0], byte(command))
	for _, name := range names {
		c.appendMacro(name, c.macro(stage, name))
	}
	for _, name := range c.configured(stage) {
		c.appendMacro(name, c.options.Macros[name])
	}
	return c.framer.WritePacket(guard.Macro, c.scratch)
}

// configured returns the names of the options that no list of the MTA's has, for the stages where
// an administrator would have added them: unless the milter has set a list of its own.
func (c *Conn) configured(stage guard.Stage) (names []string) {
	if len(c.agreed.Macros[stage]) > 0 || stage != guard.StageConnect && stage != guard.StageMail {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(c.options.Macros)) {
		isKnown := func(list []string) bool { return slices.Contains(list, name) }
		if !slices.ContainsFunc(slices.Collect(maps.Values(defaultMacros[c.options.As])), isKnown) {
			names = append(names, name)
		}
	}
	return names
}

func (c *Conn) appendMacro(name, value string) {
	if value != "" {
		c.scratch = append(append(append(append(c.scratch, name...), 0), value...), 0)
	}
}

// stageOf returns whose list of macros goes before a command. Postfix sends one before every field
// and piece of body.
func (c *Conn) stageOf(command guard.Code) (guard.Stage, bool) {
	switch command {
	case guard.Connect:
		return guard.StageConnect, true
	case guard.Helo:
		return guard.StageHelo, true
	case guard.Mail:
		return guard.StageMail, true
	case guard.Rcpt:
		return guard.StageRcpt, true
	case guard.Data:
		return guard.StageData, true
	case guard.Header:
		return guard.StageEndOfHeader, c.options.As == Postfix
	case guard.EndOfHeader:
		return guard.StageEndOfHeader, true
	case guard.Body:
		return guard.StageEndOfMessage, c.options.As == Postfix
	case guard.EndOfBody:
		return guard.StageEndOfMessage, true
	}
	return 0, false
}

// macro returns a macro's value at a stage, "" if it has none there.
func (c *Conn) macro(stage guard.Stage, name string) string {
	// Postfix's cleanup does not know what master.cf sets for one listener.
	if value, ok := c.options.Macros[name]; ok && !(c.options.As == Postfix && isLate(stage) &&
		name == "{daemon_name}") {
		return value
	}
	value := c.connectionMacro(name)
	switch {
	case value != "":
	case c.mail != nil:
		value = c.mail.macro(stage, name)
	case name == "i" && c.options.As == Sendmail:
		value = "4XQ000000" // one that no message will have
	}
	return value
}

// connectionMacro returns the value of what does not change with the message.
func (c *Conn) connectionMacro(name string) string {
	o := c.options
	switch name {
	case "j":
		return o.Hostname
	case "_":
		return fmt.Sprintf("%s [%v]", o.ClientName, o.Client)
	case "v":
		return map[MTA]string{Postfix: "Postfix 3.7.11",
			Sendmail: "8.17.1.9/8.17.1.9/Debian-2"}[o.As]
	case "{daemon_name}":
		return c.daemonName()
	case "{daemon_addr}":
		if o.As == Postfix && !o.Local {
			return "127.0.0.1" // Sendmail's {if_addr} is not sent for loopback
		}
	case "{if_name}":
		if o.As == Sendmail {
			return "localhost"
		}
	case "{client_addr}":
		return o.Client.String()
	case "{client_name}", "{client_ptr}":
		return o.ClientName
	}
	return ""
}

func (c *Conn) daemonName() string {
	switch {
	case c.options.As == Postfix:
		return c.options.Hostname
	case c.options.Local:
		return ""
	}
	return "MTA"
}

// macro returns the value of what changes with the message. Postfix's cleanup does not know the
// addresses one by one.
func (t *transaction) macro(stage guard.Stage, name string) string {
	if t.mta == Postfix && isLate(stage) && (strings.HasPrefix(name, "{mail_") ||
		strings.HasPrefix(name, "{rcpt_")) {
		return ""
	}
	switch name {
	case "i":
		if t.hasQueueID(stage) {
			return t.Queue
		}
	case "{auth_authen}":
		return t.Auth
	case "{auth_type}":
		if t.Auth != "" {
			return "PLAIN"
		}
	case "{mail_addr}":
		return t.From
	case "{mail_host}":
		return domainOf(t.From)
	case "{mail_mailer}", "{rcpt_mailer}":
		return map[MTA]string{Postfix: "smtp", Sendmail: "esmtp"}[t.mta]
	case "{rcpt_addr}":
		return t.rcpt
	case "{rcpt_host}":
		return domainOf(t.rcpt)
	case "{msg_id}":
		if t.mta == Sendmail && isLate(stage) {
			return t.messageID()
		}
	}
	return ""
}

// hasQueueID reports whether the MTA has a queue id yet: Postfix gives a message one at its first
// accepted recipient, but local mail has one from the beginning.
func (t *transaction) hasQueueID(stage guard.Stage) bool {
	return t.mta == Sendmail || t.local || len(t.accepted) > 0 || isLate(stage)
}

// isLate reports whether a stage is after the envelope, when Postfix's cleanup has the message, no
// longer its smtpd.
func isLate(stage guard.Stage) bool {
	return stage == guard.StageEndOfHeader || stage == guard.StageEndOfMessage
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }
