package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"mime/multipart"
	"mime/quotedprintable"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"
	"time"
	"unicode"

	"mailseal/milter/report/send"
	"mailseal/milter/report/store"
)

// Mailer mails alerts and digests to the operator.
type Mailer struct {
	Store     *store.Store
	From      string // reports.from
	To        []string
	Host      string         // that the mail speaks of
	Networks  []netip.Prefix // of this host
	Transport send.Transport
	Log       *slog.Logger
}

// stale is how old an alert is that is not mailed any more, as after mail was switched on.
const stale = 7 * 24 * time.Hour

// Bounds of one mail: the alerts that it has, and those that it counts beside them.
const (
	maxMailed = 100
	maxUnsent = 5000
)

// Send mails the alerts that were not mailed yet, as one mail. An address to which the mail server
// takes nothing now gets them with the next run, and the others do not get them twice.
func (m *Mailer) Send(ctx context.Context, now time.Time) error {
	list, err := m.Store.Alerts(ctx, true, maxUnsent)
	if err != nil {
		return err
	}
	var fresh []store.Alert
	for _, a := range list {
		if now.Sub(a.Raised) < stale {
			fresh = append(fresh, a)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	last := fresh[0].ID
	for _, a := range fresh {
		last = max(last, a.ID)
	}
	err = m.each(ctx, "alerts", last, func(to string, done int64) []byte {
		var mine []store.Alert
		for _, a := range fresh {
			if a.ID > done {
				mine = append(mine, a)
			}
		}
		return m.alerts(to, mine, now)
	})
	if err != nil {
		return err
	}
	return m.Store.AlertsSent(ctx, last, now)
}

// each hands a mail to each address that did not get number n of its kind.
func (m *Mailer) each(ctx context.Context, kind string, n int64,
	write func(to string, done int64) []byte) error {
	var failed error
	for _, to := range m.To {
		mark := kind + " to " + to
		done, err := m.Store.Mark(ctx, mark)
		if err != nil {
			return err
		}
		if done >= n {
			continue
		}
		// Without an envelope sender there are no bounces, and so no alerts about them.
		err = m.Transport.Hand(ctx, "", to, write(to, done))
		if refused := (send.Refused{}); errors.As(err, &refused) {
			m.Log.Error("the mail server refused a mail to an address of [reports.alerts], which "+
				"is not sent again", "kind", kind, "to", to, "reason", refused.Text)
			err = nil
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("mail %s to %s: %w", kind, to, err))
			continue
		}
		if err := m.Store.SetMark(ctx, mark, n); err != nil {
			return err
		}
	}
	return failed
}

// Test mails one alert that says that it is a test, and stores nothing.
func (m *Mailer) Test(ctx context.Context, now time.Time) error {
	a := store.Alert{Code: "test", Text: "This is a test: alerts are mailed to this address.",
		Raised: now}
	for _, to := range m.To {
		if err := m.Transport.Hand(ctx, "", to, m.alerts(to, []store.Alert{a}, now)); err != nil {
			return fmt.Errorf("mail a test to %s: %w", to, err)
		}
	}
	return nil
}

func (m *Mailer) alerts(to string, list []store.Alert, now time.Time) []byte {
	var b strings.Builder
	for _, a := range list[:min(len(list), maxMailed)] {
		fmt.Fprintf(&b, "%s: %s\n\n", a.Code, Plain(a.Text))
	}
	b.WriteString(others(list))
	b.WriteString("Each alert is mailed once. \"mailseal reports alerts\" lists all of them; " +
		"[reports.alerts]\n" +
		"in mailseal.toml sets who gets them.\n")
	subject := Plain(list[0].Code + " " + list[0].Domain)
	if len(list) > 1 {
		subject = fmt.Sprintf("%d alerts", len(list))
	}
	return m.message(to, "mailseal on "+m.Host+": "+strings.TrimSpace(subject), "alerts", now,
		b.String(), "")
}

// others returns a line about the alerts that are not in the mail, "" if all are.
func others(list []store.Alert) string {
	if len(list) <= maxMailed {
		return ""
	}
	sums := map[string]int{}
	for _, a := range list[maxMailed:] {
		sums[a.Code]++
	}
	var words []string
	for _, code := range slices.Sorted(maps.Keys(sums)) {
		words = append(words, fmt.Sprintf("%d %s", sums[code], code))
	}
	return fmt.Sprintf("%d older alerts are not in this mail: %s.\n\n",
		len(list)-maxMailed, strings.Join(words, ", "))
}

// message writes a mail with CRLF at the ends of lines: text, and html unless it is empty.
func (m *Mailer) message(to, subject, kind string, now time.Time, text, html string) []byte {
	var b bytes.Buffer
	domain := m.From[strings.LastIndexByte(m.From, '@')+1:]
	parts := multipart.NewWriter(&b)
	fmt.Fprintf(&b, "From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: %s\r\n", m.From, to, subject,
		now.UTC().Format(time.RFC1123Z))
	fmt.Fprintf(&b, "Message-ID: <%s.%d.%s@%s>\r\n", kind, now.UnixNano(), parts.Boundary()[:8],
		domain)
	b.WriteString("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n")
	fmt.Fprintf(&b, "Content-Type: multipart/alternative;\r\n boundary=\"%s\"\r\n\r\n",
		parts.Boundary())
	part(parts, "text/plain", text)
	if html != "" {
		part(parts, "text/html", html)
	}
	_ = parts.Close() // a buffer takes everything
	return b.Bytes()
}

func part(parts *multipart.Writer, mediaType, text string) {
	w, err := parts.CreatePart(textproto.MIMEHeader{
		"Content-Type":              {mediaType + "; charset=utf-8"},
		"Content-Transfer-Encoding": {"quoted-printable"},
	})
	if err != nil {
		return // a buffer takes everything
	}
	q := quotedprintable.NewWriter(w)
	_, _ = q.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n")))
	_ = q.Close()
}

// Plain makes a stranger's text fit for a line: no control characters, and none that change the
// direction of others.
func Plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
