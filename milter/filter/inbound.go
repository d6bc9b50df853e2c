package filter

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/expression"
	"mailseal/milter/message"
	"mailseal/milter/policy"
	"mailseal/milter/sign"
	"mailseal/milter/verify"
)

// inbound judges a message of a stranger or a relay.
type inbound struct {
	mail
	run    *verify.Run
	resign sign.Match // a mailing list's host signs what it sends on
	query  sign.Query
}

// Wants implements milter.Judge.
func (in *inbound) Wants() milter.Wants {
	hashes := in.run.BodyHashes()
	if len(in.resign) > 0 {
		hashes = append(hashes, in.resign.BodyHashes()...)
	}
	if in.filter.Sealer != nil {
		hashes = append(hashes, in.filter.Sealer.BodyHash())
	}
	return milter.Wants{Hashes: hashes}
}

// judgment is a whole message and what was made of it.
type judgment struct {
	message  *message.Message
	results  *verify.Results
	decision policy.Decision
	facts    *expression.Judged // what rules may ask; nil where no policy is applied
}

// Decide implements milter.Judge. At its end, and only there, everything about a judged message is
// known: the results of the methods, the decision of the policy, and the action.
func (in *inbound) Decide(ctx context.Context, m *message.Message, _ []byte) milter.Outcome {
	j := judgment{message: m, results: in.run.Results(ctx, m)}
	in.countResults(j.results)
	j.decision, j.facts = in.decide(m, j.results)
	if j.decision.Method == policy.Shortage {
		in.filter.count(Counters.Short)
	}
	if in.filter.Test.isFor(in.Mail) && j.decision.Method != policy.Shortage {
		return in.tested(ctx, j)
	}
	out := in.outcome(ctx, j)
	if out.Action != action.Tempfail { // the message comes again, and is judged again
		in.filter.Reports.learned(in.Header, j.results)
		in.filter.Reports.judged(in.mail, j, in.run.PublicSuffixList())
		in.keepTest(j, out)
	}
	return out
}

// decide applies the policy. Mail of a relay is judged for the field alone.
func (in *inbound) decide(m *message.Message, results *verify.Results) (policy.Decision,
	*expression.Judged) {
	p := in.filter.Policy
	if p == nil || in.Role == action.RoleRelay {
		return policy.Decision{Action: action.Accept, Wanted: action.Accept}, nil
	}
	facts := policy.Facts(in.known(), size(m), results)
	d := p.ApplyRules(p.Decide(in.Envelope, m.Header, results), facts, results)
	if d.Ruled.Failed != nil {
		in.filter.count(Counters.RuleFailed)
	}
	return d, facts
}

// outcome turns a decision into what the server is to do.
func (in *inbound) outcome(ctx context.Context, j judgment) milter.Outcome {
	d := j.decision
	out := in.pass()
	out.Results = j.results.String()
	out.Details = in.details(j)
	if d.Ruled.Failed != nil {
		out.Level = levelRuleFailed
	}
	switch d.Action {
	case action.Accept, action.Mark: // insert adds the mark
	case action.Hold:
		out.Action, out.Reason = action.Hold, d.Reason
	case action.Reject, action.Tempfail, action.Discard:
		out.Action, out.Edits = d.Action, message.Edits{}
		out.Reply = milter.Reply{Code: d.Code, Enhanced: d.Enhanced, Text: d.Text}
		if d.Action == action.Reject && (d.Method == "dkim" || d.Method == "dmarc") {
			if said := in.filter.Reports.signersText(ctx, in.mail, j.results,
				in.filter.Verifier); said != "" {
				out.Reply.Text += "; " + said
			}
		}
		return out
	default:
		return in.invalid("policy", d.Action)
	}
	in.insert(ctx, &out, j)
	return out
}

// insert puts our fields on top: Authentication-Results, the ARC set, Received-SPF, new signatures,
// the mark.
func (in *inbound) insert(ctx context.Context, out *milter.Outcome, j judgment) {
	d, results, m := j.decision, j.results, j.message
	var below []message.Field
	if in.filter.ReceivedSPF {
		below = append(below, results.ReceivedSPF(in.id)...)
	}
	if len(in.resign) > 0 {
		done, ok := in.sign(ctx, out, in.resign, in.resignQuery(results), m)
		if !ok {
			return
		}
		below = append(below, done.Fields...)
	}
	if d.Action == action.Mark {
		below = append(below, message.NewField(in.filter.Policy.MarkHeader, []byte(" "+d.Reason)))
	}
	field := results.Field(in.id, d.Disposition)
	out.Edits.Insert = append(field.Fields(), below...)
	if in.filter.Sealer == nil || results.ARC == nil {
		return
	}
	// What is sealed is the header as it will be, so that the set goes between our field and all
	// else.
	edits := out.Edits
	fit := in.fitSeal(edits, m.Header)
	edits.Change = slices.Concat(edits.Change, fit.Change)
	set, err := in.filter.Sealer.Seal(ctx, *results.ARC, m.Header.With(edits), m.Body, field,
		fit.Omit)
	if err != nil {
		out.Details = append(out.Details, slog.String("unsealed", err.Error()))
		out.Level = max(out.Level, levelUnsealed)
		return
	}
	out.Edits.Insert = append(append(field.Fields(), set...), below...)
	out.Covers = append(out.Covers, sign.Covered(set)...)
	in.refold(out, fit)
}

// fitSeal decides how to treat fields with long lines that the seal's signature covers, beyond
// what has been settled for other signatures. A field that those leave out is left out here too.
func (in *inbound) fitSeal(done message.Edits, h message.Header) sign.Fit {
	fit := in.filter.Sealer.Fit(in.mail.query().Lines, done.Remove, h)
	fit.Change = slices.DeleteFunc(fit.Change, func(c message.Change) bool {
		return slices.ContainsFunc(done.Change, func(d message.Change) bool { return d.At == c.At })
	})
	return fit
}

// resignQuery asks for the signatures of a mailing list's host. None of them may speak for a domain
// that was forged.
func (in *inbound) resignQuery(r *verify.Results) sign.Query {
	q := in.query
	if r.DMARC != nil && r.DMARC.Value == "fail" && in.filter.Redirected != action.RedirectedSign {
		q.Forged = in.author.Domain
	}
	return q
}

func (in *inbound) countResults(r *verify.Results) {
	in.filter.count(func(n Counters) {
		for _, f := range r.Found() {
			n.Found(f.Method, f.Value)
		}
	})
}

// details are what the log line says of the judging, beside the results.
func (in *inbound) details(j judgment) []slog.Attr {
	d := j.decision
	var out []slog.Attr
	add := func(key, value string) {
		if value != "" {
			out = append(out, slog.String(key, value))
		}
	}
	if d.Method == policy.Shortage {
		add("shortage", d.Reason)
	} else {
		add("policy", d.Reason)
	}
	add("override", d.Override)
	add("rules_dry_run", strings.Join(d.Ruled.Would, " "))
	if d.Ruled.Failed != nil {
		add("error", fmt.Sprintf("policy.rules %q: %v", d.Ruled.Name, d.Ruled.Failed))
	}
	if d.Wanted != d.Action {
		add("dry_run", d.Wanted.String())
	}
	add("dns", j.results.Trouble())
	if j.facts != nil {
		out = append(out, slog.Any("facts", j.facts))
	}
	return append(out, in.fromDetails()...)
}

// size is how many bytes a message has, with the empty line below the header.
func size(m *message.Message) int64 {
	n := m.Body.Size() + 2
	for _, f := range m.Header {
		n += int64(len(f.Raw())) + 2
	}
	return n
}
