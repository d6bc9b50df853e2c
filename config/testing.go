package config

import (
	"strings"

	"mailseal/milter/domain"
)

// Test configures the address for test messages, and how their senders learn the results.
type Test struct {
	Address string `toml:"address"` // "": there is none
	Reply   string `toml:"reply"`   // TestReject or TestAccept

	// of the pages as strangers reach them, without a final slash; "": there are none
	PageURL string `toml:"page_url"`
	// where they are served: host:port, or "unix:" and a path
	PageAddress string     `toml:"page_address"`
	Certificate string     `toml:"certificate"`
	Key         SecretFile `toml:"key"`
	Days        int        `toml:"days"` // for which a page is there

	AnswerByMail bool `toml:"answer_by_mail"`
}

// The replies to a test.
const (
	TestReject = "reject"
	TestAccept = "accept"
)

// HasPages reports whether tests have a page each.
func (t Test) HasPages() bool { return t.Address != "" && t.PageURL != "" }

// Local returns the part of Address before the @, or "" if there is no @.
func (t Test) Local() string { return t.Address[:max(strings.LastIndexByte(t.Address, '@'), 0)] }

// Domain is that of Address, "" without one.
func (t Test) Domain() domain.Name {
	name, err := domain.Parse(t.Address[strings.LastIndexByte(t.Address, '@')+1:])
	if err != nil {
		return ""
	}
	return name
}

var testSection = section{
	header: "[test]", path: "test",
	doc: "An address for tests: strangers send a message to it, and the reply to that message, " +
		"which their own mail server passes on to them, has the results.",
	settings: []setting{
		{name: "address", example: `"test@example.com"`, form: "mail address",
			doc: "Mail to this address, also with +anything before the @, is judged and then " +
				"refused with 550 5.7.0, whatever [policy] says; the reply has the results of " +
				"SPF, DKIM and DMARC with their reasons. No mail is sent from here (but see " +
				"answer_by_mail): the sender's mail server writes the bounce. This applies only " +
				"to mail from strangers to this address alone; a message that also has other " +
				"recipients, a bounce, and your own mail are treated as usual. The mail server " +
				"must accept the address at RCPT, for example by an alias, which then receives " +
				"the mail that is not answered. Tests are not counted in DMARC reports."},
		{name: "reply", def: `"reject"`, values: []string{TestReject, TestAccept},
			doc: "\"reject\" answers a test in the reply. \"accept\" treats it like any other " +
				"mail; the results are only on its page, so this needs page_url."},
		{name: "page_url", example: `"https://mx.example.com"`, form: "line",
			doc: "The URL at which strangers reach the pages of tests. If not set, there are no " +
				"pages. The reply to a test then ends with this URL, /t/ and 32 characters that " +
				"cannot be guessed: the page shows the SMTP dialogue step by step, the results, " +
				"and what to publish. \"mailseal test address\" and the first page make an " +
				"address, such as test+TOKEN@example.com, whose page is known before the mail is " +
				"sent; it also shows mail that is not answered in the reply. A page has headers, " +
				"hashes and results, but no body. The role test of \"mailseal reports serve\" " +
				"serves the pages from a file of its own in reports.directory; while that role " +
				"does not run, replies have no link."},
		{name: "page_address", example: `"127.0.0.1:8027"`, form: "line",
			doc: "Where the role test serves the pages, for a reverse proxy or, with certificate " +
				"and key, for all clients: a host and a port, or \"unix:\" and the path of a " +
				"socket. There is no login; the pages of reports are not served here."},
		{name: "certificate", example: `"/etc/mailseal/test.pem"`, form: "path",
			doc: "The certificate chain of TLS, in PEM. The file and that of key are read again when they change."},
		{name: "key", example: `"/etc/mailseal/test-key.pem"`, form: "path",
			doc: "The private key of certificate, in PEM."},
		{name: "answer_by_mail", def: "false",
			doc: "Send the results to the envelope sender of a test by mail, too. A message is " +
				"answered only if it passes DMARC, if its envelope sender is authenticated (by " +
				"SPF, or it is the author, with a signature of its domain), and if no program, " +
				"list or bounce sent it. The answer has the null sender and an Auto-Submitted " +
				"field. At most one in ten minutes goes to an address, 10 an hour to a domain, " +
				"and 100 a day in all. The role test hands it to reports.smtp, which must send " +
				"it through this daemon, so that it is signed; its author is address. If this is " +
				"false, no mail is sent for a test."},
		{name: "days", def: "7", least: "1", most: "90", doc: "For how many days the page of a " +
			"test is kept."},
	},
}
