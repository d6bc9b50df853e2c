package milter

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mailseal/milter/action"
	"mailseal/milter/guard"
	"mailseal/milter/message"
	"mailseal/milter/miltertest"
)

// patience is how long a test waits for what comes at once on an idle machine.
const patience = 3 * time.Minute

// eventually waits for something that another goroutine does, for as long as no busy machine needs.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not after %s: %s", patience, what)
		}
	}
}

// Each of these closes its connection, is said in one line, and leaves the process alone.
func TestMalformed(t *testing.T) {
	packet := func(code guard.Code,
		data string) string {
		return string(guard.AppendPacket(nil, code, []byte(data)))
	}
	offer := packet(guard.Negotiate, everything)
	hello := offer + packet(guard.Connect, connectData) + packet(guard.Helo, "x\x00")
	for _, c := range []struct{ name, sent string }{
		{"no offer", packet(guard.Mail, "<a@b>\x00")},
		{"empty packet", "\x00\x00\x00\x00"},
		{"packet of 2 GiB", "\x80\x00\x00\x00A"},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n"},
		{"empty offer", packet(guard.Negotiate, "")},
		{"empty packet after the offer", offer + "\x00\x00\x00\x00"},
		{"CONNECT without data", offer + packet(guard.Connect, "")},
		{"CONNECT with a host alone", offer + packet(guard.Connect, "host")},
		{"CONNECT without a family", offer + packet(guard.Connect, "host\x00")},
		{"CONNECT with a strange address", offer + packet(guard.Connect, "host\x004\x00\x19evil\x00")},
		{"MACRO without data", offer + packet(guard.Macro, "")},
		{"unknown command", offer + packet('z', "")},
		{"HEADER without a name", hello + packet(guard.Mail, "<a@b>\x00") + packet(guard.Rcpt,
			"<a@b>\x00") + packet(guard.Header, "\x00a\x00")},
		{"HEADER with a NUL", hello + packet(guard.Mail, "<a@b>\x00") + packet(guard.Rcpt,
			"<a@b>\x00") + packet(guard.Header, "a\x00b\x00c\x00")},
		{"BODY before MAIL", hello + packet(guard.Body, "x")},
		{"end of message before MAIL", hello + packet(guard.EndOfBody, "")},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := serve(t, Settings{Filter: &filter{}})
			nc, err := net.Dial("unix", r.path)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if _, err := io.WriteString(nc, c.sent); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, nc); err != nil &&
				!errors.Is(err, syscall.ECONNRESET) {
				t.Fatal(err)
			}
			eventually(t, "one line, one count", func() bool {
				return len(r.log.with("level=WARN", `msg="connection closed"`,
					"malformed packet")) == 1 && r.counts.event(Malformed) == 1
			})
			if got := r.dial(postfix).deliver(letter("Q1")); got.Refused() {
				t.Errorf("afterwards: %v", got.Reply)
			}
		})
	}
}

// Someone who looks whether the port is open, or leaves between two packets, is not worth a line.
func TestPortScan(t *testing.T) {
	r := serve(t, Settings{Filter: &filter{}})
	nc, err := net.Dial("unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	c := r.dial(postfix)
	c.must(c.Close())
	eventually(t, "all connections end", func() bool {
		return r.server.open() == 0 && r.server.places.inUse() == 0
	})
	if got := r.log.with("peer="); len(got) > 0 {
		t.Errorf("got %q", got)
	}
}

func TestTooSlow(t *testing.T) {
	r := serve(t, Settings{Filter: &filter{}},
		func(o *Options, _ *ListenOptions) { o.Limits.InPacket = 10 * time.Millisecond })
	w := r.wire()
	w.hello()
	if _, err := w.nc.Write([]byte("\x00\x00")); err != nil {
		t.Fatal(err)
	}
	w.wantClosed()
	eventually(t, "it is said and counted", func() bool {
		return r.counts.event(Broken) == 1 &&
			len(r.log.with(`msg="connection lost"`)) == 1
	})
}

func TestLacking(t *testing.T) {
	r := serve(t, Settings{Filter: &filter{}})
	for range 2 {
		r.dial(oldMTA)
	}
	if got := r.log.with("the MTA does not support a feature", "HDR_LEADSPC"); len(got) != 1 {
		t.Errorf("said %d times", len(got))
	}
}

// gate is a filter whose judges wait to be let through.
func gate() (f *filter, reached chan string, open chan struct{}) {
	reached, open = make(chan string, 10), make(chan struct{})
	return &filter{decide: func(_ context.Context, m Mail, _ *message.Message, _ []byte) Outcome {
		reached <- m.Envelope.QueueID
		<-open
		return Outcome{Action: action.Accept}
	}}, reached, open
}

// A message ends with the settings that it began with, and the next one on the same connection has
// the new ones.
func TestReload(t *testing.T) {
	r := serve(t, Settings{Filter: &filter{}, Roles: Roles{Networks: prefixes("0.0.0.0/0")}})
	c := r.dial(postfix)
	second := &filter{}
	begun, err := c.Begin(letter("Q1"))
	c.must(err)
	r.server.Reload(Settings{Filter: second})
	if got, err := c.Finish(begun); err != nil || got.Refused() || len(second.seen) != 0 {
		t.Errorf("the message in progress was judged by the new filter: %v, %v", got.Reply, err)
	}
	c.deliver(letter("Q2"))
	if got := second.last(t); got.Role != action.RoleTheirs || got.envelope.QueueID != "Q2" {
		t.Errorf("the next message: %s, %s", got.Role, got.envelope.QueueID)
	}
}

func TestConnectionLimit(t *testing.T) {
	r := serve(t, Settings{Filter: &filter{}},
		func(o *Options, _ *ListenOptions) { o.Connections = 2 })
	first, second := r.dial(postfix), r.dial(postfix)
	third := make(chan error)
	go func() {
		c, err := miltertest.Dial(t.Context(), "unix:"+r.path, postfix) // returns after HELO
		if err == nil {
			_, err = c.Send(letter("Q1"))
			c.Close()
		}
		third <- err
	}()
	eventually(t, "the third waits", func() bool { return r.counts.event(AtLimit) == 1 })
	second.deliver(letter("Q2")) // those within the limit do not notice
	select {
	case err := <-third:
		t.Fatalf("the third connection was served: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	first.must(first.Close())
	if err := <-third; err != nil {
		t.Error(err)
	}
	if len(r.log.with("the limit of connections is reached")) != 1 {
		t.Error("nothing was said")
	}
}

// failing is a listener that fails before each connection.
type failing struct {
	net.Listener
	left atomic.Int32
}

func (f *failing) Accept() (net.Conn, error) {
	if f.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return f.Listener.Accept()
}

func TestAcceptErrors(t *testing.T) {
	r := &rig{t: t, log: &lines{}, counts: &counts{events: map[Event]int{},
		messages: map[string]int{}}, ended: make(chan error, 1)}
	r.path = filepath.Join(t.TempDir(), "s")
	l, err := Listen(t.Context(), ListenOptions{Address: "unix:" + r.path, Role: action.RoleAuto})
	if err != nil {
		t.Fatal(err)
	}
	f := &failing{Listener: l.Listener}
	f.left.Store(4)
	l.Listener = f
	start := time.Now() // before the first pause begins
	r.start(Options{Metrics: r.counts}, Settings{Filter: &filter{}}, l)
	r.dial(postfix)
	if n, took := r.counts.event(AcceptError), time.Since(start); n != 4 ||
		took < 75*time.Millisecond {
		t.Errorf("after %d errors it went on within %v, want 4 errors with pauses of 5, 10, 20 and 40 ms", n, took)
	}
}

// With no file descriptor left, the server waits for one and serves on.
func TestOutOfFiles(t *testing.T) {
	r := serve(t, Settings{Filter: &filter{}})
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	var taken []*os.File
	free := func() {
		for _, f := range taken {
			f.Close()
		}
		taken = nil
	}
	defer func() {
		free()
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
		}
	}()
	low := old
	low.Cur = 64
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("unix", r.path) // the last but one
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	eventually(t, "accepted", func() bool { return r.server.places.inUse() == 1 })
	spare, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	for {
		f, err := os.Open("/dev/null")
		if err != nil {
			break
		}
		taken = append(taken, f)
	}
	spare.Close()
	// takes the descriptor of spare; there is none for the other end
	late, err := net.Dial("unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	eventually(t, "it fails to accept", func() bool { return r.counts.event(AcceptError) > 1 })
	free()
	offer := guard.AppendPacket(nil, guard.Negotiate, []byte(everything))
	if _, err := late.Write(offer); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(late, make([]byte, 17)); err != nil {
		t.Errorf("the connection that had to wait was not served: %v", err)
	}
}

// Many connections at once, for the race detector.
func TestParallel(t *testing.T) {
	f := &filter{wants: Wants{Hashes: []message.BodyHash{{Limit: message.Whole}}}}
	r := serve(t, Settings{Filter: f, Roles: ours},
		func(o *Options, _ *ListenOptions) { o.Limits.Progress = time.Millisecond })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c := r.dial(postfix)
			for range 20 {
				if got := c.deliver(letter("Q1")); got.Refused() {
					t.Errorf("got %v", got.Reply)
				}
				r.server.Reload(Settings{Filter: f, Roles: ours})
			}
		})
	}
	wg.Wait()
	if n := r.counts.messages["theirs accept"]; n != 160 {
		t.Errorf("%d messages counted", n)
	}
}

func TestTwoListeners(t *testing.T) {
	f := &filter{}
	r := &rig{t: t, log: &lines{}, counts: &counts{events: map[Event]int{},
		messages: map[string]int{}}, ended: make(chan error, 1)}
	dir := t.TempDir()
	var ls []*Listener
	for _, role := range []action.Role{action.RoleRelay, action.RoleTheirs} {
		ls = append(ls, listen(t, ListenOptions{Address: "unix:" +
			filepath.Join(dir, role.String()), Role: role}))
	}
	ctx, stop := context.WithCancel(t.Context())
	r.server = New(Options{DrainSoft: 1, DrainHard: time.Second}, Settings{Filter: f})
	go func() { r.ended <- r.server.Serve(ctx, ls...) }()
	for _, l := range ls {
		r.path = l.address.Target
		x := letter("Q1")
		x.Auth = "alice"
		r.dial(sendmail).deliver(x)
		isPeer := func(p Peer) bool {
			return p.Listener == l.String() && p.Address == "local" && p.Connections == 1
		}
		if !slices.ContainsFunc(r.server.Peers(), isPeer) ||
			!slices.Contains(r.server.Listening(), l.String()) {
			t.Errorf("%s: peers %+v, listening %v", l, r.server.Peers(), r.server.Listening())
		}
		if got := f.last(t); got.Role != l.Role || got.Why != ByListener ||
			got.envelope.Listener != l.String() {
			t.Errorf("%s: got %s by %s at %s", l, got.Role, got.Why, got.envelope.Listener)
		}
	}
	stop()
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
}

// The macros that decide roles are asked for.
func TestRoleMacrosAreAskedFor(t *testing.T) {
	f := &filter{}
	r := serve(t, Settings{Filter: f,
		Roles: Roles{Macros: map[string][]string{"tls_version": nil, "r": {"ESMTPSA"}}}})
	o := sendmail
	o.Macros = map[string]string{"{tls_version}": "TLSv1.3"}
	c := r.dial(o)
	for _, stage := range []guard.Stage{guard.StageConnect, guard.StageMail} {
		asked := c.Agreement().Macros[stage]
		if !slices.Contains(asked, "{tls_version}") || !slices.Contains(asked, "r") {
			t.Errorf("stage %d: asked for %q", stage, asked)
		}
	}
	c.deliver(letter("Q1"))
	if got := f.last(t); got.Role != action.RoleOurs || got.Why != ByMacro {
		t.Errorf("got %s by %s", got.Role, got.Why)
	}
}
