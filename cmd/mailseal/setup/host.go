package setup

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/config"
	"mailseal/config/mta"
)

// Host describes the host as it was found.
type Host struct {
	MTA    string `json:"mta"` // "postfix", "sendmail" or ""
	MTADir string `json:"mta_dir,omitempty"`
	// the mail server's, else the host's; "" when none is a full one
	Name      string   `json:"name"`
	Networks  []string `json:"networks"`  // whose mail the mail server relays
	Addresses []string `json:"addresses"` // public ones
	OpenDKIM  string   `json:"opendkim,omitempty"`
	OpenDMARC string   `json:"opendmarc,omitempty"`
	Systemd   bool     `json:"systemd"`
}

// defaultOpenDKIM is where OpenDKIM looks for its configuration.
const defaultOpenDKIM = "/etc/opendkim.conf"

// look finds out about the host.
func (r *run) look() error {
	h := &r.result.Host
	h.Networks, h.Addresses = []string{}, []string{}
	switch r.MTA {
	case "", "postfix", "sendmail", "none":
	default:
		return answer.NewUsage(fmt.Errorf("--mta %s: it is postfix, sendmail or none", r.MTA))
	}
	isPostfix, isSendmail := exists(filepath.Join(r.Postfix, "main.cf")),
		exists(filepath.Join(r.Sendmail, "sendmail.cf")) ||
			exists(filepath.Join(r.Sendmail, "sendmail.mc"))
	switch {
	case r.MTA == "postfix" && !isPostfix, r.MTA == "sendmail" && !isSendmail:
		return answer.NewUnknown(fmt.Errorf("--mta %s: its configuration is not in %s", r.MTA,
			map[string]string{"postfix": r.Postfix, "sendmail": r.Sendmail}[r.MTA]))
	case r.MTA != "sendmail" && r.MTA != "none" && isPostfix:
		h.MTA, h.MTADir = "postfix", r.Postfix
	case r.MTA != "postfix" && r.MTA != "none" && isSendmail:
		h.MTA, h.MTADir = "sendmail", r.Sendmail
	}
	if names := mta.Names(mta.HostAt("/"), r.Postfix, r.Sendmail); len(names) > 0 {
		h.Name = names[0]
	} else {
		h.Name = config.HostNamesAt("/").Full
	}
	h.Networks = r.mailNetworks()
	h.Addresses = publicAddresses()
	h.OpenDKIM = cmp.Or(r.OpenDKIM, first(defaultOpenDKIM, "/etc/opendkim/opendkim.conf"))
	h.OpenDMARC = cmp.Or(r.OpenDMARC, first("/etc/opendmarc.conf", "/etc/opendmarc/opendmarc.conf"))
	h.Systemd = exists("/run/systemd/system")
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// first is the first of some files that is there, "" for none.
func first(paths ...string) string {
	at := slices.IndexFunc(paths, exists)
	if at < 0 {
		return ""
	}
	return paths[at]
}

// mailNetworks are those whose mail Postfix relays, as far as they are addresses; else loopback.
func (r *run) mailNetworks() []string {
	loopback := []string{"127.0.0.1", "::1"}
	if r.result.Host.MTA != "postfix" {
		return loopback
	}
	text, err := r.Run(r.ctx, "postconf", "-c", r.Postfix, "-x", "-h", "mynetworks")
	if err != nil {
		return loopback
	}
	var out []string
	for _, word := range strings.FieldsFunc(string(text), func(c rune) bool {
		return c == ',' || c == ' ' || c == '\n' || c == '\t'
	}) {
		word = strings.NewReplacer("[", "", "]", "").Replace(word)
		p, err := netip.ParsePrefix(word)
		a, addrErr := netip.ParseAddr(word)
		switch {
		case err == nil && p.Bits() > 0:
			out = append(out, p.Masked().String())
		case addrErr == nil:
			out = append(out, a.String())
		}
	}
	if len(out) == 0 {
		return loopback
	}
	return out
}

// publicAddresses are those of this host's interfaces.
func publicAddresses() []string {
	out := []string{}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return out
	}
	for _, a := range all {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && isPublic(p.Addr()) {
			out = append(out, p.Addr().String())
		}
	}
	return out
}

// describe says what was found.
func (h Host) describe() string {
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "%-20s%s\n", name, value) }
	or := func(value, none string) string {
		if value == "" {
			return none
		}
		return value
	}
	name := map[string]string{"postfix": "Postfix in ", "sendmail": "Sendmail in "}[h.MTA]
	line("mail server", or(name+h.MTADir, "none found"))
	line("its name", or(h.Name, "not known as a full host name; give --authserv-id"))
	line("its networks", strings.Join(h.Networks, ", "))
	line("public addresses", or(strings.Join(h.Addresses, ", "),
		"none on this host; give --address if mail leaves from other addresses"))
	line("OpenDKIM", or(h.OpenDKIM, "not found"))
	line("OpenDMARC", or(h.OpenDMARC, "not found"))
	service := "does not run: the service is not started by setup"
	if h.Systemd {
		service = "runs"
	}
	line("systemd", service)
	return b.String()
}

// commandTime bounds a command of the host.
const commandTime = 2 * time.Minute

// command runs a command of the host. Its error has what the command printed.
func command(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err,
			strings.TrimSpace(string(out)))
	}
	return out, nil
}
