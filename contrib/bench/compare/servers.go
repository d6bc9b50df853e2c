package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"mailseal/contrib/bench/measure"
)

// role is what a server is set up for.
type role uint8

const (
	signs      role = iota // with an RSA key
	signsTwo               // with an RSA and an Ed25519 key; OpenDKIM has no second one
	signsPlain             // canonicalization simple for header and body
	verifies               // DKIM alone
	judges                 // DKIM, SPF, DMARC, iprev and ARC; OpenDKIM has DKIM alone
)

func (r role) String() string {
	return [...]string{"signs", "signs-two", "signs-plain", "verifies", "judges"}[r]
}

// server is a program to be compared.
type server struct {
	name   string // what the tables call it
	start  func(b *bench, r role, env ...string) (*measure.Process, time.Duration, error)
	crypto string // this program with the server's cryptography, "" where there is none
}

// mailseal returns one of our builds.
func mailseal(name, binary string) server {
	return server{name: name, start: func(b *bench, r role, env ...string) (*measure.Process,
		time.Duration, error) {
		return b.Mailseal(name, binary, b.mailsealConfig(r), env...)
	}}
}

func (b *bench) mailsealConfig(r role) string {
	switch r {
	case verifies:
		return measure.VerifiesAlone
	case judges:
		return ""
	case signsTwo:
		return b.Signs("relaxed/relaxed", "rsa", "ed")
	case signsPlain:
		return b.Signs("simple/simple", "rsa")
	}
	return b.Signs("relaxed/relaxed", "rsa")
}

// openDKIM returns Debian's OpenDKIM, as contrib/test/fetch.sh unpacked it or as it is installed.
// It logs nothing.
func openDKIM(root string) (server, error) {
	run, err := openDKIMCommand(root)
	if err != nil {
		return server{}, err
	}
	return server{name: "OpenDKIM", start: func(b *bench, r role, _ ...string) (*measure.Process,
		time.Duration, error) {
		return b.startOpenDKIM(run, b.openDKIMConfig(r))
	}}, nil
}

func (b *bench) startOpenDKIM(run func(...string) *exec.Cmd, config string) (*measure.Process,
	time.Duration, error) {
	dir, err := b.Subdir("opendkim")
	if err != nil {
		return nil, 0, err
	}
	socket, file := filepath.Join(dir, "socket"), filepath.Join(dir, "opendkim.conf")
	config = "Socket local:" + socket + "\nSyslog no\nRequireSafeKeys no\n" + config
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, 0, err
	}
	return measure.Start(run("-f", "-x", file), socket, filepath.Join(dir, "log"))
}

// openDKIMConfig has OpenDKIM do the same. It asks a name server on port 53 only, so that the key
// that it verifies with comes from a file (TestPublicKeys), which costs it less than its resolver
// would.
func (b *bench) openDKIMConfig(r role) string {
	switch r {
	case verifies, judges:
		return "Mode v\nTestPublicKeys " + b.PublicKeys + "\n"
	}
	form := "relaxed/relaxed"
	if r == signsPlain {
		form = "simple/simple"
	}
	return "Mode s\nOversignHeaders From\nDomain example.com\nSelector rsa\nKeyFile " + b.RSA +
		"\nCanonicalization " + form + "\n"
}

// openDKIMCommand returns how to run OpenDKIM: from root, or as installed.
func openDKIMCommand(root string) (func(...string) *exec.Cmd, error) {
	return unpacked(root, "opendkim", "usr/sbin/opendkim", "usr/lib")
}

// unpacked returns how to run a Debian program that contrib/test/fetch.sh has unpacked below root,
// with its own dynamic loader and libraries, some of which are in directories of their own; or as
// it is installed.
func unpacked(root, name, program string, libraries ...string) (func(...string) *exec.Cmd, error) {
	program = filepath.Join(root, program)
	if _, err := os.Stat(program); err != nil {
		installed, err := exec.LookPath(name)
		if err != nil {
			return nil, fmt.Errorf("neither %s nor installed: contrib/test/fetch.sh %s fetches it",
				program, name)
		}
		return func(args ...string) *exec.Cmd { return exec.Command(installed, args...) }, nil
	}
	loaders, _ := filepath.Glob(filepath.Join(root, "lib*/ld-linux*.so.*"))
	path, _ := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu*"))
	if len(loaders) == 0 || len(path) == 0 {
		return nil, fmt.Errorf("%s has no dynamic loader or no libraries", root)
	}
	for _, l := range libraries {
		path = append(path, filepath.Join(root, l))
	}
	return func(args ...string) *exec.Cmd {
		return exec.Command(loaders[0],
			append([]string{"--library-path", strings.Join(path, ":"), program}, args...)...)
	}, nil
}
