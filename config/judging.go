package config

import (
	"net/netip"
	"time"

	"mailseal/milter/action"
)

// Verify configures which methods verify mail from others, and how.
type Verify struct {
	MaxSignatures int `toml:"max_signatures"`
	MinRSABits    int `toml:"min_rsa_bits"`
	// l= that leaves octets unsigned passes
	AcceptUnsignedBody  bool                       `toml:"accept_unsigned_body"`
	UncoveredDuplicates action.UncoveredDuplicates `toml:"uncovered_duplicates"`
	ClockSkew           time.Duration              `toml:"clock_skew"`
	Iprev               bool                       `toml:"iprev"`
	SPF                 bool                       `toml:"spf"`
	// for HELO too, beside MAIL FROM
	SPFHelo              bool                        `toml:"spf_helo"`
	ReceivedSPF          bool                        `toml:"received_spf"`
	DMARC                bool                        `toml:"dmarc"`
	OrganizationalDomain action.OrganizationalDomain `toml:"organizational_domain"`
	ARC                  bool                        `toml:"arc"`
	// domains whose ARC seal may override a DMARC failure
	TrustedSealers []string `toml:"trusted_sealers"`
}

// Seal is the identity under which ARC sets are added. It is off while Key is empty.
type Seal struct {
	Key      string `toml:"key"`      // a name of the key table
	Domain   string `toml:"domain"`   // the d= tag; never empty when Key is set
	Selector string `toml:"selector"` // the s= tag; never empty when Key is set
}

// AuthenticationResults configures the fields that we write and those that we remove as
// forgeries of ours.
type AuthenticationResults struct {
	RemoveIDs []string `toml:"remove_ids"` // further authserv-ids whose fields are removed
	Auth      bool     `toml:"auth"`       // auth=pass on mail of authenticated users
}

// Policy configures how the results affect a message.
type Policy struct {
	DryRun     bool          `toml:"dry_run"`
	MarkHeader string        `toml:"mark_header"`
	SPF        action.SPF    `toml:"spf"`
	IPRev      action.IPRev  `toml:"iprev"`
	DKIM       action.DKIM   `toml:"dkim"`
	DMARC      action.DMARC  `toml:"dmarc"`
	Texts      Texts         `toml:"texts"`
	NotJudged  NotJudged     `toml:"not_judged"`
	NoAuthor   action.Action `toml:"no_author"` // From shows no author
	// more author domains than are judged; if not set, DMARC.Reject
	ManyAuthors action.Action `toml:"many_authors"`
	Overrides   []Override    `toml:"override"` // in file order; the first that matches holds
	// in file order; the first whose expression holds decides
	Rules []PolicyRule `toml:"rules"`
}

// PolicyRule is the action for mail that matches an expression.
type PolicyRule struct {
	Name string `toml:"name"` // in the log and the mark
	// an expression over what is known once the methods have run
	When   string                `toml:"when"`
	Action action.Action         `toml:"action"`
	Text   string                `toml:"text"`   // of the reply; "": our own
	Reason action.OverrideReason `toml:"reason"` // of a DMARC report; invalid: local_policy
	DryRun bool                  `toml:"dry_run"`

	placed
}

// Texts are the sentences that refused peers read instead of our own, "" for those; {domain} is the
// domain that was judged, {client} the peer's address.
type Texts struct {
	SPF   string `toml:"spf"`
	DKIM  string `toml:"dkim"`
	DMARC string `toml:"dmarc"`
	IPRev string `toml:"iprev"`
	Other string `toml:"other"` // several methods, no author, many authors
}

// NotJudged is strangers' mail that no policy is applied to; its results are still found and
// written.
type NotJudged struct {
	Networks []netip.Prefix `toml:"networks"`
	Hosts    []string       `toml:"hosts"` // as Ours.Hosts
	// address patterns: the envelope sender; "<>": the null sender
	Senders []string `toml:"senders"`
	// address patterns: all recipients must fit
	Recipients    []string `toml:"recipients"`
	AuthorDomains []string `toml:"author_domains"` // ".example.com": any domain below it
}

// Override replaces the policy for some mail. Each list that is not empty must have a member that
// fits.
type Override struct {
	Networks      []netip.Prefix `toml:"networks"`
	Hosts         []string       `toml:"hosts"`          // as Ours.Hosts
	Senders       []string       `toml:"senders"`        // as NotJudged.Senders
	Recipients    []string       `toml:"recipients"`     // as NotJudged.Recipients
	AuthorDomains []string       `toml:"author_domains"` // ".example.com": any domain below it
	// List-Id identifiers; ".example.com": any below it
	ListIDs []string `toml:"list_ids"`
	// domains of the newest ARC seal of a chain that passes
	Sealers []string `toml:"sealers"`
	// instead of whatever else but accept was decided; invalid: nothing
	Action action.Action `toml:"action"`
	// of a DMARC report; invalid: what follows from the conditions
	Reason action.OverrideReason `toml:"reason"`
	// complete: what the override leaves out is the policy's
	SPF   action.SPF   `toml:"spf"`
	IPRev action.IPRev `toml:"iprev"`
	DKIM  action.DKIM  `toml:"dkim"`
	DMARC action.DMARC `toml:"dmarc"`

	placed
}
