package config

import (
	"net/netip"
	"time"

	"mailseal/milter/action"
)

// Key is an entry of the key table: one private key and the place where its public half is
// published.
type Key struct {
	Domain     string `toml:"domain"`      // the d= tag; "%": the author's domain
	Selector   string `toml:"selector"`    // the s= tag
	File       string `toml:"file"`        // path of a PEM file or a seed; "": PrivateKey or Source
	PrivateKey Secret `toml:"private_key"` // the key itself: PEM, base64 DER or a base64 seed
	Source     string `toml:"source"`      // the name of a source that holds it
	// the i= tag of its signatures, "%" for the author's domain; "": the rule's
	Identifier string `toml:"identifier"`

	placed
}

// Source is a database or web service that holds keys, and may answer who signs with which.
type Source struct {
	Driver       string `toml:"driver"` // "postgres", "mysql", "sqlite" or "http"
	DSN          Secret `toml:"dsn"`
	KeyQuery     string `toml:"key_query"`
	SigningQuery string `toml:"signing_query"`
	ListQuery    string `toml:"list_query"`
	// below which a key may be named as a file; "": nowhere
	KeyDir            string        `toml:"key_dir"`
	URL               URL           `toml:"url"`
	TokenFile         SecretFile    `toml:"token_file"`
	ClientCertificate string        `toml:"client_certificate"`
	ClientKey         SecretFile    `toml:"client_key"`
	CAFile            string        `toml:"ca_file"`
	Timeout           time.Duration `toml:"timeout"`
	TTL               time.Duration `toml:"ttl"`
	NegativeTTL       time.Duration `toml:"negative_ttl"`
	// how long past TTL an answer serves while the source is away
	Stale        time.Duration `toml:"stale"`
	CacheSize    Size          `toml:"cache_size"` // bytes
	OtherDomains OtherDomains  `toml:"other_domains"`

	placed
}

// OtherDomains is the treatment of mail for which a source returns a key of another domain
// than the requested one.
type OtherDomains string

// The values of OtherDomains.
const (
	OtherDomainsAccept OtherDomains = "accept" // it signs
	OtherDomainsWarn   OtherDomains = "warn"   // it signs, and each row is logged once
	OtherDomainsRefuse OtherDomains = "refuse" // it does not sign: a key error
)

// SignOptions say how a signature is made. [signing] sets them for all, a rule for itself.
type SignOptions struct {
	// "relaxed/relaxed", both halves always written
	Canonicalization string   `toml:"canonicalization"`
	Headers          []string `toml:"headers"`  // field names, signed when present
	Oversign         []string `toml:"oversign"` // listed once more than present, always
	// listed once more than present, when present
	OversignPresent []string `toml:"oversign_if_present"`
	// the fields of MIME, in a plain message without any
	OversignMIME bool          `toml:"oversign_mime"`
	Expiry       time.Duration `toml:"expiry"` // x= is t= plus this; 0: no x=
	// the i= tag, "%" for the author's domain; "": none
	Identifier          string            `toml:"identifier"`
	RequestReports      bool              `toml:"request_reports"`
	SkipIfSigned        bool              `toml:"skip_if_signed"`
	RemoveOldSignatures bool              `toml:"remove_old_signatures"`
	OnKeyError          action.OnKeyError `toml:"on_key_error"`
	FirstKey            FirstKey          `toml:"first_key"`
}

// FirstKey is the treatment of mail that matches a managed rule before any of its keys has
// ever signed.
type FirstKey string

// The choices.
const (
	FirstKeyUnsigned FirstKey = "unsigned" // it goes unsigned, at WARN in the log, and counted
	FirstKeyDefer    FirstKey = "defer"    // as with a key that cannot be loaded
)

// Signing holds the settings that all rules share, and the defaults of the rules' options.
type Signing struct {
	SignOptions
	// mail of ours whose From field RFC 5322 does not allow
	MalformedFrom action.MalformedFrom `toml:"malformed_from"`
	// which of the rules that match a message sign it
	Match Match `toml:"match"`
	// share of signatures that are verified before the mail leaves, 0 … 1
	SelfCheck       float64       `toml:"self_check"`
	SelfCheckAction action.Action `toml:"self_check_action"`
	// address patterns: mail to any of them goes unsigned
	UnsignedRecipients []string `toml:"unsigned_recipients"`

	Redirected action.Redirected `toml:"redirected"`
	// the causes that are warned of: "long_line", "rewritten", "eight_bit"
	FragileWarnings []string `toml:"fragile_warnings"`
}

// Match is which of the rules that match a message sign it.
type Match string

// The choices. sign.Table decides by them.
const (
	MatchFirst Match = "first" // the first in the order of the file
	MatchAll   Match = "all"   // all of them, each with its keys
)

// Rule is a line of the signing table.
type Rule struct {
	SignOptions          // complete: what the rule leaves out is [signing]'s
	From        []string `toml:"from"` // address patterns in normal form, see NormalPattern
	// names of the key table, or of Source if set; "%" is replaced by the author's domain
	Keys []string `toml:"keys"`
	// the domain whose active keys sign; "%": the author's; "": Keys or Source
	Managed string `toml:"managed"`
	// the source that holds Keys, or, without Keys, says which keys sign
	Source string `toml:"source"`
	// the d= tag instead of the key's; "%": the author's domain; "": the key's
	Domain string `toml:"domain"`
	Resign bool   `toml:"resign"` // signs mail of strangers too (mailing lists)
	When   When   `toml:"when"`
	If     string `toml:"if"` // an expression over what is known at the end of the header

	placed
}

// When holds further conditions of a rule. In each list that is not empty, one member must
// match.
type When struct {
	Recipients  []string       `toml:"recipients"` // address patterns: any recipient
	Networks    []netip.Prefix `toml:"networks"`   // the client
	DaemonNames []string       `toml:"daemon_names"`
	Logins      []string       `toml:"logins"`  // names that users authenticated with; "*": any
	Senders     []string       `toml:"senders"` // the envelope sender; "<>": the null sender
	// List-Id identifiers; ".example.com": any below it
	ListIDs []string `toml:"list_ids"`
}

// Rotation is how keys that Mailseal makes are replaced.
type Rotation struct {
	Every time.Duration `toml:"every"` // 0: only by hand
	// template: {year} {quarter} {month} {date} {alg}
	Selector   string   `toml:"selector"`
	Algorithms []string `toml:"algorithms"` // "rsa2048", "rsa3072", "rsa4096", "ed25519"
	// how long a key is seen in the DNS before it signs
	Publish time.Duration `toml:"publish"`
	Overlap time.Duration `toml:"overlap"` // how long a retired key stays published
	// where a record must be seen; none: the authoritative servers
	Servers []netip.AddrPort `toml:"servers"`
	// how many servers may leave a question unanswered, as long as one does not
	MayBeSilent int `toml:"may_be_silent"`
	// how often the DNS is compared with what signs; 0: never
	Watch time.Duration `toml:"watch"`
	// to the previous selector when the DNS no longer shows the active one
	FallBack bool `toml:"fall_back"`
}

// Senders configures which of our users may use which From address.
type Senders struct {
	Require action.SenderRule `toml:"require"`
	// Reject, Tempfail or Accept, which leaves the message unsigned
	Action action.Action       `toml:"action"`
	Logins map[string][]string `toml:"logins"` // login → domains and addresses that it may use
}
