package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
)

// From fields that RFC 5322 does not allow, through both MTAs, with Mailseal and with OpenDKIM and
// OpenDMARC.

// fate is what happens to three messages with the same form of From: one of our own, one of a
// stranger that is signed, and one that is forged. DMARC of the author's domain wants p=reject, and
// both sides do what it asks for.
type fate struct {
	own    string // "signed", "broken" by the MTA after it was signed, or "unsigned"
	honest string // dmarc=, or the reply
	forged string // likewise
}

// sound is the fate of a From that nothing is wrong with.
var sound = fate{"signed", "pass", "550"}

// fromForms show one domain, DOMAIN. Sendmail writes some again when a milter has signed them,
// whichever it is.
var fromForms = []struct {
	name, from string
	rewritten  bool // by Sendmail
}{
	{"address", "ann@DOMAIN", false},
	{"display name", "Ann <ann@DOMAIN>", false},
	{"comma and titles", "Dr. Ann Doe, MD, PhD <ann@DOMAIN>", true},
	{"ampersand and comma", "Smith, Jones & Co. <office@DOMAIN>", true},
	{"square brackets behind", "Ann [external] <ann@DOMAIN>", true},
	{"ticket", "[#4711] Help Desk <help@DOMAIN>", true},
	{"at in a name", "Ann @ Home <ann@DOMAIN>", true},
	{"handle", "Ann (@ann) @ann.doe <ann@DOMAIN>", true},
	{"colon in a name", "Fwd: Ann <ann@DOMAIN>", false},
	{"smiley", "Ann ;-) <ann@DOMAIN>", true},
	{"sad smiley", "Ann :( <ann@DOMAIN>", true},
	{"dots", "ann..doe@DOMAIN", false},
	{"dot before the at", "Ann <ann.@DOMAIN>", false},
	{"leading dot", ".ann@DOMAIN", false},
	{"final dot", "ann@DOMAIN.", true},
	{"final dot in brackets", "Ann <ann@DOMAIN.>", true},
	{"semicolon behind", "Ann <ann@DOMAIN>;", false},
	{"URI", "<mailto:ann@DOMAIN>", false},
	{"URI without brackets", "mailto:ann@DOMAIN", false},
	{"brackets not closed", "Ann <ann@DOMAIN", true},
	{"brackets not opened", "ann@DOMAIN>", true},
	{"double brackets", "Ann <<ann@DOMAIN>>", true},
	{"brackets twice", "<ann@DOMAIN> <ann@DOMAIN>", true},
	{"no brackets", "Ann ann@DOMAIN", true},
	{"quote not closed", `"Ann <ann@DOMAIN>`, true},
	{"quoted", `"ann@DOMAIN"`, true},
	{"white space in a local part", "<ann doe@DOMAIN>", true},
	{"group", "Us: ann@DOMAIN;", false},
	{"route", "<@x.example:ann@DOMAIN>", true},
	{"two ats", "ann@@DOMAIN", false},
	{"8-bit local part", "\xe4nn@DOMAIN", false},
	{"encoded word with a comma", "=?utf-8?q?Doe,?= Ann <ann@DOMAIN>", true},
	{"hyphen label", "ann@mail-.DOMAIN", false},
	{"two fields", "ann@DOMAIN\nFrom: bob@DOMAIN", false},
}

// differences are the fates with OpenDKIM and OpenDMARC that are not those with Mailseal.
var differences = map[string]struct {
	fate
	why string
}{
	"comma and titles": {fate{"signed", "no dmarc=", "no dmarc="},
		"OpenDMARC cannot read it, and lets it pass"},
	"ampersand and comma": {fate{"signed", "no dmarc=", "no dmarc="},
		"OpenDMARC cannot read it, and lets it pass"},
	"sad smiley": {fate{"unsigned", "no dmarc=", "no dmarc="},
		"neither can read it: OpenDMARC lets it pass"},
	"final dot": {fate{"unsigned", "none", "none"},
		"OpenDMARC takes the dot for a part of the domain, which has no record"},
	"final dot in brackets": {fate{"unsigned", "none", "none"},
		"OpenDMARC takes the dot for a part of the domain, which has no record"},
	"brackets not opened": {fate{"unsigned", "none", "none"},
		"OpenDMARC takes the bracket for a part of the domain, which has no record"},
	"quote not closed": {fate{"unsigned", "no dmarc=", "no dmarc="},
		"neither can read it: OpenDMARC lets it pass"},
	"quoted": {fate{"unsigned", "no dmarc=", "no dmarc="},
		"neither can read it: OpenDMARC lets it pass"},
	"encoded word with a comma": {fate{"signed", "no dmarc=", "no dmarc="},
		"OpenDMARC cannot read it, and lets it pass"},
	"hyphen label": {fate{"unsigned", "none", "none"}, "OpenDMARC looks for no record above it"},
}

// severalForms show several domains, of which stranger.example fails and wants its mail rejected;
// elsewhere.example has no record. OpenDMARC leaves a list of several domains alone, and looks at
// the first address of other forms.
var severalForms = []struct {
	name, from string
	ours, old  string
}{
	{"list", "x@elsewhere.example, ceo@stranger.example", "550", "no dmarc="},
	{"list, the other way round", "ceo@stranger.example, x@elsewhere.example", "550", "no dmarc="},
	{"two fields", "x@elsewhere.example\nFrom: ceo@stranger.example", "550", "none"},
	{"semicolon", "x@elsewhere.example; ceo@stranger.example", "550", "none"},
	{"behind the brackets", "<x@elsewhere.example> ceo@stranger.example", "550", "none"},
	{"display name", "ceo@stranger.example <x@elsewhere.example>", "fail", "none"},
	{"route", "<@elsewhere.example:ceo@stranger.example>", "550", "550"},
	{"five domains", "a@a.example, b@b.example, c@c.example, x@elsewhere.example, ceo@stranger.example",
		"550", "no dmarc="},
	{"no records", "x@elsewhere.example, y@other.example", "permerror", "no dmarc="},
}

func TestMalformedFrom(t *testing.T) {
	for _, k := range kinds[2:4] { // one of each MTA, over a unix socket
		t.Run(k.name, func(t *testing.T) {
			s := newSite(t, k.start, k.o, "[policy.dmarc]\np_reject = \"reject\"\n")
			if err := s.zone.Add("_dmarc.stranger.example TXT \"v=DMARC1; p=reject\"\n"); err != nil {
				t.Fatal(err)
			}
			ours := fromHost{s.MTA, s}
			theirs := fromHost{oldStack(t, s, k.start), s}
			for i, form := range fromForms {
				want, old := sound, sound
				if d, differs := differences[form.name]; differs {
					old = d.fate
				}
				if form.name == "hyphen label" {
					want.own = "unsigned" // no rule is for that domain
				}
				if form.rewritten && s.Name == "Sendmail" {
					want.own = afterRewriting(want.own)
					old.own = afterRewriting(old.own)
				}
				if got := ours.fate(t, i, form.from); got != want {
					t.Errorf("%s, %q: Mailseal: %v, want %v", form.name, form.from, got, want)
				}
				if got := theirs.fate(t, i, form.from); got != old {
					t.Errorf("%s, %q: OpenDKIM and OpenDMARC: %v, want %v", form.name, form.from,
						got, old)
				}
			}
			for i, form := range severalForms {
				to, text := fmt.Sprintf("several%d@home.example", i), messageFrom(form.from)
				if got := ours.inbound(t, to, text); got != form.ours {
					t.Errorf("%s, %q: Mailseal: %s, want %s", form.name, form.from, got, form.ours)
				}
				if got := theirs.inbound(t, to, text); got != form.old {
					t.Errorf("%s, %q: OpenDMARC: %s, want %s", form.name, form.from, got, form.old)
				}
			}
		})
	}
}

// afterRewriting returns our own message as it arrives when the MTA writes From again.
func afterRewriting(own string) string {
	if own == "signed" {
		return "broken"
	}
	return own
}

// oldStack starts the same MTA with OpenDKIM and OpenDMARC, and the keys and records of a site.
func oldStack(t *testing.T, s *site, start startMTA) *rig.MTA {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	published := ""
	for name, text := range s.txt {
		published += strings.TrimSuffix(name, ".") + " " + text + "\n"
	}
	dkim, dmarc := rig.FreePort(t, local), rig.FreePort(t, local)
	rig.StartOpenDKIM(t, socketOf(dkim), "Mode sv", "Domain home.example", "Selector rsa",
		"KeyFile "+s.key("rsa"),
		"AuthservID mx.home.example", "InternalHosts "+write("internal", local+"\n"),
		"TestPublicKeys "+write("published", published),
		"Canonicalization relaxed/relaxed", "OversignHeaders From")
	rig.StartOpenDMARC(t, socketOf(dmarc), "AuthservID mx.home.example",
		"TrustedAuthservIDs mx.home.example", "RejectFailures true",
		"IgnoreHosts "+write("ignored", local+"\n"), "TestDNSData "+write("records",
			"_dmarc.stranger.example v=DMARC1; p=reject\n"))
	o := rig.Options{Append: fmt.Sprintf("smtpd_milters = inet:%s, inet:%s\n", dkim, dmarc)}
	if s.Name == "Sendmail" {
		o.Append = fmt.Sprintf("INPUT_MAIL_FILTER(`opendkim', `S=%s, "+
			"F=T')dnl\nINPUT_MAIL_FILTER(`opendmarc', `S=%s, F=T')dnl\n"+
			"define(`confINPUT_MAIL_FILTERS', `opendkim,opendmarc')dnl\n", socketOf(dkim),
			socketOf(dmarc))
	}
	return start(t, o)
}

// socketOf writes an address as Sendmail and OpenDKIM do.
func socketOf(address string) string {
	host, port, _ := net.SplitHostPort(address)
	return "inet:" + port + "@" + host
}

// fromHost is a mail host, and the site whose keys and records it has.
type fromHost struct {
	*rig.MTA
	site *site
}

func messageFrom(from string) string {
	return "From: " + from + "\nTo: <ann@home.example>\nSubject: hello\nDate: Sun, 22 Nov 2026 05:00:00 +0000\n" +
		"Message-ID: <1@x.example>\n\nhello\n"
}

// fate sends the three messages of a form.
func (h fromHost) fate(t *testing.T, n int, form string) fate {
	t.Helper()
	text := func(domain string) string {
		return messageFrom(strings.ReplaceAll(form, "DOMAIN", domain))
	}
	honest := rig.RunWith(t, []byte(text("stranger.example")), "sign",
		"--domain", "stranger.example", "--selector", "mail", "--key", h.site.key("mail"))
	return fate{
		own:    h.own(t, fmt.Sprintf("own%d@home.example", n), text("home.example")),
		honest: h.inbound(t, fmt.Sprintf("honest%d@home.example", n), string(honest.Stdout)),
		forged: h.inbound(t, fmt.Sprintf("forged%d@home.example", n), text("stranger.example")),
	}
}

// own sends a message of a user of ours, who has logged in: Postfix rewrites the From of hosts in
// its network before any milter sees it, and makes addresses of the words of a malformed one.
func (h fromHost) own(t *testing.T, to, text string) string {
	t.Helper()
	c := rig.Dial(t, h.Submission, stranger)
	defer c.Quit()
	c.Authenticate(rig.User, rig.Password)
	d, reply := h.send(t, c, to, text)
	switch {
	case reply != "":
		return reply
	case len(d.Header("DKIM-Signature")) == 0:
		return "unsigned"
	}
	for _, v := range rig.Dkimpy(t, h.site.txt, d.Data)[0] {
		if !v.Pass {
			return "broken"
		}
	}
	return "signed"
}

// inbound sends a message of a stranger, and returns its dmarc= or the reply.
func (h fromHost) inbound(t *testing.T, to, text string) string {
	t.Helper()
	c := h.Dial(t, stranger)
	defer c.Quit()
	d, reply := h.send(t, c, to, text)
	if reply != "" {
		return reply
	}
	for _, field := range d.Header("Authentication-Results") {
		if _, value, ok := strings.Cut(field, "dmarc="); ok {
			value, _, _ = strings.Cut(value, " ")
			return value
		}
	}
	return "no dmarc="
}

// send returns what is delivered, or else the code of the reply.
func (h fromHost) send(t *testing.T, c *rig.Client, to, text string) (rig.Delivery, string) {
	t.Helper()
	if r := c.Send(rig.Mail{From: "x@elsewhere.example", To: []string{to},
		Message: text}); r.Code != 250 {
		return rig.Delivery{}, fmt.Sprint(r.Code)
	}
	return h.Sink.To(t, to), ""
}
