package examine

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"mailseal/milter/dkim"
	"mailseal/milter/dkim/diagnose"
	"mailseal/milter/keydns"
	"mailseal/milter/message"
)

// Explain writes what was found at length, for a postmaster who has to find out what broke.
func (m *Message) Explain(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%s\n", m.name, strings.Repeat("=", len(m.name)))
	m.explainFrom(&b)
	m.explainDKIM(&b)
	m.explainOthers(&b)
	if m.daemon != nil {
		fmt.Fprintf(&b, "\nThe daemon: %s.\n", m.daemon)
		if len(m.daemon.rules) > 0 {
			fmt.Fprintf(&b, "\nThe rules of the policy:\n")
			writeRules(&b, m.daemon.rules, "  ")
		}
	}
	fmt.Fprintf(&b, "\nAuthentication-Results: %s\n", m.field)
	_, err := w.Write(b.Bytes())
	return err
}

func (m *Message) explainFrom(b *bytes.Buffer) {
	r := m.results
	switch {
	case r.ManyAuthors():
		fmt.Fprintf(b,
			"\nFrom: several authors: %v.\n  DMARC cannot pass such a message: each domain is "+
				"judged by its own record, up to %d. No rule signs it.\n",
			r.AuthorErr, message.MaxDomains)
	case r.AuthorErr != nil:
		fmt.Fprintf(b,
			"\nFrom: no author: %v.\n  DMARC cannot pass such a message, and no rule signs it.\n",
			r.AuthorErr)
	default:
		fmt.Fprintf(b, "\nFrom: the author's domain is %s.\n", r.Author)
		if doubt := r.From.Doubt(); doubt != "" {
			fmt.Fprintf(b,
				"  The field violates RFC 5322: %s.\n  It shows only this domain, so DMARC uses "+
					"it, and signing.malformed_from decides whether the message is signed.\n",
				doubt)
		}
	}
}

func (m *Message) explainDKIM(b *bytes.Buffer) {
	results := m.results.DKIM
	if len(results) == 0 {
		fmt.Fprint(b, "\nDKIM: the message has no signature.\n")
		return
	}
	body, err := m.body()
	for i, r := range results {
		fmt.Fprintf(b, "\nDKIM, signature %d of %d: %s.\n", i+1, len(results), r.Value)
		m.explainSignature(b, r)
		if err != nil {
			fmt.Fprintf(b, "  The body cannot be read: %v.\n", err)
			continue
		}
		for _, f := range diagnose.Signature(m.message.Header, body, r) {
			fmt.Fprintf(b, "  %s: %s.\n", either(f.Sure, "Cause", "Found"), f.Cause)
			if f.Cure != "" {
				fmt.Fprintf(b, "  What to do: %s.\n", f.Cure)
			}
		}
	}
	for _, s := range m.second {
		fmt.Fprintf(b, "\nSecond opinion, signature %d: %s.\n", s.Signature, s)
	}
}

// explainSignature describes what a signature claims and which of its parts are valid.
func (m *Message) explainSignature(b *bytes.Buffer, r dkim.Result) {
	proof := r.Evidence
	if r.Domain != "" {
		fmt.Fprintf(b, "  Made for %s with the key %s._domainkey.%s, %s, %s.\n",
			r.Domain, r.Selector, r.Domain, r.Algorithm, r.Canonicalization)
	}
	if r.Reason != "" {
		fmt.Fprintf(b, "  In short: %s.\n", r.Reason)
	}
	if proof.Record != "" {
		fmt.Fprintf(b, "  Published key: %s\n", shorten(proof.Record, 100))
		for _, f := range keydns.Record(proof.Record) {
			fmt.Fprintf(b, "  The record: %s.\n", f.Text)
		}
	}
	if proof.Checked {
		fmt.Fprintf(b, "  The body %s; the header and the signature itself %s.\n",
			either(proof.BodyIntact, "is unchanged", "was CHANGED after signing"),
			either(proof.HeaderIntact, "fit together", "do NOT fit together"))
		// in base64, as in bh=, so that an operator finds it in the message
		fmt.Fprintf(b, "  Body hash: %s; signed, in bh=: %s.\n",
			base64.StdEncoding.EncodeToString(proof.BodyHash),
			base64.StdEncoding.EncodeToString(proof.SignedBodyHash))
	}
	if r.Testing {
		fmt.Fprint(b, "  The key is in test mode (t=y): a failure must not count against the "+
			"message.\n")
	}
}

func (m *Message) explainOthers(b *bytes.Buffer) {
	r := m.results
	if r.SPF != nil {
		fmt.Fprintf(b, "\nSPF: %s. %s.\n%s", r.SPF.Value, upperFirst(r.SPF.Reason),
			indent(r.SPF.String()))
	}
	if r.TellsHELO() {
		fmt.Fprintf(b, "\nSPF of HELO: %s. %s. DMARC does not use it.\n%s", r.HELO.Value,
			upperFirst(r.HELO.Reason), indent(r.HELO.String()))
	}
	if r.IPRev != nil {
		fmt.Fprintf(b, "\nReverse DNS: %s. %s\n", r.IPRev.Value,
			strings.TrimSpace(r.IPRev.Name+" "+r.IPRev.Reason))
	}
	if r.ARC != nil && r.ARC.Value != "none" {
		fmt.Fprintf(b, "\nARC: %s. %s\n", r.ARC.Value, r.ARC.Reason)
		for _, s := range r.ARC.Sets {
			fmt.Fprintf(b, "  %d sealed by %s (%s), which saw: %s\n", s.Instance, s.Sealer,
				s.Selector, shorten(s.Payload, 200))
		}
	}
	if r.DMARC != nil {
		fmt.Fprintf(b, "\nDMARC: %s. %s.\n%s", r.DMARC.Value, upperFirst(r.DMARC.Reason),
			indent(dmarcText(r.Author, *r.DMARC, false)))
	}
	if r.SPF == nil && m.daemon == nil {
		fmt.Fprint(b, "\nSPF was not checked, and DMARC was decided by DKIM alone: --ip, --helo and "+
			"--from give the client's address and the envelope.\n")
	}
}

// body is the message's body with CRLF line ends.
func (m *Message) body() ([]byte, error) {
	r := bufio.NewReader(bytes.NewReader(crlf(m.raw)))
	if _, err := message.ReadHeader(r, maxHeader); err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// shorten cuts a stranger's text and makes it one line.
func shorten(s string, most int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
