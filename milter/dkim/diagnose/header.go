package diagnose

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mailseal/milter/dkim"
	"mailseal/milter/message"
	"mailseal/milter/taglist"
)

// Header explains which change to the signed fields broke the signature with the result r. The
// result ok is false if the header was not changed, or cannot be judged. It needs no body.
func Header(h message.Header, r dkim.Result) (f Finding, ok bool) {
	if !r.Evidence.Checked || r.Evidence.HeaderIntact {
		return Finding{}, false
	}
	s, _ := dkim.ParseSignature(h[r.Evidence.Field])
	return headerFinding(h, s, r), true
}

// copied compares the fields with the copies that some signers put into z= (RFC 6376 section 3.5),
// and names the first that differs: as it was signed, and as it came.
func (t trial) copied() (Finding, bool) {
	tags, _ := taglist.ParseLenient(string(t.header[t.own].Value()))
	list, _ := tags.Value("z")
	if list == "" {
		return Finding{}, false
	}
	present := map[string]bool{}
	for _, f := range t.header {
		if t.signs(f) {
			present[copyKey(f)] = true
		}
	}
	items := strings.SplitN(list, "|", maxCopies+1)
	for _, item := range items[:min(len(items), maxCopies)] {
		name, value, _ := strings.Cut(taglist.Compact(item), ":")
		if name == "" || len(value) > maxCopy {
			continue
		}
		was := message.NewField(name, copiedValue(value))
		if !t.signs(was) || present[copyKey(was)] {
			continue
		}
		came := "it was removed"
		if i := slices.IndexFunc(t.header,
			func(f message.Field) bool { return f.Is(name) }); i >= 0 {
			came = "it came as " + shown(t.header[i])
		}
		return Finding{"header", fmt.Sprintf(
			"a signed field was changed on the way: it was signed as %s, and %s",
			shown(was), came), "sign after the program that changes it, or do not sign the field",
			true}, true
	}
	return Finding{}, false
}

// Bounds of the copies: their writer may be anyone.
const (
	maxCopies = 1000 // that are compared
	maxCopy   = 4096 // the bytes of one
)

// copiedValue undoes dkim-quoted-printable (RFC 6376 section 2.11).
func copiedValue(s string) []byte {
	var out []byte
	for i := 0; i < len(s); i++ {
		if n, err := strconv.ParseUint(s[min(i+1, len(s)):min(i+3, len(s))], 16, 8); s[i] == '=' &&
			err == nil {
			out = append(out, byte(n))
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return out
}

// copyKey is the same for a field and a copy of it: copies may have lost white space.
func copyKey(f message.Field) string {
	return strings.ToLower(f.Name()) + ":" + taglist.Compact(string(f.Value()))
}

// headerFinding looks for what happened to a header that the signature does not fit.
func headerFinding(h message.Header, s dkim.Signature, r dkim.Result) Finding {
	record, err := dkim.ParseRecord(r.Evidence.Record)
	if err != nil {
		return Finding{Part: "key", Cause: "the key record cannot be read: " + err.Error()}
	}
	if r.Evidence.OtherKey {
		return Finding{"key",
			fmt.Sprintf(
				"the signature was not made with the key that is published at %s._domainkey.%s",
				r.Selector, r.Domain),
			"publish the public key of the key that signs, or sign with the other key; mailseal " +
				"check --dns compares them", true}
	}
	return newTrial(h, r.Evidence.Field, s, record).finding()
}

func (t trial) finding() Finding {
	for _, try := range []func(trial) (Finding, bool){trial.otherCanonicalization, trial.copied,
		trial.addedField, trial.changedField} {
		if f, ok := try(t); ok {
			return f
		}
	}
	if t.effort.IsSpent() {
		return Finding{Part: "header",
			Cause: "a signed field was changed, added or removed on the " +
				"way; the header is so large that not every known change was tried"}
	}
	f := Finding{Part: "header",
		Cause: "a signed field was changed, added or removed on the way, by a change that " +
			"Mailseal does not recognize"}
	if missing := t.missing(); missing != "" {
		f.Cure = "the signature names fields that the message does not have; if it had them when " +
			"it was signed, they were removed: " + missing
	}
	return f
}

// trial tests headers against one signature.
type trial struct {
	header    message.Header
	own       int // where the signature stands
	signature dkim.Signature
	records   []dkim.Record
	signed    map[string]bool // the names of h= in lower case
	size      int             // of the header, in bytes
	effort    *dkim.Effort    // what is left for all trials
}

// maxEffort is what the trials of one signature may cost: as much as 4,000 verifications with
// RSA-2048, an eighth of a second. The bytes of the header are among it for each trial, so that no
// more than 128 MiB are gone through, whatever the writer of the mail puts there.
const maxEffort = 4000

func newTrial(h message.Header, own int, s dkim.Signature, record dkim.Record) trial {
	t := trial{header: h, own: own, signature: s, records: []dkim.Record{record},
		signed: map[string]bool{}, effort: dkim.NewEffortOf(maxEffort)}
	for _, name := range s.Names {
		t.signed[strings.ToLower(name)] = true
	}
	for _, f := range h {
		t.size += len(f.Raw())
	}
	return t
}

// fits reports whether the signature fits the header that edits make; never once the effort is
// spent.
func (t trial) fits(e message.Edits, own int) bool {
	if !t.effort.SpendOctets(t.size) {
		return false
	}
	h := t.header.With(e)
	_, err := t.signature.VerifiedBy(dkim.NewIndex(h), own, t.records, t.effort)
	return err == nil
}

// otherCanonicalization recognises signers that hash one form and write the other.
func (t trial) otherCanonicalization() (Finding, bool) {
	other := t
	other.signature.Header = otherOf(t.signature.Header)
	if !other.fits(message.Edits{}, t.own) {
		return Finding{}, false
	}
	if t.signature.Header == message.Simple {
		return Finding{"header",
			"only white space or the case of a name differs: a relaxed header would have passed",
			"the signer should use c=relaxed/relaxed", true}, true
	}
	return Finding{"header", "the header passes as simple, the signature says relaxed",
		"the signer's software has to be corrected", true}, true
}

// maxFields is how many fields are tried one by one: each costs a verification.
const maxFields = 200

// addedField leaves one signed field out at a time.
func (t trial) addedField() (Finding, bool) {
	for i, f := range t.header[:min(len(t.header), maxFields)] {
		if i == t.own || !t.signs(f) || t.effort.IsSpent() {
			continue
		}
		own := t.own
		if i < own {
			own--
		}
		if t.fits(message.Edits{Remove: []int{i}}, own) {
			return Finding{"header",
				fmt.Sprintf(
					"the signature passes without this field, which was added on the way: %s",
					shown(f)),
				"add it before signing; or, if your MTA adds the field, do not sign or oversign " +
					"it", true}, true
		}
	}
	return Finding{}, false
}

// changedField tries what is known to happen to each signed field.
func (t trial) changedField() (Finding, bool) {
	for i, f := range t.header[:min(len(t.header), maxFields)] {
		if i == t.own || !t.signs(f) {
			continue
		}
		for _, c := range changes {
			if t.effort.IsSpent() || !t.effort.SpendOctets(undoCost*len(f.Raw())) {
				return Finding{}, false
			}
			for _, value := range c.undo(t.header, f) {
				if bytes.Equal(value, f.Value()) {
					continue
				}
				was := message.Change{At: i, Field: message.NewField(f.Name(), value)}
				if t.fits(message.Edits{Change: []message.Change{was}}, t.own) {
					return Finding{"header", fmt.Sprintf("%s: %s", c.cause, shown(f)), c.cure,
						true}, true
				}
			}
		}
	}
	return Finding{}, false
}

// undoCost is how many bytes are hashed in the time in which a change of one byte is undone, which
// takes regular expressions.
const undoCost = 64

func (t trial) signs(f message.Field) bool { return t.signed[strings.ToLower(f.Name())] }

// manyAbsent is how many absent names a signature has that names whatever might be there, as Exim's
// do.
const manyAbsent = 3

// missing lists the signed names of which the message lost its fields, as far as the signature
// tells, in its order. Signers who oversign name each field once more than it is there: a name
// that stands twice had a field, and one that stands once had none and keeps one from being added.
// Where nothing is named too often, a name without a field had one, unless there are many of them.
func (t trial) missing() string {
	named := map[string]int{}
	for _, name := range t.signature.Names {
		named[strings.ToLower(name)]++
	}
	var lost, absent []string
	oversigns := false
	index := dkim.NewIndex(t.header)
	for _, name := range t.signature.Names {
		times, present := named[strings.ToLower(name)], index.Count(name)
		oversigns = oversigns || times > max(present, 1)
		switch {
		case present > 0 || times == 0: // there, or listed already
		case times > 1:
			lost = append(lost, name)
		default:
			absent = append(absent, name)
		}
		if present == 0 {
			named[strings.ToLower(name)] = 0
		}
	}
	if !oversigns && len(absent) < manyAbsent {
		lost = absent
	}
	return strings.Join(lost, ", ")
}
