// Package measure has code that the benchmarks share: milters as processes with their figures,
// "mailseal mta" that drives them, keys, a name server on loopback, and connections that are held
// open.
package measure

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"mailseal/keys"
	"mailseal/milter/dns/dnstest"
)

// Client is the host that strangers' mail comes from.
const Client = "192.0.2.25"

// zone is what example.com publishes, apart from its keys.
const zone = `
com.                     IN SOA ns.example.com. hostmaster.example.com. 1 7200 3600 1209600 3600 ; for how long it holds that a name is not there
192.in-addr.arpa.        IN SOA ns.example.com. hostmaster.example.com. 1 7200 3600 1209600 3600
example.com.             IN TXT "v=spf1 ip4:192.0.2.25 -all"
_dmarc.example.com.      IN TXT "v=DMARC1; p=reject"
mx.example.com.          IN A 192.0.2.25
25.2.0.192.in-addr.arpa. IN PTR mx.example.com.
`

// Bench is what all measurements share: a directory, two keys, a name server on loopback and the
// driver.
type Bench struct {
	Dir    string // of files that Close removes
	Driver string // the mailseal whose "mta" drives
	DNS    string // address of the name server
	// files of the private keys, whose records are at rsa and ed._domainkey.example.com
	RSA, Ed    string
	PublicKeys string // file with both records, for OpenDKIM's TestPublicKeys

	records *dnstest.Zone
	rsa     keys.Record
	server  *dnstest.Server
	second  *dnstest.Server // of ServeAlso; nil without
}

// New makes the keys and starts the name server. The program driver drives.
func New(driver string) (*Bench, error) {
	raiseFiles()
	dir, err := os.MkdirTemp("", "mailseal-bench-")
	if err != nil {
		return nil, err
	}
	r := &Bench{Dir: dir, Driver: driver, records: dnstest.Must(zone)}
	if err := r.makeKeys(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if r.server, err = dnstest.Serve(r.records, "127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	r.DNS = r.server.Addr()
	go r.cleanUp()
	return r, nil
}

// cleanUp removes the files of a run that is broken off: there may be 100,000 of them. Its servers
// end with it.
func (r *Bench) cleanUp() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	fmt.Fprintln(os.Stderr, <-stop)
	_ = os.RemoveAll(r.Dir) // a server may still write there
	os.Exit(1)
}

// Close stops the name server and removes all files.
func (r *Bench) Close() error {
	err := errors.Join(r.server.Close(), os.RemoveAll(r.Dir))
	if r.second != nil {
		err = errors.Join(err, r.second.Close())
	}
	return err
}

func (r *Bench) makeKeys() (err error) {
	var ed keys.Record
	if r.RSA, r.rsa, err = r.makeKey("rsa", keys.RSA); err != nil {
		return err
	}
	if r.Ed, ed, err = r.makeKey("ed", keys.Ed25519); err != nil {
		return err
	}
	r.PublicKeys = filepath.Join(r.Dir, "public.keys")
	return os.WriteFile(r.PublicKeys, fmt.Appendf(nil, "%s %s\n%s %s\n", r.rsa.Name, r.rsa.Text,
		ed.Name, ed.Text), 0o600)
}

func (r *Bench) makeKey(selector string, a keys.Algorithm) (file string, record keys.Record,
	err error) {
	private, err := keys.Generate(a, 0)
	if err != nil {
		return "", record, err
	}
	text, err := keys.Marshal(private)
	if err != nil {
		return "", record, err
	}
	if record, err = (keys.Key{Domain: "example.com", Selector: selector, Signer: private}).Record(
		keys.RecordOptions{}); err != nil {
		return "", record, err
	}
	r.records.AddTXT(record.Name, record.Text)
	file = filepath.Join(r.Dir, selector+".pem")
	return file, record, os.WriteFile(file, text, 0o600)
}

// Publish has one more selector of example.com show the RSA key.
func (r *Bench) Publish(selector string) {
	r.records.AddTXT(selector+"._domainkey.example.com.", r.rsa.Text)
}

// ServeAlso has the name server answer at one more address, until Close. A second call changes
// nothing.
func (r *Bench) ServeAlso(address string) error {
	if r.second != nil {
		return nil
	}
	s, err := dnstest.Serve(r.records, address)
	r.second = s
	return err
}

// PublishAlso adds the lines of a zone file to what the name server answers.
func (r *Bench) PublishAlso(lines string) error { return r.records.Add(lines) }

// PublishOnly has the name server answer from another zone.
func (r *Bench) PublishOnly(z *dnstest.Zone) { r.records.Replace(z) }

// Figures are what "mailseal mta --json" found out.
type Figures struct {
	Messages int     `json:"messages"`
	Refused  int     `json:"refused"`
	Edited   int     `json:"edited"`
	Rate     float64 `json:"messages_per_second"`
	P50      float64 `json:"p50_ms"`
	P95      float64 `json:"p95_ms"`
	P99      float64 `json:"p99_ms"`
}

// Drive has the driver send messages to a server, and fails if one was not edited: what does
// nothing is fast.
func (r *Bench) Drive(p *Process, args ...string) (f Figures, err error) {
	cmd := exec.Command(r.Driver, append([]string{"mta", "--milter", "unix:" + p.Socket, "--json"},
		args...)...)
	cmd.Stderr = os.Stderr
	var out []byte
	err = onCores(driverCores(), func() error {
		out, err = cmd.Output()
		return err
	})
	if err != nil {
		return f, fmt.Errorf("%s: %w", brief(cmd.Args), err)
	}
	if err := json.Unmarshal(out, &f); err != nil {
		return f, err
	}
	if f.Refused > 0 || f.Edited < f.Messages || f.Messages == 0 {
		return f, fmt.Errorf("%s: %d messages, %d refused, %d edited", brief(cmd.Args), f.Messages,
			f.Refused, f.Edited)
	}
	return f, nil
}

// brief is a command line that may name hundreds of files.
func brief(args []string) string {
	const most = 30
	if len(args) > most {
		return strings.Join(args[:most], " ") + " …"
	}
	return strings.Join(args, " ")
}

// Sample is one measurement of one server.
type Sample struct {
	CPU      time.Duration // of the server, for each message
	Rate     float64       // messages a second
	Resident int64         // octets, afterwards
	Own      int64         // of these, those that are not of files
}

// Measure drives a server and takes its processor time.
func (r *Bench) Measure(p *Process, args ...string) (s Sample, err error) {
	before, err := p.CPU()
	if err != nil {
		return s, err
	}
	f, err := r.Drive(p, args...)
	if err != nil {
		return s, err
	}
	after, err := p.CPU()
	if err != nil {
		return s, err
	}
	if s.Resident, err = p.Resident(); err != nil {
		return s, err
	}
	s.Own, err = p.Own()
	s.CPU, s.Rate = (after-before)/time.Duration(f.Messages), f.Rate
	return s, err
}

// Signed sends a message through a mailseal of the given configuration and writes what would be
// delivered to a file.
func (r *Bench) Signed(file, config string, message []byte) error {
	p, _, err := r.Mailseal("signer", r.Driver, config)
	if err != nil {
		return err
	}
	defer p.Stop()
	plain := filepath.Join(r.Dir, "plain.eml")
	if err := os.WriteFile(plain, message, 0o600); err != nil {
		return err
	}
	out, err := exec.Command(r.Driver, "mta", "--milter", "unix:"+p.Socket, "--deliver",
		plain).Output()
	if err != nil {
		return fmt.Errorf("signing %s: %w", filepath.Base(file), err)
	}
	return os.WriteFile(file, out, 0o600)
}

// AsClient is what the driver is told so that the mail is a stranger's.
func AsClient() []string {
	return []string{"--client", Client, "--client-name", "mx.example.com", "--helo",
		"mx.example.com"}
}

// WriteOnce writes a file that is not there yet.
func WriteOnce(file string, content []byte) error {
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(file, content, 0o600)
}

// FreePort returns an free address on loopback.
func FreePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// raiseFiles lets all that is started open as many files as is allowed: OpenDKIM does not see to
// it, as Go does.
func raiseFiles() {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) == nil {
		l.Cur = l.Max
		// then what holds many connections fails, and says so
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
	}
}
