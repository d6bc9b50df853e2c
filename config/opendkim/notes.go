package opendkim

import "mailseal/config/tables"

// noteOf returns what there is to say under a code, of an option or of a line of a table.
func noteOf(c tables.Code) tables.Note {
	if s, ok := notes[c]; ok {
		return tables.Note{Group: s.group, Text: s.text}
	}
	n, _ := tables.NoteOf(c)
	return n
}

// sentence is what all notes of one code have in common.
type sentence struct {
	group Group
	text  string // for fmt, with what the note names
}

// notes has the group and the text of every code that is not one of a table.
var notes = map[tables.Code]sentence{
	"daemon-names": {Taken,
		"values of {daemon_name} that sign, upper and lower case as they are: %s"},
	"peer-list-dropped": {Dropped,
		"it only suppresses a log line about strangers' mail; Mailseal writes no such line"},
	"unmatched-verified": {Taken,
		"our own mail that no rule signs is verified, as before (ours.unmatched)"},
	"internal-hosts-unset": {Taken,
		"not set: mail from 127.0.0.1 and ::1, and from users who log in, is ours"},
	"internal-hosts": {Taken, "clients whose mail is ours: %s"},
	"internal-hosts-without-loopback": {Changed, "127.0.0.1 is not in the list, but in Mailseal " +
		"mail that is submitted on the host itself, without SMTP, is always ours"},
	"mapped-addresses": {Changed,
		"a client that the MTA reports as ::ffff:192.0.2.1 is 192.0.2.1 to Mailseal; to OpenDKIM " +
			"it is in no IPv4 network"},
	"macro-braces": {Never, "%s: OpenDKIM adds the braces itself. Add %s if you mean it"},
	"macros":       {Taken, "macros that make mail ours: %s"},
	"macro-daemon-name": {Changed, "with it OpenDKIM reads {daemon_name} at the end of the " +
		"header, where Postfix sends the value of main.cf and ignores master.cf. Mailseal reads " +
		"it when the client connects, so mail from listeners with a name of their own in " +
		"master.cf is now ours"},
	"exempt-hosts":   {Taken, "clients whose mail is exempt: %s"},
	"exempt-domains": {Taken, "author domains whose mail is exempt: %s"},
	"recipients-unsigned": {Changed, "mail to %s is not signed; strangers' mail to them is " +
		"judged like all other mail, while OpenDKIM does not touch it"},
	"host-names": {Taken,
		"client names count if the MTA has verified them (hosts): a name is only as trustworthy " +
			"as the DNS; addresses in networks are safer"},
	"host-unknown": {Changed, "OpenDKIM trusts unknown, which is what Postfix " +
		"calls every client without a name: Mailseal does not"},
	"host-exception-by-name": {Never, "! before a name (%s) does not exclude a client whose " +
		"address is listed, too; remove its address"},
	"domain-regex": {Dropped, "%s: a regular expression, which Mailseal does not support"},
	"domain-glob": {Dropped, "Mailseal has no pattern like %s: list domains, or .domain for " +
		"all below one"},
	"domain-parent": {Never, "%s never matched: OpenDKIM looks for the author's whole domain, " +
		"not for its parents"},
	"quarantine-header": {Dropped,
		"not needed: a header that is too large is always refused with 552"},
	"on-dns-error-unset": {Changed, "not set: mail whose signing key cannot be looked up is " +
		"accepted; OpenDKIM defers it (policy.dkim.temperror)"},
	"on-signature-error-unset": {Changed, "not set: mail with a signature that cannot be read is " +
		"accepted, not rejected; the signature is ignored (policy.dkim.neutral)"},
	"signature-unreadable-signed": {Changed, "mail that already has a DKIM-Signature that cannot " +
		"be read is signed; OpenDKIM does not sign it"},
	"authors-several": {Changed, "mail with authors in several domains goes unsigned; it is " +
		"logged and counted. OpenDKIM signs it for the first author"},
	"result-field-always": {Changed,
		"all mail that is verified gets one Authentication-Results field; OpenDKIM writes none " +
			"if a key is missing"},
	"action-discard":    {Changed, "Mailseal never discards mail silently: it rejects the mail"},
	"action-unknown":    {Dropped, "%q is not an action"},
	"action-impossible": {Changed, "%s is not possible for %s; tempfail is used instead"},
	"action-default":    {Taken, "%s: %s"},
	"action":            {Taken, "%s"},
	"mode":              {Taken, "%s"},
	"dkim-alone": {Taken, "only DKIM is verified, as before; SPF, DMARC, ARC and iprev are " +
		"switched off in [verify], and can be switched on there"},
	"socket-overridden": {Never, "%s takes its place"},
	"socket-unset": {Changed,
		"not set: Mailseal listens on inet:8891@127.0.0.1; %s does not start without a socket"},
	"socket":      {Taken, "Mailseal listens on %s, and the MTA needs no change"},
	"socket-unix": {Taken, "Mailseal listens on %s"},
	"socket-directory": {Todo, "the daemon's user may not create a socket in %s, and its unit " +
		"may not create one below /var/spool. Let systemd create it: address = " +
		"\"fd:mailseal-postfix\" under [[listen]], \"systemctl edit mailseal-postfix.socket\" " +
		"with [Socket], ListenStream= and ListenStream=%s, and \"systemctl enable --now " +
		"mailseal-postfix.socket\"; the MTA then needs no change. Or set address = " +
		"\"inet:8891@127.0.0.1\", and in the MTA inet:127.0.0.1:8891 (Postfix) or " +
		"S=inet:8891@127.0.0.1 (Sendmail)"},
	"stop-old-daemon": {Todo, "stop the old daemon before you start Mailseal, which listens on " +
		"the same socket: systemctl disable --now %s"},
	"umask-without-socket": {Dropped, "only a unix socket has permissions"},
	"socket-of-debian": {Taken, "Debian's start script passes it on the command line, which " +
		"overrides opendkim.conf. If opendkim.service.generate has not written the unit again " +
		"since, opendkim.conf counts"},
	"startup":        {Taken, "%s on the command line, which overrides the file: %s %s"},
	"startup-before": {Never, "overridden by the way the daemon is started: %s"},
	"startup-conf": {Todo,
		"the daemon is started with another configuration file, %s: import that one (--conf, " +
			"--dmarc-conf)"},
	"startup-unknown": {Todo, "%s has no equivalent in the configuration: see %s(8) for what it " +
		"did"},
	"startup-unread": {Never, "the unit does not use this file (%s), so its settings never took " +
		"effect; --default-file imports them nevertheless"},
	"internal-hosts-everybody": {Todo, "%s matches every client: OpenDKIM signed strangers' mail " +
		"in your name. It was not imported; list the networks whose mail is yours in " +
		"ours.networks"},
	"set-elsewhere": {Todo, "%s"},
	"tables-elsewhere": {Todo,
		"no rules and no keys were imported, and no mail is signed until there are some%s"},
	"signing-elsewhere": {Taken, "replaced by signing_query in the sketch of [sources]"},
	"database-password": {Todo, "the password of the database was not copied: write it in place " +
		"of %s into the dsn, and make the file unreadable for other users (chgrp mailseal, chmod " +
		"0640)"},
	"umask":       {Taken, "the socket has mode %04o"},
	"umask-unset": {Changed, "not set: the socket is open to its owner and group (0660)"},
	"user-and-group": {Changed, "the socket has the group %s; Mailseal runs as " +
		"the user that systemd gives it, not as %s, and must be able to read the keys"},
	"user": {Changed, "Mailseal runs as the user that systemd gives it, and must be able to read " +
		"the keys; listen.group lets the MTA use the socket"},
	"id-pattern":  {Never, "%s matches no id: ids are compared whole"},
	"ids-removed": {Taken, "fields that claim this id are removed from strangers' mail: %s"},
	"id-hostname": {Taken, "HOSTNAME is the host's name, as in OpenDKIM"},
	"id":          {Taken, "%s"},
	"id-unset":    {Taken, "not set: OpenDKIM and OpenDMARC use the MTA's name, which is %s here"},
	"id-unknown": {Todo, "not set, and the MTA's name is not known: set authserv_id = " +
		"\"mx.example.com\" with this host's full name; results under a short name could be " +
		"forged by strangers"},
	"header-size":         {Taken, "%d bytes; a larger header is refused with 552"},
	"header-size-bounded": {Changed, "limits.header_size is at least 4 KiB and at most 1 GiB: 1 MiB"},
	"unsafe-keys-refused": {Taken,
		"a key that other users can read does not sign; mailseal check says how to correct that"},
	"unsafe-keys-warned": {Taken, "unsafe permissions of keys cause a warning, with the command " +
		"that corrects them"},
	"unsafe-keys-unset": {Changed, "not set: a key that other users can read signs, with a " +
		"warning; OpenDKIM would defer all mail (require_safe_keys)"},
	"key-bits-least": {Changed, "1024 is the minimum (RFC 8301)"},
	"key-bits":       {Taken, "%d"},
	"max-signatures": {Taken, "%d; those of the author's domain come first"},
	"max-signatures-unset": {Changed, "not set: 10 signatures are verified, the author domain's " +
		"first; OpenDKIM verifies 3"},
	"clock-drift": {Taken, "%d seconds"},
	"dns-timeout": {Taken, "%d seconds for a query to a server"},
	"dns-timeout-bounded": {Changed, "5 seconds are used: mail must not wait for an answer that " +
		"never comes"},
	"nameserver-unknown": {Dropped, "%q is not an address of a name server"},
	"nameservers":        {Taken, "%s"},
	"facility-unknown":   {Changed, "Mailseal cannot log to the facility %s; mail is used"},
	"facility":           {Taken, "%s"},
	"syslog":             {Taken, "facility %s; one line for each message"},
	"list-of-one-word": {Never,
		"%q is read as a list with this one word, not as a file; the name of a file begins with " +
			"/ or file:"},
	"long-line": {Changed,
		"longer than %d bytes: OpenDKIM splits such a line, Mailseal reads it as one"},
	"dmarc-socket-dropped": {Dropped, "one daemon does both now, and listens on the socket of " +
		"opendkim.conf"},
	"dmarc-remove-milter": {Todo,
		"remove this milter from the MTA's list (smtpd_milters, non_smtpd_milters; " +
			"INPUT_MAIL_FILTER), and run systemctl disable --now opendmarc"},
	"dmarc-socket-beside": {Dropped,
		"one daemon does both now: the socket of opendkim.conf is used"},
	"dmarc-beside":  {Dropped, "one daemon does both now: the setting of opendkim.conf is used"},
	"dmarc-same-id": {Taken, "the same id as in opendkim.conf"},
	"dmarc-trusted-ids": {Changed, "Mailseal verifies mail itself and trusts no such field: " +
		"strangers can write one with any of these ids"},
	"dmarc-spf-itself": {Changed, "Mailseal always checks SPF itself"},
	"dmarc-one-id": {Changed,
		"there is one field with one id, %s of opendkim.conf; add the host's name to " +
			"authentication_results.remove_ids, so that strangers cannot use it"},
	"dmarc-one-id-removed": {Changed,
		"there is one field with one id, %s of opendkim.conf; fields in strangers' mail that " +
			"claim %s are removed, too"},
	"dmarc-reject": {Taken, "mail that fails and whose domain asks for rejection: %s. The same " +
		"applies if From is malformed or shows several domains of which one fails this way, or " +
		"if it shows more than four (policy.many_authors)"},
	"dmarc-hold": {Taken, "mail that fails and whose domain asks for quarantine: %s"},
	"dmarc-temperror": {Taken, "OpenDMARC defers mail whose policy cannot be " +
		"looked up, and so does policy.dmarc.temperror"},
	"dmarc-several-domains": {Changed, "a From with several domains: each of up to four is " +
		"judged by its own record, and mail with more is rejected; if none fails, the mail is " +
		"accepted, and DMARC does not pass"},
	"required-headers": {Changed, "strangers' mail whose From shows no address is rejected; a " +
		"malformed From and several From fields are judged by the domains that they show; other " +
		"required fields are not checked"},
	"required-headers-unjudged": {Dropped, "only strangers' mail is judged, and this " +
		"configuration judges none; our own mail without an author goes unsigned, which is " +
		"logged and counted"},
	"dmarc-suffix-list": {Changed,
		"Mailseal uses the list that is built in, not this file; \"walk\" (RFC 9989) needs no " +
			"list"},
	"dmarc-suffix-list-unset": {Changed, "not set: the organizational domain is found in the DNS " +
		"(RFC 9989); OpenDMARC treats each domain as its own organizational domain"},
	"dmarc-ignore-parent": {Never, "%s never matched: the author's whole domain is " +
		"compared. Add it to author_domains if you mean it"},
	"not-a-domain":        {Never, "%q is not a domain"},
	"dmarc-ignore":        {Taken, "DMARC does nothing to mail from %s; its result is written"},
	"dmarc-authenticated": {Taken, "mail of users who have logged in is ours, and never judged"},
	"dmarc-authenticated-unset": {Changed, "off: mail of users who log in is ours, and not " +
		"judged by DMARC"},
	"dmarc-not-judged": {Changed,
		"mail from %s is judged, but no action follows; its results are written"},
	"dmarc-not-judged-names": {Dropped,
		"client names (%s): policy.not_judged.networks has addresses only. Add the clients' " +
			"addresses"},
	"dmarc-trusted-sealers": {Changed, "%s: trusted if the newest ARC seal of a valid chain is " +
		"from there and says that the message passed DMARC"},
	"host-regex": {Dropped, "%s: a regular expression, which Mailseal does not support. It may " +
		"be an exception, so nothing in the set is used. List what it matches"},
	"host-star": {Never, "%s never matched: * has no special meaning here. Add %s if you mean it"},
	"host-glob": {Dropped, "Mailseal has no pattern like %s: list hosts, .domains or networks"},
	"host-glob-wider": {Changed, "%s becomes %s; OpenDKIM's expression also matches wider " +
		"networks whose text begins the same"},
	"host-except": {Taken, "%s excludes every client that it matches, whatever else is listed"},
	"host-except-widely": {Dropped,
		"%s excludes every client that it matches, whatever else is listed%s"},
	"host-star-never": {Never, "%s never matched a client: in a refile: it also matches the " +
		"lookup of !%s, which excludes the client%s. Write %s if you mean it"},
	"network-incomplete": {Never,
		"%s never matched: write a network in full, as 192.0.2.0/24 or 2001:db8::/32"},
	"network-spelling": {Never, "%s never matched: OpenDKIM compares texts, and " +
		"the network is called %s. Add that if you mean it"},
	"address-mapped": {Dropped, "%s: Mailseal treats IPv4 addresses in IPv6 form as IPv4 " +
		"addresses"},
	"address-spelling": {Never, "%s never matched: OpenDKIM compares texts, and " +
		"the address is called %s. Add that if you mean it"},
	"host-invalid":          {Never, "%s is not a host, domain or network"},
	"base-directory":        {Taken, "relative file names start from it"},
	"option-unknown":        {Dropped, "no option of that name; %s would not start with it"},
	"option-again":          {Never, "is set again later, and the last one counts: %s"},
	"option-dropped":        {Dropped, "%s"},
	"option-off":            {Taken, "no: the same as in Mailseal"},
	"option-without-effect": {Never, "has no effect together with the other settings"},
	"expiry":                {Taken, "signatures are valid for %s"},
	"expiry-unset": {Taken,
		"not set: signatures are valid for ever, as before; Mailseal's own default is 10 days"},
	"reports-requested": {Taken, "signatures ask receivers to report failures (r=y) to the " +
		"address in the DNS; mailseal check --dns checks the record at _report._domainkey"},
	"old-signatures-removed": {Taken, "signatures that our own mail already has are removed"},
	"algorithm-dropped": {Dropped,
		"the kind of key decides between rsa-sha256 and ed25519-sha256; OpenDKIM defers all mail " +
			"of keys of the other kind"},
	"sender-headers-dropped": {Dropped, "the author is taken from From, as DMARC requires: mail " +
		"goes unsigned if the domain in From is not in the table"},
	"resign-dropped": {Dropped,
		"strangers' mail is signed only by rules with resign = true and a when that limits which " +
			"mail"},
	"canonicalization-unset": {Changed,
		"not set: relaxed/relaxed; OpenDKIM's simple/simple breaks whenever a host on the way folds a line again"},
	"canonicalization-alone":   {Taken, "%s alone means %s/simple"},
	"canonicalization":         {Taken, "%s/%s"},
	"canonicalization-unknown": {Dropped, "%q is not a canonicalization"},
	"canonicalization-simple-body": {Taken, "signatures with a simple body break more often on " +
		"the way; you can change to relaxed/relaxed at any time"},
	"headers-unset": {Changed, "not set: more fields are signed than by OpenDKIM; Message-ID, " +
		"MIME-Version and Content-Type are among them (signing.headers)"},
	"keep-results": {Changed, "%s may not pass on Authentication-Results fields with our id, " +
		"since a PC could forge them; OpenDKIM keeps such fields from all internal hosts. Add " +
		"the content filters and list managers among these hosts to ours.keep_results"},
	"verifier-role": {Taken, "mail of all clients is verified, as before; this includes " +
		"127.0.0.1 and users who log in (the listener has the role theirs)"},
	"verifier-ours": {Never, "it lists clients whose mail is signed, but nothing is signed: " +
		"OpenDKIM verifies the mail of these clients as well"},
	"verifier-authenticated": {Changed, "mail of users who have logged in is ours, so DMARC does " +
		"not apply to it, and it is not verified either; all other mail is verified, also that " +
		"from 127.0.0.1"},
	"verifier-submission": {Changed,
		"mail that is submitted on the host itself, without SMTP, is ours and not verified"},
	"default-redirected": {Changed, "mail that failed DMARC on arrival is not signed when it is " +
		"sent on; a user's rule or a list does that (signing.redirected)"},
	"default-long-lines": {Changed, "a field with a line that the mail server would break is " +
		"folded first; if that is not possible, the field is left out of the signature"},
	"default-self-check": {Changed, "one signature in a thousand is verified by a " +
		"second implementation; signing.self_check sets how many"},
	"default-from-marked": {Changed, "mail whose From shows no author gets the field " +
		"X-Mailseal-Verdict; RequiredHeaders rejects it instead (policy.no_author)"},
	"default-mark-removed": {Changed,
		"a field X-Mailseal-Verdict is removed from strangers' mail (policy.mark_header)"},
	"default-unsigned-body": {Changed, "a signature that covers only a part of the " +
		"body (l=) does not pass; its result is policy (verify.accept_unsigned_body)"},
	"default-sha1": {Changed, "a signature with SHA-1 does not pass (RFC 8301)"},
	"default-methods": {Changed, "DKIM, ARC, iprev and SPF of HELO are checked " +
		"as well; OpenDMARC reads what other filters have written ([verify])"},
	"default-header-size": {Changed, "not set: a header may have 1 MiB; OpenDKIM " +
		"refuses more than 64 KiB (limits.header_size)"},
	"dmarc-authenticated-judged": {Taken, "off: mail of users who have logged in is judged like " +
		"all other mail"},
	"dmarc-not-judged-unset": {Changed, "not set: mail from 127.0.0.1 is judged, but no action " +
		"follows; its results are written. OpenDMARC does not touch it"},
	"headers-unset-omitted": {Changed, "not set: more fields are signed than by OpenDKIM, but " +
		"not those of OmitHeaders (signing.headers)"},
	"user-by-systemd": {Dropped,
		"Mailseal runs as the user that systemd gives it, and must be able to read the keys"},
	"headers-omit-from": {Changed,
		"From must be signed, and Mailseal signs it: OpenDKIM signs no mail at all with From in " +
			"this list"},
	"oversign-unset": {Changed, "not set: a second From, To, Cc, Subject or " +
		"Reply-To breaks the signature; where a message has them, so does a second Date, " +
		"Message-ID, MIME field or List-Unsubscribe (signing.oversign, oversign_if_present, oversign_mime)"},
	"fields-changed": {Taken, "this changes the default list, which is now that of Mailseal"},
	"fields":         {Taken, "%s"},
	"field-sign": {Never, "%s: in a list with *, every other name needs + or -, and " +
		"without * none may have one"},
	"field-invalid":        {Dropped, "%q is not the name of a header field"},
	"field-unsignable":     {Dropped, "%s changes on the way, or must not be signed"},
	"simple-beside-tables": {Never, "ignored, since KeyTable is set"},
	"nothing-to-sign-with": {Changed,
		"neither Domain nor SigningTable is set, so no mail can be signed"},
	"keys":     {Taken, "%s%s"},
	"rules":    {Taken, "%s became %s, in the order in which OpenDKIM looks senders up"},
	"multiple": {Taken, "all lines that match a sender sign"},
	"multiple-lost": {Changed, "of several signatures, OpenDKIM up to 2.11 makes only the first " +
		"and the last: mail from %s now gets those of %s, too"},
	"multiple-lost-crossing": {Changed, "of several signatures, OpenDKIM up to 2.11 makes only " +
		"the first and the last: mail that more than two lines match now gets the others, too"},
	"domain-one-label": {Changed, "%s goes unsigned: a signature of a domain of " +
		"one label cannot be verified (RFC 6376 section 3.5)"},
	"domain-glob-never": {Never,
		"%s never matched: whole names are compared; SubDomains yes signs for the subdomains"},
	"simple-domains":  {Taken, "%s"},
	"simple-key":      {Taken, "the key of all these domains: %s"},
	"simple-selector": {Taken, "%s"},
	"simple-everybody": {Taken, "* signs all mail as the author's domain: each of these domains " +
		"must publish the key"},
	"simple-subdomains": {Taken, "mail from subdomains is signed as the domain, with i=@domain"},
}
