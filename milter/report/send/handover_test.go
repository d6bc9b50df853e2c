package send

import (
	"bufio"
	"errors"
	"net"
	"strings"
	"testing"
)

// scriptedServer speaks SMTP to one client: after the mail it sends a reply, or hangs up for "". It
// returns its address, and whether the end of a mail came.
func scriptedServer(t *testing.T, reply string) (address string, ended <-chan bool) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	out := make(chan bool, 1)
	go func() {
		isEnded := false
		defer func() { out <- isEnded }()
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		say := func(text string) { _, _ = c.Write([]byte(text + "\r\n")) }
		say("220 mx.example.com")
		inMail := false
		for lines := bufio.NewScanner(c); lines.Scan(); {
			switch line := lines.Text(); {
			case inMail && line == ".":
				isEnded = true
				if reply == "" {
					return
				}
				inMail = false
				say(reply)
			case inMail:
			case strings.HasPrefix(line, "DATA"):
				inMail = true
				say("354 go on")
			default:
				say("250 ok")
			}
		}
	}()
	return l.Addr().String(), out
}

// TestInDoubt holds that a mail is in doubt when no reply to its end came, and only then.
func TestInDoubt(t *testing.T) {
	away := errors.New("the database is away")
	for _, tc := range []struct {
		name, reply string
		taking      error
		ended       bool
		check       func(error) bool
	}{
		{"taken", "250 ok", nil, true, func(err error) bool { return err == nil }},
		{"no reply", "", nil, true, func(err error) bool { return errors.As(err, &InDoubt{}) }},
		{"later", "451 busy", nil, true, func(err error) bool {
			return err != nil && !errors.As(err, &InDoubt{}) && !errors.As(err, &Refused{})
		}},
		{"refused", "554 no", nil, true, func(err error) bool { return errors.As(err, &Refused{}) }},
		{"may not be handed over", "250 ok", away, false, func(err error) bool {
			return errors.Is(err, away) && !errors.As(err, &InDoubt{})
		}},
	} {
		address, ended := scriptedServer(t, tc.reply)
		s := &SMTP{Address: address, Helo: "a.example"}
		calls := 0
		err := s.HandOver(t.Context(), "r@a.example", "d@b.example", []byte("A: b\r\n\r\nc\r\n"),
			func() error { calls++; return tc.taking })
		if !tc.check(err) || calls != 1 {
			t.Errorf("%s: %v, after %d calls", tc.name, err, calls)
		}
		if got := <-ended; got != tc.ended {
			t.Errorf("%s: the end of the mail came: %v", tc.name, got)
		}
	}
}
