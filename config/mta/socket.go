package mta

import (
	"io/fs"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// endpoint is where a mail server connects to.
type endpoint struct {
	network string // "unix" or "tcp"
	path    string // of a unix socket, as written
	host    string
	port    string
	v4, v6  bool // which addresses a name may stand for
}

// String writes it as people read it.
func (e endpoint) String() string {
	if e.network == "unix" {
		return e.path
	}
	return net.JoinHostPort(e.host, e.port)
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// addresses returns the addresses that the host of an endpoint means. They are not known
// for a name other than localhost, which would need a lookup.
func (e endpoint) addresses() (all []netip.Addr, known bool) {
	if a, err := netip.ParseAddr(e.host); err == nil {
		all = append(all, a)
	} else if isLocalhost(e.host) {
		all = append(all, netip.IPv6Loopback(), loopback)
	}
	known = len(all) > 0
	return slices.DeleteFunc(all, func(a netip.Addr) bool {
		return a.Is4() && !e.v4 || a.Is6() && !e.v6
	}), known
}

// isThisHost reports whether an endpoint is on loopback.
func (e endpoint) isThisHost() bool {
	e.v4, e.v6 = true, true
	at, _ := e.addresses()
	return slices.ContainsFunc(at, netip.Addr.IsLoopback)
}

func isLocalhost(name string) bool {
	return name == "localhost" || name == "localhost.localdomain" || name == "ip6-localhost"
}

// takes reports whether a TCP listener takes connections to an endpoint.
func (l Listener) takes(e endpoint) bool {
	host, port, err := net.SplitHostPort(l.Target)
	if err != nil || e.network != "tcp" || port != e.port || !strings.HasPrefix(l.Network, "tcp") {
		return false
	}
	at, known := e.addresses()
	if !known {
		return true // the port is ours; the name may be this host's
	}
	own := endpoint{host: host, v4: l.Network != "tcp6", v6: l.Network != "tcp4"}
	mine, _ := own.addresses()
	return slices.ContainsFunc(at, func(a netip.Addr) bool {
		return host == "" && (a.Is4() && own.v4 || a.Is6() && own.v6) || slices.Contains(mine, a) ||
			slices.ContainsFunc(mine, func(m netip.Addr) bool {
				return m.IsUnspecified() && m.Is4() == a.Is4()
			})
	})
}

// unitDirs are where systemd looks for units, the strongest first (systemd.unit(5)).
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system",
	"/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// resolve replaces listeners that systemd passes by those that their units define. A name
// without a unit stays.
func resolve(h Host, listeners []Listener) []Listener {
	var out []Listener
	for _, l := range listeners {
		if l.Network != "fd" {
			out = append(out, l)
			continue
		}
		made := fromUnits(h, l)
		if len(made) == 0 {
			made = []Listener{l}
		}
		out = append(out, made...)
	}
	return out
}

func fromUnits(h Host, l Listener) []Listener {
	for _, dir := range unitDirs {
		names, err := h.ReadDir(dir)
		if err != nil {
			continue // not every system has every directory
		}
		for _, name := range names {
			if !strings.HasSuffix(name, ".socket") {
				continue
			}
			u := readUnit(h, dir, name)
			if called := u.last("FileDescriptorName", name); called == l.Target {
				l.unit = path.Join(dir, name)
				return u.listeners(l)
			}
		}
	}
	return nil
}

// unit holds the settings of a systemd unit, each with all its values.
type unit map[string][]string

// readUnit reads a unit and what "systemctl edit" put beside it.
func readUnit(h Host, dir, name string) unit {
	u := unit{}
	text, _ := h.ReadFile(path.Join(dir, name)) // what cannot be read says nothing
	u.read(text)
	edits, _ := h.ReadDir("/etc/systemd/system/" + name + ".d")
	for _, edit := range edits {
		if strings.HasSuffix(edit, ".conf") {
			text, _ := h.ReadFile("/etc/systemd/system/" + name + ".d/" + edit)
			u.read(text)
		}
	}
	return u
}

func (u unit) read(text []byte) {
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if name = strings.TrimSpace(name); !ok || strings.HasPrefix(name, "#") ||
			strings.HasPrefix(name, ";") {
			continue
		}
		if value = strings.TrimSpace(value); value == "" {
			delete(u, name)
			continue
		}
		u[name] = append(u[name], value)
	}
}

func (u unit) last(name, otherwise string) string {
	if all := u[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return otherwise
}

// listeners are what ListenStream= makes (systemd.socket(5)): a path, a port on all addresses, or
// address and port.
func (u unit) listeners(l Listener) []Listener {
	var out []Listener
	for _, s := range u["ListenStream"] {
		l := l
		switch _, err := strconv.Atoi(s); {
		case strings.HasPrefix(s, "/"):
			mode, err := strconv.ParseUint(u.last("SocketMode", "0666"), 8, 32)
			if err != nil {
				mode = 0o666
			}
			l.Network, l.Target, l.Mode = "unix", s, fs.FileMode(mode)
			l.User, l.Group = u.last("SocketUser", "root"), u.last("SocketGroup", "root")
		case err == nil:
			l.Network, l.Target = "tcp", ":"+s
		default:
			l.Network, l.Target = "tcp", s
		}
		out = append(out, l)
	}
	return out
}

// name identifies the listener by its setting, and by the unit that defines it.
func (l Listener) name() string {
	if l.unit != "" {
		return l.Setting + " (" + l.unit + ")"
	}
	return l.Setting
}
