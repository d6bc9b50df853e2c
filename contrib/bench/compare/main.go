// Compare measures Mailseal beside Debian's OpenDKIM: the same key and options, both on unix
// sockets, driven in alternation by "mailseal mta", several rounds. It prints the table of
// RESULTS.md. "make bench" runs it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"mailseal/contrib/bench/measure"
)

func main() {
	var o options
	flag.StringVar(&o.plain, "mailseal", "bin/mailseal", "the plain build, which drives as well")
	flag.StringVar(&o.release, "release", "bin/mailseal-release",
		"the release build; left out if it is not there")
	flag.StringVar(&o.opendkim, "opendkim", ".root/opendkim", "where Debian's opendkim is unpacked")
	flag.StringVar(&o.rspamd, "rspamd", "",
		"where Debian's rspamd is unpacked (contrib/test/fetch.sh rspamd), to be measured beside them")
	flag.StringVar(&o.opendmarc, "opendmarc", ".root/opendmarc",
		"where Debian's opendmarc is unpacked, to judge behind OpenDKIM")
	flag.StringVar(&o.benchmarks, "benchmarks", "", "output of the Go benchmarks, for the results")
	flag.StringVar(&o.out, "out", "", "file for the results (default standard output)")
	flag.StringVar(&o.only, "only", "",
		"only jobs and steps (cores, memory, attack, starts, profiles) whose names contain this")
	flag.StringVar(&o.releaseCrypto, "release-crypto", "",
		"this program, built with the release build's libraries, to tell what its cryptography costs")
	flag.StringVar(&o.crypto, "crypto", "", "print what the cryptography of the job of this name "+
		"costs, in nanoseconds, and nothing else")
	flag.StringVar(&o.key, "key", "", "the RSA key for -crypto")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each job is measured")
	flag.BoolVar(&o.quick, "quick", false,
		"fewer rounds and shorter ones: rougher figures in two minutes")
	flag.Parse()
	if err := compare(o); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// options is the command line.
type options struct {
	plain, release, opendkim   string
	rspamd, opendmarc          string
	benchmarks, out, only      string
	releaseCrypto, crypto, key string
	rounds                     int
	quick                      bool
}

func compare(o options) error {
	if o.crypto != "" {
		return printCrypto(o.crypto, o.key)
	}
	r, err := measure.New(o.plain)
	if err != nil {
		return err
	}
	defer r.Close()
	b := &bench{Bench: r, openDKIM: o.opendkim, quick: o.quick,
		log: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }}
	results, err := newReport(o)
	if err != nil {
		return err
	}
	err = b.measureAll(results)
	return errors.Join(err, results.write())
}

// newReport returns a report with OpenDKIM and our builds, as far as they are there, and rspamd if
// it is wanted.
func newReport(o options) (*report, error) {
	peer, err := openDKIM(o.opendkim)
	if err != nil {
		return nil, fmt.Errorf("no OpenDKIM: %w", err)
	}
	plain, release := mailseal("plain", o.plain), mailseal("release", o.release)
	if plain.crypto, err = os.Executable(); err != nil {
		return nil, err
	}
	release.crypto = o.releaseCrypto
	r := &report{options: o, servers: []server{peer, plain}}
	if _, err := os.Stat(o.release); err == nil {
		r.servers = append(r.servers, release)
	}
	if r.dmarc, err = openDMARC(o.opendmarc); err != nil {
		r.noDMARC = err.Error()
	}
	if o.rspamd == "" {
		return r, nil
	}
	other, err := rspamd(o.rspamd)
	r.beside = []server{other}
	return r, err
}

// steps are what is measured beside the jobs.
var steps = []struct {
	name    string
	measure func(*bench, *report) error
}{
	{"cores", (*bench).cores},
	{"memory", (*bench).memory},
	{"attack", (*bench).attack},
	{"starts", (*bench).starts},
	{"profiles", (*bench).profilesOf},
}

// measureAll fills the report. A job or a step that fails is named there, and does not take from it
// what the others have found in some minutes.
func (b *bench) measureAll(r *report) (failed error) {
	fails := func(what string, err error) {
		if err == nil {
			return
		}
		b.log("%s: %v", what, err)
		r.failed = append(r.failed, fmt.Sprintf("%s: %v", what, err))
		failed = errors.Join(failed, fmt.Errorf("%s: %w", what, err))
	}
	for _, j := range jobs {
		if !strings.Contains(j.name, r.options.only) {
			continue
		}
		got, err := b.run(j, r.doing(j), r.options.rounds)
		if err != nil {
			fails(j.name, err)
			continue
		}
		b.log("%s", r.line(got))
		r.outcomes = append(r.outcomes, got)
	}
	for _, s := range steps {
		if !strings.Contains(s.name, r.options.only) || r.options.quick && r.options.only == "" &&
			s.name != "attack" {
			continue
		}
		fails("results", r.writeSoFar())
		fails(s.name, s.measure(b, r))
	}
	return failed
}
