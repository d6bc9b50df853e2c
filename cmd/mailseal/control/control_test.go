package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailseal/milter"
)

// serve answers requests until the test ends, and returns the path of the socket.
func serve(t *testing.T, handle func(context.Context, Request) Answer) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "control-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "control")
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	s := &Server{Handle: handle, Log: slog.New(slog.DiscardHandler)}
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return path
}

func TestAsk(t *testing.T) {
	path := serve(t, func(_ context.Context, r Request) Answer {
		switch r.Command {
		case Reload:
			if !r.Accept {
				return Answer{Error: "refused: see https://joe:secret@keys.example/?token=secret"}
			}
			return Answer{Warnings: []string{"one", "two"}}
		case Signed:
			panic("a bug")
		}
		return Answer{Running: &Running{Version: "1", Jobs: []Job{{Name: "keys"}}}}
	})
	for _, tt := range []struct {
		name string
		ask  Request
		want string // in the answer, as JSON
	}{
		{"reload", Request{Command: Reload}, `"error":"refused: see https://***@keys.example/?***"`},
		{"reload with accept", Request{Command: Reload, Accept: true}, `"warnings":["one","two"]`},
		{"status", Request{Command: Status}, `"jobs":[{"name":"keys"}]`},
		{"panic", Request{Command: Signed}, `"error":"a bug in Mailseal; see the daemon's log"`},
		{"unknown", Request{Command: "stop"}, `no command \"stop\"`},
	} {
		a, err := Ask(t.Context(), path, tt.ask)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		text, err := json.Marshal(a)
		if err != nil || !strings.Contains(string(text), tt.want) || a.Version != Version {
			t.Errorf("%s: got %s, %v; want %s", tt.name, text, err, tt.want)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info.Mode(), err)
	}
}

// TestAskInVain wants clients without a daemon to say so.
func TestAskInVain(t *testing.T) {
	dir := t.TempDir()
	if _, err := Ask(t.Context(), filepath.Join(dir, "none"),
		Request{Command: Status}); !errors.Is(err, ErrAway) {
		t.Errorf("no socket: %v", err)
	}
	hang := make(chan struct{})
	path := serve(t, func(context.Context, Request) Answer { <-hang; return Answer{} })
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("it took too long"))
	if _, err := Ask(ctx, path, Request{Command: Status}); !errors.Is(err, ErrAway) {
		t.Errorf("a daemon that hangs: %v", err)
	}
	close(hang)
}

// TestMalformed sends what is no request.
func TestMalformed(t *testing.T) {
	path := serve(t, func(context.Context, Request) Answer { return Answer{Error: "understood"} })
	for name, line := range map[string]string{
		"nothing":          "",
		"no end":           `{"version":1,"command":"status"}`,
		"too long":         `{"version":1,"command":"status","after":"` + strings.Repeat("x", maxRequest) + "\"}\n",
		"not JSON":         "status\n",
		"another version":  `{"version":2,"command":"status"}` + "\n",
		"no version":       `{"command":"status"}` + "\n",
		"another field":    `{"version":1,"command":"reload","acept":true}` + "\n",
		"two objects":      `{"version":1,"command":"status"}{}` + "\n",
		"an unknown order": `{"version":1,"command":"stop"}` + "\n",
	} {
		nc, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(nc, line) // the daemon may have closed already
		_ = nc.(*net.UnixConn).CloseWrite()
		text, _ := io.ReadAll(nc)
		nc.Close()
		a, err := parseAnswer(bytes.TrimSpace(text))
		if err != nil || !strings.Contains(a.Error, "malformed") {
			t.Errorf("%s: got %q, %v", name, text, err)
		}
	}
}

// TestLongAnswer wants an answer that does not fit to become an error that does.
func TestLongAnswer(t *testing.T) {
	path := serve(t, func(_ context.Context, r Request) Answer {
		if r.Command == Reload {
			return Answer{Error: strings.Repeat("x", maxAnswer)}
		}
		return Answer{Warnings: []string{strings.Repeat("x", maxAnswer)}}
	})
	for _, c := range []Command{Reload, Status} {
		if a, err := Ask(t.Context(), path, Request{Command: c}); err != nil || a.Error == "" ||
			len(a.Error) > 100_000 {
			t.Errorf("%s: got %d bytes, %v", c, len(a.Error), err)
		}
	}
}

// TestCrowd wants clients beyond the bound to be told so at once, and the others to be answered.
func TestCrowd(t *testing.T) {
	hang := make(chan struct{})
	var inside sync.WaitGroup
	inside.Add(maxClients)
	path := serve(t, func(context.Context,
		Request) Answer {
		inside.Done()
		<-hang
		return Answer{}
	})
	var clients sync.WaitGroup
	for range maxClients {
		clients.Go(func() {
			if a, err := Ask(context.Background(), path, Request{Command: Status}); err != nil ||
				a.Error != "" {
				t.Errorf("got %+v, %v", a, err)
			}
		})
	}
	inside.Wait()
	if a, err := Ask(t.Context(), path, Request{Command: Status}); err == nil && a.Error == "" {
		t.Error("one more than the bound is answered")
	}
	close(hang)
	clients.Wait()
}

// TestListenBusy wants a socket that another daemon serves left alone, and one that no one serves
// replaced.
func TestListenBusy(t *testing.T) {
	path := serve(t, func(context.Context, Request) Answer { return Answer{} })
	if _, err := Listen(t.Context(), path); !errors.Is(err, milter.ErrInUse) {
		t.Errorf("got %v, want %v", err, milter.ErrInUse)
	}
	stale := filepath.Join(filepath.Dir(path), "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	fresh, err := Listen(t.Context(), stale)
	if err != nil {
		t.Fatal(err)
	}
	fresh.Close()
}

// FuzzRequest wants every line to be answered by one line, which a client can read, and a request
// to be what it was when it is written and read again.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"", "{}", `{"version":1,"command":"reload"}`,
		`{"version":1,"command":"reload","accept":true}`, `{"version":1,"command":"status"}`,
		`{"version":1,"command":"signed","after":"example.com"}`,
		`{"version":2,"command":"reload"}`, `{"version":1,"command":"reload"} {}`,
		`{"version":1e0,"command":"reload"}`, `{"Version":1,"COMMAND":"reload","accept":null}`,
		"\x00", `[]`, `{"version":1,"version":2,"command":"status"}`,
	} {
		f.Add([]byte(s))
	}
	s := &Server{Log: slog.New(slog.DiscardHandler), Handle: func(_ context.Context,
		r Request) Answer {
		return Answer{Error: r.After}
	}}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseRequest(line)
		if err == nil {
			text, err := marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := parseRequest(text); err != nil || again != r {
				t.Errorf("%q: read again %+v, %v; want %+v", line, again, err, r)
			}
		}
		ours, theirs := net.Pipe()
		go func() {
			defer ours.Close()
			_ = ours.SetDeadline(time.Now().Add(time.Minute))
			if err != nil {
				s.answer(ours, Answer{Error: err.Error()})
				return
			}
			s.answer(ours, s.handle(context.Background(), r))
		}()
		text, readErr := readLine(theirs, maxAnswer)
		if _, err := parseAnswer(text); readErr != nil || err != nil {
			t.Errorf("%q is answered %q, %v, %v", line, text, readErr, err)
		}
	})
}

// FuzzAnswer wants no answer to end a client.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"", "{}", `{"version":1,"error":"no"}`, `{"version":1,"warnings":["a"]}`,
		`{"version":1,"page":{"names":[{"name":"a","author":true}],"more":true}}`,
		`{"version":9,"running":{"jobs":[{}],"started":"2026-01-01T00:00:00Z"},"later":1}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if _, err := parseAnswer(line); err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", line, err)
		}
	})
}
