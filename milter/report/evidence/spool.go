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

// Files in the spool: one for each mail, and the sign that a process takes them.
const (
	ext     = ".testmail"
	openExt = ".testmail.open"
	sign    = "testmail.served"
)

// How many mails are kept, so that strangers do not fill the spool and the store: the rest is
// answered without a page.
const (
	maxQueued  = 64   // wait for the disk
	maxFiles   = 2000 // wait for the process of reports
	maxNetwork = 20   // of one network in an hour: an IPv4 /24, an IPv6 /48
	maxHour    = 1000 // of all in an hour
)

// servedFor is how long the sign of the reader holds, and signEvery how often it is renewed.
const (
	servedFor = 90 * time.Second
	SignEvery = 30 * time.Second
)

// Writer writes mails into the spool. Keep never waits.
type Writer struct {
	dir   string
	log   *slog.Logger
	now   func() time.Time
	queue chan Mail

	served atomic.Bool // the process of reports takes what is written

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

// Keep takes a mail that was admitted, and reports whether it will have a page: not where no page
// is served, or where the disk does not keep up.
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

// Admit counts a test of a client, and reports whether it may have a page: not where no page is
// served, where its network or all have had their share, or where the disk does not keep up.
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

// Network is what shares the bounds of a client: the IPv4 /24 or the IPv6 /48 that it is in.
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

// Run writes until ctx ends, and then what waits.
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

// look finds out whether mails are taken.
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
		w.log.Error("a test mail has no page, since it could not be written to the spool",
			"error", err, "directory", w.dir)
	}
}

func (w *Writer) put(name string, text []byte) error {
	open := filepath.Join(w.dir, name+openExt)
	f, err := os.OpenFile(open, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o640)
	if err != nil {
		return err
	}
	// Whatever the umask, the reader's group reads it.
	err = f.Chmod(0o640)
	if err == nil {
		_, err = f.Write(text)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(open, filepath.Join(w.dir, name+ext))
	}
	if err != nil {
		_ = os.Remove(open) // the first error counts
	}
	return err
}

// Sign says that mails in the spool are taken from now on. The reader renews it each SignEvery.
func Sign(dir string, now time.Time) error {
	path := filepath.Join(dir, sign)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	err = errors.Join(f.Chmod(0o644), f.Close(), os.Chtimes(path, now, now))
	if err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	return nil
}

// Unsign removes the sign that mails are read.
func Unsign(dir string) { _ = os.Remove(filepath.Join(dir, sign)) }

// Waiting lists the files in the spool, the oldest first.
func Waiting(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
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

// ErrCorrupt reports a file that holds no mail.
var ErrCorrupt = errors.New("evidence: not a test mail")

// Read reads a file of the spool.
func Read(path string) (Mail, error) {
	text, err := files.Read(path, 2*MaxBytes)
	switch {
	case errors.Is(err, files.ErrLarge), errors.Is(err, files.ErrSpecial):
		return Mail{}, ErrCorrupt
	case err != nil:
		return Mail{}, fmt.Errorf("evidence: %w", err)
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
