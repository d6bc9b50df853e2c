package rig

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Daemon is a mailseal that serves, and tells systemd how it is (sd_notify, Type=notify). It must
// end well: the test fails when its exit status is not 0, when it had to be killed, and when it
// wrote of a panic or a data race.
type Daemon struct {
	*Process
	// its configuration file, as this process sees it; "" where the daemon was not started by
	// Mailseal
	Config string

	t         testing.TB
	metrics   string // host:port
	reloads   int    // so many have been asked for
	isStopped bool

	news   news
	mu     sync.Mutex
	states []string
}

// DaemonOptions say how a daemon is started, beyond its configuration. The zero value is the test's
// own user on the host.
type DaemonOptions struct {
	// runs chrooted in it, with the configuration at /etc/mailseal/mailseal.toml
	Root *Root
	// of the users of every Root, by name, on the host too; "" for the test's own
	User, Group string
	Env         []string // added to the environment
	MemoryLimit int64    // in bytes, if not 0; the test is skipped where there can be none
	Binary      string   // another build than that of Build, as the daemon sees it
}

// Mailseal starts "mailseal serve" with the text of a configuration and waits until it is ready.
// The file has a directory of its own.
//
// Unless the text has them, [metrics] and [log] are added to it, so that Metrics and Logs work.
func Mailseal(t testing.TB, config string, o DaemonOptions) *Daemon {
	t.Helper()
	d := &Daemon{t: t, Config: filepath.Join(Dir(t), "mailseal.toml")}
	path, binary := d.Config, o.Binary
	if o.Root != nil {
		path, binary = "/etc/mailseal/mailseal.toml", "/usr/sbin/mailseal"
		d.Config = o.Root.Path(path)
	}
	return d.serve(config, path, binary, o)
}

// MailsealIn is Mailseal with its configuration file in a directory that is there already.
func MailsealIn(t testing.TB, dir, config string, o DaemonOptions) *Daemon {
	t.Helper()
	d := &Daemon{t: t, Config: filepath.Join(dir, "mailseal.toml")}
	return d.serve(config, d.Config, o.Binary, o)
}

func (d *Daemon) serve(config, path, binary string, o DaemonOptions) *Daemon {
	d.t.Helper()
	d.Configure(config)
	if binary == "" {
		binary = Build(d.t)
	}
	d.begin(command(d.t, binary, o, "serve", "--config", path), o)
	return d
}

// Serve starts a mailseal with other arguments than Mailseal's, such as "shadow", and waits until
// it is ready.
func Serve(t testing.TB, o DaemonOptions, args ...string) *Daemon {
	t.Helper()
	binary := o.Binary
	if binary == "" && o.Root != nil {
		binary = "/usr/sbin/mailseal"
	}
	if binary == "" {
		binary = Build(t)
	}
	d := &Daemon{t: t}
	d.begin(command(t, binary, o, args...), o)
	return d
}

// command prepares a command of mailseal, as the user and in the root that are asked for.
func command(t testing.TB, binary string, o DaemonOptions, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = os.Environ()
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if o.Root != nil {
		cmd = o.Root.Command(binary, args...)
	}
	cmd.Env = append(cmd.Env, o.Env...)
	if o.User != "" {
		if os.Geteuid() != 0 {
			t.Skip("a daemon as another user: only root can start it")
		}
		cmd.SysProcAttr.Credential = credential(t, o.User, o.Group)
	}
	return cmd
}

// begin starts the command as systemd does and waits until it says that it is ready.
func (d *Daemon) begin(cmd *exec.Cmd, o DaemonOptions) {
	d.t.Helper()
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+d.listen())
	d.Process = start(d.t, cmd, StartOptions{MemoryLimit: o.MemoryLimit})
	d.t.Cleanup(func() { d.Stop(d.t) })
	d.Await(d.t, "READY=1", 1)
}

// Configure writes the configuration file; a daemon that runs takes no notice before Reload.
func (d *Daemon) Configure(config string) {
	d.t.Helper()
	if !strings.Contains(config, "[log]") {
		config += "\n[log]\nformat = \"json\"\n"
	}
	if !strings.Contains(config, "[metrics]") {
		if d.metrics == "" {
			d.metrics = FreePort(d.t, Host)
		}
		config += fmt.Sprintf("\n[metrics]\naddress = %q\n", d.metrics)
	}
	if err := os.MkdirAll(filepath.Dir(d.Config), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(d.Config, []byte(config), 0o644); err != nil {
		d.t.Fatal(err)
	}
}

// Reload sends SIGHUP, waits until the daemon has tried to read its files again, and reports
// whether it has. What was wrong is in the log.
func (d *Daemon) Reload(t testing.TB) (ok bool) {
	t.Helper()
	d.reloads++
	d.Signal(syscall.SIGHUP)
	d.Await(t, "RELOADING=1", d.reloads)
	d.Await(t, "READY=1", 1+d.reloads)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := len(d.states) - 1; i >= 0; i-- {
		if status, is := strings.CutPrefix(d.states[i], "STATUS="); is {
			return status == ""
		}
	}
	return true
}

// Stop sends SIGTERM and waits for the end, which must be a good one. A second Stop does nothing.
func (d *Daemon) Stop(t testing.TB) {
	t.Helper()
	if d.isStopped {
		return
	}
	d.isStopped = true
	if err := d.Process.Stop(); err != nil {
		t.Errorf("%s did not end well: %v", d.Path(), err)
	}
	if found := crash.FindString(d.Output()); found != "" {
		t.Errorf("%s has crashed, or nearly: %s\n%s", d.Path(), found, d.Output())
	}
}

// Ended waits for an end that the test has asked for by a signal, and looks at it as Stop does.
func (d *Daemon) Ended(t testing.TB) {
	t.Helper()
	if _, ended := d.Wait(patience); !ended {
		t.Errorf("%s goes on after the signal", d.Path())
	}
	d.Stop(t)
}

// Kill ends the daemon with SIGKILL, as the kernel does when memory runs out. That is a good end.
func (d *Daemon) Kill() {
	d.isStopped = true
	d.Signal(syscall.SIGKILL)
	<-d.done
}

// crash is what Go's runtime writes at the end of a program with a bug, what its race detector
// writes, and what the daemon logs when it has survived a panic, as text and as JSON.
var crash = regexp.MustCompile(
	`(?m)^WARNING: DATA RACE|^panic: .*|^fatal error: .*|\bmsg="panic: .*|"msg":"panic: .*`)

// listen makes the socket on which systemd would hear how the daemon is, and returns its name. It
// is an abstract one (unix(7)), which every user finds, whatever the root directory.
func (d *Daemon) listen() string {
	d.t.Helper()
	name := "@mailseal-test-" + rand.Text()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: name})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			d.mu.Lock()
			d.states = append(d.states, strings.Split(strings.TrimSpace(string(b[:n])), "\n")...)
			d.mu.Unlock()
			d.news.changed()
		}
	}()
	return name
}

// Await waits until the daemon has said a thing ("READY=1", "WATCHDOG=1") so many times since it
// started. The test ends when it does not, or the daemon ends before.
func (d *Daemon) Await(t testing.TB, state string, times int) {
	t.Helper()
	said := func() bool { return d.said(state) >= times }
	if d.await(&d.news, said) {
		return
	}
	// Its last words may still be on their way.
	for limit := time.Now().Add(time.Second); !said(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			err, _ := d.Wait(0)
			t.Fatalf("%s did not say %s (its end: %v)\n%s", d.Path(), state, err, d.Output())
		}
	}
}

func (d *Daemon) said(state string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, have := range d.states {
		if have == state {
			n++
		}
	}
	return n
}

// Record is a line of the log: its attributes by name, with "msg" and "level".
type Record map[string]any

// Text returns an attribute as text; "" if there is none.
func (r Record) Text(name string) string {
	if r[name] == nil {
		return ""
	}
	return fmt.Sprint(r[name])
}

// Logs returns the records of the log, in their order, with the given message ("msg"), or all for
// "".
func (d *Daemon) Logs(t testing.TB, message string) []Record {
	t.Helper()
	var out []Record
	for line := range strings.Lines(d.Output()) {
		r := Record{}
		// such as what was written before the log was set up
		if json.Unmarshal([]byte(line), &r) != nil {
			continue
		}
		if message == "" || r.Text("msg") == message {
			out = append(out, r)
		}
	}
	return out
}

// Addr returns the address of the first listener as [[listen]] has it.
func (d *Daemon) Addr(t testing.TB) string {
	t.Helper()
	d.AwaitOutput(t, `"msg":"listening"`)
	return d.Logs(t, "listening")[0].Text("on")
}

// Metrics returns the values that /metrics shows, by name with labels as they stand there:
// `mailseal_source_away{source="hosting"}`.
func (d *Daemon) Metrics(t testing.TB) map[string]float64 {
	t.Helper()
	out, err := d.TryMetrics()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TryMetrics is Metrics of a daemon that may be gone.
func (d *Daemon) TryMetrics() (map[string]float64, error) {
	answer, err := http.Get("http://" + d.metrics + "/metrics")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	out := map[string]float64{}
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		name, value, _ := cutLast(lines.Text())
		if number, err := strconv.ParseFloat(value, 64); err == nil &&
			!strings.HasPrefix(name, "#") {
			out[name] = number
		}
	}
	if len(out) == 0 {
		rest, _ := io.ReadAll(answer.Body)
		return nil, fmt.Errorf("no metrics: %s\n%s", answer.Status, rest)
	}
	return out, nil
}

// cutLast cuts a line at its last space.
func cutLast(line string) (before, after string, ok bool) {
	at := strings.LastIndexByte(line, ' ')
	if at < 0 {
		return line, "", false
	}
	return line[:at], line[at+1:], true
}

// Memory returns what the kernel says of the daemon's memory in bytes: "VmRSS" now, "VmHWM" the
// most that it ever was.
func (d *Daemon) Memory(t testing.TB, name string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.PID()))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("no %s in:\n%s", name, status)
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}
