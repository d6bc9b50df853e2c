package daemon

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/milter/guard"
	"mailseal/milter/miltertest"
)

// connect opens a connection to the daemon and says nothing.
func connect(t *testing.T, w *world) net.Conn {
	t.Helper()
	nc, err := net.Dial("unix", w.dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// offer is how an MTA begins.
var offer = guard.AppendPacket(nil, guard.Negotiate,
	[]byte("\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff"))

// greeted opens a connection and negotiates.
func greeted(t *testing.T, w *world) net.Conn {
	t.Helper()
	nc := connect(t, w)
	if _, err := nc.Write(offer); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, make([]byte, 17)); err != nil {
		t.Fatal(err)
	}
	return nc
}

// patience is how long a probe waits for what the setting brings about: until it is there, however
// busy the machine is. Without the setting it never comes, and a look is enough.
func (w *world) patience() time.Duration {
	if w.isSet {
		return 3 * time.Minute
	}
	return 300 * time.Millisecond
}

// closes reports whether the daemon ends a connection.
func (w *world) closes(nc net.Conn) bool {
	_ = nc.SetReadDeadline(time.Now().Add(w.patience()))
	_, err := io.Copy(io.Discard, nc)
	return err == nil
}

// closedAfter reports whether the daemon ends a connection on which something was said, long before
// the other times are over.
func closedAfter(say []byte, greet bool) probe {
	return func(t *testing.T, w *world) string {
		nc := connect(t, w)
		if greet {
			nc = greeted(t, w)
		}
		defer nc.Close() // the daemon waits for it when it stops
		if _, err := nc.Write(say); err != nil {
			t.Fatal(err)
		}
		if !w.closes(nc) {
			return "open"
		}
		return "closed"
	}
}

// stopped reports whether the daemon stops while a connection is in the middle of a message.
func stopped(t *testing.T, w *world) string {
	c := dialed(t, w)
	defer c.Close()
	if _, err := c.Begin(miltertest.Message{From: "a@example.com", To: []string{"b@example.net"},
		Raw: letter{}.text()}); err != nil {
		t.Fatal(err)
	}
	done := stopping(w)
	select {
	case <-done:
		return "stopped"
	case <-time.After(w.patience()):
		_ = c.Close()
		<-done
		return "waits"
	}
}

// servedOn reports whether a connection without a message may begin one when the daemon has begun
// to stop.
func servedOn(t *testing.T, w *world) string {
	idle, c := greeted(t, w), dialed(t, w)
	// The socket is ours, so that a second would be the most, which a busy machine needs for this.
	cfg, err := config.Load(filepath.Join(w.dir, "mailseal.toml"))
	if err != nil {
		t.Fatal(err)
	}
	o := serverOptions(cfg.Limits, nil, nil)
	o.DrainAlone = time.Hour
	w.daemon.server.Adjust(o)
	done := stopping(w)
	for {
		other, err := miltertest.Dial(t.Context(), "unix:"+w.dir+"/s", miltertest.Options{})
		if err != nil {
			break // no one listens any more
		}
		other.Close()
	}
	isClosed := w.closes(idle)
	_, err = c.Begin(miltertest.Message{From: "a@example.com", To: []string{"b@example.net"},
		Raw: letter{}.text()})
	_, _ = idle.Close(), c.Close()
	<-done
	if isClosed && err != nil {
		return "closed"
	}
	return fmt.Sprintf("served: no longer an idle connection: %v; a message: %v", isClosed, err)
}

func dialed(t *testing.T, w *world) *miltertest.Conn {
	t.Helper()
	c, err := miltertest.Dial(t.Context(), "unix:"+w.dir+"/s", miltertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// stopping has the daemon stop, and says when it has.
func stopping(w *world) <-chan error {
	done, end := make(chan error, 1), w.end
	w.end = nil
	go func() { done <- end() }()
	return done
}

func fetched(path string) probe {
	return func(t *testing.T, w *world) string {
		r, err := http.Get("http://" + w.metrics + path)
		if err != nil {
			return err.Error()
		}
		defer r.Body.Close()
		text, _ := io.ReadAll(r.Body)
		return fmt.Sprint(r.StatusCode, " ", string(bytes.TrimSpace(text[:min(len(text), 4000)])))
	}
}

// asked sends a letter two times and shows how many questions the second one asked.
func asked(l letter) probe {
	return func(t *testing.T, w *world) string {
		l.client = cmp.Or(l.client, "192.0.2.25")
		if _, err := play(t, w, l); err != nil {
			t.Fatal(err)
		}
		before := w.queries()
		if _, err := play(t, w, l); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("more=%v", w.queries() > before)
	}
}

// signedBy is a letter that the daemon itself has signed, and that a stranger brings after a
// change.
func signedBy(author string, change func(string) string, l letter) probe {
	return func(t *testing.T, w *world) string {
		o, err := play(t, w, letter{client: "127.0.0.1", author: author})
		if err != nil {
			t.Fatal(err)
		}
		l.raw = strings.ReplaceAll(string(o.Delivered()), "\r\n", "\n")
		if change != nil {
			l.raw = change(l.raw)
		}
		return stranger(l)(t, w)
	}
}

// secondConnection shows what happens to a connection while another one is open: it is greeted, or
// the log says that it waits.
func secondConnection(t *testing.T, w *world) string {
	first, err := miltertest.Dial(t.Context(), "unix:"+w.dir+"/s", miltertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	nc := connect(t, w)
	defer nc.Close()
	if _, err := nc.Write(offer); err != nil {
		t.Fatal(err)
	}
	answered := make(chan struct{})
	go func() {
		_, _ = nc.Read(make([]byte, 1))
		close(answered)
	}()
	for {
		select {
		case <-answered:
			return "greeted"
		case <-time.After(time.Millisecond):
			if said := w.log.String(); strings.Contains(said, "the limit of connections") {
				return said
			}
		}
	}
}
