package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"mailseal/keys/files"
)

// Files in the spool: one for each mail, and a marker file that exists while a process reads them.
const (
	ext     = ".testmail"
	openExt = ".testmail.open"
	sign    = "testmail.served"
)

// How many mails are kept, so that strangers do not fill the spool and the store: the rest is
// answered without a page.
const (
	maxQueued  = 64   // mails in memory, until they are written to the disk
	maxFiles   = 2000 // files in the spool, until "mailseal reports serve" reads them
	maxNetwork = 20   // mails of one network (an IPv4 /24, an IPv6 /48) in an hour
	maxHour    = 1000 // mails of all networks in an hour
)

const (
	// servedFor is how long the marker of the reader is valid.
	servedFor = 90 * time.Second

	// SignEvery is the interval at which the reader must renew its marker with Sign.
	SignEvery = 30 * time.Second
)

// Writer writes mails into the spool. Keep never waits.
type Writer struct {
	dir   string
	log   *slog.Logger
	now   func() time.Time
	queue chan Mail

	served atomic.Bool // a process reads the spool, and there is room in it

	mu       sync.Mutex
	hour     time.Time
	all      int
	networks map[netip.Prefix]int // at most maxHour
}

// NewWriter returns a writer for the spool directory.
func NewWriter(dir string, log *slog.Logger, now func() time.Time) *Writer {
	w := &Writer{dir: dir, log: log, now: now, queue: make(chan Mail, maxQueued),
		networks: map[netip.Prefix]int{}}
	w.look()
	return w
}

// Keep queues a mail that was admitted, and reports whether it will have a page. It will not if no
// process serves pages, or if the disk is too slow.
func (w *Writer) Keep(m Mail) bool {
	if !w.served.Load() {
		return false
	}
	select {
	case w.queue <- m:
		return true
	default:
		return false
	}
}

// Admit counts a test mail of a client, and reports whether it may have a page. It may not if no
// process serves pages, if its network or all networks together reached their limit for the hour,
// or if the disk is too slow.
func (w *Writer) Admit(client netip.Addr) bool {
	if !w.served.Load() || len(w.queue) == cap(w.queue) {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if age := now.Sub(w.hour); age >= time.Hour || age < 0 {
		w.hour, w.all = now, 0
		clear(w.networks)
	}
	network := Network(client)
	if w.all >= maxHour || w.networks[network] >= maxNetwork {
		return false
	}
	w.all++
	w.networks[network]++
	return true
}

// Network returns the network that shares a client's limits: its IPv4 /24 or IPv6 /48.
func Network(client netip.Addr) netip.Prefix {
	client = client.Unmap().WithZone("")
	bits := 48
	if client.Is4() {
		bits = 24
	}
	p, err := client.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // a client without an address
	}
	return p
}

// Run writes the queued mails until ctx ends, and those that are still queued then.
func (w *Writer) Run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case m := <-w.queue:
			w.write(m)
		case <-tick.C:
			w.look()
		case <-ctx.Done():
			for len(w.queue) > 0 {
				w.write(<-w.queue)
			}
			return
		}
	}
}

// look finds out whether a process reads the spool and whether there is room in it.
func (w *Writer) look() {
	info, err := os.Stat(filepath.Join(w.dir, sign))
	served := err == nil && w.now().Sub(info.ModTime()) < servedFor
	if served {
		names, err := Waiting(w.dir)
		served = err == nil && len(names) < maxFiles
	}
	w.served.Store(served)
}

func (w *Writer) write(m Mail) {
	text, err := Encode(m)
	if err == nil {
		err = w.put(fmt.Sprintf("%020d-%s", m.Time.UnixNano(), m.Token), text)
	}
	if err != nil {
		w.log.Error("a test mail has no page, because it cannot be written to the spool: check "+
			"the permissions and the free space of the directory",
			"error", err, "directory", w.dir)
	}
}

func (w *Writer) put(name string, text []byte) error {
	open := filepath.Join(w.dir, name+openExt)
	f, err := os.OpenFile(open, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o640)
	if err != nil {
		return err
	}
	// The reader's group must be able to read it, whatever the umask is.
	err = f.Chmod(0o640)
	if err == nil {
		_, err = f.Write(text)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(open, filepath.Join(w.dir, name+ext))
	}
	if err != nil {
		_ = os.Remove(open) // the first error is the one to report
	}
	return err
}

// Sign creates or renews the marker file, which tells the daemon that a process reads the mails in
// the spool. The reader calls it every SignEvery.
func Sign(dir string, now time.Time) error {
	path := filepath.Join(dir, sign)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return fmt.Errorf("create the file with which the daemon recognizes that test mails are "+
			"read (the user of \"mailseal reports serve\" needs write permission): %w", err)
	}
	err = errors.Join(f.Chmod(0o644), f.Close(), os.Chtimes(path, now, now))
	if err != nil {
		return fmt.Errorf("renew the file with which the daemon recognizes that test mails are "+
			"read (its owner must be the user of \"mailseal reports serve\"): %w", err)
	}
	return nil
}

// Unsign removes the marker file.
func Unsign(dir string) { _ = os.Remove(filepath.Join(dir, sign)) }

// Waiting lists the files in the spool, the oldest first.
func Waiting(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list the test mails in the spool: %w", err)
	}
	var out []string
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasSuffix(e.Name(), ext) {
			out = append(out, e.Name())
		}
	}
	slices.Sort(out)
	return out, nil
}

// ErrCorrupt reports a file that does not contain a mail as Encode writes it.
var ErrCorrupt = errors.New("the file does not contain a test mail")

// Read reads a file of the spool.
func Read(path string) (Mail, error) {
	text, err := files.Read(path, 2*MaxBytes)
	switch {
	case errors.Is(err, files.ErrLarge), errors.Is(err, files.ErrSpecial):
		return Mail{}, ErrCorrupt
	case err != nil:
		return Mail{}, fmt.Errorf("read a test mail: %w", err)
	}
	return Decode(text)
}

// Decode reads a mail as Encode wrote it.
func Decode(text []byte) (Mail, error) {
	var m Mail
	if err := json.Unmarshal(text, &m); err != nil || m.Version != Version || !IsToken(m.Token) {
		return Mail{}, ErrCorrupt
	}
	return m, nil
}
