package examine

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"mailseal/milter/message"
)

// errReceived means that a Received field does not contain the client's address.
var errReceived = errors.New("the Received field names no client address")

// The forms in which mail servers write the client into Received (RFC 5321 section 4.4 leaves the
// comments to them):
//
//	from HELO (NAME [192.0.2.1])           Postfix, Sendmail, Gmail, Microsoft
//	from NAME ([192.0.2.1] helo=HELO)      Exim
//	from NAME (HELO HELO) (192.0.2.1)      qmail
var (
	receivedFrom   = regexp.MustCompile(`(?i)^\s*from\s+(\S+)`)
	receivedBy     = regexp.MustCompile(`(?i)\sby\s`)
	clientAddress  = regexp.MustCompile(`\[(?i:IPv6:)?([0-9A-Fa-f:.]+)\]`)
	inParentheses  = regexp.MustCompile(`\(([0-9A-Fa-f:.]+)\)`)
	heloInComment  = regexp.MustCompile(`(?i)[( ]helo[= ]([^\s)\]]+)`)
	envelopeFrom   = regexp.MustCompile(`(?i)envelope-from\s+<?([^\s>;)]*)`)
	returnPathForm = regexp.MustCompile(`<([^>]*)>`)
)

// origin is who handed a message over, as its own fields tell.
type origin struct {
	client netip.Addr
	helo   string
	sender string
}

// originOf reads the Received field at a place, counted from 1 at the top, and the envelope sender
// of the first Return-Path or of that field. What a stranger wrote below the field of the own mail
// server may be forged.
func originOf(h message.Header, n int) (origin, error) {
	var fields []string
	var out origin
	hasPath := false
	for _, f := range h {
		value := strings.Join(strings.Fields(string(f.Value())), " ")
		switch {
		case f.Is("Received"):
			fields = append(fields, value)
		case f.Is("Return-Path") && !hasPath:
			if m := returnPathForm.FindStringSubmatch(value); m != nil {
				out.sender, hasPath = m[1], true
			}
		}
	}
	if n > len(fields) {
		return origin{}, fmt.Errorf("there is no Received field %d: the message has %d", n,
			len(fields))
	}
	value := fields[n-1]
	if m := envelopeFrom.FindStringSubmatch(value); m != nil && !hasPath {
		out.sender = m[1]
	}
	from := value
	if at := receivedBy.FindStringIndex(value); at != nil {
		from = value[:at[0]]
	}
	m := receivedFrom.FindStringSubmatch(from)
	if m == nil {
		return origin{}, fmt.Errorf("%w: %.100s", errReceived, value)
	}
	out.helo = m[1]
	if m := heloInComment.FindStringSubmatch(from); m != nil {
		out.helo = m[1]
	}
	for _, form := range []*regexp.Regexp{clientAddress, inParentheses} {
		if all := form.FindAllStringSubmatch(from[len(m[0]):], -1); len(all) > 0 {
			if a, err := netip.ParseAddr(all[len(all)-1][1]); err == nil {
				out.client = a.Unmap()
				return out, nil
			}
		}
	}
	return origin{}, fmt.Errorf("%w: %.100s", errReceived, value)
}
