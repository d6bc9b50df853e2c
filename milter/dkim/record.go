package dkim

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"mailseal/milter/taglist"
)

// Sizes of RSA keys, in bits of the modulus.
const (
	minRSABits = 1024 // below it a signature proves nothing (RFC 8301 section 3.2)
	maxRSABits = 8192 // the largest that is tried; RFC 8301 section 3.2 asks for 1024 to 4096
)

// maxRecordText is how long a key record may be. A key of 8192 bits takes 1.4 KB of base64; of what
// is beside it nothing is needed, and the sender of a long ARC chain can name a hundred keys.
const maxRecordText = 4 << 10

// maxExponent bounds the public exponent: crypto/rsa takes no larger one, and every bit of it
// costs.
const maxExponent = 1<<31 - 1

// Record is a key record that mail may be verified with (RFC 6376 section 3.6.1).
type Record struct {
	Text    string // as the DNS gave it
	Key     PublicKey
	Testing bool // t=y: the domain is trying DKIM out
	Strict  bool // t=s: the domain of i= must be d= itself
}

// RecordError is the reason why a text is not a key record that can verify mail.
type RecordError struct {
	State  KeyState // KeyRevoked, KeyTooShort, KeyTooLong or KeyInvalid
	Reason string   // for a postmaster: a sentence about the key
}

func (e *RecordError) Error() string { return "dkim: " + e.Reason }

// ParseRecord reads the text of a key record whose strings are joined. The error is a *RecordError.
// Hash and service restrictions (h=, s=) that shut out our only hash and our only service make a
// record unusable (RFC 6376 section 6.1.2); unknown tags mean nothing, nor do g= (RFC 6376 appendix
// C.1) and a ";" too many, which hand-made records have.
func ParseRecord(text string) (Record, error) {
	if len(text) > maxRecordText {
		reason := fmt.Sprintf("the key record has %d octets, more than the %d that are read",
			len(text), maxRecordText)
		return Record{}, &RecordError{KeyTooLong, reason}
	}
	tags, err := taglist.Parse(text)
	if err != nil {
		var skipped []string
		if tags, skipped = taglist.ParseLenient(text); len(skipped) > 0 {
			return Record{}, invalid("the key record is not a list of tags: %q", clip(skipped[0]))
		}
	}
	if err := checkVersion(tags); err != nil {
		return Record{}, err
	}
	if h, given := tags.Value("h"); given && !listed(h, "sha256") {
		return Record{}, invalid("the key record does not allow SHA-256 (h=%s)", clip(h))
	}
	if s, given := tags.Value("s"); given && !listed(s, "email", "*") {
		return Record{}, invalid("the key record is not for mail (s=%s)", clip(s))
	}
	r := Record{Text: text}
	if flags, given := tags.Value("t"); given {
		r.Testing, r.Strict = listed(flags, "y"), listed(flags, "s")
	}
	r.Key, err = parseKey(tags)
	return r, err
}

// checkVersion wants v= first and DKIM1, if it is there at all (RFC 6376 section 3.6.1).
func checkVersion(tags taglist.List) error {
	v, given := tags.Value("v")
	switch {
	case given && v != "DKIM1":
		return invalid("the key record has version %q, not DKIM1", clip(v))
	case given && tags[0].Name != "v":
		return invalid("the version of the key record does not come first")
	}
	return nil
}

func parseKey(tags taglist.List) (PublicKey, error) {
	p, given := tags.Value("p")
	if !given {
		return PublicKey{}, invalid("the key record has no key (p=)")
	}
	if p == "" {
		return PublicKey{}, &RecordError{KeyRevoked, "the key was revoked by its owner (empty p=)"}
	}
	raw, err := base64.StdEncoding.DecodeString(taglist.Compact(p))
	if err != nil {
		return PublicKey{}, invalid("the key in the record is not base64")
	}
	switch k, given := tags.Value("k"); {
	case !given || k == "rsa":
		return parseRSA(raw)
	case k == "ed25519":
		return parseEd25519(raw)
	default:
		return PublicKey{}, invalid("the key record is of an unknown type (k=%s)", clip(k))
	}
}

// parseRSA takes a SubjectPublicKeyInfo, the usual form, and an RSAPublicKey, which RFC
// 6376 asks for (erratum 3017). What is too long is not even parsed.
func parseRSA(der []byte) (PublicKey, error) {
	if len(der) > maxRSABits/8*2 {
		return PublicKey{}, tooLong()
	}
	key, err := readRSA(der)
	if err != nil {
		return PublicKey{}, err
	}
	switch bits := key.N.BitLen(); {
	case bits < minRSABits:
		return PublicKey{}, &RecordError{KeyTooShort, fmt.Sprintf("the key has only %d bits", bits)}
	case bits > maxRSABits:
		return PublicKey{}, tooLong()
	case key.E < 3 || key.E > maxExponent || key.E&1 == 0 || key.N.Bit(0) == 0:
		return PublicKey{}, invalid("the key in the record is not a valid RSA key")
	}
	return PublicKey{rsa: key}, nil
}

func readRSA(der []byte) (*rsa.PublicKey, error) {
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		if public, err = x509.ParsePKCS1PublicKey(der); err != nil {
			return nil, unreadKey(der)
		}
	}
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return nil, invalid("the record has k=rsa, but its key is not an RSA key")
	}
	return key, nil
}

// oidRSAPSS is id-RSASSA-PSS (RFC 4055 section 3.1), which openssl genpkey -algorithm RSA-PSS
// makes.
var oidRSAPSS = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}

// unreadKey returns an error that describes a key that is not an RSA key.
func unreadKey(der []byte) error {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err == nil &&
		info.Algorithm.Algorithm.Equal(oidRSAPSS) {
		return invalid(
			"the key in the record is an RSA-PSS key; DKIM has plain RSA only (rsaEncryption)")
	}
	return invalid("the key in the record cannot be read")
}

// parseEd25519 takes the 32 octets bare (RFC 8463 section 4.2).
func parseEd25519(raw []byte) (PublicKey, error) {
	if len(raw) != ed25519.PublicKeySize {
		return PublicKey{}, invalid("the Ed25519 key in the record has %d octets, not 32", len(raw))
	}
	return PublicKey{ed25519: raw}, nil
}

func invalid(format string, args ...any) error {
	return &RecordError{KeyInvalid, fmt.Sprintf(format, args...)}
}

func tooLong() error {
	return &RecordError{KeyTooLong, fmt.Sprintf("the key has more than %d bits", maxRSABits)}
}

// listed reports whether a colon-separated list holds one of words.
func listed(list string, words ...string) bool {
	for item := range strings.SplitSeq(list, ":") {
		if slices.Contains(words, taglist.Compact(item)) {
			return true
		}
	}
	return false
}
