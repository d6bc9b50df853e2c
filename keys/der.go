package keys

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
)

// oidRSAPSS is id-RSASSA-PSS (RFC 4055 section 3.1), which openssl genpkey -algorithm RSA-PSS
// makes.
var oidRSAPSS = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}

// isPSS reports whether der is a private key of PKCS#8 for RSA-PSS.
func isPSS(der []byte) bool {
	var info struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	_, err := asn1.Unmarshal(der, &info)
	return err == nil && info.Algorithm.Algorithm.Equal(oidRSAPSS)
}

// binaryDER returns the ASN.1 sequence that text consists of, without a line end after it.
// It returns nil if text is anything else.
func binaryDER(text []byte) []byte {
	if !bytes.ContainsFunc(text, func(r rune) bool { return r < '\t' || r > '~' }) {
		return nil // a seed in base64 may begin as a sequence does
	}
	var whole asn1.RawValue
	rest, err := asn1.Unmarshal(text, &whole)
	if err != nil || len(rest) > 2 || whole.Tag != asn1.TagSequence || !whole.IsCompound {
		return nil
	}
	return whole.FullBytes
}

// describeDER returns an error that describes a file of binary DER, and how to convert it.
// Such a file is not read directly: with a line end added or removed it would be another
// key.
func describeDER(der []byte) error {
	_, err := parseDER(der)
	switch {
	case err == nil:
		return fmt.Errorf(
			"%w: it is in DER, not PEM; openssl pkey -inform DER -in FILE -out NEWFILE makes PEM of it", ErrMalformed)
	case !errors.Is(err, ErrMalformed):
		return err
	}
	if _, err := x509.ParseCertificate(der); err == nil {
		return fmt.Errorf("%w: it is in DER; use the file with PRIVATE KEY in it", ErrCertificate)
	}
	return fmt.Errorf("%w: the file is in DER, but has no private key in PKCS#8 or PKCS#1",
		ErrMalformed)
}
