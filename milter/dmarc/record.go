package dmarc

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailseal/milter/taglist"
)

// ErrNoRecord means that a text is not a DMARC policy record: its first tag is not
// v=DMARC1. This is not a mistake of the domain that published it; the name may have any
// other text.
var ErrNoRecord = errors.New("not a DMARC policy record")

// Policy is the treatment that a domain owner requests for mail that fails (RFC 9989
// section 4.7, p).
type Policy string

// The policies, from the mildest up. The zero Policy is one that was not published.
const (
	None       Policy = "none"       // no wish; the receiver does what it would do without DMARC
	Quarantine Policy = "quarantine" // suspicious
	Reject     Policy = "reject"     // the use of the name is not valid
)

var policies = []Policy{"", None, Quarantine, Reject}

// milder returns the policy one level down, which is what t=y asks for (RFC 9989 section 4.7, t).
func (p Policy) milder() Policy {
	if p == Reject {
		return Quarantine
	}
	return None
}

// PSD is the tag that says what the name is to those below it (RFC 9989 section 4.7, psd).
type PSD string

// The values of psd.
const (
	Unknown        PSD = "u" // the walk decides; the default
	PublicSuffix   PSD = "y" // a public suffix: organizational domains begin one label below
	Organizational PSD = "n" // this is the organizational domain of all below
)

// FailureOptions is the set of failures that a domain owner wants a report about (RFC 9989 section
// 4.7, fo).
type FailureOptions uint8

// The members of FailureOptions.
const (
	FailAll  FailureOptions = 1 << iota // "0": no method gave an aligned pass; the default
	FailAny                             // "1": some method gave no aligned pass
	FailDKIM                            // "d": a signature failed, aligned or not
	FailSPF                             // "s": SPF failed, aligned or not
)

// optionTexts are the values of fo, for each set of options.
var optionTexts = func() (out [FailSPF << 1]string) {
	for o := range out {
		out[o] = strings.Join(FailureOptions(o).Letters(), ":")
	}
	return out
}()

// String is the set as fo writes it, "" for none.
func (o FailureOptions) String() string { return optionTexts[o&(FailSPF<<1-1)] }

// Letters are the members as fo writes them.
func (o FailureOptions) Letters() []string {
	var out []string
	for i, letter := range []string{"0", "1", "d", "s"} {
		if o&(1<<i) != 0 {
			out = append(out, letter)
		}
	}
	return out
}

// Record is a DMARC policy record (RFC 9989 section 4.7) with its defaults filled in.
type Record struct {
	Text        string // as published, strings joined
	Policy      Policy // p; "" when absent or not valid
	Subdomain   Policy // sp; "" when absent or not valid
	NonExistent Policy // np; "" when absent or not valid
	StrictDKIM  bool   // adkim=s
	StrictSPF   bool   // aspf=s
	PSD         PSD
	Testing     bool // t=y
	// rua: the URIs that are valid, of any scheme, without an obsolete size; at most MaxURIs
	Aggregate      []string
	Failure        []string       // ruf, likewise
	FailureOptions FailureOptions // fo; empty without a ruf
	// why p, sp and np are not to be used (RFC 9989 section 4.10.1); "" when they are
	Broken string
	Notes  []string // what was read past, for the owner: a clause each, at most 20
}

// Parse reads a policy record leniently (RFC 9989 section 4.8): invalid parts after
// v=DMARC1 are skipped or replaced by their defaults, and noted. Values and tag names are
// case-insensitive, as in the ABNF; of a tag that occurs twice the first counts. The error
// is ErrNoRecord.
func Parse(text string) (Record, error) {
	if !isRecord(text) {
		return Record{}, ErrNoRecord
	}
	r := Record{Text: text, PSD: Unknown}
	tags, skipped := taglist.ParseLenient(text)
	for _, s := range skipped {
		r.skip(s, tags)
	}
	for _, t := range tags {
		r.set(t.Name, t.Value)
	}
	r.judge(tags)
	return r, nil
}

// isRecord reports whether the first tag is v=DMARC1, white space aside (RFC 9989 section 4.7, v).
func isRecord(text string) bool {
	first, _, _ := strings.Cut(text, ";")
	name, value, _ := strings.Cut(first, "=")
	return strings.EqualFold(strings.Trim(name, wsp), "v") && strings.Trim(value, wsp) == "DMARC1"
}

// wsp is what may stand around names and values: white space of the grammar, and line ends that
// editors leave behind.
const wsp = " \t\r\n"

// set takes one tag.
func (r *Record) set(name, value string) {
	ok := true
	switch name {
	case "v":
	case "p":
		r.Policy, ok = policy(value)
	case "sp":
		r.Subdomain, ok = policy(value)
	case "np":
		r.NonExistent, ok = policy(value)
	case "adkim":
		r.StrictDKIM, ok = either(value, "r", "s")
	case "aspf":
		r.StrictSPF, ok = either(value, "r", "s")
	case "t":
		r.Testing, ok = either(value, "n", "y")
	case "psd":
		r.PSD, ok = psd(value)
	case "fo":
		r.FailureOptions, ok = failureOptions(value)
	case "rua":
		r.Aggregate = r.uris(name, value)
	case "ruf":
		r.Failure = r.uris(name, value)
	case "pct", "rf", "ri":
		r.note("%s is ignored: historic since RFC 9989", name)
	default:
		r.note("%q is ignored: not a DMARC tag", clip(name))
	}
	if !ok {
		r.note("%s=%s is ignored: not a valid value of %s", name, clip(value), name)
	}
}

// skip notes what the tag list left out. An sp or np that could not even be read is an sp or np
// that is not valid.
func (r *Record) skip(spec string, tags taglist.List) {
	name, _, _ := strings.Cut(spec, "=")
	name = strings.ToLower(strings.Trim(name, wsp))
	if _, twice := tags.Value(name); twice {
		r.note("a second %s is ignored", clip(name))
		return
	}
	r.note("%q is ignored: not a tag", clip(strings.Trim(spec, wsp)))
	if name == "sp" || name == "np" {
		r.Broken = name + " is not valid"
	}
}

// judge decides whether the policies may be used, and fills in what depends on other tags.
func (r *Record) judge(tags taglist.List) {
	for _, t := range []struct {
		name  string
		value Policy
	}{{"np", r.NonExistent}, {"sp", r.Subdomain}, {"p", r.Policy}} {
		if value, present := tags.Value(t.name); present && t.value == "" {
			r.Broken = fmt.Sprintf("%s=%s is not valid", t.name, clip(value))
		}
	}
	if _, present := tags.Value("p"); !present {
		r.Broken = "there is no p"
	}
	if _, asked := tags.Value("ruf"); !asked {
		if r.FailureOptions != 0 {
			r.note("fo is ignored: there is no ruf")
		}
		r.FailureOptions = 0
	} else if r.FailureOptions == 0 {
		r.FailureOptions = FailAll
	}
}

// maxNotes limits the notes on a record; one of 64 KB could contain 30,000 mistakes.
const maxNotes = 20

func (r *Record) note(format string, args ...any) {
	if len(r.Notes) < maxNotes {
		r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
	}
}

func policy(value string) (Policy, bool) {
	p := Policy(strings.ToLower(value))
	if p == "" || !slices.Contains(policies, p) {
		return "", false
	}
	return p, true
}

func psd(value string) (PSD, bool) {
	switch p := PSD(strings.ToLower(value)); p {
	case Unknown, PublicSuffix, Organizational:
		return p, true
	}
	return Unknown, false
}

// either reads a tag of two values, the first of which is the default.
func either(value, no, yes string) (isYes, ok bool) {
	isYes = strings.EqualFold(value, yes)
	return isYes, isYes || strings.EqualFold(value, no)
}

// failureOptions reads fo: a list with colons, each option once, "0" and "1" not both.
func failureOptions(value string) (FailureOptions, bool) {
	var set FailureOptions
	for option := range strings.SplitSeq(strings.ToLower(value), ":") {
		i := slices.Index([]string{"0", "1", "d", "s"}, strings.Trim(option, wsp))
		if i < 0 || set&(1<<i) != 0 {
			return 0, false
		}
		set |= 1 << i
	}
	if set&(FailAll|FailAny) == FailAll|FailAny {
		return 0, false
	}
	return set, true
}

// clip shortens a stranger's text for a note.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
