package daemon

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"mailseal/milter/guard"
	"mailseal/milter/miltertest"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
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

// closedAfter reports whether the daemon ends a connection on which something was said, before the other times are over,
// the least of which is thirty times as long.
func closedAfter(say []byte, greet bool) probe {
	return func(t *testing.T, w *world) string {
		nc := connect(t, w)
		defer nc.Close()
		if greet {
			if _, err := nc.Write(guard.AppendPacket(nil, guard.Negotiate, []byte("\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff"))); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(nc, make([]byte, 17)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := nc.Write(say); err != nil {
			t.Fatal(err)
		}
		_ = nc.SetReadDeadline(time.Now().Add(3 * time.Second))
		if _, err := io.Copy(io.Discard, nc); err != nil {
			return "open"
		}
		return "closed"
	}
}

// stopped reports whether the daemon stops while a connection is in the middle of a message.
func stopped(t *testing.T, w *world) string {
	c := dialed(t, w)
	defer c.Close()
	if _, err := c.Begin(miltertest.Message{From: "a@example.com", To: []string{"b@example.net"}, Raw: letter{}.text()}); err != nil {
		t.Fatal(err)
	}
	done := stopping(w)
	select {
	case <-done:
		return "stopped"
	case <-time.After(3 * time.Second):
		_ = c.Close()
		<-done
		return "waits"
	}
}

// servedOn reports whether a connection without a message may begin one when the daemon has begun to stop.
func servedOn(t *testing.T, w *world) string {
	c := dialed(t, w)
	defer c.Close()
	done := stopping(w)
	for {
		other, err := miltertest.Dial(t.Context(), "unix:"+w.dir+"/s", miltertest.Options{})
		if err != nil {
			break // nobody listens any more
		}
		other.Close()
	}
	time.Sleep(100 * time.Millisecond) // a tenth of the default, for a connection that is closed at once
	_, err := c.Begin(miltertest.Message{From: "a@example.com", To: []string{"b@example.net"}, Raw: letter{}.text()})
	_ = c.Close()
	<-done
	if err != nil {
		return "closed"
	}
	return "served"
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

func fetched(address, path string) probe {
	return func(t *testing.T, w *world) string {
		r, err := http.Get("http://" + address + path)
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

// signedBy is a letter that the daemon itself has signed, and that a stranger brings after a change.
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

// secondConnection shows what becomes of a connection while another one is open: it is greeted, or the log says that it
// waits.
func secondConnection(t *testing.T, w *world) string {
	first, err := miltertest.Dial(t.Context(), "unix:"+w.dir+"/s", miltertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	nc := connect(t, w)
	defer nc.Close()
	if _, err := nc.Write(guard.AppendPacket(nil, guard.Negotiate, []byte("\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff"))); err != nil {
		t.Fatal(err)
	}
	greeted := make(chan struct{})
	go func() {
		_, _ = nc.Read(make([]byte, 1))
		close(greeted)
	}()
	for {
		select {
		case <-greeted:
			return "greeted"
		case <-time.After(time.Millisecond):
			if said := w.log.String(); strings.Contains(said, "wait for others") {
				return said
			}
		}
	}
}
