// Package examine implements "mailseal verify", "sign", "spf", "dmarc" and "explain-signing": it
// calls the functions of the daemon for one message, sender or domain, and prints how the result
// was found.
package examine

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/keys/files"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
)

// maxZone bounds a zone file, in bytes.
const maxZone = 64 << 20

// OpenResolver answers from a zone file, or asks the DNS for "".
func OpenResolver(zone string) (dns.Resolver, error) {
	if zone == "" {
		r, err := dns.New(dns.Options{})
		if err != nil {
			return nil, answer.NewUnknown(err)
		}
		return r, nil
	}
	text, err := files.ReadAny(zone, maxZone)
	if err != nil {
		return nil, answer.NewUnknown(fmt.Errorf("--zone: %w", err))
	}
	z, err := dnstest.Load(bytes.NewReader(text))
	var mistake *dnstest.Mistake
	switch {
	case errors.As(err, &mistake):
		return nil, answer.NewUnknown(fmt.Errorf("--zone: %s:%d: %s", zone, mistake.Line,
			mistake.Text))
	case err != nil:
		return nil, answer.NewUnknown(fmt.Errorf("--zone: %s: %w", zone, err))
	}
	return z, nil
}

// Resolver answers from a zone file or, for "", asks the servers of a configuration; with none,
// those of the host.
func Resolver(zone string, cfg *config.Config) (dns.Resolver, error) {
	if zone != "" || cfg == nil {
		return OpenResolver(zone)
	}
	_, r, err := assembly.NewResolver(cfg)
	if err != nil {
		return nil, answer.NewUnknown(err)
	}
	return r, nil
}

// crlf returns a message with CRLF line ends.
func crlf(raw []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"),
		[]byte("\r\n"))
}

func either(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

// indent shows a text apart from ours.
func indent(text string) string {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(text, "\r", ""), "\n"), "\n")
	return "    " + strings.Join(lines, "\n    ") + "\n"
}
