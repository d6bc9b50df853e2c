package keyring

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"mailseal/cmd/mailseal/answer"
	"mailseal/keys"
	"mailseal/milter/domain"
)

// DefaultRSABits is the size of an RSA key unless another is asked for.
const DefaultRSABits = keys.DefaultRSABits

// FileOptions say which keys "mailseal keygen" makes, and where.
type FileOptions struct {
	Domain     string
	Selector   string
	Dir        string   // made if it is not there
	Algorithms []string // rsa, ed25519
	RSABits    int
	Record     keys.RecordOptions
	JSON       bool
}

// GenerateFiles makes keys for a domain, writes each into a file that only its owner can read, and
// prints the records to publish and the lines for the configuration.
func GenerateFiles(o FileOptions, out io.Writer) error {
	made, err := o.generate()
	if err != nil {
		return err
	}
	if err := store(made); err != nil {
		return err
	}
	if o.JSON {
		return printKeysJSON(out, made)
	}
	printKeys(out, made)
	return nil
}

// newKey is a key that has been made.
type newKey struct {
	key    keys.Key
	record keys.Record
	file   string // absolute
}

// generate makes the keys, and finds out that their records can be written, before any file is.
func (o FileOptions) generate() ([]newKey, error) {
	base, err := domain.ParseSelector(o.Selector)
	if err != nil {
		return nil, answer.NewUsage(fmt.Errorf("--selector: %w", err))
	}
	name, err := domain.ParseMail(o.Domain)
	if err != nil {
		return nil, answer.NewUsage(fmt.Errorf("--domain: %w", err))
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, answer.NewUnknown(err)
	}
	if len(o.Algorithms) == 0 {
		return nil, answer.NewUsage(errors.New(
			"--algorithm names no algorithm; there are rsa and ed25519"))
	}
	if o.RSABits != 0 && o.RSABits < keys.MinRSABits {
		return nil, answer.NewUsage(fmt.Errorf("--bits %d: at least %d, and %d are usual, since "+
			"receivers ignore shorter keys (RFC 8301 section 3.2)", o.RSABits, keys.MinRSABits,
			keys.DefaultRSABits))
	}
	if o.RSABits > keys.SafeRSABits {
		return nil, answer.NewUsage(fmt.Errorf("--bits %d: at most %d, since verifiers need not "+
			"accept longer keys (RFC 8301 section 3.2)", o.RSABits, keys.SafeRSABits))
	}
	var made []newKey
	for i, alg := range o.Algorithms {
		if slices.Contains(o.Algorithms[:i], alg) {
			return nil, answer.NewUsage(fmt.Errorf("--algorithm names %q twice", alg))
		}
		selector := base
		if alg == string(keys.Ed25519) && len(o.Algorithms) > 1 {
			selector += "-ed"
		}
		signer, err := keys.Generate(keys.Algorithm(alg), o.RSABits)
		if err != nil {
			return nil, answer.NewUsage(err)
		}
		k := keys.Key{Domain: name.String(), Selector: selector, Signer: signer}
		record, err := k.Record(o.Record)
		if err != nil {
			return nil, answer.NewUsage(err)
		}
		k.Name = record.Name
		made = append(made, newKey{k, record, filepath.Join(dir, selector+".pem")})
	}
	return made, nil
}

// store writes the files, all of them or none.
func store(made []newKey) error {
	var written []string
	for _, k := range made {
		text, err := keys.Marshal(k.key.Signer)
		if err == nil {
			err = writeSecret(k.file, text)
		}
		if err != nil {
			for _, path := range written {
				err = errors.Join(err, os.Remove(path))
			}
			return answer.NewFailed(fmt.Errorf("--dir: %w", err))
		}
		written = append(written, k.file)
	}
	return nil
}

// writeSecret makes a file that only its owner can read; one that is there is an error.
func writeSecret(path string, text []byte) error {
	if err := makeDirectories(filepath.Dir(path)); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s already exists; nothing was written", path)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, giveToOwner(path), file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// makeDirectories makes a directory and those above it that are not there. Each belongs to the
// owner of the one above it.
func makeDirectories(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := makeDirectories(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return giveToOwner(dir)
}

// giveToOwner lets root make keys for a daemon that runs as another user, whose directory it is. It
// follows no link, which that user could have put there.
func giveToOwner(path string) error {
	info, err := os.Stat(filepath.Dir(path))
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Lchown(path, int(owner.Uid), int(owner.Gid))
}

func printKeys(out io.Writer, made []newKey) {
	for _, k := range made {
		alg, bits := k.key.Algorithm()
		fmt.Fprintf(out, "%s: %s, %d bits\n  public key %s\n", k.file, alg, bits,
			k.record.Fingerprint)
	}
	fmt.Fprintf(out, "\nPublish in the zone:\n\n")
	for _, k := range made {
		fmt.Fprint(out, k.record.Zone())
	}
	fmt.Fprintf(out, "\nThe same, one record per line:\n\n")
	for _, k := range made {
		fmt.Fprintln(out, k.record.Line())
	}
	fmt.Fprintf(out, "\nThe same, for a form that asks for name and value:\n\n")
	for _, k := range made {
		fmt.Fprintf(out, "%s\n%s\n", k.record.Name, k.record.Text)
	}
	fmt.Fprintf(out, "\nAdd to mailseal.toml, once the records are published:\n\n%s\n%s", keysTOML(made),
		shortTOML(made[0]))
}

// shortTOML is the short way to sign for one domain with one key, as comments below the other:
// three lines.
func shortTOML(k newKey) string {
	return fmt.Sprintf("# Or three lines at the top of the file, to sign with %s alone:\n#\n#    "+
		" domain = %q\n#     selector = %q\n#     key_file = %q\n",
		k.key.Name, k.key.Domain, k.key.Selector, k.file)
}

// keysTOML are the lines for the configuration.
func keysTOML(made []newKey) string {
	var b strings.Builder
	var names []string
	for _, k := range made {
		fmt.Fprintf(&b, "[keys.%q]\nfile = %q\n\n", k.key.Name, k.file)
		names = append(names, fmt.Sprintf("%q", k.key.Name))
	}
	fmt.Fprintf(&b, "[[sign]]\nfrom = [\"*@%s\"]\nkeys = [%s]\n", made[0].key.Domain,
		strings.Join(names, ", "))
	return b.String()
}

// keyJSON is a key as keygen --json prints it.
type keyJSON struct {
	Name      string         `json:"name"`
	Domain    string         `json:"domain"`
	Selector  string         `json:"selector"`
	Algorithm keys.Algorithm `json:"algorithm"`
	Bits      int            `json:"bits"`
	File      string         `json:"file"`
	Record    keys.Record    `json:"record"`
}

func printKeysJSON(out io.Writer, made []newKey) error {
	var answer struct {
		Keys          []keyJSON `json:"keys"`
		Configuration string    `json:"configuration"`
	}
	for _, k := range made {
		alg, bits := k.key.Algorithm()
		answer.Keys = append(answer.Keys, keyJSON{k.key.Name, k.key.Domain, k.key.Selector, alg,
			bits, k.file, k.record})
	}
	answer.Configuration = keysTOML(made)
	return json.NewEncoder(out).Encode(answer)
}
