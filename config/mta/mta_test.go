package mta

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files again")

// testHost is a host of files and nodes that stand in one text: owners and modes are nothing that a
// repository keeps.
type testHost struct {
	files map[string]string
	nodes map[string]Node
}

// users are those of Debian, with Mailseal's.
const (
	passwd = "root:x:0:0::/root:/bin/sh\npostfix:x:100:101::/var/spool/postfix:/usr/sbin/nologin\n" +
		"mailseal:x:990:990::/:/usr/sbin/nologin\nsmmta:x:102:104::/:/usr/sbin/nologin\n"
	group = "root:x:0:\nadm:x:4:syslog\npostfix:x:101:\npostdrop:x:103:\nsmmsp:x:104:\nmailseal:x:990:\n"
)

// newTestHost reads sections: a path begins a file, "nodes" holds lines of mode, user, group and
// path, with the kind in front of the mode as ls has it (d, s, l, -, or ! for what may not be
// looked at), and "-> target" after a link's path.
func newTestHost(t testing.TB, sections map[string]string) *testHost {
	t.Helper()
	h := &testHost{files: map[string]string{"/etc/passwd": passwd, "/etc/group": group},
		nodes: map[string]Node{}}
	for name, text := range sections {
		if path.IsAbs(name) {
			h.files[name] = text
		}
	}
	for line := range strings.Lines(sections["nodes"]) {
		f := strings.Fields(line)
		mode, err := strconv.ParseUint(f[0][1:], 8, 32)
		uid, known1 := userID(h, f[1])
		gid, known2 := groupID(h, f[2])
		if f[1] == "hidden" {
			uid, gid, known1, known2 = hidden, hidden, true, true
		}
		if err != nil || !known1 || !known2 {
			t.Fatalf("nodes: %s", line)
		}
		kinds := map[byte]fs.FileMode{'d': fs.ModeDir, 's': fs.ModeSocket, 'l': fs.ModeSymlink,
			'-': 0, '!': fs.ModeIrregular}
		n := Node{Mode: fs.FileMode(mode)&fs.ModePerm | kinds[f[0][0]], UID: uid, GID: gid}
		if mode&0o1000 != 0 {
			n.Mode |= fs.ModeSticky
		}
		if len(f) == 6 {
			n.Target = f[5]
		}
		h.nodes[f[3]] = n
	}
	return h
}

func (h *testHost) ReadFile(name string) ([]byte, error) {
	if h.nodes[name].Mode&fs.ModeIrregular != 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	if text, ok := h.files[name]; ok {
		return []byte(text), nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (h *testHost) ReadDir(dir string) (names []string, err error) {
	for name := range h.files {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

// Lstat knows the nodes, the files, and the directories that those need, which are root's and open.
func (h *testHost) Lstat(name string) (Node, error) {
	if n, ok := h.nodes[name]; ok {
		if n.Mode&fs.ModeIrregular != 0 {
			return Node{}, &fs.PathError{Op: "lstat", Path: name, Err: fs.ErrPermission}
		}
		return n, nil
	}
	if _, ok := h.files[name]; ok {
		modified := time.Unix(1000, 0)
		if strings.HasSuffix(name, ".mc") && strings.Contains(h.files[name], "younger") {
			modified = time.Unix(2000, 0)
		}
		return Node{Mode: 0o644, ModTime: modified}, nil
	}
	for _, all := range []func(func(string) bool) bool{h.anyFile, h.anyNode} {
		if all(func(other string) bool {
			return strings.HasPrefix(other, strings.TrimSuffix(name, "/")+"/")
		}) {
			return Node{Mode: fs.ModeDir | 0o755}, nil
		}
	}
	return Node{}, &fs.PathError{Op: "lstat", Path: name, Err: fs.ErrNotExist}
}

func (h *testHost) anyFile(is func(string) bool) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(h.files)), is)
}

func (h *testHost) anyNode(is func(string) bool) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(h.nodes)), is)
}

// readCase splits a case at its lines "-- name --".
func readCase(t testing.TB, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out, name := map[string]string{}, ""
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "-- "); ok {
			name = strings.TrimSuffix(n, " --\n")
			out[name] = ""
			continue
		}
		out[name] += line
	}
	return out
}

// testDaemon reads the section "daemon": listen lines, and words for what differs from signing and
// judging.
func testDaemon(t testing.TB, text string) Daemon {
	t.Helper()
	d := Daemon{Signs: true, Verifies: true,
		Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Deadline: 20 * time.Second}
	for line := range strings.Lines(text) {
		f := append(strings.Fields(line), "", "", "", "")
		switch f[0] {
		case "listen":
			mode, err := strconv.ParseUint("0"+f[3], 8, 32)
			if err != nil {
				t.Fatal(err)
			}
			d.Listeners = append(d.Listeners, Listener{
				Setting: fmt.Sprintf("listen[%d]", len(d.Listeners)), Network: f[1], Target: f[2],
				Mode: fs.FileMode(mode), User: f[4], Group: f[5],
			})
		case "sign-only":
			d.Verifies = false
		case "verify-only":
			d.Signs = false
		case "loopback-is-a-stranger":
			d.Networks = nil
		case "ours":
			d.Networks = append(d.Networks, netip.MustParsePrefix(f[1]))
		case "relay":
			d.Others = append(d.Others, netip.MustParsePrefix(f[1]))
		case "role": // of the listener before
			if err := d.Listeners[len(d.Listeners)-1].Role.UnmarshalText([]byte(f[1])); err != nil {
				t.Fatalf("daemon: %s: %v", line, err)
			}
		case "rule-for":
			d.HasRule = func(author string) bool { return strings.HasSuffix(author, f[1]) }
		case "daemon-name":
			d.DaemonNames = append(d.DaemonNames, f[1])
		case "deadline":
			d.Deadline, _ = time.ParseDuration(f[1])
		default:
			t.Fatalf("daemon: %s", line)
		}
	}
	if d.Listeners == nil {
		d.Listeners = []Listener{{Setting: "listen[0]", Network: "tcp4", Target: "127.0.0.1:8891"}}
	}
	return d
}

// coded is a finding with its code, and what that names, in place of the text.
func (f Finding) coded() string {
	f.Text = f.key
	return f.String()
}

// told writes reports by their codes: no wording is in them.
func told(reports []Report) string {
	var b strings.Builder
	for _, r := range reports {
		for _, f := range r.Findings {
			fmt.Fprintf(&b, "%s: %s\n", f.Severity, f.coded())
			for line := range strings.Lines(f.Fix.String()) {
				fmt.Fprintf(&b, "  %s\n", strings.TrimSuffix(line, "\n"))
			}
			if f.Mended {
				b.WriteString("  (mended by others)\n")
			}
		}
		fmt.Fprintf(&b, "%s: %d of %d\n", r.Server, r.Filtered, r.Services)
	}
	return b.String()
}

func look(h Host, d Daemon) (reports []Report) {
	if r, ok := Postfix(h, "/etc/postfix", d); ok {
		reports = append(reports, r)
	}
	if r, ok := Sendmail(h, "/etc/mail", d); ok {
		reports = append(reports, r)
	}
	return reports
}

// TestHosts looks at the hosts of testdata.
func TestHosts(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			sections := readCase(t, file)
			got := told(look(newTestHost(t, sections), testDaemon(t, sections["daemon"])))
			if *update {
				rewrite(t, file, got)
			} else if got != sections["want"] {
				t.Errorf("got\n%swant\n%s", got, sections["want"])
			}
		})
	}
}

// rewrite puts another last section, which is what is wanted, into a case.
func rewrite(t *testing.T, file, want string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(text), "-- want --\n")
	if err := os.WriteFile(file, []byte(before+"-- want --\n"+want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestSnippets: what contrib proposes is good, on Debian as on others.
func TestSnippets(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile("../../contrib/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	master := "smtp inet n - %s - - smtpd\npickup unix n - %[1]s 60 1 pickup\ncleanup unix n - %[1]s - 0 cleanup\n" +
		read("postfix/master.cf")
	// the unix socket, a comment in the snippet, in place of TCP
	second := func(text, line, comment string) string {
		first := strings.Index(text, "\n"+line)
		i := strings.Index(text, "\n"+comment+line)
		return text[:first] + "\n# " + text[first+1:i] + "\n" + text[i+1+len(comment):]
	}
	xLine := func(mc string) string { // what m4 makes of the filter
		m := readMC([]byte(mc))[0]
		return "O InputMailFilters=" + m.name + "\nX" + m.name + ", " + m.equates +
			"\nO DaemonPortOptions=Name=MTA\nO DaemonPortOptions=Family=inet, Name=Reinject, " +
			"Port=10026, Addr=127.0.0.1, InputMailFilters=\n"
	}
	mainCF, mc := read("postfix/main.cf"), read("sendmail/sendmail.mc")
	sockets := map[string]string{
		"/usr/lib/systemd/system/mailseal-postfix.socket": read("systemd/mailseal-postfix.socket"),
		"/usr/lib/systemd/system/mailseal-unix.socket":    read("systemd/mailseal-unix.socket"),
		"nodes": "s0660 root postfix /var/spool/postfix/mailseal/mailseal.sock\ns0660 root " +
			"mailseal /run/mailseal/mailseal.sock\n",
	}
	tests := []struct{ name, mainCF, chroot, mc, listen string }{
		{"TCP", mainCF, "y", mc, "listen tcp4 127.0.0.1:8891"},
		{"sockets of systemd", second(mainCF, "mailseal = ", "#"), "y",
			second(mc, "INPUT_MAIL_FILTER(", "dnl "),
			"listen fd mailseal-postfix\nlisten fd mailseal-unix"},
		{"sockets of systemd, no chroot", second(mainCF, "mailseal = ", "#"), "n", second(mc,
			"INPUT_MAIL_FILTER(", "dnl "), "listen fd mailseal-postfix\nlisten fd mailseal-unix"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := maps.Clone(sockets)
			files["/etc/postfix/main.cf"],
				files["/etc/postfix/master.cf"] = "compatibility_level = 3.6\n"+tt.mainCF,
				fmt.Sprintf(master, tt.chroot)
			files["/etc/mail/sendmail.mc"], files["/etc/mail/sendmail.cf"],
				files["/etc/mail/submit.cf"] = tt.mc, xLine(tt.mc), "Dz\n"
			h := newTestHost(t, files)
			got := told(look(h, testDaemon(t, tt.listen+"\ndaemon-name ORIGINATING\n")))
			// Sendmail's ports have other names than Postfix's.
			got = strings.Replace(got, "warning: /etc/mail/sendmail.cf: DaemonPortOptions: "+
				"sendmail-no-daemon-name(ORIGINATING)\n  daemon_names = []  # mailseal.toml, [ours]\n", "", 1)
			if want := "Postfix: 3 of 4\nSendmail: 1 of 2\n"; got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

func TestNothingInstalled(t *testing.T) {
	if got := look(newTestHost(t, nil), testDaemon(t, "")); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestHostAt(t *testing.T) {
	dir := t.TempDir()
	h := HostAt(dir)
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if text, err := h.ReadFile("/file"); err != nil || string(text) != "text" {
		t.Errorf("file: %q, %v", text, err)
	}
	if n, err := h.Lstat("/file"); err != nil || n.Mode != 0o640 || int(n.UID) != os.Getuid() {
		t.Errorf("file: %+v, %v", n, err)
	}
	if n, err := h.Lstat("/link"); err != nil || n.Target != "file" {
		t.Errorf("link: %+v, %v", n, err)
	}
	if _, err := h.Lstat("/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "large"), make([]byte, maxFile+1),
		0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.ReadFile("/large"); err == nil || !strings.Contains(err.Error(),
		"/large: the file is too large: at most 4194304 bytes") {
		t.Errorf("large: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "large")); err != nil {
		t.Fatal(err)
	}
	if names, err := h.ReadDir("/"); err != nil || !slices.Equal(names, []string{"file", "link"}) {
		t.Errorf("directory: %v, %v", names, err)
	}
}
