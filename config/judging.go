package config

import (
	"net/netip"
	"time"
)

// Verify says which methods judge mail of theirs, and how.
type Verify struct {
	MaxSignatures        int           `toml:"max_signatures"`
	MinRSABits           int           `toml:"min_rsa_bits"`
	AcceptUnsignedBody   bool          `toml:"accept_unsigned_body"` // l= that leaves octets unsigned passes
	ClockSkew            time.Duration `toml:"clock_skew"`
	Iprev                bool          `toml:"iprev"`
	SPF                  bool          `toml:"spf"`
	SPFHelo              bool          `toml:"spf_helo"` // for HELO too, beside MAIL FROM
	ReceivedSPF          bool          `toml:"received_spf"`
	DMARC                bool          `toml:"dmarc"`
	OrganizationalDomain string        `toml:"organizational_domain"` // "walk" or "psl"
	ARC                  bool          `toml:"arc"`
	TrustedSealers       []string      `toml:"trusted_sealers"` // domains whose ARC seal may override a DMARC failure
}

// Seal is the identity under which ARC sets are added. It is off while Key is empty.
type Seal struct {
	Key      string `toml:"key"`      // a name of the key table
	Domain   string `toml:"domain"`   // the d= tag; never empty when Key is set
	Selector string `toml:"selector"` // the s= tag; never empty when Key is set
}

// AuthenticationResults says what our field holds and which fields are taken for ours.
type AuthenticationResults struct {
	RemoveIDs []string `toml:"remove_ids"` // further authserv-ids whose fields are removed
	Auth      bool     `toml:"auth"`       // auth=pass on mail of authenticated users
}

// Policy says what results do to a message.
type Policy struct {
	DryRun      bool         `toml:"dry_run"`
	MarkHeader  string       `toml:"mark_header"`
	SPF         SPFActions   `toml:"spf"`
	IPRev       IPRevActions `toml:"iprev"`
	DKIM        DKIMActions  `toml:"dkim"`
	DMARC       DMARCPolicy  `toml:"dmarc"`
	Texts       Texts        `toml:"texts"`
	NotJudged   NotJudged    `toml:"not_judged"`
	NoAuthor    Action       `toml:"no_author"`    // no From, or one that cannot be read
	ManyAuthors Action       `toml:"many_authors"` // several author domains
	Overrides   []Override   `toml:"override"`     // in file order; the first that matches holds
}

// SPFActions maps SPF results to actions. A pass is always accepted.
type SPFActions struct {
	Fail      Action `toml:"fail"`
	Softfail  Action `toml:"softfail"`
	None      Action `toml:"none"` // none and neutral, which must be treated alike (RFC 7208 section 8.2)
	Permerror Action `toml:"permerror"`
	Temperror Action `toml:"temperror"`
	HeloFail  Action `toml:"helo_fail"`
}

// IPRevActions maps results of the client's reverse DNS to actions. A pass is always accepted.
type IPRevActions struct {
	Fail      Action `toml:"fail"`
	Permerror Action `toml:"permerror"`
	Temperror Action `toml:"temperror"`
}

// DKIMActions maps the best DKIM result of a message to actions. A pass is always accepted.
type DKIMActions struct {
	Fail      Action `toml:"fail"`
	Policy    Action `toml:"policy"`
	Neutral   Action `toml:"neutral"`
	None      Action `toml:"none"`
	Permerror Action `toml:"permerror"`
	Temperror Action `toml:"temperror"`
}

// DMARCPolicy maps DMARC results to actions: a failure by the policy that the author's domain asks for. A pass is
// always accepted.
type DMARCPolicy struct {
	Reject     Action `toml:"p_reject"`
	Quarantine Action `toml:"p_quarantine"`
	None       Action `toml:"p_none"`
	NoRecord   Action `toml:"no_record"`
	Permerror  Action `toml:"permerror"`
	Temperror  Action `toml:"temperror"`
}

// Texts are the sentences that refused peers read; {domain} is the domain that was judged, {client} the peer's address.
type Texts struct {
	SPF   string `toml:"spf"`
	DKIM  string `toml:"dkim"`
	DMARC string `toml:"dmarc"`
	IPRev string `toml:"iprev"`
	Other string `toml:"other"` // several methods, no author, many authors
}

// NotJudged is mail of theirs that no policy is applied to; its results are still found and written.
type NotJudged struct {
	Networks   []netip.Prefix `toml:"networks"`
	Senders    []string       `toml:"senders"`    // address patterns: the envelope sender
	Recipients []string       `toml:"recipients"` // address patterns: all recipients must fit
}

// Override replaces the policy for some mail. Each list that is not empty must have a member that fits.
type Override struct {
	Networks      []netip.Prefix `toml:"networks"`
	AuthorDomains []string       `toml:"author_domains"` // ".example.com": any domain below it
	ListIDs       []string       `toml:"list_ids"`       // List-Id identifiers; ".example.com": any below it
	Sealers       []string       `toml:"sealers"`        // domains of the newest ARC seal of a chain that passes
	Action        Action         `toml:"action"`         // instead of whatever else but accept was decided; "": none
	SPF           SPFActions     `toml:"spf"`            // complete: what the override leaves out is the policy's
	IPRev         IPRevActions   `toml:"iprev"`
	DKIM          DKIMActions    `toml:"dkim"`
	DMARC         DMARCPolicy    `toml:"dmarc"`

	placed
}
