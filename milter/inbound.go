package milter

import (
	"context"
	"log/slog"

	"mailseal/milter/message"
	"mailseal/milter/policy"
	"mailseal/milter/sign"
	"mailseal/milter/verify"
)

// inbound judges a message of a stranger or a relay.
type inbound struct {
	common
	run    *verify.Run
	resign sign.Match // a mailing list's host signs what it sends on
	query  sign.Query
}

// Wants implements Judge.
func (in *inbound) Wants() Wants {
	hashes := in.run.BodyHashes()
	if len(in.resign) > 0 {
		hashes = append(hashes, in.resign.BodyHashes()...)
	}
	if in.s.Sealer != nil {
		hashes = append(hashes, in.s.Sealer.BodyHash())
	}
	return Wants{Hashes: hashes}
}

// Decide implements Judge.
func (in *inbound) Decide(ctx context.Context, m *message.Message, _ []byte) Outcome {
	results := in.run.Results(ctx, m)
	in.tell(results)
	d := policy.Decision{}
	if in.s.Policy != nil && in.mail.Role != Relay {
		d = in.s.Policy.Decide(in.mail.Envelope, m.Header, results)
	}
	out := in.pass()
	out.Results = results.String()
	out.Details = decisionText(d)
	if trouble := results.Trouble(); trouble != "" {
		out.Details = append(out.Details, slog.String("dns", trouble))
	}
	if in.authorErr != nil {
		out.Details = append(out.Details, slog.String("from", in.authorErr.Error()))
	}
	switch d.Action {
	case policy.Reject, policy.Tempfail:
		out.Action, out.Edits = Reject, message.Edits{}
		if d.Action == policy.Tempfail {
			out.Action = Tempfail
		}
		out.Reply = Reply{Code: d.Code, Enhanced: d.Enhanced, Text: d.Text}
		return out
	case policy.Hold:
		out.Action, out.Reason = Hold, d.Reason
	}
	in.insert(ctx, &out, d, results, m)
	return out
}

// insert puts our fields on top: Authentication-Results, the ARC set, Received-SPF, new signatures, the mark.
func (in *inbound) insert(ctx context.Context, out *Outcome, d policy.Decision, results *verify.Results, m *message.Message) {
	var below []message.Field
	if in.s.ReceivedSPF {
		below = append(below, results.ReceivedSPF(in.s.ID)...)
	}
	if len(in.resign) > 0 {
		done, ok := in.sign(ctx, out, in.resign, in.query, m)
		if !ok {
			return
		}
		below = append(below, done.Fields...)
	}
	if d.Action == policy.Mark {
		below = append(below, message.NewField(in.s.Policy.MarkHeader, []byte(" "+d.Reason)))
	}
	field := results.Field(in.s.ID, d.Disposition)
	out.Edits.Insert = append(field.Fields(), below...)
	if in.s.Sealer == nil || results.ARC == nil {
		return
	}
	// What is sealed is the header as it will be, so that the set goes between our field and all else.
	set, err := in.s.Sealer.Seal(ctx, *results.ARC, m.Header.With(out.Edits), m.Body, field)
	if err != nil {
		out.Details = append(out.Details, slog.String("unsealed", err.Error()))
		return
	}
	out.Edits.Insert = append(append(field.Fields(), set...), below...)
}

func (in *inbound) tell(r *verify.Results) {
	in.s.count(func(n Counters) {
		for _, f := range r.Found() {
			n.Found(f.Method, f.Value)
		}
	})
}

func decisionText(d policy.Decision) []slog.Attr {
	var out []slog.Attr
	add := func(key, value string) {
		if value != "" {
			out = append(out, slog.String(key, value))
		}
	}
	add("policy", d.Reason)
	add("override", d.Override)
	if d.Wanted != d.Action {
		add("dry_run", d.Wanted.String())
	}
	return out
}
