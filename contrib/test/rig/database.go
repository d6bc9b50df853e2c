package rig

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Database is a real database server on a port of loopback, with an empty database of its own.
type Database struct {
	DSN string // as its driver wants it

	t       testing.TB
	root    *Root // nil: the programs are the host's own
	address string
	dir     string // as the server sees it
	server  []string
	ready   string         // what it writes when it takes connections
	quit    syscall.Signal // ends it without waiting for its clients
	process *Process
}

// unprivileged is who the servers run as: PostgreSQL refuses root.
const unprivileged = 65534

// Postgres starts a PostgreSQL: the host's, or that of contrib/test/fetch.sh. It skips the test
// where there is none.
func Postgres(t testing.TB) *Database {
	t.Helper()
	d := newDatabase(t, "postgresql", "postgres", "/usr/lib/postgresql/15/bin/initdb",
		"/usr/lib/postgresql/15/bin/postgres")
	initdb, postgres := d.server[0], d.server[1]
	dir := d.directory()
	d.run(initdb, "-D", dir, "-U", "mailseal", "-A", "trust", "-E", "UTF8", "--locale=C",
		"--no-sync")
	d.server = []string{postgres, "-D", dir, "-p", port(d.address), "-k", dir, "-h", "127.0.0.1",
		"-F", "-c", "shared_buffers=16MB", "-c", "jit=off"}
	d.quit, d.ready = syscall.SIGINT, "database system is ready to accept connections"
	d.DSN = "host=127.0.0.1 port=" + port(d.address) +
		" user=mailseal dbname=postgres sslmode=disable"
	d.Start()
	return d
}

// MariaDB starts a MariaDB: the host's, or that of contrib/test/fetch.sh. It skips the test where
// there is none.
func MariaDB(t testing.TB) *Database {
	t.Helper()
	d := newDatabase(t, "mariadb", "mariadbd", "/usr/sbin/mariadbd")
	dir := d.directory()
	// that is all a database is at first
	if err := os.MkdirAll(filepath.Join(d.host(dir), "mail"), 0o777); err != nil {
		t.Fatal(err)
	}
	d.own(filepath.Join(dir, "mail"))
	d.server = []string{d.server[0], "--no-defaults", "--datadir=" + dir, "--socket=" +
		filepath.Join(dir, "s"), "--bind-address=127.0.0.1",
		"--port=" + port(d.address), "--skip-grant-tables", "--innodb-buffer-pool-size=8M",
		"--innodb-log-file-size=4M", "--pid-file=" + filepath.Join(dir, "pid")}
	d.quit, d.ready = syscall.SIGTERM, "ready for connections"
	d.DSN = "mailseal@tcp(" + d.address + ")/mail"
	d.Start()
	return d
}

// newDatabase finds the programs, on the host or in a root.
func newDatabase(t testing.TB, group, program string, paths ...string) *Database {
	t.Helper()
	skipShort(t, "a real "+group)
	if os.Geteuid() != 0 {
		t.Skip("a real " + group + " runs as another user: only root can start it")
	}
	d := &Database{t: t, server: paths, address: FreePort(t, "127.0.0.1")}
	if _, err := exec.LookPath(program); err == nil {
		for i, p := range paths {
			if d.server[i], err = exec.LookPath(filepath.Base(p)); err != nil {
				t.Skip(err)
			}
		}
		return d
	}
	d.root = NewRoot(t, group)
	return d
}

// directory makes one that belongs to the server, and returns its path as the server sees it.
func (d *Database) directory() string {
	dir := "/tmp/data"
	if d.root == nil {
		var err error
		if dir, err = os.MkdirTemp("", "mailseal-db-"); err != nil {
			d.t.Fatal(err)
		}
		d.t.Cleanup(func() { os.RemoveAll(dir) })
	} else if err := os.MkdirAll(d.host(dir), 0o700); err != nil {
		d.t.Fatal(err)
	}
	d.own(dir)
	d.dir = dir
	return dir
}

// Address is where the server listens.
func (d *Database) Address() string { return d.address }

// File puts a file into the server's directory, for the server's eyes only, and returns its path as
// the server sees it.
func (d *Database) File(name string, text []byte) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(d.host(path), text, 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.own(path)
	return path
}

// Options adds options to the server's command line; they count from the next Start.
func (d *Database) Options(args ...string) { d.server = append(d.server, args...) }

func (d *Database) host(path string) string {
	if d.root == nil {
		return path
	}
	return d.root.Path(path)
}

func (d *Database) own(path string) {
	if err := os.Chown(d.host(path), unprivileged, unprivileged); err != nil {
		d.t.Fatal(err)
	}
}

func (d *Database) command(args []string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...)
	if d.root != nil {
		cmd = d.root.Command(args[0], args[1:]...)
	} else {
		cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: unprivileged, Gid: unprivileged}
	return cmd
}

func (d *Database) run(args ...string) {
	d.t.Helper()
	cmd := d.command(args)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		d.t.Fatalf("%s: %v\n%s", args[0], err, &out)
	}
}

// Start starts the server, again after Stop, and waits until it takes connections.
func (d *Database) Start() {
	d.t.Helper()
	cmd := d.command(d.server)
	d.process = start(d.t, cmd, StartOptions{})
	d.t.Cleanup(d.Stop)
	d.process.AwaitOutput(d.t, d.ready)
}

// Stop ends the server, and with it all connections, in the middle of whatever they are doing.
func (d *Database) Stop() {
	d.process.Signal(d.quit)
	_ = d.process.Stop() // its own way of ending
}

// Pause keeps the server from answering, with all connections open; Resume ends that. It returns
// when every thread has stopped: on a busy machine one could still answer after the signal.
func (d *Database) Pause() {
	d.signalAll(syscall.SIGSTOP)
	if !Await(d.stopped) {
		d.t.Fatal("the server does not stop")
	}
}

// stopped reports whether all threads of the server's first process are stopped. (Those of
// PostgreSQL's children are its own; each has one thread, which answers nothing any more once it
// has the signal.)
func (d *Database) stopped() bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", d.process.PID()))
	if err != nil || len(tasks) == 0 {
		return false
	}
	for _, path := range tasks {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		_, after, _ := strings.Cut(string(text), ") ")
		if !strings.HasPrefix(after, "T") {
			return false
		}
	}
	return true
}

// Resume lets the server answer again.
func (d *Database) Resume() { d.signalAll(syscall.SIGCONT) }

// signalAll reaches the children too: each of PostgreSQL's is a process group of its own. The
// parent is first, so that it makes no more of them.
func (d *Database) signalAll(s syscall.Signal) {
	d.process.Signal(s)
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", d.process.PID()))
	if err != nil {
		d.t.Error(err)
	}
	for child := range strings.FieldsSeq(string(list)) {
		if pid, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(pid, s) // it may have ended
		}
	}
}
