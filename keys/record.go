package keys

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ErrName means that a selector or domain cannot be written to a zone file. The caller has
// to convert U-labels to A-labels first.
var ErrName = errors.New("not a domain name")

// MaxString is the length of one string of a TXT record, in octets (RFC 1035 section 3.3). Readers
// join the strings without a space (RFC 6376 section 3.6.2.2).
const MaxString = 255

// recordTTL is the time to live of records that we print, in seconds: short enough to correct a
// mistake within the hour.
const recordTTL = 3600

// RecordOptions are the optional tags of a key record (RFC 6376 section 3.6.1).
type RecordOptions struct {
	Testing   bool // t=y: verifiers treat a bad signature as none; for the first days only
	Strict    bool // t=s: the i= tag may name no subdomain
	EmailOnly bool // s=email
	Revoked   bool // an empty p= tag
}

// Record is the DNS record that publishes a key.
type Record struct {
	Name        string // mail._domainkey.example.com, without final dot
	Text        string // the TXT value, its strings joined: "v=DKIM1; k=rsa; p=…"
	Fingerprint string // of the public key, see Fingerprint
}

// Record returns the DNS record that the key needs. Its errors are ErrName and ErrAlgorithm.
func (k Key) Record(o RecordOptions) (Record, error) {
	name := k.Selector + "._domainkey." + strings.TrimSuffix(k.Domain, ".")
	if !validName(name) {
		return Record{}, fmt.Errorf("%w: %q", ErrName, name)
	}
	alg, public, err := k.public()
	if err != nil {
		return Record{}, err
	}
	if o.Revoked {
		public = ""
	}
	tags := []string{"v=DKIM1", "k=" + string(alg)}
	if o.EmailOnly {
		tags = append(tags, "s=email")
	}
	if flags := o.flags(); flags != "" {
		tags = append(tags, "t="+flags)
	}
	tags = append(tags, "p="+public)
	fingerprint, err := k.Fingerprint()
	return Record{Name: name, Text: strings.Join(tags, "; "), Fingerprint: fingerprint}, err
}

func (o RecordOptions) flags() string {
	switch {
	case o.Testing && o.Strict:
		return "y:s"
	case o.Testing:
		return "y"
	case o.Strict:
		return "s"
	}
	return ""
}

// public returns the p= tag: for RSA a SubjectPublicKeyInfo (RFC 6376 section 3.6.1, erratum 3758),
// for Ed25519 the bare 32 octets (RFC 8463 section 4).
func (k Key) public() (Algorithm, string, error) {
	switch s := Unwrap(k.Signer).(type) {
	case *rsa.PrivateKey:
		der, err := x509.MarshalPKIXPublicKey(&s.PublicKey)
		return RSA, base64.StdEncoding.EncodeToString(der), err
	case ed25519.PrivateKey:
		return Ed25519, base64.StdEncoding.EncodeToString(s.Public().(ed25519.PublicKey)), nil
	}
	return "", "", fmt.Errorf("%w: %T", ErrAlgorithm, k.Signer)
}

// Fingerprint returns "sha256:" and the hexadecimal SHA-256 of the public key's
// SubjectPublicKeyInfo, which "openssl pkey -in FILE -pubout -outform DER | openssl dgst -sha256"
// prints too.
func (k Key) Fingerprint() (string, error) {
	if alg, _ := k.Algorithm(); alg == "" {
		return "", fmt.Errorf("%w: %T", ErrAlgorithm, k.Signer)
	}
	return FingerprintOf(k.Signer.Public())
}

// FingerprintOf returns the Fingerprint of a public key, such as one that the DNS shows.
func FingerprintOf(public crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("encode the key: %w", err)
	}
	sum := sha256.Sum256(der)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// validName keeps out what would end a line or open a bracket in a zone file.
func validName(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(strings.ToLower(label),
			"abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// Strings returns the TXT value in strings of at most MaxString octets.
func (r Record) Strings() []string {
	var out []string
	text := r.Text
	for ; len(text) > MaxString; text = text[MaxString:] {
		out = append(out, text[:MaxString])
	}
	return append(out, text)
}

// Zone returns the record for a zone file (RFC 1035 section 5.1), one string a line, with a final
// line feed. The name is absolute, so that it means the same in every zone file.
func (r Record) Zone() string {
	return fmt.Sprintf("%s. %d IN TXT (\n\t%s )\n", r.Name, recordTTL, r.quoted("\n\t"))
}

// Line returns the same record on one line, without a line feed.
func (r Record) Line() string {
	return fmt.Sprintf("%s. %d IN TXT %s", r.Name, recordTTL, r.quoted(" "))
}

// NSUpdate returns commands for nsupdate that publish the record, and only it, at its name.
func (r Record) NSUpdate() string {
	return fmt.Sprintf("update delete %s. TXT\nupdate add %s\nsend\n", r.Name, r.Line())
}

// quoted needs no escapes: base64, tag names and ": ;=" are all that a key record has.
func (r Record) quoted(separator string) string {
	return `"` + strings.Join(r.Strings(), `"`+separator+`"`) + `"`
}

// MarshalJSON writes the record in the forms that DNS providers' interfaces ask for.
func (r Record) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name        string   `json:"name"`
		Type        string   `json:"type"`
		TTL         int      `json:"ttl"`
		Value       string   `json:"value"`
		Strings     []string `json:"strings"`
		Fingerprint string   `json:"fingerprint"`
	}{r.Name, "TXT", recordTTL, r.Text, r.Strings(), r.Fingerprint})
}
