package policy

import (
	"mailseal/milter/dmarc"
	"mailseal/milter/expression"
	"mailseal/milter/verify"
)

// Facts adds what the methods found to what was known of a message before. Size is that of the
// whole message in bytes.
func Facts(known expression.Known, size int64, r *verify.Results) *expression.Judged {
	f := &expression.Judged{Known: known, Size: int(size)}
	if s := r.SPF; s != nil {
		f.SPF = expression.SPF{Result: string(s.Value), Domain: string(s.Domain)}
		f.SPF.Aligned = s.Value == "pass" && aligned(r, dmarc.SPF, string(s.Domain), "")
	}
	if s := r.HELO; s != nil {
		f.Helo = expression.SPF{Result: string(s.Value), Domain: string(s.Domain)}
	}
	if p := r.IPRev; p != nil {
		f.IPRev = expression.IPRev{Result: string(p.Value), Name: p.Name}
	}
	for _, s := range r.DKIM {
		f.DKIM = append(f.DKIM, expression.DKIM{
			Result:    string(s.Value),
			Domain:    s.Domain,
			Selector:  s.Selector,
			Algorithm: s.Algorithm,
			Bits:      s.Bits,
			Aligned:   s.Value == "pass" && aligned(r, dmarc.DKIM, s.Domain, s.Selector),
		})
	}
	if d := r.DMARC; d != nil {
		f.DMARC = expression.DMARC{
			Result:       string(d.Value),
			Domain:       string(d.Author),
			RecordDomain: string(d.PolicyDomain),
			Policy:       string(d.Requested),
			Disposition:  string(d.Disposition),
		}
		if d.Record != nil {
			f.DMARC.Record, f.DMARC.Testing = d.Record.Text, d.Record.Testing
		}
	}
	if a := r.ARC; a != nil {
		f.ARC.Result = string(a.Value)
		if a.Value == "pass" {
			for i := len(a.Sets) - 1; i >= 0; i-- {
				f.ARC.Sealers = append(f.ARC.Sealers, string(a.Sets[i].Sealer))
			}
			f.ARC.Sealer = string(r.NewestSealer())
		}
	}
	return f
}

// aligned reports whether DMARC counted a domain that a method authenticated. Where DMARC did not
// look, since there is no policy or since another identifier decided, the author's own domain is
// aligned, and no other.
func aligned(r *verify.Results, m dmarc.Method, name, selector string) bool {
	if r.DMARC == nil {
		return false
	}
	for _, a := range r.DMARC.Alignments {
		if a.Method == m && string(a.Domain) == name && a.Selector == selector && !a.Temporary {
			return a.Aligned
		}
	}
	return name != "" && name == string(r.DMARC.Author)
}
