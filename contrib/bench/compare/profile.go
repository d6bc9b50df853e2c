package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// jobProfile is the top ten of what a job takes.
type jobProfile struct{ job, processor, octets string }

// kinds are the profiles that are taken: how long, and of which server. Of allocations the usual profile has one in
// 512 KB, which is too few for some seconds.
var (
	processorProfile  = profileKind{"profile", 2, ""}
	allocationProfile = profileKind{"allocs", 1, "GODEBUG=memprofilerate=1024"}
)

// profileKind is a profile as net/http/pprof calls it, the seconds that it takes, and what the server's environment
// must hold.
type profileKind struct {
	name    string
	seconds int
	env     string
}

// profileJob takes a profile of a build of ours at a job into a file.
func (b *bench) profileJob(binary string, j job, kind profileKind) (file string, err error) {
	args, err := b.arguments(j)
	if err != nil {
		return "", err
	}
	p, _, err := variant(mailseal("profiled", binary), kind.env).start(b, j.role)
	if err != nil {
		return "", err
	}
	defer p.Stop()
	if _, err := b.Drive(p, append([]string{"--count", "10"}, args...)...); err != nil { // fills caches and pools
		return "", err
	}
	driven := make(chan error, 1)
	go func() {
		_, err := b.Drive(p, append([]string{"--duration", strconv.Itoa(kind.seconds*1000+500) + "ms"}, args...)...)
		driven <- err
	}()
	profile, err := p.Profile(kind.name, kind.seconds)
	if err = errors.Join(err, <-driven); err != nil {
		return "", err
	}
	file = filepath.Join(b.Dir, strings.NewReplacer(" ", "-", ",", "").Replace(j.name)+"."+kind.name)
	return file, os.WriteFile(file, profile, 0o600)
}

// profilesOf takes the top ten of each job's profiles of the plain build.
func (b *bench) profilesOf(r *report) (err error) {
	for _, j := range jobs {
		p := jobProfile{job: j.name}
		if p.processor, err = b.topTen(r.options.plain, j, processorProfile, "cpu"); err != nil {
			return err
		}
		if p.octets, err = b.topTen(r.options.plain, j, allocationProfile, "alloc_space"); err != nil {
			return err
		}
		r.profiles = append(r.profiles, p)
	}
	return nil
}

// topTen is pprof's table of the functions that take most of something at a job.
func (b *bench) topTen(binary string, j job, kind profileKind, index string) (string, error) {
	profile, err := b.profileJob(binary, j, kind)
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "tool", "pprof", "-top", "-nodecount=10", "-sample_index="+index, "-ignore=pprof|net/http", binary, profile).Output()
	if err != nil {
		return "", fmt.Errorf("go tool pprof: %w", err)
	}
	_, table, _ := bytes.Cut(out, []byte("flat%"))
	return "      flat  flat%" + strings.TrimRight(string(table), "\n"), nil
}

// writeProfile makes one profile of all jobs for the compiler (go help build, -pgo).
func (b *bench) writeProfile(o options) error {
	args := []string{"tool", "pprof", "-proto", "-output", o.profile}
	for _, j := range jobs {
		if !strings.Contains(j.name, o.only) {
			continue
		}
		file, err := b.profileJob(o.plain, j, processorProfile)
		if err != nil {
			return err
		}
		args = append(args, file)
	}
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go tool pprof: %w: %s", err, out)
	}
	return nil
}
