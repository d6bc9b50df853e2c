package config

import "mailseal/milter/action"

var daemonSection = section{
	doc: "Settings of the daemon as a whole. They must be above the first [table].",
	settings: []setting{
		{name: "authserv_id", example: `"mx.example.com"`, form: "authserv-id",
			doc: "The name of this host in Authentication-Results (RFC 8601 section 2.5): a full host name. " +
				"Programs that read mail are configured to trust fields with this name. If it is " +
				"not set, the MTA's own name ({j}) is used if it is a full one, else this host's " +
				"full name from /etc/hosts. If neither is known, it is the host's short name, " +
				"under which others can write fields as well, and an error is logged at start. " +
				"authserv_id = \"HOSTNAME\" stands for the host's full name. Hosts that work as " +
				"one may share an id. Fields in strangers' mail that claim this id are removed, " +
				"as are those that claim the MTA's name, the host's full or short name, or one of " +
				"remove_ids."},
		{name: "mode", def: `["sign", "verify"]`, values: []string{string(ModeSign), string(ModeVerify)},
			doc: "What Mailseal does: \"sign\" signs our own mail, \"verify\" judges mail from " +
				"strangers."},
		{name: "state_directory", restart: "it is opened once", def: `"/var/lib/mailseal"`, form: "path",
			doc: "The directory for the keys that Mailseal makes and for data that must survive a " +
				"restart."},
		{name: "user", example: `"mailseal"`, restart: "root's rights are given up once",
			doc: "If root starts the daemon, it switches to this user, with the user's groups, " +
				"once its sockets are open. It reads the configuration, keys and tables as that " +
				"user. Do not set it if systemd starts the daemon as a user (User=)."},
		{name: "require_safe_keys", def: "false",
			doc: "Refuse a key file that users other than its owner, root and the daemon's group " +
				"can read or replace. If false, such a file causes a warning with the command that " +
				"corrects it."},
		{name: "on_internal_error", def: `"tempfail"`, values: words(action.Accept, action.Reject, action.Tempfail),
			doc: "What happens to a message when Mailseal itself fails: because of a bug, or " +
				"because a rule of policy.rules cannot be evaluated."},
		{name: "include", example: `["conf.d/*.toml"]`, empty: "no other file",
			doc: "Further configuration files, as file name patterns. They are read after this " +
				"one, in the order of their names. Their rules and overrides come after those of " +
				"this file, and their keys are added; any other setting may be in one file only. " +
				"Relative names are relative to this file's directory. An included file cannot " +
				"include others."},
		{name: "domain", example: `"example.com"`, form: "domain",
			doc: "Together with selector and key_file, the short way to sign for one domain, or " +
				"for several: mail from any address at the domain is signed with that key. It " +
				"replaces [keys] and [[sign]]."},
		{name: "selector", example: `"mail"`, form: "selector",
			doc: "The selector of the key in key_file, which is published at selector._domainkey.domain."},
		{name: "key_file", example: `"/etc/mailseal/mail.pem"`, form: "path",
			doc: "The file of the private key with which mail of domain is signed."},
		{name: "key_table", example: `"file:/etc/opendkim/key.table"`,
			doc: "OpenDKIM's key table, \"file:\" or \"refile:\" and a path, or \"csl:\" and the " +
				"entries themselves, for sites that generate one. It is read as OpenDKIM reads " +
				"it, at start and at reload. It needs signing_table, and replaces [keys] and " +
				"[[sign]]. Relative names, here and in the table, are relative to the directory " +
				"of the configuration file."},
		{name: "signing_table", example: `"refile:/etc/opendkim/signing.table"`,
			doc: "OpenDKIM's signing table, in the same forms. \"file:\" has fixed names, " +
				"\"refile:\" patterns with *. mailseal check warns of lines that have no " +
				"effect in OpenDKIM, or no equivalent here."},
		{name: "multiple_signatures", def: "false",
			doc: "Sign with all matching lines of signing_table, not only with the first that " +
				"OpenDKIM would find (its MultipleSignatures). It implies match = \"all\" in " +
				"[signing], and on_key_error = \"tempfail\" unless that is set to \"reject\" or " +
				"\"accept\"."},
	},
}

var listenSection = section{
	header: "[[listen]]", path: "listen[]", filled: true,
	doc: "A socket on which MTAs connect to Mailseal; there may be several. Without any, " +
		"Mailseal listens on inet:8891@127.0.0.1.",
	settings: []setting{
		{name: "address", example: `"inet:8891@127.0.0.1"`,
			doc: "inet:port@host, inet6:port@host, unix:/path (or local:/path), or fd:name for a " +
				"socket that systemd passes, by its FileDescriptorName or its number: fd:3 is " +
				"the first. Without @host a port is open on all addresses. A chrooted Postfix " +
				"sees unix:/var/spool/postfix/mailseal/mailseal.sock as " +
				"unix:mailseal/mailseal.sock."},
		{name: "role", def: `"auto"`, restart: "a socket that is open keeps it",
			doc: "Whose mail arrives on this socket: \"ours\" is signed, \"theirs\" is judged, " +
				"\"relay\" is strangers' mail that a trusted host passes on. With \"auto\", " +
				"[ours] and [relays] decide."},
		{name: "mode", def: `"0660"`, form: "mode", restart: "a socket that is open keeps it",
			doc: "The permission bits of a unix socket."},
		{name: "user", example: `"mailseal"`, restart: "a socket that is open keeps it",
			doc: "The owner of a unix socket. If not set, the daemon's user."},
		{name: "group", example: `"postfix"`, restart: "a socket that is open keeps it",
			doc: "The group of a unix socket. If not set, the daemon's group."},
	},
}

var oursSection = section{
	header: "[ours]", path: "ours",
	doc: "Which mail is ours, and so is signed: mail that at least one of these settings matches. " +
		"Mail that is submitted on the host itself, without SMTP, is always ours.",
	settings: []setting{
		{name: "networks", def: `["127.0.0.1", "::1"]`,
			example: `["127.0.0.1", "::1", "192.0.2.0/24"]`, empty: "no client is ours by its address",
			doc: "Clients whose mail is ours: addresses and networks."},
		{name: "hosts", def: "[]", example: `["app.example.com", ".dyn.example.com"]`, form: "client name",
			doc: "Clients by their host name, as the MTA verified it in both directions; the " +
				"name in HELO does not count. \".example.com\" matches any name below it, " +
				"\"!bad.example.com\" is an exception; the most specific entry decides. An " +
				"exception does not exclude a client that is ours for another reason. Addresses " +
				"are safer: a name is only as trustworthy as the DNS."},
		{name: "authenticated", def: "true", doc: "Whether mail of clients that have logged in " +
			"is ours (the MTA sets the macro {auth_type})."},
		{name: "daemon_names", def: "[]", example: `["ORIGINATING"]`,
			doc: "Values of the macro {daemon_name} that make mail ours: Sendmail sets the macro " +
				"with DaemonPortOptions, Postfix with milter_macro_daemon_name. Upper and lower case matter."},
		{name: "macros", example: `{ "verified_sender" = ["yes"] }`, instead: "write [\"*\"] for any value",
			doc: "Further milter macros that make mail ours, each with the values that do so; " +
				"[\"*\"] stands for any value."},
		{name: "unmatched", def: `"accept"`,
			doc: "What happens to our mail when no signing rule matches it: \"accept\" lets it " +
				"go unsigned, logs that and counts it; \"judge\" treats it as mail from " +
				"strangers, which suits list software on this host."},
		{name: "keep_results", empty: "no client may", def: `["127.0.0.0/8", "::1"]`,
			example: `["127.0.0.0/8", "::1", "192.0.2.25"]`,
			doc: "Which clients of networks and hosts may pass on Authentication-Results fields " +
				"with our id, and the other fields that only Mailseal writes: a content filter " +
				"or list software on another host, which returns mail that Mailseal has seen " +
				"before. Mail that is submitted on the host itself, without SMTP, may contain " +
				"them, too. They are removed from the mail of all other clients, since a PC in " +
				"our network can forge them (RFC 8601 section 5). A gateway that writes such " +
				"fields for strangers' mail belongs in [relays]."},
	},
}

var relaysSection = section{
	header: "[relays]", path: "relays",
	doc: "Hosts that pass strangers' mail on to us: a backup MX, a content filter, a gateway. " +
		"SPF cannot be judged behind them; the Authentication-Results fields that they wrote are " +
		"kept. A client that is in both [relays] and [ours] is a relay, unless its mail is ours " +
		"for a reason other than networks and hosts.",
	settings: []setting{
		{name: "networks", def: "[]", example: `["192.0.2.25"]`, doc: "The addresses and networks of these hosts."},
	},
}

var exemptSection = section{
	header: "[exempt]", path: "exempt",
	doc: "Mail that is neither signed nor judged. Mail from the clients in networks and hosts is " +
		"not touched at all: no field is added or removed, so that even Authentication-Results " +
		"fields with our id stay; a stranger cannot become such a client. From mail that is " +
		"exempt by author_domains, which any sender can write, forged fields are removed. " +
		"[exempt] is decided before [relays] and [ours]. Each exempt message has a line in the " +
		"log.",
	settings: []setting{
		{name: "networks", def: "[]", example: `["192.0.2.99"]`, doc: "Clients, by address or network."},
		{name: "hosts", def: "[]", example: `["monitor.example.com", ".scanner.example"]`, form: "client name",
			doc: "Clients by their host name, as the MTA verified it; \".example.com\" matches " +
				"any name below it, \"!bad.example.com\" is an exception."},
		{name: "author_domains", def: "[]", example: `["internal.example.com"]`, form: "domain tree",
			doc: "Domains in From; \".example.com\" matches any domain below it. Any sender can " +
				"write them, so this exempts strangers, too; fields that only Mailseal may write " +
				"are still removed."},
	},
}

var dnsSection = section{
	header: "[dns]", path: "dns",
	doc: "How Mailseal looks up names in the DNS.",
	settings: []setting{
		{name: "servers", def: "[]", example: `["127.0.0.1", "[2001:db8::53]:5353"]`,
			doc: "Name servers, tried in this order. If empty, those of /etc/resolv.conf. A " +
				"validating resolver on this host is best."},
		{name: "timeout", example: `"2s"`, least: `"1ms"`, most: `"1m"`,
			doc: "How long one server has to answer one query. If not set, the time in " +
				"/etc/resolv.conf (options timeout:n) if the servers are from there, else 5s. A " +
				"server that did not answer is tried after all others for 30s."},
		{name: "tries", example: "2", least: "1", most: "10",
			doc: "How many times the list of servers is tried. If not set, the number in " +
				"/etc/resolv.conf (options attempts:n), else 2. \"options rotate\" there takes " +
				"the servers in turn; its other options have no effect."},
		{name: "cache_size", def: "20000", least: "0", most: "10000000",
			zero: "nothing is cached",
			doc:  "How many answers are cached, each for its time to live."},
	},
}

var limitsSection = section{
	header: "[limits]", path: "limits",
	doc: "Limits on what a peer may ask of the daemon.",
	settings: []setting{
		{name: "header_size", def: `"1MiB"`, least: `"4KiB"`, most: `"1GiB"`,
			doc: "How many bytes all header fields of a message may have together. A message " +
				"with a larger header is refused with 552. One field may have 1MiB at most, " +
				"whatever is set here: if an MTA sends a longer one, its connection is closed, " +
				"and it does what it is configured to do when a filter fails."},
		{name: "connections", def: "2000", least: "1", most: "1000000",
			doc: "How many connections of MTAs are served at the same time; further connections wait."},
		{name: "message_deadline", def: `"20s"`, least: `"1s"`, most: `"10m"`,
			doc: "How long Mailseal may take to judge a message, including all lookups. It should be less " +
				"than the time that the MTA waits for an answer to a message: 300s in Postfix " +
				"(content_timeout, milter_content_timeout), 5m in Sendmail (T=E:)."},
		{name: "handshake", def: `"5s"`, least: `"1s"`, doc: "How long a new connection has to " +
			"send its first packet."},
		{name: "packet", def: `"30s"`, least: `"1s"`, doc: "How long a packet may take to arrive " +
			"after its first byte."},
		{name: "idle", def: `"2h"`, least: `"1s"`, doc: "How long a connection may be silent between packets."},
		{name: "write", def: `"10s"`, least: `"1s"`, doc: "How long the MTA may take to accept an answer."},
		{name: "drain_soft", def: `"10s"`, zero: "none",
			doc: "When the daemon stops: how long open connections may continue with further " +
				"messages. Without a socket of systemd (fd:NAME) it is a second at most, since " +
				"nothing listens meanwhile and new SMTP sessions are deferred."},
		{name: "drain_hard", def: `"30s"`, zero: "at once",
			doc: "When the daemon stops: after this time every connection is closed, counted " +
				"from the same moment as drain_soft."},
	},
}

var logSection = section{
	header: "[log]", path: "log",
	doc: "The log has one line for each message, and one for each event that needs attention.",
	settings: []setting{
		{name: "format", def: `"text"`, restart: "the log is opened once",
			values: []string{"text", "json"},
			doc: "The format of the lines. In JSON, durations are numbers of milliseconds, " +
				"with names such as took_ms."},
		{name: "level", def: `"info"`, values: []string{"debug", "info", "warn", "error"},
			doc: "The lowest level that is logged; see LEVELS OF THE LOG below."},
		{name: "syslog", example: `"mail"`, restart: "the log is opened once",
			values: []string{"mail", "daemon", "user", "local0", "local1", "local2", "local3",
				"local4", "local5", "local6", "local7"},
			doc: "Log to syslog with this facility instead of to standard error, which systemd's " +
				"journal reads. While syslog cannot be reached, the log goes to standard error; " +
				"mail is not affected."},
	},
}

var metricsSection = section{
	header: "[metrics]", path: "metrics",
	doc: "Metrics in Prometheus' format at /metrics, health at /healthz. METRICS below lists the metrics.",
	settings: []setting{
		{name: "address", example: `"127.0.0.1:9891"`, form: "host and port",
			restart: "the metrics are served once", doc: "The address at which they are served. " +
				"If not set, they are not served."},
		{name: "pprof", def: "false", restart: "the metrics are served once",
			doc: "Serve Go's profiles at /debug/pprof/, too."},
	},
}

var controlSection = section{
	header: "[control]", path: "control",
	doc: "A unix socket by which commands such as mailseal reload reach the daemon. Only root " +
		"and the daemon's own user get an answer. Mail does not depend on it: if it cannot be " +
		"opened, the daemon logs a warning, serves mail, and tries again every minute.",
	settings: []setting{
		{name: "address", example: `"/run/mailseal/control"`, form: "path", restart: "the socket is opened once",
			doc: "The path of the socket, at most 107 bytes long. If not set, the file control " +
				"in state_directory."},
	},
}

var reloadSection = section{
	header: "[reload]", path: "reload",
	doc: "Protection against a reload that would leave mail unsigned by mistake, such as with a " +
		"configuration file that was truncated while it was written. The daemon remembers in " +
		"signed.json in state_directory which domains signed mail in the last 7 days, as From " +
		"domain or as d=. It refuses a reload after which nothing would be signed, and one that " +
		"would leave too many of these domains without a rule or without a key; mailseal reload " +
		"names them, and mailseal reload --accept reloads all the same. If ten domains or " +
		"fewer signed mail in these days, a reload is refused if any of them would be lost. If " +
		"there are more, a loss of up to max_loss takes effect, with a warning that names them. " +
		"mailseal check --against-running shows beforehand what would be lost. If a start " +
		"loses domains, an error is logged.",
	settings: []setting{
		{name: "max_loss", def: "0.3", zero: "no domain",
			doc: "The share of these domains, from 0 to 1, that a reload may leave without a " +
				"rule or key. With 1, only a reload that leaves nothing to sign is refused. It has " +
				"no effect while ten domains or fewer signed mail: then none may be lost."},
	},
}
