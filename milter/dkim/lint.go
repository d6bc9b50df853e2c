package dkim

import (
	"cmp"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"mailseal/milter/lint"
	"mailseal/milter/taglist"
)

// The codes of Lint.
const (
	FlawPasted      = "dkim-pasted"
	FlawVersion     = "dkim-version"
	FlawMalformed   = "dkim-malformed"
	FlawRevoked     = "dkim-revoked"
	FlawShort       = "dkim-key-too-short"
	FlawModest      = "dkim-key-1024"
	FlawLarge       = "dkim-key-too-long"
	FlawHash        = "dkim-hash"
	FlawKeyType     = "dkim-key-type"
	FlawService     = "dkim-service"
	FlawTesting     = "dkim-testing"
	FlawGranularity = "dkim-granularity"
	FlawDomainKeys  = "dkim-domainkeys-record"
	FlawExponent    = "dkim-exponent"
	FlawWeak        = "dkim-key-weak"
)

// Sizes of RSA keys that are advised, in bits (RFC 8301 section 3.2).
const (
	advisedBits = 2048
	largestBits = 4096
)

// Lint finds what is wrong with the text of a key record of which only the text is known,
// and what is worth knowing of it. What ParseRecord refuses always has a flaw.
func Lint(text string) []lint.Flaw {
	var flaws lint.List
	tags, _ := taglist.ParseLenient(text)
	record, err := ParseRecord(text)
	// A note (n=) may hold any character: what verifiers take is not spoiled.
	if clause, start, end := lint.Pasted(text); clause != "" && err != nil {
		flaws.Add(FlawPasted, clause, start, end)
		return flaws
	}
	if err != nil {
		refused(&flaws, text, tags, err)
	} else {
		lintKey(&flaws, text, tags, record)
	}
	if _, given := tags.Value("g"); given {
		at(&flaws, FlawGranularity, "g= belonged to DomainKeys and has no meaning in RFC 6376: "+
			"delete the tag",
			text, tags, "g")
	}
	if _, given := tags.Value("v"); !given && err == nil {
		flaws.Add(FlawDomainKeys, "the record has no v=DKIM1, as in DomainKeys; most verifiers "+
			"accept it, but not all: write v=DKIM1; before it", 0, 0)
	}
	return flaws
}

// refused adds the flaw that makes verifiers ignore a record.
func refused(flaws *lint.List, text string, tags taglist.List, err error) {
	reason := strings.TrimPrefix(err.Error(), "dkim: ")
	var fault *RecordError
	if errors.As(err, &fault) {
		switch fault.State {
		case KeyRevoked:
			at(flaws, FlawRevoked, "the key is revoked (p= is empty): signatures with it "+
				"fail", text, tags, "p")
			return
		case KeyTooShort:
			at(flaws, FlawShort, reason+": verifiers refuse it (RFC 8301 section 3.2)", text, tags,
				"p")
			return
		case KeyTooLong:
			at(flaws, FlawLarge, reason+": verifiers refuse it", text, tags, "p")
			return
		}
	}
	h, hasHash := tags.Value("h")
	s, hasService := tags.Value("s")
	k, hasType := tags.Value("k")
	switch {
	case strings.HasPrefix(strings.ToLower(text), "v=spf1"):
		flaws.Add(FlawVersion, "this is an SPF record, which belongs at the domain itself", 0, 0)
	case checkVersion(tags) != nil && strings.Contains(text, "p=") && !strings.Contains(text, ";"):
		flaws.Add(FlawVersion, "the semicolons between the tags are missing", 0, 0)
	case strings.Count(strings.ToLower(text), "v=dkim1") > 1:
		second := strings.LastIndex(strings.ToLower(text), "v=dkim1")
		flaws.Add(FlawMalformed, "a second record begins here: a name can have only one "+
			"key", min(second, len(text)), len(text))
	case checkVersion(tags) != nil:
		at(flaws, FlawVersion, reason, text, tags, "v")
	case hasHash && !listed(h, "sha256"):
		at(flaws, FlawHash, "h= does not list sha256, so no signature counts: delete the "+
			"tag", text, tags, "h")
	case hasService && !listed(s, "email", "*"):
		at(flaws, FlawService, "s= does not list email, so no signature counts: delete the "+
			"tag", text, tags, "s")
	case hasType && k != strings.ToLower(k) && (strings.EqualFold(k, "rsa") ||
		strings.EqualFold(k, "ed25519")):
		at(flaws, FlawKeyType, reason+": write k="+strings.ToLower(k), text, tags, "k")
	case hasType && k != "rsa" && k != "ed25519":
		at(flaws, FlawKeyType, reason, text, tags, "k")
	case strings.Contains(text, "-----"):
		flaws.Add(FlawMalformed, reason+
			": the lines -----BEGIN and -----END of the key file do not "+
			"belong in a record", 0, 0)
	default:
		p, _ := tags.Value("p")
		if kind, _ := keyType(p); kind != "" && kind != k && (hasType || kind != "rsa") {
			at(flaws, FlawMalformed, reason+": this is a key of another type, k="+kind, text, tags,
				"p")
			return
		}
		at(flaws, FlawMalformed, reason, text, tags, "p")
	}
}

// keyType finds out by its form which type a key is of, and returns the value of p= that belongs to
// it; "" for a key of no known form.
func keyType(p string) (kind, value string) {
	raw, err := base64.StdEncoding.DecodeString(taglist.Compact(p))
	if err != nil {
		return "", ""
	}
	if len(raw) == ed25519.PublicKeySize {
		return "ed25519", taglist.Compact(p)
	}
	if _, err := readRSA(raw); err == nil {
		return "rsa", taglist.Compact(p)
	}
	if public, err := x509.ParsePKIXPublicKey(raw); err == nil {
		// as openssl writes it; a record has the key alone
		if key, ok := public.(ed25519.PublicKey); ok {
			return "ed25519", base64.StdEncoding.EncodeToString(key)
		}
	}
	return "", ""
}

// lintKey adds flaws of a record that verifiers do use.
func lintKey(flaws *lint.List, text string, tags taglist.List, r Record) {
	if r.Testing {
		at(flaws, FlawTesting, "t=y says that the domain is still testing DKIM: delete the tag "+
			"when the test is over",
			text, tags, "t")
	}
	if r.Key.rsa == nil {
		return
	}
	switch bits := r.Key.Bits(); {
	case bits < advisedBits:
		at(flaws, FlawModest, fmt.Sprintf("the key has %d bits and should have %d (RFC 8301 "+
			"section 3.2)", bits, advisedBits), text, tags, "p")
	case bits > largestBits:
		at(flaws, FlawLarge, fmt.Sprintf("the key has %d bits, and verifiers need not accept more "+
			"than %d (RFC 8301 section 3.2)", bits, largestBits), text, tags, "p")
	}
	if why := weakness(r.Key.rsa); why != "" {
		at(flaws, FlawWeak, "anyone can compute the private key: "+why, text, tags, "p")
	}
	if r.Key.rsa.E != 1<<16+1 {
		at(flaws, FlawExponent, fmt.Sprintf("the public exponent is %d, not 65537 as in "+
			"every common key", r.Key.rsa.E), text, tags, "p")
	}
}

// at adds a flaw about a tag of a record.
func at(flaws *lint.List, code, clause, text string, tags taglist.List, name string) {
	for _, t := range tags {
		if t.Name == name {
			start := strings.LastIndex(text[:t.Start], name)
			flaws.Add(code, clause, max(start, 0), t.End)
			return
		}
	}
	flaws.Add(code, clause, 0, 0)
}

// gap finds what separates two tags where the semicolons are missing.
var gap = regexp.MustCompile(`[\s,]+([a-z]=)`)

// frame finds the lines around a key in a file.
var frame = regexp.MustCompile(`-----(BEGIN|END)[ A-Z]+-----`)

// Repair returns the key record that an owner will have meant by a text with mistakes, "" when that
// is not known. It leaves out tags that keep signatures from counting, and characters that belong
// to no record; the key stays.
func Repair(text string) string {
	if lint.Loses(text) {
		return ""
	}
	text = frame.ReplaceAllString(lint.Clean(text), "")
	if second := strings.LastIndex(strings.ToLower(text), "v=dkim1"); second > 0 {
		text = text[second:] // the first one is cut off, or only its beginning
	}
	if !strings.Contains(text, ";") {
		text = gap.ReplaceAllString(text, "; $1")
	}
	tags, _ := taglist.ParseLenient(text)
	p, _ := tags.Value("p")
	kind, key := keyType(p)
	out := []string{"v=DKIM1"}
	if _, given := tags.Value("k"); !given && kind == "ed25519" {
		out = append(out, "k="+kind)
	}
	for _, t := range tags {
		switch t.Name {
		case "k":
			out = append(out, "k="+cmp.Or(kind, strings.ToLower(t.Value)))
		case "p":
			out = append(out, "p="+cmp.Or(key, taglist.Compact(t.Value)))
		case "t":
			if listed(t.Value, "s") {
				out = append(out, "t=s")
			}
		}
	}
	repaired := strings.Join(out, "; ")
	if _, err := ParseRecord(repaired); err != nil {
		return ""
	}
	return repaired
}
