package policy

import (
	"slices"

	"mailseal/milter/action"
	"mailseal/milter/authres"
	"mailseal/milter/domain"
	"mailseal/milter/message"
	"mailseal/milter/verify"
)

// finding is one thing that a method found and what the rules make of it.
type finding struct {
	method string
	value  string // as the Actions know it: "fail", "no_record", "reject"
	domain string // the domain that the sender's reply names
	action action.Action
}

// checked returns f, with Tempfail where the rules have no valid action for it, and a reason that
// says so.
func (f finding) checked() finding {
	if !f.action.IsValid() {
		f.action = action.Tempfail
		f.value += " (no valid action is set)"
	}
	return f
}

// Decide applies the rules to what was found of a message with envelope env and header h.
func (rs *Rules) Decide(env *message.Envelope, h message.Header, r *verify.Results) Decision {
	if rs.NotJudged.Match(env, r.Author) {
		return Decision{
			Action:      action.Accept,
			Wanted:      action.Accept,
			Disposition: disposition(r, action.Accept),
			Override:    "policy.not_judged",
			Exempt:      true,
			Reported:    reported(r, action.Accept, &because{commentNotJudged, action.ReasonLocalPolicy}),
		}
	}
	if r.Short && !passesDMARC(r) {
		return rs.shortage(r)
	}
	actions, override := rs.Actions, rs.override(env, h, r)
	if override != nil {
		actions = override.Actions
	}
	found := append(rs.author(r), actions.findings(r)...)
	d := Decision{}
	var why *because
	if override != nil {
		d.Override = override.Name
		why = override.because(r)
		found = override.replace(found)
	}
	capAside(found, r)
	if sealer := rs.excuse(r); sealer != "" {
		found = slices.DeleteFunc(found, func(f finding) bool { return f.method == "dmarc" })
		d.Override = "arc=pass, sealed by " + string(sealer)
		why = &because{arcComment(r), action.ReasonLocalPolicy}
	}
	if rs.DryRun {
		why = &because{commentDryRun, action.ReasonLocalPolicy}
	}
	d.Reported = reported(r, rs.settle(&d, env, r, found), why)
	return d
}

// shortage defers a message that this host had not enough to judge, whatever the actions say: a
// result that was not found must not be taken for one that lets the message pass, or the host could
// be kept busy until it does. Only a pass of DMARC needs nothing more.
func (rs *Rules) shortage(r *verify.Results) Decision {
	d := Decision{
		Action:   action.Tempfail,
		Wanted:   action.Tempfail,
		Method:   Shortage,
		Code:     451,
		Enhanced: "4.3.2",
		Text:     textShortage,
		Reason:   "this host was too busy for all lookups",
	}
	if rs.DryRun {
		d.Action = action.Accept
	}
	d.Disposition = disposition(r, d.Action)
	return d
}

func passesDMARC(r *verify.Results) bool { return r.DMARC != nil && r.DMARC.Value == "pass" }

// settle takes the harshest finding and fills the decision in. It returns what is done for DMARC's
// own finding.
func (rs *Rules) settle(
	d *Decision, env *message.Envelope, r *verify.Results, found []finding,
) (ofDMARC action.Action) {
	worst := finding{action: action.Accept}
	ofDMARC = action.Accept
	for _, f := range found {
		f = f.checked()
		// Of two as harsh, DMARC is the one that a sender can look up and correct.
		if f.action > worst.action || f.action == worst.action && f.method == "dmarc" &&
			f.domain != "" {
			worst = f
		}
		if f.method == "dmarc" {
			ofDMARC = f.action
		}
	}
	d.Wanted, d.Action = worst.action, worst.action
	if rs.DryRun {
		d.Action, ofDMARC = action.Accept, action.Accept
	}
	d.Disposition = disposition(r, ofDMARC)
	if worst.action == action.Accept {
		return ofDMARC
	}
	d.Method = worst.method
	d.Reason = worst.method + "=" + worst.value
	if worst.domain != "" {
		d.Reason += " for " + worst.domain
	}
	if worst.action == action.Tempfail || worst.action == action.Reject {
		d.Code, d.Enhanced = reply(worst, found)
		d.Text = rs.Texts.text(worst, env, r)
		if d.Enhanced == severalFailed { // the reply names no single method
			d.Text = rs.Texts.several()
		}
	}
	return ofDMARC
}

// findings asks every method's table. A method that was not run finds nothing.
func (a Actions) findings(r *verify.Results) []finding {
	var out []finding
	if s := r.SPF; s != nil {
		out = append(out, finding{"spf", string(s.Value), string(s.Domain),
			a.SPF.For(string(s.Value))})
	}
	if s := r.HELO; s != nil {
		out = append(out, finding{"helo", string(s.Value), string(s.Domain),
			a.SPF.ForHelo(string(s.Value))})
	}
	if p := r.IPRev; p != nil {
		out = append(out, finding{"iprev", string(p.Value), r.Client.String(),
			a.IPRev.For(string(p.Value))})
	}
	if r.DKIM != nil {
		best := r.BestDKIM()
		out = append(out, finding{"dkim", best, string(r.Author), a.DKIM.For(best)})
	}
	if asksDMARC(r) {
		known := a.DMARC.For(string(r.DMARC.Value), string(r.DMARC.Disposition))
		// not a failure, whatever the DNS would have answered
		if r.DMARC.Value == "temperror" && r.DMARC.Harmless {
			known = action.Accept
		}
		out = append(out, finding{"dmarc", dmarcWord(r), string(r.DMARC.Author), known})
	}
	return out
}

// asksDMARC reports whether the rules have an action for DMARC's result. A pass has none, and
// neither has the permerror of a From with several domains, of which none fails.
func asksDMARC(r *verify.Results) bool {
	d := r.DMARC
	return d != nil && d.Value != "pass" && !(d.Value == "permerror" && r.ManyAuthors())
}

// capAside limits to marking the result of DMARC for a domain that is only in the display
// name: it may not appear as the author's to any reader, so it is not a reason to refuse a
// message.
func capAside(found []finding, r *verify.Results) {
	for i := range found {
		if found[i].method == "dmarc" && r.DMARC.Aside && found[i].action.IsValid() {
			found[i].action = min(found[i].action, action.Mark)
		}
	}
}

// dmarcWord is the word for a DMARC result in reasons: a failure goes by what the domain asks for.
func dmarcWord(r *verify.Results) string {
	switch r.DMARC.Value {
	case "fail":
		return string(r.DMARC.Disposition)
	case "none":
		return "no_record"
	}
	return string(r.DMARC.Value)
}

// author finds a From that shows no author, or more than DMARC judges.
func (rs *Rules) author(r *verify.Results) []finding {
	switch {
	case r.NoAuthor():
		return []finding{{"from", "none", "", rs.NoAuthor}}
	case r.From.TooMany:
		return []finding{{"from", "too many", "", rs.ManyAuthors}}
	}
	return nil
}

// disposition is what policy.dmarc says once DMARC's own finding led to action a. It is "" when no
// policy was found.
func disposition(r *verify.Results, a action.Action) string {
	switch {
	case r.DMARC == nil || r.DMARC.Value == "none" || r.DMARC.Value == "temperror" ||
		r.DMARC.Value == "permerror":
		return ""
	case r.DMARC.Value == "pass" || a == action.Accept:
		return "none"
	case a == action.Reject || a == action.Discard:
		return "reject"
	default:
		return "quarantine"
	}
}

// override returns the first override that matches, nil when none does.
func (rs *Rules) override(env *message.Envelope, h message.Header, r *verify.Results) *Override {
	for i := range rs.Overrides {
		if o := &rs.Overrides[i]; o.matches(env, h, r) {
			return o
		}
	}
	return nil
}

func (o *Override) matches(env *message.Envelope, h message.Header, r *verify.Results) bool {
	return (len(o.Networks) == 0 || within(o.Networks, env.Client)) &&
		(len(o.Hosts) == 0 || o.Hosts.Has(env.ClientName)) &&
		(!o.Senders.isSet() || o.Senders.match(env.Sender)) &&
		(len(o.To) == 0 || allMatch(o.To, env.Recipients)) &&
		(len(o.Authors) == 0 || o.Authors.MatchDomain(r.Author)) &&
		(len(o.ListIDs) == 0 || o.ListIDs.MatchDomain(h.ListID())) &&
		(len(o.Sealers) == 0 || o.Sealers.MatchDomain(r.NewestSealer()))
}

// replace puts the override's own action in place of every one that is not Accept.
func (o *Override) replace(found []finding) []finding {
	if !o.Replace.IsValid() {
		return found
	}
	for i := range found {
		if found[i].action != action.Accept {
			found[i].action = o.Replace
		}
	}
	return found
}

// excuse returns the trusted sealer that overrides a DMARC failure: the chain passes, its
// newest sets are all of trusted sealers, no field was added above those that they signed,
// and one of them saw DMARC pass (RFC 8617 section 7.2.1). An untrusted sealer ends the
// search: it could have made up the sets below its own. If From shows several domains, a
// sealer's result for one of them does not apply to the others.
func (rs *Rules) excuse(r *verify.Results) domain.Name {
	if r.DMARC == nil || r.DMARC.Value != "fail" || r.ManyAuthors() {
		return ""
	}
	if r.ARC == nil || r.ARC.Value != "pass" || r.ARC.Added != "" {
		return ""
	}
	for _, set := range slices.Backward(r.ARC.Sets) {
		if !slices.Contains(rs.TrustedSealers, set.Sealer) {
			return ""
		}
		if hasPass([]byte(set.Payload), r.Author) {
			return set.Sealer
		}
	}
	return ""
}

// hasPass reports whether an ARC-Authentication-Results payload says dmarc=pass for the author.
func hasPass(payload []byte, author domain.Name) bool {
	f, err := authres.Parse(payload)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(f.Results, func(r authres.Result) bool {
		if r.Method != "dmarc" || r.Value != "pass" {
			return false
		}
		// A result without header.from is taken to be about the message's own From, of which
		// there is one.
		for _, p := range r.Properties {
			if p.Type == "header" && p.Name == "from" {
				from, err := domain.Parse(p.Value)
				return err == nil && from == author
			}
		}
		return true
	})
}

// severalFailed means that more than one method failed (RFC 7372 section 3.4).
const severalFailed = "5.7.26"

// reply returns the codes of RFC 7372 section 3 (for iprev Postfix defers with 4.7.25 as well), RFC
// 6376 section 6.3 and RFC 9989 section 7.2.
func reply(f finding, all []finding) (int, string) {
	if f.action == action.Tempfail {
		switch f.method {
		case "spf", "helo":
			return 451, "4.7.24"
		case "iprev":
			return 451, "4.7.25"
		case "dkim":
			return 451, "4.7.5"
		}
		return 451, "4.7.1"
	}
	if f.method != "dmarc" && rejects(all, "spf") && rejects(all, "dkim") {
		return 550, severalFailed
	}
	switch {
	case f.method == "spf" && (f.value == "permerror" || f.value == "temperror"):
		return 550, "5.7.24"
	case f.method == "spf", f.method == "helo":
		return 550, "5.7.23"
	case f.method == "iprev":
		return 550, "5.7.25"
	case f.method == "dkim" && f.value == "policy":
		return 550, "5.7.21"
	case f.method == "dkim":
		return 550, "5.7.20"
	}
	return 550, "5.7.1"
}

func rejects(all []finding, method string) bool {
	return slices.ContainsFunc(all, func(f finding) bool {
		return f.method == method && f.action == action.Reject
	})
}
