package config

var reportsSection = section{
	header: "[reports]", path: "reports",
	doc: "DMARC aggregate reports to the domains whose mail arrives here (RFC 9990). The daemon " +
		"only writes down what it found (collect); \"mailseal reports serve\", a process of its " +
		"own with a user of its own, makes the reports and sends them (send). \"mailseal reports " +
		"preview\" shows what would be sent before anything is.",
	settings: []setting{
		{name: "collect", def: "false", restart: "the spool is opened once",
			doc: "Write down what reports are made of: results, domains and the client's address " +
				"of strangers' mail whose domain asks for reports. Nothing of a message itself, " +
				"no recipient and no user. Of your own mail that is signed it counts, by signing " +
				"domain and day, messages, those that answer other mail (In-Reply-To, not " +
				"automatic), and those to mailing lists, and keeps when each selector signed " +
				"first and last, for 400 days: the pages tell by it whether people write from a " +
				"domain, and mark new keys. A list is known by a List-Post field that its own " +
				"domain signed; its address is kept as a keyed digest in memory, 10,000 at most. " +
				"The rows are in spool_directory until \"mailseal reports serve\" takes them."},
		{name: "send", def: "false",
			doc: "Send the reports of a day on the next one. It needs collect, from, and what " +
				"\"mailseal reports check\" asks for."},
		{name: "from", example: `"dmarc@reports.example.com"`, form: "mail address",
			doc: "The sender of reports, at a domain that sends nothing else, so that what " +
				"receivers think of reports does not touch your mail. The domain needs SPF, " +
				"DKIM, MX and a DMARC record without rua; \"mailseal reports check\" prints " +
				"them. Mail from this domain and to it is in no report."},
		{name: "organization", example: `"Example Ltd."`, form: "line",
			doc: "Who reports: org_name of a report; the domain of from, if not set."},
		{name: "contact", example: `"https://example.com/postmaster"`, form: "line",
			doc: "How to reach you beside the address: extra_contact_info of a report."},
		{name: "addresses", def: "[]", example: `["dmarc-reports@example.com"]`, form: "address pattern",
			doc: "Your own addresses that receive reports and bounces. Mail to them is judged, " +
				"but is in no report, and no report goes to them: otherwise two hosts report to " +
				"each other what they report."},
		{name: "relation", def: `"seen"`,
			doc: "Who gets reports: \"seen\", domains that your users have written to in the " +
				"last 90 days, whose mail passed on 3 days over 14, whose mail failed on 3 days " +
				"from 2 networks, or that domains lists; \"listed\", only domains lists, and no " +
				"domain is kept that your users write to. Reports to domains that only send spam " +
				"ruin the reputation of the host that sends them."},
		{name: "domains", def: "[]", example: `["partner.example"]`, form: "domain tree",
			doc: "Policy domains that always get a report; \".example.com\" is any domain below it."},
		{name: "exclude_domains", def: "[]", example: `["loud.example"]`, form: "domain tree",
			doc: "Policy domains that never get one."},
		{name: "minimum", def: "1", least: "1", most: "1000000",
			doc: "Messages that a domain must have had on a day for a report of it."},
		{name: "metrics", example: `"127.0.0.1:9892"`, form: "host and port",
			doc: "Where the process of reports (role intake) serves metrics in Prometheus' " +
				"format at /metrics; nowhere, if not set. mailseal_reports_messages has the " +
				"messages of the last 7 full days by domain, receiver and result (pass, " +
				"delivered, held, refused), for the 100 domains and 10 receivers with most mail " +
				"and \"other\"; mailseal_reports_last_received_timestamp_seconds when a " +
				"receiver's last report came. They are gathered every 10 minutes. An address in " +
				"use is a warning, and is tried again each minute."},
		{name: "per_hour", def: "200", least: "1", most: "100000",
			doc: "Reports that are sent in an hour at most."},
		{name: "disposition", def: `"none"`,
			doc: "What a report says was done with mail that passes: \"none\", or \"pass\", " +
				"which RFC 9990 has new and some readers take for a refusal."},
		{name: "smtp", def: `"127.0.0.1:25"`, form: "host and port",
			doc: "The mail server on this host that takes reports. It must send them through " +
				"this daemon as mail of yours, so that they are signed."},
		{name: "directory", def: `"/var/lib/mailseal-reports"`, form: "path",
			doc: "What \"mailseal reports serve\" keeps, with its control socket: control, or " +
				"control-ROLE for a process of some roles, such as control-web."},
		{name: "spool_directory", example: `"/var/spool/mailseal-reports"`, form: "path",
			restart: "the spool is opened once",
			doc: "Where the daemon writes and \"mailseal reports serve\" reads and deletes; the " +
				"directory spool in directory, if not set. It belongs to the group that both are " +
				"in, and has the setgid bit."},
		{name: "spool_size", def: `"1GiB"`, least: `"1MiB"`, most: `"1024GiB"`, restart: "the spool is opened once",
			doc: "What the spool may hold. Where it is full, rows are dropped and counted; mail is not touched."},
		{name: "store", example: `"sqlite:/var/lib/mailseal-reports/reports.db"`, form: "line",
			doc: "The database of reports: \"sqlite:\" and a path, or \"postgres:\" for several " +
				"hosts; the file reports.db in directory, if not set."},
		{name: "dns_every", def: `"6h"`, zero: "never", most: `"7d"`,
			doc: "How often the role dns of \"mailseal reports serve\" checks the DNS records of " +
				"your domains, those that rules sign for and those of intake.domains, as " +
				"\"mailseal domain\" does. The checks are spread over that time, at 5 questions " +
				"a second at most. What changes of the domains' own records is kept for 400 " +
				"days, and \"mailseal reports history\" lists it; where alerts.to is set, each " +
				"change and each mistake is mailed once. The keys that sign are looked at by the " +
				"daemon itself, each rotation.watch."},
	},
}

var reportsFailureSection = section{
	header: "[reports.failure]", path: "reports.failure",
	doc: "Reports about single messages that failed (RFC 9991, and for signatures with r=y RFC " +
		"6651), to domains that you list. They are off without a list: even redacted they tell " +
		"strangers of your users' mail, and in some countries you may not send them. A report " +
		"has some fields of the header (From, Sender, Reply-To, To, Cc, Date, Message-ID, " +
		"DKIM-Signature), the part of each address before \"@\" replaced by a code that is the " +
		"same for the same name (RFC 6590), and never anything of the body. In the spool, where " +
		"they are for some minutes, the fields are as they came. Like incidents of an hour, of " +
		"one domain, network and kind, are one report with their number. A destination gets 10 " +
		"in an hour and 50 in a day at most. They need collect and send, and go out from the address of from.",
	settings: []setting{
		{name: "domains", def: "[]", example: `["partner.example"]`, form: "domain tree",
			doc: "The domains of the addresses that get failure reports, where ruf of a DMARC " +
				"record, or the record at _report._domainkey of a signer, names them; " +
				"\".example.com\" is any domain below it. An address of another organization " +
				"must have agreed in the DNS, as with aggregate reports."},
		{name: "subject", def: "false",
			doc: "Send the Subject, too."},
	},
}

var reportsIntakeSection = section{
	header: "[reports.intake]", path: "reports.intake",
	doc: "DMARC, TLS and failure reports about your domains. \"mailseal reports serve\" takes " +
		"them by LMTP on a unix socket, \"mailseal reports import\" from files; \"mailseal " +
		"reports domains\" and the page show what they say. Once a day it asks the DNS, by the " +
		"name servers of [dns], for the SPF and DMARC records of your domains and for the keys " +
		"that signed lately: changes are marks on the pages, missing keys and SPF terms that let " +
		"no mail in are said there. A domain whose SPF record is \"v=spf1 -all\" counts as parked.",
	settings: []setting{
		{name: "address", example: `"/run/mailseal-reports/intake.sock"`, form: "path",
			doc: "The unix socket on which \"mailseal reports serve\" takes mail by LMTP; the " +
				"file intake.sock in reports.directory, if not set. The mail server must be able " +
				"to reach its directory. Postfix: transport_maps = inline:{ { dmarc@example.com " +
				"= lmtp:unix:/run/mailseal-reports/intake.sock } }, where a chroot needs the " +
				"socket below the queue directory. Sendmail: contrib/sendmail/reports.mc. mode " +
				"and group say who may write to it."},
		{name: "mode", def: `"0660"`, form: "mode",
			doc: "The permissions of the socket. A program that can write to it can bring mail " +
				"with an Authentication-Results field of their own making, which is believed."},
		{name: "group", example: `"postfix"`,
			doc: "The group of the socket, that of the mail server; ours, if not set. \"mailseal " +
				"reports serve\" must be a member of it. With the shipped unit the other way is " +
				"simpler, since the socket is in a directory of the group mailseal-reports: " +
				"\"usermod -aG mailseal-reports postfix\", and restart Postfix. Sendmail, which " +
				"runs its mailers as root, needs nothing."},
		{name: "domains", def: "[]", example: `["example.com"]`, form: "domain",
			doc: "Your domains. A report counts if its policy domain is one of them or below " +
				"one; a record belongs to the nearest of them. Reports on other domains are kept " +
				"for 30 days and not counted. Not set: every domain counts."},
		{name: "refuse_other", def: "false",
			doc: "Answer 550 to mail that holds no report, instead of taking and keeping it."},
		{name: "changes", example: `"/var/lib/mailseal-reports/changes.sock"`, form: "path",
			doc: "The unix socket by which the role web, which only reads the store, has the " +
				"role intake make what an administrator changes on the page: verdicts on " +
				"sources, accepted reporters, report files; the file changes.sock in " +
				"reports.directory, if not set. Its mode is 0600, and only root and the user of " +
				"the process get an answer, so that two processes, one of each role, run as the " +
				"same user. While no intake answers, the page says that nothing can be changed."},
		{name: "raw_days", def: "90", least: "1", most: "3650",
			doc: "How long mails are kept as they came, for \"mailseal reports reparse\"."},
		{name: "record_days", def: "400", least: "1", most: "3650",
			doc: "How long reports and their records are kept."},
		{name: "sum_days", def: "1100", least: "1", most: "36500",
			doc: "How long the sums per day are kept that the figures of domains, receivers and sources come from."},
		{name: "reverse_names", def: "true",
			doc: "Look up the reverse names of addresses that reports name, so that sources have " +
				"names: at most 1000 addresses in ten minutes, 8 at a time, each again after 30 " +
				"days. A name counts only if it leads back to the address. The questions go to " +
				"the servers of [dns]; they tell those who run these and the address which addresses reports name."},
		{name: "address_databases", def: "[]",
			example: `["/var/lib/GeoIP/GeoLite2-ASN.mmdb", "/var/lib/GeoIP/GeoLite2-Country.mmdb"]`, form: "path",
			doc: "Files in MaxMind's format that say in which network and country an address is: " +
				"GeoLite2, DB-IP, IPinfo Lite and others, which you download and keep up to date " +
				"yourself; mind their terms, some of which ask for attribution. They are opened " +
				"for each lookup, so that a file may be replaced at any time (rename a new one " +
				"over it). Addresses that were looked up before are looked up again after 30 " +
				"days. The user mailseal-reports must be able to read them."},
	},
}

var reportsAlertsSection = section{
	header: "[reports.alerts]", path: "reports.alerts",
	doc: "Mail to you about what reports that came in show. \"mailseal reports serve\" (role " +
		"intake) looks every hour for new sources of mail, sources of yours whose mail fails, " +
		"receivers that do not report any more, changed policies, and an intake that is broken. " +
		"Each is mailed once. The mail goes to the mail server of reports.smtp, from " +
		"reports.from, without an envelope sender, so that there are no bounces of it.",
	settings: []setting{
		{name: "to", def: "[]", example: `["postmaster@example.com"]`, form: "mail address",
			doc: "Who gets alerts and the digest. Not set: nothing is mailed, and nothing is " +
				"looked for. It needs reports.from. \"mailseal reports alerts --test\" sends a mail there."},
		{name: "digest", def: "true",
			doc: "Mail what happened in a week, every Monday after 6:00 UTC: for each domain the " +
				"messages, how many pass, what changed, and its largest sources with what to do."},
		{name: "new_source", def: "10", least: "1", most: "1000000000",
			doc: "Messages that a new source must have sent as one of your domains before it is " +
				"an alert. A source is new for 7 days, of a domain with reports for longer than that."},
		{name: "silent_days", def: "4", least: "2", most: "60",
			doc: "Days without a report after which a receiver is silent that reported on 9 of the 14 days before."},
		{name: "quiet_days", def: "7", least: "1", most: "365",
			doc: "Days for which an alert must not have held before it is mailed again. One that " +
				"goes on is mailed once."},
	},
}

var reportsWebSection = section{
	header: "[reports.web]", path: "reports.web",
	doc: "The pages of \"mailseal reports serve\" (role web): which of your domains need you, " +
		"why, and what to publish. They are served where address says, and show nothing to a " +
		"visitor who did not sign in: with a token, an account of an htpasswd file, or by a " +
		"reverse proxy. The page /check asks the DNS what \"mailseal domain\" and \"mailseal " +
		"propose\" ask, by the name servers of [dns]: 10 checks a minute for an account, 30 for " +
		"all, 400 questions and 20 seconds each. An account that may see some domains may ask " +
		"about those and names below them, and no others: what it asks is asked from this host.",
	settings: []setting{
		{name: "address", example: `"127.0.0.1:8026"`, form: "line",
			doc: "Where the pages are served: a host and a port, or \"unix:\" and the path of a " +
				"socket that the group of the process may use; nowhere, if not set. An address " +
				"that is not on loopback needs certificate and key."},
		{name: "certificate", example: `"/etc/mailseal/page.pem"`, form: "path",
			doc: "The certificate chain of TLS, in PEM. The file and that of key are read again when they change."},
		{name: "key", example: `"/etc/mailseal/page-key.pem"`, form: "path",
			doc: "The private key of certificate, in PEM."},
		{name: "token_file", example: `"/etc/mailseal/page-token"`, form: "path",
			doc: "A file with a token of 20 characters or more in its first line. Its holder is " +
				"an administrator: in the form of the login without a name, or for programs as " +
				"\"Authorization: Bearer TOKEN\"."},
		{name: "htpasswd", example: `"/etc/mailseal/htpasswd"`, form: "path",
			doc: "Accounts with bcrypt passwords, as \"htpasswd -B\" writes them. " +
				"[[reports.web.account]] says what each may do. Five wrong passwords for a name " +
				"lock that name for the client's address, 20 for any names lock the address, " +
				"both for ten minutes; a name alone is never locked, and the token works all the time."},
		{name: "proxy_header", example: `"X-Remote-User"`, form: "line",
			doc: "The header in which a reverse proxy names the account that it has signed in. " +
				"It is believed on a unix socket and from proxy_from, and nowhere else."},
		{name: "proxy_from", def: "[]", example: `["127.0.0.5/32"]`,
			doc: "The addresses of that reverse proxy, also if it only passes requests on. It " +
				"must set X-Forwarded-For, else wrong passwords slow logins down without locking " +
				"the address that they come from. Cookies are for TLS only, unless it sends X-Forwarded-Proto: http."},
	},
}

var reportsAccountSection = section{
	header: "[[reports.web.account]]", path: "reports.web.account[]",
	doc: "What an account of htpasswd or of the reverse proxy may do. One without such a table may read all.",
	settings: []setting{
		{name: "name", example: `"anna"`, form: "line", doc: "The name of the account. Required."},
		{name: "role", example: `"admin"`, values: []string{"admin", "read"},
			doc: "\"admin\" may change things, \"read\" may not; \"read\", if not set."},
		{name: "domains", example: `["example.org"]`, form: "domain",
			doc: "The domains that it may see; all, if not set."},
	},
}
