package config

import (
	"reflect"
	"strings"
)

const manualHead = `.TH MAILSEAL.TOML 5 "" "Mailseal" "File formats"
.SH NAME
mailseal.toml \- configuration of the mail signing and judging daemon mailseal(1)
.SH DESCRIPTION
The file is TOML: settings are
.I name
=
.IR value ,
a header in brackets begins a table, a header in double brackets adds a table to a list, and # begins a comment. Every
setting has a default that suits a small host; an empty file is valid, but signs nothing.
.PP
The command
.B mailseal check
reports the mistakes with their lines: first all mistakes in the settings, and when there are none,
those in the files that the settings name. A name that is not in this page is a mistake.
.PP
The daemon reads only regular files: a configuration of at most 64 MiB, and each file within 10 seconds. A pipe or a
device instead of a file is an error, so that it cannot block the daemon. Commands can read a configuration from a pipe,
too.
.PP
Values are written as follows.
.TP
text
In quotes: "mail".
.TP
boolean, number
true, false; 10.
.TP
duration
In quotes, numbers with the units ms, s, m, h, d and w: "5s", "1h30m", "10d".
.TP
size
In quotes, a number with the unit B, KiB, MiB or GiB: "1MiB"; or a number of bytes.
.TP
network
In quotes, an address or a network in CIDR form: "192.0.2.1", "2001:db8::/32". The bits after the prefix must be zero.
.TP
address pattern
In quotes: "user@example.com"; "*@example.com" or "example.com", all users of a domain;
"*@*.example.com" or ".example.com", all users of all domains below it, at any depth; "user@*.example.com"; "user@*";
"*", every address. In the part before @, each * matches any text, even an empty one: "info*@example.com",
"*-bounces@*.example.com". Case is ignored. A narrow pattern does not take precedence over a wide one: in a list of
rules, their order decides.
.TP
path
In quotes. A path that does not begin with / is relative to the directory of the file that contains it.
.TP
list
["one", "two"]; a single value may be written without the brackets.
.PP
In lists of domains, ".example.com" means any domain below example.com if the setting says so.
.SS Empty and zero
A setting that is not in the file has its default. An empty value, such as networks = [] in an override, is a mistake
unless the setting's entry here says what it means: a condition that is true for all mail, or for none, is never
intended. Zero has the meaning that the entry gives, or is refused with the smallest value that is allowed.
.SS What settings need
Where an entry says "Needs", the setting has no effect without the settings named there, and
.B mailseal check
warns of that. It reports an error instead if mail would be treated differently from what the file
says.
.SS Reload
At SIGHUP the whole changed file takes effect or, if it has a mistake, nothing of it: new sockets are opened, and
sockets that are no longer in the file are closed, while open connections continue. Where an entry says that a change
needs a restart, the daemon logs a warning and keeps the old value.
.SS Stopping
At SIGTERM the listening sockets are closed, messages in progress get their verdicts, and connections without a message
are closed after a second, or after drain_soft if systemd holds a socket (fd:NAME) and continues to listen. Neither mail
server calls a filter again within an SMTP session in which the connection to it ended:
.TP
a session that continues after its connection was closed
Postfix with default_action=tempfail and Sendmail with F=T answer 451 to the rest of the session. With
default_action=accept, and with a Sendmail filter without F=, its mail passes unsigned and unjudged;
default_action=quarantine holds it.
.TP
a session that begins while nothing listens
The same, from MAIL on. With a socket of systemd it waits for the new daemon instead.
.TP
a message that is cut off at drain_hard
451 with tempfail and F=T: the sender sends it again.
.SS Whose mail it is
The first of these that applies decides: exempt clients; the role of a socket in [[listen]]; authenticated, daemon_names
and macros of [ours]; [relays]; networks and hosts of [ours]; mail that is submitted on the host itself. All other mail
is from strangers.
`

const manualTail = `.SH "SIGNATURES THAT BREAK"
Some messages are changed after Mailseal has signed them, by the mail server that it serves or by the next one, so that
their signatures no longer verify. What can be prevented is prevented:
.TP
Long lines of a header
Postfix breaks lines of more than 998 bytes, Sendmail those of more than 990. Mailseal folds a field with such a line,
before it signs it, at white space within 990 bytes. This changes nothing for readers, or for signatures with relaxed
header canonicalization
.RB ( refolded=
in the log). If that is not possible, because a single word is longer or another signature covers the field with simple
canonicalization, the field is left out of the signature
.RB ( left_out= ),
and any host on the way may change it or add another one. From and Subject are signed nevertheless, and counted as
.BR long_line .
.PP
What cannot be prevented is counted for each message
.RB ( mailseal_fragile_total ,
by cause), shown in the log line of the message
.RB ( fragile= ),
and causes a warning once an hour for each author's domain
.RB ( signing.fragile_warnings ):
.TP
long_line
A line of the body, or of From or Subject, is longer than the mail server allows. Have the program that writes the mail
encode the text as quoted-printable or base64. For Sendmail, define(\(gaSMTP_MAILER_LL', \(ga2040') raises the limit to
that of its mailer relay; then remove long_line from fragile_warnings.
.TP
rewritten
Sendmail writes addresses in its own form after all filters: "a@example.com,b@example.com" without the space, names
without a domain, names with a dot that are not quoted. Have the program write them as RFC 5322 does, or let a first
Sendmail rewrite and a second one sign. Mailseal cannot see in a message what masquerading, genericstable,
smtp_generic_maps, smtp_header_checks and content filters will change after it signs: let them make their changes before
Mailseal signs.
.TP
eight_bit
The body has 8-bit text, and the header has a MIME field. If the next host does not offer 8BITMIME, Postfix and Sendmail
convert the body, and the signature breaks; there are hardly any such hosts left. disable_mime_output_conversion = yes
(Postfix) and define(\(gaSMTP_MAILER_FLAGS', \(ga8') (Sendmail) prevent the conversion. Then, or if all mail goes to
known hosts, remove eight_bit from fragile_warnings.
.SH EXAMPLES
Sign for one domain, and judge strangers' mail:
.PP
.nf
domain = "example.com"
selector = "mail"
key_file = "/var/lib/mailseal/keys/example.com/mail.pem"
.fi
.PP
Two keys, each of which makes a signature, for a domain and all its subdomains:
.PP
.nf
[keys."mail._domainkey.example.com"]
file = "keys/mail.pem"

[keys."ed._domainkey.example.com"]
file = "keys/ed.pem"

[[sign]]
from = ["example.com", ".example.com"]
keys = ["mail._domainkey.example.com", "ed._domainkey.example.com"]
.fi
.SH LEVELS OF THE LOG
Each message has one line, whose level says how important it is. With log.level = "warn" the log is empty as long as
there is no problem.
.TP
info
The message was signed, or judged, and then passed on, marked, held or refused as the configuration says. Our own mail
went unsigned for a reason that the configuration gives: no rule, an unsigned recipient, a signature that was already
there, a sender that may not use this From, or no author. A self-check was skipped.
.TP
warn
The message was deferred (451), for any reason. Our own mail went unsigned because its From shows several domains or is
malformed (malformed_from), or because no key of its domain has ever been active (first_key). A message should have been
sealed, and was not. A signature may break after it leaves this host.
.TP
error
A rule of policy.rules could not be evaluated. A key could not be used, whether or not others signed. Our own mail was
deferred, refused or sent unsigned (on_key_error) because it could not be signed. The self-check failed: a second
implementation does not verify the signature. A bug in Mailseal.
.PP
Lines about the daemon itself follow the same rule: error is a problem that an operator must correct now, such as a key
that the DNS does not show; warn is a smaller problem, or one that may become an error, such as a configuration with
warnings, a connection that was closed because it violated the protocol, or a limit that was reached; info is a change,
such as a reload or a key that begins to sign; debug helps to find a mistake.
.SH THE LOG LINE OF A MESSAGE
Each message has a line with the text "message". Our own mail, signed; a stranger's message, accepted; one that is marked:
.PP
.EX
    msg=message queue=4XQ000001 role=ours author=example.com results="signed=example.com/rsa/rsa-sha256"
    action=accept took=1.2ms by=network client=127.0.0.1

    msg=message queue=4XQ000002 role=theirs author=example.org results="dmarc=pass spf=pass dkim=pass/example.org"
    action=accept took=1.8ms by=stranger client=198.51.100.7

    msg=message queue=4XQ000003 role=theirs author=example.org results="dmarc=fail spf=fail dkim=none"
    action=mark took=2.1ms by=stranger client=203.0.113.9 policy="dmarc=reject for example.org"
.EE
.PP
These fields are in every line:
.TP
queue
The queue ID of the MTA, as in its own log.
.TP
role
Whose mail it is: ours, theirs (a stranger's), or relay.
.TP
author
The domain in From; empty if there is none or there are several.
.TP
results
The result of each method (RFC 8601), or for our own mail each signature as signed=DOMAIN/SELECTOR/ALGORITHM.
.TP
action
What was done: accept, mark, hold, tempfail (451), reject (550) or discard.
.TP
took
How long Mailseal worked on the message after its header had arrived.
.TP
by
What decided role: listener (the role of the socket), authenticated (the client logged in), daemon (daemon_names), macro
(macros), relay ([relays]), network or host ([ours]), submission (on this host, without SMTP), or stranger (none of
these).
.PP
These fields are added if there is something to say:
.TP
client, user
The client's address, and the name that it logged in with.
.TP
policy
The result that led to the action and the domain that it is about; for DMARC the policy that the domain asks for, or
rule="NAME" for a rule of policy.rules. shortage is in its place if this host was too busy for all lookups.
.TP
override
What changed the decision of the policy: a rule, a [[policy.override]], or a trusted ARC seal.
.TP
reply, reason
The text of a refusal or deferral; the reason given to the MTA with hold.
.TP
dry_run, rules_dry_run
The action that was not taken because of dry_run; the rules with dry_run that would have decided, each with its action.
.TP
unsigned, unsealed
Why our own mail was not signed; why a message was not sealed.
.TP
key_error, error
The key that could not be used; what else failed.
.TP
dns
Why a lookup failed, if a result is temperror.
.TP
from
What is wrong with the From field.
.TP
sender
Why this user may not use this From ([senders]).
.TP
refolded, left_out, fragile
Fields with long lines that were folded, or not signed; why a signature may break; see SIGNATURES THAT BREAK.
.TP
self_check, self_check_error
The result of the second implementation that verified the signatures.
.SH THE AUTHENTICATION-RESULTS FIELD
Mailseal writes one field with all results (RFC 8601) into mail from strangers. For DMARC it looks like this:
.PP
.EX
    dmarc=fail (p=reject dis=quarantine) header.from=example.org policy.dmarc=quarantine
.EE
.PP
In the comment, p, sp, np and t are those of the domain's record. dis and policy.dmarc are what this host did about the
DMARC result (RFC 9989): none, quarantine (a mark or hold) or reject. Here the domain asks to reject the message, and
policy.dmarc.p_reject = "mark" only marks it. The result of each DKIM signature has header.d, header.s, header.a, and
header.b, the first characters of the signature; that of SPF has smtp.mailfrom or smtp.helo.
.SH KEY ROTATION
A key that Mailseal makes goes through these stages. "mailseal keys list" shows them, "mailseal keys rotate" makes every
step that is due, and so does the daemon if rotation.every is set; without it, the timer mailseal-rotate.timer runs
"mailseal keys rotate --every 90d" twice a day. No step is made before the name servers show the record that it needs.
.TP
generated
Does not sign. Publish its record. When all name servers show it, the key becomes published.
.TP
published
Does not sign. When the record has been visible for rotation.publish, the key becomes active; the first key of a domain
does so at once.
.TP
active
Signs. When its successor becomes active, the key becomes retiring.
.TP
retiring
Does not sign; leave its record in place, for mail that is on its way. After rotation.overlap, publish the record with an
empty p= that is printed; when all name servers show it, the key becomes revoked.
.TP
revoked
Does not sign. Delete its record. When no name server shows it, the key becomes removed, and its private key is deleted.
.PP
With rotation.every = "90d" and publish = "2d", new keys are made 88 days after the present ones became active, so that
there are two days to publish them.
.SH WHEN A SOURCE OF KEYS IS UNAVAILABLE
The answers of a source are cached, and while the source is unavailable, cached keys sign for ttl and stale. Mail
without a cached key is deferred; no mail goes out unsigned for that reason, and none is lost.
.PP
Private keys of sources are never written to disk. A daemon that starts while its source is unavailable therefore has no
key, and defers all mail that depends on the source until the source answers. To avoid that:
.IP \(bu 2
Use two mail hosts, each with its own daemon. The one that keeps running signs with cached keys; the mail that the other
one defers stays in the queue of its MTA or goes to the first host by MX or load balancer. Restart one after the other,
and the second only when the first one signs.
.IP \(bu 2
Use a database with several servers. For postgres, name all of them in dsn (host=a,b); a server that fails then costs
one connection attempt. For mysql, use an address that moves with the primary server.
.IP \(bu 2
Use a replica of the database on the mail host itself, through a unix socket.
.IP \(bu 2
Do not restart a daemon that signs with cached keys: a reload keeps the cache.
.SH REPORTS OF SEVERAL HOSTS
Hosts that receive mail for the same domains can share a database and send one report a day together. On one server with
PostgreSQL 14 or later, create the database and its user:
.PP
.nf
  createuser --pwprompt mailseal_reports
  createdb --owner mailseal_reports mailseal_reports
.fi
.PP
On each host, write the same settings, and enable the unit mailseal-reports.service, which creates the tables:
.PP
.nf
  [reports]
  collect = true
  send = true
  from = "dmarc@reports.example.com"
  store = "postgres://mailseal_reports@db.example.com/mailseal_reports?sslmode=verify-full"
.fi
.PP
Write the password into the file .pgpass in the home directory of the user mailseal-reports, or into store. The hosts must
have different names (hostname). Each needs a mail server that accepts reports (smtp), since each of them may become the
host that sends. store must name the database server itself, or a pooler that keeps sessions (PgBouncer: pool_mode =
session), since the host that leads holds a lock in its session.
.PP
Each host adds the rows of its own mail to the database every 15 minutes, and changes no row of another host. After
midnight (UTC) the hosts merge the rows of the day, and the partition of the day is dropped. The database stays below 1 GB
with ten million messages a day.
.PP
One of the hosts leads: it builds the reports and hands them to its mail server. If it stops, fails or loses its
connection, another host leads within half a minute. The database refuses changes by a host that no longer leads, so no
report is sent twice. "mailseal reports hosts" lists the hosts, when each was seen last, what waits in its spool, and
which one leads; "mailseal status" shows the same for one host. The hosts also share suppressed addresses, the domains
that your users write to, classes of sources that you have set, received reports, and the messages to test.address.
.PP
While the database is unavailable, mail is not affected, and rows wait in the spool of each host, up to spool_size and
spool_days. "mailseal status", the pages, and the daemon's metrics mailseal_report_spool_waiting_bytes and
mailseal_report_spool_oldest_seconds show how much waits and since when. When the database is back, the rows are stored,
and none is counted twice.
.PP
At night, reports wait until the rows of all hosts are in the database, at the latest until 03:00 UTC. The rows of a host
that is later than that are sent in a separate report. After a host is removed for good, reports wait for it for one more
night.
.SH FILES
.TP
.I /etc/mailseal/mailseal.toml
The configuration, unless the command line names another file.
.SH SEE ALSO
.BR mailseal (1)
`

// Manual returns the manual page mailseal.toml(5), for man(7) macros.
func Manual() string {
	var b strings.Builder
	b.WriteString(manualHead)
	for _, sec := range sections {
		title := sec.header
		if title == "" {
			title = "TOP OF THE FILE"
		}
		b.WriteString(".SH \"" + roff(strings.ReplaceAll(title, `"`, `\(dq`)) + "\"\n" +
			roff(sec.doc) + "\n")
		for _, needed := range sectionNeeds(sec) {
			b.WriteString(".PP\n" + roff("All of it needs "+needed+".") + "\n")
		}
		for _, s := range sec.settings {
			manualSetting(&b, sec, s)
		}
	}
	b.WriteString(manualExpressions())
	b.WriteString(manualTail)
	return b.String()
}

func manualSetting(b *strings.Builder, sec section, s setting) {
	line := func(text string) { b.WriteString(".br\n" + roff(text) + "\n") }
	t := typeAt(dotted(sec.path, s.name))
	kind := typeName(t, &s)
	b.WriteString(".TP\n\\fB" + roff(s.name) + "\\fR (" + roff(kind) + ")\n" + roff(s.doc) + "\n")
	if values := s.choices(t); values != nil {
		line("One of " + strings.Replace(quotedList(values), " and ", " or ", 1) + ".")
	}
	short, long := s.remarks(sec)
	for _, remark := range append(short, long...) {
		line(remark)
	}
	if s.least != "" {
		line("At least: " + s.least)
	}
	if s.most != "" {
		line("At most: " + s.most)
	}
	if s.def != "" {
		line("Default: " + s.def)
	}
	if s.example != "" {
		line("Example: " + s.example)
	}
}

// roff keeps text from being taken for requests and escapes.
func roff(text string) string {
	text = strings.NewReplacer(`\(dq`, `\(dq`, `\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

// typeAt returns the type that holds a setting, by its path in the tables of settings.
func typeAt(path string) reflect.Type {
	t := reflect.TypeFor[Config]()
	for name := range strings.SplitSeq(strings.ReplaceAll(path, ".NAME", ""), ".") {
		f := fieldsOf(t)[strings.TrimSuffix(name, "[]")]
		t = f.kind
		for t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Struct ||
			t.Kind() == reflect.Slice && strings.HasSuffix(name, "[]") {
			t = t.Elem()
			name = strings.TrimSuffix(name, "[]")
		}
	}
	return t
}
