package examine

import (
	"encoding/json"
	"io"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/arc"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/spf"
	"mailseal/milter/verify"
)

// verifiedJSON is a line of "mailseal verify --json".
type verifiedJSON struct {
	File string     `json:"file"`
	From fromJSON   `json:"from"`
	DKIM []dkimJSON `json:"dkim"` // empty when the message is not signed
	SPF  *spfJSON   `json:"spf,omitempty"`
	// SPF for HELO, where it says more than for MAIL FROM
	HELO                  *spfJSON   `json:"helo,omitempty"`
	IPRev                 *iprevJSON `json:"iprev,omitempty"`
	ARC                   *arcJSON   `json:"arc,omitempty"`
	DMARC                 *dmarcJSON `json:"dmarc,omitempty"`
	SecondOpinion         []opinion  `json:"second_opinion,omitempty"`
	Daemon                *decided   `json:"daemon,omitempty"` // with --config and --ip
	AuthenticationResults string     `json:"authentication_results"`
}

// unreadJSON is a line of "mailseal verify --json" for a message that could not be read.
type unreadJSON struct {
	File  string `json:"file"`
	Error string `json:"error"`
}

// fromJSON is what the From fields show.
type fromJSON struct {
	// the author domain, "" when there is not exactly one
	Author  string   `json:"author"`
	Domains []string `json:"domains"`  // all that a mail reader could show
	TooMany bool     `json:"too_many"` // domains are not all of them
	// why there is no author, or what is wrong with the field
	Reason string     `json:"reason"`
	Fault  *faultJSON `json:"fault,omitempty"` // the first departure from RFC 5322
}

type faultJSON struct {
	Field     int    `json:"field"`     // which From field, from 1 at the top
	Byte      int    `json:"byte"`      // offset into its value, from 0 behind the colon
	Character string `json:"character"` // "" at the end
	Reason    string `json:"reason"`
}

type dkimJSON struct {
	Result     string `json:"result"`
	Domain     string `json:"domain"`
	Selector   string `json:"selector"`
	Identifier string `json:"identifier"`
	Algorithm  string `json:"algorithm"`
	Bits       int    `json:"bits"`
	HeaderB    string `json:"header_b"`
	Testing    bool   `json:"testing"`
	Reason     string `json:"reason"`
}

type spfJSON struct {
	Result    string `json:"result"`
	Domain    string `json:"domain"`
	Identity  string `json:"identity"`
	Mechanism string `json:"mechanism"`
	Lookups   int    `json:"lookups"`
	Voids     int    `json:"void_lookups"`
	Reason    string `json:"reason"`
}

type iprevJSON struct {
	Result string `json:"result"`
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

type arcJSON struct {
	Result     string       `json:"result"`
	OldestPass int          `json:"oldest_pass"`
	Sets       []arcSetJSON `json:"sets"`
	Reason     string       `json:"reason"`
}

type arcSetJSON struct {
	Instance int    `json:"instance"`
	Sealer   string `json:"sealer"`
	Selector string `json:"selector"`
}

type dmarcJSON struct {
	Result               string           `json:"result"`
	Domain               string           `json:"domain"`
	Policy               string           `json:"policy"`
	Disposition          string           `json:"disposition"`
	Record               string           `json:"record"`
	OrganizationalDomain string           `json:"organizational_domain"`
	Queries              int              `json:"queries"`
	Identifiers          []identifierJSON `json:"identifiers"`
	Reason               string           `json:"reason"`
	Aggregate            []string         `json:"rua,omitempty"`
	Failure              []string         `json:"ruf,omitempty"`
	FailureOptions       []string         `json:"fo,omitempty"`
	Notes                []string         `json:"notes,omitempty"`
}

type identifierJSON struct {
	Method  string `json:"method"`
	Domain  string `json:"domain"`
	Aligned bool   `json:"aligned"`
	Reason  string `json:"reason"`
}

func (m *Message) json() verifiedJSON {
	r := m.results
	out := verifiedJSON{
		File:                  m.name,
		From:                  fromResultJSON(r),
		DKIM:                  []dkimJSON{},
		SecondOpinion:         m.second,
		Daemon:                m.daemon,
		AuthenticationResults: m.field,
	}
	for _, s := range r.DKIM {
		out.DKIM = append(out.DKIM, dkimResultJSON(s))
	}
	if r.SPF != nil {
		out.SPF = spfResultJSON(*r.SPF)
	}
	if r.TellsHELO() {
		out.HELO = spfResultJSON(*r.HELO)
	}
	if p := r.IPRev; p != nil {
		out.IPRev = &iprevJSON{string(p.Value), p.Name, p.Reason}
	}
	if a := r.ARC; a != nil {
		out.ARC = arcResultJSON(*a)
	}
	if d := r.DMARC; d != nil {
		out.DMARC = dmarcResultJSON(*d)
	}
	return out
}

func fromResultJSON(r *verify.Results) fromJSON {
	out := fromJSON{Author: string(r.Author), Domains: []string{}, TooMany: r.From.TooMany,
		Reason: r.From.Doubt()}
	if r.AuthorErr != nil {
		out.Reason = r.AuthorErr.Error()
	}
	for _, s := range r.From.Shown {
		if s.Domain != "" {
			out.Domains = append(out.Domains, string(s.Domain))
		}
	}
	if f := r.From.Fault; f != nil {
		out.Fault = &faultJSON{f.Field, f.Byte, f.Char, f.Why}
	}
	return out
}

// UnreadJSON writes as one object and line that a message could not be read.
func UnreadJSON(w io.Writer, name string, err error) error {
	return json.NewEncoder(w).Encode(unreadJSON{name, answer.Text(err)})
}

func spfResultJSON(s spf.Result) *spfJSON {
	return &spfJSON{string(s.Value), string(s.Domain), string(s.Scope), s.Mechanism, s.Lookups,
		s.Voids, s.Reason}
}

func dkimResultJSON(s dkim.Result) dkimJSON {
	return dkimJSON{
		string(s.Value),
		s.Domain,
		s.Selector,
		s.Identifier,
		s.Algorithm,
		s.Bits,
		s.HeaderB,
		s.Testing,
		s.Reason,
	}
}

func arcResultJSON(a arc.Result) *arcJSON {
	out := &arcJSON{Result: string(a.Value), OldestPass: a.OldestPass, Sets: []arcSetJSON{},
		Reason: a.Reason}
	for _, s := range a.Sets {
		out.Sets = append(out.Sets, arcSetJSON{s.Instance, string(s.Sealer), s.Selector})
	}
	return out
}

func dmarcResultJSON(d dmarc.Result) *dmarcJSON {
	out := &dmarcJSON{
		Result:               string(d.Value),
		Domain:               string(d.Author),
		Policy:               string(d.Requested),
		Disposition:          string(d.Disposition),
		OrganizationalDomain: string(d.OrganizationalDomain),
		Queries:              d.Queries,
		Identifiers:          []identifierJSON{},
		Reason:               d.Reason,
	}
	if r := d.Record; r != nil {
		out.Record, out.Aggregate, out.Failure, out.Notes = r.Text, r.Aggregate, r.Failure, r.Notes
		out.FailureOptions = r.FailureOptions.Letters()
	}
	for _, a := range d.Alignments {
		out.Identifiers = append(out.Identifiers, identifierJSON{string(a.Method), string(a.Domain),
			a.Aligned, a.Why})
	}
	return out
}
