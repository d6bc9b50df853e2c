package service

import (
	"mailseal/keys/files"
	"path/filepath"
	"slices"
	"strings"
)

// Unit holds the settings of a systemd unit and its drop-ins from their [Service] sections.
type Unit struct {
	File  string
	lines []setting // in the order in which they count
}

type setting struct{ name, value string }

// unitDirs are where systemd looks for units, the first first (systemd.unit(5)).
var unitDirs = []string{
	"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system",
	"/usr/lib/systemd/system", "/lib/systemd/system",
}

// maxUnit bounds what is read of a unit, in bytes.
const maxUnit = 1 << 20

// FindUnit reads a unit and its drop-ins, all below root. It returns nil if there is no
// such unit.
func FindUnit(root, name string) *Unit {
	var u *Unit
	for _, dir := range unitDirs {
		path := filepath.Join(root, dir, name)
		if text, err := files.Read(path, maxUnit); err == nil {
			u = &Unit{File: path}
			u.read(string(text))
			break
		}
	}
	if u == nil {
		return nil
	}
	// by name: one in an earlier directory takes the place of the others
	dropIns := map[string]string{}
	for _, dir := range unitDirs {
		// the pattern is a good one
		paths, _ := filepath.Glob(filepath.Join(root, dir, name+".d", "*.conf"))
		for _, path := range paths {
			if _, have := dropIns[filepath.Base(path)]; !have {
				dropIns[filepath.Base(path)] = path
			}
		}
	}
	var names []string
	for n := range dropIns {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		if text, err := files.Read(dropIns[n], maxUnit); err == nil {
			u.read(string(text))
		}
	}
	return u
}

// read takes the settings of the [Service] section. A line that ends with a backslash goes on in
// the next.
func (u *Unit) read(text string) {
	inService := false
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		switch name, value, ok := strings.Cut(line, "="); {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			inService = line == "[Service]"
		case inService && ok:
			u.lines = append(u.lines, setting{strings.TrimSpace(name), strings.TrimSpace(value)})
		}
	}
}

// Get returns the last value of a setting, "" if it is not set.
func (u *Unit) Get(name string) string {
	for _, s := range slices.Backward(u.lines) {
		if s.name == name {
			return s.value
		}
	}
	return ""
}

// List returns the words of a setting that may come several times; an empty one forgets those
// before.
func (u *Unit) List(name string) []string {
	var out []string
	for _, s := range u.lines {
		switch {
		case s.name != name:
		case s.value == "":
			out = nil
		default:
			out = append(out, strings.Fields(s.value)...)
		}
	}
	return out
}

// yes reports whether a value of systemd's means yes.
func yes(value string) bool {
	switch strings.ToLower(value) {
	case "1", "yes", "y", "true", "t", "on":
		return true
	}
	return false
}

// Hides returns the setting that keeps a file from the unit's processes whatever its permissions,
// "" if none does.
func (u *Unit) Hides(path string) string {
	for _, list := range []string{"BindPaths", "BindReadOnlyPaths"} {
		for _, bound := range u.List(list) {
			from, to, _ := strings.Cut(strings.TrimPrefix(bound, "-"), ":")
			to, _, _ = strings.Cut(to, ":")
			if to == "" {
				to = from
			}
			if isBelow(path, to) {
				return ""
			}
		}
	}
	if home := u.Get("ProtectHome"); yes(home) || home == "tmpfs" {
		for _, dir := range []string{"/home", "/root", "/run/user"} {
			if isBelow(path, dir) {
				return "ProtectHome=" + home
			}
		}
	}
	if yes(u.Get("PrivateTmp")) && (isBelow(path, "/tmp") || isBelow(path, "/var/tmp")) {
		return "PrivateTmp=yes"
	}
	for _, list := range []string{"InaccessiblePaths", "TemporaryFileSystem"} {
		for _, dir := range u.List(list) {
			dir, _, _ = strings.Cut(strings.TrimLeft(dir, "-+"), ":")
			if isBelow(path, dir) {
				return list + "=" + dir
			}
		}
	}
	return ""
}

// ReadOnly returns the setting that keeps the unit's processes from writing in a directory, "" if
// none does.
func (u *Unit) ReadOnly(dir string) string {
	writable := []string{"/dev", "/proc", "/sys"}
	for list, top := range map[string]string{
		"StateDirectory": "/var/lib", "RuntimeDirectory": "/run", "CacheDirectory": "/var/cache",
		"LogsDirectory": "/var/log",
	} {
		for _, name := range u.List(list) {
			name, _, _ = strings.Cut(name, ":")
			writable = append(writable, filepath.Join(top, name))
		}
	}
	for _, list := range []string{"ReadWritePaths", "BindPaths"} {
		for _, p := range u.List(list) {
			p, _, _ = strings.Cut(strings.TrimLeft(p, "-+"), ":")
			writable = append(writable, p)
		}
	}
	for _, w := range writable {
		if isBelow(dir, w) {
			return ""
		}
	}
	for _, p := range u.List("ReadOnlyPaths") {
		if isBelow(dir, strings.TrimLeft(p, "-+")) {
			return "ReadOnlyPaths=" + p
		}
	}
	switch system := u.Get("ProtectSystem"); {
	case system == "strict":
		return "ProtectSystem=strict"
	case system == "full" && isBelow(dir, "/etc"),
		yes(system) && (isBelow(dir, "/usr") || isBelow(dir, "/boot")):
		return "ProtectSystem=" + system
	}
	return ""
}

// isBelow reports whether a path is a directory or in it.
func isBelow(path, dir string) bool {
	path, dir = filepath.Clean(path), filepath.Clean(dir)
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// sandboxed are the settings that decide what a process of the unit can reach; systemd-run takes
// them as properties.
var sandboxed = []string{
	"SupplementaryGroups", "ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices",
	"PrivateUsers", "ProtectProc", "ProcSubset",
	"ProtectKernelTunables", "ProtectControlGroups", "ReadWritePaths", "ReadOnlyPaths",
	"InaccessiblePaths", "TemporaryFileSystem", "BindPaths",
	"BindReadOnlyPaths", "RootDirectory", "RootImage", "StateDirectory", "StateDirectoryMode",
	"RuntimeDirectory", "RuntimeDirectoryMode",
	"ConfigurationDirectory", "NoNewPrivileges", "CapabilityBoundingSet", "AmbientCapabilities",
	"AppArmorProfile", "SELinuxContext",
}

// Properties are the settings of the unit that decide what its processes can reach, as
// systemd-run(1) takes them. The runtime directory is preserved: the daemon may be using it.
func (u *Unit) Properties() []string {
	out := []string{"--property=RuntimeDirectoryPreserve=yes"}
	for _, s := range u.lines {
		if slices.Contains(sandboxed, s.name) {
			out = append(out, "--property="+s.name+"="+s.value)
		}
	}
	return out
}
