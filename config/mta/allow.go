package mta

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// allow is what lets a process connect to a socket.
func allow(h Host, l Listener, p process) []Fix {
	group := p.name
	if _, ok := groupID(h, group); !ok {
		service := cmp.Or(l.Group, "mailseal")
		join := command("member", service, fmt.Sprintf("usermod -aG %s %s && systemctl restart %s",
			service, p.name, p.server))
		join.Value = p.name
		return []Fix{{join}}
	}
	if l.unit != "" {
		settings := fmt.Sprintf("[Socket]\nSocketGroup=%s\nSocketMode=0660", group)
		line := fmt.Sprintf("systemctl edit %s\n%s", path.Base(l.unit), settings)
		return []Fix{{{Kind: EditUnit, File: l.unit, Value: settings, line: line}}}
	}
	return []Fix{{setting(l.Setting, "group", group), setting(l.Setting, "mode", "0660")}}
}

// correct returns the changes that remove an obstacle.
func correct(h Host, o obstacle, l Listener, p process) []Fix {
	switch o.kind {
	case noSearch:
		return []Fix{{openToAll(h, o)}}
	case noWrite:
		return allow(h, l, p)
	case noSocket:
		return []Fix{{command("remove", o.path, fmt.Sprintf("rm %s && systemctl restart mailseal",
			o.path))}}
	case noDir:
		off := command("remove", o.path, "rm "+o.path)
		on := command("directory", o.path, "mkdir -m 0755 "+o.path)
		on.Value = "0755"
		return []Fix{{off, on, start(l)}}
	}
	return nil
}

// openToAll lets all users pass a directory. What is below /run is made again at boot, by whatever
// made it first.
func openToAll(h Host, o obstacle) Change {
	mode := fmt.Sprintf("%04o", o.node.Mode.Perm()|0o111)
	c := command("mode", o.path, "chmod a+x "+o.path)
	c.Value = mode
	if isVolatile(o.path) {
		c.line = tmpfile(h, o.path, o.node, mode)
	}
	return c
}

// closeToOthers keeps a group and others from writing to a directory.
func closeToOthers(h Host, dir string, n Node) Change {
	mode := fmt.Sprintf("%04o", n.Mode.Perm()&^0o022)
	c := command("mode", dir, "chmod go-w "+dir)
	c.Value = mode
	if isVolatile(dir) {
		c.line = tmpfile(h, dir, n, mode)
	}
	return c
}

// isVolatile reports whether a directory is gone after the next boot.
func isVolatile(dir string) bool {
	return strings.HasPrefix(dir, "/run/") || strings.HasPrefix(dir, "/var/run/")
}

// tmpfile sets the mode of a directory below /run, now and at each boot. That of Mailseal itself is
// made by its unit.
func tmpfile(h Host, dir string, n Node, mode string) string {
	if dir == "/run/mailseal" {
		return "systemctl edit mailseal\n[Service]\nRuntimeDirectoryMode=" + mode
	}
	const file = "/etc/tmpfiles.d/00-mailseal.conf"
	user := userName(h, n.UID)
	return fmt.Sprintf("echo 'd %s %s %s %s' >> %s && systemd-tmpfiles --create %[5]s",
		dir, mode, user, groupName(h, n.GID), file)
}

// userName returns the name of a user, its number where it has none.
func userName(h Host, uid uint32) string {
	text, _ := h.ReadFile("/etc/passwd") // without it the number has to do
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(line, ":"); len(f) > 2 &&
			f[2] == strconv.FormatUint(uint64(uid), 10) {
			return f[0]
		}
	}
	return strconv.FormatUint(uint64(uid), 10)
}

// parseMode reads a mode in octal digits.
func parseMode(s string, otherwise fs.FileMode) fs.FileMode {
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil {
		return otherwise
	}
	return fs.FileMode(n) & fs.ModePerm
}

// numberOfGroup is the number of a group, in digits.
func numberOfGroup(h Host, name string) string {
	gid, _ := groupID(h, name)
	return strconv.FormatUint(uint64(gid), 10)
}

// disable is what keeps another filter from starting. It is false when systemd knows the filter and
// does not start it.
func disable(h Host, o other) (c Change, isOn bool) {
	for _, dir := range unitDirs {
		if _, err := h.Lstat(path.Join(dir, o.name+".service")); err != nil {
			continue
		}
		link := "/etc/systemd/system/multi-user.target.wants/" + o.name + ".service"
		_, err := h.Lstat(link)
		return command("disable", link, "systemctl disable --now "+o.name), err == nil
	}
	return command("disable", o.conf, fmt.Sprintf("mv %s %[1]s.off", o.conf)), true
}
