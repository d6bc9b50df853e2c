package mta

import (
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestRemediesHold does what is printed about every host, as an operator would, from the printed
// lines alone. A second look then finds nothing that can be mended, and nothing new.
func TestRemediesHold(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases", err)
	}
	kinds, done := map[ChangeKind]bool{}, map[Code]bool{}
	for _, file := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			sections := readCase(t, file)
			h, d := newTestHost(t, sections), testDaemon(t, sections["daemon"])
			before := look(h, d)
			printed := map[string]bool{}
			for _, r := range before {
				for _, f := range r.Findings {
					done[f.Code] = done[f.Code] || f.Mended
					for _, c := range f.Fix {
						if k := c.key(); printed[k] && c.Kind != SendmailBuild {
							t.Errorf("%s is changed by two lines: %s", k, c)
						}
						printed[c.key()] = true
					}
				}
			}
			for _, r := range before {
				for _, f := range r.Findings {
					for _, c := range f.Fix {
						operate(t, h, &d, c)
						kinds[c.Kind], done[f.Code] = true, true
					}
				}
			}
			for i, r := range look(h, d) {
				for _, f := range r.Findings {
					if len(f.Fix) > 0 || f.Mended {
						t.Errorf("can still be mended: %s\n%s", f.coded(), f.Fix)
					}
					if i >= len(before) || slices.ContainsFunc(before[i].Findings, f.is) {
						continue
					}
					// What a remedy leaves matters less than what it mends, and has no remedy.
					isLeft := func(b Finding) bool { return len(b.Fix) > 0 && isLessSevere(f, b) }
					if !slices.ContainsFunc(before[i].Findings, isLeft) {
						t.Errorf("is new: %s", f.coded())
					}
				}
			}
		})
	}
	for _, k := range []ChangeKind{MainCF, MasterCF, SendmailMC, SendmailCF, SendmailPort,
		SendmailBuild, Setting, EditUnit, System} {
		if !kinds[k] {
			t.Errorf("no host has a change of kind %s", k)
		}
	}
	for _, c := range Codes() {
		if has := !slices.Contains(withoutRemedy, c); has != done[c] {
			t.Errorf("%s: mended %v, a remedy is wanted: %v", c, done[c], has)
		}
	}
}

// withoutRemedy are the codes for which there is nothing to print: what is to be done depends on
// what is wanted.
var withoutRemedy = []Code{
	"access-unknown", "changes-after", "postfix-bounces-no-rule", "postfix-local-returned",
	"postfix-milter-map", "postfix-milter-map-unread",
	"postfix-networks-style", "postfix-networks-unread", "postfix-rewrites-after",
	"postfix-no-8bitmime-at",
	"postfix-way-emptied", "sendmail-masquerade", "sendmail-submit-filters", "socket-unit-absent",
	"unreadable",
}

// operate does what one printed remedy says.
func operate(t *testing.T, h *testHost, d *Daemon, c Change) {
	t.Helper()
	text := c.String()
	switch c.Kind {
	case MainCF:
		name, _, _ := strings.Cut(text, " =")
		old := regexp.MustCompile(`(?m)^` + name + `\s*=.*\n(?:[ \t]+.*\n)*`)
		h.files[c.File] = old.ReplaceAllString(h.files[c.File]+"\n", "") + text + "\n"
	case MasterCF:
		lines := strings.Split(text, "\n")
		h.files[c.File] = withOptionLine(t, h.files[c.File], c.Service, lines[len(lines)-1])
	case SendmailMC:
		name, _, _ := strings.Cut(strings.SplitAfterN(text, "`", 2)[1], "'")
		if name == "confINPUT_MAIL_FILTERS" {
			old := regexp.MustCompile("(?m)^define\\(`" + name + "'.*\n")
			h.files[c.File] = old.ReplaceAllString(h.files[c.File], "") + text + "\n"
			return
		}
		old := regexp.MustCompile("(?m)^\\w+_FILTER\\(`" + name + "'.*\n")
		if !old.MatchString(h.files[c.File]) {
			h.files[c.File] += text + "\n"
			return
		}
		h.files[c.File] = old.ReplaceAllLiteralString(h.files[c.File], text+"\n")
	case SendmailCF:
		name := regexp.MustCompile(`^(X\w+|O InputMailFilters)`).FindString(text)
		old := regexp.MustCompile(`(?m)^` + name + `\b.*\n(?:[ \t]+.*\n)*`)
		h.files[c.File] = old.ReplaceAllString(h.files[c.File], "") + text + "\n"
	case SendmailPort:
		options := regexp.MustCompile("`(.*)'").FindStringSubmatch(text)
		line := text
		if options != nil {
			line = "O DaemonPortOptions=" + options[1]
		}
		lines := strings.SplitAfter(h.files[c.File], "\n")
		for i, l := range lines {
			old, _, _ := strings.Cut(strings.TrimSpace(l), ", Input")
			if strings.HasPrefix(l, "O DaemonPortOptions=") && strings.HasPrefix(line, old) {
				lines[i] = line + "\n"
				break
			}
		}
		h.files[c.File] = strings.Join(lines, "")
	case SendmailBuild:
		m4(t, h, c.File)
	case Setting:
		operateSetting(t, h, d, text)
	case EditUnit:
		_, settings, _ := strings.Cut(text, "\n")
		name := strings.TrimPrefix(strings.SplitN(text, "\n", 2)[0], "systemctl edit ")
		file := "/etc/systemd/system/" + name + ".d/override.conf"
		h.files[file] += "\n" + settings + "\n"
		startAll(t, h, *d)
	case System:
		operateCommand(t, h, *d, text)
	}
}

func withOptionLine(t *testing.T, text, service, option string) string {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	at := slices.IndexFunc(lines, func(l string) bool {
		f := strings.Fields(l)
		return len(f) > 7 && f[0]+" "+f[1] == service
	})
	if at < 0 {
		t.Fatalf("no service %s", service)
	}
	end := at + 1
	name := regexp.MustCompile(`-o\s*\{?\s*(\w+)`).FindStringSubmatch(option)[1]
	has := regexp.MustCompile(`-o\s*\{?\s*` + name + `\s*=`)
	for ; end < len(lines) && continues(lines[end]); end++ {
		if has.MatchString(lines[end]) && !strings.HasPrefix(strings.TrimSpace(lines[end]), "#") {
			// the last of several counts in Postfix: none may stay
			lines = slices.Delete(lines, end, end+1)
			end--
		}
	}
	return strings.Join(slices.Insert(lines, end, option), "\n") + "\n"
}

// continues reports whether a line of master.cf may belong to the service above: comments and empty
// lines do not end it.
func continues(line string) bool {
	return line == "" || line[0] == ' ' || line[0] == '#'
}

// m4 makes the filters of sendmail.cf from sendmail.mc, as far as the tests' files need it.
func m4(t *testing.T, h *testHost, mc string) {
	t.Helper()
	cf := path.Join(path.Dir(mc), "sendmail.cf")
	kept := ""
	var list []string
	for line := range strings.Lines(h.files[cf]) {
		if !strings.HasPrefix(line, "X") && !strings.HasPrefix(line, "O InputMailFilters") {
			kept += line
		}
	}
	statement := regexp.MustCompile(
		"^(INPUT_MAIL_FILTER|MAIL_FILTER|define)\\(`([^']*)', *`([^']*)'\\)")
	for line := range strings.Lines(h.files[mc]) {
		m := statement.FindStringSubmatch(line)
		switch {
		case m == nil:
		case m[1] == "define" && m[2] == "confINPUT_MAIL_FILTERS":
			list = []string{m[3]}
		case m[1] != "define":
			kept += "X" + m[2] + ", " + m[3] + "\n"
			if m[1] == "INPUT_MAIL_FILTER" {
				list = append(list, m[2])
			}
		}
	}
	h.files[cf] = kept + "O InputMailFilters=" + strings.Join(list, ", ") + "\n"
	h.files[mc] = strings.ReplaceAll(h.files[mc], "younger", "as old")
}

func operateSetting(t *testing.T, h *testHost, d *Daemon, text string) {
	t.Helper()
	m := regexp.MustCompile(`^(\w+) = (.*)  # mailseal.toml, (.*)$`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("%q is no setting", text)
	}
	values := strings.FieldsFunc(m[2],
		func(r rune) bool { return strings.ContainsRune(`[]", `, r) })
	switch m[1] {
	case "networks":
		d.Networks = nil
		for _, v := range values {
			n, err := netip.ParsePrefix(v)
			if err != nil {
				n = netip.PrefixFrom(netip.MustParseAddr(v), netip.MustParseAddr(v).BitLen())
			}
			d.Networks = append(d.Networks, n)
		}
	case "daemon_names":
		d.DaemonNames = values
	default:
		i := slices.IndexFunc(d.Listeners, func(l Listener) bool { return l.Setting == m[3] })
		if i < 0 {
			d.Listeners = append(d.Listeners, Listener{Setting: m[3]})
			i = len(d.Listeners) - 1
		}
		if !d.Listeners[i].set(m[1], values[0]) {
			t.Fatalf("%q cannot be set", text)
		}
		startAll(t, h, *d)
	}
}

// startAll makes the sockets of Mailseal and of systemd again.
func startAll(t *testing.T, h *testHost, d Daemon) {
	t.Helper()
	for _, l := range resolve(h, d.Listeners) {
		if l.Network != "unix" {
			continue
		}
		if n, err := h.Lstat(path.Dir(l.Target)); err == nil && !n.Mode.IsDir() {
			continue
		}
		mode := l.Mode
		if mode == 0 {
			mode = 0o666
		}
		group := l.Group
		if group == "" {
			group = "mailseal"
		}
		gid, _ := groupID(h, group)
		h.nodes[l.Target] = Node{Mode: fs.ModeSocket | mode.Perm(), GID: gid}
	}
}

func operateCommand(t *testing.T, h *testHost, d Daemon, text string) {
	t.Helper()
	words := strings.Fields(text)
	switch {
	case strings.HasPrefix(text, "systemctl edit mailseal\n"):
		h.chmod(t, "/run/mailseal", words[len(words)-1][len("RuntimeDirectoryMode="):])
	case words[0] == "systemctl" && words[1] == "disable":
		delete(h.files, "/etc/systemd/system/multi-user.target.wants/"+words[3]+".service")
	case words[0] == "systemctl":
		startAll(t, h, d)
	case words[0] == "chmod":
		mode, _ := h.Lstat(words[2])
		bits := map[string]fs.FileMode{"a+x": mode.Mode.Perm() | 0o111,
			"go-w": mode.Mode.Perm() &^ 0o022}[words[1]]
		h.chmod(t, words[2], strconv.FormatUint(uint64(bits), 8))
	case words[0] == "echo" && words[1] == "'d":
		h.chmod(t, words[2], words[3])
	case words[0] == "usermod":
		h.files["/etc/group"] += words[2] + ":x:" + numberOfGroup(h, words[2]) + ":" + words[3] +
			"\n"
	case words[0] == "rm":
		delete(h.files, words[1])
		delete(h.nodes, words[1])
		startAll(t, h, d)
	case words[0] == "mv":
		delete(h.files, words[1])
	case words[0] == "mkdir":
		h.nodes[words[3]] = Node{Mode: fs.ModeDir | 0o755}
	case words[0] == "sed":
		h.files[words[len(words)-1]] = edited(t, text, h.files[words[len(words)-1]])
	case text == "make -C /etc/mail submit.cf":
		h.files["/etc/mail/submit.cf"] = "Dz\n"
	default:
		t.Fatalf("%q is no command that the test knows", text)
	}
}

// edited gives a text to a command that edits the file which it names last.
func edited(t *testing.T, command, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	line := command[:strings.LastIndexByte(command, ' ')+1] + file
	if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
	after, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(after)
}

func (h *testHost) chmod(t *testing.T, name, mode string) {
	t.Helper()
	n, err := h.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	n.Mode = n.Mode&^fs.ModePerm | parseMode(mode, 0)
	h.nodes[name] = n
}
