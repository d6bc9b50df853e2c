// Package keydns compares keys with their published records, as verifiers see them: what is wrong
// with a record, the likely cause, and the record that corrects it (RFC 6376 section 3.6).
package keydns

import (
	"context"
	"fmt"
	"strings"

	"mailseal/keys"
	"mailseal/milter/dkim"
	"mailseal/milter/dns"
	"mailseal/milter/taglist"
)

// State is one word for what the DNS shows of a key.
type State string

// The states.
const (
	Shown     State = "shown"     // mail that the key signs can be verified
	Absent    State = "absent"    // there is no record
	Revoked   State = "revoked"   // the record says that the key no longer exists (empty p=)
	Differs   State = "differs"   // there is something else: signatures fail
	Unreached State = "unreached" // the DNS did not answer
)

// Cause is what is wrong with a record.
type Cause string

// The causes, and what they do to signatures.
const (
	Missing Cause = "missing" // no record: every signature fails
	// the record is at a name with the zone's name twice, or without _domainkey
	Doubled   Cause = "doubled"
	Truncated Cause = "truncated" // a provider's form took the first string only
	WrongKey  Cause = "wrong key" // the public half of another key
	// t=y: verifiers may treat a failure as if there were no signature
	Testing  Cause = "testing"
	Empty    Cause = "revoked"   // p= is empty
	TooShort Cause = "too short" // an RSA key under 1024 bits
	// more TXT records than one: verifiers may take any (RFC 6376 section 3.6.2.2)
	Several  Cause = "several"
	Alias    Cause = "alias"    // a CNAME: another name publishes the key
	Dangling Cause = "dangling" // a CNAME that leads to no TXT record
	Pasted   Cause = "pasted"   // quotes or backslashes that came with the paste
	Spaced   Cause = "spaced"   // white space that verifiers are to skip
	Excluded Cause = "excluded" // h= or s= shut our signatures out
	Typed    Cause = "typed"    // a TXT record with the name that a CNAME record should lead to
	// the public key in the form of PKCS#1, which some verifiers cannot read
	PKCS1     Cause = "pkcs1"
	Malformed Cause = "malformed" // no key record
	NoAnswer  Cause = "no answer" // could not be found out
)

// Finding is one thing that is wrong, or worth to know.
type Finding struct {
	Cause Cause  `json:"cause"`
	Text  string `json:"text"`         // a sentence for a postmaster
	At    string `json:"at,omitempty"` // the name at which a record is by mistake, for Doubled
	// signatures do not verify, or not everywhere; else a warning
	Harms bool `json:"harms"`
}

// View is what the DNS shows of one key.
type View struct {
	Name     string    `json:"name"`
	State    State     `json:"state"`
	Texts    []string  `json:"published,omitempty"`
	Findings []Finding `json:"findings,omitempty"`
	Aliases  []string  `json:"aliases,omitempty"` // the CNAMEs followed
	TTL      int       `json:"ttl"`               // of the answer, in seconds

	Want keys.Record `json:"-"` // what must be published

	public string // the p= tag of Want
}

// Harm reports whether some verifier cannot verify what the key signs, as far as the DNS could be
// asked.
func (v View) Harm() bool {
	for _, f := range v.Findings {
		if f.Harms {
			return true
		}
	}
	return false
}

// Inspect looks at what is published where want belongs. Domain is that of the key, d=. For a
// record without a text, which is a vendor's, any key that verifiers take is good. A record is
// compared by its octets where these matter: the key itself. Its other tags may differ from want's
// if that does no harm.
func Inspect(ctx context.Context, r dns.Resolver, want keys.Record, domain string) View {
	v := View{Name: want.Name, Want: want, public: publicKey(want.Text)}
	a, err := r.Lookup(ctx, want.Name, dns.TXT)
	if err != nil {
		v.State = Unreached
		v.add(NoAnswer, false, "could not find out: %s", keys.Plain(err.Error()))
		return v
	}
	v.Texts, v.Aliases, v.TTL = a.Texts, a.Aliases, int(a.TTL.Seconds())
	if len(a.Texts) == 0 {
		v.missing(ctx, r, a, domain)
		return v
	}
	v.judge()
	if n := len(a.Aliases); n > 0 {
		v.add(Alias, false, "is a CNAME: the key is published at %s, by the owner of that name",
			a.Aliases[n-1])
	}
	return v
}

func (v *View) add(c Cause, harms bool, format string, args ...any) {
	v.Findings = append(v.Findings,
		Finding{Cause: c, Harms: harms, Text: fmt.Sprintf(format, args...)})
}

// missing says where the record may have gone.
func (v *View) missing(ctx context.Context, r dns.Resolver, a dns.Answer, domain string) {
	v.State = Absent
	for _, wrong := range misplaced(v.Name, domain) {
		if there, err := r.Lookup(ctx, wrong, dns.TXT); err == nil && v.isAmong(there.Texts) {
			v.add(Doubled, true, "the record is at %s: a name without a final dot gets the "+
				"zone's name appended",
				wrong)
			v.Findings[len(v.Findings)-1].At = wrong
			return
		}
	}
	if n := len(a.Aliases); n > 0 {
		v.add(Dangling, true, "is a CNAME to %s, where there is no TXT record (%s)", a.Aliases[n-1],
			a.Status)
		return
	}
	v.add(Missing, true, "there is no TXT record (%s)", a.Status)
}

// misplaced are the names at which a record lands by the usual slips: the zone's name appended once
// more, whichever parent of the domain the zone is, and _domainkey forgotten.
func misplaced(name, domain string) []string {
	var out []string
	for zone := domain; strings.Contains(zone, "."); _, zone, _ = strings.Cut(zone, ".") {
		out = append(out, name+"."+zone)
		if len(out) == 4 {
			break
		}
	}
	return append(out, strings.Replace(name, "._domainkey.", ".", 1))
}

// isAmong reports whether one of the texts holds our key.
func (v *View) isAmong(texts []string) bool {
	for _, t := range texts {
		if p := publicKey(t); p != "" && (p == v.public || v.Want.Text == "") {
			return true
		}
	}
	return false
}

// judge looks at every record of the name: one that is good makes the key shown, all the others are
// findings.
func (v *View) judge() {
	v.State = Differs
	for _, text := range v.Texts {
		if state := v.judgeText(text); v.State == Differs || state == Shown {
			v.State = state
		}
	}
	if n := len(v.Texts); n > 1 {
		v.add(Several, true, "there are %d TXT records, and a verifier may use any of them", n)
	}
}

// judgeText finds what is wrong with one record.
func (v *View) judgeText(text string) State {
	if what := pasted(text); what != "" {
		v.add(Pasted, true, "%s: %s", what, clip(text))
		return Differs
	}
	if target := typed(text); target != "" {
		v.add(Typed, true, "is a TXT record with the name %s: it should be a CNAME record", target)
		return Differs
	}
	if v.isTruncated(text) {
		v.add(Truncated, true, "cut off after %d of %d octets%s", len(text), len(v.Want.Text),
			atString(len(text)))
		return Differs
	}
	record, err := dkim.ParseRecord(text)
	if err != nil {
		return v.unusable(text, err)
	}
	if shown := fingerprint(text); v.public != "" && publicKey(text) != v.public &&
		shown != v.Want.Fingerprint {
		v.add(WrongKey, true, "shows another key, %s, instead of %s", shown, v.Want.Fingerprint)
		return Differs
	}
	if strings.TrimSpace(text) != text {
		v.add(Spaced, false, "has white space around it")
	}
	if tags := tagsOf(text); spaced(tags) {
		v.add(Spaced, false, "has white space inside the key, which some verifiers do not skip as they should")
	}
	if isPKCS1(text) {
		v.add(PKCS1, false, "has the key as PKCS#1 (RSAPublicKey), which some verifiers cannot "+
			"read; publish it as SubjectPublicKeyInfo, as mailseal keygen prints it")
	}
	if record.Testing {
		v.add(Testing, false, "has t=y: verifiers may treat signatures as a test, and ignore "+
			"those that fail")
	}
	return Shown
}

// atString tells the reader why a record ends where it does.
func atString(n int) string {
	if n%keys.MaxString == 0 {
		return ", where the first string ends: the provider's form accepts only one string; enter " +
			"the value in strings of at most 255 octets"
	}
	return ""
}

// unusable says why verifiers do not take a record.
func (v *View) unusable(text string, err error) State {
	reason := strings.TrimPrefix(err.Error(), "dkim: ")
	fault, _ := err.(*dkim.RecordError)
	switch {
	case fault != nil && fault.State == dkim.KeyRevoked:
		v.add(Empty, true, "the key is revoked (p= is empty)")
		return Revoked
	case fault != nil && fault.State == dkim.KeyTooShort:
		v.add(TooShort, true, "%s: verifiers refuse it (RFC 8301 section 3.2)", reason)
	case v.public == "" && len(text) > 0 && len(text)%keys.MaxString == 0:
		v.add(Truncated, true, "cut off after %d octets%s", len(text), atString(len(text)))
	case isExcluded(tagsOf(text)):
		v.add(Excluded, true, "%s", reason)
	default:
		v.add(Malformed, true, "%s: %s", reason, clip(text))
	}
	return Differs
}

// isTruncated finds the beginning of our record, or of our key in another's words. One that ends
// with "p=" is revoked.
func (v *View) isTruncated(text string) bool {
	p, given := tagsOf(text).Value("p")
	if p = taglist.Compact(p); v.public == "" || given && p == "" {
		return false
	}
	if text != "" && len(text) < len(v.Want.Text) && strings.HasPrefix(v.Want.Text, text) {
		return true
	}
	return len(p) > 16 && len(p) < len(v.public) && strings.HasPrefix(v.public, p)
}

// pasted finds characters that belong to a zone file or a word processor and not to a record.
func pasted(text string) string {
	switch {
	case strings.Contains(text, `"`):
		return "the value contains quotes, which are only for zone files"
	case strings.Contains(text, `\`):
		return "the value contains backslashes, which are only for zone files"
	case strings.ContainsFunc(text, func(r rune) bool {
		return r > '~' || r < ' ' && r != '\t' && r != '\r' && r != '\n'
	}):
		return "there are octets in the value that are not ASCII, such as a space that does not break"
	}
	return ""
}

func tagsOf(text string) taglist.List {
	tags, err := taglist.Parse(text)
	if err != nil {
		tags, _ = taglist.ParseLenient(text)
	}
	return tags
}

// publicKey returns the p= tag without white space, "" when there is none.
func publicKey(text string) string {
	p, _ := tagsOf(text).Value("p")
	return taglist.Compact(p)
}

func spaced(tags taglist.List) bool {
	p, _ := tags.Value("p")
	return taglist.Compact(p) != p
}

// isExcluded reports whether h= or s= is there at all; dkim has refused the record then.
func isExcluded(tags taglist.List) bool {
	for _, name := range []string{"h", "s"} {
		if value, given := tags.Value(name); given && !strings.Contains(value, "sha256") &&
			!strings.Contains(value, "email") && !strings.Contains(value, "*") {
			return true
		}
	}
	return false
}

// clip keeps what strangers publish from filling a screen.
func clip(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return fmt.Sprintf("%q", s)
}
