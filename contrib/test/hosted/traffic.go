package hosted

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
	"mailseal/milter/miltertest"
)

// Traffic sends mail to a daemon as an MTA does, and counts what became of it. Mail that is lost,
// refused for good or signed wrongly fails the test.
type Traffic struct {
	T       testing.TB
	Address string // of the daemon, as miltertest takes it
	Zone    *dnstest.Zone

	Signed, Deferred, Unsigned atomic.Int64

	MayBeOther string // a domain that may sign instead of the author's, which counts as nothing
}

// Options are those of the connections.
var Options = miltertest.Options{Timeout: 30 * time.Second}

// Send sends one message from a domain on a connection of its own.
func (h *Traffic) Send(domain string) {
	c, err := miltertest.Dial(h.T.Context(), h.Address, Options)
	if err != nil {
		h.T.Error(err)
		return
	}
	defer c.Close()
	h.SendOn(c, domain)
}

// SendOn sends one message from a domain.
func (h *Traffic) SendOn(c *miltertest.Conn, domain string) {
	raw := "From: joe@" + domain + "\nTo: bob@other.example\nSubject: hello\n" +
		"Date: Thu, 01 Jan 2026 00:00:00 +0000\nMessage-ID: <1@" + domain + ">\n\nbody\n"
	out, err := c.Send(miltertest.Message{
		From: "joe@" + domain,
		To:   []string{"bob@other.example"},
		Raw:  []byte(raw),
	})
	switch {
	case err != nil:
		h.T.Errorf("%s: a message is lost: %v", domain, err)
	case strings.HasPrefix(out.Reply.Text, "451"):
		h.Deferred.Add(1)
	case out.Refused():
		h.T.Errorf("%s: refused for good: %s", domain, out.Reply)
	default:
		h.Judge(domain, out.Delivered())
	}
}

// Judge verifies a message of a domain as a receiver would, and counts it.
func (h *Traffic) Judge(domain string, raw []byte) {
	v := &dkim.Verifier{Resolver: h.Zone}
	var x *dkim.Verification
	m, err := message.Read(bytes.NewReader(raw), 1<<20,
		func(header message.Header) []message.BodyHash {
			author, err := header.Author()
			if err != nil {
				h.T.Error(err)
			}
			x = v.Select(header, author.Domain)
			return x.BodyHashes()
		})
	if err != nil {
		h.T.Error(err)
		return
	}
	results := x.Run(h.T.Context(), m)
	passes := func(d string) bool {
		return len(results) > 0 && results[0].Value == dkim.Pass && string(results[0].Domain) == d
	}
	switch {
	case len(results) == 0:
		h.Unsigned.Add(1)
	case len(results) == 1 && passes(domain):
		h.Signed.Add(1)
	case h.MayBeOther != "" && passes(h.MayBeOther):
	default:
		h.T.Errorf("%s is signed wrongly: %+v", domain, results)
	}
}
