package config

import (
	"fmt"
	"strings"
)

// registered are the header fields of mail in IANA's registry of permanent message header fields
// (RFC 4021 and after), and those that MTAs and filters give a meaning to. A field of our own that
// strangers may not bring must be none of them: it is deleted from their mail.
var registered = strings.Fields(`
	Accept-Language Alternate-Recipient Also-Control Apparently-To ARC-Authentication-Results
	ARC-Message-Signature ARC-Seal Archived-At Article-Names Article-Updates
	Authentication-Results Auto-Submitted Autocrypt Autoforwarded Autosubmitted Base Bcc
	BIMI-Indicator BIMI-Location BIMI-Selector Body Cc Cancel-Key Cancel-Lock Comments
	Content-Alternative Content-Base Content-Description Content-Disposition Content-Duration
	Content-Features Content-ID Content-Identifier Content-Language Content-Length
	Content-Location Content-MD5 Content-Return Content-Transfer-Encoding
	Content-Translation-Type Content-Type Control Conversion Conversion-With-Loss
	DL-Expansion-History Date Date-Received Deferred-Delivery Delivered-To Delivery-Date
	Discarded-X400-IPMS-Extensions Discarded-X400-MTS-Extensions Disclose-Recipients
	Disposition-Notification-Options Disposition-Notification-To Distribution DKIM-Signature
	DKIM2-Signature DomainKey-Signature Downgraded-Bcc Downgraded-Cc
	Downgraded-Disposition-Notification-To Downgraded-Final-Recipient Downgraded-From
	Downgraded-In-Reply-To Downgraded-Mail-From Downgraded-Message-Id
	Downgraded-Original-Recipient Downgraded-Rcpt-To Downgraded-References Downgraded-Reply-To
	Downgraded-Resent-Bcc Downgraded-Resent-Cc Downgraded-Resent-From Downgraded-Resent-Reply-To
	Downgraded-Resent-Sender Downgraded-Resent-To Downgraded-Return-Path Downgraded-Sender
	Downgraded-To EDIINT-Features EESST-Version Encoding Encrypted Eesst-Version Errors-To
	Expires Expiry-Date Face Fax Feedback-ID Followup-To Form-Sub From Full-Name
	Generate-Delivery-Report Hp-Outer Importance In-Reply-To Incomplete-Copy Injection-Date
	Injection-Info Jabber-ID Keywords Language Latest-Delivery-Time Lines List-Archive List-Help
	List-ID List-Owner List-Post List-Subscribe List-Unsubscribe List-Unsubscribe-Post
	Mail-Followup-To Mail-Reply-To Message-Context Message-ID Message-Type MIME-Version
	MMHS-Acp127-Message-Identifier MMHS-Authorizing-Users MMHS-Codress-Message-Indicator
	MMHS-Copy-Precedence MMHS-Exempted-Address MMHS-Extended-Authorisation-Info
	MMHS-Handling-Instructions MMHS-Message-Instructions MMHS-Message-Type MMHS-Originator-PLAD
	MMHS-Originator-Reference MMHS-Other-Recipients-Indicator-CC
	MMHS-Other-Recipients-Indicator-To MMHS-Primary-Precedence MMHS-Subject-Indicator-Codes
	MT-Priority Newsgroups NNTP-Posting-Date NNTP-Posting-Host Obsoletes Organization
	Original-Encoded-Information-Types Original-From Original-Message-ID Original-Recipient
	Original-Sender Original-Subject Originator-Return-Address Path PICS-Label Posting-Version
	Precedence Prevent-NonDelivery-Report Priority Privicon Received Received-SPF References
	Relay-Version Reply-By Reply-To Require-Recipient-Valid-Since Resent-Bcc Resent-Cc
	Resent-Date Resent-From Resent-Message-ID Resent-Reply-To Resent-Sender Resent-To
	Return-Path Return-Receipt-To Savannah See-Also Sender Sensitivity SIO-Label
	SIO-Label-History Solicitation Status Subject Summary Supersedes TLS-Report-Domain
	TLS-Report-Submitter TLS-Required To User-Agent VBR-Info Wrap-Recipient
	X400-Content-Identifier X400-Content-Return X400-Content-Type X400-MTS-Identifier
	X400-Originator X400-Received X400-Recipients X400-Trace Xref
`)

// prefixes begin names of further registered fields, which are many or new.
var registeredPrefixes = []string{"Content-", "Resent-", "List-", "ARC-", "DKIM", "Downgraded-",
	"MMHS-", "BIMI-", "Authentication-Results"}

// parseOwnField takes the name of a field that only we may write.
func parseOwnField(s string) (string, error) {
	name, err := parseFieldName(s)
	if err != nil {
		return "", err
	}
	isPrefix := func(p string) bool { return len(s) >= len(p) && strings.EqualFold(s[:len(p)], p) }
	taken := containsFold(registered, s)
	for _, p := range registeredPrefixes {
		taken = taken || isPrefix(p)
	}
	if taken {
		return "", fmt.Errorf("%q is a field that mail normally has, and it would be removed "+
			"from strangers' mail; choose a field of your own, such as \"X-Mailseal-Verdict\"", s)
	}
	return name, nil
}
