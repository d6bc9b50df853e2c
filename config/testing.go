package config

import (
	"strings"

	"mailseal/milter/domain"
)

// Test says to which address mail is a test of itself.
type Test struct {
	Address string `toml:"address"` // "": there is none
}

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
	doc: "An address for tests: strangers send a message to it, and their own mail server tells them what was found of it.",
	settings: []setting{
		{name: "address", example: `"test@example.com"`, form: "mail address",
			doc: "Mail to this address, also with +anything before the @, is judged and then refused with 550 5.7.0 and the results of SPF, DKIM and DMARC with their reasons in the reply, whatever [policy] says. No mail is sent from here: the sender's mail server writes the bounce. That holds for mail from strangers to this address alone; a message to others besides, a bounce and mail of yours are treated as any other. The mail server must accept the address at RCPT, as by an alias, and that alias gets what is not answered. The mail is in no DMARC report."},
	},
}
