package measure

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Mailseal starts one of our builds with a configuration, to which it adds a socket, the name
// server and profiles, and returns how long it took until it accepted a connection.
func (r *Bench) Mailseal(name, binary, config string, env ...string) (*Process, time.Duration,
	error) {
	dir, err := r.Subdir(name)
	if err != nil {
		return nil, 0, err
	}
	profiles, err := FreePort()
	if err != nil {
		return nil, 0, err
	}
	socket, file := filepath.Join(dir, "socket"), filepath.Join(dir, "mailseal.toml")
	config = fmt.Sprintf("[[listen]]\naddress = \"unix:%s\"\n[dns]\nservers = "+
		"[%q]\n[metrics]\naddress = %q\npprof = true\n", socket, r.DNS, profiles) + config
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, 0, err
	}
	cmd := exec.Command(binary, "serve", "-c", file)
	cmd.Env = append(os.Environ(), env...)
	p, took, err := Start(cmd, socket, filepath.Join(dir, "log"))
	if err != nil {
		return nil, 0, err
	}
	p.profiles = profiles
	return p, took, nil
}

// Subdir makes a directory for the files of a server.
func (r *Bench) Subdir(name string) (string, error) {
	return os.MkdirTemp(r.Dir, strings.ReplaceAll(name, " ", "-")+"-")
}

// VerifiesAlone is a configuration, as far as Mailseal's method does not say it: DKIM and nothing
// else. What is not said is as it comes: a line is logged for each message.
const VerifiesAlone = "[verify]\nspf = false\ndmarc = false\niprev = false\narc = false\n"

// Signs is the configuration that signs for example.com with the RSA key under each of the
// selectors; the selector "ed" is the Ed25519 key's.
func (r *Bench) Signs(canonicalization string, selectors ...string) string {
	var t strings.Builder
	var names []string
	for _, s := range selectors {
		file := r.RSA
		if s == "ed" {
			file = r.Ed
		}
		names = append(names, fmt.Sprintf("%q", s+"._domainkey.example.com"))
		fmt.Fprintf(&t, "[keys.%s]\nfile = %q\n", names[len(names)-1], file)
	}
	fmt.Fprintf(&t, "[[sign]]\nfrom = [\"*@example.com\"]\nkeys = [%s]\ncanonicalization = %q\n",
		strings.Join(names, ", "), canonicalization)
	return t.String()
}

// KeyFiles fills a directory with n files of the same key, which who reads them cannot know.
func (r *Bench) KeyFiles(n int) (dir string, err error) {
	pem, err := os.ReadFile(r.RSA)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(r.Dir, fmt.Sprintf("keys-%d", n))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	for i := range n {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.pem", i)), pem,
			0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// ManyDomains is the configuration that signs for d0.example and so on, each with its key of
// KeyFiles.
func ManyDomains(dir string, n int) string {
	var t strings.Builder
	for i := range n {
		fmt.Fprintf(&t, "[keys.\"mail._domainkey.d%d.example\"]\nfile = %q\n", i,
			filepath.Join(dir, fmt.Sprintf("%d.pem", i)))
	}
	t.WriteString("[[sign]]\nfrom = [\"*\"]\nkeys = [\"mail._domainkey.%\"]\n")
	return t.String()
}
