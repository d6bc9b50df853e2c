package config

import (
	"strings"

	"mailseal/milter/domain"
)

// Test says to which address mail is a test of itself.
type Test struct {
	Address string `toml:"address"` // "": there is none
	Reply   string `toml:"reply"`   // TestReject or TestAccept

	// of the pages as strangers reach them, without a final slash; "": there are none
	PageURL     string     `toml:"page_url"`
	PageAddress string     `toml:"page_address"` // where they are served: host:port, or "unix:" and a path
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

// Local is what stands before the @ of Address, "" without one.
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
	doc: "An address for tests: strangers send a message to it, and their own mail server tells " +
		"them what was found of it.",
	settings: []setting{
		{name: "address", example: `"test@example.com"`, form: "mail address",
			doc: "Mail to this address, also with +anything before the @, is judged and then " +
				"refused with 550 5.7.0 and the results of SPF, DKIM and DMARC with their " +
				"reasons in the reply, whatever [policy] says. No mail is sent from here (but " +
				"see answer_by_mail): the sender's mail server writes the bounce. That holds for " +
				"mail from strangers to this address alone; a message to others besides, a " +
				"bounce and mail of yours are treated as any other. The mail server must accept " +
				"the address at RCPT, as by an alias, and that alias gets what is not answered. " +
				"The mail is in no DMARC report."},
		{name: "reply", def: `"reject"`, values: []string{TestReject, TestAccept},
			doc: "\"reject\" answers a test in the reply. \"accept\" treats it as any other " +
				"mail; what was found is on its page alone, so that this needs page_url."},
		{name: "page_url", example: `"https://mx.example.com"`, form: "line",
			doc: "Where strangers reach the pages of tests; no pages, if not set. The reply to a " +
				"test then ends in this and /t/ with 32 characters that cannot be guessed: a " +
				"page that shows the conversation step by step, what was found and what to " +
				"publish. \"mailseal test address\" and the first page make an address, such as " +
				"test+TOKEN@example.com, whose mails are on a page that is known beforehand; " +
				"also those that the reply does not answer. A page has headers, hashes and " +
				"results, no body. The role test of \"mailseal reports serve\" serves it from a " +
				"file of its own in reports.directory; while that role does not run, replies have no link."},
		{name: "page_address", example: `"127.0.0.1:8027"`, form: "line",
			doc: "Where the role test serves the pages, for a reverse proxy, or for all with " +
				"certificate and key: a host and a port, or \"unix:\" and the path of a socket. " +
				"There is no login; the pages of reports are not there."},
		{name: "certificate", example: `"/etc/mailseal/test.pem"`, form: "path",
			doc: "The certificate chain of TLS, in PEM. The file and that of key are read again when they change."},
		{name: "key", example: `"/etc/mailseal/test-key.pem"`, form: "path",
			doc: "The private key of certificate, in PEM."},
		{name: "answer_by_mail", def: "false",
			doc: "Send the result to the envelope sender of a test, too. Only mail is answered " +
				"that passes DMARC, whose envelope sender is authenticated by SPF, or is the author and " +
				"has a signature of its domain, and that no program, list or bounce sent; the answer comes from " +
				"the null sender, has Auto-Submitted, and goes to an address once in ten " +
				"minutes, to a domain 10 times an hour, and 100 times a day in all. The role " +
				"test hands it to reports.smtp, which must send it through this daemon, so that " +
				"it is signed; the author is address. While this is off, no mail is sent for a test."},
		{name: "days", def: "7", least: "1", most: "90", doc: "How long the page of a test is there."},
	},
}
