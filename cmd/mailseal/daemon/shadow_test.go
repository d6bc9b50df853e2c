package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/milter/guard"
	"mailseal/milter/miltertest"
	"mailseal/milter/shadow"
)

// TestShadow has the daemon before another one, which signs with another selector: the MTA gets the
// old one's signature, the log the difference, and the end the table.
func TestShadow(t *testing.T) {
	old, now := filepath.Join(t.TempDir(), "old.toml"), filepath.Join(t.TempDir(), "new.toml")
	dir := t.TempDir()
	text := strings.ReplaceAll(serveKeys, "%DIR%", dir)
	for path, selector := range map[string]string{old: "good", now: "new"} {
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "good", selector)),
			0o600); err != nil {
			t.Fatal(err)
		}
	}
	background(t, func(ctx context.Context, ready func()) error { return serve(ctx, old, ready) })
	f := ShadowOptions{Listen: "unix:" + dir + "/shadow", Upstream: "unix:" + dir + "/s",
		Mode: 0o660, Role: "ours"}
	var out bytes.Buffer
	stop := background(t, func(ctx context.Context, ready func()) error {
		return runShadow(ctx, f, now, &out, io.Discard, ready)
	})
	c, err := miltertest.Dial(t.Context(), f.Listen, miltertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := miltertest.Message{From: "a@example.com", To: []string{"b@example.net"},
		Raw: []byte("From: a@example.com\n\nhello\n")}
	o, err := c.Send(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	stop()
	if got := string(o.Delivered()); !strings.Contains(got, "s=good;") ||
		strings.Contains(got, "s=new;") {
		t.Errorf("the MTA has\n%s\nwant the old milter's signature and no other", got)
	}
	for _, want := range []string{
		"msg=differs", "in=signed", "signed_theirs=example.com/good/ed25519-sha256",
		"signed_ours=example.com/new/ed25519-sha256",
		"1  messages", "1  differ in: signed",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log says\n%s\nwithout %q", out.String(), want)
		}
	}
}

// background runs something until stop is called or the test ends, and returns once it is ready.
func background(t *testing.T, run func(ctx context.Context, ready func()) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- run(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	isStopped := false
	stop = func() {
		if cancel(); !isStopped {
			isStopped = true
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

// shadowRig has an old milter, which accepts everything, and a shadow before it whose configuration
// is at config.
type shadowRig struct {
	t      *testing.T
	dir    string
	config string
	f      ShadowOptions
	log    string
	errs   lockedBuffer
	stop   func()
}

func newShadowRig(t *testing.T, config string) *shadowRig {
	t.Helper()
	r := &shadowRig{t: t, dir: t.TempDir()}
	r.config, r.log = filepath.Join(r.dir, "mailseal.toml"), filepath.Join(r.dir, "shadow.log")
	r.f = ShadowOptions{Listen: "unix:" + r.dir + "/shadow", Upstream: "unix:" + r.dir + "/old",
		Mode: 0o660, Role: "ours", Log: r.log}
	r.configure(config)
	l, err := net.Listen("unix", r.dir+"/old")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go acceptAll(l)
	return r
}

// acceptAll is an old milter that looks at each message to its end and lets it pass.
func acceptAll(l net.Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer nc.Close()
			f, asks := guard.NewFramer(nc, guard.Limits{}),
				guard.Agreement{Version: 6, Protocol: guard.LeadingSpace}
			for {
				p, err := f.ReadPacket()
				switch {
				case err != nil || p.Code == guard.Quit:
					return
				case p.Code == guard.Negotiate:
					_ = f.WritePacket(guard.Negotiate, asks.Data())
				case asks.Answers(p.Code):
					_ = f.WritePacket(guard.Continue)
				}
			}
		}()
	}
}

func (r *shadowRig) configure(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.config, []byte(strings.ReplaceAll(text, "%DIR%", r.dir)),
		0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *shadowRig) start() {
	r.t.Helper()
	r.stop = background(r.t, func(ctx context.Context, ready func()) error {
		return runShadow(ctx, r.f, r.config, io.Discard, &r.errs, ready)
	})
}

// send sends a message, which must be accepted as it is.
func (r *shadowRig) send() {
	r.t.Helper()
	c, err := miltertest.Dial(r.t.Context(), r.f.Listen, miltertest.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	o, err := c.Send(miltertest.Message{From: "a@example.com", To: []string{"b@example.net"},
		Raw: []byte("From: a@example.com\n\nhello\n")})
	if err != nil || o.Refused() || len(o.Edits) != 0 {
		r.t.Errorf("the MTA gets %v, %d edits, %v", o.Reply, len(o.Edits), err)
	}
	if err := c.Quit(); err != nil {
		r.t.Error(err)
	}
}

// await waits until a file has a text.
func (r *shadowRig) await(file, text string) {
	r.t.Helper()
	var got []byte
	var err error
	if !rig.Await(func() bool {
		got, err = os.ReadFile(file)
		return strings.Contains(string(got), text)
	}) {
		r.t.Fatalf("%s has no %q, %v:\n%s%s", file, text, err, got, r.errs.String())
	}
}

// lockedBuffer is a bytes.Buffer that a goroutine writes while a test reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestShadowReload holds that mail goes on with a configuration that cannot be used, that a reload
// puts one into effect that can, and that the log is opened again each time.
func TestShadowReload(t *testing.T) {
	for name, broken := range map[string]string{
		"no configuration": "polizei = 1\n",
		"no key": strings.Replace(serveKeys,
			`private_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="`, `file = "gone.pem"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			told := systemd(t)
			r := newShadowRig(t, broken)
			r.start()
			if got := told(); !strings.Contains(got, "READY=1") {
				t.Errorf("systemd was told %q", got)
			}
			r.send()
			r.await(r.log, "no configuration that can be used")
			if !strings.Contains(r.errs.String(), "nothing is judged until a reload") {
				t.Errorf("nobody was told:\n%s", r.errs.String())
			}
			kill(t, syscall.SIGHUP)
			if told(); !strings.Contains(told(), "old configuration") {
				t.Error("a reload of the same mistake was none")
			}
			r.configure(serveKeys)
			if err := os.Rename(r.log, r.log+".1"); err != nil {
				t.Fatal(err)
			}
			kill(t, syscall.SIGHUP)
			if got := told() + told(); strings.Contains(got, "old configuration") {
				t.Errorf("not reloaded:\n%s", r.errs.String())
			}
			r.send()
			r.await(r.log, "msg=differs")
			r.configure(strings.ReplaceAll(serveKeys, "good", "better"))
			kill(t, syscall.SIGHUP)
			told()
			told()
			r.send()
			r.await(r.log, "example.com/better/")
			r.stop()
			if got := told(); !strings.Contains(got, "STOPPING=1") {
				t.Errorf("systemd was told %q", got)
			}
		})
	}
}

// TestShadowFullDisk holds that mail goes on when nothing can be logged, that it is said once, and
// counted.
func TestShadowFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	r := newShadowRig(t, serveKeys+"[metrics]\naddress = \"127.0.0.1:0\"\n")
	r.f.Log = "/dev/full"
	r.start()
	for range 3 {
		r.send()
	}
	r.stop()
	if n := strings.Count(r.errs.String(), "the log cannot be written"); n != 1 {
		t.Errorf("said %d times:\n%s", n, r.errs.String())
	}
}

// TestShadowNoLog holds that a log that cannot be made keeps no one from serving mail, nor a syslog
// that is not there.
func TestShadowNoLog(t *testing.T) {
	for _, more := range []string{"", "[log]\nsyslog = \"mail\"\n"} {
		r := newShadowRig(t, serveKeys+more)
		r.f.Log = filepath.Join(r.dir, "no", "such", "directory", "log")
		r.start()
		r.send()
		r.stop()
		if more == "" && !strings.Contains(r.errs.String(), "the file of --log cannot be opened") {
			t.Errorf("nobody was told:\n%s", r.errs.String())
		}
	}
}

// TestShadowSilentDNS holds that a DNS that never answers does not hold up mail.
func TestShadowSilentDNS(t *testing.T) {
	hole, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	r := newShadowRig(t, serveKeys+"[dns]\nservers = [\""+hole.LocalAddr().String()+
		"\"]\ntimeout = \"1m\"\n[limits]\nmessage_deadline = \"5m\"\ndrain_soft = \"10ms\"\ndrain_hard = \"10ms\"\n")
	r.f.Role = "theirs"
	r.start()
	r.send()
	text, err := os.ReadFile(r.log)
	if err != nil || len(text) > 0 {
		t.Errorf("judged before the MTA had its answer: %s, %v", text, err)
	}
	r.stop()
	r.await(r.log, "why=stopped")
}

// TestShadowMetrics holds that what is counted is shown.
func TestShadowMetrics(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	recorder := shadow.NewRecorder(log, log)
	m := newMetrics("test")
	m.registry.MustRegister(shadowMetrics{recorder})
	upstream := func(context.Context) (net.Conn, error) { return nil, errors.New("away") }
	proxy := shadow.New(shadow.Options{Upstream: upstream, Judge: upstream, Recorder: recorder})
	pipe := shadow.NewPipe()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- proxy.Serve(ctx, pipe) }()
	nc, err := pipe.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%v, want the end", err)
	}
	stop()
	if err := errors.Join(<-ended, recorder.Close(time.Minute)); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	metricsHandler(m, &health{}, false).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`mailseal_shadow_upstream_errors_total{error="unreached"} 1`,
		`mailseal_shadow_messages_total{outcome="same"} 0`,
		`mailseal_shadow_differences_total{kind="signed"} 0`, "mailseal_shadow_unlogged_total 0",
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s", want)
		}
	}
}

// serve runs the daemon with the configuration at a path.
func serve(ctx context.Context, path string, ready func()) error {
	d, err := build(ctx, path, io.Discard)
	if err != nil {
		return err
	}
	return d.Run(ctx, ready)
}

// runShadow runs the daemon beside an old milter with the configuration at a path.
func runShadow(ctx context.Context, o ShadowOptions, path string, stdout, stderr io.Writer,
	ready func()) error {
	o.Load, o.Stdout, o.Stderr, o.Version = loader(path), stdout, stderr, "test"
	return Shadow(ctx, o, ready)
}
