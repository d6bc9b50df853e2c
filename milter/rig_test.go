package milter

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailseal/milter/action"
	"mailseal/milter/message"
)

// filter is a Filter that does as a test says. What is nil accepts.
type filter struct {
	wants  Wants
	begin  func(ctx context.Context, m Mail)
	decide func(ctx context.Context, m Mail, whole *message.Message, raw []byte) Outcome

	mu   sync.Mutex
	seen []seen
}

// seen is a message as it was judged.
type seen struct {
	Mail
	envelope message.Envelope
	whole    *message.Message
	raw      []byte
}

type judge struct {
	*filter
	mail Mail
}

func (f *filter) Begin(ctx context.Context, m Mail) Judge {
	if f.begin != nil {
		f.begin(ctx, m)
	}
	return judge{f, m}
}

func (j judge) Wants() Wants { return j.wants }

func (j judge) Decide(ctx context.Context, m *message.Message, raw []byte) Outcome {
	j.mu.Lock()
	env := *j.mail.Envelope
	j.seen = append(j.seen, seen{j.mail, env, m, slices.Clone(raw)})
	j.mu.Unlock()
	if j.filter.decide == nil {
		return Outcome{Action: action.Accept}
	}
	return j.filter.decide(ctx, j.mail, m, raw)
}

// last returns the message that was judged last.
func (f *filter) last(t testing.TB) seen {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.seen) == 0 {
		t.Fatal("no message was judged")
	}
	return f.seen[len(f.seen)-1]
}

// counts is a Metrics that remembers.
type counts struct {
	mu       sync.Mutex
	events   map[Event]int
	messages map[string]int
	open     int
}

func (c *counts) Message(role action.Role, done action.Action, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages[role.String()+" "+done.String()]++
}

func (c *counts) Connections(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open += n
}

func (c *counts) Event(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events[e]++
}

func (c *counts) event(e Event) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.events[e]
}

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// with returns the lines that have all of the given parts.
func (l *lines) with(parts ...string) []string {
	var out []string
	for line := range strings.Lines(l.String()) {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			out = append(out, line)
		}
	}
	return out
}

// rig is a Server at work.
type rig struct {
	t      testing.TB
	server *Server
	path   string
	log    *lines
	counts *counts
	stop   context.CancelFunc
	ended  chan error
}

// serve starts a Server on a unix socket, which is stopped with the test.
func serve(t testing.TB, s Settings, change ...func(*Options, *ListenOptions)) *rig {
	t.Helper()
	r := &rig{t: t, log: &lines{}, counts: &counts{events: map[Event]int{},
		messages: map[string]int{}}, ended: make(chan error, 1)}
	r.path = filepath.Join(t.TempDir(), "s")
	o := Options{
		Log:       slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Metrics:   r.counts,
		DrainSoft: time.Millisecond, DrainHard: 5 * time.Second,
	}
	lo := ListenOptions{Address: "unix:" + r.path, Role: action.RoleAuto}
	for _, c := range change {
		c(&o, &lo)
	}
	l, err := Listen(t.Context(), lo)
	if err != nil {
		t.Fatal(err)
	}
	r.start(o, s, l)
	return r
}

func (r *rig) start(o Options, s Settings, l *Listener) {
	ctx, stop := context.WithCancel(context.Background())
	r.server, r.stop = New(o, s), stop
	go func() { r.ended <- r.server.Serve(ctx, l) }()
	r.t.Cleanup(func() {
		stop()
		r.server.Close()
		if err := <-r.ended; err != nil {
			r.t.Errorf("the server ended with %v", err)
		}
		r.ended <- nil
		if r.t.Failed() {
			r.t.Log(r.log)
		}
	})
}
