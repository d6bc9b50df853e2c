package config

import (
	"os"
	"path/filepath"
	"strings"

	"mailseal/keys/files"
	"mailseal/milter/domain"
)

// HostNames are the names of a host.
type HostNames struct {
	// what the host calls itself, "mail" or "mail.example.com"; "" when that cannot be found out
	Name string
	Full string // its fully qualified name; "" when that is not known
}

// ThisHost returns the names of the host that this program runs on.
func ThisHost() HostNames {
	name, _ := os.Hostname() // a host without a name has none to show
	return hostNames("/", name)
}

// maxHosts bounds what is read of hosts(5), in bytes.
const maxHosts = 8 << 20

// HostNamesAt returns the names of the host whose root directory is root: another host's files, in
// a directory. With "" it is this host.
func HostNamesAt(root string) HostNames {
	if root == "" || root == "/" {
		return ThisHost()
	}
	// without it there is not a name
	text, _ := files.Read(filepath.Join(root, "etc/hostname"), maxHosts)
	return hostNames(root, strings.TrimSpace(string(text)))
}

// hostNames finds the full name that belongs to a host's name, as hostname -f does, but asks no
// name server: a start must not wait for one.
func hostNames(root, name string) HostNames {
	if _, err := parseAuthservID(name); err != nil {
		return HostNames{}
	}
	if domain.IsFull(name) {
		return HostNames{Name: name, Full: name}
	}
	// without it no full name is known
	text, _ := files.Read(filepath.Join(root, "etc/hosts"), maxHosts)
	return HostNames{Name: name, Full: nameInHosts(string(text), name)}
}

// nameInHosts returns the full name in the line of hosts(5) that contains a name, or "".
func nameInHosts(text, name string) string {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 || !containsFold(fields[1:], name) {
			continue
		}
		for _, n := range fields[1:] {
			if domain.IsFull(n) {
				return strings.TrimSuffix(n, ".")
			}
		}
	}
	return ""
}

// ServerName returns our name for uses without a connection: authserv_id, else the host's
// full name, else its short hostname, else localhost.
func (c *Config) ServerName() string {
	for _, name := range []string{c.AuthservID, c.Host.Full, c.Host.Name} {
		if name != "" {
			return name
		}
	}
	return "localhost"
}
