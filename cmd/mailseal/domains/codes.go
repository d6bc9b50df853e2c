package domains

import (
	"slices"

	"mailseal/cmd/mailseal/check"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/spf"
)

// Row is what is the same for all findings with one code.
type Row struct {
	Code     check.Code
	Severity check.Severity
	Why      string // why it matters, in a sentence
}

// deep are the rows of what is found by connecting to hosts alone.
var deep = []Row{
	{MXUnreached, check.Unknown, "It could not be checked. Many networks let no connection to port 25 out."},
	{MXPlain, warn, "Mail to the domain crosses the Internet in plain text, and senders with " +
		"MTA-STS or DANE do not deliver it."},
	{MXBroken, warn, "Senders that encrypt mail whenever it is offered wait, or send it in plain text."},
	{MXOtherName, warn, "Senders that follow MTA-STS refuse a certificate that is not for the name of the MX host."},
	{MXUntrusted, warn, "Senders that follow MTA-STS refuse a certificate that no authority they " +
		"know vouches for. DANE needs none."},
	{MXEnds, warn, "Senders that follow MTA-STS stop delivering on the day on which it ends."},
	{PinMismatch, fail, "Senders that follow DANE do not deliver: to them an attacker has taken the host's place."},
	{PinUnsigned, warn, "TLSA records count in zones alone that DNSSEC signs (RFC 7672 section 2.1)."},
	{PinUnusable, warn, "Senders pass the record over: for mail only the usages 2 and 3 count (RFC 7672 section 3.1)."},
	{PolicyUnread, check.Unknown, "It could not be checked. That is not to say that there is no policy."},
	{PolicyRefused, fail, "Senders treat the domain as if it had no MTA-STS, or go on with a " +
		"policy that they remember."},
	{PolicyType, warn, "Some senders take a policy as text/plain alone (RFC 8461 section 3.2)."},
	{PolicyBroken, fail, "Senders treat the domain as if it had no MTA-STS."},
	{PolicyIdle, note, "Senders deliver all the same when the policy is not met."},
	{PolicyShort, warn, "Senders forget the policy soon, and an attacker who keeps them from " +
		"asking anew is rid of it."},
	{PolicyMX, fail, "Senders that follow the policy do not deliver to this host."},
	{PolicyUnused, note, "It does no harm, and may be a host that is gone."},
}

// DeepCodes are the codes of what is found by connecting to hosts alone.
func DeepCodes() []check.Code {
	var out []check.Code
	for _, r := range deep {
		out = append(out, r.Code)
	}
	return out
}

// The codes of what this package finds out itself. Those of records' texts are in the packages of
// the records.
const (
	NoDomain         check.Code = "domain-missing"
	NoAnswer         check.Code = "dns-no-answer"
	Bogus            check.Code = "dnssec-bogus"
	ServersDiffer    check.Code = "name-servers-differ"
	ServerSilent     check.Code = "name-server-silent"
	NotSigned        check.Code = "dnssec-none"
	OutsideZone      check.Code = "zone-file-outside"
	BigAnswer        check.Code = "txt-answer-large"
	Misplaced        check.Code = "record-name-doubled"
	Misspelled       check.Code = "record-name-misspelled"
	Dangling         check.Code = "alias-dangling"
	ShortTTL         check.Code = "txt-ttl"
	SPFAtDMARC       check.Code = "spf-at-dmarc"
	SPFType99        check.Code = "spf-type99"
	SenderID         check.Code = "sender-id"
	SPFSoft          check.Code = "spf-softfail"
	SPFHard          check.Code = "spf-hardfail-beside-dmarc"
	SPFAddress       check.Code = "spf-own-address"
	SPFHelo          check.Code = "spf-helo"
	SharedService    check.Code = "spf-shared-service"
	HeloAddress      check.Code = "helo-no-address"
	HeloReverse      check.Code = "helo-reverse-name-differs"
	Wildcard         check.Code = "dkim-wildcard"
	NoSelector       check.Code = "dkim-no-selector-known"
	KeyMissing       check.Code = "dkim-missing"
	KeySeveral       check.Code = "dkim-several"
	KeyMismatch      check.Code = "dkim-key-mismatch"
	SignedMissing    check.Code = "dkim-reported-missing"
	StrictIdentity   check.Code = "dkim-strict-identity"
	KeyShared        check.Code = "dkim-key-shared"
	KeySame          check.Code = "dkim-key-same"
	KeyPrime         check.Code = "dkim-key-common-prime"
	OnlyEd25519      check.Code = "dkim-ed25519-alone"
	DomainKeys       check.Code = "domainkeys-policy"
	ADSP             check.Code = "adsp"
	SSP              check.Code = "ssp"
	EmptyNode        check.Code = "domainkey-nxdomain"
	NoDMARC          check.Code = "dmarc-none"
	DMARCSeveral     check.Code = "dmarc-several"
	DMARCAtRoot      check.Code = "dmarc-at-root"
	DMARCWild        check.Code = "dmarc-wildcard"
	NoEffect         check.Code = "dmarc-tag-without-effect"
	NotAgreed        check.Code = "dmarc-report-unauthorized"
	ReportHost       check.Code = "dmarc-report-host"
	Freemail         check.Code = "dmarc-report-freemail"
	TakesAll         check.Code = "dmarc-report-wildcard"
	OlderPolicy      check.Code = "dmarc-older-receivers"
	OwnTree          check.Code = "dmarc-psd-n"
	OtherTree        check.Code = "dmarc-organizational-domain"
	ReportsUnread    check.Code = "reports-unreadable"
	ReportsElsewhere check.Code = "dmarc-reports-elsewhere"
	RejectBySPF      check.Code = "dmarc-reject-by-spf-alone"
	RejectUnsigned   check.Code = "dmarc-reject-unsigned"
	StrictLoss       check.Code = "dmarc-strict-alignment"
	NoneLong         check.Code = "dmarc-none-for-long"
	CanTighten       check.Code = "dmarc-can-be-stricter"
	SPFReported      check.Code = "spf-reported-source"
	SPFUnused        check.Code = "spf-term-unused"
	NoMX             check.Code = "mx-none"
	NullMixed        check.Code = "mx-null-beside-others"
	MXName           check.Code = "mx-not-a-host"
	MXAddress        check.Code = "mx-no-address"
	MXPrivate        check.Code = "mx-private-address"
	MXTwice          check.Code = "mx-twice"
	MXReverse        check.Code = "mx-no-reverse-name"
	MXMismatch       check.Code = "mx-reverse-name-differs"
	MXGeneric        check.Code = "mx-reverse-name-generic"
	MXLeftover       check.Code = "mx-left-over"
	MXUnreached      check.Code = "mx-not-reached"
	MXPlain          check.Code = "mx-without-starttls"
	MXBroken         check.Code = "mx-starttls-fails"
	MXOtherName      check.Code = "mx-certificate-name"
	MXUntrusted      check.Code = "mx-certificate-untrusted"
	MXEnds           check.Code = "mx-certificate-ends"
	PinMismatch      check.Code = "dane-mismatch"
	PinUnsigned      check.Code = "dane-unsigned"
	PinUnusable      check.Code = "dane-unusable"
	PolicyUnread     check.Code = "sts-policy-not-reached"
	PolicyRefused    check.Code = "sts-policy-refused"
	PolicyType       check.Code = "sts-policy-type"
	PolicyBroken     check.Code = "sts-policy-mistake"
	PolicyIdle       check.Code = "sts-policy-not-enforced"
	PolicyShort      check.Code = "sts-policy-short"
	PolicyMX         check.Code = "sts-policy-lacks-mx"
	PolicyUnused     check.Code = "sts-policy-unused-mx"
	ParkedMX         check.Code = "parked-with-mx"
	ParkedDMARC      check.Code = "parked-without-reject"
	STSNone          check.Code = "sts-none"
	STSSeveral       check.Code = "sts-several"
	STSBroken        check.Code = "sts-record"
	TLSNone          check.Code = "tlsrpt-none"
	TLSSeveral       check.Code = "tlsrpt-several"
	TLSBroken        check.Code = "tlsrpt-record"
)

// fail, warn and note are short for the severities in the table.
const (
	fail = check.Error
	warn = check.Warning
	note = check.Note
)

// why are sentences that several rows share.
const (
	whyVoid     = "Receivers treat the domain as if it had no such record."
	whyBroken   = "Receivers answer permerror, and what SPF would allow counts for nothing."
	whyObsolete = "No receiver looks at it any more: it is safe to delete."
	whyForge    = "A host that is let in can send as you, and passes SPF and DMARC."
	whyKey      = "Signatures that name this selector do not verify."
	whyIgnored  = "Receivers pass it over, so that the record does not do what it seems to say."
	whyReports  = "Reports about the domain go nowhere."
)

// broken are the codes of mistakes for which receivers answer permerror, and unusable those of keys
// under which no signature counts.
var (
	broken = []check.Code{
		spf.FlawSeveral, spf.FlawSyntax, spf.FlawTwice, spf.FlawTooMany, spf.FlawVoids, spf.FlawMXMany,
		spf.FlawLoop, spf.FlawIncludeNone, spf.FlawIncludeBad,
	}
	unusable = []check.Code{
		KeyMissing, SignedMissing, KeyMismatch, dkim.FlawPasted, dkim.FlawVersion, dkim.FlawMalformed, dkim.FlawShort,
		dkim.FlawHash, dkim.FlawKeyType, dkim.FlawService,
	}
)

// rowsOf are the rows of mistakes that matter for one reason.
func rowsOf(why string, codes []check.Code) []Row {
	var out []Row
	for _, c := range codes {
		out = append(out, Row{c, fail, why})
	}
	return out
}

var rows = slices.Concat(various, deep, rowsOf(whyBroken, broken), rowsOf(whyKey, unusable))

// various are the rows of the other codes.
var various = []Row{
	{NoDomain, fail, "Nothing can be sent from, or delivered to, a name that does not exist."},
	{NoAnswer, check.Unknown, "It could not be checked. That is not to say that it is missing."},
	{Bogus, check.Unknown, "Receivers that validate get no answer: to them SPF, DKIM and DMARC fail for the time " +
		"being. Sign the zone anew, or mend the DS record at the registrar; a signature may have ended."},
	{ServersDiffer, warn, "What a receiver sees depends on which server its resolver asks. If the record was " +
		"changed an hour ago or more, a server does not get the zone: compare the serial numbers of its SOA record, " +
		"and transfer it."},
	{ServerSilent, warn, "Lookups take longer, and fail when the other servers are away too."},
	{NotSigned, note, "Records can be forged on the way to a resolver, and TLSA records count for nothing."},
	{OutsideZone, note, "A zone file cannot answer for other domains. That is not to say that the name is missing."},
	{BigAnswer, warn, "Answers this large come over TCP, which some receivers' networks do not let through."},
	{Misplaced, fail, "The record is at a name that no receiver asks for: a name without its " +
		"final dot had the zone's appended."},
	{Misspelled, fail, "The record is at a name that no receiver asks for."},
	{Dangling, fail, "The owner of the name that it leads to decides what receivers see, and there is nothing."},
	{ShortTTL, note, "A time to live under five minutes costs lookups; one over a day makes mistakes last."},

	{spf.FlawNone, fail, "Any sender can use the domain as envelope sender, and forwarded mail has one proof less."},
	{spf.FlawNearMiss, fail, whyVoid},
	{spf.FlawJoined, fail, "What the second record allows is never reached, or counts otherwise than meant."},
	{spf.FlawPasted, fail, whyVoid},
	{spf.FlawColon, fail, "Receivers take it for a word that they do not know, and let no host in by it."},
	{spf.FlawAfterAll, warn, "Terms behind all are never looked at."},
	{spf.FlawRedirect, warn, "The redirect is never followed."},
	{spf.FlawPlusAll, fail, whyForge},
	{spf.FlawNeutral, warn, "The record protects nothing."},
	{spf.FlawNoAll, warn, "The record protects nothing."},
	{spf.FlawPTR, warn, "Large receivers skip the term, and the others wait for the name servers of strangers."},
	{spf.FlawMacro, note, "Reports show domains only, which do not tell which hosts the term let in."},
	{spf.FlawWide, fail, whyForge},
	{spf.FlawPrivate, warn, "The term has no effect outside of your network."},
	{spf.FlawDuplicate, note, "The second one costs bytes, and lookups where it asks the DNS."},
	{spf.FlawContained, note, "The smaller network changes nothing."},
	{spf.FlawLong, warn, "A long answer may come over TCP, or not at all."},
	{spf.FlawVoids6, warn, "To mail that comes by IPv6 receivers answer permerror, also from addresses that the " +
		"record lets in."},
	{spf.FlawNear, warn, "One more include in any of these records breaks the record."},
	{spf.FlawIncludeGone, fail, "Receivers answer permerror, until a stranger registers the name and sends as you."},
	{spf.FlawIncludeAll, fail, whyForge},
	{spf.FlawExists, fail, whyForge},
	{spf.FlawMany, note, "Each of them can send as you, and pass. Large services have that many; DKIM " +
		"proves more than an address does."},
	{spf.FlawEmpty, warn, "The term costs a lookup, and two of them nearly the whole allowance of empty answers."},
	{spf.FlawTwiceBehind, note, "Lookups are counted each time, and ten are allowed."},
	{SPFAtDMARC, fail, "No receiver looks for SPF at _dmarc."},
	{SPFType99, warn, whyObsolete},
	{SenderID, warn, whyObsolete},
	{SPFSoft, note, "~all alone asks receivers for nothing. With DMARC at quarantine or reject " +
		"it is the right choice."},
	{SPFHard, note, "Some receivers refuse at -all before they see a DKIM signature, such as " +
		"that of forwarded mail; ~all leaves it to DMARC."},
	{SPFAddress, fail, "Mail from this address fails SPF."},
	{SPFHelo, warn, "Bounces have no sender, and are judged by the HELO name alone."},
	{SharedService, note, "Other customers of a service send from the same addresses: SPF alone " +
		"does not tell their mail from yours."},
	{HeloAddress, warn, "Some receivers refuse a HELO name that has no address."},
	{HeloReverse, warn, "Some receivers distrust a server that is called otherwise than it says."},

	{SPFReported, warn, "Mail from there has one proof less: when its signature breaks on the way, it fails DMARC."},
	{SPFUnused, note, "A host that is let in can send as you. A term that nothing uses can go."},
	{StrictIdentity, warn, "Verifiers refuse a signature whose i= is below the domain when the " +
		"key says t=s. Take t=s away, or sign without i=."},

	{Wildcard, warn, "Any selector seems to exist, so that a missing key looks like a broken one."},
	{NoSelector, note, "Without a selector no key can be looked at; signatures and DMARC reports name them."},
	{KeySeveral, fail, "A verifier may take any of the records, and signatures fail now and then."},
	{KeyShared, warn, "The holder of one domain's private key can sign as the other."},
	{KeySame, note, "A change of selectors to it changes nothing: the holder of the old key has this one."},
	{KeyPrime, fail, "Anybody can sign as the domain. Make new keys, on a host that has drawn enough random numbers."},
	{dkim.FlawWeak, fail, "Anybody can sign as the domain. Make a new key with other software, and revoke this one."},
	{OnlyEd25519, fail, "Most receivers verify RSA only: to them the mail is unsigned."},
	{dkim.FlawRevoked, note, "That is right for a key that is not in use any more."},
	{dkim.FlawModest, warn, "Some receivers do not count signatures with it, and it can be " +
		"broken by an attacker who pays for it."},
	{dkim.FlawLarge, warn, "Some verifiers do not take it, so that some mail is unsigned to them."},
	{dkim.FlawTesting, warn, "Verifiers need not treat the mail otherwise than unsigned mail."},
	{dkim.FlawGranularity, warn, whyObsolete},
	{dkim.FlawDomainKeys, warn, "Most verifiers take it, and some do not."},
	{dkim.FlawExponent, warn, "Unusual exponents are refused by some cryptographic libraries."},
	{DomainKeys, warn, whyObsolete},
	{ADSP, warn, whyObsolete},
	{SSP, warn, whyObsolete},
	{EmptyNode, warn, "Resolvers may conclude that nothing is below _domainkey, and find no key (RFC 8020)."},

	{NoDMARC, fail, "Any sender can write the domain into From, and you do not learn of it."},
	{ReportsUnread, check.Unknown, "What receivers say of the domain's mail could not be looked at."},
	{ReportsElsewhere, note, "Nothing on this host learns of mail that fails. That is as it " +
		"should be if the reports go to another domain."},
	{RejectBySPF, fail, "p=reject must not rest on SPF alone (RFC 9989 section 8): sign with " +
		"DKIM at every source first."},
	{RejectUnsigned, fail, "Mail of this host is refused wherever it is forwarded, since SPF " +
		"alone does not survive that (RFC 9989 section 8)."},
	{StrictLoss, warn, "Strict alignment wants the very domain of From: subdomains in signatures " +
		"or envelopes do not count."},
	{NoneLong, warn, "Reports tell you of forgeries, and nothing stops them."},
	{CanTighten, note, "The reports show that the next step costs none of your mail."},
	{DMARCSeveral, fail, "Receivers use none of several records."},
	{DMARCAtRoot, fail, "No receiver looks for DMARC at the domain itself: the record belongs at _dmarc."},
	{DMARCWild, note, "Every name below seems to have a record of its own."},
	{dmarc.FlawNearMiss, fail, whyVoid},
	{dmarc.FlawPasted, fail, "Receivers treat the domain as if it had no such record, or pass " +
		"over the part that it is in."},
	{dmarc.FlawSyntax, fail, whyIgnored},
	{dmarc.FlawTwice, fail, whyIgnored},
	{dmarc.FlawValue, fail, whyIgnored},
	{dmarc.FlawNoPolicy, warn, "Forged mail is delivered: the record asks for nothing."},
	{dmarc.FlawOrder, note, "RFC 7489 wanted p= in the second place, and some receivers still do."},
	{dmarc.FlawSubdomain, warn, "Forgers choose the weakest name."},
	{dmarc.FlawNonExist, warn, "Forgers choose the weakest name."},
	{dmarc.FlawNoNP, note, "It is the one step that cannot harm mail of yours."},
	{dmarc.FlawPercent, warn, whyObsolete},
	{dmarc.FlawFormat, warn, whyObsolete},
	{dmarc.FlawInterval, warn, whyObsolete},
	{dmarc.FlawSized, note, whyObsolete},
	{dmarc.FlawTesting, warn, "It is for a test, and should not stay. Receivers that follow RFC " +
		"7489 pass it over and apply the policy in full."},
	{dmarc.FlawNoReports, warn, "You will not know of mail that fails, yours or a forger's."},
	{dmarc.FlawAddress, warn, whyReports},
	{dmarc.FlawAddresses, warn, "Some reporters stop after the second address."},
	{dmarc.FlawUnknownTag, note, whyIgnored},
	{dmarc.FlawFailure, note, whyIgnored},
	{dmarc.FlawPSD, warn, "Names below are treated as if they belonged to others, and alignment with them fails."},
	{dmarc.FlawLong, warn, "A long answer may come over TCP, or not at all."},
	{dmarc.FlawMonitoring, note, "It is the right beginning, for a month at least, and no protection."},
	{NoEffect, note, "Receivers look at it in the record of the organizational domain only."},
	{NotAgreed, fail, "Reporters must not send there until that domain agrees, so that these reports go nowhere."},
	{ReportHost, fail, whyReports},
	{Freemail, warn, "Mailboxes of people fill up with reports and refuse them."},
	{TakesAll, note, "Any domain can have its reports sent here."},
	{OlderPolicy, note, "Receivers change over slowly: until then mail is treated in both ways."},
	{OtherTree, warn, "SPF and DKIM of one count for the other to some receivers, and not to the others."},
	{OwnTree, note, "The policy of the domain above does not apply here, and signatures of that domain do not count."},

	{NoMX, fail, "Replies and bounces cannot be delivered, and some receivers refuse mail from such a domain."},
	{NullMixed, fail, "The null MX says that the domain takes no mail, the others that it does."},
	{MXName, fail, "An MX must name a host that has addresses, not an address and not an alias " +
		"(RFC 5321 section 5.1)."},
	{MXAddress, fail, "Mail that is sent to this host waits, and comes back."},
	{MXPrivate, fail, "No host outside reaches such an address."},
	{MXTwice, note, "The second one changes nothing."},
	{MXReverse, warn, "Receivers that see mail from this address distrust it."},
	{MXMismatch, warn, "Receivers that see mail from this address distrust it."},
	{MXGeneric, warn, "Receivers take such a name for that of a customer's line, and distrust the server."},
	{MXLeftover, note, "It was for proving the ownership of the domain: it is safe to delete."},
	{ParkedMX, warn, "A domain that sends nothing, and takes mail, cannot answer it. A null MX says so."},
	{ParkedDMARC, warn, "A domain that sends nothing loses nothing by p=reject."},
	{STSNone, note, "Senders fall back to plain text when an attacker on the way forces them to."},
	{STSSeveral, fail, "Senders use none of several records (RFC 8461 section 3.1)."},
	{STSBroken, fail, "Senders treat the domain as if it had no MTA-STS."},
	{TLSNone, note, "You do not learn when mail to the domain cannot be encrypted."},
	{TLSSeveral, fail, "Senders use none of several records (RFC 8460 section 3)."},
	{TLSBroken, fail, "Senders of TLS reports pass it over."},
}

var byCode = index()

func index() map[check.Code]Row {
	out := make(map[check.Code]Row, len(rows))
	for _, r := range rows {
		out[r.Code] = r
	}
	return out
}

// Codes returns the table of all codes.
func Codes() []Row { return rows }
