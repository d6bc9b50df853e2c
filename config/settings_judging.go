package config

import "mailseal/milter/action"

var verifySection = section{
	header: "[verify]", path: "verify",
	doc: "Which methods judge mail of theirs, and how. DKIM is always verified.",
	settings: []setting{
		{name: "max_signatures", def: "10", least: "1", most: "100",
			doc: "How many DKIM signatures of a message are tried; those of the author's domain " +
				"go first. Together with those of ARC they may cost as much as 96 verifications " +
				"with RSA-2048. RSA-3072 counts as 5.6 of these, RSA-4096 as 10 and RSA-8192 as " +
				"40, since that is what they take; Ed25519 counts as one, RSA-1024 as a quarter. " +
				"What is beyond that is policy (too expensive)."},
		{name: "min_rsa_bits", def: "1024", least: "1024", most: "8192",
			doc: "Signatures of shorter RSA keys are not good. 1024 is the least (RFC 8301); " +
				"keys above 8192 bits are never used."},
		{name: "accept_unsigned_body", def: "false", doc: "Let signatures pass that leave a part " +
			"of the body unsigned (l=), to which anybody may have added. Otherwise the result is policy."},
		{name: "uncovered_duplicates", def: `"policy"`,
			doc: "What a signature is worth if the message has another Subject, To, Cc, Date, " +
				"Reply-To, Content-Type or Content-Transfer-Encoding above those that the " +
				"signature covers, as in mail to which a field was added (RFC 6376 section " +
				"8.15): \"policy\", it is not good; \"note\", it is, and the field of results " +
				"says so. Fields that are all the same do not count, nor do those that the " +
				"signature does not name at all; of other fields it is a note in any case."},
		{name: "clock_skew", def: `"5m"`, most: `"1d"`, zero: "not at all",
			doc: "By how much the clock of a signer may differ."},
		{name: "iprev", def: "true", doc: "Check the client's address against its name."},
		{name: "spf", def: "true", doc: "Report SPF (RFC 7208) and apply [policy.spf] to it. " +
			"DMARC needs its result: while dmarc is true SPF is checked in any case, and false " +
			"only leaves it out of what is reported."},
		{name: "spf_helo", def: "true", doc: "Check SPF for the name in HELO too, as RFC 7208 " +
			"section 2.3 recommends. The result is written where it says something that the one " +
			"for the envelope sender does not; DMARC knows nothing of it."},
		{name: "received_spf", def: "false", doc: "Write Received-SPF too, for each identity " +
			"that spf and spf_helo have a result for."},
		{name: "dmarc", def: "true", doc: "Check DMARC (RFC 9989)."},
		{name: "organizational_domain", def: `"walk"`,
			doc: "How it is found which domains belong together: by a walk up the DNS (RFC " +
				"9989), or by the public suffix list, as older receivers do."},
		{name: "arc", def: "true", doc: "Validate ARC chains (RFC 8617)."},
		{name: "trusted_sealers", def: "[]", example: `["lists.example.org"]`, form: "domain",
			doc: "Domains whose ARC seal is believed: if the last one to seal a chain that holds " +
				"is among them, and says that the message had passed DMARC, a DMARC failure here " +
				"leads to no action, unless a field was added above those that it signed; the result stays fail."},
	},
}

var sealSection = section{
	header: "[seal]", path: "seal",
	doc: "ARC: mail of theirs that goes on to others is sealed with our own results if key is set.",
	settings: []setting{
		{name: "key", example: `"mail._domainkey.example.com"`,
			doc: "The name of a key in [keys]. RSA is what everybody can check."},
		{name: "domain", example: `"example.com"`, form: "domain", doc: "The d= tag; the key's domain, if not set."},
		{name: "selector", example: `"mail"`, form: "selector", doc: "The s= tag; the key's selector, if not set."},
	},
}

var authenticationResultsSection = section{
	header: "[authentication_results]", path: "authentication_results",
	doc: "The field that says what was found; its name for us is authserv_id.",
	settings: []setting{
		{name: "remove_ids", def: "[]", example: `["mx-old.example.com"]`, form: "removed id",
			doc: "Further ids that only we may use: strangers' fields that claim them are removed too."},
		{name: "auth", def: "false", doc: "Write a field with auth=pass on mail of users who have authenticated."},
	},
}

var policySection = section{
	header: "[policy]", path: "policy",
	doc: "What results do to mail of theirs: \"accept\"; \"mark\", which adds mark_header; " +
		"\"hold\", the MTA's quarantine; \"reject\", 550; \"tempfail\", 451. Of several the " +
		"strictest happens. As it stands nothing is rejected (RFC 9989 section 7.4). Mail that " +
		"this host is too busy to look everything up for is deferred (451 4.3.2) in any case, " +
		"unless DMARC passes: otherwise a flood of lookups would be a way past every policy.",
	settings: []setting{
		{name: "dry_run", def: "false", doc: "Decide, log and count, but do nothing: no marks, " +
			"no rejects. Authentication-Results is written."},
		{name: "mark_header", def: `"X-Mailseal-Verdict"`, form: "own field",
			doc: "The field that marks a message. It is removed from what strangers send, so " +
				"that it must be none that mail has anyway."},
		{name: "no_author", def: `"mark"`, values: verdictActions,
			doc: "A message without From, or whose From shows no address with a domain (RFC 9989 section 11.5)."},
		{name: "many_authors", def: `"mark"`, values: verdictActions,
			doc: "A message whose From fields show more than four domains, or are longer than is " +
				"read (16 KiB); the default is what policy.dmarc.p_reject says, so that no " +
				"forger gets off more lightly with more domains. Where there are two to four, " +
				"each is judged by its own DMARC record: the failure with the strictest policy " +
				"decides, a domain without a record neither fails nor excuses another, and one " +
				"that is only in the display name before the address marks the message at most. " +
				"If none fails, the message is accepted; DMARC never passes for it."},
	},
}

var policySPFSection = section{
	header: "[policy.spf]", path: "policy.spf",
	doc: "By the SPF result; a pass is always accepted.",
	settings: []setting{
		{name: "fail", def: `"accept"`, values: verdictActions,
			doc: "The domain says that this host may not send for it."},
		{name: "softfail", def: `"accept"`, values: words(action.Accept, action.Mark, action.Hold),
			doc: "It says so, but is not sure: no reason to reject (RFC 7208 section 8.5)."},
		{name: "none", def: `"accept"`, values: verdictActions,
			doc: "It says nothing, or neutral, which must be treated alike (RFC 7208 section 8.2)."},
		{name: "permerror", def: `"accept"`, values: verdictActions, doc: "Its record is broken."},
		{name: "temperror", def: `"accept"`, values: temperrorActions, doc: "The DNS did not answer."},
		{name: "helo_fail", def: `"accept"`, values: verdictActions,
			doc: "The client has no right to the name that it said in HELO (verify.spf_helo). " +
				"Mail does not pass through others under that name, so that this is seldom a mistake."},
	},
}

var policyIPRevSection = section{
	header: "[policy.iprev]", path: "policy.iprev",
	doc: "By the client's reverse DNS (verify.iprev). Many an honest host has none, so that a " +
		"mark for a filter further on is the most that does no harm; who rejects refuses mail that other hosts take.",
	settings: []setting{
		{name: "fail", def: `"accept"`, values: verdictActions,
			doc: "The address has names, but none of them leads back to it."},
		{name: "permerror", def: `"accept"`, values: verdictActions, doc: "The address has no name."},
		{name: "temperror", def: `"accept"`, values: temperrorActions, doc: "The DNS did not answer."},
	},
}

var policyDKIMSection = section{
	header: "[policy.dkim]", path: "policy.dkim",
	doc: "By the best result of a message's DKIM signatures; a pass is always accepted. A bad " +
		"signature is worth no more and no less than none (RFC 6376 section 6.1), so that " +
		"anything but accept asks for trouble.",
	settings: []setting{
		{name: "fail", def: `"accept"`, values: verdictActions, doc: "A signature does not fit."},
		{name: "policy", def: `"accept"`, values: verdictActions,
			doc: "A signature may fit, but is not acceptable: expired, a short key, a part of " +
				"the body left unsigned, a field added above (verify.uncovered_duplicates)."},
		{name: "neutral", def: `"accept"`, values: verdictActions,
			doc: "A signature with mistakes in its syntax, or in an unknown version or algorithm " +
				"(RFC 8601 section 2.7.1)."},
		{name: "none", def: `"accept"`, values: verdictActions, doc: "No signature."},
		{name: "permerror", def: `"accept"`, values: verdictActions,
			doc: "A signature that can be read, but never verified: no key, a broken record, a tag or From missing."},
		{name: "temperror", def: `"accept"`, values: temperrorActions, doc: "The DNS did not answer."},
	},
}

var policyDMARCSection = section{
	header: "[policy.dmarc]", path: "policy.dmarc",
	doc: "By the DMARC result; a pass is always accepted.",
	settings: []setting{
		{name: "p_reject", def: `"mark"`, values: verdictActions,
			doc: "The message fails, and the author's domain asks to reject it."},
		{name: "p_quarantine", def: `"mark"`, values: verdictActions,
			doc: "It fails, and the domain asks for quarantine."},
		{name: "p_none", def: `"accept"`, values: verdictActions, doc: "It fails, and the domain asks for nothing."},
		{name: "no_record", def: `"accept"`, values: verdictActions, doc: "The domain has no DMARC record."},
		{name: "permerror", def: `"accept"`, values: verdictActions, doc: "Its record is broken."},
		{name: "temperror", def: `"accept"`, values: temperrorActions,
			doc: "The DNS did not answer, and the message might fail: no policy can be applied " +
				"(RFC 9989 section 5.3.6). Mail that does not fail whatever the DNS would have said is accepted."},
	},
}

var policyTextsSection = section{
	header: "[policy.texts]", path: "policy.texts",
	doc: "What refused peers read behind the reply code, in place of our own texts, of which " +
		"there is one for each method and result: \"SPF: example.com has no SPF record\". A text " +
		"here stands for all results of its method, so that it should be true of each that an " +
		"action is set for; but not for temperror, where peers always read which DNS name did " +
		"not answer. {domain} stands for the domain that was judged, {client} for the peer's address.",
	settings: []setting{
		{name: "spf", example: `"SPF: {client} may not send mail for {domain}"`, form: "line",
			doc: "After policy.spf."},
		{name: "iprev", example: `"Reverse DNS: {client} has no name that leads back to it"`,
			form: "line", doc: "After policy.iprev."},
		{name: "dkim", example: `"DKIM: no acceptable signature"`, form: "line", doc: "After policy.dkim."},
		{name: "dmarc", example: `"DMARC policy for {domain}"`, form: "line", doc: "After policy.dmarc."},
		{name: "other", example: `"Authentication failed"`, form: "line",
			doc: "After no_author and many_authors, several methods at once, and where {domain} " +
				"would stand for nothing."},
	},
}

var notJudgedSection = section{
	header: "[policy.not_judged]", path: "policy.not_judged",
	doc: "Mail of theirs that no policy is applied to. What the methods find is still written.",
	settings: []setting{
		{name: "networks", def: "[]", example: `["192.0.2.0/24"]`, doc: "Clients, by address or network."},
		{name: "hosts", def: "[]", example: `["mx.partner.example"]`, form: "client name",
			doc: "Clients, by the name that the MTA has verified, as in [exempt]."},
		{name: "senders", def: "[]", example: `["*@partner.example", "<>"]`, form: "sender pattern",
			doc: "Envelope senders; \"<>\" is the null sender, that of bounces. Anybody can write them."},
		{name: "recipients", def: "[]", example: `["abuse@*", "postmaster@*"]`,
			form: "address pattern", doc: "Recipients; all of the message must be among them."},
		{name: "author_domains", def: "[]", example: `["partner.example", ".partner.example"]`,
			form: "domain tree", doc: "Domains of From; \".example.com\" is any domain below it. " +
				"Anybody can write them, so that this lets forgeries of them pass."},
	},
}

var rulesSection = section{
	header: "[[policy.rules]]", path: "policy.rules[]",
	doc: "Rules that you write yourself. They are asked in the order of the file, once all " +
		"methods have run: the first whose expression holds decides, in place of the actions and " +
		"overrides above; if none holds, those decide. Mail that policy.not_judged names never " +
		"comes here. EXPRESSIONS in this page lists what an expression can ask. A rule that " +
		"cannot be evaluated, which only a message with a huge header brings about, leads to " +
		"on_internal_error, an ERROR in the log and the metric mailseal_rule_failures_total. " +
		"\"mailseal policy try\" shows what each rule makes of a message, and \"mailseal policy " +
		"replay\" what it would have made of the mail in a log.",
	settings: []setting{
		{name: "name", example: `"partner"`, form: "line",
			doc: "How the log calls the rule, and the mark. Each rule has its own name."},
		{name: "when", example: `'dmarc.result == "fail" and in_network(client.address, "192.0.2.0/24")'`,
			doc: "The expression. Single quotes around it spare the escapes of the double quotes in it."},
		{name: "action", example: `"accept"`, values: verdictActions, doc: "What happens."},
		{name: "text", example: `"{dmarc.domain} asks to refuse {message_id}"`, form: "line",
			doc: "What the refused peer reads behind the reply code of reject and tempfail. " +
				"Names in braces stand for facts of the message, made harmless: {author.domain}, " +
				"{client.address}, {client.name}, {dmarc.domain}, {dmarc.policy}, " +
				"{dmarc.record_domain}, {dmarc.result}, {envelope.sender}, {message_id}, {spf.domain}, {spf.result}."},
		{name: "reason", example: `"trusted_forwarder"`,
			doc: "What a DMARC report says where the rule did otherwise than the domain asks: " +
				"\"local_policy\", as without it; \"mailing_list\", \"trusted_forwarder\" or \"other\" (RFC 9990)."},
		{name: "dry_run", def: "false",
			doc: "Log what the rule would do (rules_dry_run), and go on with the next one."},
	},
}

var overrideSection = section{
	header: "[[policy.override]]", path: "policy.override[]",
	doc: "Another policy for some mail. The first override all of whose conditions fit takes the " +
		"policy's place; what it leaves out stays as the policy has it.",
	settings: []setting{
		{name: "networks", example: `["192.0.2.0/24"]`, doc: "Condition: the client is in one of these."},
		{name: "hosts", example: `["mx.example.net", ".lists.example.org"]`, form: "client name",
			doc: "Condition: the client has one of these names, which the MTA has verified, as in [exempt]."},
		{name: "senders", example: `["<>", "*@bounces.example.net"]`, form: "sender pattern",
			doc: "Condition: the envelope sender is one of these; \"<>\" is the null sender. Anybody can write it."},
		{name: "recipients", example: `["support@example.com"]`, form: "address pattern",
			doc: "Condition: all recipients are among these."},
		{name: "author_domains", example: `["bank.example", ".bank.example"]`, form: "domain tree",
			doc: "Condition: the domain of From; \".example.com\" is any domain below it."},
		{name: "list_ids", example: `["announce.lists.example.org"]`, form: "domain tree",
			doc: "Condition: the identifier in List-Id; \".example.org\" is any below it. Anybody can write it."},
		{name: "sealers", example: `["lists.example.org"]`, form: "domain",
			doc: "Condition: the message has an ARC chain that holds, and this domain sealed last."},
		{name: "action", example: `"accept"`, values: verdictActions,
			doc: "What happens instead whenever something else than accept has been decided."},
		{name: "reason", example: `"trusted_forwarder"`,
			doc: "What a DMARC report tells the domain where this override made its policy " +
				"milder or stricter (RFC 9990 section 3.1.6). If it is not set, it is " +
				"\"mailing_list\" with list_ids, otherwise \"local_policy\"."},
		{name: "spf", example: `{ fail = "reject" }`, doc: "In place of settings of [policy.spf]."},
		{name: "iprev", example: `{ fail = "reject" }`, doc: "In place of settings of [policy.iprev]."},
		{name: "dkim", example: `{ none = "hold" }`, doc: "In place of settings of [policy.dkim]."},
		{name: "dmarc", example: `{ p_none = "reject", p_reject = "reject" }`,
			doc: "In place of settings of [policy.dmarc]."},
	},
}
