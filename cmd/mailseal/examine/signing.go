package examine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/domain"
	"mailseal/milter/expression"
	"mailseal/milter/filter"
	"mailseal/milter/message"
	"mailseal/milter/sign"
)

// Arrival is how a message arrives that is asked about.
type Arrival struct {
	From      string // address in the From field
	Sender    string // envelope sender; "" for a bounce
	HasSender bool   // Sender is set; else it is From
	Client    netip.Addr
	Assumed   bool   // Client was not given: it is this host
	Host      string // verified name of the client
	Login     string // "" when the client did not log in
	Daemon    string // daemon name of the MTA's listener
	To        []string
	List      string // id of the List-Id field; "" for none
	JSON      bool
}

// Explain prints which rule signs such a message, with which keys, and why not the others. It is
// bad when none does.
func (a Arrival) Explain(ctx context.Context, cfg *config.Config, out io.Writer) error {
	author, err := message.ParsePath(a.From)
	if err != nil || author.Domain == "" {
		return answer.NewUsage(fmt.Errorf("--from %q is not an address", a.From))
	}
	_, resolver, err := assembly.NewResolver(cfg)
	if err != nil {
		return answer.NewBad(err)
	}
	p, err := assembly.New(ctx, cfg, resolver, nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return answer.NewBad(err)
	}
	env := &message.Envelope{
		Client:     a.Client,
		ClientName: a.Host,
		AuthUser:   a.Login,
		DaemonName: a.Daemon,
		Recipients: a.To,
		Sender:     a.From,
	}
	if a.HasSender {
		env.Sender = a.Sender
	}
	e := explainSigning(ctx, cfg, p, env, author, a.List)
	if a.Assumed && e.By == string(milter.ByNetwork) {
		e.assumed = ": without --ip the client is " + a.Client.String()
	}
	if a.JSON {
		err = json.NewEncoder(out).Encode(e)
	} else {
		_, err = io.WriteString(out, e.text())
	}
	if err != nil {
		return answer.NewUnknown(err)
	}
	if !e.Signed {
		return answer.NewBad(nil)
	}
	return nil
}

// signingExplained is what the command says.
type signingExplained struct {
	From   string          `json:"from"`
	Role   string          `json:"role"`
	By     string          `json:"by"` // what decided the role
	Signed bool            `json:"signed"`
	Reason string          `json:"reason,omitempty"` // why it is not signed
	Rules  []ruleExplained `json:"rules"`            // those that name the author
	Others int             `json:"others"`           // how many do not
	Keys   []keyExplained  `json:"keys"`

	Addable *addable `json:"addable,omitempty"` // nil when it is not signed

	assumed   string               // what the reason of the role rests on, for people
	unrelated []sign.Consideration // the first of the other rules, for people

	outcome, why string // of a message that rules want signed and that is not, for people
}

// addable are the fields that can be added to the message behind us while one of its signatures
// stays good.
type addable struct {
	Always     []string `json:"always"`
	WhenAbsent []string `json:"when_absent"` // where the message has none
	// as when_absent, where it has 8-bit text or other fields of MIME
	WhenNotPlain []string `json:"when_not_plain"`
}

type ruleExplained struct {
	Rule  string `json:"rule"`
	Place string `json:"place,omitempty"` // file and line
	Signs bool   `json:"signs"`
	Why   string `json:"why"`
}

type keyExplained struct {
	Name   string `json:"name"`
	Source string `json:"source,omitempty"` // where it comes from
	Record string `json:"record,omitempty"` // the DNS name
	Kind   string `json:"kind,omitempty"`   // algorithm and size
	Error  string `json:"error,omitempty"`
}

// explainSigning asks the parts of the daemon what they would do.
func explainSigning(ctx context.Context, cfg *config.Config, p *assembly.Parts,
	env *message.Envelope, author message.Address, list string) signingExplained {
	role, by := assembly.NewRoles(cfg).Of(action.RoleAuto, env, func(string) string { return "" })
	e := signingExplained{From: author.String(), Role: role.String(), By: string(by),
		Rules: []ruleExplained{}, Keys: []keyExplained{}}
	if !cfg.Signs() {
		e.Reason = `mode has no "sign"`
		return e
	}
	signer, err := p.Signer()
	if err != nil {
		e.Reason = answer.Text(err)
		return e
	}
	q := sign.Query{Author: author, Login: env.AuthUser, Client: env.Client,
		DaemonName: env.DaemonName, Recipients: env.Recipients,
		Sender: env.Sender, ListID: domain.Name(domain.ASCII(list))}
	q.Facts = func() *expression.Known {
		k := expression.NewKnown(env, message.Header{message.NewField("From",
			[]byte(" "+author.String()))}, author, role, time.Now())
		return &k
	}
	var rules sign.Match
	for _, c := range signer.Table.Explain(q) {
		e.Rules = append(e.Rules, ruleExplained{c.Rule.Name, placeOf(cfg, c.Rule), c.Signs, c.Why})
		if c.Signs {
			rules = append(rules, c.Rule)
		}
	}
	e.Others = len(signer.Table.Rules()) - len(e.Rules)
	e.unrelated = signer.Table.Unrelated(q, unrelatedShown)
	e.Reason = unsignedBecause(p.Settings, role, rules, env, author)
	if e.Reason == "no rule matches" && len(e.Rules) == 0 {
		e.Reason = "no rule matches the author"
	}
	if role != action.RoleOurs {
		rules = rules.Resigning()
	}
	if e.Reason == "" {
		e.addKeys(ctx, cfg, signer, rules, q)
	}
	return e
}

// unrelatedShown is how many rules without a pattern for the author are shown to people.
const unrelatedShown = 10

// ruleOf is the rule as the configuration has it.
func ruleOf(cfg *config.Config, r *sign.Rule) config.Rule {
	var i int
	if _, err := fmt.Sscanf(r.Name, "sign[%d]", &i); err != nil || i >= len(cfg.Sign) {
		return config.Rule{}
	}
	return cfg.Sign[i]
}

// placeOf is the line of a rule, in the configuration or in a table of OpenDKIM's.
func placeOf(cfg *config.Config, r *sign.Rule) string {
	at := ruleOf(cfg, r).Problem("", "")
	if at.File == "" || at.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d", at.File, at.Line)
}

// unsignedBecause tells why a message is not signed whatever its keys, "" when it is.
func unsignedBecause(s milter.Settings, role action.Role, rules sign.Match, env *message.Envelope,
	author message.Address) string {
	daemon, _ := s.Filter.(*filter.Filter)
	if daemon == nil {
		return "nothing is signed"
	}
	why, isAllowed := daemon.Senders.Allow(env, author)
	switch {
	case s.Exempt.Has(env):
		return "the client is in [exempt], so its mail is not processed"
	case daemon.ExemptAuthors.MatchDomain(author.Domain):
		return "the author's domain is in exempt.author_domains"
	case role == action.RoleOurs && !isAllowed:
		return fmt.Sprintf("[senders] does not allow it: %s (%s)", why, daemon.Senders.Action)
	case slices.ContainsFunc(env.Recipients, daemon.UnsignedRecipients.MatchPath):
		return "a recipient is in signing.unsigned_recipients"
	case len(rules) == 0:
		return "no rule matches"
	case role != action.RoleOurs && len(rules.Resigning()) == 0:
		return "the mail is not ours: no setting of [ours] matches this client (and the rule does " +
			"not have resign = true, which mailing lists use)"
	}
	return ""
}

// addKeys fetches the keys of the rules that sign.
func (e *signingExplained) addKeys(ctx context.Context, cfg *config.Config, signer *sign.Signer,
	rules sign.Match, q sign.Query) {
	found, out, err := signer.Look(ctx, rules, q)
	hasKey := false
	for _, f := range found {
		e.addKeysOf(f, ruleOf(cfg, f.Rule), cfg)
		hasKey = hasKey || len(f.Keys) > 0
	}
	broken := either(hasKey, "a key of the rule cannot be used",
		"none of the rule's keys can be used")
	switch {
	case errors.Is(err, sign.ErrNoRule):
		e.Reason = answer.Text(err) + ", and the message goes out unsigned"
	case err != nil && len(out.Failed) == 0:
		e.fail(noKey(err, cfg, rules, q), onKeyErrorDoes(out.OnKeyError, rules))
	case err != nil:
		e.fail(broken, onKeyErrorDoes(out.OnKeyError, rules))
	default:
		e.Signed = hasKey
		e.addAddable(found)
	}
}

// fail describes the outcome for a message that rules should sign and that is not signed.
func (e *signingExplained) fail(why, outcome string) {
	e.why, e.outcome = why, outcome
	e.Reason = why + ": the message " + outcome
}

// noKey describes why a rule has no key to sign with.
func noKey(err error, cfg *config.Config, rules sign.Match, q sign.Query) string {
	for _, r := range rules {
		managed := ruleOf(cfg, r).Managed
		if managed == "" || !errors.Is(err, keys.ErrNotFound) {
			continue
		}
		if managed == "%" {
			managed = q.Author.Domain.String()
		}
		return fmt.Sprintf("rule %s%s matches, but no key of %s is active; see mailseal keys list %s",
			r.Name, bracketed(placeOf(cfg, r)), managed, managed)
	}
	return strings.TrimPrefix(answer.Text(err), answer.Text(sign.ErrUnsigned)+": ")
}

// addAddable adds what the options of the rules that sign leave open.
func (e *signingExplained) addAddable(found []sign.Found) {
	for _, f := range found {
		if len(f.Keys) == 0 {
			continue
		}
		if e.Addable == nil {
			e.Addable = &addable{Always: []string{}, WhenAbsent: []string{},
				WhenNotPlain: []string{}}
		}
		a := f.Rule.Options.Additions()
		e.Addable.Always = addNew(e.Addable.Always, a.Always)
		e.Addable.WhenAbsent = addNew(e.Addable.WhenAbsent, a.WhenAbsent)
		e.Addable.WhenNotPlain = addNew(e.Addable.WhenNotPlain, a.WhenNotPlain)
	}
}

// addNew appends those of more that are not in list.
func addNew(list, more []string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// addKeysOf adds the keys of one rule, but for those that another rule has as well: they sign once.
func (e *signingExplained) addKeysOf(f sign.Found, r config.Rule, cfg *config.Config) {
	var all []keyExplained
	for _, failed := range f.Failed {
		all = append(all, keyExplained{
			Name:   failed.Key,
			Source: keySource(cfg, r, failed.Key),
			Error:  answer.Text(failed.Err),
		})
	}
	for _, k := range f.Keys {
		alg, bits := k.Algorithm()
		all = append(all, keyExplained{
			Name:   k.Name,
			Source: keySource(cfg, r, k.Name),
			Record: k.Selector + "._domainkey." + k.Domain,
			Kind:   fmt.Sprintf("%s %d", alg, bits),
		})
	}
	for _, k := range all {
		if !slices.Contains(e.Keys, k) {
			e.Keys = append(e.Keys, k)
		}
	}
}

// onKeyErrorDoes is what happens to a message that rules want signed, and that is not.
func onKeyErrorDoes(what action.OnKeyError, rules sign.Match) string {
	isDefault := !slices.ContainsFunc(rules,
		func(r *sign.Rule) bool { return r.OnKeyError != action.KeySkip })
	switch {
	case isDefault:
		return "is deferred (451)"
	case what == action.KeyReject:
		return "is rejected (550, by on_key_error)"
	case what == action.KeyAccept:
		return "goes out unsigned (by on_key_error)"
	}
	return "is deferred (451, by on_key_error)"
}

// keySource describes where a key of a rule comes from.
func keySource(cfg *config.Config, r config.Rule, name string) string {
	k, inTable := cfg.Keys[name]
	switch {
	case r.Managed != "":
		return "state directory"
	case r.Source != "":
		return "source " + r.Source
	case inTable && k.Source != "":
		return "source " + k.Source
	case inTable && k.File != "":
		return k.File
	case inTable:
		return "the configuration"
	}
	return ""
}
