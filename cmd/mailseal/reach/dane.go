package reach

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Pin is a TLSA record (RFC 6698 section 2.1).
type Pin struct {
	Usage, Selector, Matching uint8
	Data                      []byte
}

// ParsePin reads a record as zone files write it: "3 1 1 " and hexadecimal digits.
func ParsePin(text string) (Pin, error) {
	fields := strings.Fields(text)
	if len(fields) < 4 {
		return Pin{}, fmt.Errorf("%q is not a TLSA record", text)
	}
	var numbers [3]uint8
	for i := range numbers {
		n, err := strconv.ParseUint(fields[i], 10, 8)
		if err != nil {
			return Pin{}, fmt.Errorf("%q is not a TLSA record: %w", text, err)
		}
		numbers[i] = uint8(n)
	}
	data, err := hex.DecodeString(strings.Join(fields[3:], ""))
	if err != nil {
		return Pin{}, fmt.Errorf("%q is not a TLSA record: %w", text, err)
	}
	return Pin{numbers[0], numbers[1], numbers[2], data}, nil
}

// The usages that count for SMTP (RFC 7672 section 3.1): a certificate of an authority that is
// shown along, and the host's own.
const (
	usageAuthority = 2
	usageHost      = 3
)

// Counts reports whether senders use the record at all.
func (p Pin) Counts() bool {
	return (p.Usage == usageAuthority || p.Usage == usageHost) && p.Selector <= 1 && p.Matching <= 2
}

// Matches reports whether a chain is the one that the record pins. The host's own certificate may
// be for another name and may have ended; one that an authority vouches for may not.
func (p Pin) Matches(chain []*x509.Certificate, host string, now time.Time) bool {
	if !p.Counts() || len(chain) == 0 {
		return false
	}
	if p.Usage == usageHost {
		return p.is(chain[0])
	}
	for _, c := range chain {
		if !p.is(c) {
			continue
		}
		roots, others := x509.NewCertPool(), x509.NewCertPool()
		roots.AddCert(c)
		for _, o := range chain[1:] {
			others.AddCert(o)
		}
		_, err := chain[0].Verify(x509.VerifyOptions{
			DNSName: host, Roots: roots, Intermediates: others, CurrentTime: now,
		})
		if err == nil {
			return true
		}
	}
	return false
}

// is reports whether a certificate is the one that the record has.
func (p Pin) is(c *x509.Certificate) bool {
	data := c.Raw
	if p.Selector == 1 {
		data = c.RawSubjectPublicKeyInfo
	}
	switch p.Matching {
	case 1:
		sum := sha256.Sum256(data)
		data = sum[:]
	case 2:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return bytes.Equal(data, p.Data)
}
