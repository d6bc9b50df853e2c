package rig

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Reply is an SMTP server's answer.
type Reply struct {
	Code int
	Text string // without codes; the lines of a longer reply are joined by LF
}

func (r Reply) String() string { return fmt.Sprintf("%d %s", r.Code, r.Text) }

// Client is an SMTP client that sends what it is told to, sensible or not. It fails the test when
// the connection breaks.
type Client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

// Dial connects from an address of loopback ("127.0.0.2" is a stranger, "" is anything that fits)
// and reads the banner and the answer to EHLO.
func Dial(t testing.TB, address, from string) *Client {
	t.Helper()
	d := net.Dialer{Timeout: patience}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	conn, err := d.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &Client{t: t, conn: conn, r: bufio.NewReader(conn)}
	c.want(c.reply(), 220)
	c.want(c.Do("EHLO client.example"), 250)
	return c
}

// Do sends one command and returns the reply.
func (c *Client) Do(command string) Reply {
	c.t.Helper()
	c.write([]byte(command + "\r\n"))
	return c.reply()
}

// Authenticate uses AUTH PLAIN with an initial response.
func (c *Client) Authenticate(user, password string) {
	c.t.Helper()
	secret := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
	c.want(c.Do("AUTH PLAIN "+secret), 235)
}

// StartTLS goes on in TLS, whatever name the server's certificate has, and greets it again as helo.
func (c *Client) StartTLS(helo string) {
	c.t.Helper()
	c.want(c.Do("STARTTLS"), 220)
	c.conn = tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true})
	c.r = bufio.NewReader(c.conn)
	c.want(c.Do("EHLO "+helo), 250)
}

// Mail is a message and its envelope. Message may have LF or CRLF line ends.
type Mail struct {
	From    string
	To      []string
	Message string
}

// Envelope sends MAIL and RCPT and requires that both are taken.
func (c *Client) Envelope(from string, to ...string) {
	c.t.Helper()
	c.want(c.Do("MAIL FROM:<"+from+">"), 250)
	for _, rcpt := range to {
		c.want(c.Do("RCPT TO:<"+rcpt+">"), 250)
	}
}

// Send sends a message and returns the reply to its final dot.
func (c *Client) Send(m Mail) Reply {
	c.t.Helper()
	c.Envelope(m.From, m.To...)
	return c.Data(m.Message)
}

// Deliver is Send for a message that must be taken.
func (c *Client) Deliver(m Mail) {
	c.t.Helper()
	c.want(c.Send(m), 250)
}

// Data sends DATA and a message, and returns the reply to the final dot.
func (c *Client) Data(message string) Reply {
	c.t.Helper()
	c.want(c.Do("DATA"), 354)
	c.write(stuff(message))
	c.write([]byte(".\r\n"))
	return c.reply()
}

// Abort sends DATA and a part of a message, then hangs up.
func (c *Client) Abort(part string) {
	c.t.Helper()
	c.want(c.Do("DATA"), 354)
	c.write(stuff(part))
	c.conn.Close()
}

// Quit ends the session.
func (c *Client) Quit() {
	c.t.Helper()
	c.want(c.Do("QUIT"), 221)
	c.conn.Close()
}

func (c *Client) want(r Reply, code int) {
	c.t.Helper()
	if r.Code != code {
		c.t.Fatalf("server said %q, want %d", r, code)
	}
}

func (c *Client) write(b []byte) {
	c.t.Helper()
	c.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *Client) reply() Reply {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(2 * patience))
	var r Reply
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("reading a reply: %v", err)
		}
		line = strings.TrimRight(line, "\r\n")
		if len(line) < 3 {
			c.t.Fatalf("not an SMTP reply: %q", line)
		}
		r.Code, _ = strconv.Atoi(line[:3])
		if len(line) > 4 {
			r.Text += line[4:]
		}
		if len(line) == 3 || line[3] == ' ' {
			return r
		}
		r.Text += "\n"
	}
}

// stuff makes CRLF of LF and doubles leading dots. The message ends with a line end, as DATA needs.
func stuff(message string) []byte {
	var b bytes.Buffer
	for line := range strings.SplitAfterSeq(message, "\n") {
		line, ended := strings.CutSuffix(line, "\n")
		if line == "" && !ended {
			continue
		}
		if strings.HasPrefix(line, ".") {
			b.WriteByte('.')
		}
		b.WriteString(strings.TrimSuffix(line, "\r"))
		b.WriteString("\r\n")
	}
	return b.Bytes()
}
