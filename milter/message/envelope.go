package message

import "net/netip"

// Envelope is the information of the SMTP session about a message: the client, its HELO
// name, the return path and the recipients (RFC 5321). All of it comes from the MTA, which
// is trusted.
type Envelope struct {
	// the SMTP client; the zero Addr if there is none (Local) or the MTA did not send it
	Client     netip.Addr
	ClientName string   // the client's verified name, "" when the MTA knows none
	Local      bool     // handed over by a process of this host, not by SMTP
	Helo       string   // the last HELO or EHLO, as sent
	Sender     string   // MAIL FROM without angle brackets; "" is the null sender
	SenderArgs []string // the ESMTP arguments of MAIL FROM: "SIZE=1000", "SMTPUTF8"
	Recipients []string // RCPT TO without angle brackets, those that were not refused
	AuthType   string   // the SASL mechanism, "" when the client did not log in
	AuthUser   string   // the login, "" when the client did not log in
	DaemonName string   // {daemon_name} of the listener that took the connection
	MTA        string   // macro v: "Postfix 3.7.11", "8.17.1.9/..."
	Hostname   string   // macro j: the MTA's own name
	QueueID    string   // macro i
	TLSVersion string   // {tls_version}, "" without TLS
	TLSCipher  string   // {cipher}
	Listener   string   // the address of ours at which the MTA called
}
