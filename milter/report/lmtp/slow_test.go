package lmtp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"mailseal/milter/dns"
	"mailseal/milter/report/intake"
)

// begin starts a mail that does not end.
func begin(t *testing.T, c *smtp.Client, text string) {
	t.Helper()
	if err := errors.Join(c.Mail("", nil), c.Rcpt("dmarc@example.com", nil)); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// again connects once more to where a client is connected.
func again(t *testing.T, at net.Addr) *smtp.Client {
	t.Helper()
	conn, err := net.Dial("unix", at.String())
	if err != nil {
		t.Fatal(err)
	}
	c := smtp.NewClientLMTP(conn)
	t.Cleanup(func() { c.Close() })
	return c
}

// listening serves s, and returns where.
func listening(t *testing.T, s *Server) net.Addr {
	t.Helper()
	l, err := net.Listen("unix", t.TempDir()+"/s")
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
	return l.Addr()
}

// Mails that do not end keep no other out, be they small or large.
func TestSlowMail(t *testing.T) {
	s := &Server{
		Intake: &intake.Intake{Store: newStore(t)}, Trust: &Trust{}, Name: "x.example",
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}
	at := listening(t, s)
	begin(t, again(t, at), "Subject: slow\r\n")
	begin(t, again(t, at), strings.Repeat(strings.Repeat("x", 78)+"\r\n", 2*maxSmall/80))
	if err := send(t, again(t, at), mail("", "1")); err != nil {
		t.Errorf("a mail beside slow ones: %v", err)
	}
}

// hurrying shortens a server's patience once a mail is being read, which has all the time that a
// busy machine needs: only the wait for a turn is short.
type hurrying struct {
	io.Reader
	server *Server
}

func (h hurrying) Read(p []byte) (int, error) {
	h.server.patience = time.Millisecond
	return h.Reader.Read(p)
}

// A mail that takes longer than it may is given up, and so is one that waits for its turn longer.
func TestLateMail(t *testing.T) {
	var log bytes.Buffer
	s := &Server{
		Intake: &intake.Intake{Store: newStore(t)}, Trust: &Trust{}, Name: "x.example", patience: 50 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now,
	}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	one := &session{server: s, ctx: t.Context(), conn: ours, large: make(chan struct{}, 1)}
	if _, _, err := one.read(ours); !errors.Is(err, errSlow) || !strings.Contains(log.String(),
		"did not arrive in time") {
		t.Errorf("a mail that does not come: %v, want %v; the log: %s", err, errSlow, log.String())
	}
	one.large <- struct{}{}
	s.patience = 0
	large := strings.Repeat("x", 2*maxSmall)
	if _, _, err := one.read(hurrying{strings.NewReader(large), s}); !errors.Is(err, errTurn) {
		t.Errorf("another large mail is read: %v, want %v", err, errTurn)
	}
	<-one.large
	s.patience = 0
	data, done, err := one.read(strings.NewReader(large))
	if err != nil || len(data) != 2*maxSmall || len(one.large) != 1 {
		t.Errorf("a large mail: %d bytes, %v, %d in turn", len(data), err, len(one.large))
	}
	if done(); len(one.large) != 0 {
		t.Error("the turn of a large mail does not end with it")
	}
}

// waiting is a DNS that does not answer before it is told to.
type waiting struct{ asked, answer chan struct{} }

func (w waiting) Lookup(context.Context, string, dns.Type) (dns.Answer, error) {
	w.asked <- struct{}{}
	<-w.answer
	return dns.Answer{}, dns.ErrTimeout
}

// A signature whose key DNS does not bring keeps no other mail out.
func TestSlowKey(t *testing.T) {
	slow := waiting{make(chan struct{}, 1), make(chan struct{})}
	s := &Server{
		Intake: &intake.Intake{Store: newStore(t)}, Trust: &Trust{Resolver: slow, Now: time.Now}, Name: "x.example",
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}
	at, first := listening(t, s), make(chan error, 1)
	c := again(t, at)
	go func() {
		first <- send(t, c, mail("DKIM-Signature: v=1; a=rsa-sha256; d=org.example; s=s; h=from; c=relaxed/relaxed; "+
			"bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n", "1"))
	}()
	select {
	case <-slow.asked:
	case err := <-first:
		t.Fatalf("no key was looked up: %v", err)
	}
	if err := send(t, again(t, at), mail("", "2")); err != nil {
		t.Errorf("a mail beside one whose key is looked up: %v", err)
	}
	close(slow.answer)
	if err := <-first; err != nil {
		t.Errorf("the mail whose key was looked up: %v", err)
	}
}
