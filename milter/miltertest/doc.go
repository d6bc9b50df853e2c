// Package miltertest acts as an MTA for a milter: it negotiates, sends messages as Postfix or
// Sendmail does, collects the milter's answers, and builds the message that the real MTA would
// deliver.
//
//	c, err := miltertest.Dial("unix:/run/mailseal/mailseal.sock", miltertest.Options{As: miltertest.Sendmail})
//	…
//	o, err := c.Send(miltertest.Message{From: "a@example.com", To: []string{"b@example.net"}, Raw: eml})
//	…
//	if o.Refused() { t.Fatal(o.Stage, o.Reply) }
//	for _, e := range o.Edits { t.Log(e) }
//	delivered := o.Delivered()
//	err = c.Quit() // complains of answers that were not asked for
//
// Several messages go over one connection; Reset, Hello, Abandon and Close are what else happens in
// SMTP sessions.
//
// What is played is what was seen of Postfix 3.7 and Sendmail 8.17: their macros at each stage,
// their replies to a milter that misbehaves, where they insert a field and which one an index
// means. It is not a copy of either: addresses are not rewritten, long lines are not broken, and
// Postfix adds no Date to local mail.
package miltertest
