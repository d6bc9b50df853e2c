package miltertest

import (
	"bytes"
	"testing"

	"mailseal/milter/guard"
)

// FuzzEdit has each MTA take any octets for an edit, twice, and then for a reply: what a milter
// says is never more than a bad edit.
func FuzzEdit(f *testing.F) {
	f.Fuzz(func(t *testing.T, code byte, data []byte, header string) {
		c := &Conn{}
		if text := c.replyText(data); len(text) < 4 || text[0] != '4' && text[0] != '5' {
			t.Errorf("the reply %q", text)
		}
		if _, isEdit := kinds[guard.Code(code)]; !isEdit {
			return
		}
		e, err := parseEdit(guard.Packet{Code: guard.Code(code), Data: data})
		if err != nil {
			return
		}
		for _, mta := range []MTA{Postfix, Sendmail} {
			mail := &transaction{mta: mta, leading: true,
				content: (&Conn{options: Options{As: mta}}).read([]byte(header))}
			got := mail.deliver([]Edit{e, e})
			if !bytes.Contains(got, []byte("Received:")) ||
				!bytes.Contains(got, []byte("\r\n\r\n")) {
				t.Errorf("%v delivers %q", mta, got)
			}
		}
	})
}
