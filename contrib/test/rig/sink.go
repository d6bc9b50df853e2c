package rig

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Delivery is a message as an MTA delivered it.
type Delivery struct {
	// the argument of MAIL FROM, without <> and without ESMTP arguments; "" for a bounce
	From string
	To   []string // the arguments of RCPT TO
	Data []byte   // exactly what went over the wire, dots unstuffed, with CRLF line ends
}

// Header returns the values of the header fields called name, from the top, with their folds as
// delivered and without the white space around them.
func (d Delivery) Header(name string) []string {
	head, _, _ := bytes.Cut(d.Data, []byte("\r\n\r\n"))
	var values []string
	var current *string
	for line := range strings.SplitSeq(string(head), "\r\n") {
		if line != "" && (line[0] == ' ' || line[0] == '\t') {
			if current != nil {
				*current += "\r\n" + line
			}
			continue
		}
		current = nil
		field, value, _ := strings.Cut(line, ":")
		if strings.EqualFold(strings.TrimSpace(field), name) {
			values = append(values, value)
			current = &values[len(values)-1]
		}
	}
	for i := range values {
		values[i] = strings.TrimSpace(values[i])
	}
	return values
}

// Unknown is the one recipient that a Sink refuses, so that an MTA has something to bounce.
const Unknown = "unknown@elsewhere.example"

// Sink is an SMTP server that takes everything, but what is for Unknown, and keeps it. MTAs under
// test deliver to it.
type Sink struct {
	Address string // host:port

	sevenBit bool // 8BITMIME is not offered
	forward  func(Delivery) error

	mu    sync.Mutex
	news  chan struct{} // closed and renewed when something came in
	mails []Delivery
}

// NewSink starts a sink on a free port of 127.0.0.1.
func NewSink(t testing.TB) *Sink {
	t.Helper()
	return newSink(t, false)
}

// NewSevenBitSink is NewSink for a server of old, which does not offer 8BITMIME.
func NewSevenBitSink(t testing.TB) *Sink {
	t.Helper()
	return newSink(t, true)
}

// NewFilter starts an SMTP server that hands each message on, as a content filter or a list manager
// does. A message that forward returns an error for is deferred.
func NewFilter(t testing.TB, forward func(Delivery) error) *Sink {
	t.Helper()
	return serveSink(t, &Sink{forward: forward})
}

// Forward sends a message to the server at an address, as a content filter hands it back.
func Forward(address string, d Delivery) error {
	c, err := smtp.Dial(address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Mail(d.From); err != nil {
		return err
	}
	for _, to := range d.To {
		if err := c.Rcpt(to); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(d.Data); err != nil {
		return err
	}
	return errors.Join(w.Close(), c.Quit())
}

func newSink(t testing.TB, sevenBit bool) *Sink {
	t.Helper()
	return serveSink(t, &Sink{sevenBit: sevenBit})
}

func serveSink(t testing.TB, s *Sink) *Sink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s.Address, s.news = l.Addr().String(), make(chan struct{})
	go s.serve(l)
	return s
}

// To waits for a message to the recipient, in the sink or to come, takes it out and returns it. The
// test ends if none comes.
func (s *Sink) To(t testing.TB, recipient string) Delivery {
	t.Helper()
	limit := time.After(patience)
	for {
		d, news, ok := s.take(recipient)
		if ok {
			return d
		}
		select {
		case <-news:
		case <-limit:
			t.Fatalf("nothing was delivered to %s in %v; there are: %s", recipient, patience,
				s.recipients())
		}
	}
}

// Has reports whether a message to the recipient has been delivered and not been taken yet.
func (s *Sink) Has(recipient string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.mails,
		func(d Delivery) bool { return slices.Contains(d.To, recipient) })
}

func (s *Sink) take(recipient string) (d Delivery, news chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, d := range s.mails {
		if slices.Contains(d.To, recipient) {
			s.mails = slices.Delete(s.mails, i, i+1)
			return d, nil, true
		}
	}
	return Delivery{}, s.news, false
}

func (s *Sink) recipients() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, d := range s.mails {
		all = append(all, d.To...)
	}
	return strings.Join(all, ", ")
}

func (s *Sink) add(d Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, d)
	close(s.news)
	s.news = make(chan struct{})
}

func (s *Sink) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go s.session(conn)
	}
}

// session speaks just enough SMTP for an MTA: nearly everything is welcome, and 8-bit bytes are
// unless it is told otherwise, so that nothing is recoded.
func (s *Sink) session(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	reply := func(line string) { io.WriteString(conn, line+"\r\n") }
	reply("220 sink.example ESMTP")
	var d Delivery
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		switch verb := strings.ToUpper(line); {
		case strings.HasPrefix(verb, "EHLO"):
			if s.sevenBit {
				reply("250-sink.example\r\n250-PIPELINING\r\n250 SIZE")
				continue
			}
			reply("250-sink.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-PIPELINING\r\n250 SIZE")
		case strings.HasPrefix(verb, "MAIL FROM:"):
			d = Delivery{From: mailbox(line)}
			reply("250 2.1.0 good")
		case strings.HasPrefix(verb, "RCPT TO:") && mailbox(line) == Unknown:
			reply("550 5.1.1 no such user")
		case strings.HasPrefix(verb, "RCPT TO:"):
			d.To = append(d.To, mailbox(line))
			reply("250 2.1.5 good")
		case verb == "DATA":
			reply("354 go on")
			if d.Data, err = readData(r); err != nil {
				return
			}
			if s.forward != nil {
				if err := s.forward(d); err != nil {
					reply("451 4.0.0 not handed on")
					continue
				}
			}
			s.add(d)
			reply("250 2.0.0 taken")
		case verb == "QUIT":
			reply("221 2.0.0 bye")
			return
		default:
			reply("250 2.0.0 good")
		}
	}
}

// mailbox returns what is between < and > in a MAIL or RCPT command.
func mailbox(line string) string {
	_, rest, _ := strings.Cut(line, "<")
	p, _, _ := strings.Cut(rest, ">")
	return p
}

// readData reads the lines up to the final dot.
func readData(r *bufio.Reader) ([]byte, error) {
	var data []byte
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return nil, fmt.Errorf("in DATA: %w", err)
		}
		if string(line) == ".\r\n" {
			return data, nil
		}
		if line[0] == '.' {
			line = line[1:]
		}
		data = append(data, line...)
	}
}
