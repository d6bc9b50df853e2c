package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"mailseal/contrib/bench/measure"
)

// dmarcResolver is where OpenDMARC finds the name server of the benchmark: its resolver knows no
// port but 53.
const dmarcResolver = "127.53.0.1"

// openDMARC returns Debian's OpenDMARC, which looks SPF up itself and takes DKIM from the field
// that OpenDKIM has written. Its resolver reads /etc/resolv.conf, so that it has one of its own, in
// a mount namespace: that takes root. Without, it is not measured.
func openDMARC(root string) (server, error) {
	if os.Geteuid() != 0 {
		return server{}, errors.New("it has to be given a resolv.conf of its own, which takes root")
	}
	run, err := unpacked(root, "opendmarc", "usr/sbin/opendmarc", "usr/lib")
	return server{name: "OpenDMARC", start: func(b *bench, _ role, _ ...string) (*measure.Process,
		time.Duration, error) {
		if err := b.ServeAlso(dmarcResolver + ":53"); err != nil {
			return nil, 0, err
		}
		dir, err := b.Subdir("opendmarc")
		if err != nil {
			return nil, 0, err
		}
		socket, file := filepath.Join(dir, "socket"), filepath.Join(dir, "opendmarc.conf")
		resolv := filepath.Join(dir, "resolv.conf")
		config := "Socket local:" + socket +
			"\nSyslog false\nAuthservID mx.example.com\nTrustedAuthservIDs mx.example.com\n" +
			"SPFSelfValidate true\nSPFIgnoreResults true\nIgnoreHosts /dev/null\n"
		if err := errors.Join(os.WriteFile(file, []byte(config), 0o600),
			os.WriteFile(resolv, []byte("nameserver "+dmarcResolver+"\n"), 0o644)); err != nil {
			return nil, 0, err
		}
		inner := run("-f", "-c", file)
		cmd := exec.Command("unshare", append([]string{"-m", "sh", "-c",
			`mount --bind "$0" /etc/resolv.conf && exec "$@"`, resolv}, inner.Args...)...)
		return measure.Start(cmd, socket, filepath.Join(dir, "log"))
	}}, err
}

// judgedByOpenDKIM returns a file with a signed message as OpenDKIM hands it on to OpenDMARC.
func (b *bench) judgedByOpenDKIM(root string, size int) (string, error) {
	signed, err := b.signed(size)
	if err != nil {
		return "", err
	}
	peer, err := openDKIM(root)
	if err != nil {
		return "", err
	}
	p, _, err := peer.start(b, judges)
	if err != nil {
		return "", err
	}
	defer p.Stop()
	out, err := b.delivered(p, signed, "dkim=pass")
	if err != nil {
		return "", err
	}
	file := filepath.Join(b.Dir, "judged.eml")
	return file, os.WriteFile(file, out, 0o600)
}

// passes checks that a peer finds what it is measured for: what does nothing is fast.
func (b *bench) passes(p *measure.Process, file string, results ...string) error {
	_, err := b.delivered(p, file, results...)
	return err
}

// delivered is a message as it leaves a milter, which has to have written these results into it.
func (b *bench) delivered(p *measure.Process, file string, results ...string) ([]byte, error) {
	from := "user@example.com" // the driver's sender, whose SPF record names measure.Client
	args := append([]string{"mta", "--milter", "unix:" + p.Socket, "--deliver", "--from", from},
		measure.AsClient()...)
	out, err := exec.Command(b.Driver, append(args, file)...).Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Path(), err)
	}
	for _, r := range results {
		if !strings.Contains(string(out), r) {
			return nil, fmt.Errorf("%s did not find %s:\n%.1000s", p.Path(), r, out)
		}
	}
	return out, nil
}
