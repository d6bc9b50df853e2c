package report

import "time"

// Sent is the record of a message that we sent, kept for the advice on our own domains. It
// does not contain the recipients.
type Sent struct {
	Time     time.Time
	Domain   string // that signed it, and covers the author's
	Selector string // of one signature; a message with several has one Sent for each
	Counted  bool   // it is the first Sent of the message: the others name a selector alone
	Reply    bool   // it answers another message, as people do
	ToList   bool   // it goes to a mailing list
}
