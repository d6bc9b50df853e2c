package lmtp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"mailseal/keys/database"
	"mailseal/milter/report/intake"
	"mailseal/milter/report/store"
	"mailseal/milter/report/store/storetest"
)

var now = time.Date(2024, 1, 10, 12, 0, 0, 0, time.UTC)

const reportXML = `<feedback><report_metadata><org_name>Org</org_name><email>a@org.example</email><report_id>1</report_id>` +
	`<date_range><begin>1700006400</begin><end>1700092799</end></date_range></report_metadata><policy_published>` +
	`<domain>example.com</domain><p>none</p></policy_published><record><row><source_ip>192.0.2.1</source_ip><count>7</count>` +
	`<policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers>` +
	`<header_from>example.com</header_from></identifiers><auth_results></auth_results></record></feedback>`

func mail(fields, id string) string {
	return fields + "From: a@org.example\r\nMessage-ID: <" + id +
		"@org.example>\r\nContent-Type: text/xml\r\n\r\n" +
		strings.Replace(reportXML, "<report_id>1<", "<report_id>"+id+"<", 1) + "\r\n"
}

// broken is an intake whose store is away.
type broken struct{}

func (broken) Take(context.Context, *store.Arrival) (*intake.Taken, error) {
	return nil, errors.New("disk full")
}

// serve starts a server on a unix socket, and returns a client of it.
func serve(t *testing.T, s *Server) *smtp.Client {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := smtp.NewClientLMTP(conn)
	t.Cleanup(func() { c.Close() })
	return c
}

// send sends a mail to a recipient, and returns the answer.
func send(t *testing.T, c *smtp.Client, text string) error {
	t.Helper()
	if err := c.Mail("", nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("dmarc@example.com", nil); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return err
	}
	return w.Close()
}

func newStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(),
		store.Options{Driver: database.SQLite, DSN: storetest.SQLite(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// IN-4: what each kind of mail is answered.
func TestAnswers(t *testing.T) {
	var log bytes.Buffer
	st := newStore(t)
	s := &Server{
		Intake: &intake.Intake{Store: st}, Trust: &Trust{IDs: []string{"mx.example.com"}},
		RefuseOther: true, Name: "mx.example.com",
		Log: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now },
	}
	c := serve(t, s)
	ours := "Authentication-Results: mx.example.com; dmarc=pass header.from=org.example\r\n"
	for _, tc := range []struct {
		name, text string
		code       int
		counted    int64
	}{
		{"ours", mail(ours, "1"), 0, 7},
		{"again", mail(ours, "1"), 0, 7},
		{"nothing proves it", mail("", "2"), 0, 7},
		{"somebody else's verdict", mail("Authentication-Results: mx.evil.example; dmarc=pass "+
			"header.from=org.example\r\n", "3"), 0, 7},
		{"a verdict for another domain",
			mail("Authentication-Results: mx.example.com; dmarc=pass header.from=evil.example\r\n",
				"4"), 0, 7},
		{"a failure", mail("Authentication-Results: mx.example.com; dmarc=fail "+
			"header.from=org.example\r\n", "5"), 0, 7},
		{"by DKIM", mail("Authentication-Results: mx.example.com; dmarc=none; dkim=pass "+
			"header.d=org.example\r\n", "6"), 0, 14},
		{"no report", "From: joe@example.org\r\nSubject: hello\r\n\r\nhello\r\n", 550, 14},
		{"too large", mail(ours, "7") + strings.Repeat(strings.Repeat("x", 76)+"\r\n",
			intake.MaxMessage/78+1), 552, 14},
	} {
		err := send(t, c, tc.text)
		var answer *smtp.SMTPError
		var many smtp.LMTPDataError
		code := 0
		switch {
		case errors.As(err, &many):
			for _, e := range many {
				code = e.Code
			}
		case errors.As(err, &answer):
			code = answer.Code
		case err != nil:
			t.Fatalf("%s: %v", tc.name, err)
		}
		if code != tc.code {
			t.Errorf("%s: answer %d (%v), want %d", tc.name, code, err, tc.code)
		}
		lines, err := st.Domains(t.Context(), store.Filter{})
		if err != nil || len(lines) != 1 || lines[0].Messages != tc.counted {
			t.Errorf("%s: %+v, %v; want %d messages", tc.name, lines, err, tc.counted)
		}
	}
	if !strings.Contains(log.String(), "mail=<6@org.example>") {
		t.Errorf("the log does not name the mail: %s", log.String())
	}
}

// A store that is away keeps the mail in the queue of the mail server.
func TestStoreAway(t *testing.T) {
	s := &Server{Intake: broken{}, Trust: &Trust{}, Name: "x.example",
		Log: slog.New(slog.DiscardHandler), Now: time.Now}
	err := send(t, serve(t, s), mail("", "1"))
	if err == nil || !strings.Contains(fmt.Sprint(err), "cannot be stored now") {
		t.Errorf("got %v, want 451", err)
	}
}

// A mail to the sender of a report of ours is a bounce, and is not stored as a report.
func TestBounce(t *testing.T) {
	var got []string
	away := false
	s := &Server{
		Intake: broken{}, Trust: &Trust{}, Name: "x.example", Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Bounced: func(_ context.Context, recipient string, mail []byte) (bool, error) {
			if away {
				return false, errors.New("disk full")
			}
			got = append(got, recipient)
			return bytes.Contains(mail, []byte("Status: 5.1.1")), nil
		},
	}
	c := serve(t, s)
	if err := send(t, c, "Subject: x\r\n\r\nStatus: 5.1.1\r\n"); err != nil || len(got) != 1 ||
		got[0] != "dmarc@example.com" {
		t.Errorf("a bounce: %v, %q", err, got)
	}
	if err := send(t, c, mail("", "1")); err == nil {
		t.Error("a report was taken for a bounce: the store that is away was not asked")
	}
	away = true
	if err := send(t, c, "Subject: x\r\n\r\nStatus: 5.1.1\r\n"); err == nil ||
		!strings.Contains(err.Error(), "cannot be stored now") {
		t.Errorf("a store that is away: %v, want 451", err)
	}
}
