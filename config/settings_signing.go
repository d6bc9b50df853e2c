package config

import "mailseal/milter/action"

var keysSection = section{
	header: `[keys."mail._domainkey.example.com"]`, path: "keys.NAME",
	doc: "The key table: a table for each private key. A name of the form " +
		"selector._domainkey.domain says domain and selector as well.",
	settings: []setting{
		{name: "domain", example: `"example.com"`, form: "domain or %",
			doc: "The d= tag: the domain that publishes the key. \"%\" is the domain of the message's author."},
		{name: "selector", example: `"mail"`, form: "selector",
			doc: "The s= tag: the key is published at selector._domainkey.domain."},
		{name: "file", example: `"/var/lib/mailseal/keys/example.com/mail.pem"`, form: "path",
			doc: "The file of the private key, RSA or Ed25519: PEM (PKCS#1 or PKCS#8), or " +
				"base64. Relative names hang on the directory of the configuration file. \"%\" " +
				"in the path, as in \"/var/lib/mailseal/keys/%/mail.pem\", stands for the " +
				"author's domain in A-labels: a domain signs if its file is there, and goes " +
				"unsigned if not, said and counted. The directory before the \"%\" must exist, " +
				"else mail is deferred: a disk may not be mounted. So is the mail of a domain " +
				"that signed in the last 30 days (signed.json in state_directory has them) and " +
				"has no file any more, until the file is back or \"mailseal reload --accept\" " +
				"lets the domain go. With a domain of its own (domain, or the key's name), \"%\" " +
				"stands for that domain."},
		{name: "private_key", example: `"YW4gRWQyNTUxOSBzZWVkIGhhcyAzMiBvY3RldHMuLi4="`,
			doc: "The key itself instead of a file: PEM, base64 without armour, or an Ed25519 " +
				"seed of 32 octets in base64. The configuration file must then be as safe as a key."},
		{name: "source", example: `"hosting"`,
			doc: "The name of a source in [sources] that holds the key under this name, instead of a file."},
		{name: "identifier", example: `"news@example.com"`, form: "identifier",
			doc: "The i= tag of this key's signatures, instead of the rule's. Its domain must be " +
				"equal to d= or below it. \"%\" stands for the author's domain."},
	},
}

var signSection = section{
	header: "[[sign]]", path: "sign[]",
	doc: "The signing table: who signs with which keys. The first rule that fits the author and " +
		"the message signs (match in [signing] can have all of them sign); all its keys make a " +
		"signature each. Options of [signing] can be set in a rule too, but for match, " +
		"self_check, self_check_action and unsigned_recipients, and are then the rule's.",
	settings: []setting{
		{name: "from", example: `["*@example.com", "*@*.example.com"]`, form: "address pattern",
			doc: "Authors, by the address in From: user@example.com, *@example.com (or " +
				"example.com), *@*.example.com (or .example.com: any domain below it, at any " +
				"depth), user@*.example.com, user@*, or * for everybody; * may stand in the user " +
				"too, as in info*@example.com."},
		{name: "keys", example: `["mail._domainkey.example.com"]`, form: "key name",
			doc: "Names of keys in [keys], or in source. \"%\" in a name stands for the author's " +
				"domain. An RSA and an Ed25519 key together suit nearly everybody: Gmail reports " +
				"a signature of the Ed25519 selector as failed, which harms nothing beside the " +
				"RSA one that passes, and some services refuse mail with two signatures; for " +
				"these, name the RSA key alone."},
		{name: "managed", example: `"example.com"`, form: "domain or %",
			doc: "Instead of keys: the domain whose keys \"mailseal keys\" makes and rotates; " +
				"those that are active sign. \"%\" is the author's domain. Before the first is " +
				"active the mail goes unsigned (first_key); later, while none is, it is deferred."},
		{name: "source", example: `"hosting"`,
			doc: "A source in [sources] where keys are looked up; without keys it says itself " +
				"who signs with which, and from may be left out."},
		{name: "domain", example: `"example.com"`, form: "domain or %",
			doc: "The d= tag instead of the key's domain: for a parent domain, or for signing as " +
				"a third party. \"%\" is the author's domain."},
		{name: "resign", def: "false",
			doc: "Sign mail of strangers too, as mailing lists and forwarders do. It needs a " +
				"when or an if that says which."},
		{name: "if", example: `'login != "" or client.address == "192.0.2.7"'`,
			doc: "A further condition: an expression over what is known at the end of the " +
				"header, such as the login, the envelope and the header (EXPRESSIONS in this " +
				"page lists all of it). A rule whose expression does not hold does not fit the " +
				"message. One that cannot be evaluated, which only a message with a huge header " +
				"brings about, defers it."},
	},
}

var whenSection = section{
	header: "[sign.when]", path: "sign[].when", filled: true,
	doc: "Further conditions of the rule above. Each that is set must hold.",
	settings: []setting{
		{name: "recipients", example: `["*@lists.example.com"]`, form: "address pattern",
			doc: "Any recipient is one of these."},
		{name: "networks", example: `["192.0.2.0/24"]`, doc: "The client is in one of these."},
		{name: "daemon_names", example: `["submission"]`, doc: "The macro {daemon_name} is one of these."},
		{name: "logins", example: `["joe@example.com"]`,
			doc: "The client has authenticated with one of these names; \"*\" is any, as in [senders]."},
		{name: "senders", example: `["*@bounces.example.com"]`, form: "sender pattern",
			doc: "The envelope sender is one of these; \"<>\" is that of bounces."},
		{name: "list_ids", example: `["announce.lists.example.org"]`, form: "domain tree",
			doc: "The identifier in List-Id (RFC 2919) is one of these; \".example.org\" is any " +
				"below it. A message with several such fields is of no list."},
	},
}

var signingSection = section{
	header: "[signing]", path: "signing",
	doc: "How signatures are made, unless a rule says otherwise.",
	settings: []setting{
		{name: "canonicalization", def: `"relaxed/relaxed"`, form: "canonicalization",
			doc: "For header and body, \"simple\" or \"relaxed\" each. \"relaxed\" alone means " +
				"relaxed/simple (RFC 6376 section 3.5). Simple bodies break on the way more often."},
		{name: "headers", form: "field names", empty: "From alone", example: `["+X-Ticket", "-List-Owner"]`,
			def: `["From", "Sender", "Reply-To", "Subject", "Date", "Message-ID", "To", "Cc", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "In-Reply-To", "References", "Resent-Date", "Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Message-ID", "List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner", "List-Archive", "Autocrypt"]`,
			doc: "Fields that are signed where a message has them. A list of names with + and - " +
				"adds to the default, or in a rule to that of [signing], and takes away from it. " +
				"From is always signed."},
		{name: "oversign", form: "field names", empty: "none",
			def: `["From", "To", "Cc", "Subject", "Reply-To"]`, example: `["+Date"]`,
			doc: "Fields that must not be added after signing: they are listed once more than " +
				"the message has them, even where it has none. + and - work as in headers."},
		{name: "oversign_if_present", form: "field names", empty: "none",
			def: `["Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "List-Unsubscribe", "List-Unsubscribe-Post"]`, example: `["-Date"]`,
			doc: "Fields that must not be added a second time; a message without them may get " +
				"them later, as Sendmail and mailing lists do. + and - work as in headers. " +
				"Sender, the Resent fields and the other List fields are in neither list: " +
				"mailing lists write a Sender and List fields of their own, and a mail program " +
				"that passes a message on writes Resent fields, all of them by right (RFC 5322 " +
				"sections 3.6.2 and 3.6.6, RFC 2369). Mail programs show them beside From at " +
				"most, and DMARC looks at From alone. mailseal explain-signing lists what can still be added."},
		{name: "oversign_mime", def: "true",
			doc: "In a message that has none of MIME-Version, Content-Type and " +
				"Content-Transfer-Encoding and no byte above 127, in header or body, these are " +
				"fields that must not be added, as far as headers names them: an attacker who " +
				"adds one has the same text read as a web page, or as base64. Mail servers and " +
				"mailing lists add them to messages with 8-bit text only, which the setting " +
				"leaves alone. Turn it off where a host behind this one adds MIME-Version to all mail."},
		{name: "expiry", def: `"10d"`, zero: "for ever, without x=",
			doc: "How long a signature is good (x=). It must outlast the queues of all hosts on the way."},
		{name: "identifier", example: `"@%"`, form: "identifier",
			doc: "The i= tag, such as @example.com or news@example.com, at or below the d= " +
				"domain; \"%\" stands for the author's domain, alone or as in news@lists.%. For " +
				"an author whom it does not suit, it is left out. Hardly any receiver reads it."},
		{name: "request_reports", def: "false",
			doc: "Write r=y, which asks receivers to report signatures that fail (RFC 6651). " +
				"Where to is in a TXT record at _report._domainkey and the d= domain, such as " +
				"\"ra=dkim-errors\" for dkim-errors@ that domain; \"mailseal check --dns\" looks " +
				"at it. Few receivers report."},
		{name: "skip_if_signed", def: "false",
			doc: "Leave a message alone that has a signature of the same domain and selector " +
				"already, as after a content filter that hands it back."},
		{name: "remove_old_signatures", def: "false",
			doc: "Remove DKIM-Signature fields that the message came with, when it is signed."},
		{name: "on_key_error", def: `"skip"`,
			doc: "When a key of the rule cannot be had or does not work: \"skip\" signs with the " +
				"others, and defers the message (451) if none is left; \"tempfail\" and " +
				"\"reject\" do so at the first; \"accept\" sends it unsigned if none is left. " +
				"Each is logged and counted."},
		{name: "first_key", def: `"unsigned"`, values: []string{string(FirstKeyUnsigned), string(FirstKeyDefer)},
			doc: "Mail that a rule with managed would sign, before any key of the domain has " +
				"ever been active: \"unsigned\" lets it go, with a line of the level warn and " +
				"counted; \"defer\" treats it as mail whose key cannot be had (on_key_error). " +
				"Once a key has been active, mail without one is always treated so."},
		{name: "match", def: `"first"`, values: []string{"first", "all"},
			doc: "Which of the rules that fit a message sign it: the \"first\" in the order of " +
				"the file, or \"all\", each with its own options. A signature that two rules " +
				"would make alike (key, d= and i=) is made once, as the first of them says. " +
				"remove_old_signatures of one rule counts for all, and sets aside " +
				"skip_if_signed. A key that fails is judged by on_key_error of its rule, where " +
				"\"the others\" are the keys of all the rules; where one rule defers and another " +
				"rejects, the message is deferred."},
		{name: "malformed_from", def: `"sign"`,
			doc: "Mail of ours whose From field RFC 5322 does not allow, such as Company, Inc. " +
				"<info@example.com> without quotes, or that has two From fields: \"sign\" signs " +
				"it where mail readers can show one domain only, which RFC 6376 section 3.8 " +
				"leaves to us; \"unsigned\" lets it go without a signature; \"reject\" refuses " +
				"it (550). Mail that shows several domains is never signed. The log says what is " +
				"wrong, with the byte."},
		{name: "self_check", def: "0.001", zero: "none",
			doc: "The share of signatures, from 0 to 1, that another implementation verifies before the mail leaves."},
		{name: "self_check_action", def: `"accept"`, values: words(action.Accept, action.Tempfail),
			doc: "What happens to a message whose signature does not verify there. It is logged " +
				"and counted in any case."},
		{name: "unsigned_recipients", def: "[]", example: `["*@internal.example.com"]`, form: "address pattern",
			doc: "Mail with any of these recipients is not signed."},
		{name: "redirected", def: `"unsigned"`,
			doc: "Mail of ours whose newest Authentication-Results field with our authserv_id, " +
				"or one of remove_ids, says dmarc=fail for the author's domain. It came from a " +
				"stranger and was forged, and a user's rule (Sieve redirect, .forward) or a list " +
				"sends it on: \"unsigned\" lets it go without a signature of that domain, or of " +
				"a parent or sister domain, with a warning in the log and the reason redirected " +
				"in mailseal_unsigned_total; rules that sign as another domain sign all the " +
				"same. Mail that rules with resign sign is treated alike by the DMARC result " +
				"that it has just got. \"sign\" signs it as all other mail, and the forgery with it."},
		{name: "fragile_warnings", def: `["long_line", "rewritten", "eight_bit"]`,
			example: `["long_line", "rewritten"]`, values: []string{"long_line", "rewritten", "eight_bit"},
			doc: "Of what the log warns, once for an author's domain and hour: signatures that " +
				"will, or may, break behind us, as the section SIGNATURES THAT BREAK of " +
				"mailseal.toml(5) says. Whatever is left out here is counted all the same " +
				"(mailseal_fragile_total) and stands in the line of the message (fragile=)."},
	},
}

var sendersSection = section{
	header: "[senders]", path: "senders",
	doc: "Which of our users may write which From. Without it everybody who may send through " +
		"this host gets the signature of any domain of ours.",
	settings: []setting{
		{name: "require", def: `"none"`,
			doc: "\"envelope_domain\": From and envelope sender are of one domain (bounces, " +
				"which have none, may pass); \"login\": logins has every address of From, for " +
				"users who have authenticated."},
		{name: "action", def: `"reject"`, values: words(action.Accept, action.Reject, action.Tempfail),
			doc: "What happens to other mail; \"accept\" lets it go unsigned."},
		{name: "logins", example: `{ "joe" = ["example.com", "sales@example.org"] }`,
			form: "domain or address", empty: "that login may use none",
			doc: "For each login name the domains and addresses that it may use; what \"*\" may use, every login may."},
	},
}

var rotationSection = section{
	header: "[rotation]", path: "rotation",
	doc: "How keys that Mailseal makes and keeps in its state directory are replaced. Rules use " +
		"them by the setting managed.",
	settings: []setting{
		{name: "every", def: `"0s"`, example: `"90d"`, zero: "that is left to the command mailseal keys",
			doc: "How old a key becomes before the next one takes over."},
		{name: "selector", def: `"{year}q{quarter}{alg}"`, form: "selector template",
			doc: "Names of new selectors, from {year}, {quarter}, {month}, {date} and {alg} (r " +
				"for RSA, e for Ed25519)."},
		{name: "algorithms", def: `["rsa2048", "ed25519"]`, values: []string{"rsa2048", "rsa3072",
			"rsa4096", "ed25519"},
			doc: "The keys of each generation."},
		{name: "publish", def: `"2d"`, zero: "once is enough",
			doc: "How long a record must have been seen in the DNS before its key signs. A " +
				"domain's first key of an algorithm signs as soon as all name servers show it; " +
				"if another record was seen at its name before, once resolvers have forgotten that."},
		{name: "overlap", def: `"14d"`, zero: "it is revoked at once",
			doc: "How long a key that signs no more stays published, for mail that is still on " +
				"its way: as long as expiry in [signing], at least."},
		{name: "servers", def: "[]", example: `["192.0.2.53"]`,
			doc: "Name servers that must all show a record; the domain's own, if there are none here."},
		{name: "may_be_silent", def: "0", least: "0", most: "12",
			zero: "every step waits for a server that is down",
			doc: "How many of these servers may leave a question unanswered. What the others " +
				"show decides then; one that answers something else always counts."},
		{name: "watch", def: `"1h"`, zero: "never", doc: "How often the DNS is compared with the " +
			"keys that sign, with those of sources as far as they are remembered."},
		{name: "fall_back", def: "false", doc: "Sign with the key before, if it is still " +
			"published, when the DNS does not show the one that signs. It goes on after a " +
			"restart: fallback.json in the state directory has it."},
	},
}

var sourcesSection = section{
	header: "[sources.hosting]", path: "sources.NAME",
	doc: "A database or web service that holds keys, and may say who signs with which. Nothing " +
		"is loaded at start; answers are remembered, as many as fit into cache_size. While the " +
		"source is away, what is remembered signs at once; other mail that it decides is " +
		"deferred, and none goes out unsigned. A source that hangs is asked one question at a " +
		"time, whether it is back, and mail for which memory has no key is deferred at once. A " +
		"reload keeps what is remembered as long as driver and queries (url for http) stay the " +
		"same, and is refused when the source does not answer with the new settings and has " +
		"answered with the old ones. A key is tested before it first signs: one that is broken " +
		"is an error for its mail (on_key_error), unless the one before is still remembered. " +
		"contrib/sql has tables for these queries.",
	settings: []setting{
		{name: "driver", example: `"postgres"`, values: []string{"postgres", "mysql", "sqlite",
			"http"}, doc: "What kind it is; mysql is MariaDB, too."},
		{name: "dsn", example: `"host=/run/postgresql dbname=mail user=mailseal"`,
			doc: "How to reach the database, as its driver wants it; " +
				"mailseal:password@unix(/run/mysqld/mysqld.sock)/mail for mysql, for sqlite the " +
				"file's name, which hangs on the directory of the configuration file unless it " +
				"begins with /, and is opened anew for each question."},
		{name: "key_query", example: `"SELECT domain, selector, private_key FROM dkim_keys WHERE name = $1"`,
			doc: "Finds a key: $1 is the key's name; three columns, domain, selector and the " +
				"private key in any form that private_key takes. $1 can be written with every driver."},
		{name: "signing_query", example: `"SELECT key_name FROM dkim_signing WHERE domain = $1 AND login IN ('', $2)"`,
			doc: "Finds the names of the keys that sign, at most 16: $1 is the author's domain, " +
				"$2 the login name, which is empty when the client did not log in, $3 the " +
				"author's address; one column. No row: the message goes unsigned, said and counted."},
		{name: "list_query", example: `"SELECT name FROM dkim_keys WHERE name > $1 ORDER BY name LIMIT 500"`,
			doc: "Lists the names of keys behind $1, a page at a time, so that \"mailseal check " +
				"--dns\" can compare all of them with the DNS. Nothing else uses it; leave it " +
				"out where the daemon's user may not list the table."},
		{name: "key_dir", example: `"/var/lib/panel/dkim"`, form: "path",
			doc: "A directory: where the answer has a path instead of a key, relative to it or " +
				"absolute and below it, the file is read. No \"..\" and no symbolic link leads " +
				"out of it. Without it such a path is an error that names it."},
		{name: "url", example: `"https://keys.example.com/v1/dkim"`, form: "web address",
			doc: "For http: GET url/keys/NAME answers with {\"domain\": \"...\", \"selector\": " +
				"\"...\", \"private_key\": \"...\"}, and GET url/signing/DOMAIN?login=LOGIN with " +
				"{\"keys\": [\"NAME\", ...]}, where such an object may stand instead of a name. " +
				"Either may be inside {\"data\": {\"data\": ...}}, as Vault's KV version 2 has " +
				"it: url is then like https://vault.example.com:8200/v1/secret/data/dkim. 404 " +
				"with a JSON object says that there is none. A url with $1 or $2, such as " +
				"https://panel.example.com/dkim.php?user=$1&domain=$2, is asked as it is about " +
				"each sender, with the login and the author's domain percent-encoded in these " +
				"places, and answers as url/signing does; rules that name it have no keys."},
		{name: "token_file", example: `"/etc/mailseal/token"`, form: "path",
			doc: "For http: a file with the bearer token; it is read anew for each request."},
		{name: "client_certificate", example: `"/etc/mailseal/client.pem"`, form: "path",
			doc: "For http and mysql: our certificate (mutual TLS); with client_key."},
		{name: "client_key", example: `"/etc/mailseal/client.key"`, form: "path",
			doc: "For http and mysql: the certificate's private key."},
		{name: "ca_file", example: `"/etc/mailseal/ca.pem"`, form: "path",
			doc: "For http and mysql: certificates of the authorities that the server's must " +
				"come from, instead of the system's; mysql then speaks TLS. postgres has " +
				"sslmode, sslrootcert, sslcert and sslkey in its dsn. All of these files are " +
				"read anew for each connection."},
		{name: "timeout", def: `"5s"`, least: `"1ms"`, most: `"1m"`, doc: "How long an answer may take."},
		{name: "ttl", def: `"5m"`, zero: "the source is asked for every message",
			doc: "How long an answer is taken from memory. For as long again it is still given " +
				"at once, while the source is asked anew: a change in the source is in force " +
				"after twice this time at the latest."},
		{name: "negative_ttl", def: `"1m"`, zero: "not at all", doc: "How long it is remembered that there is none."},
		{name: "stale", def: `"1d"`, zero: "not at all",
			doc: "How long a key signs beyond ttl while the source cannot be reached. That no " +
				"key signs for a sender is not taken from memory then."},
		{name: "cache_size", def: `"64MiB"`, least: `"1MiB"`, most: `"64GiB"`,
			doc: "How much memory the answers may take, in bytes, not in answers: a domain with " +
				"an RSA key of 2048 bits takes about 6 KiB, with an Ed25519 key 1 KiB. The " +
				"program as a whole grows by up to twice as much. When the memory is full, the " +
				"answers that were not used for the longest time are forgotten."},
		{name: "other_domains", def: `"warn"`, values: []string{string(OtherDomainsAccept),
			string(OtherDomainsWarn), string(OtherDomainsRefuse)},
			doc: "What happens when a key is of another domain than the one that was asked for: " +
				"the author's or one above it or, for a key of the key table named like a " +
				"record, the domain in that name. DMARC does not count such a signature for the " +
				"author. \"warn\" signs and logs each row once, \"accept\" signs, \"refuse\" is " +
				"a key error (on_key_error). A domain in the rule or in the key table is always used as it is."},
	},
}
