package expression

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"mailseal/milter/action"
	"mailseal/milter/domain"
	"mailseal/milter/message"
)

// Known holds the facts that are known about a message at the end of its header: those of a
// Signing expression. Text is unchanged from the MTA or the message; domains are in lower
// case and A-labels; unknown facts are "".
type Known struct {
	Client   Client   `expr:"client" json:"client,omitzero"`
	Envelope Envelope `expr:"envelope" json:"envelope,omitzero"`
	// the name that the client logged in with
	Login string `expr:"login" json:"-"`
	Role  string `expr:"role" json:"-"` // "ours", "theirs" or "relay"
	// the name of the MTA's listener: {daemon_name}
	Daemon string `expr:"daemon" json:"daemon,omitempty"`
	TLS    TLS    `expr:"tls" json:"tls,omitzero"`
	Author Author `expr:"author" json:"author,omitzero"`
	Time   Clock  `expr:"time" json:"-"`

	// Header returns the first field of a name, Headers all of them from the top, and HeaderCount
	// how many there are. Each spends some of the text that the expressions of one message may
	// read.
	Header      func(name string) string   `expr:"header" json:"-"`
	Headers     func(name string) []string `expr:"headers" json:"-"`
	HeaderCount func(name string) int      `expr:"header_count" json:"-"`
}

// Client is the SMTP client.
type Client struct {
	// "192.0.2.1"; "" for mail that a process of this host handed over
	Address string `expr:"address" json:"-"`
	Name    string `expr:"name" json:"name,omitempty"` // the verified name
	Helo    string `expr:"helo" json:"helo,omitempty"` // the name in HELO
}

// Envelope holds the facts about a message that come from the SMTP session.
type Envelope struct {
	Sender       string   `expr:"sender" json:"sender,omitempty"` // "" for a bounce
	SenderDomain string   `expr:"sender_domain" json:"-"`         // "" for a bounce
	Recipients   []string `expr:"recipients" json:"-"`
}

// TLS is the encryption between the client and the MTA.
type TLS struct {
	// "TLSv1.3"; "" without TLS, or where the MTA does not say
	Version string `expr:"version" json:"version,omitempty"`
	Cipher  string `expr:"cipher" json:"cipher,omitempty"`
}

// Author is the only author that From shows.
type Author struct {
	Address string `expr:"address" json:"address,omitempty"`
	Domain  string `expr:"domain" json:"domain,omitempty"`
}

// Clock is when the message is judged, in the time zone of this host.
type Clock struct {
	Date    string `expr:"date" json:"-"`    // "2026-01-31"
	Hour    int    `expr:"hour" json:"-"`    // 0 to 23
	Weekday string `expr:"weekday" json:"-"` // "monday"
}

// Judged holds the facts that are known once the methods have run: those of a Judging
// expression. The result of a method that did not run is "".
type Judged struct {
	Known
	Size  int    `expr:"size" json:"size,omitempty"` // bytes, header and body
	SPF   SPF    `expr:"spf" json:"spf,omitzero"`
	Helo  SPF    `expr:"helo" json:"helo,omitzero"`
	IPRev IPRev  `expr:"iprev" json:"iprev,omitzero"`
	DKIM  []DKIM `expr:"dkim" json:"dkim,omitempty"`
	DMARC DMARC  `expr:"dmarc" json:"dmarc,omitzero"`
	ARC   ARC    `expr:"arc" json:"arc,omitzero"`
}

// SPF is a result of SPF: for the envelope sender, or for the name in HELO.
type SPF struct {
	// Result is "pass", "fail", "softfail", "neutral", "none", "temperror" or "permerror".
	Result string `expr:"result" json:"result,omitempty"`
	Domain string `expr:"domain" json:"domain,omitempty"`
	// it passes for the author's domain in DMARC's sense
	Aligned bool `expr:"aligned" json:"aligned,omitempty"`
}

// IPRev is the result for the client's reverse name.
type IPRev struct {
	Result string `expr:"result" json:"result,omitempty"`
	Name   string `expr:"name" json:"name,omitempty"`
}

// DKIM is the result for one signature.
type DKIM struct {
	Result    string `expr:"result" json:"result,omitempty"`
	Domain    string `expr:"domain" json:"domain,omitempty"`
	Selector  string `expr:"selector" json:"selector,omitempty"`
	Algorithm string `expr:"algorithm" json:"algorithm,omitempty"`
	Bits      int    `expr:"bits" json:"bits,omitempty"`
	// it passes for the author's domain in DMARC's sense
	Aligned bool `expr:"aligned" json:"aligned,omitempty"`
}

// DMARC is the result for the author's domain.
type DMARC struct {
	Result string `expr:"result" json:"result,omitempty"`
	// the author domain that was judged
	Domain string `expr:"domain" json:"domain,omitempty"`
	// where its policy is published
	RecordDomain string `expr:"record_domain" json:"record_domain,omitempty"`
	// Policy is what is published for the domain: "none", "quarantine", "reject".
	Policy string `expr:"policy" json:"policy,omitempty"`
	// what the owner wants for this message
	Disposition string `expr:"disposition" json:"disposition,omitempty"`
	// Record is the policy record as it is published.
	Record  string `expr:"record" json:"-"`
	Testing bool   `expr:"testing" json:"testing,omitempty"` // the record says t=y
}

// ARC is the result for the chain.
type ARC struct {
	Result string `expr:"result" json:"result,omitempty"`
	// the newest one of a chain that passes
	Sealer string `expr:"sealer" json:"-"`
	// of a chain that passes, the newest first
	Sealers []string `expr:"sealers" json:"sealers,omitempty"`
}

// maxText is how many bytes of the header the expressions of one message may read, all together: a
// stranger writes the header, and an expression may read it for every recipient.
const maxText = 8 << 20

// errText is the error of an expression that reads more than maxText.
var errText = errors.New("the rules of one message may read 8 MiB of its header")

// NewKnown returns the facts of a message at the end of its header. From the header are made what
// From shows, and what expressions ask for later.
func NewKnown(env *message.Envelope, h message.Header, author message.Address, role action.Role,
	now time.Time) Known {
	k := Known{
		Envelope: Envelope{Sender: env.Sender, SenderDomain: senderDomain(env.Sender), Recipients: env.Recipients},
		Client:   Client{Name: strings.ToLower(env.ClientName), Helo: env.Helo},
		Login:    env.AuthUser,
		Role:     role.String(),
		Daemon:   env.DaemonName,
		TLS:      TLS{Version: env.TLSVersion, Cipher: env.TLSCipher},
		Time:     clock(now),
	}
	if env.Client.IsValid() {
		k.Client.Address = env.Client.Unmap().WithZone("").String()
	}
	if author.Domain != "" {
		k.Author = Author{Address: author.String(), Domain: string(author.Domain)}
	}
	r := reader{header: h}
	k.Header, k.Headers, k.HeaderCount = r.first, r.all, r.count
	return k
}

func clock(at time.Time) Clock {
	at = at.Local()
	return Clock{
		Date:    at.Format(time.DateOnly),
		Hour:    at.Hour(),
		Weekday: strings.ToLower(at.Weekday().String()),
	}
}

func senderDomain(sender string) string {
	a, err := message.ParsePath(sender)
	if err != nil {
		return ""
	}
	return string(a.Domain)
}

// reader reads a header for the expressions of one message.
type reader struct {
	header message.Header
	spent  int
}

// spend counts bytes that are read. It panics with errText beyond maxText, which ends the
// expression with that error.
func (r *reader) spend(n int) {
	if r.spent += n; r.spent > maxText {
		panic(errText)
	}
}

func (r *reader) first(name string) string {
	r.spend(len(r.header))
	for _, f := range r.header {
		if f.Is(name) {
			return r.text(f)
		}
	}
	return ""
}

func (r *reader) all(name string) []string {
	r.spend(len(r.header))
	var out []string
	for _, f := range r.header {
		if f.Is(name) {
			out = append(out, r.text(f))
		}
	}
	return out
}

func (r *reader) count(name string) int {
	r.spend(len(r.header))
	n := 0
	for _, f := range r.header {
		if f.Is(name) {
			n++
		}
	}
	return n
}

// text is the value of a field, unfolded and without white space around it.
func (r *reader) text(f message.Field) string {
	v := f.Value()
	r.spend(len(v))
	return strings.TrimSpace(unfold.Replace(string(v)))
}

var unfold = strings.NewReplacer("\r\n", "")

// inNetwork reports whether an address is in one of some networks. It is false for an address that
// is not known.
func inNetwork(address string, networks []string) bool {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	for _, text := range networks {
		if p, err := parseNetwork(text); err == nil && p.Contains(a) {
			return true
		}
	}
	return false
}

// parseNetwork reads "192.0.2.0/24", or an address for a network of one.
func parseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Prefix(a.BitLen())
	}
	return netip.ParsePrefix(text)
}

// below reports whether a name is one of some domains, or below one. It is false for "".
func below(name string, tops []string) bool {
	n, err := domain.Parse(name)
	if err != nil {
		return false
	}
	for _, top := range tops {
		if t, err := domain.Parse(top); err == nil && n.Within(t) {
			return true
		}
	}
	return false
}
