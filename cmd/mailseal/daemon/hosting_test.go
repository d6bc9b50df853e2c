package daemon

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/contrib/test/hosted"
)

// hosting is a daemon whose keys are in a database.
type hosting struct {
	t *testing.T
	hosted.Traffic
	daemon *Daemon
	path   string
	log    *syncBuffer
}

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}
func (b *syncBuffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

// newHosting is a hosting whose daemon, which is not started yet, has its files in a directory.
func newHosting(t *testing.T, dir string) *hosting {
	t.Helper()
	return &hosting{
		t:       t,
		path:    filepath.Join(dir, "mailseal.toml"),
		log:     &syncBuffer{},
		Traffic: hosted.Traffic{T: t, Address: "unix:" + dir + "/s", Zone: hosted.Zone(t)},
	}
}

func startHosting(t *testing.T, driver, dsn, settings string) *hosting {
	t.Helper()
	dir := socketDir(t)
	h := newHosting(t, dir)
	h.daemon = startDaemon(t, dir, hosted.Config(dir, driver, dsn, settings), h.log)
	return h
}

// socketDir makes a directory for a socket, whose path may be 107 bytes long.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mailseal-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// loader reads a configuration.
func loader(path string) func() (*config.Config, error) {
	return func() (*config.Config, error) { return config.Load(path) }
}

// build makes a daemon of the configuration at a path.
func build(ctx context.Context, path string, log io.Writer) (*Daemon, error) {
	load := loader(path)
	cfg, err := load()
	if err != nil {
		return nil, err
	}
	return Build(ctx, cfg, Options{Load: load, File: path, Stderr: log,
		Version: "test"})
}

// startDaemon runs a daemon with a configuration, which it writes to mailseal.toml in dir, until
// the test ends.
func startDaemon(t *testing.T, dir, text string, log io.Writer) *Daemon {
	t.Helper()
	path := filepath.Join(dir, "mailseal.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	d, err := build(ctx, path, log)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	listeners := d.listeners // a reload sets others
	go func() { done <- d.server.Serve(ctx, listeners...) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		d.parts.Load().CloseSources(&assembly.Parts{}, 0, d.log)
	})
	return d
}

// source is the daemon's only one.
func (h *hosting) source() *assembly.Source { return h.daemon.parts.Load().Sources["hosting"] }
