package mta

import (
	"fmt"
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
	"unreadable": {Unknown, "%s, so what it says is not judged; run the check as a user who may read it"},
	"not-named":  {Warning, "Mailseal is not in this list: %s sends, receives and relays mail without it"},
	"socket-unit-absent": {Unknown, "whether %s is Mailseal's: no socket unit on this host has " +
		"the FileDescriptorName %s of %s"},
	"access-unknown": {Unknown, "whether %s may connect to %s: %s"},
	"blocked":        {Error, "%s: %s"},
	"socket-absent":  {Warning, "there is no %s, which %s makes: while Mailseal is not running, %s"},
	"signs-too":      {Warning, "%s, which signs as well: mail of ours gets the signatures of both"},
	"judges-first": {Warning, "%s and comes before Mailseal, which takes its " +
		"Authentication-Results for forged ones and removes them; name Mailseal first"},
	"judges-too": {Note, "%s, which judges as well: mail of strangers gets the verdicts of both"},
	"changes-after": {Warning, "%s and comes after Mailseal: what it changes breaks the " +
		"signatures of mail that leaves; where users send, name it first"},

	// Of Postfix.
	"postfix-address-bad":  {Error, "%s %s: %s"},
	"postfix-family-off":   {Error, "%s is %s, which Postfix may not use (inet_protocols = %s): %s"},
	"postfix-no-listener":  {Error, "nothing listens at %s; %s is %s: %s"},
	"postfix-path-unknown": {Error, "%s %s, where Mailseal does not listen: %s"},
	"postfix-path-differs": {Error, "%s %s, but %s is %s: %s"},
	"postfix-path-outside": {Error, "%s %s, but %s is %s: %s; nothing outside %s can be seen from there"},
	"postfix-role-ours": {Warning, "%s takes all that comes in for ours: strangers who " +
		"come in at %s get our signature on what they write in our name"},
	"postfix-role-theirs": {Warning, "%s takes nothing that comes in for ours: %s goes unsigned"},
	"postfix-networks": {Note, "Postfix relays for %s, which ours.networks does not " +
		"have: what comes from there without a login goes unsigned"},
	"postfix-twice": {Warning, "Mailseal is in this list twice: mail is signed and judged twice"},
	"postfix-rival": {Warning, "%s has the socket of %s: the one that starts first gets the mail"},
	"postfix-no-milters": {Warning, "no_milters: Postfix asks no milter at all, and " +
		"sends, takes in and passes on mail without Mailseal"},
	"postfix-way-no-milters": {Warning, "no_milters: %s"},
	"postfix-way-without":    {Warning, "Mailseal is not among them: %s"},
	"postfix-bounces":        {Note, "bounces, which Postfix writes itself, go unsigned"},
	"postfix-handed-back": {Warning,
		"a content filter hands mail back here, and Mailseal signs or judges it a second time"},
	"postfix-laundered": {Error, "mail that strangers send to %s passes %s and comes " +
		"back by %s, where Mailseal takes it for ours and signs it; contrib/README.md (Content " +
		"filters) shows the arrangements that are right"},
	"postfix-proxy-unseen": {Warning, "Postfix shows milters no message where a " +
		"before-queue filter (%s) is, nor the client where the mail comes back: it passes %s; a " +
		"filter behind the queue (content_filter) has neither fault, but it cannot refuse mail " +
		"while the client waits: have it mark mail or keep it in quarantine"},
	"postfix-way-emptied": {Note, "is empty by its own setting: %s"},
	"postfix-local-returned": {Note, "a content filter hands strangers' mail back by " +
		"sendmail(1), as local programs hand in theirs (cron, web forms): Mailseal cannot tell " +
		"one from the other, and must leave both unsigned"},
	"postfix-ours-wider": {Error, "ours.networks has %s, for which Postfix does not relay " +
		"(mynetworks): what strangers there write in our name is signed"},
	"postfix-no-daemon-name": {Warning,
		"no service is called %s, so that ours.daemon_names makes no mail ours by it"},
	"postfix-will-be-refused": {Error, "user %s will not be allowed to connect to %s (mode %s, group %s): %s"},
	"postfix-away-accept": {Warning, "%s: while Mailseal is away, or has been restarted " +
		"during a session, mail passes %s; tempfail makes it wait"},
	"postfix-away-reject": {Warning,
		"%s: while Mailseal is away, mail is refused for good; tempfail makes it wait"},
	"postfix-away-quarantine": {Warning, "%s: while Mailseal is away, mail stays in the hold " +
		"queue until an operator releases it, %s; tempfail makes it wait"},
	"postfix-protocol-old": {Warning, "%s: before protocol 6 Postfix does not show the " +
		"blanks that header fields begin with: signatures with a simple header fail, ours and those that are judged"},
	"postfix-timeout-short": {Warning, "%s: Mailseal says every 4 s that it is still at " +
		"work, so with less than %s mail is given up that waits for the DNS"},
	"postfix-rewrites-after": {Warning, "%s changes mail when it leaves, after Mailseal has " +
		"signed it: signatures of what it changes do not verify; canonical_maps and " +
		"header_checks change mail before it is signed"},
	"postfix-no-8bitmime": {Warning, "Postfix does not see that the next host takes 8-bit " +
		"mail, and encodes such mail anew after Mailseal has signed it: its signatures do not verify"},
	"postfix-no-8bitmime-at": {Warning, "Postfix does not see that %s takes 8-bit mail, and " +
		"encodes such mail anew after Mailseal has signed it: its signatures do not verify there"},
	"postfix-milter-map": {Warning,
		"clients that match %s get other filters, without Mailseal: their mail passes %s"},
	"postfix-milter-map-unread": {Unknown, "%s decides by client which filters there are, and " +
		"cannot be read here: whether mail of some passes Mailseal by is not known"},
	"postfix-networks-unread": {Unknown, "%s cannot be read here: whether ours.networks has " +
		"all clients for which Postfix relays is not known"},
	"postfix-networks-style": {Note, "mynetworks is not set: Postfix relays for all hosts of " +
		"the networks that this host has an address in (mynetworks_style = %s). What comes from " +
		"there without a login goes unsigned where ours.networks does not have it"},
	"postfix-bounces-no-rule": {Note,
		"bounces, which Postfix writes itself, come from %s: no rule signs mail of that author"},
	"sendmail-typographic": {Error, "has typographic quotes (%s), as word processors and " +
		"web pages have them: m4 takes them for text, so that the line does not do what it says"},
	"postfix-no-hosts-file": {Warning, "chrooted services find no %s, which says what %s is"},
	"sendmail-filter-differs": {Warning, "sendmail.cf does not have this filter as it is here, " +
		"and it is sendmail.cf that Sendmail reads"},
	"sendmail-mc-younger": {Note, "is younger than sendmail.cf, which is what Sendmail reads"},
	"sendmail-local-not-ours": {Warning, "mail of local programs comes in by SMTP from " +
		"127.0.0.1, which is not in ours.networks: it goes unsigned"},
	"sendmail-address-bad": {Error, "\"%s\" is not an address such as inet:8891@127.0.0.1 " +
		"or unix:/run/mailseal/mailseal.sock: Sendmail does not start"},
	"sendmail-no-listener": {Error, "Mailseal does not listen at %s: %s"},
	"sendmail-away-reject": {Warning, "F=R: while Mailseal is away, mail is refused for good; F=T makes it wait"},
	"sendmail-away-accept": {Warning, "no F=: while Mailseal is away, or has been restarted " +
		"during a session, mail passes %s; F=T makes it wait"},
	"sendmail-timeout-answer": {Warning, "T= gives an answer %s (R), and Mailseal says only " +
		"every 4 s that it is still at work: %s where judging takes longer"},
	"sendmail-timeout-message": {Warning, "T= gives a whole message %s (E), but judging it may " +
		"take %s (limits.message_deadline): %s then"},
	"sendmail-no-submit": {Warning, "is not there: sendmail(1) then reads sendmail.cf, so " +
		"that mail of local programs either passes all filters by, unsigned, or is refused"},
	"sendmail-submit-filters": {Note,
		"is not used: what submit.cf passes on is filtered by the Sendmail that takes it in"},
	"sendmail-undefined": {Error, "names %s, which no X line defines: Sendmail does not start"},
	"sendmail-unlisted":  {Warning, "is defined, but no list of filters names it: mail passes %s"},
	"sendmail-port-without": {Warning,
		"Mailseal is not among the filters of this port: what comes in there passes %s"},
	"sendmail-masquerade": {Warning, "%s changes the author's address when mail is " +
		"delivered, after Mailseal has signed it: such mail leaves with a broken signature; let " +
		"users write the address that is meant, or sign where mail leaves the site"},
	"sendmail-twice":          {Warning, "is Mailseal a second time: mail is signed and judged twice"},
	"sendmail-no-daemon-name": {Warning, "no port is called %s, so that ours.daemon_names makes no mail ours by it"},
	"sendmail-socket-unsafe": {Error, "Sendmail does not use a socket below a directory that " +
		"its group or others may write to, and the mode of %s is %s: %s"},

	// Parts of others: what becomes of mail that passes us by.
	"unsigned":              {text: "unsigned"},
	"unjudged":              {text: "unjudged"},
	"unsigned-and-unjudged": {text: "unsigned and unjudged"},
	"mail-passes":           {text: "mail passes %s"},
	"smtpd-ends":            {text: "smtpd ends at once, so that no client gets an answer"},
	"cleanup-ends":          {text: "cleanup ends at once, so that mail stays where it is"},
	"postfix-550":           {text: "Postfix refuses mail with 550"},
	"postfix-hold":          {text: "mail goes into the hold queue"},
	"postfix-421":           {text: "Postfix hangs up with 421"},
	"postfix-451":           {text: "Postfix answers mail with 451"},
	"sendmail-451":          {text: "Sendmail answers mail with 451"},
	"sendmail-421":          {text: "Sendmail hangs up with 421"},
	"sendmail-554":          {text: "Sendmail refuses mail with 554"},
	"local-unsigned":        {text: "mail of local programs (sendmail(1), cron, web forms) goes unsigned"},
	"users-unsigned":        {text: "mail that users send at %s goes unsigned"},
	"incoming-passes":       {text: "mail that comes in at %s passes %s"},
	"local-mail":            {text: "mail of local programs"},
	"users-mail":            {text: "what users send at %s"},

	// Who or what it is about.
	"user":           {text: "user %s"},
	"is-other":       {text: "is %s"},
	"has-port-of":    {text: "has the port of %s"},
	"named":          {text: "%s %s"},
	"chrooted":       {text: "chrooted services look for"},
	"not-chrooted":   {text: "services that are not chrooted look for"},
	"not-an-address": {text: "is not an address such as inet:127.0.0.1:8891 or unix:mailseal/mailseal.sock"},
	"milter-style":   {text: "is how milters write an address; Postfix wants %s"},

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

// said is a code with what it names: texts, or parts of others. It becomes a sentence in one place.
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

// zero reports whether nothing is said.
func (s said) zero() bool { return s.code == "" }

// finding is one at a place of a file, with what may mend it.
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
