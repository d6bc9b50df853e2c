// Package evidence defines the data about a mail to the address for tests that the daemon, which
// judges it, passes to "mailseal reports serve", which shows it: the SMTP conversation, the
// results, fields of the header, and hashes, but never a body.
package evidence

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"mailseal/milter/spf"
)

// Version is that of the form in which a Mail is written.
const Version = 1

// Mail is one mail to the address for tests. All text in it is a stranger's.
type Mail struct {
	Version int       `json:"version"`
	Token   string    `json:"token"` // under which its page is
	Time    time.Time `json:"time"`
	Host    string    `json:"host"` // that judged it

	Client     netip.Addr `json:"client"`
	ClientName string     `json:"client_name,omitempty"` // confirmed by the mail server
	Helo       string     `json:"helo"`
	TLS        string     `json:"tls,omitempty"`
	Sender     string     `json:"sender"` // "": the null sender
	Recipient  string     `json:"recipient"`
	Recipients int        `json:"recipients"`

	IPRev      *Finding    `json:"iprev,omitempty"`
	SPF        *spf.Result `json:"spf,omitempty"`
	Signatures []Signature `json:"signatures,omitempty"`
	ARC        *Finding    `json:"arc,omitempty"`
	DMARC      DMARC       `json:"dmarc"`

	Action string   `json:"action"` // what the policy makes of such mail
	Why    string   `json:"why,omitempty"`
	Code   int      `json:"code"`            // of the reply
	Reply  []string `json:"reply,omitempty"` // its lines; none for a mail that was taken
	Fields []Field  `json:"fields,omitempty"`
	Cut    int      `json:"fields_left_out,omitempty"`

	Answer Answer `json:"answer"`
}

// Answer has the facts for an answer by mail: whether one may be sent, and to which mail.
type Answer struct {
	// Refused is why none is sent; "" where the sender is authenticated and asks for no silence.
	Refused   string `json:"refused,omitempty"`
	MessageID string `json:"message_id,omitempty"`
}

// Finding is the result of a method.
type Finding struct {
	Value  string `json:"result"`
	Name   string `json:"name,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Signature is the result for one DKIM signature.
type Signature struct {
	Value            string `json:"result"`
	Domain           string `json:"domain"`
	Selector         string `json:"selector"`
	Algorithm        string `json:"algorithm,omitempty"`
	Canonicalization string `json:"canonicalization,omitempty"`
	Bits             int    `json:"bits,omitempty"` // of the key; 0 when none was found
	Reason           string `json:"reason,omitempty"`
	Checked          bool   `json:"checked"` // what follows means something
	HeaderIntact     bool   `json:"header_intact"`
	BodyIntact       bool   `json:"body_intact"`
	SignedHash       []byte `json:"signed_body_hash,omitempty"`
	Hash             []byte `json:"body_hash,omitempty"` // of the body as it came
	Length           int64  `json:"body_length,omitempty"`
	Aligned          bool   `json:"aligned"`

	// HeaderCause is what happened to the signed fields, Cure what to do about it; "" where nothing
	// is known.
	HeaderCause string `json:"header_cause,omitempty"`
	Cure        string `json:"header_cure,omitempty"`
}

// DMARC is what DMARC found.
type DMARC struct {
	Value        string      `json:"result"`
	Reason       string      `json:"reason,omitempty"`
	Author       string      `json:"author,omitempty"`
	PolicyDomain string      `json:"policy_domain,omitempty"`
	Record       string      `json:"record,omitempty"`
	Requested    string      `json:"requested,omitempty"`
	Alignments   []Alignment `json:"alignments,omitempty"`
	Walk         []Step      `json:"walk,omitempty"`
}

// Alignment is whether a name that passed is aligned with the author.
type Alignment struct {
	Method  string `json:"method"`
	Domain  string `json:"domain"`
	Aligned bool   `json:"aligned"`
	Why     string `json:"why,omitempty"`
}

// Step is one question of the tree walk (RFC 9989 section 4.10).
type Step struct {
	Name   string `json:"name"`
	Answer string `json:"answer"`
}

// Field is a field of the header.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Bounds of one mail, so that its sender does not choose what is kept.
const (
	maxFields     = 80
	maxValue      = 512 // bytes of a text
	maxSignatures = 20
	maxSteps      = 32
	MaxBytes      = 64 << 10 // of a Mail as it is written
)

// tokenBytes is the size of a token: 128 bits, which cannot be guessed.
const tokenBytes = 16

// NewToken makes a token.
func NewToken() string {
	b := make([]byte, tokenBytes)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// IsToken reports whether a text has the form of a token.
func IsToken(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == tokenBytes && s == strings.ToLower(s)
}

// TokenOf returns the token behind the plus sign of a recipient, "" where there is none.
func TokenOf(path string) string {
	local := path[:max(strings.LastIndexByte(path, '@'), 0)]
	_, detail, _ := strings.Cut(local, "+")
	if detail = strings.ToLower(detail); IsToken(detail) {
		return detail
	}
	return ""
}

// Encode writes a mail as it is kept. What exceeds the bounds is cut; where it is still too long,
// the header and the tree of SPF are left out.
func Encode(m Mail) ([]byte, error) {
	m.Version = Version
	m = m.bounded()
	out, err := json.Marshal(m)
	if err != nil || len(out) <= MaxBytes {
		return out, err
	}
	m.Cut += len(m.Fields)
	m.Fields = nil
	if m.SPF != nil {
		short := *m.SPF
		short.Tree, m.SPF = nil, &short
	}
	return json.Marshal(m)
}

func (m Mail) bounded() Mail {
	cut := func(list ...*string) {
		for _, s := range list {
			*s = Cut(*s)
		}
	}
	cut(&m.ClientName, &m.Helo, &m.TLS, &m.Sender, &m.Recipient, &m.Why, &m.Answer.MessageID,
		&m.DMARC.Reason,
		&m.DMARC.Record)
	m.Signatures = head(m.Signatures, maxSignatures)
	for i := range m.Signatures {
		s := &m.Signatures[i]
		cut(&s.Domain, &s.Selector, &s.Algorithm, &s.Canonicalization, &s.Reason,
			&s.HeaderCause, &s.Cure)
	}
	m.DMARC.Walk = head(m.DMARC.Walk, maxSteps)
	for i := range m.DMARC.Walk {
		cut(&m.DMARC.Walk[i].Answer)
	}
	m.DMARC.Alignments = head(m.DMARC.Alignments, maxSteps)
	for i := range m.DMARC.Alignments {
		cut(&m.DMARC.Alignments[i].Why)
	}
	m.Cut += max(len(m.Fields)-maxFields, 0)
	m.Fields = head(m.Fields, maxFields)
	for i := range m.Fields {
		cut(&m.Fields[i].Name, &m.Fields[i].Value)
	}
	return m
}

// head is a copy of the beginning of a list, which is then changed.
func head[T any](list []T, most int) []T {
	return append([]T(nil), list[:min(len(list), most)]...)
}

// Cut is the beginning of a text, valid UTF-8.
func Cut(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxValue {
		return s
	}
	s = s[:maxValue]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}
