package config

var reportsSection = section{
	header: "[reports]", path: "reports",
	doc: "DMARC aggregate reports to the domains whose mail arrives here (RFC 9990). The daemon " +
		"only records its results (collect) in a directory, the spool. \"mailseal reports " +
		"serve\", a separate process with a user of its own, moves them into a database, the " +
		"store, and makes and sends the reports (send). \"mailseal reports " +
		"preview\" shows what would be sent, before anything is sent.",
	settings: []setting{
		{name: "collect", def: "false", restart: "the spool is opened once",
			doc: "Record what reports need: for strangers' mail whose domain asks for reports, " +
				"the results, the domains and the client's address. Nothing of the message " +
				"itself is recorded, and no recipient or user. For your own mail that is signed " +
				"it counts, by signing domain and day, the messages, those that answer other " +
				"mail (In-Reply-To, not automatic), and those to mailing lists, and records when " +
				"each selector first and last signed; this is kept for 400 days. The pages use " +
				"it to tell whether people write from a domain, and to mark new keys. A list is " +
				"recognized by a List-Post field that its own domain signed; at most 10,000 such " +
				"addresses are kept in memory, as keyed digests. The records are in " +
				"spool_directory until \"mailseal reports serve\" takes them."},
		{name: "send", def: "false",
			doc: "Send the reports of each day (UTC) on the next day, each domain at a time of " +
				"its own between 00:20 and 06:00 UTC. It needs collect, from, and the DNS records " +
				"that \"mailseal reports check\" prints."},
		{name: "from", example: `"dmarc@reports.example.com"`, form: "mail address",
			doc: "The sender of reports, at a domain that sends nothing else, so that the " +
				"reputation of the reports does not affect your other mail. The domain needs " +
				"SPF, DKIM, MX and a DMARC record without rua; \"mailseal reports check\" prints " +
				"them. Mail from and to this domain is not counted in reports."},
		{name: "organization", example: `"Example Ltd."`, form: "line",
			doc: "The name of your organization: org_name in a report. If not set, the domain of " +
				"from."},
		{name: "contact", example: `"https://example.com/postmaster"`, form: "line",
			doc: "Another way to reach you: extra_contact_info in a report."},
		{name: "addresses", def: "[]", example: `["dmarc-reports@example.com"]`, form: "address pattern",
			doc: "Your own addresses that receive reports and bounces. Mail to them is judged, " +
				"but not counted in reports, and no reports are sent to them: otherwise two " +
				"hosts would send each other reports about reports."},
		{name: "relation", def: `"seen"`,
			doc: "Which domains get reports. With \"seen\", these do: the domains in the setting " +
				"domains; domains that your users wrote to in the last 90 days; domains whose " +
				"mail passed DMARC on at least 3 days, of which the first and the last are at " +
				"least 14 days apart; and domains none of whose mail passed, but whose mail " +
				"failed on at least 3 days and from at least 2 networks. With \"listed\", only " +
				"the domains in the setting domains get reports, and the domains that your users " +
				"write to are not recorded. Reports to " +
				"domains that only send spam ruin the reputation of the host that sends them."},
		{name: "domains", def: "[]", example: `["partner.example"]`, form: "domain tree",
			doc: "Policy domains that always get a report; \".example.com\" matches any domain " +
				"below it."},
		{name: "exclude_domains", def: "[]", example: `["loud.example"]`, form: "domain tree",
			doc: "Policy domains that never get a report."},
		{name: "minimum", def: "1", least: "1", most: "1000000",
			doc: "How many messages of a domain must have arrived on a day for a report about " +
				"that day."},
		{name: "metrics", example: `"127.0.0.1:9892"`, form: "host and port",
			doc: "Where \"mailseal reports serve\" (role intake) serves metrics in Prometheus' " +
				"format at /metrics; METRICS below lists them. If not set, it serves none. If the " +
				"address is in use, a warning is logged, and it is tried again a minute later."},
		{name: "per_hour", def: "200", least: "1", most: "100000",
			doc: "The maximum number of reports sent in an hour. The mail servers of one provider " +
				"get at most 10 in a minute."},
		{name: "disposition", def: `"none"`,
			doc: "The disposition that a report gives for mail that passes: \"none\", or " +
				"\"pass\", which is new in RFC 9990. Some programs that read reports show " +
				"\"pass\" as a refusal."},
		{name: "smtp", def: `"127.0.0.1:25"`, form: "host and port",
			doc: "The mail server on this host that accepts the reports. It must pass them " +
				"through this daemon as your own mail, so that they are signed."},
		{name: "directory", def: `"/var/lib/mailseal-reports"`, form: "path",
			doc: "The directory of \"mailseal reports serve\": its files and its control socket, " +
				"which is named control, or control-ROLE for a process of some roles, such as " +
				"control-web."},
		{name: "spool_directory", example: `"/var/spool/mailseal-reports"`, form: "path",
			restart: "the spool is opened once",
			doc: "The spool, to which the daemon writes and from which \"mailseal reports " +
				"serve\" reads and deletes. If not set, spool in directory. It must belong to a " +
				"group that both are in, and have the setgid bit."},
		{name: "spool_size", def: `"1GiB"`, least: `"1MiB"`, most: `"1024GiB"`, restart: "the spool is opened once",
			doc: "The maximum size of the spool. It grows only while \"mailseal reports serve\" " +
				"does not run or cannot store the records. When it is full, records are dropped " +
				"and counted; mail is not affected."},
		{name: "spool_days", def: "7", least: "1", most: "90",
			doc: "How long records wait in the spool while the store is unavailable. Older " +
				"records are removed, with an error in the log. Reports on days more than 5 days ago are never " +
				"sent."},
		{name: "store", example: `"sqlite:/var/lib/mailseal-reports/reports.db"`, form: "line",
			doc: "The store, which is the database of reports: \"sqlite:\" and a path, or \"postgres://...\" for " +
				"several hosts; see REPORTS OF SEVERAL HOSTS below. If not set, the file " +
				"reports.db in directory."},
		{name: "dns_every", def: `"6h"`, zero: "never", most: `"7d"`,
			doc: "How often the role dns of \"mailseal reports serve\" checks the DNS records of " +
				"your domains (those that rules sign for and those in intake.domains), as " +
				"\"mailseal domain\" does. The checks are spread over that time, with at most 5 " +
				"queries a second: 10,000 domains can be checked in 6 hours. More domains are " +
				"checked less often, and the log says how often. For the advice on the pages, the " +
				"records are compared with the mail in received reports. Changes to the domains' " +
				"own records are kept for 400 days, and \"mailseal reports history\" lists them; if " +
				"alerts.to is set, each change and each mistake is mailed once. The keys that sign " +
				"are also checked by the daemon itself, once in rotation.watch."},
	},
}

var reportsFailureSection = section{
	header: "[reports.failure]", path: "reports.failure",
	doc: "Reports about single messages that failed (RFC 9991, and for signatures with r=y RFC " +
		"6651), to domains that you list. Without a list none are sent: even redacted, they " +
		"reveal something about your users' mail to strangers, and in some countries sending " +
		"them is not allowed. A report has some fields of the header (From, Sender, Reply-To, " +
		"To, Cc, Date, Message-ID, DKIM-Signature), with the part of each address before \"@\" " +
		"replaced by a code that is the same for the same name (RFC 6590), and never anything " +
		"from the body. In the spool, where they stay for some minutes, the fields are " +
		"unredacted. Similar incidents within an hour, with the same domain, network and kind, " +
		"are combined into one report with their number. A destination gets at most 10 in an " +
		"hour and 50 in a day. Failure reports need collect and send, and are sent from the " +
		"address in from.",
	settings: []setting{
		{name: "domains", def: "[]", example: `["partner.example"]`, form: "domain tree",
			doc: "The domains of the addresses that may get failure reports, if ruf in a DMARC " +
				"record, or a signer's record at _report._domainkey, names such an address; " +
				"\".example.com\" matches any domain below it. An address at another organization " +
				"must have agreed in the DNS, as with aggregate reports. In a signer's record, " +
				"rp= is the percentage of failures that is reported, and rs= is a text that is " +
				"added to the reply when such mail is refused."},
		{name: "subject", def: "false", doc: "Send the Subject, too."},
	},
}

var reportsIntakeSection = section{
	header: "[reports.intake]", path: "reports.intake",
	doc: "DMARC, TLS and failure reports about your domains. \"mailseal reports serve\" receives " +
		"them by LMTP on a unix socket, and \"mailseal reports import\" reads them from files; " +
		"\"mailseal reports domains\" and the pages show the results. The role dns checks the " +
		"DNS records of your domains once in reports.dns_every, so that the pages can show " +
		"changed records, missing keys and SPF terms that no mail uses.",
	settings: []setting{
		{name: "address", example: `"/run/mailseal-reports/intake.sock"`, form: "path",
			doc: "The unix socket on which \"mailseal reports serve\" receives mail by LMTP. If " +
				"not set, intake.sock in reports.directory. The mail server must be able to reach " +
				"its directory. Postfix: transport_maps = inline:{ { dmarc@example.com = " +
				"lmtp:unix:/var/lib/mailseal-reports/intake.sock } }; if its lmtp runs in a " +
				"chroot, as on Debian, also \"postconf -F lmtp/unix/chroot=n\". Sendmail: " +
				"contrib/sendmail/reports.mc. mode and group set who may write to it."},
		{name: "mode", def: `"0660"`, form: "mode",
			doc: "The permissions of the socket. A program that can write to it can deliver mail " +
				"with a forged Authentication-Results field, which is trusted."},
		{name: "group", example: `"postfix"`,
			doc: "The group of the socket: the mail server's. If not set, that of the process. " +
				"\"mailseal reports serve\" must be a member of the group. With the shipped unit " +
				"it is simpler to make the mail server a member of the group mailseal-reports, " +
				"to which the socket's directory belongs: \"usermod -aG mailseal-reports " +
				"postfix\", then restart Postfix. Sendmail, which runs its mailers as root, " +
				"needs nothing."},
		{name: "domains", def: "[]", example: `["example.com"]`, form: "domain",
			doc: "Your domains. A report counts if its policy domain is one of them or is below " +
				"one; a record belongs to the closest of them. Reports on other domains are kept " +
				"for 30 days and not counted. If not set, every domain counts."},
		{name: "parked", def: "[]", example: `["old.example"]`, form: "domain",
			doc: "Your domains that send no mail; they need not be in domains as well. All mail " +
				"in their name that does not pass is a forgery, the pages and \"mailseal reports " +
				"domains\" show them as parked, and the advice is \"v=spf1 -all\" and p=reject at " +
				"once, without intermediate steps. A domain whose SPF record is \"v=spf1 -all\" " +
				"is always parked."},
		{name: "refuse_other", def: "false",
			doc: "Refuse mail that contains no report with 550, instead of accepting and keeping " +
				"it."},
		{name: "changes", example: `"/var/lib/mailseal-reports/changes.sock"`, form: "path",
			doc: "The unix socket by which the role web, which only reads the store, passes " +
				"changes that an administrator makes on the pages to the role intake: classes of " +
				"sources, accepted reporters, report files, mail that could not be read, " +
				"addresses that get no reports. If not set, changes.sock in reports.directory. " +
				"Its mode is 0600, and only root and the user of the process get an answer, so " +
				"processes of the two roles must run as the same user. While the role intake " +
				"does not answer, nothing can be changed on the pages."},
		{name: "raw_days", def: "90", least: "1", most: "3650",
			doc: "For how many days the original mail is kept, to be read again on the page " +
				"/ingest and by \"mailseal reports reparse\". Reports that are not " +
				"authenticated are kept as long."},
		{name: "record_days", def: "400", least: "1", most: "3650",
			doc: "For how many days reports and their records are kept."},
		{name: "sum_days", def: "1100", least: "1", most: "36500",
			doc: "For how many days the daily sums are kept from which the figures of domains, " +
				"receivers and sources are computed."},
		{name: "reverse_names", def: "true",
			doc: "Look up the reverse names of the addresses in reports, so that sources have " +
				"names: at most 1000 addresses in ten minutes, 8 at a time, each again after 30 " +
				"days. A name counts only if it leads back to the address. The queries go to the " +
				"servers of [dns]; the operators of these servers, and of the addresses' DNS, " +
				"can see which addresses are in your reports."},
		{name: "address_databases", def: "[]",
			example: `["/var/lib/GeoIP/GeoLite2-ASN.mmdb", "/var/lib/GeoIP/GeoLite2-Country.mmdb"]`, form: "path",
			doc: "Files in MaxMind's format that give the network and country of an address: " +
				"GeoLite2, DB-IP, IPinfo Lite and others, which you download and keep up to date " +
				"yourself; observe their terms, some of which require attribution. They are " +
				"opened for each lookup, so a file may be replaced at any time (rename the new " +
				"one over it). Each address is looked up again after 30 days. The user " +
				"mailseal-reports must be able to read the files."},
	},
}

var reportsAlertsSection = section{
	header: "[reports.alerts]", path: "reports.alerts",
	doc: "Mail to you about problems that the received reports show. \"mailseal reports serve\" " +
		"(role intake) checks every hour for new sources of mail, sources of yours whose mail " +
		"fails, receivers that no longer report, changed policies, new reporters that claim most " +
		"of the mail, and reports that no longer arrive or cannot be read. Each is mailed once. " +
		"The mail goes to the mail server at reports.smtp, from reports.from, with the null " +
		"envelope sender, so that it cannot bounce.",
	settings: []setting{
		{name: "to", def: "[]", example: `["postmaster@example.com"]`, form: "mail address",
			doc: "The addresses that get alerts and the digest. If not set, nothing is checked " +
				"or mailed. It needs reports.from. \"mailseal reports alerts --test\" sends a " +
				"test mail."},
		{name: "digest", def: "true",
			doc: "Mail a digest of the week every Monday after 6:00 UTC: for each domain the " +
				"number of messages, how many passed, what changed, and its largest sources, each " +
				"with what to do about it."},
		{name: "new_source", def: "10", least: "1", most: "1000000000",
			doc: "How many messages a new source must have sent as one of your domains to cause " +
				"an alert. A source is new for 7 days, for a domain that has had reports for " +
				"longer than that."},
		{name: "silent_days", def: "4", least: "2", most: "60",
			doc: "After how many days without a report a receiver that reported on 9 of the 14 " +
				"days before causes an alert."},
		{name: "quiet_days", def: "7", least: "1", most: "365",
			doc: "For how many days the cause of an alert must be gone before the same alert is " +
				"mailed again. An alert whose cause persists is mailed once."},
	},
}

var reportsWebSection = section{
	header: "[reports.web]", path: "reports.web",
	doc: "The pages of \"mailseal reports serve\" (role web): which of your domains need " +
		"attention, why, and what to publish. A domain is marked FAIL if it has no valid DMARC " +
		"record, if the role dns found an error in its records, or if its policy is enforced " +
		"although more than 1 % of the mail of its own sources fails. It is marked WARN if one " +
		"of its sources fails, if a receiver stopped reporting, if the role dns found a warning, " +
		"or if it has p=none for more than 90 days. p=reject is advised only if 99 % of the mail " +
		"of each of your sources has aligned DKIM. You can accept mail by SPF alone on the page " +
		"of a source: that excuses at most 1 % of the source's mail from this rule. In the table " +
		"of sources on the page of a domain, the number of addresses opens to a list of the 20 " +
		"with the most mail, and the trend is the messages of each day (CSV and JSON have them " +
		"as numbers, separated by spaces). /reports lists the reports with mail from one address. " +
		"/out has a column for each condition of an outgoing report: no (with the reason), yes, " +
		"or later, if it is looked at when the report is sent. A source can be judged alone or with its " +
		"network (at most a /16 of IPv4 or a /32 of IPv6): the addresses of a judged network are a " +
		"source of their own, named like the network, until the verdict is undone on its page; the " +
		"newest verdict on an address holds. The pages " +
		"are served at address, and show " +
		"nothing to a visitor who has not signed in: with a token, with an account of an htpasswd file, or " +
		"through a reverse proxy. The page /check makes the same DNS queries as \"mailseal " +
		"domain\" and \"mailseal propose\", by the name servers of [dns]: at most 10 checks a " +
		"minute for an account and 30 for all, each with at most 400 queries and 20 seconds. An " +
		"account that may see only some domains may check only those and names below them, since " +
		"the queries come from this host.",
	settings: []setting{
		{name: "address", example: `"127.0.0.1:8026"`, form: "line",
			doc: "Where the pages are served: a host and a port, or \"unix:\" and the path of a " +
				"socket that the group of the process may use. If not set, they are not served. " +
				"An address that is not on loopback needs certificate and key."},
		{name: "certificate", example: `"/etc/mailseal/page.pem"`, form: "path",
			doc: "The certificate chain of TLS, in PEM. The file and that of key are read again when they change."},
		{name: "key", example: `"/etc/mailseal/page-key.pem"`, form: "path",
			doc: "The private key of certificate, in PEM."},
		{name: "token_file", example: `"/etc/mailseal/page-token"`, form: "path",
			doc: "A file whose first line is a token of 20 characters or more, readable for the " +
				"user mailseal-reports: \"openssl rand -hex 20\" prints one. A visitor with the " +
				"token is an administrator: sign in with the token and without a name, or, in " +
				"programs, send \"Authorization: Bearer TOKEN\"."},
		{name: "htpasswd", example: `"/etc/mailseal/htpasswd"`, form: "path",
			doc: "A file with accounts and their bcrypt passwords, as \"htpasswd -B\" writes it. " +
				"[[reports.web.account]] sets what each may do. A changed file takes effect " +
				"within 5 seconds, as does a changed token_file, and ends the sessions of " +
				"accounts that were removed from it or have another password. Five wrong " +
				"passwords for a name from one address lock that name for that address, and 20 " +
				"for any names lock the address, both for ten minutes. A name is never locked for " +
				"all addresses, and the token is never locked."},
		{name: "proxy_header", example: `"X-Remote-User"`, form: "line",
			doc: "The header in which a reverse proxy names the account that has signed in there. " +
				"It is trusted on a unix socket and from proxy_from, and ignored otherwise. A " +
				"request with two such headers is not signed in: the proxy must replace a header " +
				"that the client sent."},
		{name: "proxy_from", def: "[]", example: `["127.0.0.5/32"]`,
			doc: "The addresses of that reverse proxy. Set them even if the proxy does not sign " +
				"users in. It must set X-Forwarded-For; otherwise wrong passwords slow all logins " +
				"down, and the address that they come from is not locked. Cookies are marked for " +
				"TLS only, unless it sends X-Forwarded-Proto: http."},
	},
}

var reportsAccountSection = section{
	header: "[[reports.web.account]]", path: "reports.web.account[]",
	doc: "What an account of htpasswd or of the reverse proxy may do. An account without such a " +
		"table may read everything.",
	settings: []setting{
		{name: "name", example: `"anna"`, form: "line", doc: "The name of the account. Required."},
		{name: "role", example: `"admin"`, values: []string{"admin", "read"},
			doc: "\"admin\" may make changes and read mail that could not be read as a report, " +
				"\"read\" may not. If not set, \"read\"."},
		{name: "domains", example: `["example.org"]`, form: "domain",
			doc: "The domains that the account may see. If not set, it may see all."},
	},
}

var reportsGroupSection = section{
	header: "[[reports.web.group]]", path: "reports.web.group[]",
	doc: "A group of your domains, such as those of a customer: the first page has a link to " +
		"each group, and /?group=NAME, /domains.csv?group=NAME and /domains.json?group=NAME " +
		"show only its domains. A domain may be in several groups.",
	settings: []setting{
		{name: "name", example: `"production"`, form: "line",
			doc: "The name of the group, on the page and in its address. Required."},
		{name: "domains", example: `["example.com", ".shops.example"]`, form: "domain tree",
			doc: "Its domains; \".example.com\" is any domain below example.com. Required."},
	},
}
