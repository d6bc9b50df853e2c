package main

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPlay plays a small day: every message is counted once, nothing is left in the spool, and a
// message takes few bytes of it.
func TestPlay(t *testing.T) {
	dir := t.TempDir()
	tell, lines := io.Pipe()
	answers, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- fold(t.Context(), dir, tell, out) }()
	const messages = 3_000
	w, err := play(dir, messages, 6, lines, bufio.NewReader(answers))
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	f := w.folder
	if f.Messages != messages || f.Rows < messages/4 || f.Rows > messages || f.Domains < 1000 ||
		f.Largest < 50 {
		t.Errorf("got %+v", f)
	}
	if n := w.night; n.Reports != f.Domains || n.Night <= 0 || n.Disk < f.Disk {
		t.Errorf("the night: %+v", n)
	}
	if perMessage := w.bytes / messages; perMessage < 20 || perMessage > 400 {
		t.Errorf("%d bytes of the spool for a message", perMessage)
	}
	left, err := os.ReadDir(filepath.Join(dir, "spool"))
	if err != nil || len(left) > 0 {
		t.Errorf("%d segments are left, %v", len(left), err)
	}
	page := filepath.Join(dir, "page")
	if err := write(options{out: page, messages: messages}, w); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(text), "| policy domains | ") {
		t.Errorf("%s, %v", text, err)
	}
}
