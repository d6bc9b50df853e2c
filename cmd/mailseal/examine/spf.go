package examine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/dns"
	"mailseal/milter/spf"
)

// spfTime is how long a check may take (RFC 7208 section 4.6.4: at least 20 seconds).
const spfTime = 20 * time.Second

// SPF is a question to the SPF record of a domain.
type SPF struct {
	Resolver dns.Resolver
	Now      func() time.Time
	Receiver string // this host's name, for a domain's explanation
	Client   netip.Addr
	Helo     string
	From     string // envelope sender without angle brackets; empty for a bounce
	HasFrom  bool   // the sender is checked, which may be the null sender; else the name of HELO
	JSON     bool
}

// Check asks, and prints how the answer came about. It is good for pass, and unknown for temperror.
func (q SPF) Check(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, spfTime)
	defer cancel()
	checker := &spf.Checker{Resolver: q.Resolver, Receiver: q.Receiver, Now: q.Now}
	id := spf.Identity{IP: q.Client, Helo: q.Helo, MailFrom: q.From, Scope: spf.Helo}
	if q.HasFrom {
		id.Scope = spf.MailFrom
	}
	r := checker.Check(ctx, id)
	if err := q.print(out, r); err != nil {
		return err
	}
	switch r.Value {
	case spf.Pass:
		return nil
	case spf.Temperror:
		return answer.NewUnknown(nil)
	}
	return answer.NewBad(nil)
}

func (q SPF) print(out io.Writer, r spf.Result) error {
	if q.JSON {
		return json.NewEncoder(out).Encode(r)
	}
	_, err := fmt.Fprint(out, r)
	return err
}
