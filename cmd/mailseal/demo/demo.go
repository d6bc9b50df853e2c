// Package demo shows the daemon at work on one host without an MTA: a key, a DNS server on
// loopback, one message out and back.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/daemon"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/files"
	"mailseal/milter/dns/dnstest"
)

// Options say where the demo keeps its files, and what it shows.
type Options struct {
	Dir     string // of the key, the configuration and the socket
	Serve   bool   // go on serving after the messages until the context ends
	Out     io.Writer
	Version string // of the program

	// Load reads the configuration at a path.
	Load func(path string) (*config.Config, error)
}

// demo is a daemon and its DNS on loopback.
type demo struct {
	Options
	config  string
	cfg     *config.Config
	log     *lines
	stopped chan error
}

// Run shows the daemon at work. It is bad when the message comes back without a signature that
// verifies, or with the forged field.
func Run(ctx context.Context, o Options) error {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return answer.NewUnknown(err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	d := &demo{Options: o, config: filepath.Join(dir, "mailseal.toml"), log: &lines{},
		stopped: make(chan error, 1)}
	if err := d.prepare(dir); err != nil {
		return err
	}
	zone, err := d.startDNS()
	if err != nil {
		return answer.NewUnknown(err)
	}
	defer zone.Close()
	first, stopFirst := context.WithCancel(ctx)
	defer stopFirst()
	if err := d.startDaemon(first); err != nil {
		return err
	}
	good, err := d.show(ctx)
	if err != nil {
		return answer.NewUnknown(err)
	}
	var pages *page
	if o.Serve {
		// What a daemon has counted is read when it closes a file of it, after five minutes, or at
		// its end: so that the page has it at once, this one ends and another takes its place.
		stopFirst()
		if err := <-d.stopped; err != nil {
			return answer.NewUnknown(err)
		}
		if pages, err = d.startPage(ctx); err != nil {
			return answer.NewUnknown(err)
		}
		if err := d.startDaemon(ctx); err != nil {
			return err
		}
		if pages != nil {
			d.printPage()
		}
		d.printMTA()
		<-ctx.Done()
	}
	stop()
	if err := <-d.stopped; err != nil {
		return answer.NewUnknown(err)
	}
	if pages != nil {
		if err := <-pages.stopped; err != nil {
			return answer.NewUnknown(err)
		}
	}
	if !o.Serve {
		if err := d.showReport(); err != nil {
			return err
		}
	}
	if !good {
		return answer.NewBad(errors.New("the message returned without a valid signature, or with " +
			"the forged field"))
	}
	return nil
}

// prepare makes a key and a configuration where there are none, and reads what is there.
func (d *demo) prepare(dir string) error {
	if _, err := os.Stat(d.config); os.IsNotExist(err) {
		if err := makeDemo(dir, d.config); err != nil {
			return answer.NewUnknown(err)
		}
		fmt.Fprintf(d.Out, "Made two keys and a configuration in %s.\n", dir)
	}
	if err := d.freePorts(); err != nil {
		return answer.NewUnknown(err)
	}
	cfg, err := d.Load(d.config)
	if err != nil {
		return err
	}
	d.cfg = cfg
	if len(cfg.DNS.Servers) == 0 {
		return answer.NewBad(fmt.Errorf("%s: dns.servers is empty: "+
			"the demo needs the address for its own DNS server", d.config))
	}
	return nil
}

// demoConfig is the configuration of a host that signs for example.com and judges what strangers
// bring.
const demoConfig = `# Made by "mailseal demo". A configuration for real use: contrib/mailseal.toml.
authserv_id = "mx.example.com"
state_directory = "%[1]s/state"

[[listen]]
address = "unix:%[1]s/mailseal.sock"

[[listen]]
address = "inet:8891@127.0.0.1"

[ours]
networks = ["127.0.0.1", "::1"]

[dns]
servers = ["127.0.0.1:8853"] # the demo's own; without this line those of /etc/resolv.conf

[keys."rsa._domainkey.example.com"]
domain = "example.com"
selector = "rsa"
file = "%[1]s/keys/rsa.pem"

[keys."ed._domainkey.example.com"]
domain = "example.com"
selector = "ed"
file = "%[1]s/keys/ed.pem"

[[sign]]
from = ["*@example.com"]
keys = ["rsa._domainkey.example.com", "ed._domainkey.example.com"]

[reports]
collect = true
from = "dmarc@reports.mx.example.com"
directory = "%[1]s/reports"

[reports.intake]
domains = ["example.com", "shop.example"]

[reports.web]
address = "127.0.0.1:8026"
token_file = "%[1]s/token"
`

func makeDemo(dir, path string) error {
	if err := os.MkdirAll(filepath.Join(dir, "keys"), 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "reports", "spool"), 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "state"), 0o700); err != nil {
		return err
	}
	for name, algorithm := range map[string]keys.Algorithm{"rsa": keys.RSA, "ed": keys.Ed25519} {
		private, err := keys.Generate(algorithm, 0)
		if err != nil {
			return err
		}
		text, err := keys.Marshal(private)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "keys", name+".pem"), text, 0o600); err != nil {
			return err
		}
	}
	if err := newToken(dir); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(fmt.Sprintf(demoConfig, dir)), 0o644)
}

// The ports in the demo's configuration, unless another program has them.
var demoPorts = []struct{ before, port, after string }{
	{`"inet:`, "8891", `@127.0.0.1"`},
	{`"127.0.0.1:`, "8853", `"`},
	{`address = "127.0.0.1:`, "8026", `"`},
}

// maxConfig bounds what is read of the configuration, in bytes: the demo's own has 900.
const maxConfig = 64 << 10

// madeByDemo is how a configuration begins that the demo may change.
const madeByDemo = `# Made by "mailseal demo".`

// freePorts puts other ports into the demo's own configuration where another program has those that
// are there.
func (d *demo) freePorts() error {
	text, err := files.Read(d.config, maxConfig)
	if err != nil || !strings.HasPrefix(string(text), madeByDemo) {
		return err
	}
	out := string(text)
	for _, p := range demoPorts {
		port, ok := between(out, p.before, p.after)
		if !ok || isFree(port) {
			continue
		}
		free, err := freePort()
		if err != nil {
			return err
		}
		fmt.Fprintf(d.Out, "Port %s is in use: the demo uses %s.\n", port, free)
		out = strings.Replace(out, p.before+port+p.after, p.before+free+p.after, 1)
	}
	if out == string(text) {
		return nil
	}
	return os.WriteFile(d.config, []byte(out), 0o644)
}

// between returns the digits between two texts.
func between(text, before, after string) (string, bool) {
	for rest := text; ; {
		_, found, ok := strings.Cut(rest, before)
		if !ok {
			return "", false
		}
		digits := found[:len(found)-len(strings.TrimLeft(found, "0123456789"))]
		if digits != "" && strings.HasPrefix(found[len(digits):], after) {
			return digits, true
		}
		rest = found
	}
}

// isFree reports whether a port on loopback is free, by TCP and by UDP.
func isFree(port string) bool {
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return false
	}
	_ = l.Close() // it was only to see
	u, err := net.ListenPacket("udp", "127.0.0.1:"+port)
	if err != nil {
		return false
	}
	_ = u.Close()
	return true
}

// freePort finds a free port.
func freePort() (string, error) {
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		_, port, err := net.SplitHostPort(l.Addr().String())
		_ = l.Close() // the demo opens it again
		if err != nil {
			return "", err
		}
		if isFree(port) {
			return port, nil
		}
	}
	return "", errors.New("no port on loopback is free")
}

// startDNS serves the records of the configuration's keys, and what else example.com would publish.
func (d *demo) startDNS() (*dnstest.Server, error) {
	source := assembly.FileKeys(context.Background(), d.cfg, nil)
	zone := dnstest.Must(`
example.com.           IN TXT "v=spf1 ip4:192.0.2.25 -all"
_dmarc.example.com.    IN TXT "v=DMARC1; p=reject; rua=mailto:dmarc@example.com"
mx.example.com.        IN A 192.0.2.25
25.2.0.192.in-addr.arpa. IN PTR mx.example.com.
`)
	for name := range d.cfg.Keys {
		k, err := source.Key(context.Background(), name)
		if err != nil {
			return nil, err
		}
		record, err := k.Record(keys.RecordOptions{})
		if err != nil {
			return nil, err
		}
		zone.AddTXT(record.Name, record.Text)
	}
	return dnstest.Serve(zone, d.cfg.DNS.Servers[0].String())
}

// startDaemon returns when MTAs may call.
func (d *demo) startDaemon(ctx context.Context) error {
	ready := make(chan struct{})
	go func() {
		d.stopped <- d.serve(ctx, func() { close(ready) })
	}()
	select {
	case <-ready:
		return nil
	case err := <-d.stopped:
		return err
	}
}

func (d *demo) serve(ctx context.Context, ready func()) error {
	o := daemon.Options{
		Load:    func() (*config.Config, error) { return d.Load(d.config) },
		File:    d.config,
		Stderr:  d.log,
		Version: d.Version,
	}
	served, err := daemon.Build(ctx, d.cfg, o)
	if err != nil {
		return err
	}
	return served.Run(ctx, ready)
}
