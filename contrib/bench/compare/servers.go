package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
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
	name  string
	start func(b *bench, r role, env ...string) (*process, time.Duration, error)
}

// mailseal returns one of our builds.
func mailseal(name, binary string) server {
	return server{name, func(b *bench, r role, env ...string) (*process, time.Duration, error) {
		profiles, err := freePort()
		if err != nil {
			return nil, 0, err
		}
		p, took, err := b.startMailseal(name, binary, b.mailsealConfig(r, profiles), env...)
		if err != nil {
			return nil, 0, err
		}
		p.profiles = profiles
		return p, took, nil
	}}
}

func (b *bench) startMailseal(name, binary, config string, env ...string) (*process, time.Duration, error) {
	dir, err := os.MkdirTemp(b.dir, strings.ReplaceAll(name, " ", "-")+"-")
	if err != nil {
		return nil, 0, err
	}
	socket, file := filepath.Join(dir, "socket"), filepath.Join(dir, "mailseal.toml")
	config = "[[listen]]\naddress = \"unix:" + socket + "\"\n" + config
	if err := os.WriteFile(file, []byte(strings.TrimPrefix(config, "\n")), 0o600); err != nil {
		return nil, 0, err
	}
	cmd := exec.Command(binary, "serve", "-c", file)
	cmd.Env = append(os.Environ(), env...)
	return start(cmd, socket, filepath.Join(dir, "log"))
}

// mailsealConfig is everything but the socket. What is not said is as it comes: a line is logged for each message.
func (b *bench) mailsealConfig(r role, profiles string) string {
	common := fmt.Sprintf("[dns]\nservers = [%q]\n[metrics]\naddress = %q\npprof = true\n", b.dns, profiles)
	keys, form := `"rsa._domainkey.example.com"`, "relaxed/relaxed"
	switch r {
	case verifies:
		return common + "[verify]\nspf = false\ndmarc = false\niprev = false\narc = false\n"
	case judges:
		return common
	case signsTwo:
		keys += `, "ed._domainkey.example.com"`
	case signsPlain:
		form = "simple/simple"
	}
	return common + fmt.Sprintf("[keys.\"rsa._domainkey.example.com\"]\nfile = %q\n[keys.\"ed._domainkey.example.com\"]\nfile = %q\n"+
		"[[sign]]\nfrom = [\"*@example.com\"]\nkeys = [%s]\ncanonicalization = %q\n", b.rsaFile, b.edFile, keys, form)
}

// openDKIM returns Debian's OpenDKIM, as contrib/test/fetch.sh unpacked it or as it is installed. It logs nothing.
func openDKIM(root string) (server, error) {
	run, err := openDKIMCommand(root)
	if err != nil {
		return server{}, err
	}
	return server{"OpenDKIM", func(b *bench, r role, _ ...string) (*process, time.Duration, error) {
		return b.startOpenDKIM(run, b.openDKIMConfig(r))
	}}, nil
}

func (b *bench) startOpenDKIM(run func(...string) *exec.Cmd, config string) (*process, time.Duration, error) {
	dir, err := os.MkdirTemp(b.dir, "opendkim-")
	if err != nil {
		return nil, 0, err
	}
	socket, file := filepath.Join(dir, "socket"), filepath.Join(dir, "opendkim.conf")
	config = "Socket local:" + socket + "\nSyslog no\nRequireSafeKeys no\n" + config
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, 0, err
	}
	return start(run("-f", "-x", file), socket, filepath.Join(dir, "log"))
}

// openDKIMConfig has OpenDKIM do the same. It asks a name server on port 53 only, so that the key that it verifies with
// comes from a file (TestPublicKeys), which costs it less than its resolver would.
func (b *bench) openDKIMConfig(r role) string {
	switch r {
	case verifies, judges:
		return "Mode v\nTestPublicKeys " + b.publicKeys + "\n"
	}
	form := "relaxed/relaxed"
	if r == signsPlain {
		form = "simple/simple"
	}
	return "Mode s\nOversignHeaders From\nDomain example.com\nSelector rsa\nKeyFile " + b.rsaFile + "\nCanonicalization " + form + "\n"
}

// openDKIMCommand returns how to run OpenDKIM: from root with its own dynamic loader and libraries, or as installed.
func openDKIMCommand(root string) (func(...string) *exec.Cmd, error) {
	program := filepath.Join(root, "usr/sbin/opendkim")
	if _, err := os.Stat(program); err != nil {
		installed, err := exec.LookPath("opendkim")
		if err != nil {
			return nil, fmt.Errorf("no OpenDKIM: neither %s nor installed; contrib/test/fetch.sh opendkim fetches it", program)
		}
		return func(args ...string) *exec.Cmd { return exec.Command(installed, args...) }, nil
	}
	loaders, _ := filepath.Glob(filepath.Join(root, "usr/lib*/ld-linux*.so.*"))
	libraries, _ := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu*"))
	if len(loaders) == 0 {
		loaders, _ = filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu*/ld-linux*.so.*"))
	}
	if len(loaders) == 0 || len(libraries) == 0 {
		return nil, fmt.Errorf("%s has no dynamic loader or no libraries", root)
	}
	path := strings.Join(append(libraries, filepath.Join(root, "usr/lib")), ":")
	return func(args ...string) *exec.Cmd {
		return exec.Command(loaders[0], append([]string{"--library-path", path, program}, args...)...)
	}, nil
}
