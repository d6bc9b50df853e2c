package mta

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Code names a kind of finding. Codes are stable: programs and tests may compare them, while the
// wording of texts and the order of what they name may change.
type Code string

// kind is what all findings of one code have in common. A text without a severity is a part of
// others.
type kind struct {
	severity Severity
	text     string // for fmt, with what the finding names
}

// kinds has the severity and the text of every code.
var kinds = map[Code]kind{
	// Of both mail servers.
	"unreadable": {Unknown, "%s, so it was not checked; run the check as a user who may read it"},
	"not-named": {Warning, "Mailseal is not in this list: %s sends, receives and relays all " +
		"mail without it"},
	"socket-unit-absent": {Unknown, "could not find out whether %s is Mailseal's: no socket unit " +
		"on this host has the FileDescriptorName %s of %s"},
	"access-unknown": {Unknown, "could not find out whether %s may connect to %s: %s"},
	"blocked":        {Error, "%s: %s"},
	"socket-absent": {Warning, "the socket %s of %s does not exist while Mailseal is not " +
		"running: then %s"},
	"signs-too": {Warning, "%s, which signs as well: our own mail gets the signatures of both"},
	"judges-first": {Warning, "%s and comes before Mailseal, which removes its " +
		"Authentication-Results fields as forged; put Mailseal first"},
	"judges-too": {Note, "%s, which judges as well: strangers' mail gets the results of both"},
	"changes-after": {Warning, "%s and comes after Mailseal: its changes break the signatures of " +
		"outgoing mail; put it before Mailseal where users submit mail"},

	// Of Postfix.
	"postfix-address-bad":  {Error, "%s %s: %s"},
	"postfix-family-off":   {Error, "%s is %s, which Postfix may not use (inet_protocols = %s): %s"},
	"postfix-no-listener":  {Error, "nothing listens at %s; %s is %s: %s"},
	"postfix-path-unknown": {Error, "%s %s, where Mailseal does not listen: %s"},
	"postfix-path-differs": {Error, "%s %s, but %s is %s: %s"},
	"postfix-path-outside": {Error, "%s %s, but %s is %s: %s; files outside %s do not exist there"},
	"postfix-role-ours": {Warning, "%s treats all mail as ours: Mailseal signs mail that " +
		"strangers who connect to %s forge in our name"},
	"postfix-role-theirs": {Warning, "%s treats no mail as ours: %s goes unsigned"},
	"postfix-networks": {Note, "Postfix relays for %s, which is not in ours.networks: mail from " +
		"there without a login goes unsigned"},
	"postfix-twice": {Warning, "Mailseal is in this list twice: mail is signed and judged twice"},
	"postfix-rival": {Warning, "%s uses the same socket as %s: whichever starts first gets the " +
		"mail"},
	"postfix-no-milters": {Warning, "no_milters: Postfix calls no milter at all, and sends, " +
		"receives and relays mail without Mailseal"},
	"postfix-way-no-milters": {Warning, "no_milters: %s"},
	"postfix-way-without":    {Warning, "Mailseal is not among these milters: %s"},
	"postfix-bounces":        {Note, "bounces, which Postfix writes itself, go unsigned"},
	"postfix-handed-back": {Warning,
		"a content filter returns mail here, and Mailseal signs or judges it a second time"},
	"postfix-laundered": {Error, "strangers' mail to %s goes through %s and returns at " +
		"%s, where Mailseal treats it as ours and signs it; contrib/README.md (Content filters) " +
		"shows setups that avoid this"},
	"postfix-proxy-unseen": {Warning, "Postfix shows milters no message before a before-queue " +
		"filter (%s), and not the real client where the filter returns the mail: it passes %s. A " +
		"filter after the queue (content_filter) avoids both, but cannot refuse mail while the " +
		"client waits: let it mark mail or keep it in quarantine"},
	"postfix-way-emptied":        {Note, "is set to empty for this service: %s"},
	"postfix-submission-emptied": {Error, "is set to empty for this service: %s"},
	"postfix-local-returned": {Note, "a content filter returns strangers' mail with sendmail(1), " +
		"as local programs submit theirs (cron, web forms): Mailseal cannot tell the two apart, " +
		"and must leave both unsigned"},
	"postfix-ours-wider": {Error, "ours.networks has %s, for which Postfix does not relay " +
		"(mynetworks): mail that strangers there forge in our name is signed"},
	"postfix-no-daemon-name": {Warning,
		"no service has the name %s, so this entry of ours.daemon_names has no effect"},
	"postfix-will-be-refused": {Error, "user %s will not be allowed to connect to %s (mode %s, group %s): %s"},
	"postfix-away-accept": {Warning, "%s: while Mailseal is down, or after it was restarted " +
		"during a session, mail passes %s; with tempfail it waits"},
	"postfix-away-reject": {Warning,
		"%s: while Mailseal is down, mail is refused permanently; with tempfail it waits"},
	"postfix-away-quarantine": {Warning, "%s: while Mailseal is down, mail goes to the hold " +
		"queue until an operator releases it, %s; with tempfail it waits"},
	"postfix-protocol-old": {Warning, "%s: with a protocol below 6, Postfix does not pass on the " +
		"spaces at the start of header fields: signatures with simple header canonicalization " +
		"fail, both ours and those of others"},
	"postfix-timeout-short": {Warning, "%s: Mailseal reports every 4 s that it is still working. " +
		"With less than %s Postfix gives up on mail that waits for the DNS"},
	"postfix-rewrites-after": {Warning, "%s changes mail on delivery, after Mailseal has signed " +
		"it, so the signatures of changed mail do not verify; canonical_maps and header_checks " +
		"change mail before it is signed"},
	"postfix-no-8bitmime": {Warning, "Postfix ignores that the next host accepts 8-bit mail, and " +
		"converts such mail after Mailseal has signed it: its signatures do not verify"},
	"postfix-no-8bitmime-at": {Warning, "Postfix ignores that %s accepts 8-bit mail, and " +
		"converts such mail after Mailseal has signed it: its signatures do not verify there"},
	"postfix-milter-map": {Warning,
		"clients that match %s get other milters, without Mailseal: their mail passes %s"},
	"postfix-milter-map-unread": {Unknown, "%s selects milters by client, and cannot be read " +
		"here: mail of some clients may bypass Mailseal"},
	"postfix-networks-unread": {Unknown, "%s cannot be read here: ours.networks may lack clients " +
		"for which Postfix relays"},
	"postfix-networks-style": {Note, "mynetworks is not set: Postfix relays for all hosts of the " +
		"networks that this host has an address in (mynetworks_style = %s). Mail from there " +
		"without a login goes unsigned unless ours.networks has the client"},
	"postfix-bounces-no-rule": {Note,
		"bounces, which Postfix writes itself, come from %s: no rule signs mail of that author"},
	"sendmail-typographic": {Error, "has typographic quotes (%s), such as word processors and " +
		"web pages use: m4 takes them as plain text, so the line has no effect"},
	"postfix-no-hosts-file": {Warning, "chrooted services do not find %s, which has the address " +
		"of %s"},
	"sendmail-filter-differs": {Warning, "sendmail.cf does not have this filter in this form, " +
		"and Sendmail reads only sendmail.cf"},
	"sendmail-mc-younger": {Note, "is newer than sendmail.cf, which is the file that Sendmail " +
		"reads"},
	"sendmail-local-not-ours": {Warning, "mail of local programs arrives by SMTP from 127.0.0.1, " +
		"which is not in ours.networks: it goes unsigned"},
	"sendmail-address-bad": {Error, "\"%s\" is not an address such as inet:8891@127.0.0.1 " +
		"or unix:/run/mailseal/mailseal.sock: Sendmail does not start"},
	"sendmail-no-listener": {Error, "Mailseal does not listen at %s: %s"},
	"sendmail-away-reject": {Warning, "F=R: while Mailseal is down, mail is refused permanently; " +
		"with F=T it waits"},
	"sendmail-away-accept": {Warning, "no F=: while Mailseal is down, or after it was restarted " +
		"during a session, mail passes %s; with F=T it waits"},
	"sendmail-timeout-answer": {Warning, "T= allows %s for an answer (R), but Mailseal reports " +
		"only every 4 s that it is still working: %s if judging takes longer"},
	"sendmail-timeout-message": {Warning, "T= allows %s for a whole message (E), but judging it " +
		"may take %s (limits.message_deadline): then %s"},
	"sendmail-no-submit": {Warning, "does not exist: sendmail(1) then reads sendmail.cf, so mail " +
		"of local programs either bypasses all filters, unsigned, or is refused"},
	"sendmail-submit-filters": {Note,
		"is not used: mail of submit.cf is filtered by the Sendmail daemon that receives it"},
	"sendmail-undefined": {Error, "names %s, which no X line defines: Sendmail does not start"},
	"sendmail-unlisted":  {Warning, "is defined, but no list of filters names it: mail passes %s"},
	"sendmail-port-without": {Warning,
		"Mailseal is not among the filters of this port: mail that arrives there passes %s"},
	"sendmail-masquerade": {Warning, "%s changes the author's address when mail is delivered, " +
		"after Mailseal has signed it: such mail leaves with a broken signature; let users write " +
		"the final address, or sign on the host from which mail leaves the site"},
	"sendmail-twice": {Warning, "is a second entry for Mailseal: mail is signed and judged twice"},
	"sendmail-no-daemon-name": {Warning, "no port has the name %s, so this entry of " +
		"ours.daemon_names has no effect"},
	"sendmail-socket-unsafe": {Error, "Sendmail does not use a socket below a directory that " +
		"its group or others may write to, and the mode of %s is %s: %s"},

	// Parts of others: what happens to mail that bypasses Mailseal.
	"unsigned":              {text: "unsigned"},
	"unjudged":              {text: "unjudged"},
	"unsigned-and-unjudged": {text: "unsigned and unjudged"},
	"mail-passes":           {text: "mail passes %s"},
	"smtpd-ends":            {text: "smtpd exits at once, and no client gets an answer"},
	"cleanup-ends":          {text: "cleanup exits at once, and mail stays in the queue"},
	"postfix-550":           {text: "Postfix refuses mail with 550"},
	"postfix-hold":          {text: "mail goes into the hold queue"},
	"postfix-421":           {text: "Postfix hangs up with 421"},
	"postfix-451":           {text: "Postfix answers mail with 451"},
	"sendmail-451":          {text: "Sendmail answers mail with 451"},
	"sendmail-421":          {text: "Sendmail hangs up with 421"},
	"sendmail-554":          {text: "Sendmail refuses mail with 554"},
	"local-unsigned":        {text: "mail of local programs (sendmail(1), cron, web forms) goes unsigned"},
	"users-unsigned":        {text: "mail that users submit at %s goes unsigned"},
	"incoming-passes":       {text: "mail that arrives at %s passes %s"},
	"local-mail":            {text: "mail of local programs"},
	"users-mail":            {text: "mail that users submit at %s"},

	// Who or what it is about.
	"user":           {text: "user %s"},
	"is-other":       {text: "is %s"},
	"has-port-of":    {text: "has the port of %s"},
	"named":          {text: "%s %s"},
	"chrooted":       {text: "chrooted services look for"},
	"not-chrooted":   {text: "services that are not chrooted look for"},
	"not-an-address": {text: "is not an address such as inet:127.0.0.1:8891 or unix:mailseal/mailseal.sock"},
	"milter-style":   {text: "is an address in the milter library's form; Postfix needs %s"},

	// What keeps a process from a socket.
	"no-directory": {text: "%s is not a directory"},
	"no-socket":    {text: "%s is not a socket"},
	"no-search":    {text: "user %s may not pass %s (its mode is %s and its group %s)"},
	"no-write":     {text: "user %s may not connect to %s (its mode is %s and its group %s)"},
	"unseen":       {text: "%s: %s"},
}

// Codes returns the codes that findings may have, sorted.
func Codes() []Code {
	var out []Code
	for c, k := range kinds {
		if k.severity != "" {
			out = append(out, c)
		}
	}
	slices.Sort(out)
	return out
}

// said is a code with its arguments: texts, or other values of type said. It is turned into
// a sentence in one place.
type said struct {
	code Code
	args []any // string, fmt.Stringer or said
}

func say(c Code, args ...any) said { return said{c, args} }

// text is the sentence.
func (s said) text() string {
	args := make([]any, len(s.args))
	for i, a := range s.args {
		if part, ok := a.(said); ok {
			a = part.text()
		}
		args[i] = a
	}
	return fmt.Sprintf(kinds[s.code].text, args...)
}

// key is the code with what it names, "socket-absent(/run/s, listen[0], mail-passes(unsigned))":
// all that the finding says, whatever the wording.
func (s said) key() string {
	if len(s.args) == 0 {
		return string(s.code)
	}
	args := make([]string, len(s.args))
	for i, a := range s.args {
		if part, ok := a.(said); ok {
			args[i] = part.key()
		} else {
			args[i] = fmt.Sprint(a)
		}
	}
	return string(s.code) + "(" + strings.Join(args, ", ") + ")"
}

// zero reports whether s is the zero value.
func (s said) zero() bool { return s.code == "" }

// finding is one at a place of a file, with what may correct it.
func (s said) finding(file string, line int, setting string, fixes ...Fix) Finding {
	return Finding{
		Code:     s.code,
		Severity: kinds[s.code].severity,
		File:     file,
		Line:     line,
		Setting:  setting,
		Text:     s.text(),
		fixes:    fixes,
		key:      s.key(),
	}
}

// CodeText is a code of findings with its severity and its sentence, in which "..." stands for what
// a finding names.
type CodeText struct {
	Code     Code
	Severity Severity
	Text     string
}

// CodeTexts are all codes of findings, sorted.
func CodeTexts() []CodeText {
	var out []CodeText
	for _, code := range slices.Sorted(maps.Keys(kinds)) {
		if k := kinds[code]; k.severity != "" {
			out = append(out, CodeText{code, k.severity, WithoutVerbs(k.text)})
		}
	}
	return out
}

// verbs are the places of a text for fmt.
var verbs = regexp.MustCompile(`%(\[\d+\])?[a-z]`)

// WithoutVerbs puts "..." for what a text for fmt names.
func WithoutVerbs(text string) string {
	return strings.ReplaceAll(verbs.ReplaceAllString(text, "..."), "%%", "%")
}
