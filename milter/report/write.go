package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Namespace is that of RFC 9990 section 3.1.
const Namespace = "urn:ietf:params:xml:ns:dmarc-2.0"

// The elements of a report, in the order of the schema. They are kept apart from those that read
// reports: a writer must not be able to write what a reader has to bear.
type xmlFeedback struct {
	XMLName  xml.Name    `xml:"feedback"`
	XMLNS    string      `xml:"xmlns,attr"`
	Version  string      `xml:"version"`
	Metadata xmlMetadata `xml:"report_metadata"`
	Policy   xmlPolicy   `xml:"policy_published"`
	Records  []xmlRecord `xml:"record"`
}

type xmlMetadata struct {
	Org       string  `xml:"org_name"`
	Email     string  `xml:"email"`
	Contact   *string `xml:"extra_contact_info"`
	ID        string  `xml:"report_id"`
	Begin     int64   `xml:"date_range>begin"`
	End       int64   `xml:"date_range>end"`
	Error     *string `xml:"error"`
	Generator string  `xml:"generator"`
}

type xmlPolicy struct {
	Domain    string  `xml:"domain"`
	P         string  `xml:"p"`
	SP        string  `xml:"sp"`
	NP        string  `xml:"np"`
	ADKIM     string  `xml:"adkim"`
	ASPF      string  `xml:"aspf"`
	Discovery string  `xml:"discovery_method"`
	FO        *string `xml:"fo"`
	Testing   string  `xml:"testing"`
}

type xmlRecord struct {
	IP          string      `xml:"row>source_ip"`
	Count       int64       `xml:"row>count"`
	Disposition string      `xml:"row>policy_evaluated>disposition"`
	DKIM        string      `xml:"row>policy_evaluated>dkim"`
	SPF         string      `xml:"row>policy_evaluated>spf"`
	Reasons     []xmlReason `xml:"row>policy_evaluated>reason"`
	HeaderFrom  string      `xml:"identifiers>header_from"`
	Envelope    *string     `xml:"identifiers>envelope_from"`
	Auth        xmlAuth     `xml:"auth_results"`
}

type xmlAuth struct {
	Signatures []xmlDKIM `xml:"dkim"`
	SPFResult  *xmlSPF   `xml:"spf"`
}

type xmlReason struct {
	Type    string  `xml:"type"`
	Comment *string `xml:"comment"`
}

type xmlDKIM struct {
	Domain   string `xml:"domain"`
	Selector string `xml:"selector"`
	Result   string `xml:"result"`
}

type xmlSPF struct {
	Domain string `xml:"domain"`
	Scope  string `xml:"scope"`
	Result string `xml:"result"`
}

// Write returns the XML of a report (RFC 9990 appendix A). What is not right by the RFC is an
// error: a report that a reader refuses is worse than none.
func (a *Aggregate) Write() ([]byte, error) {
	f := xmlFeedback{
		XMLNS:   Namespace,
		Version: "1.0",
		Metadata: xmlMetadata{
			Org: clean(a.Organization), Email: clean(a.Email), Contact: optional(a.Contact),
			ID:    a.ID,
			Begin: a.Begin.Unix(), End: a.End.Unix(), Error: optional(a.notes()),
			Generator: clean(a.Generator),
		},
		Policy: xmlPolicy{
			Domain: a.Policy.Domain, P: a.Policy.P, SP: a.Policy.SP, NP: a.Policy.NP,
			ADKIM: a.Policy.ADKIM, ASPF: a.Policy.ASPF, Discovery: a.Policy.Discovery,
			FO: optional(a.Policy.FO), Testing: "n",
		},
	}
	if a.Policy.Testing {
		f.Policy.Testing = "y"
	}
	for i := range a.Rows {
		f.Records = append(f.Records, a.record(&a.Rows[i]))
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	e.Indent("", " ")
	if err := e.Encode(f); err != nil {
		return nil, fmt.Errorf("write the report: %w", err)
	}
	b.WriteByte('\n')
	if err := Check(b.Bytes()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (a *Aggregate) record(r *Counted) xmlRecord {
	out := xmlRecord{
		IP: r.Client.Unmap().WithZone("").String(), Count: r.Count, Disposition: r.Disposition,
		DKIM: passOrFail(r.DKIM), SPF: passOrFail(r.SPF), HeaderFrom: clean(r.HeaderFrom),
		Envelope: optional(r.EnvelopeFrom),
	}
	if r.Passes() && a.PassedAsPass && r.Disposition == "none" {
		out.Disposition = "pass"
	}
	for _, reason := range r.Reasons {
		out.Reasons = append(out.Reasons, xmlReason{reason.Type, optional(reason.Comment)})
	}
	for _, s := range r.Signatures {
		out.Auth.Signatures = append(out.Auth.Signatures,
			xmlDKIM{clean(s.Domain), clean(s.Selector), dkimWord(s.Result)})
	}
	if r.SPFAuth != nil {
		out.Auth.SPFResult = &xmlSPF{clean(r.SPFAuth.Domain), "mfrom", spfWord(r.SPFAuth.Result)}
	}
	return out
}

func passOrFail(passes bool) string {
	if passes {
		return "pass"
	}
	return "fail"
}

// notes returns the notes for the domain about its record.
func (a *Aggregate) notes() string {
	var out []string
	for _, n := range a.Policy.Notes[:min(len(a.Policy.Notes), MaxNotes)] {
		n = clean(n)
		for len(n) > MaxNote {
			n = n[:len(n)-1]
		}
		out = append(out, strings.ToValidUTF8(n, ""))
	}
	return strings.Join(out, "; ")
}

func optional(s string) *string {
	if s = clean(s); s == "" {
		return nil
	}
	return &s
}

// clean leaves out what XML cannot have: control characters and bytes that are not UTF-8.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError || r == 0xfffe || r == 0xffff {
			return -1
		}
		return r
	}, s)
}

// dkimWord maps a result onto the words of the schema. A word that it does not have is never a
// pass.
func dkimWord(result string) string {
	switch result {
	case "none", "pass", "fail", "policy", "neutral", "temperror", "permerror":
		return result
	}
	return "neutral"
}

func spfWord(result string) string {
	switch result {
	case "none", "pass", "fail", "softfail", "policy", "neutral", "temperror", "permerror":
		return result
	}
	return "neutral"
}
