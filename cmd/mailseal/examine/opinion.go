package examine

import (
	"context"

	"mailseal/milter/dkim/crosscheck"
	"mailseal/milter/dns"
)

// opinion is what an independent implementation, go-msgauth, says of one signature.
type opinion struct {
	Signature int `json:"signature"` // which DKIM-Signature of the message, from 1 at the top
	// pass, fail, permerror, temperror; unfit when it was not asked
	Result string `json:"result"`
	Agrees bool   `json:"agrees"`
	Reason string `json:"reason,omitempty"`
}

func (o opinion) String() string {
	s := o.Result
	if !o.Agrees {
		s += ", which contradicts ours"
	}
	if o.Reason != "" {
		s += ": " + o.Reason
	}
	return s
}

// secondOpinion asks go-msgauth about the signatures of a message. It knows no --now: its clock is
// the host's.
func (m *Message) secondOpinion(ctx context.Context, r dns.Resolver) []opinion {
	lookup := func(ctx context.Context, name string) ([]string, error) {
		a, err := r.Lookup(ctx, name, dns.TXT)
		return a.Texts, err
	}
	all, err := crosscheck.Message(ctx, crlf(m.raw), lookup)
	if err != nil {
		return []opinion{{Result: string(crosscheck.Unfit), Agrees: true, Reason: err.Error()}}
	}
	var out []opinion
	for _, theirs := range all {
		one := opinion{Signature: m.message.Header.Ordinal(theirs.Field),
			Result: string(theirs.Value), Agrees: true, Reason: theirs.Reason}
		for _, ours := range m.results.DKIM {
			if ours.Evidence.Field == theirs.Field {
				one.Agrees = !theirs.Contradicts(string(ours.Value))
			}
		}
		out = append(out, one)
	}
	return out
}
