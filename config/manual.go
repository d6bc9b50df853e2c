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
a header in brackets begins a table, one in double brackets one more of a list of tables, and # begins a comment.
Every setting has a default that suits a small host; an empty file is a good one, though it signs nothing.
.PP
The command
.B mailseal check
names every mistake at once, each with its line. A name that is not in this page is one.
.PP
The daemon reads regular files only, of at most 64 MiB for the configuration and within 10 seconds each, so that a pipe or a
device at the path of a file is a mistake and keeps nothing waiting. Commands read a configuration from a pipe, too.
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
In quotes, a number with the unit B, KiB, MiB or GiB: "1MiB"; or a number of octets.
.TP
network
In quotes, an address or a network in CIDR form: "192.0.2.1", "2001:db8::/32". The bits behind the network must be zero.
.TP
address pattern
In quotes: "user@example.com"; "*@example.com" or "example.com", all users of a domain; "*@*.example.com" or
".example.com", all users of all domains below it, at any depth; "user@*.example.com"; "user@*"; "*", everybody. In the
user each * is any text, none too: "info*@example.com", "*-bounces@*.example.com". Case does not count. A narrow pattern
has no precedence over a wide one: where rules are listed, their order decides.
.TP
path
In quotes; what does not begin with / hangs on the directory of the file that it stands in.
.TP
list
["one", "two"]; a single value may stand without the brackets.
.PP
In lists of domains, ".example.com" means any domain below example.com, where the setting says so.
.SS Empty and zero
A setting that is not in the file has its default. One that is there and empty, such as networks = [] in an override, is
a mistake unless its entry here says what that means: a condition that holds for all mail, or for none, is never meant.
Zero means zero, as the entry says, or is refused with the smallest value that is allowed.
.SS What settings need
Where an entry says "Needs", the setting has no effect without what is named there, and
.B mailseal check
warns of it. A few are errors, where mail would be treated otherwise than the file says.
.SS Reload
SIGHUP puts all of a changed file in force, or nothing where it has a mistake: new sockets are opened, and those that are
no longer in the file closed, while connections go on. Where an entry says that a change needs a restart, the daemon
warns of it and keeps the old value.
.SS Stopping
At SIGTERM the listening sockets are closed, messages under way get their verdicts, and connections without a message are
closed after a second, or after drain_soft where systemd holds a socket (fd:NAME) and goes on listening. Neither mail
server calls a filter again within an SMTP session in which its connection ended:
.TP
a session that goes on after its connection was closed
Postfix with default_action=tempfail and Sendmail with F=T answer 451 to the rest of it. With default_action=accept, and
with Sendmail's filter without F=, its mail passes unsigned and unjudged; default_action=quarantine holds it.
.TP
a session that begins while nothing listens
The same, from MAIL on. With a socket of systemd's it waits for the new daemon instead.
.TP
a message that is cut off at drain_hard
451 with tempfail and F=T: the sender brings it again.
.SS Whose mail it is
The first of these that fits decides: exempt clients; the role of a socket in [[listen]]; what [ours] says of
authenticated clients, daemon_names and macros; [relays]; networks and hosts of [ours]; mail that is submitted on the host
itself. All other mail is theirs.
`

const manualTail = `.SH "SIGNATURES THAT BREAK"
Some messages are changed behind Mailseal, by the mail server that it serves or by the next, so that their signatures no
longer verify. What can be mended is mended:
.TP
Long lines of a header
Postfix breaks lines of more than 998 bytes, Sendmail those of more than 990. A field that is to be signed and has such a
line is folded anew at white space that it has, below 990 bytes, which changes nothing for readers and for signatures with
relaxed header canonicalization
.RB ( refolded=
in the log). Where that is not possible, because a word alone is longer or another signature covers the field with simple
canonicalization, the field is left out of the signature
.RB ( left_out= ),
and anybody may change it or add another. From and Subject are signed all the same, and counted as
.BR long_line .
.PP
What cannot be mended is counted for each message
.RB ( mailseal_fragile_total ,
by cause), stands in the line of the message
.RB ( fragile= ),
and is warned of once for an author's domain and hour
.RB ( signing.fragile_warnings ):
.TP
long_line
A line of the body, or of From or Subject, is longer than the mail server lets it be. Have the program that writes the mail
encode the text as quoted-printable or base64. For Sendmail, define(\(gaSMTP_MAILER_LL', \(ga2040') raises its limit, as its
mailer relay has it by itself; then leave long_line out of fragile_warnings.
.TP
rewritten
Sendmail writes addresses in its own form behind every filter: "a@example.com,b@example.com" without the space, names
without a domain, names with a dot that are not quoted. Have the program write them as RFC 5322 does, or let a first
Sendmail rewrite and a second one sign. What masquerading, genericstable, smtp_generic_maps, smtp_header_checks and content
filters change after signing cannot be seen in a message: let them do it before Mailseal signs.
.TP
eight_bit
The body has 8-bit text and a field of MIME. Where the next host does not offer 8BITMIME, Postfix and Sendmail convert it,
and the signature breaks; hardly any such host is left. disable_mime_output_conversion = yes (Postfix) and
define(\(gaSMTP_MAILER_FLAGS', \(ga8') (Sendmail) have it sent as it is. Then, or where all mail goes to hosts that are known, leave eight_bit out of
fragile_warnings.
.SH EXAMPLES
Sign for one domain, judge what comes in from others:
.PP
.nf
domain = "example.com"
selector = "mail"
key_file = "/var/lib/mailseal/keys/example.com/mail.pem"
.fi
.PP
Two keys, of which each makes a signature, for a domain and all below it:
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
Each message has one line, whose level says how much it matters. With log.level = "warn" there is nothing to read while
all is well.
.TP
info
The message was signed, or judged, and passed on, marked, held or refused as the configuration wants it. Mail of ours went
unsigned for a reason that the configuration gives: no rule, an unsigned recipient, signed already, a sender that may not
use the From, or no author. A self-check that was left out.
.TP
warn
The message was deferred (451), for whatever reason. Mail of ours went unsigned since its From shows several domains or
is malformed (malformed_from), or since no key of its domain has ever been active (first_key). A message was to be sealed,
and was not. A signature may break on the way behind us.
.TP
error
A rule of policy.rules could not be evaluated. A key could not be used, whether or not others signed. Mail of ours was deferred, refused or let go (on_key_error) since it
could not be signed. The self-check failed: another implementation does not verify the signature. A bug of ours.
.PP
Lines about the daemon itself follow the same rule: error is what an operator has to mend now, such as a key that the DNS
does not show; warn is what may become an error, or is not as it should be, such as a configuration with warnings, a
connection that was closed since it broke the protocol, or limits that were reached; info is a change, such as a reload or
a key that begins to sign; debug is what is only for looking for a mistake.
.SH WHEN A SOURCE OF KEYS IS AWAY
What a source has answered is remembered, and signs for ttl and stale while the source is away. Mail for which memory has
no key is deferred; no mail goes out unsigned for that reason, and none is lost.
.PP
Private keys of sources are never written to disk. A daemon that starts while its source is away therefore has nothing to
sign with, and defers all mail that the source decides until the source answers. What helps:
.IP \(bu 2
Two mail hosts, each with a daemon of its own. The one that runs signs from memory; the mail that the other one defers
stays in the queue of its MTA or goes to the other host by MX or load balancer. Restart one after the other, and the second
only when the first one signs.
.IP \(bu 2
A database of several servers. For postgres, name all of them in dsn (host=a,b), and a server that fails costs a
connection attempt. For mysql, use an address that moves with the primary server.
.IP \(bu 2
A replica of the database on the mail host itself, read through a unix socket.
.IP \(bu 2
Do not restart a daemon that signs from memory: a reload keeps what it remembers.
.SH FILES
.TP
.I /etc/mailseal/mailseal.toml
The configuration, if the command line does not name another.
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
		b.WriteString(".SH \"" + roff(strings.ReplaceAll(title, `"`, `\(dq`)) + "\"\n" + roff(sec.doc) + "\n")
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
