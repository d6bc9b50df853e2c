package keyring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/publish"
	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/dkim"
	"mailseal/milter/domain"
	"mailseal/milter/rotation"
)

// proposedKeys is the answer of "propose dkim --json".
type proposedKeys struct {
	publish.Proposal
	Made bool       `json:"made"` // the keys were made just now
	Keys []seenJSON `json:"keys"`
}

// Propose makes the first keys of a domain, prints their records and each name server's
// answers for them, and starts signing with a key once all name servers show it. It may be
// run again at any time: it makes no second key while one waits for its record, and does
// not change keys that sign. The answer is bad while a key does not sign, and unknown if
// the reason is a name server that did not answer.
func (r *Ring) Propose(ctx context.Context, name string) error {
	d, err := domain.ParseMail(name)
	if err != nil {
		return answer.NewUsage(err)
	}
	out := proposedKeys{
		Proposal: publish.Proposal{Version: publish.ProposalVersion, Domain: d.String(), Records: []publish.Record{}},
		Keys:     []seenJSON{},
	}
	waiting, err := r.ownKeys(out.Domain, keys.Generated, keys.Published)
	if err != nil {
		return err
	}
	signing, err := r.ownKeys(out.Domain, keys.Active)
	if err != nil {
		return err
	}
	if len(waiting)+len(signing) == 0 {
		if err := r.alreadySigns(ctx, out.Domain); err != nil {
			return err
		}
	}
	if out.Made = len(waiting)+len(signing) == 0; out.Made {
		if _, err := r.rotator.Generate(out.Domain, nil, ""); err != nil {
			return answer.NewBad(err)
		}
	}
	if out.Made || len(waiting) > 0 {
		if err := r.settle(ctx, out.Domain); err != nil {
			return err
		}
	}
	return r.proposed(ctx, &out)
}

// alreadySigns is an error about a domain whose mail a rule signs with a key that Mailseal does not
// manage: managed keys beside it would wait for ever.
func (r *Ring) alreadySigns(ctx context.Context, d string) error {
	others, err := r.others(ctx, []string{d})
	if err != nil {
		return answer.NewUnknown(err)
	}
	if r.isManaged(d) || len(others) == 0 {
		return nil
	}
	k := others[0]
	return answer.NewBad(fmt.Errorf(
		"%s already signs with %s (%s), so no keys were made: \"mailseal "+
			"keys record %s\" prints its record; \"mailseal keys generate %s\" makes keys that Mailseal "+
			"replaces, and says how to move to them", d, k.recordName(), k.From, k.recordName(), d))
}

// ownKeys are the keys of a domain that are not a vendor's, at some stages.
func (r *Ring) ownKeys(d string, stages ...keys.Stage) ([]keylife.Key, error) {
	all, err := r.rotator.Keys([]string{d})
	if err != nil {
		return nil, answer.NewUnknown(err)
	}
	return slices.DeleteFunc(all, func(k keylife.Key) bool {
		return k.Vendor || !slices.Contains(stages, k.Stage)
	}), nil
}

// settle makes the steps that the name servers allow: a key that all of them show becomes
// published, and then active.
func (r *Ring) settle(ctx context.Context, d string) error {
	_, _, err := r.rotator.PublishCheck(ctx, []string{d}, "")
	if err == nil {
		_, err = r.rotator.Rotate(ctx, []string{d})
	}
	switch {
	case errors.Is(err, rotation.ErrUnknown):
		return answer.NewUnknown(err)
	case err != nil:
		return answer.NewBad(err)
	}
	return nil
}

// proposed looks at the keys once more, and prints the answer.
func (r *Ring) proposed(ctx context.Context, out *proposedKeys) error {
	now, err := r.ownKeys(out.Domain, keys.Generated, keys.Published, keys.Active)
	if err != nil {
		return err
	}
	kind := answer.Good
	for _, seen := range r.rotator.Look(ctx, now) {
		record := publish.Record{Name: seen.Name(), Text: seen.Text}
		if _, err := dkim.ParseRecord(record.Text); err != nil {
			return answer.NewFailed(fmt.Errorf("%s: no verifier would accept the record: %w",
				record.Name, err))
		}
		out.Records = append(out.Records, record)
		out.Keys = append(out.Keys, newSeenJSON(seen))
		switch {
		case seen.Stage == keys.Active:
		case seen.Sight == keys.SightUnknown:
			kind = answer.Worst(kind, answer.Unknown)
		default:
			kind = answer.Worst(kind, answer.Bad)
		}
	}
	out.Notes = r.notesOf(*out, kind)
	if err := r.printProposed(*out); err != nil {
		return answer.NewUnknown(err)
	}
	if kind == answer.Good {
		return nil
	}
	return answer.New(kind, nil)
}

// notesOf say what to do next.
func (r *Ring) notesOf(p proposedKeys, kind answer.Kind) []string {
	var notes []string
	if kind == answer.Good {
		notes = append(notes, "All keys sign. To replace them, run \"mailseal keys generate "+
			p.Domain+"\", or set rotation.every.")
	} else {
		notes = append(notes, "Publish the records. A key signs once every name server shows its "+
			"record: the daemon checks that every minute, and this command does when you run it "+
			"again.")
	}
	if text := r.configure(p.Domain); text != "" {
		notes = append(notes, text)
	}
	return notes
}

func (r *Ring) printProposed(p proposedKeys) error {
	if r.o.JSON {
		return json.NewEncoder(r.out).Encode(p)
	}
	if p.Made {
		fmt.Fprintf(r.out, "%s: keys were made, in %s\n\n", p.Domain, r.rotator.Dir())
	}
	for i, k := range p.Keys {
		word := "does not sign yet"
		if k.Stage == keys.Active {
			word = "signs"
		}
		fmt.Fprintf(r.out, "%s (%s, %s)\n", k.Name, k.Stage, word)
		if err := p.Records[i].Write(r.out, "  ", publish.Columns(r.out)); err != nil {
			return err
		}
		if k.Error != "" {
			fmt.Fprintf(r.out, "  could not find out what the name servers show: %s\n", k.Error)
		}
		for _, s := range k.Servers {
			fmt.Fprintf(r.out, "  %s: %s\n", s.Server, s.State)
			for _, f := range s.Findings {
				fmt.Fprintf(r.out, "    %s\n", f.Text)
			}
		}
	}
	for _, n := range p.Notes {
		fmt.Fprintf(r.out, "\n%s\n", publish.Note(n, publish.Columns(r.out)))
	}
	return nil
}
