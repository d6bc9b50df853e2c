package setup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"mailseal/cmd/mailseal/control"
)

// Test is the result of the test message.
type Test struct {
	Recipient string `json:"recipient"`
	Reply     string `json:"reply"` // of the mail server, at the end of the message or before
	Good      bool   `json:"good"`  // the daemon answered, and would have signed
}

// testTime bounds the whole conversation with the mail server.
const testTime = 90 * time.Second

// tryOut hands the mail server a message to a recipient of one time below .invalid, which the
// daemon refuses with what it would have done. Nothing is delivered, and nothing leaves the host.
func (r *run) tryOut() error {
	a, err := control.Ask(r.ctx, r.cfg.Control.Address, control.Request{Command: control.Test})
	if err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	if err == nil && a.Recipient == "" {
		err = control.ErrMalformed
	}
	if err != nil {
		r.fault("the daemon cannot expect a test message: %v", err)
		return nil
	}
	t := &Test{Recipient: a.Recipient}
	r.result.Test = t
	id, err := r.sendTest(t)
	switch {
	case err != nil:
		r.fault("the test message could not be sent to the mail server at %s: %v", r.SMTP, err)
	case id != "":
		r.fault("the mail server accepted the test message, so it did not reach the daemon: %s",
			t.Reply)
		if err := r.dequeue(id); err != nil {
			r.fault("the test message %s to %s is still in the queue: %v", id, t.Recipient, err)
		} else {
			r.done("removed the test message %s from the queue", id)
		}
	case !strings.Contains(t.Reply, "Mailseal test"):
		r.fault("the mail server itself refused the test message: %s", t.Reply)
	case !strings.Contains(t.Reply, "signed"):
		r.fault("the daemon got the test message, and would not have signed it: %s", t.Reply)
	default:
		t.Good = true
		r.done("the test message reached the daemon: %s", t.Reply)
	}
	return nil
}

// sendTest speaks SMTP. The id is that of the queue, "" unless the message was taken.
func (r *run) sendTest(t *Test) (id string, err error) {
	ctx, cancel := context.WithTimeout(r.ctx, testTime)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", r.SMTP)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	deadline, _ := ctx.Deadline()
	if err := nc.SetDeadline(deadline); err != nil {
		return "", err
	}
	c := textproto.NewConn(nc)
	if _, _, err := c.ReadResponse(220); err != nil {
		return "", err
	}
	for _, step := range []struct {
		line string
		want int
	}{{"EHLO localhost", 250}, {"MAIL FROM:<>", 250}, {"RCPT TO:<" + t.Recipient + ">", 250},
		{"DATA", 354}} {
		if err := c.PrintfLine("%s", step.line); err != nil {
			return "", err
		}
		code, text, err := c.ReadResponse(step.want)
		if err != nil {
			t.Reply = fmt.Sprintf("%s: %d %s", step.line, code, text)
			return "", nil
		}
	}
	w := c.DotWriter()
	if err := writeTest(w, r.Domains[0], t.Recipient, r.Now()); err != nil {
		return "", err
	}
	code, text, err := c.ReadResponse(0)
	if err != nil && code == 0 {
		return "", err
	}
	t.Reply = fmt.Sprintf("%d %s", code, strings.ReplaceAll(text, "\n", " "))
	_ = c.PrintfLine("QUIT") // the answer is known
	if code/100 == 2 {
		return queueID(text), nil
	}
	return "", nil
}

func writeTest(w io.WriteCloser, d, recipient string, now time.Time) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(
		b,
		"From: postmaster@%s\r\nTo: %s\r\nDate: %s\r\nMessage-ID: <setup.%s>\r\nSubject: Mailseal setup test\r\n\r\n"+
			"Mailseal refuses this message at its end, so that it is not delivered.\r\n",
		d,
		recipient,
		now.Format(time.RFC1123Z),
		recipient,
	)
	return errors.Join(b.Flush(), w.Close())
}

// queuedAs finds the id in what Postfix ("queued as 4XQ1") and Sendmail ("4AB0 Message accepted for
// delivery") reply.
var queuedAs = regexp.MustCompile(`queued as ([0-9A-Za-z]+)|([0-9A-Za-z]+) Message accepted`)

func queueID(text string) string {
	m := queuedAs.FindStringSubmatch(text)
	switch {
	case m == nil:
		return "unknown"
	case m[1] != "":
		return m[1]
	}
	return m[2]
}

// dequeue takes a message out of the queue.
func (r *run) dequeue(id string) error {
	if id == "unknown" {
		return errors.New("the mail server did not report its id")
	}
	if r.result.Host.MTA == "postfix" {
		_, err := r.Run(r.ctx, "postsuper", "-c", r.Postfix, "-d", id)
		return err
	}
	return removeQueued("/var/spool/mqueue", id)
}

// removeQueued removes the files of a message from Sendmail's queue: qf, df and others, with the id
// behind two letters.
func removeQueued(dir, id string) error {
	n := 0
	for _, sub := range []string{dir, filepath.Join(dir, "*")} {
		found, _ := filepath.Glob(filepath.Join(sub, "?f"+id)) // the pattern is well-formed
		for _, path := range found {
			if err := os.Remove(path); err != nil {
				return err
			}
			n++
		}
	}
	if n == 0 {
		return fmt.Errorf("it has no file below %s", dir)
	}
	return nil
}

func modTime(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
