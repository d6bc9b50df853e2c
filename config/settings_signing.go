package config

import "mailseal/milter/action"

var keysSection = section{
	header: `[keys."mail._domainkey.example.com"]`, path: "keys.NAME",
	doc: "The key table: one table for each private key. A name of the form " +
		"selector._domainkey.domain sets domain and selector as well.",
	settings: []setting{
		{name: "domain", example: `"example.com"`, form: "domain or %",
			doc: "The d= tag: the domain that publishes the key. \"%\" is the domain of the message's author."},
		{name: "selector", example: `"mail"`, form: "selector",
			doc: "The s= tag: the key is published at selector._domainkey.domain."},
		{name: "file", example: `"/var/lib/mailseal/keys/example.com/mail.pem"`, form: "path",
			doc: "The file of the private key, RSA or Ed25519: PEM (PKCS#1 or PKCS#8), or base64. " +
				"Relative names are relative to the directory of the configuration file. \"%\" in " +
				"the path, as in \"/var/lib/mailseal/keys/%/mail.pem\", stands for the author's " +
				"domain, with international names in the form xn--...: mail of a domain is signed " +
				"if its file exists; if not, it goes unsigned, which is logged and counted. If " +
				"the directory before the \"%\" does not exist, mail is deferred, since a disk " +
				"may not be mounted. Mail of a domain that signed in the last 30 days (listed in " +
				"signed.json in state_directory) and whose file is missing is deferred, too, " +
				"until the file is back or \"mailseal reload --accept\" confirms that the domain " +
				"is gone. If the key has a domain of its own (domain, or the key's name), \"%\" " +
				"stands for that domain."},
		{name: "private_key", example: `"YW4gRWQyNTUxOSBzZWVkIGhhcyAzMiBvY3RldHMuLi4="`,
			doc: "The key itself instead of a file: PEM, base64 without the lines BEGIN and END, " +
				"or an Ed25519 seed of 32 bytes in base64. The configuration file must then be protected like " +
				"a key."},
		{name: "source", example: `"hosting"`,
			doc: "The name of a source in [sources] that holds the key under this name, instead of a file."},
		{name: "identifier", example: `"news@example.com"`, form: "identifier",
			doc: "The i= tag of this key's signatures, instead of the rule's. Its domain must be " +
				"equal to d= or below it. \"%\" stands for the author's domain."},
	},
}

var signSection = section{
	header: "[[sign]]", path: "sign[]",
	doc: "The signing table: which mail is signed with which keys. The first rule that matches " +
		"the author and the message signs (with match = \"all\" in [signing], every matching " +
		"rule does); each of its keys makes one signature. A rule can also set the options of " +
		"[signing] for itself, except match, self_check, self_check_action and " +
		"unsigned_recipients.",
	settings: []setting{
		{name: "from", example: `["*@example.com", "*@*.example.com"]`, form: "address pattern",
			doc: "Authors, by the address in From: user@example.com, *@example.com (or " +
				"example.com), *@*.example.com (or .example.com: any domain below it, at any " +
				"depth), user@*.example.com, user@*, or * for every address; * may also be part " +
				"of the local part, as in info*@example.com."},
		{name: "keys", example: `["mail._domainkey.example.com"]`, form: "key name",
			doc: "Names of keys in [keys], or in source. \"%\" in a name stands for the author's " +
				"domain. Nearly all hosts should sign with an RSA and an Ed25519 key. Gmail " +
				"reports the Ed25519 signature as failed, which does no harm while the RSA " +
				"signature passes. Some services refuse mail with two signatures; for these, name " +
				"only the RSA key."},
		{name: "managed", example: `"example.com"`, form: "domain or %",
			doc: "Instead of keys: the domain whose keys \"mailseal keys\" makes and rotates; " +
				"those that are active sign. \"%\" is the author's domain. Until the first key " +
				"has been active, mail goes unsigned (first_key); later, mail is deferred while " +
				"no key is active."},
		{name: "source", example: `"hosting"`,
			doc: "A source in [sources] in which keys are looked up. Without keys, the source " +
				"also decides which keys sign for which sender, and from may be left out."},
		{name: "domain", example: `"example.com"`, form: "domain or %",
			doc: "The d= tag instead of the key's domain: for a parent domain, or for signing as " +
				"a third party. \"%\" is the author's domain."},
		{name: "resign", def: "false",
			doc: "Sign mail of strangers too, as mailing lists and forwarders do. It needs a " +
				"when or an if that limits which mail."},
		{name: "if", example: `'login != "" or client.address == "192.0.2.7"'`,
			doc: "A further condition: an expression over what is known at the end of the header, " +
				"such as the login, the envelope and the header; see EXPRESSIONS below. A rule " +
				"whose expression is false does not match the message. If the expression cannot " +
				"be evaluated, which happens only with a huge header, the message is deferred."},
	},
}

var whenSection = section{
	header: "[sign.when]", path: "sign[].when", filled: true,
	doc: "Further conditions of the rule above. All conditions that are set must be true.",
	settings: []setting{
		{name: "recipients", example: `["*@lists.example.com"]`, form: "address pattern",
			doc: "At least one recipient is one of these."},
		{name: "networks", example: `["192.0.2.0/24"]`, doc: "The client is in one of these."},
		{name: "daemon_names", example: `["submission"]`, doc: "The macro {daemon_name} is one of these."},
		{name: "logins", example: `["joe@example.com"]`,
			doc: "The client has authenticated with one of these names; \"*\" is any, as in [senders]."},
		{name: "senders", example: `["*@bounces.example.com"]`, form: "sender pattern",
			doc: "The envelope sender is one of these; \"<>\" is the null sender of bounces."},
		{name: "list_ids", example: `["announce.lists.example.org"]`, form: "domain tree",
			doc: "The identifier in List-Id (RFC 2919) is one of these; \".example.org\" matches " +
				"any below it. A message with several such fields does not match."},
	},
}

var signingSection = section{
	header: "[signing]", path: "signing",
	doc: "How signatures are made, unless a rule says otherwise.",
	settings: []setting{
		{name: "canonicalization", def: `"relaxed/relaxed"`, form: "canonicalization",
			doc: "The canonicalization of header and body, each \"simple\" or \"relaxed\". " +
				"\"relaxed\" alone means relaxed/simple (RFC 6376 section 3.5). Signatures with " +
				"a simple body break more often on the way."},
		{name: "headers", form: "field names", empty: "From alone", example: `["+X-Ticket", "-List-Owner"]`,
			def: `["From", "Sender", "Reply-To", "Subject", "Date", "Message-ID", "To", "Cc", ` +
				`"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "In-Reply-To", ` +
				`"References", "Resent-Date", "Resent-From", "Resent-Sender", "Resent-To", ` +
				`"Resent-Cc", "Resent-Message-ID", "List-Id", "List-Help", "List-Unsubscribe", ` +
				`"List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner", "List-Archive", "Autocrypt"]`,
			doc: "Fields that are signed if a message has them. A list of names with + and - " +
				"adds to the default list, or in a rule to the list of [signing], and removes " +
				"from it. From is always signed."},
		{name: "oversign", form: "field names", empty: "none",
			def: `["From", "To", "Cc", "Subject", "Reply-To"]`, example: `["+Date"]`,
			doc: "Fields that no host on the way can add without breaking the signature (RFC " +
				"6376 section 8.15): h= lists each once more than the message has it, and once " +
				"if the message has none. + and - work as in headers."},
		{name: "oversign_if_present", form: "field names", empty: "none",
			def: `["Date", "Message-ID", "MIME-Version", "Content-Type", ` +
				`"Content-Transfer-Encoding", "List-Unsubscribe", "List-Unsubscribe-Post"]`,
			example: `["-Date"]`,
			doc: "Fields that no host on the way can add a second time without breaking the " +
				"signature. A message without them may get them later: Sendmail and mailing " +
				"lists add some. + and - work as in headers. " +
				"Sender, the Resent fields and the other List fields are in neither list: " +
				"mailing lists write a Sender and List fields of their own, and a mail program " +
				"that passes a message on writes Resent fields, as they may (RFC 5322 sections " +
				"3.6.2 and 3.6.6, RFC 2369). Mail programs show them beside From at most, and " +
				"DMARC uses only From. mailseal explain-signing lists what can still be added."},
		{name: "oversign_mime", def: "true",
			doc: "Oversign MIME-Version, Content-Type and Content-Transfer-Encoding in a message " +
				"that has none of them and no byte above 127, in header or body. A field that is " +
				"not in headers is left out. Otherwise an attacker could add one, and the same " +
				"text would be read as a web page or as base64. Mail servers and mailing lists " +
				"add these fields only to messages with 8-bit text, to which this setting does " +
				"not apply. Turn it off if a host that relays your mail after this one adds " +
				"MIME-Version to all mail."},
		{name: "expiry", def: `"10d"`, zero: "for ever, without x=",
			doc: "How long a signature is valid (x=). It must be longer than mail may wait in " +
				"the queues of all hosts on the way."},
		{name: "identifier", example: `"@%"`, form: "identifier",
			doc: "The i= tag, such as @example.com or news@example.com, at or below the d= " +
				"domain; \"%\" stands for the author's domain, alone or as in news@lists.%. It is " +
				"left out for an author at another domain. Hardly any receiver uses it."},
		{name: "request_reports", def: "false",
			doc: "Write r=y, which asks receivers to report signatures that fail (RFC 6651). A " +
				"TXT record at _report._domainkey.DOMAIN, with the d= domain, says where reports " +
				"go, such as \"ra=dkim-errors\" for dkim-errors@DOMAIN; \"mailseal check --dns\" " +
				"checks it. Few receivers send such reports."},
		{name: "skip_if_signed", def: "false",
			doc: "Do not sign a message that already has a signature of the same domain and " +
				"selector, such as one that a content filter returns."},
		{name: "remove_old_signatures", def: "false",
			doc: "Remove the DKIM-Signature fields that a message arrived with when it is signed."},
		{name: "on_key_error", def: `"skip"`,
			doc: "What happens when a key of the rule cannot be loaded or does not work: " +
				"\"skip\" signs with the others, and defers the message (451) if none is left; " +
				"\"tempfail\" defers it, and \"reject\" refuses it, if any key fails; \"accept\" " +
				"signs with the others, and sends the message unsigned if none is left. Each " +
				"failure is logged and counted."},
		{name: "first_key", def: `"unsigned"`, values: []string{string(FirstKeyUnsigned), string(FirstKeyDefer)},
			doc: "What happens to mail that a rule with managed matches, before any key of the " +
				"domain has ever been active: \"unsigned\" lets it go unsigned, with a warning " +
				"in the log, and counts it; \"defer\" treats it as mail whose key cannot be " +
				"loaded (on_key_error). Once a key has been active, a missing key is always " +
				"handled by on_key_error. The list of keys is in state_directory: if that " +
				"directory does not exist, the daemon does not start. If it is on a disk of its " +
				"own, set \"defer\": where a disk is not mounted, an empty directory may be " +
				"left, which looks as if no key had ever been active."},
		{name: "match", def: `"first"`, values: []string{"first", "all"},
			doc: "Which of the rules that match a message sign it: the \"first\" in the order of " +
				"the file, or \"all\", each with its own options. If two rules would make the " +
				"same signature (key, d= and i=), it is made once, with the options of the " +
				"first. remove_old_signatures of one rule applies to the message, and overrides " +
				"skip_if_signed. For a key that fails, on_key_error of its rule applies, where " +
				"\"the others\" are the keys of all matching rules; if one rule defers and " +
				"another rejects, the message is deferred."},
		{name: "malformed_from", def: `"sign"`,
			doc: "What happens to our mail with a From field that RFC 5322 does not allow, such " +
				"as Company, Inc. <info@example.com> without quotes, or with two From fields: " +
				"\"sign\" signs it if mail readers can show only one domain, which RFC 6376 " +
				"section 3.8 permits; \"unsigned\" lets it go without a signature; \"reject\" " +
				"refuses it (550). Mail that shows several domains is never signed. The log says " +
				"what is wrong and at which byte."},
		{name: "self_check", def: "0.001", zero: "none",
			doc: "The share of messages, from 0 to 1, whose signatures a second implementation " +
				"verifies before the mail leaves."},
		{name: "self_check_action", def: `"accept"`, values: words(action.Accept, action.Tempfail),
			doc: "What happens to a message whose signature the second implementation does not " +
				"verify. It is logged and counted in any case."},
		{name: "unsigned_recipients", def: "[]", example: `["*@internal.example.com"]`, form: "address pattern",
			doc: "Mail with any of these recipients is not signed."},
		{name: "redirected", def: `"unsigned"`,
			doc: "What happens to our mail whose newest Authentication-Results field with our " +
				"authserv_id, or one of remove_ids, says dmarc=fail for the author's domain. Such " +
				"a message came from a stranger and failed DMARC, and a user's rule (Sieve " +
				"redirect, .forward) or a list now sends it on. \"unsigned\" adds no signature of " +
				"that domain, or of a parent or sibling domain, logs a warning, and counts the " +
				"message in mailseal_unsigned_total with the reason redirected; rules that sign " +
				"as another domain still sign. The same applies to mail that rules with resign " +
				"sign, by the DMARC result that it has just received. \"sign\" signs such a " +
				"message like all other mail, even if it is forged."},
		{name: "fragile_warnings", def: `["long_line", "rewritten", "eight_bit"]`,
			example: `["long_line", "rewritten"]`, values: []string{"long_line", "rewritten", "eight_bit"},
			doc: "For which causes the log has a warning that a signature will, or may, break " +
				"after the message leaves Mailseal: once an hour for each author's domain. " +
				"SIGNATURES THAT BREAK below describes the causes. Causes that are not listed " +
				"here are still counted (mailseal_fragile_total) and shown in the line of the " +
				"message (fragile=)."},
	},
}

var sendersSection = section{
	header: "[senders]", path: "senders",
	doc: "Which of our users may use which address in From. Without it, every user who may send " +
		"through this host can have mail signed as any of our domains.",
	settings: []setting{
		{name: "require", def: `"none"`,
			doc: "\"envelope_domain\": From and envelope sender must have the same domain " +
				"(bounces, which have no sender, pass); \"login\": logins must list every " +
				"address in From, for users who have authenticated."},
		{name: "action", def: `"reject"`, values: words(action.Accept, action.Reject, action.Tempfail),
			doc: "What happens to mail that violates the rule; \"accept\" lets it go unsigned."},
		{name: "logins", example: `{ "joe" = ["example.com", "sales@example.org"] }`,
			form: "domain or address", empty: "that login may use none",
			doc: "For each login name, the domains and addresses that it may use. Every login " +
				"may use what \"*\" lists."},
	},
}

var rotationSection = section{
	header: "[rotation]", path: "rotation",
	doc: "How the keys that Mailseal makes and keeps in its state directory are replaced. Signing " +
		"rules with managed use these keys. KEY ROTATION below describes the steps.",
	settings: []setting{
		{name: "every", def: `"0s"`, example: `"90d"`, zero: "only the command mailseal keys " +
			"replaces keys",
			doc: "At what age a key is replaced by a new one, which the daemon makes in time. " +
				"With 0s, the daemon makes no new keys; the shipped unit mailseal-rotate.timer " +
				"does, with \"mailseal keys rotate --every 90d\"."},
		{name: "selector", def: `"{year}q{quarter}{alg}"`, form: "selector template",
			doc: "The names of new selectors. {year} becomes 2026, {quarter} 4, {month} 11, " +
				"{date} 20261130, and {alg} r for RSA or e for Ed25519. If a selector has been " +
				"used already, -2 or a higher number is added."},
		{name: "algorithms", def: `["rsa2048", "ed25519"]`, values: []string{"rsa2048", "rsa3072",
			"rsa4096", "ed25519"},
			doc: "The algorithms of the keys that are made together: one key for each."},
		{name: "publish", def: `"2d"`, zero: "it is enough to see it once",
			doc: "How long all name servers must have shown a record before its key signs. A " +
				"domain's first key of an algorithm signs as soon as all name servers show it or, " +
				"if another record was seen at its name before, once that has expired from " +
				"resolvers' caches."},
		{name: "overlap", def: `"14d"`, zero: "it is revoked at once",
			doc: "How long a key that no longer signs stays published, for mail that is still on " +
				"its way: at least as long as expiry in [signing]."},
		{name: "servers", def: "[]", example: `["192.0.2.53"]`,
			doc: "The name servers that must show a record. If empty, all name servers of the " +
				"domain."},
		{name: "may_be_silent", def: "0", least: "0", most: "12",
			zero: "every step waits for a server that is down",
			doc: "How many of these servers may fail to answer; the step then depends on the " +
				"others. A server that shows another record always prevents the step."},
		{name: "watch", def: `"1h"`, zero: "never", doc: "How often the DNS is compared with the " +
			"keys that sign, including the keys of sources that are in memory."},
		{name: "fall_back", def: "false", doc: "Sign with the previous key, if it is still " +
			"published, while the DNS does not show the current one. This continues after a " +
			"restart: it is kept in fallback.json in the state directory."},
	},
}

var sourcesSection = section{
	header: "[sources.hosting]", path: "sources.NAME",
	doc: "A database or web service that has keys, and may also decide which keys sign for which " +
		"sender. Nothing is loaded at start; answers are cached, as many as fit into cache_size. " +
		"While the source is unavailable, cached keys sign at once; other mail that depends on it " +
		"is deferred, and none goes out unsigned. A source that does not answer gets one query at " +
		"a time, to find out whether it is back, and mail without a cached key is deferred at " +
		"once; \"mailseal status\" and the metric mailseal_source_away show it. A reload keeps " +
		"the cache if driver and queries (url for http) are unchanged. It is refused if the " +
		"source does not answer with the new settings but answered with the old ones. A key is " +
		"tested before it first signs: a broken key is an error for its mail (on_key_error), " +
		"unless the previous key is still cached. contrib/sql has tables for these queries.",
	settings: []setting{
		{name: "driver", example: `"postgres"`, values: []string{"postgres", "mysql", "sqlite",
			"http"}, doc: "The kind of source; mysql includes MariaDB."},
		{name: "dsn", example: `"host=/run/postgresql dbname=mail user=mailseal"`,
			doc: "How to reach the database, in the driver's format; for mysql such as " +
				"mailseal:password@unix(/run/mysqld/mysqld.sock)/mail; for sqlite the file name, " +
				"relative to the directory of the configuration file unless it begins with /. " +
				"The SQLite file is opened again for each query."},
		{name: "key_query", example: `"SELECT domain, selector, private_key FROM dkim_keys WHERE name = $1"`,
			doc: "The query that finds a key: $1 is the key's name. The answer has three columns: domain, " +
				"selector, and the private key in any form that private_key accepts. $1 works " +
				"with every driver."},
		{name: "signing_query", example: `"SELECT key_name FROM dkim_signing WHERE domain = $1 AND login IN ('', $2)"`,
			doc: "The query that finds the names of the keys that sign, at most 16: $1 is the author's domain, " +
				"$2 the login name, which is empty if the client did not log in, $3 the author's " +
				"address. The answer has one column. Without a row the message goes unsigned, " +
				"which is logged and counted."},
		{name: "list_query", example: `"SELECT name FROM dkim_keys WHERE name > $1 ORDER BY name LIMIT 500"`,
			doc: "The query that lists the names of keys that sort after $1, a page at a time. " +
				"\"mailseal check --dns\" uses it to compare all keys with the DNS, and nothing " +
				"else does: leave it out if the daemon's user may not list the table."},
		{name: "key_dir", example: `"/var/lib/panel/dkim"`, form: "path",
			doc: "A directory: if the answer has a path instead of a key, relative to this " +
				"directory or absolute and below it, the file is read. \"..\" and symbolic links " +
				"that lead out of the directory are refused. Without key_dir, such a path is an " +
				"error that names it."},
		{name: "url", example: `"https://keys.example.com/v1/dkim"`, form: "web address",
			doc: "For http: GET url/keys/NAME must answer with {\"domain\": \"...\", " +
				"\"selector\": \"...\", \"private_key\": \"...\"}, and GET " +
				"url/signing/DOMAIN?login=LOGIN with {\"keys\": [\"NAME\", ...]}, in which the " +
				"object of a key may replace its name. Either may be inside {\"data\": {\"data\": " +
				"...}}, as in Vault's KV version 2: url is then like " +
				"https://vault.example.com:8200/v1/secret/data/dkim. 404 with a JSON object means " +
				"that there is no such key or sender. mailseal check requests the key " +
				"mailseal-check.invalid, to find out whether the service answers. A url with $1 " +
				"or $2, such as https://panel.example.com/dkim.php?user=$1&domain=$2, is " +
				"requested unchanged for each sender, with the percent-encoded login for $1 and " +
				"the author's domain for $2, and answers as url/signing does; rules that name " +
				"such a source have no keys."},
		{name: "token_file", example: `"/etc/mailseal/token"`, form: "path",
			doc: "For http: a file with the bearer token. It is read again for each request."},
		{name: "client_certificate", example: `"/etc/mailseal/client.pem"`, form: "path",
			doc: "For http and mysql: our certificate (mutual TLS); with client_key."},
		{name: "client_key", example: `"/etc/mailseal/client.key"`, form: "path",
			doc: "For http and mysql: the certificate's private key."},
		{name: "ca_file", example: `"/etc/mailseal/ca.pem"`, form: "path",
			doc: "For http and mysql: certificates of the authorities that must have issued the " +
				"server's certificate, instead of the system's; with it, mysql uses TLS. For " +
				"postgres, set sslmode, sslrootcert, sslcert and sslkey in dsn. All of these " +
				"files are read again for each connection."},
		{name: "timeout", def: `"5s"`, least: `"1ms"`, most: `"1m"`, doc: "How long an answer may take."},
		{name: "ttl", def: `"5m"`, zero: "the source is queried for every message",
			doc: "How long a cached answer is used without a query. Between this time and twice " +
				"this time it is still used, and refreshed in the background, so that a change in " +
				"the source takes effect after twice this time at the latest."},
		{name: "negative_ttl", def: `"1m"`, zero: "not at all", doc: "How long the answer that " +
			"there is no key is cached."},
		{name: "stale", def: `"1d"`, zero: "not at all",
			doc: "How long after ttl a cached key still signs while the source cannot be reached. " +
				"The cached answer that a sender has no key is not used in this time."},
		{name: "cache_size", def: `"64MiB"`, least: `"1MiB"`, most: `"64GiB"`,
			doc: "How many bytes of memory the cached answers may take: a domain with an RSA key " +
				"of 2048 bits takes about 6 KiB, with an Ed25519 key 1 KiB. The process as a " +
				"whole grows by up to twice as much. When the cache is full, the answers that " +
				"were not used for the longest time are dropped."},
		{name: "other_domains", def: `"warn"`, values: []string{string(OtherDomainsAccept),
			string(OtherDomainsWarn), string(OtherDomainsRefuse)},
			doc: "What happens if a key belongs to a domain other than the expected one: the " +
				"author's domain or a parent of it or, for a key in the key table that is named " +
				"like a record, the domain in that name. DMARC does not accept such a signature " +
				"for the author's domain. \"warn\" signs and logs each row once, \"accept\" " +
				"signs, \"refuse\" is a key error (on_key_error). A domain that is set in the " +
				"rule or in the key table is always used."},
	},
}
