package shadow_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/guard"
	"mailseal/milter/message"
	"mailseal/milter/miltertest"
	"mailseal/milter/shadow"
)

// standIn is an old milter: what it asks for, and what it says to each command. What it says
// nothing to it continues, where it has agreed to answer.
type standIn struct {
	asks guard.Agreement
	// count: of the commands of this code, from 1
	says func(p guard.Packet, count int) []guard.Packet

	path  string
	mu    sync.Mutex
	ended *sync.Cond
	open  int // connections
	saw   []string
}

// hangUp as an answer closes the connection.
var hangUp = guard.Packet{}

func (s *standIn) listen(t testing.TB) {
	t.Helper()
	if s.path == "" {
		s.path = filepath.Join(t.TempDir(), "old")
	}
	l, err := net.Listen("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s.ended = sync.NewCond(&s.mu)
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			s.count(1)
			go s.serve(nc)
		}
	}()
}

func (s *standIn) serve(nc net.Conn) {
	defer s.count(-1)
	defer nc.Close()
	f := guard.NewFramer(nc, guard.Limits{})
	count := map[guard.Code]int{}
	for {
		p, err := f.ReadPacket()
		if err != nil {
			return
		}
		s.note(p)
		if p.Code == guard.Negotiate {
			f.WritePacket(guard.Negotiate, s.asks.Data())
			continue
		}
		count[p.Code]++
		var answers []guard.Packet
		if s.says != nil {
			answers = s.says(p, count[p.Code])
		}
		if answers == nil && s.asks.Answers(p.Code) {
			answers = []guard.Packet{{Code: guard.Continue}}
		}
		for _, a := range answers {
			if a.Code == 0 {
				f.Flush()
				return
			}
			f.WritePacket(a.Code, a.Data)
		}
		if p.Code == guard.Quit {
			f.Flush()
			return
		}
	}
}

func (s *standIn) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open += n
	s.ended.Broadcast()
}

func (s *standIn) note(p guard.Packet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saw = append(s.saw, p.Code.String()+" "+string(p.Data))
}

// seen returns what came since the last time, once all connections have ended.
func (s *standIn) seen() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.open > 0 {
		s.ended.Wait()
	}
	all := strings.Join(s.saw, "\n")
	s.saw = nil
	return all
}

func (s *standIn) dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", s.path)
}

// ours is a Filter that does as a test says; nil accepts.
type ours func(ctx context.Context, m milter.Mail) milter.Outcome

type judge struct {
	ours
	mail milter.Mail
}

func (o ours) Begin(_ context.Context, m milter.Mail) milter.Judge { return judge{o, m} }

func (judge) Wants() milter.Wants {
	return milter.Wants{Hashes: []message.BodyHash{{Canonicalization: message.Relaxed, Limit: -1}}}
}

func (j judge) Decide(ctx context.Context, _ *message.Message, _ []byte) milter.Outcome {
	if j.ours == nil {
		return milter.Outcome{Action: action.Accept}
	}
	return j.ours(ctx, j.mail)
}

// rig is a Proxy at work.
type rig struct {
	t        testing.TB
	path     string
	log      bytes.Buffer // to be read after stop
	recorder *shadow.Recorder
	stop     func()
}

func start(t testing.TB, old *standIn, filter milter.Filter, change ...func(*shadow.Options)) *rig {
	t.Helper()
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "new")}
	server := milter.New(milter.Options{},
		milter.Settings{Filter: filter, Deadline: 500 * time.Millisecond})
	pipe := shadow.NewPipe()
	ctx, cancel := context.WithCancel(context.Background())
	inner, cut := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { server.Serve(inner, &milter.Listener{Listener: pipe, Role: action.RoleAuto}) })
	r.recorder = shadow.NewRecorder(slog.New(slog.NewJSONHandler(&r.log, nil)), nil)
	o := shadow.Options{Upstream: old.dial, Judge: pipe.Dial, Recorder: r.recorder,
		Patience: 10 * time.Second, DrainSoft: 5 * time.Second}
	for _, f := range change {
		f(&o)
	}
	l, err := net.Listen("unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	proxied := make(chan struct{})
	go func() {
		defer close(proxied)
		shadow.New(o).Serve(ctx, l)
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		<-proxied
		if err := r.recorder.Close(time.Minute); err != nil {
			t.Error(err)
		}
		cut()
		server.Close()
		wg.Wait()
	})
	t.Cleanup(r.stop)
	return r
}

// lines stops the rig and returns what was logged.
func (r *rig) lines() []map[string]any {
	r.t.Helper()
	r.stop()
	var out []map[string]any
	for line := range strings.Lines(r.log.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			r.t.Fatalf("%v in %q", err, line)
		}
		out = append(out, m)
	}
	return out
}

// dial connects as an MTA.
func dial(t testing.TB, path string, as miltertest.MTA, o miltertest.Options) *miltertest.Conn {
	t.Helper()
	o.As = as
	o.Now = func() time.Time { return time.Unix(1700000000, 0).UTC() }
	o.Timeout = 30 * time.Second
	c, err := miltertest.Dial(t.Context(), "unix:"+path, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// numbered is the data of an edit with an index.
func numbered(index byte, name, value string) []byte {
	return append([]byte{0, 0, 0, index}, name+"\x00"+value+"\x00"...)
}

func packet(c guard.Code, data string) guard.Packet {
	return guard.Packet{Code: c, Data: []byte(data)}
}

// atEnd says the packets at the end of each message.
func atEnd(ps ...guard.Packet) func(guard.Packet, int) []guard.Packet {
	return func(p guard.Packet, _ int) []guard.Packet {
		if p.Code == guard.EndOfBody {
			return ps
		}
		return nil
	}
}

// at says the packets at the first command of a code.
func at(code guard.Code, ps ...guard.Packet) func(guard.Packet, int) []guard.Packet {
	return func(p guard.Packet, count int) []guard.Packet {
		if p.Code == code && count == 1 {
			return ps
		}
		return nil
	}
}
