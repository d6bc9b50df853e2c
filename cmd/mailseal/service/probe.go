package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mailseal/keys/keyfile"
)

// Want lists what the daemon must be able to do.
type Want struct {
	Path  string `json:"path"`
	Write bool   `json:"write"` // make files in this directory, rather than read this file
}

// Stop is why it is not.
type Stop struct {
	Want
	At  string `json:"at"`  // the file or directory where the user is stopped
	Err string `json:"err"` // "permission denied", or the setting of the unit
	// the unit's setting that hides the path or keeps it from being written; "" for permissions
	By string `json:"by"`
}

// Judgment is the result of a probe, and how it was obtained.
type Judgment struct {
	Stops []Stop
	How   string // for people: "by a child process of user mailseal"
}

// ProbeCommand is the name of the hidden command that is the child.
const ProbeCommand = "probe-files"

// Probe tests access in a child process with the rights of the service. If systemd runs, the child
// is in the sandbox of the service's unit; otherwise the unit's text is evaluated. Only root can do
// this.
func (s Service) Probe(ctx context.Context, wants []Want) (Judgment, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	if s.Unit != nil && isDirectory("/run/systemd/system") {
		if stops, err := s.run(s.inSandbox(ctx), wants); err == nil {
			return Judgment{stops, fmt.Sprintf("by a process of user %s in the sandbox of %s, "+
				"started by systemd-run", s.Name, s.Unit.File)}, nil
		}
	}
	child, closeChild, err := s.Command(ctx, ProbeCommand)
	if err != nil {
		return Judgment{}, fmt.Errorf("the files cannot be tested: %w", err)
	}
	defer closeChild()
	stops, err := s.run(child, wants)
	if err != nil {
		return Judgment{}, err
	}
	how := fmt.Sprintf("by a child process of user %s", s.Name)
	if s.Unit != nil {
		stops = append(stops, s.Unit.stops(wants)...)
		how += fmt.Sprintf("; systemd does not run, so the sandbox was evaluated from the text of %s", s.Unit.File)
	}
	return Judgment{stops, how}, nil
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// stops judges a unit's text.
func (u *Unit) stops(wants []Want) []Stop {
	var out []Stop
	for _, w := range wants {
		by := u.Hides(w.Path)
		if by == "" && w.Write {
			by = u.ReadOnly(w.Path)
		}
		if by != "" {
			out = append(out, Stop{Want: w, At: w.Path, Err: by, By: by})
		}
	}
	return out
}

// inSandbox is the child as systemd-run starts it.
func (s Service) inSandbox(ctx context.Context) *exec.Cmd {
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	args := []string{"--quiet", "--pipe", "--wait", "--collect", "--uid=" + strconv.Itoa(s.UID),
		"--gid=" + strconv.Itoa(s.GID)}
	args = append(append(args, s.Unit.Properties()...), program, ProbeCommand)
	return exec.CommandContext(ctx, "systemd-run", args...)
}

// Command is this program with other arguments, with the user and groups of the service, which only
// root can start. It executes an open file, so that it need not be able to get to where the program
// is installed; without /proc, as in a bare root directory, by its path. The function that it
// returns is called when the command has ended.
func (s Service) Command(ctx context.Context, args ...string) (*exec.Cmd, func(), error) {
	cmd, done := exec.CommandContext(ctx, os.Args[0], args...), func() {}
	if self, err := os.Open("/proc/self/exe"); err == nil {
		cmd = exec.CommandContext(ctx, "/proc/self/fd/3", args...)
		cmd.ExtraFiles = []*os.File{self} // descriptor 3
		done = func() { _ = self.Close() }
	}
	if cmd.Err != nil {
		return nil, nil, fmt.Errorf("no process of user %s can be started: %w", s.Name, cmd.Err)
	}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	credential := &syscall.Credential{Uid: uint32(s.UID), Gid: uint32(s.GID)}
	for _, g := range s.Groups {
		credential.Groups = append(credential.Groups, uint32(g))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	return cmd, done, nil
}

// probeTime is how long a child may take: it opens files, some perhaps on a network.
const probeTime = time.Minute

// run asks a child.
func (s Service) run(child *exec.Cmd, wants []Want) ([]Stop, error) {
	question, err := json.Marshal(wants)
	if err != nil {
		return nil, err
	}
	var answer, complaints bytes.Buffer
	child.Stdin, child.Stdout, child.Stderr = bytes.NewReader(question), &answer, &complaints
	if err := child.Run(); err != nil {
		return nil, fmt.Errorf("the files cannot be tested as user %s: %w %s", s.Name, err,
			bytes.TrimSpace(complaints.Bytes()))
	}
	var stops []Stop
	if err := json.Unmarshal(answer.Bytes(), &stops); err != nil {
		return nil, fmt.Errorf("the files cannot be tested as user %s: %w", s.Name, err)
	}
	return stops, nil
}

// Child runs in the child process: it reads a list of needs from in and writes those that
// it cannot meet.
func Child(in io.Reader, out io.Writer) error {
	var wants []Want
	if err := json.NewDecoder(in).Decode(&wants); err != nil {
		return err
	}
	stops := []Stop{}
	for _, w := range wants {
		if err := w.try(); err != nil {
			stops = append(stops, Stop{Want: w, At: w.stoppedAt(), Err: cause(err)})
		}
	}
	return json.NewEncoder(out).Encode(stops)
}

// try does what is wanted, and changes nothing.
func (w Want) try() error {
	if w.Write {
		err := unix.Faccessat(unix.AT_FDCWD, w.Path, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
		if err != nil {
			return &fs.PathError{Op: "write", Path: w.Path, Err: err}
		}
		return nil
	}
	f, err := os.OpenFile(w.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func (w Want) stoppedAt() string {
	if w.Write {
		if dir := keyfile.StoppedAt(filepath.Join(w.Path, "x")); dir != filepath.Join(w.Path, "x") {
			return dir
		}
		return w.Path
	}
	return keyfile.StoppedAt(w.Path)
}

// cause is an error without the path.
func cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return err.Error()
}
