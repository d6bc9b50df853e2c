package milter

import (
	"strings"

	"mailseal/milter/guard"
	"mailseal/milter/message"
)

// gatherEnvelope fills an envelope at MAIL. Each macro is read at its own stage: {daemon_name} is
// right at CONNECT and MAIL only (Postfix sends that of main.cf later on), a login is that of this
// message, and v and j are asked for at CONNECT.
func gatherEnvelope(c *guard.Conn, listener string) *message.Envelope {
	client, sender := c.Client(), c.Sender()
	env := &message.Envelope{
		Client:     client.Addr,
		ClientName: verifiedName(client.Host),
		Helo:       c.Helo(),
		Sender:     sender.Address(),
		SenderArgs: sender.Args,
		AuthType:   c.Macro(guard.StageMail, "{auth_type}"),
		AuthUser:   c.Macro(guard.StageMail, "{auth_authen}"),
		DaemonName: c.Macro(guard.StageConnect, "{daemon_name}"),
		MTA:        c.Macro(guard.StageConnect, "v"),
		Hostname:   c.Macro(guard.StageConnect, "j"),
		QueueID:    c.Macro(guard.StageMail, "i"),
		TLSVersion: c.Macro(guard.StageMail, "{tls_version}"),
		TLSCipher:  c.Macro(guard.StageMail, "{cipher}"),
		Listener:   listener,
	}
	if env.DaemonName == "" {
		env.DaemonName = c.Macro(guard.StageMail, "{daemon_name}")
	}
	env.Local = isLocal(client, sender, env.DaemonName)
	return env
}

// verifiedName returns the client's name, "" for what MTAs write when they know none.
func verifiedName(host string) string {
	if strings.HasPrefix(host, "[") || host == "unknown" {
		return ""
	}
	return host
}

// isLocal reports whether a process of the MTA's host handed a message over without SMTP over a
// network. Sendmail shows sendmail -bs as "localhost" without an address, and no daemon. Postfix
// shows sendmail(1) as a connection from loopback that has no port, and writes paths without angle
// brackets. Neither can be used over a network, and a client whose address is merely unknown is
// neither.
func isLocal(client guard.Client, sender guard.Path, daemon string) bool {
	if client.Family == guard.FamilyUnknown {
		return client.Host == "localhost" && daemon == ""
	}
	return client.Addr.IsLoopback() && client.Port == 0 && !strings.HasPrefix(sender.Raw, "<")
}

// earlyMacro returns a macro of the stages up to MAIL, the latest first.
func earlyMacro(c *guard.Conn) func(name string) string {
	return func(name string) string {
		for _, stage := range []guard.Stage{guard.StageMail, guard.StageHelo, guard.StageConnect} {
			if v := c.Macro(stage, wireName(name)); v != "" {
				return v
			}
		}
		return ""
	}
}
