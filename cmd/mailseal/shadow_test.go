package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/milter/miltertest"
)

// TestShadow has the daemon before another one, which signs with another selector: the MTA gets the old one's signature,
// the log the difference, and the end the table.
func TestShadow(t *testing.T) {
	old, now := filepath.Join(t.TempDir(), "old.toml"), filepath.Join(t.TempDir(), "new.toml")
	dir := t.TempDir()
	text := strings.ReplaceAll(serveKeys, "%DIR%", dir)
	for path, selector := range map[string]string{old: "good", now: "new"} {
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "good", selector)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	background(t, func(ctx context.Context, ready func()) error { return serve(ctx, old, io.Discard, ready) })
	f := shadowFlags{config: now, listen: "unix:" + dir + "/shadow", upstream: "unix:" + dir + "/s", mode: "0660", role: "ours"}
	var out bytes.Buffer
	stop := background(t, func(ctx context.Context, ready func()) error { return f.run(ctx, &out, io.Discard, ready) })
	c, err := miltertest.Dial(t.Context(), f.listen, miltertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := miltertest.Message{From: "a@example.com", To: []string{"b@example.net"}, Raw: []byte("From: a@example.com\n\nhello\n")}
	o, err := c.Send(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	stop()
	if got := string(o.Delivered()); !strings.Contains(got, "s=good;") || strings.Contains(got, "s=new;") {
		t.Errorf("the MTA has\n%s\nwant the old milter's signature and no other", got)
	}
	for _, want := range []string{
		"msg=differs", "in=signed", "signed_theirs=example.com/good/ed25519-sha256", "signed_ours=example.com/new/ed25519-sha256",
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
