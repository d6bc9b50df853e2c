package mta

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// world is a host and what Mailseal is configured to do there, with changes that were only thought
// of.
type world struct {
	host   Host
	daemon Daemon
	files  map[string]string
	nodes  map[string]Node
	gone   map[string]bool
	groups string // lines that are appended to /etc/group
}

func newWorld(h Host, d Daemon) world { return world{host: h, daemon: d} }

// clone is a world whose changes leave the first one alone.
func (w world) clone() world {
	w.files, w.nodes, w.gone = cloned(w.files), cloned(w.nodes), cloned(w.gone)
	w.daemon.Listeners = slices.Clone(w.daemon.Listeners)
	return w
}

func cloned[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return maps.Clone(m)
}

// ReadFile implements Host.
func (w world) ReadFile(name string) ([]byte, error) {
	if w.gone[name] {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if text, ok := w.files[name]; ok {
		return []byte(text), nil
	}
	text, err := w.host.ReadFile(name)
	if name == "/etc/group" && err == nil {
		text = append(text, w.groups...)
	}
	return text, err
}

// ReadDir implements Host.
func (w world) ReadDir(dir string) ([]string, error) {
	names, err := w.host.ReadDir(dir)
	names = slices.DeleteFunc(slices.Clone(names),
		func(n string) bool { return w.gone[path.Join(dir, n)] })
	for name := range w.files {
		if path.Dir(name) == dir && !slices.Contains(names, path.Base(name)) {
			names, err = append(names, path.Base(name)), nil
		}
	}
	slices.Sort(names)
	return names, err
}

// Lstat implements Host.
func (w world) Lstat(name string) (Node, error) {
	if w.gone[name] {
		return Node{}, &fs.PathError{Op: "lstat", Path: name, Err: fs.ErrNotExist}
	}
	if n, ok := w.nodes[name]; ok {
		return n, nil
	}
	return w.host.Lstat(name)
}

func (w world) node(name string, n Node) {
	delete(w.gone, name)
	w.nodes[name] = n
}

// with returns the world after a change, false when the change changes nothing or is not possible.
func (w world) with(c Change) (world, bool) {
	w = w.clone()
	switch c.Kind {
	case MainCF, MasterCF, SendmailCF:
		return w.withLine(c)
	case SendmailMC:
		w, ok := w.withLine(c)
		return w.rebuilt(c.File), ok
	case SendmailPort:
		return w.withPort(c)
	case SendmailBuild:
		return w.rebuilt(c.File), true
	case Setting:
		return w.withSetting(c)
	case EditUnit:
		return w.withUnit(c), true
	}
	return w.withCommand(c)
}

// withLine puts a line into a file of a mail server.
func (w world) withLine(c Change) (world, bool) {
	text, err := w.ReadFile(c.File)
	if err != nil {
		return w, false
	}
	old := string(text)
	changed := ""
	switch c.Kind {
	case MainCF:
		changed = withParameter(old, c)
	case MasterCF:
		changed = withOptionOf(old, c)
	case SendmailMC:
		changed = withMCLine(old, c)
	default:
		changed = withCFLine(old, c)
	}
	w.files[c.File] = changed
	return w, changed != old
}

// withParameter puts a line of main.cf in place of the one that counts, or at the end.
func withParameter(text string, c Change) string {
	at, until := 0, 0
	for _, l := range logicalLines(text) {
		if name, _, ok := strings.Cut(l.text, "="); ok && strings.TrimSpace(name) == c.Name {
			at, until = l.line, l.parts[len(l.parts)-1].line
		}
	}
	return replaced(text, at, until, c.String())
}

// replaced puts a line in place of others, the first of which is 1; at 0, at the end.
func replaced(text string, at, until int, line string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if at == 0 {
		return strings.Join(append(lines, line), "\n") + "\n"
	}
	return strings.Join(slices.Replace(lines, at-1, until, line), "\n") + "\n"
}

// withOptionOf gives a service of master.cf an option, in place of one with the same name.
func withOptionOf(text string, c Change) string {
	for _, l := range logicalLines(text) {
		f := words(l.text, blanks)
		if len(f) < 8 || f[0].text+" "+f[1].text != c.Service {
			continue
		}
		line := strings.TrimRight(l.text[:f[7].offset]+f[7].text, blanks)
		for i := 8; i < len(f); i++ {
			arg := f[i].text
			if arg == "-o" && i+1 < len(f) {
				i++
				arg = "-o " + f[i].text
			}
			if optionName(arg) != c.Name {
				line += "\n  " + arg
			}
		}
		return replaced(text, l.line, l.parts[len(l.parts)-1].line, line+"\n"+c.String())
	}
	return text
}

// optionName is the parameter that an argument sets, "" if it sets none.
func optionName(arg string) string {
	value, ok := strings.CutPrefix(arg, "-o")
	name, _, isSet := strings.Cut(unbraced(value), "=")
	if !ok || !isSet {
		return ""
	}
	return strings.TrimSpace(name)
}

// withSetting changes what Mailseal is configured to do.
func (w world) withSetting(c Change) (world, bool) {
	switch {
	case c.Name == "daemon_names":
		w.daemon.DaemonNames = c.Values
		return w, true
	case c.Name == "networks":
		w.daemon.Networks = nil
		for _, n := range c.Values {
			if n, ok := postfixNetwork(n); ok {
				w.daemon.Networks = append(w.daemon.Networks, n)
			}
		}
		return w, true
	}
	i := slices.IndexFunc(w.daemon.Listeners,
		func(l Listener) bool { return l.Setting == c.Section })
	if i < 0 {
		if !strings.HasPrefix(c.Section, "another ") {
			return w, false
		}
		w.daemon.Listeners = append(w.daemon.Listeners, Listener{Setting: c.Section})
		i = len(w.daemon.Listeners) - 1
	}
	l := &w.daemon.Listeners[i]
	if !l.set(c.Name, c.Value) {
		return w, false
	}
	w.socket(*l)
	return w, true
}

// set changes one key of a [[listen]].
func (l *Listener) set(name, value string) bool {
	switch name {
	case "address":
		if name, ok := strings.CutPrefix(value, "fd:"); ok {
			l.Network, l.Target = "fd", name
			return true
		}
		e, _, ok := parseSendmail(value)
		if !ok {
			return false
		}
		l.Network, l.Target = "unix", e.path
		if e.network == "tcp" {
			l.Network = either(e.v6, "tcp6", "tcp4")
			l.Target = endpoint{network: "tcp", host: e.host, port: e.port}.String()
		}
	case "group":
		l.Group = value
	case "mode":
		l.Mode = parseMode(value, l.Mode)
	case "role":
		return l.Role.UnmarshalText([]byte(value)) == nil
	default:
		return false
	}
	return true
}

// socket makes a unix socket, with the directories above it, as Mailseal or systemd would.
func (w world) socket(l Listener) {
	if l.Network != "unix" {
		return
	}
	isMade := l.unit != "" || strings.HasPrefix(follow(w, path.Dir(l.Target))+"/", "/run/mailseal/")
	for dir := path.Dir(l.Target); dir != "/"; dir = path.Dir(dir) {
		if _, err := w.Lstat(dir); err == nil {
			break
		}
		if !isMade {
			return // there is not a directory, and nothing that makes it
		}
		w.node(dir, Node{Mode: fs.ModeDir | 0o755})
	}
	mode := l.Mode.Perm()
	if mode == 0 {
		mode = 0o666
	}
	group := l.Group
	if group == "" {
		group = "mailseal"
	}
	n := Node{Mode: fs.ModeSocket | mode}
	n.GID, _ = groupID(w, group)
	n.UID, _ = userID(w, l.User)
	w.node(l.Target, n)
}

// withUnit puts settings beside a unit of a socket, and makes the socket again.
func (w world) withUnit(c Change) world {
	name := path.Base(c.File)
	file := "/etc/systemd/system/" + name + ".d/zz-thought-of.conf"
	old, _ := w.ReadFile(file) // none yet
	w.files[file] = string(old) + "\n" + c.Value + "\n"
	for _, l := range resolve(w, w.daemon.Listeners) {
		if l.unit != "" && path.Base(l.unit) == name {
			w.socket(l)
		}
	}
	return w
}

// withCommand does what a command does.
func (w world) withCommand(c Change) (world, bool) {
	n, err := w.Lstat(c.File)
	switch c.Name {
	case "start":
		for _, l := range c.make {
			w.socket(l)
		}
		return w, true
	case "remove":
		w.gone[c.File] = true
		for _, l := range w.daemon.Listeners {
			if l.Target == c.File {
				w.socket(l)
			}
		}
		return w, true
	case "submit":
		w.files[c.File] = "D{MTAHost}[127.0.0.1]\n"
		return w, true
	case "directory":
		if err == nil {
			return w, false // mkdir(1) fails
		}
		w.node(c.File, Node{Mode: fs.ModeDir | parseMode(c.Value, 0o755)})
		return w, true
	case "mode":
		n.Mode = n.Mode&^fs.ModePerm | parseMode(c.Value, n.Mode.Perm())
		w.node(c.File, n)
		return w, err == nil
	case "member": // Value is a user, File is a group
		w.groups += "\n" + c.File + ":x:" + numberOfGroup(w, c.File) + ":" + c.Value + "\n"
		return w, true
	case "requote":
		text, err := w.ReadFile(c.File)
		if err != nil {
			return w, false
		}
		w.files[c.File] = plainQuotes(string(text))
		return w, true
	case "disable":
		w.gone[c.File] = true
		return w, true
	}
	return w, false
}
