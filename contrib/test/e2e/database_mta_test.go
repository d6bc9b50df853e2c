package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailseal/contrib/test/hosted"
	"mailseal/contrib/test/rig"
	"mailseal/milter/dns/dnstest"
)

// flow is mail that clients of an MTA send without a pause, each message again until the MTA takes
// it, as any client does, and what became of it.
type flow struct {
	*site
	t         *testing.T
	published *dnstest.Zone

	taken, deferred, refused atomic.Int64
	mu                       sync.Mutex
	// recipients of messages that the MTA has taken: the author's domain
	open map[string]string

	signed, unsigned, wrong, lost int64
}

// begin has clients send until stop is called. Each has a connection of its own.
func (f *flow) begin(clients int) (stop func()) {
	var done atomic.Bool
	var all sync.WaitGroup
	for n := range clients {
		all.Go(func() {
			c := rig.Dial(f.t, f.SMTP, local)
			for i := n; !done.Load(); i += clients {
				f.submit(c, fmt.Sprintf("d%d.example", i*7%(hosted.Domains-1)),
					fmt.Sprintf("m%d@elsewhere.example", i), &done)
			}
			c.Quit()
		})
	}
	return func() { done.Store(true); all.Wait() }
}

// submit sends one message until it is taken. One that was only ever deferred when the test ends is
// still the client's.
func (f *flow) submit(c *rig.Client, domain, to string, done *atomic.Bool) {
	for {
		r := c.Send(mail("joe@"+domain, to))
		switch r.Code / 100 {
		case 2:
			f.mu.Lock()
			f.open[to] = domain
			f.mu.Unlock()
			f.taken.Add(1)
			return
		case 4:
			f.deferred.Add(1)
		default:
			f.refused.Add(1)
			f.t.Errorf("mail of %s is refused for good: %s", domain, r)
			return
		}
		if done.Load() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// await waits until a counter has grown by n.
func (f *flow) await(what string, counter *atomic.Int64, n int64) {
	f.t.Helper()
	from := counter.Load()
	if !rig.Await(func() bool { return counter.Load() >= from+n }) {
		f.t.Fatalf("%s: %d, want %d\n%s", what, counter.Load()-from, n, f.daemon.Output())
	}
}

// settle looks at what the MTA has delivered of what it took, and logs what became of the messages
// since the last time.
func (f *flow) settle(fault string) {
	f.t.Helper()
	f.mu.Lock()
	open := f.open
	f.open = map[string]string{}
	f.mu.Unlock()
	f.signed, f.unsigned, f.wrong, f.lost = 0, 0, 0, 0
	f.wrong = f.refused.Swap(0)
	for to, domain := range open {
		if !rig.Await(func() bool { return f.Sink.Has(to) }) {
			f.lost++
			f.t.Errorf("%s: a message of %s was taken and not delivered", fault, domain)
			continue
		}
		f.judge(domain, f.Sink.To(f.t, to).Data)
	}
	f.t.Logf("%s, %s: %d signed, %d deferred, %d unsigned, %d wrong, %d lost",
		f.Name, fault, f.signed, f.deferred.Swap(0), f.unsigned, f.wrong, f.lost)
	if f.signed == 0 || f.unsigned+f.wrong+f.lost != 0 {
		f.t.Errorf("%s: some mail was not signed", fault)
	}
}

// judge verifies a delivered message as a receiver would.
func (f *flow) judge(domain string, data []byte) {
	h := &hosted.Traffic{T: f.t, Zone: f.published}
	h.Judge(domain, data)
	f.signed += h.Signed.Load()
	f.unsigned += h.Unsigned.Load()
	f.wrong += 1 - h.Signed.Load() - h.Unsigned.Load()
}

// forwarder is an address that can be moved from one server to another, as a host name or a
// floating address is: those who are connected lose their connections.
type forwarder struct {
	listener net.Listener
	mu       sync.Mutex
	to       string
	open     []net.Conn
}

func newForwarder(t *testing.T, to string) *forwarder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{listener: l, to: to}
	t.Cleanup(func() { l.Close(); f.move("") })
	go f.serve()
	return f
}

func (f *forwarder) serve() {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		server, err := net.Dial("tcp", f.to)
		if err != nil {
			client.Close()
			f.mu.Unlock()
			continue
		}
		f.open = append(f.open, client, server)
		f.mu.Unlock()
		go relayBytes(server, client)
		go relayBytes(client, server)
	}
}

func relayBytes(to, from net.Conn) {
	_, _ = io.Copy(to, from) // it ends with the connection
	to.Close()
}

func (f *forwarder) move(to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.to = to
	for _, c := range f.open {
		c.Close()
	}
	f.open = nil
}

const faultySource = `
[sources.hosting]
driver = "%s"
dsn = "%s"
key_query = "SELECT domain, selector, private_key FROM dkim_keys WHERE name = $1"
signing_query = "SELECT key_name FROM dkim_signing WHERE domain = $1 AND login IN ('', $2)"
timeout = "1s"
ttl = "10ms"
negative_ttl = "10ms"
stale = "0s"
[[sign]]
source = "hosting"
`

// TestDatabaseFaultsBehindMTA has clients send through real MTAs while the database of keys stops,
// freezes and fails over. What an MTA takes is delivered with the author's signature; the rest is
// deferred, and taken later.
func TestDatabaseFaultsBehindMTA(t *testing.T) {
	databases := []struct {
		name, driver, sql, schema string
		start                     func(testing.TB) *rig.Database
	}{
		{"PostgreSQL", "postgres", "pgx", "postgresql.sql", rig.Postgres},
		{"MariaDB", "mysql", "mysql", "mysql.sql", rig.MariaDB},
	}
	for _, db := range databases {
		for name, start := range map[string]startMTA{"Postfix": rig.Postfix,
			"Sendmail": rig.Sendmail} {
			t.Run(db.name+" "+name, func(t *testing.T) {
				first, second := db.start(t), db.start(t)
				hosted.Fill(t, db.sql, first.DSN, db.schema)
				hosted.Fill(t, db.sql, second.DSN, db.schema)
				address := newForwarder(t, first.Address())
				_, from, _ := strings.Cut(first.Address(), ":")
				_, to, _ := net.SplitHostPort(address.listener.Addr().String())
				dsn := strings.Replace(first.DSN, from, to, 1)
				o := rig.Options{Milter: rig.FreePort(t, local)}
				if name == "Postfix" {
					// each deferral is one
					o.Append = "smtpd_soft_error_limit = 100000\nsmtpd_hard_error_limit = 100000\n"
				}
				s := newSite(t, start, o, fmt.Sprintf(faultySource, db.driver, dsn))
				f := &flow{site: s, t: t, published: hosted.Zone(t), open: map[string]string{}}
				f.suffer(first, second, address)
			})
		}
	}
}

// suffer lets one fault follow the other.
func (f *flow) suffer(first, second *rig.Database, address *forwarder) {
	stop := f.begin(3)
	defer stop()
	f.await("taken at first", &f.taken, 30)
	f.settle("no fault")

	first.Stop()
	f.await("deferred while it is away", &f.deferred, 10)
	first.Start()
	f.await("taken when it is back", &f.taken, 30)
	f.settle("stopped and started")

	first.Pause()
	f.await("deferred while it is frozen", &f.deferred, 3)
	first.Resume()
	f.await("taken when it goes on", &f.taken, 30)
	f.settle("frozen and resumed")

	first.Stop()
	f.await("deferred before it fails over", &f.deferred, 3)
	address.move(second.Address())
	f.await("taken from the second", &f.taken, 30)
	f.settle("failed over")

	first.Start()
	second.Pause()
	f.await("deferred while the second is frozen", &f.deferred, 3)
	address.move(first.Address())
	f.await("taken from the first again", &f.taken, 30)
	second.Resume()
	stop()
	f.settle("failed back from a frozen server")
}
