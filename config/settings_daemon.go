package config

import "mailseal/milter/action"

var daemonSection = section{
	doc: "Settings of the daemon as a whole. They stand before the first [table].",
	settings: []setting{
		{name: "authserv_id", example: `"mx.example.com"`, form: "authserv-id",
			doc: "Our name in Authentication-Results (RFC 8601 section 2.5), a full host name: " +
				"what programs that read mail are told to believe. If it is not set, it is the " +
				"name by which the MTA of the connection calls itself ({j}), if that is a full " +
				"one, else the host's full name, as /etc/hosts has it; if neither is known, the " +
				"host's short name, which can be forged, and an error is logged at start. " +
				"\"HOSTNAME\" is the host's full name in any case. Hosts that work as one may " +
				"share an id. Fields of strangers that claim it are removed, and those that " +
				"claim the MTA's name, the host's full or short name, or one of remove_ids."},
		{name: "mode", def: `["sign", "verify"]`, values: []string{string(ModeSign), string(ModeVerify)},
			doc: "What is done: \"sign\" mail of ours, \"verify\" mail of theirs, or both."},
		{name: "state_directory", restart: "it is opened once", def: `"/var/lib/mailseal"`, form: "path",
			doc: "Where keys that Mailseal makes, and what it must remember, are kept."},
		{name: "user", example: `"mailseal"`, restart: "root's rights are given up once",
			doc: "Where root starts the daemon: the user whom it becomes once its sockets are " +
				"open, with the user's groups. The configuration, keys and tables are read as " +
				"that user. Not needed where systemd starts it as a user (User=)."},
		{name: "require_safe_keys", def: "false",
			doc: "Refuse a key file that users other than its owner, root and our group can read " +
				"or replace. Otherwise that is a warning, with the command that mends it."},
		{name: "on_internal_error", def: `"tempfail"`, values: words(action.Accept, action.Reject, action.Tempfail),
			doc: "What becomes of a message when Mailseal itself fails."},
		{name: "include", example: `["conf.d/*.toml"]`, empty: "no other file",
			doc: "Further files, as patterns of file names, read after this one in the order of " +
				"their names. Their rules and overrides follow those of this file, their keys " +
				"are added; any other setting may stand in one file only. Relative names hang on " +
				"this file's directory. An included file includes no other."},
		{name: "domain", example: `"example.com"`, form: "domain",
			doc: "With selector and key_file, the short way to sign for one domain, or several: " +
				"mail from any address of it is signed with that key. It takes the place of [keys] and [[sign]]."},
		{name: "selector", example: `"mail"`, form: "selector",
			doc: "The selector of key_file."},
		{name: "key_file", example: `"/etc/mailseal/mail.pem"`, form: "path",
			doc: "The private key of domain."},
		{name: "key_table", example: `"file:/etc/opendkim/key.table"`,
			doc: "OpenDKIM's key table, \"file:\" or \"refile:\", read as OpenDKIM reads it at " +
				"start and reload, for those who generate one. It goes with signing_table, and " +
				"takes the place of [keys] and [[sign]]. Relative names, here and in the table, " +
				"hang on the directory of the configuration file."},
		{name: "signing_table", example: `"refile:/etc/opendkim/signing.table"`,
			doc: "OpenDKIM's signing table, \"file:\" or \"refile:\", which look addresses up " +
				"differently. Lines that have no effect in OpenDKIM, or no equal here, are " +
				"warnings of mailseal check."},
		{name: "multiple_signatures", def: "false",
			doc: "All lines of signing_table that fit sign, not only the first that OpenDKIM " +
				"finds (its MultipleSignatures): match = \"all\" in [signing], and on_key_error " +
				"\"tempfail\" unless that is set to \"reject\" or \"accept\"."},
	},
}

var listenSection = section{
	header: "[[listen]]", path: "listen[]", filled: true,
	doc: "A socket on which MTAs reach us; there may be several. Without any it is inet:8891@127.0.0.1.",
	settings: []setting{
		{name: "address", example: `"inet:8891@127.0.0.1"`,
			doc: "inet:port@host, inet6:port@host, unix:/path (or local:/path), or fd:name for a " +
				"socket that systemd hands over, by its FileDescriptorName or by its number: " +
				"fd:3 is the first. Without @host a port is open on all addresses. A chrooted " +
				"Postfix sees unix:/var/spool/postfix/mailseal/mailseal.sock as unix:mailseal/mailseal.sock."},
		{name: "role", def: `"auto"`, restart: "a socket that is open keeps it",
			doc: "Whose mail comes in here: \"ours\" is signed, \"theirs\" is judged, \"relay\" " +
				"is strangers' mail by way of a host that we trust; \"auto\" leaves it to [ours] and [relays]."},
		{name: "mode", def: `"0660"`, form: "mode", restart: "a socket that is open keeps it",
			doc: "The permission bits of a unix socket."},
		{name: "user", example: `"mailseal"`, restart: "a socket that is open keeps it",
			doc: "The owner of a unix socket; ours, if not set."},
		{name: "group", example: `"postfix"`, restart: "a socket that is open keeps it",
			doc: "The group of a unix socket; ours, if not set."},
	},
}

var oursSection = section{
	header: "[ours]", path: "ours",
	doc: "Whose mail is signed: any one of these makes it ours. Mail that is submitted on the " +
		"host itself, without SMTP, always is.",
	settings: []setting{
		{name: "networks", def: `["127.0.0.1", "::1"]`,
			example: `["127.0.0.1", "::1", "192.0.2.0/24"]`, empty: "no client is ours by its address",
			doc: "Clients whose mail is ours: addresses and networks."},
		{name: "hosts", def: "[]", example: `["app.example.com", ".dyn.example.com"]`, form: "client name",
			doc: "Clients by the name that the MTA has verified, forward and backward; what they " +
				"say in HELO does not count. \".example.com\" is any name below it, " +
				"\"!bad.example.com\" is none of ours; the nearest name decides. It keeps out no " +
				"client that is ours for another reason. Addresses are safer: a name is only as good as the DNS."},
		{name: "authenticated", def: "true", doc: "Clients that have authenticated (the macro {auth_type} is set)."},
		{name: "daemon_names", def: "[]", example: `["ORIGINATING"]`,
			doc: "Values of the macro {daemon_name}, upper and lower case as they are: " +
				"DaemonPortOptions in Sendmail, milter_macro_daemon_name in Postfix."},
		{name: "macros", example: `{ "verified_sender" = ["yes"] }`, instead: "write [\"*\"] for any value",
			doc: "Further macros that make mail ours: each with the values that do, or with " +
				"[\"*\"] if any value does."},
		{name: "unmatched", def: `"accept"`,
			doc: "What becomes of mail of ours that no rule signs: \"accept\" lets it go " +
				"unsigned, says so and counts it; \"judge\" treats it as theirs, which suits " +
				"list software on this host."},
		{name: "keep_results", empty: "no client may", def: `["127.0.0.0/8", "::1"]`,
			example: `["127.0.0.0/8", "::1", "192.0.2.25"]`,
			doc: "Of the clients that are ours by networks or hosts, those that may hand on " +
				"Authentication-Results fields with our id, and the others that only we write: a " +
				"content filter or list software on another host, which gives back what went " +
				"through us before. What is submitted on the host itself, without SMTP, may as " +
				"well. From all other clients these fields are removed, for a PC in our network " +
				"can forge them (RFC 8601 section 5); a gateway that writes such fields for " +
				"strangers' mail belongs into [relays]."},
	},
}

var relaysSection = section{
	header: "[relays]", path: "relays",
	doc: "Hosts that pass strangers' mail on to us: a backup MX, a content filter, a gateway. " +
		"SPF cannot be judged behind them; what they wrote into Authentication-Results is kept. " +
		"A client in both is a relay, unless [ours] takes its mail for another reason than networks and hosts.",
	settings: []setting{
		{name: "networks", def: "[]", example: `["192.0.2.25"]`, doc: "Their addresses and networks."},
	},
}

var exemptSection = section{
	header: "[exempt]", path: "exempt",
	doc: "Mail that is neither signed nor judged. Clients by networks and hosts are left alone " +
		"altogether: no field is added or removed, so that their Authentication-Results fields " +
		"with our id stay. A stranger cannot become one of those. By author_domains, which " +
		"anybody can write, no forged field gets through. Exempt clients come before [relays] " +
		"and [ours]; each of their messages has a line in the log.",
	settings: []setting{
		{name: "networks", def: "[]", example: `["192.0.2.99"]`, doc: "Clients, by address or network."},
		{name: "hosts", def: "[]", example: `["monitor.example.com", ".scanner.example"]`, form: "client name",
			doc: "Clients, by the name that the MTA has verified; \".example.com\" is any name " +
				"below it, \"!bad.example.com\" an exception."},
		{name: "author_domains", def: "[]", example: `["internal.example.com"]`, form: "domain tree",
			doc: "Domains of From; \".example.com\" is any domain below it. Anybody can write " +
				"them, so that this exempts strangers too; fields that only we may write are " +
				"removed from their mail as from all other."},
	},
}

var dnsSection = section{
	header: "[dns]", path: "dns",
	doc: "How names are looked up.",
	settings: []setting{
		{name: "servers", def: "[]", example: `["127.0.0.1", "[2001:db8::53]:5353"]`,
			doc: "Name servers, tried in this order; those of /etc/resolv.conf if there are none " +
				"here. A validating resolver on this host is best."},
		{name: "timeout", example: `"2s"`, least: `"1ms"`, most: `"1m"`,
			doc: "How long one server has for one question. If it is not set, as long as " +
				"/etc/resolv.conf says (options timeout:n) where the servers are from there, " +
				"else 5s. A server that did not answer is asked after all others for 30s."},
		{name: "tries", example: "2", least: "1", most: "10",
			doc: "How often the list of servers is gone through; if it is not set, as often as " +
				"/etc/resolv.conf says (options attempts:n), else twice. \"options rotate\" " +
				"there has the servers asked in turn; its other options have no effect."},
		{name: "cache_size", def: "20000", least: "0", most: "10000000",
			zero: "nothing is remembered",
			doc:  "How many answers are remembered, each for as long as its time to live says."},
	},
}

var limitsSection = section{
	header: "[limits]", path: "limits",
	doc: "Bounds on what a peer may ask of us.",
	settings: []setting{
		{name: "header_size", def: `"1MiB"`, least: `"4KiB"`, most: `"1GiB"`,
			doc: "Octets that all header fields of a message may have together. A larger header " +
				"is refused with 552. One field has at most 1MiB, whatever this says: of an MTA " +
				"that sends a longer one, the connection is closed, and it does what it does when a filter fails."},
		{name: "connections", def: "2000", least: "1", most: "1000000",
			doc: "Connections at the same time; more of them wait."},
		{name: "message_deadline", def: `"20s"`, least: `"1s"`, most: `"10m"`,
			doc: "How long judging a message may take, all lookups together. It should stay " +
				"below the time that the MTA waits: 30s in Postfix (milter_command_timeout)."},
		{name: "handshake", def: `"5s"`, least: `"1s"`, doc: "How long a new connection has to say its first word."},
		{name: "packet", def: `"30s"`, least: `"1s"`, doc: "How long a packet may take to arrive once it has begun."},
		{name: "idle", def: `"2h"`, least: `"1s"`, doc: "How long a connection may be silent between packets."},
		{name: "write", def: `"10s"`, least: `"1s"`, doc: "How long the MTA may take to accept an answer."},
		{name: "drain_soft", def: `"10s"`, zero: "none",
			doc: "On stopping: how long connections may go on with further messages. Where no " +
				"socket is systemd's (fd:NAME), a second at most: nothing listens meanwhile, and " +
				"new SMTP sessions are deferred."},
		{name: "drain_hard", def: `"30s"`, zero: "at once",
			doc: "On stopping: after this every connection is closed. It counts from the same moment as drain_soft."},
	},
}

var logSection = section{
	header: "[log]", path: "log",
	doc: "One line for each message, and one for whatever needs attention.",
	settings: []setting{
		{name: "format", def: `"text"`, restart: "the log is opened once",
			values: []string{"text", "json"},
			doc:    "How lines are written. In JSON times are numbers of milliseconds, with names such as took_ms."},
		{name: "level", def: `"info"`, values: []string{"debug", "info", "warn", "error"},
			doc: "What is worth a line; LEVELS OF THE LOG below says what has which level."},
		{name: "syslog", example: `"mail"`, restart: "the log is opened once",
			values: []string{"mail", "daemon", "user", "local0", "local1", "local2", "local3",
				"local4", "local5", "local6", "local7"},
			doc: "Log to syslog under this facility instead of to standard error, which " +
				"systemd's journal reads. While syslog cannot be reached, the log goes to " +
				"standard error; mail goes on."},
	},
}

var metricsSection = section{
	header: "[metrics]", path: "metrics",
	doc: "Metrics in Prometheus' format at /metrics, health at /healthz.",
	settings: []setting{
		{name: "address", example: `"127.0.0.1:9891"`, form: "host and port",
			restart: "the metrics are served once", doc: "Where they are served; nowhere, if not set."},
		{name: "pprof", def: "false", restart: "the metrics are served once",
			doc: "Serve Go's profiles at /debug/pprof/ too."},
	},
}

var controlSection = section{
	header: "[control]", path: "control",
	doc: "A unix socket on which commands such as mailseal reload reach the daemon. Only root " +
		"and the daemon's own user get an answer. Mail does not depend on it: where it cannot be " +
		"opened, the daemon warns, serves mail, and tries again every minute.",
	settings: []setting{
		{name: "address", example: `"/run/mailseal/control"`, form: "path", restart: "the socket is opened once",
			doc: "The path of the socket, at most 107 bytes long; the file control in state_directory, if not set."},
	},
}

var reloadSection = section{
	header: "[reload]", path: "reload",
	doc: "What keeps a reload from taking signatures from mail by mistake, as with a file that " +
		"was cut off while it was written. The daemon remembers which domains signed mail in the " +
		"last 7 days, as From domain or as d=, in signed.json in state_directory. A reload after " +
		"which nothing would be signed any more is refused, and one that would leave too many of " +
		"these domains without a rule or without a key; mailseal reload says which, and with " +
		"--accept lets it through. With ten domains or fewer, a reload is refused if any would " +
		"be lost. A smaller loss takes effect, with a warning that names the domains. mailseal " +
		"check --against-running says beforehand what would be lost. A start with a loss is an error in the log.",
	settings: []setting{
		{name: "max_loss", def: "0.3", zero: "no domain",
			doc: "The share of these domains, from 0 to 1, that a reload may leave without a " +
				"rule or key. 1 lets every loss through but that of all."},
	},
}
