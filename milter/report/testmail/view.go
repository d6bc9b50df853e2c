package testmail

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
	"unicode"
	"unicode/utf8"

	"mailseal/milter/report/evidence"
	"mailseal/milter/report/web"
	"mailseal/milter/spf"
)

// view is a mail as its page shows it.
type view struct {
	evidence.Mail
	Class   string // of the verdict's word
	Heading string // a sentence
	Advice  string
	Publish *record

	From, Address string
}

// record is a text to publish.
type record struct{ Caption, Text string }

// class is the weight of a result's word.
func class(value string) string {
	switch value {
	case "pass":
		return "w-ok"
	case "fail", "permerror":
		return "w-fail"
	case "softfail", "temperror", "policy":
		return "w-warn"
	}
	return "w-quiet"
}

// Number counts from 1.
func (view) Number(i int) int { return i + 1 }

// ClassOf is that of a result.
func (view) ClassOf(value string) string { return class(value) }

// Upper is the name of a method for people.
func (view) Upper(method string) string { return strings.ToUpper(method) }

// Does describes what this host's policy does with such mail.
func (v view) Does() string {
	switch v.Action {
	case "accept":
		return "accepts such mail"
	case "mark":
		return "accepts such mail and marks it"
	case "hold":
		return "holds such mail for an operator"
	case "reject":
		return "refuses such mail"
	case "tempfail":
		return "defers such mail"
	case "discard":
		return "discards such mail"
	}
	return "does nothing with such mail"
}

// sentence is a clause of ours or a stranger's as a sentence.
func sentence(s string) template.HTML {
	first, size := utf8.DecodeRuneInString(s)
	s = strings.TrimSuffix(s, ".")
	// An address or a record that a clause begins with is left as it is.
	word, _, _ := strings.Cut(s, " ")
	if size > 0 && unicode.IsLower(first) && !strings.ContainsAny(word, ".:=@_") {
		s = string(unicode.ToUpper(first)) + s[size:]
	}
	return web.Text(s + ".")
}

// Base64 is a hash as DKIM writes it.
func (view) Base64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// Tree is how SPF came to its result, nil where nothing was asked.
func (v view) Tree() *spf.Record {
	if v.SPF == nil {
		return nil
	}
	return v.SPF.Tree
}

// SPFSentence returns the SPF result as a sentence.
func (v view) SPFSentence() string {
	s := v.SPF
	if s == nil {
		return "SPF was not checked."
	}
	return fmt.Sprintf("%s: %s. %d of 10 lookups used, %d of 2 void "+
		"lookups.", cmp.Or(s.Domain.String(), "no domain"), s.Reason,
		s.Lookups, s.Voids)
}

// Hashes describes which parts of a signature are intact.
func (view) Hashes(s evidence.Signature) string {
	switch {
	case !s.Checked:
		return ""
	case s.HeaderIntact && s.BodyIntact:
		return "The header and the body are as they were signed."
	case s.HeaderIntact:
		return "The header is as it was signed. The body was changed after signing."
	case s.BodyIntact:
		return "The body is as it was signed. Either a signed header field was changed after " +
			"signing, or another key made the signature."
	}
	return "The body was changed after signing; so was the header, or another key made the signature."
}

func newView(m evidence.Mail) *view {
	v := &view{Mail: m, Class: class(m.DMARC.Value), From: cmp.Or(m.DMARC.Author, "no author")}
	v.Address = "an unknown address"
	if m.Client.IsValid() {
		v.Address = m.Client.Unmap().String()
	}
	when := m.Time.UTC().Format("2 Jan, 15:04 UTC")
	switch m.DMARC.Value {
	case "pass":
		v.Heading = fmt.Sprintf("Your mail of %s passes for %s.", when, v.From)
	case "fail":
		v.Heading = fmt.Sprintf("Your mail of %s fails for %s: neither SPF nor DKIM passed for "+
			"this domain.", when, v.From)
	case "none":
		v.Heading = fmt.Sprintf("Your mail of %s was not judged by DMARC: %s publishes no "+
			"policy.", when, v.From)
	case "temperror":
		v.Heading = fmt.Sprintf("Your mail of %s could not be judged: the DNS did not answer for %s.",
			when, v.From)
	default:
		v.Heading = fmt.Sprintf("Your mail of %s cannot be judged: "+
			"%s.", when, cmp.Or(m.DMARC.Reason, m.DMARC.Value))
	}
	v.advise()
	return v
}

// advise says what to change first.
func (v *view) advise() {
	author, spfPass := v.DMARC.Author, v.SPF != nil && v.SPF.Value == spf.Pass
	switch {
	case v.DMARC.Value == "temperror":
		v.Advice = "Send the mail again later. If the result stays the same, check the name servers."
		return
	case v.DMARC.Value == "permerror" || author == "":
		v.Advice = "Send mail whose From field has exactly one address with a domain."
		return
	case v.DMARC.Value == "none":
		v.Advice = "Publish a DMARC record with p=none first, and make it stricter once the " +
			"reports show that your mail passes."
		v.Publish = &record{"Publish this DMARC " +
			"record", "_dmarc." + author + `. 3600 IN TXT "v=DMARC1; p=none"`}
		return
	case v.DMARC.Value == "pass" && v.dkimAligned():
		v.Advice = "You need not change anything."
		return
	case v.DMARC.Value == "pass":
		v.Advice = "Only SPF passed for this domain, and forwarding breaks SPF: sign the mail " +
			"with DKIM for " +
			author + " as well."
		return
	}
	for _, s := range v.Signatures {
		if s.Domain != author && !strings.HasSuffix(author, "."+s.Domain) || s.Value == "pass" {
			continue
		}
		if other := v.signedLater(author); other != "" && s.Checked && !s.BodyIntact {
			v.Advice = fmt.Sprintf("The mail was changed after %s signed it, and %s signed it "+
				"then. Have %s sign "+
				"with a key of %s as its last step.", s.Domain, other, other, author)
			return
		}
		v.Advice = fmt.Sprintf("Correct the signature of %s (selector %s): %s.", s.Domain,
			s.Selector,
			cmp.Or(s.Reason, s.Value))
		return
	}
	switch {
	case spfPass:
		v.Advice = fmt.Sprintf("Sign the mail with DKIM for %s. SPF passed, but for %s, the "+
			"domain of the envelope sender.",
			author, v.SPF.Domain)
	case v.sendsAs(author):
		v.Advice = fmt.Sprintf("Sign the mail with DKIM for %s. If %s sends for the domain, "+
			"add it to the SPF record.",
			author, v.Address)
		v.addAddress(author)
	default:
		v.Advice = fmt.Sprintf("Sign the mail with DKIM for %s: nothing in it proves that the "+
			"domain sent it.",
			author)
	}
}

// signedLater is a domain whose signature passes and is not the author's, "" for none: a service
// that changed a mail and signed it for itself.
func (v *view) signedLater(author string) string {
	for _, s := range v.Signatures {
		if s.Value == "pass" && s.Domain != author && !strings.HasSuffix(author, "."+s.Domain) {
			return s.Domain
		}
	}
	return ""
}

func (v *view) dkimAligned() bool {
	for _, s := range v.Signatures {
		if s.Value == "pass" && s.Aligned {
			return true
		}
	}
	return false
}

func (v *view) sendsAs(author string) bool {
	return v.SPF != nil && v.SPF.Domain.String() == author && v.Client.IsValid()
}

// addAddress proposes the SPF record with the client in it.
func (v *view) addAddress(author string) {
	term := "ip4:" + v.Address
	if v.Client.Unmap().Is6() {
		term = "ip6:" + v.Address
	}
	text := "v=spf1 " + term + " -all"
	if t := v.SPF.Tree; t != nil && t.Text != "" {
		if len(t.Text) > 200 || v.SPF.Value == spf.Permerror || v.SPF.Value == spf.Temperror {
			return // it is corrected first, or not all of it is known
		}
		const version = "v=spf1" // in any case
		text = version + " " + term + t.Text[min(len(version), len(t.Text)):]
	}
	v.Publish = &record{"Publish this SPF record, only if the address is yours",
		author + `. 3600 IN TXT "` + text + `"`}
}
