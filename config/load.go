package config

import (
	"errors"
	"fmt"
	"io/fs"
	"mailseal/keys/files"
	"os"
	"os/user"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// Load reads the configuration at path, the files that it includes and the tables of OpenDKIM's
// that it names. A mistake is an error of type Problems, which lists all of them; a file that
// cannot be read is one as well.
//
// It reads regular files only. For LoadAny the file at path may be a pipe, such as the /dev/fd/63
// that a shell makes.
func Load(path string) (*Config, error) {
	var partial *Config
	return loadInto(path, files.Read, adviceDaemonDenied, &partial)
}

// LoadAny is Load for commands.
func LoadAny(path string) (*Config, error) {
	var partial *Config
	return loadInto(path, files.ReadAny, adviceDenied, &partial)
}

// LoadPartial is LoadAny, but also returns what could be read of a configuration with
// mistakes, so that the caller can check the files that it names. It returns nil if nothing
// could be read.
func LoadPartial(path string) (*Config, error) {
	var partial *Config
	cfg, err := loadInto(path, files.ReadAny, adviceDenied, &partial)
	if err != nil {
		return partial, err
	}
	return cfg, nil
}

// maxFile bounds one file of a configuration, in bytes: those of 100,000 keys have a third of it.
const maxFile = 64 << 20

// loadInto leaves in partial what a configuration with mistakes comes to. It reads the file at path
// with read; denied returns the advice for a file that this user may not read.
func loadInto(path string, read func(string, int64) ([]byte, error), denied func(string) string,
	partial **Config) (*Config, error) {
	l := newLoader()
	l.reader, l.denied = read, denied
	l.read(path)
	l.reader = files.Read
	for _, included := range l.included(path) {
		l.read(included)
	}
	c, err := l.finish()
	if err != nil {
		if !l.broken {
			*partial = l.config
			l.config.origin = &origin{texts: l.texts, places: l.seen, main: l.main}
		}
		return nil, err
	}
	if err := loadTables(c, path, denied); err != nil {
		return nil, err
	}
	return c, nil
}

// Parse reads one file's text; name is what its problems call it, and its directory is what
// relative paths start from. It reads no other file.
func Parse(name string, data []byte) (*Config, error) {
	l := newLoader()
	l.decode(name, data)
	if at, ok := l.seen["include"]; ok {
		l.problem(at, "only a configuration that is loaded from a file can include others")
	}
	return l.finish()
}

// loader gathers a Config from several files.
type loader struct {
	decoder
	config *Config
	main   *file
	texts  map[string]string
	reader func(path string, limit int64) ([]byte, error)
	count  int  // files read
	broken bool // a file could not be read, so references to its contents are not checked
	// denied returns the advice if this user may not read a file
	denied func(path string) string
}

func newLoader() *loader {
	return &loader{decoder: decoder{prototypes: prototypes(), seen: map[string]place{},
		guess: guesser{left: maxGuesses}}, config: fresh(), texts: map[string]string{},
		denied: adviceDenied}
}

// adviceMissing is the advice if the configuration file of a command does not exist.
const adviceMissing = `; "mailseal setup" makes one, and -c names another file`

// adviceDaemonDenied is adviceDenied for the daemon: another user who runs the command does not
// change what the daemon may read.
func adviceDaemonDenied(path string) string {
	name, group := strconv.Itoa(os.Geteuid()), strconv.Itoa(os.Getegid())
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return fmt.Sprintf("; the daemon runs as user %q, which must be able to read the file and to "+
		"search its directories: chgrp %s %s && chmod g+r %s", name, group, path, path)
}

// adviceMissingOther is the same for a file that -c names.
const adviceMissingOther = `: -c names it; is the path right? "mailseal setup" makes a configuration`

// DefaultFile is where the configuration is, unless a command line names another file.
const DefaultFile = "/etc/mailseal/mailseal.toml"

// adviceDenied returns the advice if this user may not read a file of the configuration.
func adviceDenied(string) string {
	if os.Geteuid() == 0 {
		return ""
	}
	return "; run the command as root (sudo), or as the daemon's user"
}

func (l *loader) read(path string) {
	data, err := l.reader(path, maxFile)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		text := err.Error()
		if l.main == nil && errors.Is(err, fs.ErrNotExist) {
			if path == DefaultFile {
				text += adviceMissing
			} else {
				text += adviceMissingOther
			}
		}
		denied := errors.Is(err, fs.ErrPermission)
		if denied {
			text += l.denied(path)
		}
		l.problems = append(l.problems, Problem{
			File:   path,
			Text:   text,
			order:  l.count,
			unread: l.main == nil || denied,
		})
		l.broken = true
		return
	}
	l.config.Files = append(l.config.Files, path)
	l.decode(path, data)
}

// maxText bounds the texts that are kept for Config.CutFrom, in bytes each.
const maxText = 1 << 20

func (l *loader) decode(name string, data []byte) {
	if len(data) <= maxText {
		l.texts[name] = string(data)
	}
	l.file = newFile(name, filepath.Dir(name), data, l.count)
	if l.count++; l.main == nil {
		l.main = l.file
	}
	m := map[string]any{}
	if err := toml.Unmarshal(data, &m); err != nil {
		l.problems = append(l.problems, syntaxProblem(l.file, data, err))
		l.broken = true
		return
	}
	if l.file != l.main && m["include"] != nil {
		l.problem(place{l.file, "include"}, "an included file cannot include others")
		delete(m, "include")
	}
	l.table(place{file: l.file}, "", m, reflect.ValueOf(l.config).Elem())
}

// included returns the files that the main file names, in the order of their names, each once.
func (l *loader) included(path string) []string {
	var out []string
	for i, pattern := range l.config.Include {
		at := place{l.main, indexPath("include", i)}
		if pattern == "" {
			l.problem(at, "the file name pattern is empty")
			continue
		}
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(path), pattern)
		}
		found, err := filepath.Glob(pattern)
		switch {
		case err != nil:
			l.problem(at, "%q is not a file name pattern", pattern)
		case len(found) == 0 && !strings.ContainsAny(pattern, `*?[`):
			l.problem(at, "no file matches %s", pattern)
		case len(found) == 0 && !isDirectory(filepath.Dir(pattern)):
			l.config.Warnings = append(l.config.Warnings, at.problem(fmt.Sprintf("%q matches no "+
				"file: the directory %s does not exist", pattern, filepath.Dir(pattern))))
		}
		out = append(out, found...)
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return slices.DeleteFunc(out, func(s string) bool {
		return filepath.Clean(s) == filepath.Clean(path)
	})
}

// finish resolves and checks what has been read.
func (l *loader) finish() (*Config, error) {
	c := checker{decoder: &l.decoder, Config: l.config, main: l.main}
	if !l.broken {
		c.check()
	}
	if len(l.problems) > 0 {
		l.problems.sort()
		return nil, l.problems
	}
	Problems(l.config.Warnings).sort()
	l.config.origin = &origin{texts: l.texts, places: l.seen, main: l.main}
	return l.config, nil
}

// isDirectory reports whether a path is a directory, or a pattern for several.
func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir() || strings.ContainsAny(path, `*?[`)
}
