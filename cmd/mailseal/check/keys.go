package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"mailseal/cmd/mailseal/pages"
	"mailseal/cmd/mailseal/remedy"
	"mailseal/cmd/mailseal/service"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/files"
	"mailseal/keys/keyfile"
	"mailseal/milter/dkim"
	"mailseal/milter/sign"
)

// keys waits for every key in files, whatever their number, and tries those that could be loaded.
func (c *checker) keys(ctx context.Context) error {
	findings, err := c.files.Findings(ctx)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.cfg.Keys)) {
		if f, bad := c.unreadable(name); bad {
			c.report(f)
		}
	}
	for _, f := range findings {
		k := c.cfg.Keys[f.Name]
		if _, bad := c.stopAt(k.File); bad {
			continue // first it must be read at all
		}
		if f.Kind == keyfile.Unreadable && c.denied(c.keySetting(f.Name, "file"), f.Path,
			fs.ErrPermission) {
			continue
		}
		setting := "file"
		if k.File == "" {
			setting = "private_key"
		}
		c.keyFile(f, c.keySetting(f.Name, setting), c.copyOf(f.Name))
	}
	for _, k := range tryKeys(ctx, c.files) {
		if _, bad := c.stopAt(c.cfg.Keys[k.Name].File); bad {
			continue
		}
		if k.err != nil {
			c.report(finding(KeyFailsTest, at(c.cfg.Keys[k.Name].Problem("", "")), k.err.Error()))
			continue
		}
		c.keySize(k)
		c.result.Keys = append(c.result.Keys, k.Key)
	}
	return nil
}

// advisedRSABits is how long RSA keys should be (RFC 8301 section 3.2).
const advisedRSABits = 2048

// keySize warns of a key that signs, but that verifiers may refuse as too long, or not believe for
// long as too short.
func (c *checker) keySize(k triedKey) {
	for _, f := range sizeFindings(k, at(c.cfg.Keys[k.Name].Problem("", ""))) {
		c.report(f)
	}
}

// sizeFindings are those about the size of a key that a setting names.
func sizeFindings(k triedKey, setting place) []Finding {
	var out []Finding
	if k.isRSA && k.bits < advisedRSABits {
		out = append(out, finding(KeyShort, setting, k.bits, advisedRSABits))
	}
	if k.bits > keys.SafeRSABits {
		out = append(out, finding(KeyTooLong, setting, k.bits, keys.SafeRSABits))
	}
	return out
}

// keyFile reports what is wrong with the file of a key, or of another secret, that a setting names.
func (c *checker) keyFile(f keyfile.Finding, setting place, key remedy.Key) {
	c.fileOf(c.reader(), f, setting, key)
}

// fileOf reports what is wrong with a file that a user has to read.
func (c *checker) fileOf(reader remedy.Reader, f keyfile.Finding, setting place, key remedy.Key) {
	out := finding(ofKeyFile[f.Kind], setting, f.Text)
	out.Fix = remedy.KeyFile(f, reader, key)
	c.report(out)
}

// triedKey is a key that was loaded, and why it cannot sign.
type triedKey struct {
	Key
	bits  int
	isRSA bool
	err   error
}

// tryKeys has every key that could be loaded sign a probe, by name.
func tryKeys(ctx context.Context, source *keyfile.Source) []triedKey {
	var loaded []keys.Key
	for _, name := range source.Names() {
		// otherwise it is among the source's findings
		if k, err := source.Key(ctx, name); err == nil {
			loaded = append(loaded, k)
		}
	}
	tried := make([]triedKey, len(loaded))
	var workers errgroup.Group
	workers.SetLimit(runtime.GOMAXPROCS(0))
	for i, k := range loaded {
		workers.Go(func() error {
			tried[i] = tryKey(k)
			return nil
		})
	}
	_ = workers.Wait() // no worker returns an error
	return tried
}

// tryKey has a key sign a probe. A key for the domain of any author signs as a domain that cannot
// exist.
func tryKey(k keys.Key) triedKey {
	out := triedKey{Key: Key{Name: k.Name, Record: k.Selector + "._domainkey." + k.Domain}}
	algorithm, bits := k.Algorithm()
	out.bits, out.isRSA = bits, algorithm == keys.RSA
	if out.Fingerprint, out.err = k.Fingerprint(); out.err != nil {
		return out
	}
	if k.Domain == "%" {
		k.Domain = "probe.invalid"
	}
	if err := sign.TestKey(k, dkim.SignOptions{}); err != nil {
		out.err = fmt.Errorf("the key does not sign: %w", err)
	}
	return out
}

// secrets judges the files of secrets other than keys: the configuration itself where it holds
// some, and those that settings name.
func (c *checker) secrets() {
	for _, s := range c.cfg.Secrets() {
		if _, err := os.Stat(s.File); err == nil {
			c.secretFile(s.Place, s.File)
		} else if s.File != s.Place.File && !c.isOfSource(s.Place) &&
			!c.denied(at(s.Place), s.File, err) {
			c.report(finding(SecretMissing, at(s.Place), err.Error()))
		}
	}
}

// pages reports what would prevent "mailseal reports serve" from starting: an invalid token
// or certificate. Missing files have been reported before.
func (c *checker) pages() {
	for _, m := range pages.Mistakes(c.cfg) {
		setting := at(c.cfg.Problem(m.Setting, ""))
		file := c.File
		if failed := (*fs.PathError)(nil); errors.As(m, &failed) {
			file = failed.Path
		}
		if errors.Is(m, fs.ErrNotExist) || c.denied(setting, file, m) {
			continue
		}
		c.report(finding(PagesRefused, setting, m.Err.Error()))
	}
}

// isOfSource reports whether a setting is that of a database, which has been asked already.
func (c *checker) isOfSource(setting config.Problem) bool {
	return strings.HasSuffix(setting.Path, ".dsn")
}

// secretFile judges a file for the process that reads it: the secrets of the pages are those of the
// report process, whose user is another one where the packages' units run it.
func (c *checker) secretFile(setting config.Problem, path string) {
	reader, as := c.reader(), c.asReader()
	if strings.HasPrefix(setting.Path, "reports.") && path != setting.File {
		if s := service.Find(files.ReportsUser); s.UID > 0 {
			reader, as = readerOf(s), s.Reader()
		}
	}
	for _, f := range keyfile.Check(path, as) {
		c.fileOf(reader, f, at(setting), remedy.Key{File: path})
	}
}
