package miltertest

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"mailseal/milter/guard"
)

// deliver returns the message with edits as the MTA hands it on.
func (t *transaction) deliver(edits []Edit) []byte {
	h := newHeader(t.mta, t.leading, t.received(), t.fields)
	body, replaced := t.body, []byte(nil)
	for _, e := range edits {
		if e.Kind == guard.ReplaceBody {
			replaced = append(replaced, e.Value...)
			body = crlf(replaced)
			continue
		}
		h.apply(e)
	}
	var out bytes.Buffer
	for _, f := range h.delivered(t.missing()) {
		out.WriteString(f.name + ":" + strings.ReplaceAll(f.value, "\n", "\r\n") + "\r\n")
	}
	out.WriteString("\r\n")
	out.Write(body)
	return out.Bytes()
}

// received is the MTA's own trace of the message.
func (t *transaction) received() field {
	program := map[MTA]string{Postfix: "Postfix", Sendmail: "8.17.1.9/8.17.1.9"}[t.mta]
	rcpt := ""
	if len(t.accepted) == 1 {
		rcpt = fmt.Sprintf("\n\tfor <%s>", t.accepted[0])
	}
	return field{"Received", fmt.Sprintf(" from %s (%s)\n\tby %s (%s) with ESMTP id %s%s; %s",
		t.helo, t.peer, t.hostname, program, t.Queue, rcpt, t.now.Format(time.RFC1123Z))}
}

// missing are the fields that Sendmail adds when a message has not got them, after the milter.
func (t *transaction) missing() map[string]string {
	date, id := " "+t.now.Format(time.RFC1123Z), " "+t.newID()
	return map[string]string{
		"Date": date, "From": " " + t.From, "Message-Id": id,
		"Resent-Date": date, "Resent-From": " " + t.From, "Resent-Message-Id": id,
	}
}

func (t *transaction) newID() string {
	return fmt.Sprintf("<%s.%s@%s>", t.now.UTC().Format("200601021504"), t.Queue, t.hostname)
}

// messageID is what Sendmail takes for the message's id: the last one, the resent one if there is
// any sign of resending, or its own.
func (t *transaction) messageID() string {
	name := "Message-Id"
	if isResent(t.fields) {
		name = "Resent-" + name
	}
	id := ""
	for _, f := range t.fields {
		if strings.EqualFold(f.name, name) {
			id = strings.TrimSpace(f.value)
		}
	}
	if id == "" {
		id = t.newID()
	}
	return id
}
