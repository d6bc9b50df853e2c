// Package config reads, checks and explains Mailseal's configuration: one TOML file, or several.
// What a setting is called, what it means and what it is by default is in one table
// (settings.go), from which come the check for unknown settings, the sample file and the manual
// page.
package config

import (
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailseal/milter/action"
)

// Config is a whole configuration: checked, every default filled in, every name resolved. Nothing
// in it is read from outside the configuration's own files: whether a key file can be read is found
// out by those who build the daemon.
type Config struct {
	// "HOSTNAME" replaced; "": the MTA's name ({j}), else Host.Full, else Host.Name
	AuthservID     string `toml:"authserv_id"`
	Mode           []Mode `toml:"mode"`
	StateDirectory string `toml:"state_directory"`
	// whom a daemon that root starts becomes; "": it stays root
	User            string        `toml:"user"`
	OnInternalError action.Action `toml:"on_internal_error"` // Accept, Reject or Tempfail
	RequireSafeKeys bool          `toml:"require_safe_keys"`
	Include         []string      `toml:"include"` // as written; Load has followed it
	Domain          []string      `toml:"domain"`  // simple mode: already turned into Keys and Sign
	Selector        string        `toml:"selector"`
	KeyFile         string        `toml:"key_file"`
	// OpenDKIM's, by name: "file:/etc/opendkim/key.table"
	KeyTable           string            `toml:"key_table"`
	SigningTable       string            `toml:"signing_table"` // OpenDKIM's, by name
	MultipleSignatures bool              `toml:"multiple_signatures"`
	Listen             []Listener        `toml:"listen"` // at least one
	Ours               Ours              `toml:"ours"`
	Relays             Relays            `toml:"relays"`
	Exempt             Exempt            `toml:"exempt"`
	DNS                DNS               `toml:"dns"`
	Limits             Limits            `toml:"limits"`
	Keys               map[string]Key    `toml:"keys"`
	Sources            map[string]Source `toml:"sources"`
	Signing            Signing           `toml:"signing"`
	// in file order; Signing.Match says which of those that fit sign
	Sign                  []Rule                `toml:"sign"`
	Rotation              Rotation              `toml:"rotation"`
	Senders               Senders               `toml:"senders"`
	Verify                Verify                `toml:"verify"`
	Seal                  Seal                  `toml:"seal"`
	AuthenticationResults AuthenticationResults `toml:"authentication_results"`
	Policy                Policy                `toml:"policy"`
	Log                   Log                   `toml:"log"`
	Metrics               Metrics               `toml:"metrics"`
	Control               Control               `toml:"control"`
	Reload                Reload                `toml:"reload"`
	Test                  Test                  `toml:"test"`
	Reports               Reports               `toml:"reports"`

	// Files are those that were read: the file that was named, and those that it includes.
	Files []string `toml:"-"`

	// Host are the names of this host.
	Host HostNames `toml:"-"`

	// Warnings are findings that forbid nothing: a catch-all rule with one domain's key, nothing to
	// sign with.
	Warnings []Problem `toml:"-"`

	origin *origin // nil for one that was not read from files
}

// origin is what a configuration was read from. It may hold secrets, so that it is behind a
// pointer, which is printed as such.
type origin struct {
	texts  map[string]string // of the files, unless they are large, by name
	places map[string]place  // of settings that stand in a file
	main   *file             // the one that was named to Load
}

// CutFrom returns the names of files that are truncated: their text is the beginning of their text
// in an earlier configuration.
func (c *Config) CutFrom(before *Config) []string {
	if c.origin == nil || before.origin == nil {
		return nil
	}
	var out []string
	for name, text := range c.origin.texts {
		if old := before.origin.texts[name]; len(text) < len(old) && strings.HasPrefix(old, text) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Mode is half of the daemon's work.
type Mode string

// The modes.
const (
	ModeSign   Mode = "sign"
	ModeVerify Mode = "verify"
)

// Signs reports whether mail of ours is signed.
func (c *Config) Signs() bool { return c.has(ModeSign) }

// Verifies reports whether strangers' mail is judged.
func (c *Config) Verifies() bool { return c.has(ModeVerify) }

func (c *Config) has(m Mode) bool {
	for _, have := range c.Mode {
		if have == m {
			return true
		}
	}
	return false
}

// Listener is one socket on which MTAs reach us.
type Listener struct {
	// as written: "inet:8891@127.0.0.1", "unix:/run/mailseal/mailseal.sock"
	Address string      `toml:"address"`
	Role    action.Role `toml:"role"`  // RoleAuto, or whose mail everything is that comes in here
	Mode    fs.FileMode `toml:"mode"`  // permission bits of a unix socket
	User    string      `toml:"user"`  // owner of a unix socket; "": ours
	Group   string      `toml:"group"` // group of a unix socket; "": ours

	// "tcp4", "tcp6", "tcp", "unix", or "fd" for a socket that systemd hands over
	Network string `toml:"-"`
	// for net.Listen: "127.0.0.1:8891", the socket's path; for "fd" its name or number
	Target string `toml:"-"`

	placed
}

// Ours configures which mail is ours, to be signed.
type Ours struct {
	Networks []netip.Prefix `toml:"networks"`
	// client names, lower case; ".example.com": any name below it; "!" in front: none of them
	Hosts         []string `toml:"hosts"`
	Authenticated bool     `toml:"authenticated"`
	DaemonNames   []string `toml:"daemon_names"`
	// macro name without braces → values that mean ours; none: any value
	Macros    map[string][]string `toml:"macros"`
	Unmatched action.Unmatched    `toml:"unmatched"`
	// of ours, those that may hand on fields that only we write
	KeepResults []netip.Prefix `toml:"keep_results"`
}

// Relays are hosts that hand us mail of strangers: backup MX, content filters, trusted gateways.
type Relays struct {
	Networks []netip.Prefix `toml:"networks"`
}

// Exempt is mail that we leave alone: neither signed nor judged, no field touched.
type Exempt struct {
	Networks []netip.Prefix `toml:"networks"`
	Hosts    []string       `toml:"hosts"` // as Ours.Hosts
	// From domains; ".example.com": any domain below it
	AuthorDomains []string `toml:"author_domains"`
}

// DNS configures DNS lookups.
type DNS struct {
	Servers []netip.AddrPort `toml:"servers"` // none: /etc/resolv.conf
	// for one question to one server; 0: as resolv.conf says, else 5 s
	Timeout time.Duration `toml:"timeout"`
	// rounds over the servers; 0: as resolv.conf says, else 2
	Tries     int `toml:"tries"`
	CacheSize int `toml:"cache_size"`
}

// Limits bound what peers may ask of us.
type Limits struct {
	HeaderSize  Size `toml:"header_size"` // octets of all header fields of a message
	Connections int  `toml:"connections"`
	// for judging a message, all lookups included
	MessageDeadline time.Duration `toml:"message_deadline"`
	Handshake       time.Duration `toml:"handshake"` // until the first packet is there
	Packet          time.Duration `toml:"packet"`    // inside a packet
	Idle            time.Duration `toml:"idle"`      // between packets
	Write           time.Duration `toml:"write"`     // for one write
	// on stopping: messages in progress may end
	DrainSoft time.Duration `toml:"drain_soft"`
	// on stopping: every connection is closed
	DrainHard time.Duration `toml:"drain_hard"`
}

// Log configures logging.
type Log struct {
	Format string `toml:"format"` // "text" or "json"
	Level  string `toml:"level"`  // "debug", "info", "warn" or "error"
	Syslog string `toml:"syslog"` // a facility, such as "mail"; "": standard error
}

// Control configures the socket where commands such as "mailseal reload" reach the daemon.
type Control struct {
	Address string `toml:"address"` // path of a unix socket; never empty once loaded
}

// ControlName is the name of the control socket in the state directory, where it is unless
// control.address says otherwise.
const ControlName = "control"

// Reload configures which reloads are refused.
type Reload struct {
	MaxLoss float64 `toml:"max_loss"` // share of the domains that sign mail, 0 … 1
}

// Metrics configures where metrics and health are served.
type Metrics struct {
	Address string `toml:"address"` // host:port; "": nowhere
	Pprof   bool   `toml:"pprof"`
}
