package guard_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gomilter "github.com/emersion/go-milter"

	"mailseal/milter/guard"
)

// always is a Response after which go-milter keeps its session.
type always struct{ resp gomilter.Response }

func (a always) Response() *gomilter.Message { return a.resp.Response() }
func (always) Continue() bool                { return true }

var verdictContinue = always{gomilter.RespContinue}

// recorder is a filter that writes down what it is told and answers as it was taught.
type recorder struct {
	conn *guard.Conn

	mu     sync.Mutex
	events []string
	mute   bool // write nothing down

	// by event's first word, before all others
	stage map[string]gomilter.Response
	// edits and verdict; default accept
	eom func(m *gomilter.Modifier, c *guard.Conn) (gomilter.Response, error)
	// go-milter's map of fields
	onHeads func(h textproto.MIMEHeader)
}

func (r *recorder) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mute {
		return
	}
	r.events = append(r.events, fmt.Sprintf(format, args...))
}

func (r *recorder) log() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.events...)
}

func (r *recorder) answer(stage string) (gomilter.Response, error) {
	if resp, ok := r.stage[stage]; ok {
		return resp, nil
	}
	return verdictContinue, nil
}

func (r *recorder) Connect(host, family string, port uint16, addr net.IP,
	_ *gomilter.Modifier) (gomilter.Response, error) {
	r.note("CONNECT %s %s %d %v", host, family, port, addr)
	return r.answer("CONNECT")
}

func (r *recorder) Helo(name string, _ *gomilter.Modifier) (gomilter.Response, error) {
	r.note("HELO %s", name)
	return r.answer("HELO")
}

func (r *recorder) MailFrom(from string, _ *gomilter.Modifier) (gomilter.Response, error) {
	s := r.conn.Sender()
	r.note("MAIL %s %s", s.Raw, strings.Join(s.Args, " "))
	return r.answer("MAIL")
}

func (r *recorder) RcptTo(string, *gomilter.Modifier) (gomilter.Response, error) {
	p := r.conn.Recipient()
	r.note("RCPT %s %s", p.Raw, strings.Join(p.Args, " "))
	return r.answer("RCPT")
}

func (r *recorder) Header(name, value string, _ *gomilter.Modifier) (gomilter.Response, error) {
	r.note("HEADER %s:%s", name, value)
	return r.answer("HEADER")
}

func (r *recorder) Headers(h textproto.MIMEHeader, _ *gomilter.Modifier) (gomilter.Response,
	error) {
	r.note("EOH")
	if r.onHeads != nil {
		r.onHeads(h)
	}
	return r.answer("EOH")
}

func (r *recorder) BodyChunk(p []byte, _ *gomilter.Modifier) (gomilter.Response, error) {
	r.note("BODY %s", p)
	return r.answer("BODY")
}

func (r *recorder) Body(m *gomilter.Modifier) (gomilter.Response, error) {
	r.note("EOM")
	if r.eom != nil {
		return r.eom(m, r.conn)
	}
	return always{gomilter.RespAccept}, nil
}

func (r *recorder) Abort(*gomilter.Modifier) error {
	r.note("ABORT")
	return nil
}

// field and body are the recorder's sinks: the same events as through go-milter.
func (r *recorder) field(name, value []byte) error {
	r.note("HEADER %s:%s", name, value)
	return nil
}

func (r *recorder) body(p []byte) error {
	r.note("BODY %s", p)
	return nil
}

// mta is the other end of a guarded connection.
type mta struct {
	t  testing.TB
	nc net.Conn
	*guard.Framer
}

// rig is one guarded connection that go-milter serves.
type rig struct {
	*mta
	filter  *recorder
	conn    chan *guard.Conn // once the handshake is done
	ended   chan error       // why the connection ended
	options guard.Options
	sinks   bool
	onBody  guard.BodySink
}

// dial connects an MTA to a guard before go-milter, without the handshake.
func dial(t testing.TB, o guard.Options, setUp func(*rig)) *rig {
	t.Helper()
	client, server := pair(t)
	r := &rig{
		mta:    &mta{t: t, nc: client, Framer: guard.NewFramer(client, guard.Limits{})},
		filter: &recorder{}, conn: make(chan *guard.Conn, 1), ended: make(chan error, 1), options: o,
	}
	if setUp != nil {
		setUp(r)
	}
	go r.serve(server)
	return r
}

func (r *rig) serve(nc net.Conn) {
	c, err := guard.Handshake(nc, r.options)
	if err != nil {
		nc.Close()
		r.ended <- err
		return
	}
	r.filter.conn = c
	if r.sinks {
		c.OnHeader(r.filter.field)
		c.OnBody(r.filter.body)
	}
	if r.onBody != nil {
		c.OnBody(r.onBody)
	}
	r.conn <- c
	server := gomilter.Server{NewMilter: func() gomilter.Milter {
		r.filter.note("NEW")
		return r.filter
	}}
	if err := server.Serve(c.Listener(func() { r.ended <- c.Err() })); !errors.Is(err,
		net.ErrClosed) {
		r.t.Errorf("Serve: %v", err)
	}
}

// pair returns the two ends of a unix socket.
func pair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	return connect(t, "unix", filepath.Join(t.TempDir(), "s"))
}

func tcpPair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	return connect(t, "tcp", "127.0.0.1:0")
}

func connect(t testing.TB, network, address string) (client, server net.Conn) {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err = net.Dial(network, ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

const (
	allActions  = 0x1ff
	allProtocol = 0x1fffff
)

func offer(version, actions, protocol uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, version)
	b = binary.BigEndian.AppendUint32(b, actions)
	return binary.BigEndian.AppendUint32(b, protocol)
}

// open is dial with a handshake in which the MTA offers everything.
func open(t testing.TB, o guard.Options, setUp func(*rig)) *rig {
	t.Helper()
	r := dial(t, o, setUp)
	r.send(guard.Negotiate, string(offer(6, allActions, allProtocol)))
	r.want(guard.Negotiate)
	return r
}

func (m *mta) send(code guard.Code, data string) {
	m.t.Helper()
	if err := m.WritePacket(code, []byte(data)); err != nil {
		m.t.Fatalf("write %v: %v", code, err)
	}
}

// sendRaw writes octets that need not be packets.
func (m *mta) sendRaw(octets string) {
	m.t.Helper()
	if _, err := io.WriteString(m.nc, octets); err != nil {
		m.t.Fatalf("write: %v", err)
	}
}

// want reads one answer.
func (m *mta) want(code guard.Code) []byte {
	m.t.Helper()
	p, err := m.ReadPacket()
	if err != nil {
		m.t.Fatalf("want answer %v, got error %v", code, err)
	}
	if p.Code != code {
		m.t.Fatalf("want answer %v, got %v %q", code, p.Code, p.Data)
	}
	return p.Data
}

// ask sends a command that is answered with "continue".
func (m *mta) ask(code guard.Code, data string) {
	m.t.Helper()
	m.send(code, data)
	m.want(guard.Continue)
}

// hello brings the conversation to where MAIL may come.
func (m *mta) hello() {
	m.t.Helper()
	m.ask(guard.Connect, "client.example\x004\x30\x39192.0.2.1\x00")
	m.ask(guard.Helo, "client.example\x00")
}

// message sends a message whose header and body are not answered, up to its end.
func (m *mta) message(body string) {
	m.t.Helper()
	m.ask(guard.Mail, "<a@example.com>\x00SIZE=10\x00")
	m.ask(guard.Rcpt, "<b@example.net>\x00")
	m.send(guard.Header, "Subject\x00 one\x00")
	m.send(guard.EndOfHeader, "")
	if body != "" {
		m.send(guard.Body, body)
	}
	m.send(guard.EndOfBody, "")
}

// quit ends the conversation and returns why the guard thinks that it ended.
func (r *rig) quit() error {
	r.t.Helper()
	r.send(guard.Quit, "")
	if err := r.Flush(); err != nil {
		r.t.Fatal(err)
	}
	return r.end()
}

// end waits for the end of the connection.
func (r *rig) end() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(3 * time.Minute): // however busy the machine is
		r.t.Fatal("the connection did not end")
		return nil
	}
}

// closed waits until the guard has closed the connection, and fails if it says anything before.
func (r *rig) closed() {
	r.t.Helper()
	if p, err := r.ReadPacket(); err == nil {
		r.t.Fatalf("want the connection closed, got %v %q", p.Code, p.Data)
	}
}

// scriptedConn hands out its input and notes how much room a reader had at most.
type scriptedConn struct {
	net.Conn // nil: what is not written here must not be called
	input    []byte
	written  []byte
	largest  int

	deadlines []time.Time
}

func (c *scriptedConn) Read(p []byte) (int, error) {
	c.largest = max(c.largest, len(p))
	if len(c.input) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.input)
	c.input = c.input[n:]
	return n, nil
}

func (c *scriptedConn) Write(p []byte) (int, error) {
	c.written = append(c.written, p...)
	return len(p), nil
}

func (c *scriptedConn) SetReadDeadline(d time.Time) error {
	c.deadlines = append(c.deadlines, d)
	return nil
}

func (c *scriptedConn) Close() error                     { return nil }
func (c *scriptedConn) SetWriteDeadline(time.Time) error { return nil }

var defaults = guard.Options{Wishes: guard.DefaultWishes()}

func wantEvents(t *testing.T, r *rig, want ...string) {
	t.Helper()
	if got := r.filter.log(); !slices.Equal(got, want) {
		t.Errorf("the filter saw\n got %q\nwant %q", got, want)
	}
}

func count(events []string, what string) (n int) {
	for _, e := range events {
		if e == what {
			n++
		}
	}
	return n
}

// quiet keeps go-milter's log line about a scripted fault out of the test's output.
func quiet(t *testing.T) {
	log.SetOutput(io.Discard)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
}

var handshake = string(append([]byte("\x00\x00\x00\x0dO"), offer(6, allActions, allProtocol)...))

// addFields makes one edit of every kind that has a field's value.
func addFields(m *gomilter.Modifier, _ *guard.Conn) (gomilter.Response, error) {
	err := errors.Join(m.AddHeader("X", " y"), m.InsertHeader(0, "X", "\tz"),
		m.ChangeHeader(2, "X", ""), m.ChangeHeader(1, "X", "  w"))
	return always{gomilter.RespAccept}, err
}
