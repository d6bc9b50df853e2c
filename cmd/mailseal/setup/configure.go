package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/keyring"
	"mailseal/config"
	"mailseal/keys/files"
	"mailseal/milter/message"
)

// maxConfig bounds a configuration that is read, in bytes.
const maxConfig = 4 << 20

// readConfig reads the configuration that is there. One with mistakes is an error, before anything
// is made.
func (r *run) readConfig() error {
	old, err := files.Read(r.Config, maxConfig)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return answer.NewUnknown(err)
	}
	r.old, r.isOwn = string(old), !isPristine(string(old))
	if !r.isOwn {
		return nil
	}
	cfg, err := config.LoadAny(r.Config)
	if err != nil {
		return answer.NewBad(fmt.Errorf("%s has mistakes, so setup does not change it: %w", r.Config, err))
	}
	r.cfg, r.state = cfg, cfg.StateDirectory
	return nil
}

// configure makes keys and writes the configuration. It reports whether the configuration that is
// there now signs for all domains and has no errors, so that mail may come.
func (r *run) configure() (bool, error) {
	missing := slices.Clone(r.Domains)
	if r.isOwn {
		missing = slices.DeleteFunc(missing, func(d string) bool { return signsFor(r.cfg, d) })
	}
	if r.isOwn && len(missing) == 0 {
		r.result.Files = append(r.result.Files, File{Path: r.Config, State: "unchanged"})
		return r.checked()
	}
	blocks, err := r.keys(missing)
	if err != nil {
		return false, err
	}
	if r.isOwn {
		return false, r.propose(r.old, blocks)
	}
	policy, err := r.policy()
	if err != nil {
		return false, err
	}
	if err := r.write(r.head(r.old) + policy + blocks); err != nil {
		return false, answer.NewUnknown(err)
	}
	if r.cfg, err = config.LoadAny(r.Config); err != nil {
		return false, fmt.Errorf("%s, which has just been written: %w", r.Config, err)
	}
	return r.checked()
}

// isPristine reports whether a configuration says only where to listen, as the sample that
// is installed: beside comments it has the heads of tables, and addresses.
func isPristine(text string) bool {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		isComment := line == "" || strings.HasPrefix(line, "#")
		isHead := strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]")
		if !isComment && !isHead && !strings.HasPrefix(line, "address =") {
			return false
		}
	}
	return true
}

// signsFor reports whether a rule signs mail of a domain.
func signsFor(cfg *config.Config, d string) bool {
	for _, rule := range cfg.Sign {
		patterns, err := message.ParsePatterns(rule.From)
		if err == nil && patterns.MatchPath("postmaster@"+d) {
			return true
		}
	}
	return false
}

// keys makes keys for domains, unless there are some already, and returns what the configuration
// says of them.
func (r *run) keys(domains []string) (string, error) {
	var b strings.Builder
	for _, d := range domains {
		dir := filepath.Join(r.state, "keys", d)
		if err := r.stateDirectory(); err != nil {
			return "", answer.NewUnknown(fmt.Errorf("the directory of the keys: %w", err))
		}
		var names []string
		for _, alg := range r.Algorithms {
			selector := strings.ToLower(r.Selector)
			if alg == "ed25519" && len(r.Algorithms) > 1 {
				selector += "-ed"
			}
			file := filepath.Join(dir, selector+".pem")
			name := selector + "._domainkey." + d
			fmt.Fprintf(&b, "\n[keys.%q]\ndomain = %q\nselector = %q\nfile = %q\n", name, d,
				selector, file)
			names = append(names, fmt.Sprintf("%q", name))
		}
		if err := r.generate(d, dir); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\n[[sign]]\nfrom = [\"*@%s\", \"*@*.%[1]s\"]\nkeys = [%s]\n", d,
			strings.Join(names, ", "))
	}
	return b.String(), nil
}

// generate makes the keys of a domain, as the user of the service: at no time do they belong to
// root, or to another user. Keys of an earlier run stay.
func (r *run) generate(d, dir string) error {
	if exists(filepath.Join(dir, strings.ToLower(r.Selector)+".pem")) {
		return nil
	}
	o := keyring.FileOptions{
		Domain: d, Selector: r.Selector, Dir: dir, Algorithms: r.Algorithms, RSABits: keyring.DefaultRSABits,
	}
	make := func() error { return keyring.GenerateFiles(o, io.Discard) }
	if os.Geteuid() == 0 && r.service.UID != 0 {
		make = func() error { return r.generateAsUser(o) }
	}
	if err := make(); err != nil {
		return err
	}
	r.done("made keys for %s in %s, which belong to user %s", d, dir, r.service.Name)
	return nil
}

// generateAsUser has a process of the service's user make keys: "mailseal keygen".
func (r *run) generateAsUser(o keyring.FileOptions) error {
	ctx, cancel := context.WithTimeout(r.ctx, commandTime)
	defer cancel()
	child, done, err := r.service.Command(ctx, "keygen",
		"--domain", o.Domain, "--selector", o.Selector, "--dir", o.Dir,
		"--algorithm", strings.Join(o.Algorithms, ","))
	if err != nil {
		return answer.NewUnknown(err)
	}
	defer done()
	var complaints bytes.Buffer
	child.Stderr = &complaints
	if err := child.Run(); err != nil {
		said := strings.TrimPrefix(strings.TrimSpace(complaints.String()), "mailseal: ")
		return answer.NewUnknown(fmt.Errorf("user %s cannot make keys: %w: %s; %s must belong to "+
			"that user: chown -R %[1]s: %[4]s",
			r.service.Name, err, said, r.state))
	}
	return nil
}

// head is what the configuration says beside keys and rules. Where a package has it listen stays.
func (r *run) head(old string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Written by mailseal setup. Every setting is explained in mailseal.toml(5).\n\n")
	fmt.Fprintf(&b, "authserv_id = %q\n", r.AuthservID)
	if r.state != config.Default().StateDirectory {
		fmt.Fprintf(&b, "state_directory = %q\n", r.state)
	}
	fmt.Fprintf(&b, "\n[ours]\nnetworks = [%s]\n", quoted(r.Networks))
	address := "inet:8891@127.0.0.1"
	if strings.Contains(old, `address = "fd:mailseal"`) &&
		!strings.Contains(old, `#address = "fd:mailseal"`) &&
		r.result.Host.Systemd {
		address = "fd:mailseal"
	}
	fmt.Fprintf(&b, "\n[[listen]]\naddress = %q\n", address)
	return b.String()
}

func quoted(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, fmt.Sprintf("%q", s))
	}
	return strings.Join(out, ", ")
}

// write writes the configuration for root, and for the service's group to read. The old one is the
// sample.
func (r *run) write(text string) error {
	if err := os.MkdirAll(filepath.Dir(r.Config), 0o755); err != nil {
		return err
	}
	if err := replace(r.Config, []byte(text), 0o640, r.service.GID); err != nil {
		return err
	}
	r.result.Files = append(r.result.Files, File{Path: r.Config, State: "written"})
	r.done("wrote %s", r.Config)
	return nil
}

// replace writes a file as a whole, with the group given.
func replace(path string, text []byte, mode os.FileMode, gid int) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".mailseal-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync())
	if os.Geteuid() == 0 && gid >= 0 {
		err = errors.Join(err, f.Chown(0, gid))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// propose shows what an administrator's configuration lacks, and leaves it alone.
func (r *run) propose(old, blocks string) error {
	proposed := strings.TrimRight(old, "\n") + "\n" + blocks
	d := diff(r.Config, old, proposed)
	r.result.Files = append(r.result.Files, File{Path: r.Config, State: "left alone", Diff: d})
	r.say("\n%s already exists, and is not changed. It lacks:\n\n%s\n", r.Config, d)
	r.todo("add the lines to %s, then run mailseal setup again", r.Config)
	r.fault("%s does not sign for all domains", r.Config)
	temp, err := os.CreateTemp(filepath.Dir(r.Config), ".mailseal-*.toml")
	if err != nil {
		return answer.NewUnknown(err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(proposed)
	if err = errors.Join(err, temp.Close()); err != nil {
		return answer.NewUnknown(err)
	}
	if r.cfg, err = config.LoadAny(temp.Name()); err != nil {
		return fmt.Errorf("%s with these lines: %w", r.Config, err)
	}
	return nil
}

// checked does what "mailseal check --no-mta" does. Errors are faults, and no mail may come.
func (r *run) checked() (bool, error) {
	var errs bytes.Buffer
	o := check.Options{
		File: r.Config,
		MTA:  check.MTAOptions{Skip: true},
		Report: func(f check.Finding) {
			if f.Severity == check.Error {
				fmt.Fprintf(&errs, "%s\n", f)
			}
		},
	}
	if r.Config != defaultFile {
		o.ConfigFlag = r.Config
	}
	result, err := check.Run(r.ctx, o)
	if err != nil {
		return false, answer.NotBad(err)
	}
	if result.Verdict() == check.Bad {
		r.fault("mailseal check finds errors:\n%s", errs.String())
		return false, nil
	}
	return true, nil
}
