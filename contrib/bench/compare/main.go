// Compare measures Mailseal beside Debian's OpenDKIM: the same key and options, both on unix sockets, driven in alternation
// by "mailseal mta", several rounds. It prints the table of RESULTS.md. "make bench" runs it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
)

func main() {
	var o options
	flag.StringVar(&o.plain, "mailseal", "bin/mailseal", "the plain build, which drives as well")
	flag.StringVar(&o.release, "release", "bin/mailseal-release", "the release build; left out if it is not there")
	flag.StringVar(&o.opendkim, "opendkim", ".root/opendkim", "where Debian's opendkim is unpacked")
	flag.StringVar(&o.benchmarks, "benchmarks", "", "output of the Go benchmarks, for the results")
	flag.StringVar(&o.out, "out", "", "file for the results (default standard output)")
	flag.StringVar(&o.only, "only", "", "only jobs whose names contain this, and nothing else")
	flag.StringVar(&o.profile, "profile", "", "write a profile of all jobs for the compiler to this file, and nothing else")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each job is measured")
	flag.Parse()
	if err := compare(o); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// options is the command line.
type options struct {
	plain, release, opendkim       string
	benchmarks, out, only, profile string
	rounds                         int
}

func compare(o options) error {
	raiseFiles()
	b := &bench{driver: o.plain, log: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }}
	var err error
	if b.dir, err = os.MkdirTemp("", "mailseal-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	closeDNS, err := b.prepare()
	if err != nil {
		return err
	}
	defer closeDNS()
	if o.profile != "" {
		return b.writeProfile(o)
	}
	servers, err := programs(o)
	if err != nil {
		return err
	}
	r := report{options: o, servers: servers}
	if err := b.measureAll(&r); err != nil {
		return err
	}
	return r.write()
}

// programs are OpenDKIM and our builds, as far as they are there.
func programs(o options) ([]server, error) {
	peer, err := openDKIM(o.opendkim)
	if err != nil {
		return nil, err
	}
	all := []server{peer, mailseal("plain", o.plain)}
	if _, err := os.Stat(o.release); err == nil {
		all = append(all, mailseal("release", o.release))
	}
	return all, nil
}

// measureAll fills the report.
func (b *bench) measureAll(r *report) error {
	for _, j := range jobs {
		if !strings.Contains(j.name, r.options.only) {
			continue
		}
		got, err := b.run(j, r.servers, r.options.rounds)
		if err != nil {
			return err
		}
		b.log("%s", r.line(got))
		r.outcomes = append(r.outcomes, got)
	}
	if r.options.only != "" {
		return nil
	}
	for _, measure := range []func(*report) error{b.cores, b.memory, b.starts, b.profilesOf} {
		if err := measure(r); err != nil {
			return err
		}
	}
	return nil
}

// raiseFiles lets all that is started open as many files as is allowed: OpenDKIM does not see to it, as Go does.
func raiseFiles() {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) == nil {
		l.Cur = l.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l) // then OpenDKIM's memory is not measured
	}
}

// freePort returns an address on loopback that nobody listens on.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// writeOnce writes a file that is not there yet.
func writeOnce(file string, content []byte) error {
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(file, content, 0o600)
}
