package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// profileSeconds is how long a profile is taken.
const profileSeconds = 3

// profile takes the processor profile of a build of ours at a job, into a file.
func (b *bench) profileJob(s server, j job) (file string, err error) {
	args, err := b.arguments(j)
	if err != nil {
		return "", err
	}
	p, _, err := s.start(b, j.role)
	if err != nil {
		return "", err
	}
	defer p.stop()
	driven := make(chan error, 1)
	go func() {
		_, err := b.drive(p, append([]string{"--duration", strconv.Itoa(profileSeconds+1) + "s"}, args...)...)
		driven <- err
	}()
	profile, err := get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", p.profiles, profileSeconds))
	if err = errors.Join(err, <-driven); err != nil {
		return "", err
	}
	file = filepath.Join(b.dir, strings.NewReplacer(" ", "-", ",", "").Replace(j.name)+".prof")
	return file, os.WriteFile(file, profile, 0o600)
}

func get(url string) ([]byte, error) {
	r, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, errors.New(url + ": " + r.Status)
	}
	return io.ReadAll(r.Body)
}

// profilesOf takes the top ten of each job's profile of the plain build.
func (b *bench) profilesOf(r *report) error {
	for _, j := range jobs {
		file, err := b.profileJob(mailseal("profiled", r.options.plain), j)
		if err != nil {
			return err
		}
		out, err := exec.Command("go", "tool", "pprof", "-top", "-nodecount=10", r.options.plain, file).Output()
		if err != nil {
			return fmt.Errorf("go tool pprof: %w", err)
		}
		_, table, _ := bytes.Cut(out, []byte("flat%"))
		r.profiles = append(r.profiles, [2]string{j.name, "      flat  flat%" + strings.TrimRight(string(table), "\n")})
	}
	return nil
}

// writeProfile makes one profile of all jobs for the compiler (go help build, -pgo).
func (b *bench) writeProfile(o options) error {
	args := []string{"tool", "pprof", "-proto", "-output", o.profile}
	for _, j := range jobs {
		if !strings.Contains(j.name, o.only) {
			continue
		}
		file, err := b.profileJob(mailseal("profiled", o.plain), j)
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
