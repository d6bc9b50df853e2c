package config

import "mailseal/milter/action"

var verifySection = section{
	header: "[verify]", path: "verify",
	doc: "Which methods judge strangers' mail, and how. DKIM is always verified.",
	settings: []setting{
		{name: "max_signatures", def: "10", least: "1", most: "100",
			doc: "How many DKIM signatures of a message are verified; those of the author's " +
				"domain come first. Together with those of ARC they may take as much processor " +
				"time as 96 verifications with RSA-2048. A verification with RSA-3072 counts as " +
				"5.6 with RSA-2048, with RSA-4096 as 10, with RSA-8192 as 40, with Ed25519 as " +
				"one, and with RSA-1024 as a quarter. Signatures beyond that get the result " +
				"policy (too expensive)."},
		{name: "min_rsa_bits", def: "1024", least: "1024", most: "8192",
			doc: "Signatures with shorter RSA keys do not pass. 1024 is the minimum (RFC 8301); " +
				"keys above 8192 bits are never used."},
		{name: "accept_unsigned_body", def: "false", doc: "Let signatures pass that leave a part " +
			"of the body unsigned (l=), which any host on the way may have added. If false, " +
			"their result is policy."},
		{name: "uncovered_duplicates", def: `"policy"`,
			doc: "The result of a signature if the message has another Subject, To, Cc, Date, " +
				"Reply-To, Content-Type or Content-Transfer-Encoding above those that the " +
				"signature covers, as if a field had been added later (RFC 6376 section 8.15): " +
				"with \"policy\" the signature does not pass; with \"note\" it may pass, and " +
				"Authentication-Results mentions the field. Identical copies of a field do not " +
				"matter, nor do fields that the signature does not name at all; a second copy of " +
				"any other field is only mentioned."},
		{name: "clock_skew", def: `"5m"`, most: `"1d"`, zero: "not at all",
			doc: "How far the clock of a signer may differ from the clock of this host."},
		{name: "iprev", def: "true", doc: "Check that the client's address has a reverse name " +
			"that leads back to the address (RFC 8601 section 3)."},
		{name: "spf", def: "true", doc: "Report SPF (RFC 7208) and apply [policy.spf] to it. " +
			"DMARC needs the SPF result: while dmarc is true, SPF is checked even if this is " +
			"false, but its result is not reported."},
		{name: "spf_helo", def: "true", doc: "Check SPF for the name in HELO, too, as RFC 7208 " +
			"section 2.3 recommends. The result is reported if it adds something to the one for " +
			"the envelope sender; DMARC does not use it."},
		{name: "received_spf", def: "false", doc: "Write Received-SPF, too, for each identity " +
			"for which spf and spf_helo have a result."},
		{name: "dmarc", def: "true", doc: "Check DMARC (RFC 9989)."},
		{name: "organizational_domain", def: `"walk"`,
			doc: "How DMARC finds the organizational domain: by walking up the DNS (RFC 9989), " +
				"or by the public suffix list, as older receivers do."},
		{name: "arc", def: "true", doc: "Validate ARC chains (RFC 8617)."},
		{name: "trusted_sealers", def: "[]", example: `["lists.example.org"]`, form: "domain",
			doc: "Domains whose ARC seals are trusted: if the newest seal of a valid chain is " +
				"from one of them, and says that the message passed DMARC there, a DMARC failure " +
				"here leads to no action, unless a field was added above those that the seal " +
				"covers. The reported result is still fail."},
	},
}

var sealSection = section{
	header: "[seal]", path: "seal",
	doc: "ARC: if key is set, strangers' mail is sealed with our results, for the hosts that it " +
		"is forwarded to.",
	settings: []setting{
		{name: "key", example: `"mail._domainkey.example.com"`,
			doc: "The name of a key in [keys]. Use an RSA key, which every receiver can verify."},
		{name: "domain", example: `"example.com"`, form: "domain", doc: "The d= tag. If not set, " +
			"the key's domain."},
		{name: "selector", example: `"mail"`, form: "selector", doc: "The s= tag. If not set, " +
			"the key's selector."},
	},
}

var authenticationResultsSection = section{
	header: "[authentication_results]", path: "authentication_results",
	doc: "The field with the results. authserv_id is the name under which it is written.",
	settings: []setting{
		{name: "remove_ids", def: "[]", example: `["mx-old.example.com"]`, form: "removed id",
			doc: "Further ids that only Mailseal may use: fields in strangers' mail that claim " +
				"them are removed, too."},
		{name: "auth", def: "false", doc: "Write a field with auth=pass on mail of users who have authenticated."},
	},
}

var policySection = section{
	header: "[policy]", path: "policy",
	doc: "What happens to strangers' mail for each result: \"accept\"; \"mark\" adds mark_header; " +
		"\"hold\" puts it into Postfix's hold queue (postsuper -H releases it) or Sendmail's " +
		"quarantine (sendmail -Q does); \"reject\" refuses it (550); \"tempfail\" defers it " +
		"(451). If several apply, the strictest one does. By default nothing is rejected (RFC " +
		"9989 section 7.4). If this host is too busy to look up everything that a message needs, " +
		"the message is deferred (451 4.3.2) whatever is set here, unless DMARC passes: otherwise " +
		"an attacker could avoid every policy with a flood of lookups.",
	settings: []setting{
		{name: "dry_run", def: "false", doc: "Decide, log and count, but do not act: nothing is " +
			"marked or rejected. Authentication-Results is written as usual."},
		{name: "mark_header", def: `"X-Mailseal-Verdict"`, form: "own field",
			doc: "The name of the field that marks a message. Its value is the reason for the " +
				"mark, as policy= in the log: \"dmarc=reject for example.org\", \"spf=fail for " +
				"example.org\", or rule=\"NAME\" for a rule of your own. A field of this name is " +
				"removed from strangers' mail, so it must not be one that mail normally has."},
		{name: "no_author", def: `"mark"`, values: verdictActions,
			doc: "A message without From, or whose From shows no address with a domain (RFC 9989 section 11.5)."},
		{name: "many_authors", def: `"mark"`, values: verdictActions,
			doc: "A message whose From fields show more than four domains, or are longer than " +
				"Mailseal reads (16 KiB). The default is that of policy.dmarc.p_reject, so that a " +
				"forger gains nothing from more domains. With two to four domains, each is judged " +
				"by its own DMARC record: the failure with the strictest policy decides. A domain " +
				"without a record changes nothing. If a domain that fails is only in the " +
				"display name before the address, the message is marked at most. If no domain fails, the message is " +
				"accepted; DMARC never passes for it."},
	},
}

var policySPFSection = section{
	header: "[policy.spf]", path: "policy.spf",
	doc: "What to do for each SPF result; a pass is always accepted.",
	settings: []setting{
		{name: "fail", def: `"accept"`, values: verdictActions,
			doc: "The domain says that this host may not send for it."},
		{name: "softfail", def: `"accept"`, values: words(action.Accept, action.Mark, action.Hold),
			doc: "The domain says that this host probably may not send for it: not a reason to " +
				"reject (RFC 7208 section 8.5)."},
		{name: "none", def: `"accept"`, values: verdictActions,
			doc: "The domain has no record, or says neutral; RFC 7208 section 8.2 requires the " +
				"same treatment of both."},
		{name: "permerror", def: `"accept"`, values: verdictActions, doc: "The domain's record " +
			"is invalid."},
		{name: "temperror", def: `"accept"`, values: temperrorActions, doc: "The DNS did not answer."},
		{name: "helo_fail", def: `"accept"`, values: verdictActions,
			doc: "The client may not use the name that it said in HELO (verify.spf_helo). " +
				"Forwarding does not affect this check, so a failure is seldom a mistake."},
	},
}

var policyIPRevSection = section{
	header: "[policy.iprev]", path: "policy.iprev",
	doc: "What to do for each result of the reverse DNS check (verify.iprev). Many honest hosts " +
		"have no reverse name: a mark for a later filter is the strictest action that does no " +
		"harm. With \"reject\", you refuse mail that other hosts accept.",
	settings: []setting{
		{name: "fail", def: `"accept"`, values: verdictActions,
			doc: "The address has names, but the addresses of these names do not include it."},
		{name: "permerror", def: `"accept"`, values: verdictActions, doc: "The address has no name."},
		{name: "temperror", def: `"accept"`, values: temperrorActions, doc: "The DNS did not answer."},
	},
}

var policyDKIMSection = section{
	header: "[policy.dkim]", path: "policy.dkim",
	doc: "What to do for the best result of a message's DKIM signatures; a pass is always " +
		"accepted. A bad signature must be treated like a missing one (RFC 6376 section 6.1): any " +
		"action other than accept affects honest mail.",
	settings: []setting{
		{name: "fail", def: `"accept"`, values: verdictActions, doc: "A signature does not match " +
			"the message."},
		{name: "policy", def: `"accept"`, values: verdictActions,
			doc: "A signature is not acceptable, even if it matches: expired, with a short key, " +
				"with a part of the body unsigned, or with a field added above " +
				"(verify.uncovered_duplicates)."},
		{name: "neutral", def: `"accept"`, values: verdictActions,
			doc: "A signature has syntax errors, or an unknown version or algorithm (RFC 8601 " +
				"section 2.7.1)."},
		{name: "none", def: `"accept"`, values: verdictActions, doc: "The message has no signature."},
		{name: "permerror", def: `"accept"`, values: verdictActions,
			doc: "A signature can be read but not verified: there is no key, the record is " +
				"invalid, or a tag or From is missing."},
		{name: "temperror", def: `"accept"`, values: temperrorActions, doc: "The DNS did not answer."},
	},
}

var policyDMARCSection = section{
	header: "[policy.dmarc]", path: "policy.dmarc",
	doc: "What to do for each DMARC result; a pass is always accepted.",
	settings: []setting{
		{name: "p_reject", def: `"mark"`, values: verdictActions,
			doc: "The message fails, and the author's domain asks to reject it."},
		{name: "p_quarantine", def: `"mark"`, values: verdictActions,
			doc: "The message fails, and the domain asks for quarantine."},
		{name: "p_none", def: `"accept"`, values: verdictActions, doc: "The message fails, and " +
			"the domain asks for no action."},
		{name: "no_record", def: `"accept"`, values: verdictActions, doc: "The domain has no DMARC record."},
		{name: "permerror", def: `"accept"`, values: verdictActions, doc: "The domain's record " +
			"is invalid."},
		{name: "temperror", def: `"accept"`, values: temperrorActions,
			doc: "The DNS did not answer, and the message might fail: no policy can be applied " +
				"(RFC 9989 section 5.3.6). Mail that could not fail, whatever the DNS had " +
				"answered, is accepted."},
	},
}

var policyTextsSection = section{
	header: "[policy.texts]", path: "policy.texts",
	doc: "The texts after the reply code for mail that is refused, in place of the built-in " +
		"ones, of which there is one for each method and result, such as \"SPF: example.com has " +
		"no SPF record\". A text here is used for all results of its method, so it must be true " +
		"for each result that has an action. It is not used for temperror, for which the text " +
		"always names the DNS name that did not answer. {domain} stands for the domain that was " +
		"judged, {client} for the client's address.",
	settings: []setting{
		{name: "spf", example: `"SPF: {client} may not send mail for {domain}"`, form: "line",
			doc: "The text for mail that policy.spf refuses."},
		{name: "iprev", example: `"Reverse DNS: {client} has no name that leads back to it"`,
			form: "line", doc: "The text for mail that policy.iprev refuses."},
		{name: "dkim", example: `"DKIM: no acceptable signature"`, form: "line",
			doc: "The text for mail that policy.dkim refuses."},
		{name: "dmarc", example: `"DMARC policy for {domain}"`, form: "line",
			doc: "The text for mail that policy.dmarc refuses."},
		{name: "other", example: `"Authentication failed"`, form: "line",
			doc: "The text for mail that no_author or many_authors refuses, that several methods " +
				"refuse, or for which there is no {domain}."},
	},
}

var notJudgedSection = section{
	header: "[policy.not_judged]", path: "policy.not_judged",
	doc: "Strangers' mail to which no policy is applied. The results are still written.",
	settings: []setting{
		{name: "networks", def: "[]", example: `["192.0.2.0/24"]`, doc: "Clients, by address or network."},
		{name: "hosts", def: "[]", example: `["mx.partner.example"]`, form: "client name",
			doc: "Clients by their host name, as the MTA verified it; see [exempt]."},
		{name: "senders", def: "[]", example: `["*@partner.example", "<>"]`, form: "sender pattern",
			doc: "Envelope senders; \"<>\" is the null sender of bounces. Any sender can write " +
				"them."},
		{name: "recipients", def: "[]", example: `["abuse@*", "postmaster@*"]`,
			form: "address pattern", doc: "Recipients; all recipients of the message must be " +
				"among them."},
		{name: "author_domains", def: "[]", example: `["partner.example", ".partner.example"]`,
			form: "domain tree", doc: "Domains in From; \".example.com\" matches any domain " +
				"below it. Any sender can write them, so forgeries of these domains pass."},
	},
}

var rulesSection = section{
	header: "[[policy.rules]]", path: "policy.rules[]",
	doc: "Rules that you write yourself, for mail from strangers and relays; they do not apply to " +
		"our own mail. They are evaluated in the order of the file, then of the included files, " +
		"once all methods have run: the first rule whose expression is true decides, in place of " +
		"the actions and overrides above; if none is true, those decide. Mail that " +
		"policy.not_judged names is not subject to these rules. EXPRESSIONS below lists what an " +
		"expression can use. If a rule cannot be evaluated, because the rules together would read " +
		"more than 8 MiB of the header, on_internal_error applies, an error is logged, and " +
		"mailseal_rule_failures_total counts it. \"mailseal policy try\" shows the result of each " +
		"rule for a message, and \"mailseal policy replay\" the results for the mail in a log.",
	settings: []setting{
		{name: "name", example: `"partner"`, form: "line",
			doc: "The name of the rule in the log and in the mark. Each rule has its own name."},
		{name: "when", example: `'dmarc.result == "fail" and in_network(client.address, "192.0.2.0/24")'`,
			doc: "The expression. In single quotes, its double quotes need no escapes."},
		{name: "action", example: `"accept"`, values: verdictActions,
			doc: "What happens to a message for which the expression is true."},
		{name: "text", example: `"{dmarc.domain} asks to refuse {message_id}"`, form: "line",
			doc: "The text after the reply code of reject and tempfail. Names in braces are " +
				"replaced with facts about the message, in printable ASCII: {author.domain}, " +
				"{client.address}, {client.name}, {dmarc.domain}, {dmarc.policy}, " +
				"{dmarc.record_domain}, {dmarc.result}, {envelope.sender}, {message_id}, " +
				"{spf.domain}, {spf.result}."},
		{name: "reason", example: `"trusted_forwarder"`,
			doc: "The reason that a DMARC report gives when the rule did not do what the domain " +
				"asks for: \"local_policy\", which is the default, \"mailing_list\", " +
				"\"trusted_forwarder\" or \"other\" (RFC 9990)."},
		{name: "dry_run", def: "false",
			doc: "Only log what the rule would do (rules_dry_run), and continue with the next " +
				"rule."},
	},
}

var overrideSection = section{
	header: "[[policy.override]]", path: "policy.override[]",
	doc: "Another policy for some mail. The first override whose conditions are all true " +
		"replaces the policy. Settings that the override does not have keep the values of [policy].",
	settings: []setting{
		{name: "networks", example: `["192.0.2.0/24"]`, doc: "Condition: the client is in one of these."},
		{name: "hosts", example: `["mx.example.net", ".lists.example.org"]`, form: "client name",
			doc: "Condition: the client has one of these host names, as the MTA verified it; see " +
				"[exempt]."},
		{name: "senders", example: `["<>", "*@bounces.example.net"]`, form: "sender pattern",
			doc: "Condition: the envelope sender is one of these; \"<>\" is the null sender. Any " +
				"sender can write it."},
		{name: "recipients", example: `["support@example.com"]`, form: "address pattern",
			doc: "Condition: all recipients are among these."},
		{name: "author_domains", example: `["bank.example", ".bank.example"]`, form: "domain tree",
			doc: "Condition: the domain in From is one of these; \".example.com\" matches any " +
				"domain below it."},
		{name: "list_ids", example: `["announce.lists.example.org"]`, form: "domain tree",
			doc: "Condition: the identifier in List-Id is one of these; \".example.org\" matches " +
				"any below it. Any sender can write it."},
		{name: "sealers", example: `["lists.example.org"]`, form: "domain",
			doc: "Condition: the message has a valid ARC chain, whose newest seal is from one of " +
				"these domains."},
		{name: "action", example: `"accept"`, values: verdictActions,
			doc: "The action that replaces every decision of the policy other than accept."},
		{name: "reason", example: `"trusted_forwarder"`,
			doc: "The reason that a DMARC report gives when this override made the domain's " +
				"policy milder or stricter (RFC 9990 section 3.1.6). If not set, it is " +
				"\"mailing_list\" with list_ids, else \"local_policy\"."},
		{name: "spf", example: `{ fail = "reject" }`, doc: "Settings that replace those of [policy.spf]."},
		{name: "iprev", example: `{ fail = "reject" }`, doc: "Settings that replace those of [policy.iprev]."},
		{name: "dkim", example: `{ none = "hold" }`, doc: "Settings that replace those of [policy.dkim]."},
		{name: "dmarc", example: `{ p_none = "reject", p_reject = "reject" }`,
			doc: "Settings that replace those of [policy.dmarc]."},
	},
}
