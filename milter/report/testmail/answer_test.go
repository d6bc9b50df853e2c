package testmail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"strings"
	"testing"
	"time"

	"mailseal/milter/report/evidence"
	"mailseal/milter/spf"
)

// hands is a Transport that remembers.
type hands struct {
	err  error
	to   []string
	text []string
}

func (h *hands) Hand(_ context.Context, from, to string, text []byte) error {
	h.to, h.text = append(h.to, from+">"+to), append(h.text, string(text))
	return h.err
}

func answerer(t *testing.T) (*Answerer, *hands, *time.Time) {
	_, store, _ := newServer(t)
	h, at := &hands{}, now
	return &Answerer{Store: store, Transport: h, Address: "test@example.net",
		URL: "https://mx.example.net",
		Now: func() time.Time { return at }}, h, &at
}

func passing(sender string) evidence.Mail {
	return evidence.Mail{Token: "00112233445566778899aabbccddeeff", Time: now, Sender: sender,
		SPF:    &spf.Result{Value: spf.Pass, Domain: "good.example"},
		DMARC:  evidence.DMARC{Value: "pass", Author: "good.example"},
		Answer: evidence.Answer{MessageID: "<1@good.example>"}}
}

// TestAnswer holds what an answer is: from the null sender to the envelope sender, marked as a
// program's, and small.
func TestAnswer(t *testing.T) {
	a, h, _ := answerer(t)
	m := passing("friend@good.example")
	m.DMARC.Reason = "line\r\nBcc: all@good.example\u202e " + strings.Repeat("x", 5000)
	if err := a.Answer(t.Context(), m); err != nil || len(h.to) != 1 ||
		h.to[0] != ">friend@good.example" {
		t.Fatalf("%v %v", h.to, err)
	}
	got, err := mail.ReadMessage(strings.NewReader(h.text[0]))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"From": "<test@example.net>", "To": "<friend@good.example>",
		"Auto-Submitted": "auto-replied", "Mailseal-Test": "1",
		"In-Reply-To": "<1@good.example>", "References": "<1@good.example>",
		"Subject": "Test of your mail: dmarc=pass", "Bcc": "",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.Header.Get(name), want)
		}
	}
	for _, want := range []string{"passes for good.example", "https://mx.example.net/t/" + m.Token,
		"SPF: pass"} {
		if !strings.Contains(h.text[0], want) {
			t.Errorf("no %q in %s", want, h.text[0])
		}
	}
	if len(h.text[0]) > maxAnswer || strings.Contains(h.text[0], "\nBcc") {
		t.Errorf("%d bytes: %s", len(h.text[0]), h.text[0])
	}
	for line := range strings.SplitSeq(h.text[0], "\r\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

// TestNoAnswer holds what is not answered.
func TestNoAnswer(t *testing.T) {
	for name, change := range map[string]func(*evidence.Mail){
		"refused by the daemon": func(m *evidence.Mail) { m.Answer.Refused = "DMARC did not pass" },
		"late":                  func(m *evidence.Mail) { m.Time = now.Add(-time.Hour) },
		"no address":            func(m *evidence.Mail) { m.Sender = "friend" },
		"a header":              func(m *evidence.Mail) { m.Sender = "a\r\nBcc: b@c.example,x@good.example" },
		"two":                   func(m *evidence.Mail) { m.Sender = "a@good.example, b@good.example" },
		"a name":                func(m *evidence.Mail) { m.Sender = "A <a@good.example>" },
		"quoted":                func(m *evidence.Mail) { m.Sender = `"a b"@good.example` },
		"not ASCII":             func(m *evidence.Mail) { m.Sender = "ä@good.example" },
	} {
		a, h, _ := answerer(t)
		m := passing("friend@good.example")
		change(&m)
		if err := a.Answer(t.Context(), m); err != nil || len(h.to) > 0 {
			t.Errorf("%s: %v %v", name, h.to, err)
		}
	}
	a, h, _ := answerer(t)
	m := passing("friend@good.example")
	m.Answer.MessageID = "<x@y>\r\nBcc: <z@y>"
	if err := a.Answer(t.Context(), m); err != nil || strings.Contains(h.text[0], "Bcc") ||
		strings.Contains(h.text[0], "In-Reply-To") {
		t.Errorf("%v: %s", err, h.text)
	}
}

// TestAnswersAreBounded holds the bounds in a flood: of an address, of a domain, of all.
func TestAnswersAreBounded(t *testing.T) {
	a, h, at := answerer(t)
	flood := func(n int, format string) (sent int) {
		before := len(h.to)
		for i := range n {
			m := passing(strings.ReplaceAll(format, "#", fmt.Sprint(i)))
			m.Time = *at
			if err := a.Answer(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		return len(h.to) - before
	}
	if got := flood(50, "friend@good.example"); got != maxPerAddress {
		t.Errorf("%d to one address", got)
	}
	if got := flood(1, "FRIEND@Good.Example"); got != 0 {
		t.Error("in capitals it is another address")
	}
	*at = at.Add(11 * time.Minute)
	if got := flood(5, "friend@good.example"); got != maxPerAddress {
		t.Errorf("%d ten minutes later", got)
	}
	if got := flood(50, "u#@good.example"); got != maxPerDomain-2 {
		t.Errorf("%d to one domain", got)
	}
	if got := flood(200, "u@d#.example"); got != maxPerDay-maxPerDomain {
		t.Errorf("%d to all", got)
	}
	*at = at.Add(25 * time.Hour)
	if got := flood(1, "u@e#.example"); got != 1 {
		t.Errorf("%d on the next day", got)
	}
	h.err = errors.New("away")
	*at = at.Add(time.Hour)
	m := passing("u@f.example")
	m.Time = *at
	if err := a.Answer(t.Context(), m); !errors.Is(err, h.err) {
		t.Errorf("%v", err)
	}
}

// slowServer is a Transport that hands nothing over before it may.
type slowServer struct {
	asked chan string
	may   chan struct{}
}

func (s *slowServer) Hand(ctx context.Context, _, to string, _ []byte) error {
	s.asked <- to
	select {
	case <-s.may:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// TestSlowServer holds that nothing waits for a mail server that is slow: mails are taken out of
// the spool and pages shown meanwhile, and beyond a bound tests stay without an answer by mail.
func TestSlowServer(t *testing.T) {
	a, _, _ := answerer(t)
	slow := &slowServer{asked: make(chan string), may: make(chan struct{})}
	a.Transport, a.Log = slow, slog.New(slog.DiscardHandler)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { a.Run(ctx); close(ended) }()
	if err := a.Later(passing("first@good.example")); err != nil {
		t.Fatal(err)
	}
	if to := <-slow.asked; to != "first@good.example" {
		t.Errorf("to %s", to)
	}
	for i := range maxWaiting {
		if err := a.Later(passing(fmt.Sprintf("u%d@d%d.example", i, i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Later(passing("late@good.example")); !errors.Is(err, errWaiting) {
		t.Errorf("beyond the bound: %v", err)
	}
	slow.may <- struct{}{}
	if to := <-slow.asked; to != "u0@d0.example" {
		t.Errorf("then to %s", to)
	}
	stop()
	<-ended
}
