package report

import "time"

// Sent is what is kept of a message of ours, for the advice on our own domains: that it was sent,
// never to whom.
type Sent struct {
	Time     time.Time
	Domain   string // that signed it, and covers the author's
	Selector string // of one signature; a message with several has one Sent for each
	Counted  bool   // it is the first Sent of the message: the others name a selector alone
	Reply    bool   // it answers another message, as people do
	ToList   bool   // it goes to a mailing list
}
