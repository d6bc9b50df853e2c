package keylife

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"mailseal/keys"
	"mailseal/keys/files"
)

// Store is a state directory. Several processes may use it at once: the daemon, a timer, an
// operator at a terminal.
type Store struct{ Dir string }

// path is that of the state file.
func (s Store) path() string { return filepath.Join(s.Dir, "keys.json") }

// ErrNoDirectory means that the state directory does not exist. It is not known then which keys
// the domains have: to treat them as domains without keys would leave their mail unsigned.
var ErrNoDirectory = errors.New("the directory of the keys does not exist")

// CheckDirectory returns an error, ErrNoDirectory if the directory does not exist.
func (s Store) CheckDirectory() error {
	_, err := os.Stat(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s; mount its disk or correct state_directory (on a new host, "+
			"\"mailseal keys generate DOMAIN\" creates it)", ErrNoDirectory, s.Dir)
	}
	return err
}

// maxState bounds what is read: a hundred thousand keys with a long life.
const maxState = 256 << 20

// Read returns the current state, or an empty one if there is no file.
func (s Store) Read() (*State, error) {
	state, _, err := s.readStamped()
	return state, err
}

// readStamped is Read that returns which state of the file that was; the zero Stamp without a file.
func (s Store) readStamped() (*State, files.Stamp, error) {
	text, stamp, err := files.ReadStamped(s.path(), maxState)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &State{Version: version}, files.Stamp{}, nil
	case err != nil:
		return nil, stamp, fmt.Errorf("the keys in the state directory: %w", err)
	}
	state, err := parse(text, s.path())
	return state, stamp, err
}

func parse(text []byte, path string) (*State, error) {
	out := &State{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields() // whatever we do not know would be lost when the file is written
	if err := d.Decode(out); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if out.Version != version {
		return nil, fmt.Errorf("%s has version %d, but this version of Mailseal reads only version %d", path,
			out.Version, version)
	}
	for _, k := range out.Keys {
		if !filepath.IsLocal(k.file()) || k.Domain == "" || k.Selector == "" {
			return nil, fmt.Errorf("%s: %q is not the name of a key", path, k.Name())
		}
	}
	return out, nil
}

// Update changes the state while no other process does. The file is replaced in one step after it
// has reached the disk, or, with an error of change, not touched.
func (s Store) Update(change func(*State) error) error {
	if err := s.makeDir(s.Dir); err != nil {
		return fmt.Errorf("the keys in the state directory: %w", err)
	}
	lock, err := s.lock()
	if err != nil {
		return fmt.Errorf("the keys in the state directory: %w", err)
	}
	defer lock.Close()
	sweep(s.path())
	state, err := s.Read()
	if err != nil {
		return err
	}
	if err := change(state); err != nil {
		return err
	}
	text, err := json.MarshalIndent(state, "", " ")
	if err != nil {
		return fmt.Errorf("the keys in the state directory: %w", err)
	}
	if err := s.write(s.path(), append(text, '\n')); err != nil {
		return fmt.Errorf("the keys in the state directory: %w", err)
	}
	return nil
}

// lock waits for the directory's lock, which closing the file gives back, as the end of the process
// does.
func (s Store) lock() (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(s.Dir, "keys.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.give(f.Name()), flock(f)); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func flock(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			return err
		}
	}
}

// write replaces a file: a crash leaves the old one or the new one, whole.
func (s Store) write(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), s.give(f.Name()), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

// sweep removes what writes that were killed have left beside the files of a pattern. Only who
// holds the lock may do so.
func sweep(pattern string) {
	// a state directory whose name is a pattern keeps them: they do no harm
	left, _ := filepath.Glob(pattern + ".new-*")
	for _, l := range left {
		_ = os.Remove(l)
	}
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir makes a directory that only its owner can enter, and those above it.
func (s Store) makeDir(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return errors.Join(s.give(path), syncDir(filepath.Dir(path)))
}

// give lets root work for a daemon that runs as another user: whatever is made belongs to the state
// directory's owner.
func (s Store) give(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(s.Dir)
	if err != nil {
		return nil // a directory above it, which is being made
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Lchown(path, int(owner.Uid), int(owner.Gid))
}

// Taken reports whether a selector cannot be used for a new key: a key has it or had it, or
// there is a file at the path of its private key, which another process has put there and
// may be signing with.
func (s Store) Taken(state *State, domain, selector string) bool {
	k := Key{Domain: domain, Selector: selector}
	_, err := os.Lstat(filepath.Join(s.Dir, k.file()))
	return err == nil || state.Find(k.Name()) != nil
}

// Generate makes a key, keeps its private key and puts it into the state, which Update handed out.
// Text and fingerprint are those of its record. When the state is not written after all, Discard
// takes the private key back.
func (s Store) Generate(state *State, domain, selector string, a keys.Algorithm, bits int,
	now time.Time) (*Key, error) {
	signer, err := keys.Generate(a, bits)
	if err != nil {
		return nil, err
	}
	private := keys.Key{Domain: domain, Selector: selector, Signer: signer}
	record, err := private.Record(keys.RecordOptions{})
	if err != nil {
		return nil, err
	}
	text, err := keys.Marshal(signer)
	if err != nil {
		return nil, err
	}
	_, size := private.Algorithm()
	k := Key{Domain: domain, Selector: selector, Algorithm: a, Bits: size, Text: record.Text,
		Fingerprint: record.Fingerprint}
	path := filepath.Join(s.Dir, k.file())
	if _, err := os.Lstat(path); err == nil && state.Find(k.Name()) == nil {
		return nil,
			fmt.Errorf(
				"keylife: %s already exists, and is not a key that Mailseal made: use another "+
					"selector", path)
	}
	if err := state.Add(k, now); err != nil {
		return nil, err
	}
	sweep(filepath.Join(filepath.Dir(path), "*.pem"))
	if err := errors.Join(s.makeDir(filepath.Dir(path)), s.write(path, text)); err != nil {
		return nil, fmt.Errorf("the keys in the state directory: %w", err)
	}
	return state.Find(k.Name()), nil
}

// Discard removes the private key of a key that has been made and of which the state knows
// nothing.
func (s Store) Discard(k Key) error {
	state, err := s.Read()
	if err != nil || state.Find(k.Name()) != nil {
		return err
	}
	if _, err := s.Load(k); err != nil {
		return nil // none, or another's
	}
	k.Stage = keys.Removed
	return s.Destroy(k)
}

// Destroy removes the private key of a key that is removed, once the state says so. There may be
// none.
func (s Store) Destroy(k Key) error {
	if k.Vendor || k.Stage != keys.Removed {
		return nil
	}
	if err := os.Remove(filepath.Join(s.Dir, k.file())); err != nil &&
		!errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the keys in the state directory: %w", err)
	}
	return nil
}

// Load reads the private key of a key.
func (s Store) Load(k Key) (keys.Key, error) {
	out := keys.Key{Name: k.Name(), Domain: k.Domain, Selector: k.Selector}
	if k.Vendor {
		return out, fmt.Errorf("%w: %s is a vendor's", keys.ErrNotFound, k.Name())
	}
	text, err := files.Read(filepath.Join(s.Dir, k.file()), keys.MaxSize)
	if err != nil {
		return out, fmt.Errorf("key %q: %w", k.Name(), err)
	}
	if out.Signer, err = keys.Parse(text); err != nil {
		return out, fmt.Errorf("key %q in %s: %w", k.Name(), k.file(), err)
	}
	if shown, err := out.Fingerprint(); err != nil || shown != k.Fingerprint {
		return out,
			fmt.Errorf("key %q: the file %s has %s, not %s: its signatures would not verify",
				k.Name(), k.file(), shown, k.Fingerprint)
	}
	return out, nil
}
