package filter

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/domain"
	"mailseal/milter/message"
	"mailseal/milter/report/evidence"
	"mailseal/milter/verify"
)

// Test is an address whose mail is answered in the SMTP reply with what was found of it. The
// sender's own mail server tells its user, so that no mail is sent from here. The zero Test is no
// address.
type Test struct {
	Local  string      // of the address; local+anything is the same
	Domain domain.Name // "" if there is no such address
	Accept bool        // tests are taken as any other mail; the page is the answer

	Keeper  Keeper // nil: no results are kept, and there is no page
	PageURL string // of the pages, without "/t/" and the token
	Now     func() time.Time
}

// Keeper keeps what was found of tests. Both are called while mail waits, and neither wait nor
// fail.
type Keeper interface {
	// Admit counts a test of a client, and reports whether there is room for it in this hour. It is
	// asked before anything is found out that only a page shows.
	Admit(client netip.Addr) bool
	// Keep takes a test that was admitted, and reports whether there will be a page.
	Keep(m evidence.Mail) bool
}

// isFor reports whether the message is a test: from outside, with a reply to a sender, and
// to the test address alone. Mail with other recipients must reach them, and a bounce has
// no sender to reply to.
func (t Test) isFor(m milter.Mail) bool {
	env := m.Envelope
	return t.Domain != "" && m.Role == action.RoleTheirs && env.Sender != "" &&
		len(env.Recipients) == 1 &&
		t.matches(env.Recipients[0])
}

// matches reports whether a path is the address, or one with a detail behind a plus sign.
func (t Test) matches(path string) bool {
	at := strings.LastIndexByte(path, '@')
	if at < 0 {
		return false
	}
	name, err := domain.Parse(path[at+1:])
	if err != nil || name != t.Domain {
		return false
	}
	local, _, _ := strings.Cut(path[:at], "+")
	return strings.EqualFold(local, t.Local)
}

// tested refuses a test with what was found of it, whatever the policy would do: the mail has done
// what it was sent for.
func (in *inbound) tested(ctx context.Context, j judgment) milter.Outcome {
	if in.filter.Test.Accept {
		out := in.outcome(ctx, j)
		in.keepTest(j, out)
		return out
	}
	out := in.pass()
	out.Action, out.Edits = action.Reject, message.Edits{}
	out.Results = j.results.String()
	out.Details = append(in.details(j), slog.Bool("test", true))
	out.Reply = milter.Reply{Code: 550, Enhanced: "5.7.0", Text: testText(j.results)}
	if in.filter.Test.Keeper == nil {
		return out
	}
	token := evidence.TokenOf(in.Envelope.Recipients[0])
	if token == "" {
		token = evidence.NewToken()
	}
	linked := out.Reply
	linked.Text += " All steps: " + in.filter.Test.PageURL + "/t/" + token
	if in.keep(j, token, in.Envelope.Recipients[0], linked) {
		out.Reply = linked
	}
	return out
}

// testText is the answer, in three lines: the verdict, what SPF and DKIM found, and that no mail
// was lost. The address of the page follows on the third.
func testText(r *verify.Results) string {
	verdict := "dmarc=none"
	if d := r.DMARC; d != nil {
		verdict = fmt.Sprintf("dmarc=%s (%s)", d.Value, d.Reason)
		if d.Requested != "" {
			verdict = fmt.Sprintf("dmarc=%s p=%s (%s)", d.Value, d.Requested, d.Reason)
		}
	} else if r.AuthorErr != nil {
		verdict = fmt.Sprintf("dmarc=%s (%s)", dmarc.Permerror, r.AuthorErr)
	}
	spf := "spf was not checked"
	if s := r.MailFromSPF(); s != nil {
		spf = fmt.Sprintf("spf=%s (%s)", s.Value, s.Reason)
	}
	return fitLine("Test of your mail: "+verdict) + "\n" +
		fitLine(spf+"; "+dkimText(r.DKIM)) + "\n" +
		"This address only tests: the message was checked and not kept."
}

// dkimText describes the best signature, and how many there were.
func dkimText(all []dkim.Result) string {
	if len(all) == 0 {
		return "dkim=none (the message has no signature)"
	}
	best := all[0]
	for _, s := range all {
		if s.Value == dkim.Pass {
			best = s
			break
		}
	}
	out := fmt.Sprintf("dkim=%s d=%s s=%s", best.Value, best.Domain, best.Selector)
	if best.Reason != "" {
		out += " (" + best.Reason + ")"
	}
	if len(all) > 1 {
		out += fmt.Sprintf(", the best of %d signatures", len(all))
	}
	return out
}

// maxTestLine limits each part of the answer, in bytes, to one line: a reply has three.
const maxTestLine = 400

func fitLine(s string) string {
	if len(s) <= maxTestLine {
		return s
	}
	return s[:maxTestLine-3] + "..."
}
