package testmail

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"regexp"
	"strings"
	"sync"
	"time"

	"mailseal/milter/report/evidence"
	"mailseal/milter/report/send"
	"mailseal/milter/report/web"
)

// Bounds of the mails that answer tests. Strangers fill them; beyond, there is the reply and the
// page alone.
const (
	maxPerAddress = 1   // to one address in ten minutes
	maxPerDomain  = 10  // to addresses of one domain in an hour
	maxPerDay     = 100 // to all
	maxAnswer     = 4 << 10
	maxLate       = 15 * time.Minute // an answer that comes later is of no use
)

// Answerer answers tests by mail.
type Answerer struct {
	Store     *Store
	Transport send.Transport
	Address   string // for tests: the author of answers
	URL       string // of the pages, without "/t/" and the token
	Now       func() time.Time
	Log       *slog.Logger

	once    sync.Once
	waiting chan evidence.Mail
}

// maxWaiting is how many answers wait while the mail server takes its time.
const maxWaiting = 100

// errWaiting reports that too many answers wait.
var errWaiting = errors.New("100 answers already wait for the mail server")

func (a *Answerer) queue() chan evidence.Mail {
	a.once.Do(func() { a.waiting = make(chan evidence.Mail, maxWaiting) })
	return a.waiting
}

// Later has Run answer a test. It never waits.
func (a *Answerer) Later(m evidence.Mail) error {
	select {
	case a.queue() <- m:
		return nil
	default:
		return errWaiting
	}
}

// Run answers tests, one after the other, until ctx ends. What waits then is not answered: who
// tests has the reply and the page.
func (a *Answerer) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-a.queue():
			if err := a.Answer(ctx, m); err != nil {
				a.Log.Warn("a test mail was not answered by mail", "to", m.Sender, "error", err)
			}
		}
	}
}

// Answer sends the result to the envelope sender of a test, from the null sender, where the daemon
// found that one may be sent, and within the bounds. An error says why a mail was not taken over by
// the mail server; the test is not answered again.
func (a *Answerer) Answer(ctx context.Context, m evidence.Mail) error {
	now := a.Now()
	if m.Answer.Refused != "" || now.Sub(m.Time) > maxLate {
		return nil
	}
	to, err := mail.ParseAddress(m.Sender)
	if err != nil || to.Address != m.Sender || !plainPath.MatchString(m.Sender) {
		return nil // no address that can be written into a header as it is
	}
	if may, err := a.Store.reserve(ctx, strings.ToLower(m.Sender), now); err != nil || !may {
		return err
	}
	return a.Transport.Hand(ctx, "", m.Sender, a.message(m, now))
}

// plainPath is an address in ASCII without quotes; messageID is a Message-ID that can be repeated.
var (
	plainPath = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+/=?^_{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}$`)
	messageID = regexp.MustCompile(`^<[!-;=?-~]{1,240}>$`)
)

// message is the answer (RFC 3834 section 3). It has what the page shows first, and nothing of the
// mail itself but its Message-ID.
func (a *Answerer) message(m evidence.Mail, now time.Time) []byte {
	v := newView(m)
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("From: <%s>", a.Address)
	line("To: <%s>", m.Sender)
	line("Subject: Test of your mail: dmarc=%s", plain(m.DMARC.Value))
	line("Date: %s", now.UTC().Format(time.RFC1123Z))
	line("Message-ID: "+
		"<%s.test%s>", evidence.NewToken(), a.Address[strings.LastIndexByte(a.Address, '@'):])
	line("Auto-Submitted: auto-replied")
	line("Mailseal-Test: 1")
	if messageID.MatchString(m.Answer.MessageID) {
		line("In-Reply-To: %s", m.Answer.MessageID)
		line("References: %s", m.Answer.MessageID)
	}
	line("MIME-Version: 1.0")
	line("Content-Type: text/plain; charset=us-ascii")
	line("")
	say := func(text string) { line("%s", plain(text)) }
	say(v.Heading)
	if v.Advice != "" {
		say(v.Advice)
	}
	line("")
	say("SPF: " + spfWord(m) + ": " + v.SPFSentence())
	for i, s := range m.Signatures[:min(len(m.Signatures), 3)] {
		say(fmt.Sprintf("DKIM signature %d: %s, %s, selector %s. "+
			"%s", i+1, s.Value, s.Domain, s.Selector, s.Reason))
	}
	if len(m.Signatures) == 0 {
		say("DKIM: the message has no signature.")
	}
	say("DMARC: " + m.DMARC.Value + ". " + m.DMARC.Reason)
	line("")
	line("All steps: %s/t/%s", a.URL, m.Token)
	line("")
	line("This is an automatic answer to your mail to %s, which passed DMARC.", a.Address)
	line("An address gets at most one answer in ten minutes.")
	return b.Bytes()[:min(b.Len(), maxAnswer)]
}

func spfWord(m evidence.Mail) string {
	if m.SPF == nil {
		return "none"
	}
	return string(m.SPF.Value)
}

// maxPlain bounds a line of an answer, in bytes.
const maxPlain = 400

// plain is a stranger's text as a line of ASCII.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, web.Visible(s))
	return strings.TrimSpace(cmp.Or(s[:min(len(s), maxPlain)], "-"))
}

// reserve reports whether one more answer may go to an address, and counts it then.
func (s *Store) reserve(ctx context.Context, address string, now time.Time) (may bool, err error) {
	domain := address[strings.LastIndexByte(address, '@')+1:]
	at := func(d time.Duration) int64 { return now.Add(-d).Unix() }
	err = s.change(ctx, func(tx *sql.Tx) error {
		var toAddress, toDomain, toAll int
		err := tx.QueryRowContext(ctx, `SELECT
			count(CASE WHEN address = $1 AND at > $2 THEN 1 END),
			count(CASE WHEN domain = $3 AND at > $4 THEN 1 END),
			count(*) FROM answers WHERE at > $5`,
			address, at(10*time.Minute), domain, at(time.Hour),
			at(24*time.Hour)).Scan(&toAddress, &toDomain, &toAll)
		if err != nil || toAddress >= maxPerAddress || toDomain >= maxPerDomain ||
			toAll >= maxPerDay {
			return err
		}
		may = true
		_, err = tx.ExecContext(ctx, "INSERT INTO answers (at, address, domain) VALUES ($1, $2, "+
			"$3)",
			now.Unix(), address, domain)
		return err
	})
	return may && err == nil, err
}
