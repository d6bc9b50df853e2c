package domains

import (
	"slices"

	"mailseal/cmd/mailseal/check"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/spf"
)

// Row holds the properties that all findings with one code share.
type Row struct {
	Code     check.Code
	Severity check.Severity
	Why      string // why it matters, in a sentence
}

// fail, warn and note are short for the severities in the table.
const (
	fail = check.Error
	warn = check.Warning
	note = check.Note
)

// why are sentences that several rows share.
const (
	whyVoid     = "Receivers act as if the domain had no such record."
	whyBroken   = "Receivers return permerror, so SPF passes for no host at all."
	whyObsolete = "No receiver uses it today. You can delete it."
	whyForge    = "Every host that the record allows can send as you, and passes SPF and DMARC."
	whyKey      = "Signatures with this selector do not verify."
	whyIgnored  = "Receivers ignore it, so the record has another effect than it seems to have."
	whyStray    = "Receivers ignore this text. Delete it."
	whyReports  = "Reports about the domain are lost."
)

// broken are the codes of mistakes for which receivers answer permerror, and unusable those of keys
// under which no signature counts.
var (
	broken = []check.Code{
		spf.FlawSeveral, spf.FlawSyntax, spf.FlawTwice, spf.FlawTooMany, spf.FlawVoids,
		spf.FlawMXMany,
		spf.FlawLoop, spf.FlawIncludeNone, spf.FlawIncludeBad,
	}
	unusable = []check.Code{
		KeyMissing, SignedMissing, KeyMismatch, dkim.FlawPasted, dkim.FlawVersion,
		dkim.FlawMalformed, dkim.FlawShort,
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
	{NoDomain, fail, "A name that does not exist can neither send nor receive mail."},
	{NoAnswer, check.Unknown, "The record could not be checked. It may well exist."},
	{Bogus, check.Unknown, "Receivers that validate DNSSEC get no answer, so SPF, DKIM and DMARC " +
		"fail for them until this is corrected. Sign the zone again, or correct the DS record " +
		"at the registrar; a signature may have expired."},
	{ServersDiffer, warn, "What a receiver sees depends on which server its resolver asks. If " +
		"the last change is more than an hour old, one server does not receive the zone: " +
		"compare the serial numbers of the SOA records, and transfer the zone."},
	{ServerSilent, warn, "Lookups take longer, and fail when the other servers are down as well. " +
		"If it answers REFUSED, it is not set up for the domain: add the zone there, or remove " +
		"its NS record."},
	{NotSigned, note, "Records can be forged on the way to a resolver, and TLSA records do not " +
		"count."},
	{OutsideZone, note, "A zone file cannot answer for other domains. The name may well exist."},
	{BigAnswer, warn, "Answers this large need TCP, which some receivers' networks block."},
	{Misplaced, fail, "No receiver asks for this name: the zone's name was appended to a name " +
		"without a final dot."},
	{Misspelled, fail, "No receiver asks for this name."},
	{Dangling, fail, "Receivers follow the alias and find no record. The owner of the target " +
		"decides what they see."},
	{ShortTTL, note, "A time to live below five minutes costs extra lookups. Above one day, a " +
		"mistake takes long to disappear."},

	{spf.FlawNone, fail, "Any host can use the domain as envelope sender, and your own mail has " +
		"DKIM alone to pass DMARC."},
	{spf.FlawNearMiss, fail, whyVoid},
	{SPFStray, warn, whyStray},
	{spf.FlawJoined, fail, "The terms after the second version are not read as you meant them."},
	{spf.FlawPasted, fail, whyVoid},
	{spf.FlawColon, fail, "Receivers read it as an unknown modifier, and the hosts do not pass."},
	{spf.FlawAfterAll, warn, "Receivers stop at the term all and ignore the terms after it."},
	{spf.FlawRedirect, warn, "Receivers never follow the redirect."},
	{spf.FlawPlusAll, fail, whyForge},
	{spf.FlawNeutral, warn, "The record gives no protection."},
	{spf.FlawNoAll, warn, "The record gives no protection."},
	{spf.FlawPTR, warn, "Large receivers skip the term, and the others must wait for the " +
		"client's own name servers."},
	{spf.FlawMacro, note, "DMARC reports contain only domains, so they cannot show which hosts " +
		"this term allows."},
	{spf.FlawWide, fail, whyForge},
	{spf.FlawPrivate, warn, "The term has no effect outside your network."},
	{spf.FlawDuplicate, note, "The second one uses up bytes, and lookups if it queries the DNS."},
	{spf.FlawContained, note, "The one with the longer prefix can be removed, or either of two " +
		"that are the same."},
	{spf.FlawLong, warn, "A long answer may need TCP, or not arrive at all."},
	{spf.FlawVoids6, warn, "For mail that arrives over IPv6, receivers return permerror, even " +
		"for addresses that the record allows."},
	{spf.FlawNear, warn, "One more include in any of these records breaks this one."},
	{spf.FlawIncludeGone, fail, "Receivers return permerror. If a stranger registers the name, " +
		"the stranger can send as you."},
	{spf.FlawIncludeAll, fail, whyForge},
	{spf.FlawExists, fail, whyForge},
	{spf.FlawMany, note, "Each of these addresses can send as you and pass. Large services need " +
		"that many; DKIM proves more than an address."},
	{spf.FlawEmpty, warn, "The term costs a lookup, and only two lookups may return nothing."},
	{spf.FlawTwiceBehind, note, "Each occurrence counts toward the limit of ten lookups."},
	{SPFAtDMARC, fail, "No receiver looks up an SPF record at _dmarc."},
	{SPFType99, warn, whyObsolete},
	{SenderID, warn, whyObsolete},
	{SPFSoft, note, "Without DMARC, receivers need not act on ~all. With p=quarantine or " +
		"p=reject it is the right choice."},
	{SPFHard, note, "Some receivers reject mail because of -all before they check a DKIM " +
		"signature, for example forwarded mail. With ~all, DMARC decides."},
	{SPFAddress, fail, "Mail from this address fails SPF."},
	{SPFHelo, warn, "Bounces have no sender address, so receivers check only the HELO name."},
	{SharedService, note, "Other customers of the service send from the same addresses, so SPF " +
		"alone cannot tell their mail from yours."},
	{HeloAddress, warn, "Some receivers reject mail from a server whose HELO name has no address."},
	{HeloReverse, warn, "Some receivers distrust a server whose HELO name and reverse name " +
		"differ."},

	{SPFReported, warn, "This mail passes DMARC by its signature alone, and fails if the " +
		"signature breaks on the way."},
	{SPFUnused, note, "Every host that the record allows can send as you. Remove a term that is " +
		"no longer used."},
	{StrictIdentity, warn, "If the key has t=s, verifiers refuse signatures whose i= names a " +
		"subdomain. Remove t=s, or sign without i=."},

	{Wildcard, warn, "Every selector seems to exist, so a missing key looks like a broken one."},
	{NoSelector, note, "A key can be checked only if its selector is known. Signatures and DMARC " +
		"reports name selectors."},
	{KeySeveral, fail, "A verifier may pick any of the records, so signatures fail from time to " +
		"time."},
	{KeyShared, warn, "A host with the private key of one domain can sign as the other."},
	{KeySame, note, "Changing to this selector changes nothing: the holder of the old private key " +
		"has this one as well."},
	{KeyPrime, fail, "Anyone can sign as the domain. Make new keys, on a host with a good source " +
		"of random numbers."},
	{dkim.FlawWeak, fail, "Anyone can sign as the domain. Make a new key with other software, " +
		"and revoke this one."},
	{OnlyEd25519, fail, "Most receivers verify only RSA signatures. For them, the mail is " +
		"unsigned."},
	{dkim.FlawRevoked, note, "This is right for a key that has been retired."},
	{dkim.FlawModest, warn, "Some receivers ignore signatures with a key this short, and a " +
		"well-funded attacker can break it."},
	{dkim.FlawLarge, warn, "Some verifiers do not accept a key this long. For them, the mail is " +
		"unsigned."},
	{dkim.FlawTesting, warn, "Verifiers may treat the mail as unsigned."},
	{dkim.FlawGranularity, warn, whyObsolete},
	{dkim.FlawDomainKeys, warn, "Most verifiers accept it, but some do not."},
	{dkim.FlawExponent, warn, "Some cryptographic libraries refuse unusual exponents."},
	{DomainKeys, warn, whyObsolete},
	{ADSP, warn, whyObsolete},
	{SSP, warn, whyObsolete},
	{EmptyNode, warn, "Resolvers may conclude that nothing exists below _domainkey, and find no " +
		"key (RFC 8020)."},

	{NoDMARC, fail, "Anyone can put the domain into From, and you do not learn of it."},
	{ReportsUnread, check.Unknown, "The check could not use what receivers report about the " +
		"domain's mail."},
	{ReportsElsewhere, note, "This host does not learn of mail that fails. If the reports are " +
		"meant to go elsewhere, this is fine."},
	{RejectBySPF, fail, "p=reject must not rest on SPF alone (RFC 9989 section 8). Have every " +
		"source sign with DKIM first."},
	{RejectUnsigned, fail, "Mail from this host is rejected wherever it is forwarded, because " +
		"SPF does not survive forwarding (RFC 9989 section 8)."},
	{StrictLoss, warn, "With strict alignment, only the exact domain of From counts, and not a " +
		"subdomain in the signature or envelope."},
	{NoneLong, warn, "Reports show forgeries, but nothing stops them."},
	{CanTighten, note, "The reports show that the next step does not affect your own mail."},
	{DMARCSeveral, fail, "If there are several records, receivers use none of them."},
	{DMARCAtRoot, fail, "No receiver looks up a DMARC record at the domain itself. The record " +
		"belongs at _dmarc."},
	{DMARCWild, note, "Every name below the domain seems to have a record of its own."},
	{dmarc.FlawNearMiss, fail, whyVoid},
	{dmarc.FlawPasted, fail, "Receivers act as if the record, or the tag with the mistake, did " +
		"not exist."},
	{dmarc.FlawSyntax, fail, whyIgnored},
	{dmarc.FlawTwice, fail, whyIgnored},
	{dmarc.FlawValue, fail, whyIgnored},
	{dmarc.FlawNoPolicy, warn, "Forged mail is delivered: the record asks for no action."},
	{dmarc.FlawOrder, note, "RFC 7489 required p= in second place, and some receivers still do."},
	{dmarc.FlawSubdomain, warn, "Forgers use the name with the weakest policy."},
	{dmarc.FlawNonExist, warn, "Forgers use the name with the weakest policy."},
	{dmarc.FlawNoNP, note, "This step cannot harm mail of yours."},
	{dmarc.FlawPercent, note, whyObsolete},
	{dmarc.FlawFormat, note, whyObsolete},
	{dmarc.FlawInterval, note, whyObsolete},
	{dmarc.FlawSized, note, whyObsolete},
	{dmarc.FlawTesting, warn, "The tag is meant for a test and should not stay. Receivers that " +
		"follow RFC 7489 ignore it and apply the policy in full."},
	{dmarc.FlawNoReports, warn, "You do not learn which mail fails, yours or a forger's."},
	{dmarc.FlawAddress, warn, whyReports},
	{dmarc.FlawAddresses, warn, "Some receivers send reports only to the first two addresses."},
	{dmarc.FlawUnknownTag, note, whyIgnored},
	{dmarc.FlawFailure, note, whyIgnored},
	{dmarc.FlawOptions, note, "Receivers that send failure reports use fo=0 instead."},
	{DMARCStray, warn, whyStray},
	{dmarc.FlawPSD, warn, "Domains below it count as belonging to others, and alignment with " +
		"them fails."},
	{dmarc.FlawLong, warn, "A long answer may need TCP, or not arrive at all."},
	{dmarc.FlawMonitoring, note, "This is the right start, for at least a month, but it does not " +
		"protect the domain."},
	{NoEffect, note, "Receivers use these tags only in the record of the organizational domain."},
	{NotAgreed, fail, "Receivers must not send reports there until that domain agrees, so these " +
		"reports are never sent."},
	{ReportHost, fail, whyReports},
	{Freemail, warn, "Personal mailboxes fill up with reports and then refuse them."},
	{TakesAll, note, "Any domain can have its reports sent here."},
	{OlderPolicy, note, "Receivers adopt RFC 9989 slowly. Until then, some apply one policy and " +
		"some the other."},
	{OtherTree, warn, "Some receivers accept SPF and DKIM results of one domain for the other, " +
		"and some do not."},
	{OwnTree, note, "The policy of the domain above does not apply here, and its signatures do " +
		"not count."},

	{NoMX, fail, "Replies and bounces cannot be delivered, and some receivers reject mail from " +
		"such a domain."},
	{NullMixed, fail, "The null MX says that the domain accepts no mail; the other records say " +
		"that it does."},
	{MXName, fail, "An MX record must name a host that has addresses, not an address or an alias " +
		"(RFC 5321 section 5.1)."},
	{MXAddress, fail, "Mail for this host waits at the sender and is finally returned."},
	{MXPrivate, fail, "No host outside your network can reach such an address."},
	{MXTwice, note, "The second one has no effect."},
	{MXReverse, warn, "Receivers distrust mail from this address."},
	{MXMismatch, warn, "Receivers distrust mail from this address."},
	{MXGeneric, warn, "Receivers take such a name for a home connection and distrust the server."},
	{MXLeftover, note, "It was used once to prove who owns the domain. It is safe to delete."},
	{ParkedMX, warn, "A domain that sends no mail cannot answer the mail it receives. A null MX " +
		"says so."},
	{ParkedDMARC, warn, "A domain that sends no mail loses nothing with p=reject."},
	{STSNone, note, "An attacker on the way can force senders to deliver without encryption."},
	{STSSeveral, fail, "If there are several records, senders use none of them (RFC 8461 section " +
		"3.1)."},
	{STSBroken, fail, "Senders act as if the domain had no MTA-STS."},
	{TLSNone, note, "You do not learn when mail to the domain cannot be encrypted."},
	{TLSSeveral, fail, "If there are several records, senders use none of them (RFC 8460 section " +
		"3)."},
	{TLSBroken, fail, "Senders of TLS reports ignore it, so no reports arrive."},
	{BIMISeveral, warn, "Receivers show no logo if there are several records."},
	{BIMIBroken, warn, "Receivers show no logo."},
	{BIMIStray, warn, whyStray},
	{BIMIPolicy, warn, "Receivers show a logo only for domains whose DMARC policy is enforced."},
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

// deep are the rows of what is found only by connecting to hosts.
var deep = []Row{
	{MXUnreached, check.Unknown, "The host could not be tested. Many networks block outgoing " +
		"connections to port 25."},
	{MXPlain, warn, "Mail to the domain crosses the Internet unencrypted, and senders that " +
		"follow MTA-STS or DANE do not deliver it."},
	{MXBroken, warn, "Senders that encrypt whenever the host offers it delay the mail, or send " +
		"it unencrypted."},
	{MXOtherName, warn, "Senders that follow MTA-STS refuse a certificate that does not name the " +
		"MX host."},
	{MXUntrusted, warn, "Senders that follow MTA-STS refuse a certificate that no trusted " +
		"authority has signed. DANE does not need one."},
	{MXEnds, warn, "Senders that follow MTA-STS stop delivering on the day the certificate " +
		"expires. Renew it before then."},
	{PinMismatch, fail, "Senders that follow DANE do not deliver: to them, the host looks like " +
		"an attacker. If you changed the certificate, publish a record for the new one."},
	{PinUnsigned, warn, "TLSA records count only in zones that are signed with DNSSEC (RFC 7672 " +
		"section 2.1)."},
	{PinUnusable, warn, "Senders ignore the record: for mail, only usages 2 and 3 count (RFC " +
		"7672 section 3.1)."},
	{PolicyUnread, check.Unknown, "The policy could not be checked. It may well exist."},
	{PolicyRefused, fail, "Senders act as if the domain had no MTA-STS, or keep using the policy " +
		"that they remember."},
	{PolicyType, warn, "Some senders accept a policy only as text/plain (RFC 8461 section 3.2)."},
	{PolicyBroken, fail, "Senders act as if the domain had no MTA-STS."},
	{PolicyIdle, note, "Senders deliver even if the policy is not met."},
	{PolicyShort, warn, "Senders soon forget the policy. An attacker who prevents the next fetch " +
		"has then disabled it."},
	{PolicyMX, fail, "Senders that follow the policy do not deliver to this host."},
	{PolicyUnused, note, "It does no harm, but the host may no longer exist."},
}

// DeepCodes returns the codes of what is found only by connecting to hosts.
func DeepCodes() []check.Code {
	var out []check.Code
	for _, r := range deep {
		out = append(out, r.Code)
	}
	return out
}
