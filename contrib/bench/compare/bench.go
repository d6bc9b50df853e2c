package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"mailseal/keys"
	"mailseal/milter/dns/dnstest"
)

// bench is what all measurements share: a directory, two keys, a DNS server on loopback and the driver.
type bench struct {
	dir             string
	driver          string // the mailseal whose "mta" drives
	dns             string // address of the name server
	rsaFile, edFile string
	publicKeys      string // for OpenDKIM
	log             func(format string, args ...any)
}

// client is the host that strangers' mail comes from, and the zone what example.com publishes about it.
const (
	client = "192.0.2.25"
	zone   = `
com.                     IN SOA ns.example.com. hostmaster.example.com. 1 7200 3600 1209600 3600 ; for how long it holds that a name is not there
192.in-addr.arpa.        IN SOA ns.example.com. hostmaster.example.com. 1 7200 3600 1209600 3600
example.com.             IN TXT "v=spf1 ip4:192.0.2.25 -all"
_dmarc.example.com.      IN TXT "v=DMARC1; p=reject"
mx.example.com.          IN A 192.0.2.25
25.2.0.192.in-addr.arpa. IN PTR mx.example.com.
`
)

// prepare makes the keys and starts the name server, which close stops.
func (b *bench) prepare() (close func() error, err error) {
	records := dnstest.Must(zone)
	b.publicKeys = filepath.Join(b.dir, "public.keys")
	var lines []byte
	for selector, algorithm := range map[string]keys.Algorithm{"rsa": keys.RSA, "ed": keys.Ed25519} {
		r, err := b.makeKey(selector, algorithm)
		if err != nil {
			return nil, err
		}
		records.AddTXT(r.Name, r.Text)
		lines = fmt.Appendf(lines, "%s %s\n", r.Name, r.Text)
	}
	if err := os.WriteFile(b.publicKeys, lines, 0o600); err != nil {
		return nil, err
	}
	server, err := dnstest.Serve(records, "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b.dns = server.Addr()
	return server.Close, nil
}

func (b *bench) makeKey(selector string, a keys.Algorithm) (keys.Record, error) {
	private, err := keys.Generate(a, 0)
	if err != nil {
		return keys.Record{}, err
	}
	text, err := keys.Marshal(private)
	if err != nil {
		return keys.Record{}, err
	}
	file := filepath.Join(b.dir, selector+".pem")
	if a == keys.RSA {
		b.rsaFile = file
	} else {
		b.edFile = file
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return keys.Record{}, err
	}
	return keys.Key{Domain: "example.com", Selector: selector, Signer: private}.Record(keys.RecordOptions{})
}

// figures are what "mailseal mta --json" found out.
type figures struct {
	Messages int     `json:"messages"`
	Refused  int     `json:"refused"`
	Edited   int     `json:"edited"`
	Rate     float64 `json:"messages_per_second"`
	P50      float64 `json:"p50_ms"`
	P95      float64 `json:"p95_ms"`
	P99      float64 `json:"p99_ms"`
}

// drive has the driver send messages to a server, and fails if one was not edited: what does nothing is fast.
func (b *bench) drive(p *process, args ...string) (f figures, err error) {
	cmd := exec.Command(b.driver, append([]string{"mta", "--milter", "unix:" + p.socket, "--json"}, args...)...)
	cmd.Stderr = os.Stderr
	var out []byte
	err = onCores(driverCores(), func() error {
		out, err = cmd.Output()
		return err
	})
	if err != nil {
		return f, fmt.Errorf("%v: %w", cmd.Args, err)
	}
	if err := json.Unmarshal(out, &f); err != nil {
		return f, err
	}
	if f.Refused > 0 || f.Edited < f.Messages || f.Messages == 0 {
		return f, fmt.Errorf("%v: %d messages, %d refused, %d edited", cmd.Args, f.Messages, f.Refused, f.Edited)
	}
	return f, nil
}

// sample is one measurement of one server at one job.
type sample struct {
	cpu      time.Duration // of the server, for each message
	rate     float64       // messages a second
	resident int64         // octets, afterwards
}

// measure drives a server and takes its processor time.
func (b *bench) measure(p *process, args ...string) (s sample, err error) {
	before, err := p.cpu()
	if err != nil {
		return s, err
	}
	f, err := b.drive(p, args...)
	if err != nil {
		return s, err
	}
	after, err := p.cpu()
	if err != nil {
		return s, err
	}
	s.resident, err = p.resident()
	s.cpu, s.rate = (after-before)/time.Duration(f.Messages), f.Rate
	return s, err
}

// signed returns a file with a message of the given size that the RSA key has signed.
func (b *bench) signed(size int) (string, error) {
	file := filepath.Join(b.dir, "signed-"+strconv.Itoa(size)+".eml")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	p, _, err := mailseal("signer", b.driver).start(b, signs)
	if err != nil {
		return "", err
	}
	defer p.stop()
	plain := filepath.Join(b.dir, "plain.eml")
	if err := os.WriteFile(plain, letter(size), 0o600); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(context.Background(), b.driver, "mta", "--milter", "unix:"+p.socket, "--deliver", plain).Output()
	if err != nil {
		return "", err
	}
	return file, os.WriteFile(file, out, 0o600)
}
