package opendkim

import "mailseal/config/tables"

// valueKind is what an option's value must be.
type valueKind uint8

const (
	text valueKind = iota
	boolean
	integer
)

// option is one that OpenDKIM or OpenDMARC knows. What is read elsewhere in the package has no why;
// for the others it says why they are dropped.
type option struct {
	name string
	kind valueKind
	why  string
}

// Reasons that several options share.
const (
	bySystemd = "systemd starts, restarts and confines the daemon"
	byMetrics = "Mailseal counts for Prometheus ([metrics])"
	noLength  = "a signature of a part of the body (l=) lets any host on the way add to it; Mailseal makes none"
	noReports = "reports of single failures are off; domains in [reports.failure] lists the " +
		"domains that get them, for signatures with r=y as for DMARC"
	noLua  = "there are no scripts in Mailseal; [policy], [sign.when] and [exempt] do what most of them are for"
	noLDAP = "Mailseal makes no LDAP queries"
	noVBR  = "Vouch-By-Reference (RFC 5518) is no longer in use"
	noATPS = "authorized third-party signatures (ATPS, RFC 6541) are not in use; a third " +
		"party signs with a key of its own at the author's domain"
	noKnob     = "Mailseal does this in one way, and has no setting for it"
	noRepute   = "there is no reputation in Mailseal"
	byDNS      = "the resolver does this; name it in dns.servers"
	deprecated = "OpenDKIM itself no longer knows it"
	ofPhoenix  = "it is PhoenixDKIM's"
	always     = "Mailseal always does"
)

// dkimOptions are all of opendkim.conf.
var dkimOptions = []option{
	{"AddAllSignatureResults", text, deprecated},
	{"AddCanonicalizedData", text, "mailseal verify --explain shows what was hashed"},
	{"ADSPAction", text, deprecated},
	{"ADSPNoSuchDomain", text, deprecated},
	{"AllowSHA1Only", boolean, "receivers must not accept SHA-1 signatures (RFC 8301)"},
	{"AlwaysAddARHeader", boolean, always},
	{"ATPSDomains", text, noATPS}, {"ATPSHashAlgorithm", text, noATPS},
	{"AuthservID", text, ""},
	{"AuthservIDWithJobID", boolean, "an id that changes with each message cannot be " +
		"distinguished from a forged one"},
	{"AutoRestart", boolean, bySystemd}, {"AutoRestartCount", integer, bySystemd}, {"AutoRestartRate", text, bySystemd},
	{"Background", boolean, bySystemd}, {"BaseDirectory", text, ""},
	{"BodyLengthDB", text, noLength},
	{"BodyLengths", boolean, noLength},
	{"BogusKey", text, byDNS},
	{"BogusPolicy", text, deprecated},
	{"Canonicalization", text, ""}, {"CaptureUnknownErrors", boolean, "on_internal_error determines what happens then"},
	{"ChangeRootDirectory", text, bySystemd}, {"CheckSigningTable", boolean, "mailseal check tests every key"},
	{"ClockDrift", integer, ""}, {"ConditionalSignatures", text, "no receiver knows conditional signatures"},
	{"DefaultSender", text, "the author is the address in From; a message without one has no author"},
	{"Diagnostics", boolean, "z= copies the header into the signature"},
	{"DiagnosticDirectory", text, "mailseal verify explains a failure"},
	{"DisableADSP", boolean, deprecated},
	{"DisableCryptoInit", boolean, noKnob},
	{"DNSConnect", boolean, byDNS},
	{"DNSTimeout", integer, ""},
	{"Domain", text, ""},
	{"DomainKeysCompat", boolean, "DomainKeys is dead (RFC 4870)"},
	{"DontSignMailTo", text, ""},
	{"EnableCoredumps", boolean, bySystemd},
	{"ExemptDomains", text, ""},
	{"ExternalIgnoreList", text, ""},
	{"FinalPolicyScript", text, noLua}, {"FixCRLF", boolean, "line ends are always put right"},
	{"FlowData", text, noRepute}, {"FlowDataFactor", text, noRepute}, {"FlowDataTTL", text, noRepute},
	{"HttpAuthHeader", text, ofPhoenix},
	{"HttpAuthToken", text, ofPhoenix},
	{"HttpTimeout", text, ofPhoenix},
	{"DNSSECProbe", text, ofPhoenix},
	{"IdentityHeader", text, "i= is set by rule (identifier)"},
	{"IdentityHeaderRemove", boolean, "i= is set by rule (identifier)"},
	{"IgnoreMalformedMail", boolean, "a From that RFC 5322 does not allow is judged by the " +
		"domains that it shows; policy.no_author is for one that shows none"},
	{"InternalHosts", text, ""},
	{"KeepAuthResults", boolean, "strangers' fields that claim to be ours are always removed, all others kept"},
	{"KeepTemporaryFiles", boolean, "there are no temporary files"}, {"KeyFile", text, ""}, {"KeyTable", text, ""},
	{"LDAPAuthMechanism", text, noLDAP},
	{"LDAPAuthName", text, noLDAP},
	{"LDAPAuthRealm", text, noLDAP},
	{"LDAPAuthUser", text, noLDAP},
	{"LDAPBindPassword", text, noLDAP},
	{"LDAPBindUser", text, noLDAP},
	{"LDAPDisableCache", text, noLDAP},
	{"LDAPKeepaliveIdle", text, noLDAP},
	{"LDAPKeepaliveInterval", text, noLDAP},
	{"LDAPKeepaliveProbes", text, noLDAP},
	{"LDAPTimeout", text, noLDAP},
	{"LDAPUseTLS", text, noLDAP},
	{"LocalADSP", text, deprecated},
	{"LogResults", boolean, always},
	{"LogWhy", boolean, always},
	{"LuaOnlySigning", boolean, noLua},
	{"MacroList", text, ""},
	{"MaximumHeaders", integer, ""},
	{"MaximumSignaturesToVerify", integer, ""},
	{"MaximumSignedBytes", integer, noLength},
	{"MetricsAddr", text, byMetrics}, {"MetricsFile", text, byMetrics}, {"MetricsInterval", text, byMetrics},
	{"MilterDebug", integer, "log.level = \"debug\" and mailseal mta show the milter protocol"},
	{"Minimum", text, "signatures that leave a part of the body open do not pass in Mailseal " +
		"(verify.accept_unsigned_body)"},
	{"MinimumKeyBits", integer, ""},
	{"Mode", text, ""}, {"MTA", text, ""}, {"MTACommand", text, noReports}, {"MultipleSignatures", boolean, ""},
	{"MustBeSigned", text, "From must be signed, as RFC 6376 requires; other fields are not required"},
	{"Nameservers", text, ""},
	{"NoHeaderB", boolean, "header.b tells several signatures apart"}, {"OmitHeaders", text, ""},
	{"On-BadSignature", text, ""},
	{"On-Default", text, ""},
	{"On-DNSError", text, ""},
	{"On-InternalError", text, ""},
	{"On-KeyNotFound", text, ""},
	{"On-NoSignature", text, ""},
	{"On-PolicyError", text, deprecated},
	{"On-ReputationError", text, noRepute},
	{"On-Security", text, ""},
	{"On-SignatureError", text, ""}, {"On-WeakAlgorithm", text, ofPhoenix},
	{"OversignHeaders", text, ""},
	{"PeerList", text, ""},
	{"PidFile", text, bySystemd},
	{"POPDBFile", text, "POP before SMTP is dead; [ours] knows who has logged in"},
	{"Quarantine", boolean, ""}, {"QueryCache", text, "answers of the DNS are always remembered"},
	{"RateLimits", text, noRepute},
	{"RedirectFailuresTo", text, "no recipient is changed; policy.dkim can hold a message"},
	{"RemoveARAll", boolean, always}, {"RemoveARFrom", text, ""}, {"RemoveOldSignatures", boolean, ""},
	{"ReplaceHeaders", text, "no header is rewritten; sign behind the MTA's own rewriting"},
	{"ReplaceRules", text, "no header is rewritten; sign behind the MTA's own rewriting"},
	{"ReportAddress", text, noReports}, {"ReportBccAddress", text, noReports}, {"RequestReports", boolean, ""},
	{"ReputationCache", text, noRepute},
	{"ReputationCacheTTL", text, noRepute},
	{"ReputationLimits", text, noRepute},
	{"ReputationRoot", text, noRepute},
	{"RequiredHeaders", boolean, ""},
	{"RequireSafeKeys", boolean, ""}, {"ResignAll", boolean, ""}, {"ResignMailTo", text, ""},
	{"ResolverConfiguration", text, byDNS}, {"ResolverTracing", boolean, byDNS}, {"ScreenPolicyScript", text, noLua},
	{"SelectCanonicalizationHeader", text, "a sender must not choose how we sign"}, {"Selector", text, ""},
	{"SenderHeaders", text, ""},
	{"SenderMacro", text, "the author is in From"},
	{"SendADSPReports", boolean, deprecated},
	{"SendReports", boolean, noReports},
	{"SetupPolicyScript", text, noLua},
	{"SignatureAlgorithm", text, ""},
	{"SignatureTTL", integer, ""},
	{"SignHeaders", text, ""},
	{"SigningTable", text, ""},
	{"SingleAuthResult", boolean, "one field has all results of a message"},
	{"SMTPURI", text, noReports},
	{"Socket", text, ""},
	{"SoftStart", boolean, "a source of keys that is away is no reason not to start"},
	{"SoftwareHeader", boolean, "a field that no program reads"},
	{"Statistics", text, byMetrics},
	{"StatisticsName", text, byMetrics},
	{"StatisticsPolicyScript", text, byMetrics},
	{"StatisticsPrefix", text, byMetrics},
	{"StatsDHost", text, byMetrics},
	{"StatsDPrefix", text, byMetrics},
	{"StdoutLog", boolean, "the log goes to standard error"},
	{"StrictHeaders", boolean, noKnob},
	{"StrictSignAlgorithm", text, ofPhoenix},
	{"StrictTestMode", boolean, noKnob},
	{"SubDomains", boolean, ""},
	{"Syslog", boolean, ""},
	{"SyslogFacility", text, ""},
	{"SyslogName", text, noKnob},
	{"SyslogSuccess", boolean, always},
	{"TemporaryDirectory", text, "there are no temporary files"},
	{"TestDNSData", text, "mailseal verify --zone does that"},
	{"TestPublicKeys", text, "mailseal verify --zone does that"},
	{"TrustAnchorFile", text, byDNS},
	{"TrustSignaturesFrom", text, "DMARC tells which signatures speak for the author"},
	{"UMask", integer, ""},
	{"UnprotectedKey", text, byDNS},
	{"UnprotectedPolicy", text, byDNS},
	{"UserID", text, ""},
	{"UseASPDiscard", text, deprecated},
	{"UseSSPDeny", text, deprecated},
	{"VaultField", text, ofPhoenix}, {"VaultSelectorsField", text, ofPhoenix}, {"VaultToken", text, ofPhoenix},
	{"VBR-Certifiers", text, noVBR},
	{"VBR-PurgeFields", text, noVBR},
	{"VBR-TrustedCertifiers", text, noVBR},
	{"VBR-TrustedCertifiersOnly", text, noVBR},
	{"VBR-Type", text, noVBR},
	{"WeakSyntaxChecks", boolean, noKnob}, {"X-Header", boolean, "a field that no program reads"},
}

// unknownOptions names what the program of the configuration would not start with, and what is
// written twice.
func (im *importer) unknownOptions(program string) {
	for _, e := range im.conf.unknown {
		im.note("option-unknown", e, program)
	}
	for _, e := range im.conf.again {
		im.note("option-again", e, e.value)
	}
}

// droppedOptions explains why options that are set are dropped, if they have no equivalent.
func (im *importer) droppedOptions() {
	for key, e := range im.conf.set {
		if why := im.conf.options[key].why; why != "" {
			im.note("option-dropped", e, tables.Prose(why))
		}
	}
	im.untold()
}

// untold adds a note for each setting that has none, so that no setting is lost silently.
func (im *importer) untold() {
	said := map[Note]bool{}
	for _, n := range im.report.Notes {
		said[Note{Option: n.Option, File: n.File, Line: n.Line}] = true
	}
	for key, e := range im.conf.set {
		on, _ := parseBool(e.value)
		switch {
		case said[Note{Option: e.name, File: e.File, Line: e.Line}]:
		case im.conf.options[key].kind == boolean && !on:
			im.note("option-off", e)
		default:
			im.note("option-without-effect", e)
		}
	}
}
