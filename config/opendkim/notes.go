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
		"it only keeps a line about strangers' mail from the log; Mailseal writes none"},
	"unmatched-verified": {Taken,
		"mail of ours that no rule signs is verified, as before (ours.unmatched)"},
	"internal-hosts-unset": {Taken,
		"not set: mail from 127.0.0.1 and ::1 is ours, and mail of those who log in"},
	"internal-hosts": {Taken, "clients whose mail is ours: %s"},
	"internal-hosts-without-loopback": {Changed, "127.0.0.1 is not among them, yet mail that is " +
		"submitted on the host itself, without SMTP, is always ours in Mailseal"},
	"mapped-addresses": {Changed,
		"a client that the MTA reports as ::ffff:192.0.2.1 is 192.0.2.1 to Mailseal; to OpenDKIM " +
			"it is in no IPv4 network"},
	"macro-braces": {Never, "%s: OpenDKIM adds the braces itself. Add %s if you mean it"},
	"macros":       {Taken, "macros that make mail ours: %s"},
	"macro-daemon-name": {Changed, "with it OpenDKIM asks for {daemon_name} at the " +
		"end of the header, where Postfix says what main.cf has, whatever master.cf says: " +
		"Mailseal takes the name that the connection has, so that mail from listeners with a " +
		"name of their own in master.cf is ours now"},
	"exempt-hosts":   {Taken, "clients whose mail is left alone: %s"},
	"exempt-domains": {Taken, "authors' domains whose mail is left alone: %s"},
	"recipients-unsigned": {Changed, "mail to %s is not signed; strangers' mail to " +
		"them is judged like all other, where OpenDKIM leaves it alone"},
	"host-names": {Taken,
		"names of clients count where the MTA has verified them (hosts): a name is only as good " +
			"as the DNS, their addresses in networks are safer"},
	"host-unknown": {Changed, "OpenDKIM trusts unknown, which is what Postfix " +
		"calls every client without a name: Mailseal does not"},
	"host-exception-by-name": {Never, "! before a name (%s) keeps out no client whose " +
		"address is listed too; leave its address out"},
	"domain-regex":  {Dropped, "%s: a regular expression that has no equal"},
	"domain-glob":   {Dropped, "%s has no equal: name domains, or .domain for all below one"},
	"domain-parent": {Never, "%s never matched: the author's whole domain is looked for, no parents"},
	"quarantine-header": {Dropped,
		"what it was for is refused by itself: a header that is too large with 552"},
	"on-dns-error-unset": {Changed, "not set: mail whose signature cannot be looked " +
		"up is accepted; OpenDKIM defers it (policy.dkim.temperror)"},
	"on-signature-error-unset": {Changed, "not set: a signature that cannot be read " +
		"counts as none; mail with one is accepted, not rejected (policy.dkim.neutral)"},
	"signature-unreadable-signed": {Changed, "mail that comes with a DKIM-Signature that " +
		"cannot be read is signed; OpenDKIM does not sign it"},
	"authors-several": {Changed, "mail whose From has authors of several domains " +
		"goes unsigned; it is logged and counted. OpenDKIM signs it for the first"},
	"result-field-always": {Changed,
		"all mail that is verified gets one Authentication-Results field; OpenDKIM writes none where a key is missing"},
	"action-discard":    {Changed, "mail is never thrown away in silence: it is rejected"},
	"action-unknown":    {Dropped, "%q is not an action"},
	"action-impossible": {Changed, "%s is not possible for %s: tempfail"},
	"action-default":    {Taken, "%s: %s"},
	"action":            {Taken, "%s"},
	"mode":              {Taken, "%s"},
	"dkim-alone": {Taken, "DKIM alone is verified, as before; SPF, DMARC, " +
		"ARC and iprev are switched off in [verify], and wait to be switched on"},
	"socket-overridden": {Never, "%s takes its place"},
	"socket-unset": {Changed,
		"not set: Mailseal listens on inet:8891@127.0.0.1; %s does not start without"},
	"socket":      {Taken, "Mailseal listens on %s, and the MTA needs no change"},
	"socket-unix": {Taken, "Mailseal listens on %s"},
	"socket-directory": {Todo, "the daemon's user may not make a socket in %s, " +
		"nor may its unit below /var/spool. Let systemd make it: address = " +
		"\"fd:mailseal-postfix\" under [[listen]], \"systemctl edit mailseal-postfix.socket\" " +
		"with [Socket], ListenStream= and ListenStream=%s, and \"systemctl enable --now " +
		"mailseal-postfix.socket\"; the MTA needs no change then. Or address = " +
		"\"inet:8891@127.0.0.1\", and in the MTA inet:127.0.0.1:8891 (Postfix) or S=inet:8891@127.0.0.1 (Sendmail)"},
	"stop-old-daemon": {Todo, "stop the old daemon before Mailseal starts, which " +
		"listens at the same place: systemctl disable --now %s"},
	"umask-without-socket": {Dropped, "only a unix socket has permissions"},
	"socket-of-debian": {Taken, "Debian's start script hands it over, before what " +
		"opendkim.conf says; where the unit was not made anew by opendkim.service.generate, " +
		"opendkim.conf counts after all"},
	"startup":        {Taken, "%s on the command line, before what the file says: %s %s"},
	"startup-before": {Never, "what it is started with counts instead: %s"},
	"startup-conf": {Todo,
		"it is started with another configuration, %s: import that (--conf, --dmarc-conf)"},
	"startup-unknown": {Todo, "%s has no equal in the configuration: see %s(8) for what it did"},
	"startup-unread": {Never, "the unit does not use this file (%s): what it " +
		"sets never took effect; --default-file takes it up all the same"},
	"internal-hosts-everybody": {Todo, "%s is everybody: OpenDKIM signed strangers' mail " +
		"in your name. It is not taken over; name the networks whose mail is yours in ours.networks"},
	"set-elsewhere": {Todo, "%s"},
	"tables-elsewhere": {Todo,
		"no rule and no key is imported, and no mail is signed until there are some%s"},
	"signing-elsewhere": {Taken, "signing_query in the sketch of [sources] takes its place"},
	"database-password": {Todo, "the password of the database is not copied: write " +
		"it in the place of %s in the dsn, in a file that others cannot read: chgrp mailseal and chmod 0640"},
	"umask":       {Taken, "the socket has mode %04o"},
	"umask-unset": {Changed, "not set: the socket is open to its owner and group (0660)"},
	"user-and-group": {Changed, "the socket has the group %s; Mailseal runs as " +
		"the user that systemd gives it, not as %s, and must be able to read the keys"},
	"user": {Changed, "Mailseal runs as the user that systemd gives " +
		"it, and must be able to read the keys; listen.group lets the MTA at the socket"},
	"id-pattern":  {Never, "%s matches no id: ids are compared whole"},
	"ids-removed": {Taken, "fields that claim %s are removed from strangers' mail"},
	"id-hostname": {Taken, "HOSTNAME is the host's name, as in OpenDKIM"},
	"id":          {Taken, "%s"},
	"id-unset":    {Taken, "not set: OpenDKIM and OpenDMARC take the MTA's name, which is %s here"},
	"id-unknown": {Todo, "not set, and the MTA's name is not known: write " +
		"authserv_id = \"mx.example.com\" with this host's full name, so that no stranger can " +
		"forge results under a shorter one"},
	"header-size":         {Taken, "%d bytes; a larger header is refused with 552"},
	"header-size-bounded": {Changed, "limits.header_size is at least 4 KiB and at most 1 GiB: 1 MiB"},
	"unsafe-keys-refused": {Taken,
		"a key that others can read does not sign; mailseal check says how to mend it"},
	"unsafe-keys-warned": {Taken, "permissions of keys are a warning, with the command that mends them"},
	"unsafe-keys-unset": {Changed, "not set: a key that others can read signs, " +
		"with a warning; OpenDKIM defers all mail then (require_safe_keys)"},
	"key-bits-least": {Changed, "1024 is the least (RFC 8301)"},
	"key-bits":       {Taken, "%d"},
	"max-signatures": {Taken, "%d; those of the author's domain go first"},
	"max-signatures-unset": {Changed, "not set: 10 signatures of a message are tried, " +
		"the author domain's first; OpenDKIM tries 3"},
	"clock-drift":         {Taken, "%d seconds"},
	"dns-timeout":         {Taken, "%d seconds for a question to a server"},
	"dns-timeout-bounded": {Changed, "an answer that never comes must not stop the mail: 5 seconds"},
	"nameserver-unknown":  {Dropped, "%q is not an address of a name server"},
	"nameservers":         {Taken, "%s"},
	"facility-unknown":    {Changed, "%s is not a facility of Mailseal's: mail"},
	"facility":            {Taken, "%s"},
	"syslog":              {Taken, "facility %s; one line for each message"},
	"list-of-one-word": {Never,
		"%q is a list of that one word, not a file: the name of a file begins with / or file:"},
	"long-line": {Changed,
		"longer than %d bytes: OpenDKIM cuts such a line into several, Mailseal reads it whole"},
	"dmarc-socket-dropped": {Dropped, "one daemon does both now, and listens where opendkim.conf says"},
	"dmarc-remove-milter": {Todo,
		"take this milter out of the MTA's list (smtpd_milters, non_smtpd_milters; " +
			"INPUT_MAIL_FILTER), and systemctl disable --now opendmarc"},
	"dmarc-socket-beside": {Dropped,
		"one daemon does both now: what opendkim.conf says of the socket holds"},
	"dmarc-beside":  {Dropped, "one daemon does both now: what opendkim.conf says holds"},
	"dmarc-same-id": {Taken, "the same id as in opendkim.conf"},
	"dmarc-trusted-ids": {Changed, "Mailseal verifies itself and believes no " +
		"field: strangers can write one with any of these ids"},
	"dmarc-spf-itself": {Changed, "Mailseal always checks SPF itself"},
	"dmarc-one-id": {Changed,
		"there is one field with one id, opendkim.conf's %s; write the host's name into " +
			"authentication_results.remove_ids, so that strangers cannot use it"},
	"dmarc-one-id-removed": {Changed,
		"there is one field with one id, opendkim.conf's %s; strangers' fields that claim %s are removed too"},
	"dmarc-reject": {Taken, "mail that fails where the author's domain asks " +
		"for rejection: %s; the same where From is malformed or shows several domains, and one " +
		"of these fails so, or where it shows more than four (policy.many_authors)"},
	"dmarc-hold": {Taken, "mail that fails where the domain asks for quarantine: %s"},
	"dmarc-temperror": {Taken, "OpenDMARC defers mail whose policy cannot be " +
		"looked up, and so does policy.dmarc.temperror"},
	"dmarc-several-domains": {Changed, "a From of several domains: each of up to four " +
		"is judged by its own record, and mail that shows more is rejected; where none fails the " +
		"mail is accepted, and DMARC does not pass"},
	"required-headers": {Changed, "mail of theirs whose From shows no address is " +
		"rejected; a malformed From and several From fields are judged by the domains that they " +
		"show, and other fields are not counted"},
	"required-headers-unjudged": {Dropped, "only mail of theirs is judged, and nothing " +
		"judges it here; mail of ours without an author goes unsigned, says so and is counted"},
	"dmarc-suffix-list": {Changed,
		"the list is the one in Mailseal, not this file; \"walk\" (RFC 9989) needs none"},
	"dmarc-suffix-list-unset": {Changed, "not set: the organizational domain is found in " +
		"the DNS (RFC 9989); OpenDMARC takes each domain for itself"},
	"dmarc-ignore-parent": {Never, "%s never matched: the author's whole domain is " +
		"compared. Add it to author_domains if you mean it"},
	"not-a-domain":              {Never, "%q is not a domain"},
	"dmarc-ignore":              {Taken, "DMARC does nothing to mail from %s; its result is written"},
	"dmarc-authenticated":       {Taken, "mail of users who have logged in is ours, and never judged"},
	"dmarc-authenticated-unset": {Changed, "not on: mail of users who log in is ours, and not judged by DMARC"},
	"dmarc-not-judged": {Changed,
		"mail from %s is judged without consequence; its results are written all the same"},
	"dmarc-not-judged-names": {Dropped,
		"names of clients (%s): policy.not_judged knows addresses only. Add theirs"},
	"dmarc-trusted-sealers": {Changed, "%s: believed when the last ARC seal of a chain " +
		"that holds is theirs and says that the message had passed DMARC"},
	"host-regex": {Dropped, "%s: a regular expression that has no equal; it " +
		"may be an exception, so that nothing in the set counts. Write out what it stands for"},
	"host-star": {Never, "%s never matched: * is not a special sign here. Add %s if you mean it"},
	"host-glob": {Dropped, "%s has no equal: name hosts, .domains or networks"},
	"host-glob-wider": {Changed, "%s is %s here; OpenDKIM's expression also " +
		"matches the texts of wider networks that begin so"},
	"host-except": {Taken, "%s keeps out every client that it matches, whatever else is listed"},
	"host-except-widely": {Dropped,
		"%s keeps out every client that it matches, whatever else is listed%s"},
	"host-star-never": {Never, "%s never let anybody in: in a refile: it matches " +
		"the question !%s too, which says no%s. Write %s if you mean it"},
	"network-incomplete": {Never,
		"%s never matched: write a network in full, as 192.0.2.0/24 or 2001:db8::/32"},
	"network-spelling": {Never, "%s never matched: OpenDKIM compares texts, and " +
		"the network is called %s. Add that if you mean it"},
	"address-mapped": {Dropped, "%s: IPv4 addresses in IPv6 form are taken for IPv4 addresses here"},
	"address-spelling": {Never, "%s never matched: OpenDKIM compares texts, and " +
		"the address is called %s. Add that if you mean it"},
	"host-invalid":          {Never, "%s is not a host, domain or network"},
	"base-directory":        {Taken, "relative file names start from it"},
	"option-unknown":        {Dropped, "no option of that name; %s would not start with it"},
	"option-again":          {Never, "is set again later, and the last one counts: %s"},
	"option-dropped":        {Dropped, "%s"},
	"option-off":            {Taken, "no: so it is in Mailseal"},
	"option-without-effect": {Never, "has no effect beside the other settings"},
	"expiry":                {Taken, "signatures are good for %s"},
	"expiry-unset": {Taken,
		"not set: signatures are good for ever, as before; Mailseal's own default is 10 days"},
	"reports-requested": {Taken, "signatures ask for reports of those that fail " +
		"(r=y), where the DNS says where to: mailseal check --dns looks at _report._domainkey"},
	"old-signatures-removed": {Taken, "signatures that a message of ours came with are removed"},
	"algorithm-dropped": {Dropped,
		"a key itself says how it signs, with rsa-sha256 or ed25519-sha256: OpenDKIM defers all " +
			"mail of keys that are not of this kind"},
	"sender-headers-dropped": {Dropped, "the author is in From, as DMARC wants it: mail " +
		"whose From is of no domain in the table goes unsigned"},
	"resign-dropped": {Dropped,
		"mail of strangers is signed by rules with resign = true and a when that says which"},
	"canonicalization-unset": {Changed,
		"not set: relaxed/relaxed; OpenDKIM's simple/simple breaks whenever a host on the way folds a line again"},
	"canonicalization-alone":   {Taken, "%s alone means %s/simple"},
	"canonicalization":         {Taken, "%s/%s"},
	"canonicalization-unknown": {Dropped, "%q is not a canonicalization"},
	"canonicalization-simple-body": {Taken, "a simple body breaks more often on the way; " +
		"relaxed/relaxed is safe to change to at any time"},
	"headers-unset": {Changed, "not set: more fields are signed than by " +
		"OpenDKIM; Message-ID, MIME-Version and Content-Type are among them (signing.headers)"},
	"keep-results": {Changed, "%s may not hand on Authentication-Results " +
		"fields with our id, which a PC could forge; OpenDKIM keeps them from all internal " +
		"hosts. Add content filters and list managers among them to ours.keep_results"},
	"verifier-role": {Taken, "mail of all clients is verified, as before; also " +
		"that of 127.0.0.1 and of users who log in: the listener has the role theirs"},
	"verifier-ours": {Never, "says whose mail is signed, and nothing is: " +
		"OpenDKIM verifies the mail of these clients as well"},
	"verifier-authenticated": {Changed, "mail of users who have logged in is ours, so " +
		"that DMARC does nothing to it, and is not verified either; all other mail is verified, that of 127.0.0.1 too"},
	"verifier-submission": {Changed,
		"mail that is submitted on the host itself, without SMTP, is ours and not verified"},
	"default-redirected": {Changed, "mail that failed DMARC when it came in is not " +
		"signed when it is sent on; a user's rule or a list does that, and the signature would " +
		"be the author domain's (signing.redirected)"},
	"default-long-lines": {Changed, "a field with a line that the mail server would " +
		"break is folded again; where that is impossible, it is left out of the signature"},
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
	"dmarc-authenticated-judged": {Taken, "not on: mail of users who have logged in is judged like all other"},
	"dmarc-not-judged-unset": {Changed, "not set: mail from 127.0.0.1 is judged without " +
		"consequence; its results are written. OpenDMARC leaves it alone"},
	"headers-unset-omitted": {Changed, "not set: more fields are signed than by " +
		"OpenDKIM; those of OmitHeaders are not (signing.headers)"},
	"user-by-systemd": {Dropped,
		"Mailseal runs as the user that systemd gives it, and must be able to read the keys"},
	"headers-omit-from": {Changed,
		"From must be signed, and is: OpenDKIM signs nothing at all with From in this list"},
	"oversign-unset": {Changed, "not set: a second From, To, Cc, Subject or " +
		"Reply-To breaks the signature; where a message has them, so does a second Date, " +
		"Message-ID, MIME field or List-Unsubscribe (signing.oversign, oversign_if_present, oversign_mime)"},
	"fields-changed":       {Taken, "a change to the default list, which is Mailseal's now"},
	"fields":               {Taken, "%s"},
	"field-sign":           {Never, "%s: + and - go with a *, and every other name with one of them"},
	"field-invalid":        {Dropped, "%q is not a name of a field"},
	"field-unsignable":     {Dropped, "%s changes on the way, or is not for signing"},
	"simple-beside-tables": {Never, "is not looked at beside KeyTable"},
	"nothing-to-sign-with": {Changed,
		"neither Domain nor SigningTable is set: there is nothing to sign with"},
	"keys":     {Taken, "%s%s"},
	"rules":    {Taken, "%s became %s, in the order in which OpenDKIM looks senders up"},
	"multiple": {Taken, "all lines that fit a sender sign"},
	"multiple-lost": {Changed, "OpenDKIM up to 2.11 makes the first and the " +
		"last of several signatures only: mail from %s gets those of %s too"},
	"multiple-lost-crossing": {Changed, "OpenDKIM up to 2.11 makes the first and the " +
		"last of several signatures only: mail that more than two lines fit gets the others too"},
	"domain-one-label": {Changed, "%s goes unsigned: a signature of a domain of " +
		"one label cannot be verified (RFC 6376 section 3.5)"},
	"domain-glob-never": {Never,
		"%s never matched: names are compared whole; SubDomains yes signs for those below"},
	"simple-domains":  {Taken, "%s"},
	"simple-key":      {Taken, "the key of all of them: %s"},
	"simple-selector": {Taken, "%s"},
	"simple-everybody": {Taken, "* signs everybody's mail as the author's domain: " +
		"every one of those must publish the key"},
	"simple-subdomains": {Taken, "mail from names below is signed as the domain, with i=@domain"},
}
