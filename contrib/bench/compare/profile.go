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

	"mailseal/contrib/bench/measure"
)

// jobProfile is the top ten of what a job takes.
type jobProfile struct {
	job
	processor, octets string
}

// profileSeconds is how long the processor is watched.
const profileSeconds = 2

// oftenSampled has a server note one allocation in each KB, not one in 512: a job does not last
// long.
const oftenSampled = "GODEBUG=memprofilerate=1024"

// atWork has a build of ours warm up at a job, and calls take with it and with what the driver is
// told.
func (b *bench) atWork(binary string, j job, env string,
	take func(p *measure.Process, args []string) error) error {
	args, err := b.arguments(j)
	if err != nil {
		return err
	}
	p, _, err := variant(mailseal("profiled", binary), env).start(b, j.role)
	if err != nil {
		return err
	}
	defer p.Stop()
	// fills caches and pools
	if _, err := b.Drive(p, append([]string{"--count", "10"}, args...)...); err != nil {
		return err
	}
	return take(p, args)
}

// processorProfile watches the processor during a job.
func (b *bench) processorProfile(binary string, j job) (file string, err error) {
	file = b.profileName(j, "processor")
	return file, b.atWork(binary, j, "", func(p *measure.Process, args []string) error {
		driven := make(chan error, 1)
		go func() {
			_, err := b.Drive(p, append([]string{"--duration",
				strconv.Itoa(profileSeconds*1000+500) + "ms"}, args...)...)
			driven <- err
		}()
		return errors.Join(takeProfile(p, fmt.Sprint("profile?seconds=", profileSeconds), file),
			<-driven)
	})
}

// allocationProfiles are two profiles of allocations, one before and one after a job.
func (b *bench) allocationProfiles(binary string, j job) (before, after string, err error) {
	before, after = b.profileName(j, "before"), b.profileName(j, "after")
	return before, after, b.atWork(binary, j, oftenSampled,
		func(p *measure.Process, args []string) error {
			if err := takeAllocations(p, before); err != nil {
				return err
			}
			if _, err := b.Drive(p, append([]string{"--count", strconv.Itoa(j.messages)},
				args...)...); err != nil {
				return err
			}
			return takeAllocations(p, after)
		})
}

func (b *bench) profileName(j job, kind string) string {
	return filepath.Join(b.Dir, strings.NewReplacer(" ", "-", ",", "").Replace(j.name)+"."+kind)
}

// takeAllocations writes the profile of all allocations so far. The runtime knows of those before
// its last collection but one, hence the second.
func takeAllocations(p *measure.Process, file string) error {
	return errors.Join(takeProfile(p, "heap?gc=1", file), takeProfile(p, "heap?gc=1", file))
}

func takeProfile(p *measure.Process, query, file string) error {
	profile, err := p.Profile(query)
	if err != nil {
		return err
	}
	return os.WriteFile(file, profile, 0o600)
}

// profilesOf takes the top ten of the profiles of the plain build, for each job with a target.
func (b *bench) profilesOf(r *report) error {
	for _, j := range jobs {
		if !j.hasTarget() {
			continue
		}
		processor, err := b.processorProfile(r.options.plain, j)
		if err != nil {
			return err
		}
		before, after, err := b.allocationProfiles(r.options.plain, j)
		if err != nil {
			return err
		}
		p := jobProfile{job: j}
		if p.processor, err = topTen(r.options.plain, processor); err != nil {
			return err
		}
		// What taking a profile allocates is none of the job's.
		if p.octets, err = topTen("-sample_index=alloc_space", "-ignore=pprof|net/http", "-base",
			before, r.options.plain, after); err != nil {
			return err
		}
		r.profiles = append(r.profiles, p)
	}
	return nil
}

// topTen is pprof's table of the functions that take most.
func topTen(args ...string) (string, error) {
	out, err := exec.Command("go", append([]string{"tool", "pprof", "-top", "-nodecount=10"},
		args...)...).Output()
	if err != nil {
		return "", fmt.Errorf("go tool pprof: %w", err)
	}
	_, table, ok := bytes.Cut(out, []byte("flat%"))
	if !ok || bytes.Count(table, []byte("\n")) < 2 {
		return "", fmt.Errorf("go tool pprof %s: an empty profile", strings.Join(args, " "))
	}
	return "      flat  flat%" + strings.TrimRight(string(table), "\n"), nil
}
