package examine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/message"
	"mailseal/milter/verify"
)

// Examiner judges messages as the daemon would. Without a client SPF is not asked, and DMARC would
// judge half of the evidence.
type Examiner struct {
	Config     *config.Config // judge as it says; nil: every method, with its defaults
	Resolver   dns.Resolver
	Now        func() time.Time
	ServerName string     // authserv-id of the field
	Second     bool       // ask an independent implementation of DKIM as well
	Client     netip.Addr // SMTP client; the zero value when there was none
	Helo       string
	From       string // envelope sender without angle brackets; empty for a bounce
	To         []string
	// take Client, Helo and From of this Received field of each message, counted from 1 at the top;
	// 0: do not
	Received int
}

// Message is one message, and what was found.
type Message struct {
	name    string
	raw     []byte
	message *message.Message
	results *verify.Results
	field   string // Authentication-Results, unfolded
	daemon  *decided
	second  []opinion
	origin  *origin // what Received tells, nil where that was not asked
	lacking string  // why DMARC is not decided, "" if it is, or was not to be
}

// Examine judges the text of a message. Name is what it is called in the answer.
func (e *Examiner) Examine(ctx context.Context, name string, raw []byte) (*Message, error) {
	v, err := e.verifier()
	if err != nil {
		return nil, err
	}
	env := &message.Envelope{Client: e.Client, Helo: e.Helo, Sender: e.From, Recipients: e.To}
	v.ByDKIM = true
	out := &Message{name: name, raw: raw}
	var run *verify.Run
	var originErr error
	out.message, err = message.Read(bytes.NewReader(raw), maxHeader,
		func(h message.Header) []message.BodyHash {
			if e.Received > 0 {
				var o origin
				o, originErr = originOf(h, e.Received)
				out.origin = &o
				env.Client, env.Helo, env.Sender = o.client, o.helo, o.sender
			}
			run = v.Begin(env, h, h.From(), !env.Client.IsValid())
			return run.BodyHashes()
		})
	if err = errors.Join(err, originErr); err != nil {
		return nil, err
	}
	out.results = run.Results(ctx, out.message)
	out.settle(env.Client.IsValid())
	if out.daemon, err = e.decide(env, out); err != nil {
		return nil, err
	}
	out.field = out.results.Field(e.ServerName, out.daemon.disposition()).Payload()
	if e.Second {
		out.second = out.secondOpinion(ctx, e.Resolver)
	}
	return out, nil
}

// now is the time at which messages are judged.
func (e *Examiner) now() time.Time {
	if e.Now == nil {
		return time.Now()
	}
	return e.Now()
}

// settle withdraws a DMARC result that SPF might change. A pass by DKIM is final, and so is
// the lack of a policy.
func (m *Message) settle(hasClient bool) {
	d := m.results.DMARC
	if hasClient || d == nil || d.Value == dmarc.Pass || d.Value == dmarc.NotApplied {
		return
	}
	m.lacking = fmt.Sprintf(
		"not decided  %s: no aligned DKIM signature passes, and SPF was not checked, which needs "+
			"--ip, --helo and --from, or --received",
		d.Author,
	)
	m.results.DMARC = nil
}

func (e *Examiner) verifier() (*verify.Verifier, error) {
	if e.Config == nil {
		return assembly.NewVerifier(e.Resolver, e.Now), nil
	}
	return assembly.ConfiguredVerifier(e.Config, e.Resolver, e.Now)
}

// Answer is good when a signature passes, and unknown when none does but one could not be judged.
func (m *Message) Answer() answer.Kind {
	switch dkim.Value(m.results.BestDKIM()) {
	case dkim.Pass:
		return answer.Good
	case dkim.TempError:
		return answer.Unknown
	}
	return answer.Bad
}

// JSON writes what was found as one object and line.
func (m *Message) JSON(w io.Writer) error { return json.NewEncoder(w).Encode(m.json()) }

// Text writes what was found, a line for each method.
func (m *Message) Text(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", m.name)
	if o := m.origin; o != nil {
		fmt.Fprintf(&b, "  from   client %s, helo %s, sender <%s>, by Received\n", o.client, o.helo,
			o.sender)
	}
	if len(m.results.DKIM) == 0 {
		fmt.Fprintf(&b, "  dkim   none: the message has no signature\n")
	}
	for _, r := range m.results.DKIM {
		fmt.Fprintf(&b, "  dkim   %s", r.Value)
		if r.Domain != "" {
			fmt.Fprintf(&b, "  %s%s", r.Domain, details(r))
		}
		if r.Reason != "" {
			fmt.Fprintf(&b, ": %s", r.Reason)
		}
		fmt.Fprintln(&b)
	}
	for _, s := range m.second {
		fmt.Fprintf(&b, "  second opinion  %s\n", s)
	}
	m.methods(&b)
	if m.daemon != nil {
		fmt.Fprintf(&b, "  daemon %s\n", m.daemon)
	}
	fmt.Fprintf(&b, "  Authentication-Results: %s\n", m.field)
	_, err := w.Write(b.Bytes())
	return err
}

// details returns what is known of a signature, in brackets: a broken one leaves some of it out,
// and the key's size is known only where the key was found.
func details(r dkim.Result) string {
	var all []string
	if r.Selector != "" {
		all = append(all, "selector "+r.Selector)
	}
	if r.Algorithm != "" {
		all = append(all, r.Algorithm)
	}
	if r.Bits > 0 {
		all = append(all, fmt.Sprintf("%d bits", r.Bits))
	}
	all = append(all, r.Canonicalization)
	return " (" + strings.Join(all, ", ") + ")"
}

// methods writes the results beside DKIM, a line each.
func (m *Message) methods(b *bytes.Buffer) {
	r := m.results
	if r.SPF != nil {
		fmt.Fprintf(b, "  spf    %s  %s: %s\n", r.SPF.Value, r.SPF.Domain, r.SPF.Reason)
	}
	if r.TellsHELO() {
		fmt.Fprintf(b, "  helo   %s  %s: %s\n", r.HELO.Value, r.HELO.Domain, r.HELO.Reason)
	}
	if r.IPRev != nil {
		fmt.Fprintf(b, "  iprev  %s  %s %s\n", r.IPRev.Value, r.IPRev.Name, r.IPRev.Reason)
	}
	if r.ARC != nil && r.ARC.Value != "none" {
		fmt.Fprintf(b, "  arc    %s  %d sets %s\n", r.ARC.Value, len(r.ARC.Sets), r.ARC.Reason)
	}
	if r.DMARC != nil {
		fmt.Fprintf(b, "  dmarc  %s  %s: %s\n", r.DMARC.Value, r.DMARC.Author, r.DMARC.Reason)
	}
	if m.lacking != "" {
		fmt.Fprintf(b, "  dmarc  %s\n", m.lacking)
	}
	if r.AuthorErr != nil {
		fmt.Fprintf(b, "  from   %v\n", r.AuthorErr)
	} else if doubt := r.From.Doubt(); doubt != "" {
		fmt.Fprintf(b, "  from   %s\n", doubt)
	}
}
