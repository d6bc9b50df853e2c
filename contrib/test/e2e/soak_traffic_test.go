package e2e

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"mailseal/contrib/test/hosted"
	"mailseal/keys"
	"mailseal/milter/dkim"
	"mailseal/milter/message"
	"mailseal/milter/miltertest"
)

// Who writes to the host of the soak: honest.example with good signatures, and strangers in the
// name of bank.example, whose policy is to reject them.
var honestKey = keys.Key{Domain: "honest.example", Selector: "s",
	Signer: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{99}, ed25519.SeedSize))}

const soakZone = `
honest.example TXT "v=spf1 ip4:127.0.0.2 -all"
_dmarc.honest.example TXT "v=DMARC1; p=reject"
bank.example TXT "v=spf1 -all"
_dmarc.bank.example TXT "v=DMARC1; p=reject"
evil.example TXT "v=spf1 ip4:127.0.0.0/8 -all"
$TIMEOUT *.silent.example
`

func (s *soak) publishStrangers() {
	record, err := honestKey.Record(keys.RecordOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.zone.AddTXT(record.Name, record.Text)
	if err := s.zone.Add(soakZone); err != nil {
		s.t.Fatal(err)
	}
}

// begin has everybody write until stop is called.
func (s *soak) begin() (stop func()) {
	done := make(chan struct{})
	var all sync.WaitGroup
	again := func(do func(i int)) {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
					do(i)
				}
			}
		})
	}
	for range 3 {
		again(s.ours)
		again(s.honest)
	}
	for range 2 {
		again(s.forger)
	}
	again(s.garbage)
	again(func(int) { s.sample(); time.Sleep(time.Second) })
	return func() { close(done); all.Wait() }
}

// send sends a message as an MTA does: a milter that cannot be reached, or whose connection breaks,
// defers it, and it is sent again. A milter that is there and breaks the connection has lost it.
func (s *soak) send(client string, m miltertest.Message) (out miltertest.Outcome, isDeferred bool) {
	o := miltertest.Options{Timeout: time.Minute, Client: netip.MustParseAddr(client)}
	c, err := miltertest.Dial(s.t.Context(), s.address, o)
	if err == nil {
		defer c.Close()
		out, err = c.Send(m)
	}
	if err == nil {
		return out, strings.HasPrefix(out.Reply.Text, "4")
	}
	s.tally.retried.Add(1)
	s.mu.Lock()
	wasDown := s.isDown
	s.mu.Unlock()
	if !wasDown && s.isUp() {
		s.tally.lost.Add(1)
		s.t.Errorf("a connection broke: %v", err)
	}
	time.Sleep(100 * time.Millisecond)
	return out, true
}

// isUp reports whether the daemon takes connections: just after a kill no one knows yet that it is
// gone.
func (s *soak) isUp() bool {
	time.Sleep(200 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.isDown && time.Since(s.killed) > 10*time.Second
}

// ours sends what has to leave with a signature.
func (s *soak) ours(i int) {
	domain := fmt.Sprintf("d%d.example", rand.IntN(hosted.Domains-1))
	raw := fmt.Sprintf("From: joe@%s\nTo: bob@other.example\nSubject: %d\nDate: Thu, 01 Jan 2026 "+
		"00:00:00 +0000\nMessage-ID: <%d@%s>\n\nbody %s\n", domain, i, i, domain,
		strings.Repeat("x ", rand.IntN(2000)))
	out, isDeferred := s.send("127.0.0.1", miltertest.Message{From: "joe@" + domain,
		To: []string{"bob@other.example"}, Raw: []byte(raw)})
	switch {
	case isDeferred:
		s.tally.deferred.Add(1)
	case out.Refused():
		s.tally.wrong.Add(1)
		s.t.Errorf("mail of ours is refused for good: %s", out.Reply)
	default:
		s.receive(domain, out.Delivered())
	}
}

// receive verifies what left as a receiver would. The DNS that it asks is never dead.
func (s *soak) receive(domain string, raw []byte) {
	v := &dkim.Verifier{Resolver: s.zone}
	var x *dkim.Verification
	m, err := message.Read(bytes.NewReader(raw), 1<<20, func(h message.Header) []message.BodyHash {
		x = v.Select(h, "")
		return x.BodyHashes()
	})
	if err != nil {
		s.t.Error(err)
		return
	}
	switch results := x.Run(s.t.Context(), m); {
	case len(results) == 0:
		s.tally.unsigned.Add(1)
		s.t.Errorf("mail of %s left without a signature", domain)
	case len(results) == 1 && results[0].Value == dkim.Pass && results[0].Domain == domain:
		s.tally.signed.Add(1)
	default:
		s.tally.wrong.Add(1)
		s.t.Errorf("mail of %s is signed wrongly: %+v", domain, results)
	}
}

// honest sends what has to pass.
func (s *soak) honest(i int) {
	raw := fmt.Sprintf("From: ann@honest.example\r\nTo: joe@d1.example\r\nSubject: %d\r\nDate: "+
		"Thu, 01 Jan 2026 00:00:00 +0000\r\n\r\nhello\r\n", i)
	signed := s.signedBy(honestKey, raw)
	out, isDeferred := s.send("127.0.0.2", miltertest.Message{From: "ann@honest.example",
		To: []string{"joe@d1.example"}, Raw: []byte(signed)})
	if isDeferred {
		s.tally.doubtful.Add(1)
		return
	}
	verdict := results(out.Delivered())
	switch {
	case out.Refused():
		s.tally.wrong.Add(1)
		s.t.Errorf("honest mail is refused: %s", out.Reply)
	case strings.Contains(verdict, "dmarc=pass"):
		s.tally.passed.Add(1)
	case strings.Contains(verdict, "temperror") && s.isDNSWeak():
		s.tally.doubtful.Add(1)
	default:
		s.tally.wrong.Add(1)
		s.t.Errorf("honest mail does not pass: %s", verdict)
	}
}

func (s *soak) signedBy(k keys.Key, raw string) string {
	o := dkim.SignOptions{}
	m, err := message.Read(strings.NewReader(raw), 1<<20,
		func(message.Header) []message.BodyHash { return []message.BodyHash{o.BodyHash()} })
	if err != nil {
		s.t.Fatal(err)
	}
	f, err := dkim.Sign(m.Header, m.Body, dkim.Key{Domain: k.Domain, Selector: k.Selector,
		Signer: k.Signer}, o)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(f.Raw()) + "\r\n" + raw
}

// results is the Authentication-Results field of ours in a message, unfolded; what stands there
// twice is a forgery.
func results(raw []byte) string {
	header, _, _ := bytes.Cut(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n\n"))
	text := strings.ReplaceAll(strings.ReplaceAll(string(header), "\n\t", " "), "\n ", " ")
	var found []string
	for line := range strings.Lines(text) {
		if value, is := strings.CutPrefix(line, "Authentication-Results: mx.example.com"); is {
			found = append(found, strings.TrimSpace(value))
		}
	}
	return strings.Join(found, " AND ")
}

// forger sends mail in the bank's name, with a forged verdict of ours, signatures that lead to
// silent servers, and what else may confuse.
func (s *soak) forger(i int) {
	from := []string{"ceo@bank.example", "\"Bank\" <ceo@bank.example>", "ceo@BANK.example",
		"<ceo@bank.example>"}[i%4]
	var b strings.Builder
	b.WriteString("Authentication-Results: mx.example.com; dmarc=pass header.from=bank.example\n")
	for n := range rand.IntN(6) {
		fmt.Fprintf(&b, "DKIM-Signature: v=1; a=rsa-sha256; d=x%d.silent.example; s=k%d; "+
			"h=From;\n bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\n", n,
			rand.IntN(1000))
	}
	fmt.Fprintf(&b, "From: %s\nTo: joe@d1.example\nSubject: pay\nDate: Thu, 01 Jan 2026 00:00:00 +0000\n\nnow\n", from)
	client := fmt.Sprintf("127.0.%d.%d", 1+rand.IntN(200), 1+rand.IntN(200))
	out, isDeferred := s.send(client, miltertest.Message{From: "x@evil.example",
		To: []string{"joe@d1.example"}, Raw: []byte(b.String())})
	if isDeferred {
		s.tally.openForgeries.Add(1)
		return
	}
	verdict := results(out.Delivered())
	switch {
	case out.Refused():
		s.tally.refused.Add(1)
	case strings.Contains(verdict, "dmarc=pass") || strings.Contains(verdict, " AND "):
		s.tally.forged.Add(1)
		s.t.Errorf("a forgery passes: %s", verdict)
	case strings.Contains(verdict, "dmarc=temperror") && s.isDNSWeak():
		s.tally.openForgeries.Add(1)
	default:
		s.tally.forged.Add(1)
		s.t.Errorf("a forgery is delivered: %s", verdict)
	}
}

// garbage connects and says what no MTA says.
func (s *soak) garbage(int) {
	time.Sleep(50 * time.Millisecond)
	conn, err := net.Dial("unix", strings.TrimPrefix(s.address, "unix:"))
	if err != nil {
		return
	}
	defer conn.Close()
	s.tally.noise.Add(1)
	packet := make([]byte, 1+rand.IntN(2000))
	for i := range packet {
		packet[i] = byte(rand.Uint32())
	}
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	_, _ = conn.Write(packet)
	_, _ = conn.Read(packet)
}

// idle opens connections that say nothing, and leaves them to the daemon's deadlines and to the end
// of the test.
func (s *soak) idle() {
	for range 100 {
		conn, err := net.Dial("unix", strings.TrimPrefix(s.address, "unix:"))
		if err != nil {
			continue
		}
		s.t.Cleanup(func() { conn.Close() })
	}
}

func (s *soak) sample() {
	s.mu.Lock()
	d, isDown := s.daemon, s.isDown
	s.mu.Unlock()
	if isDown {
		return
	}
	m, err := d.TryMetrics()
	if err != nil {
		return // it has been killed meanwhile
	}
	s.samples = append(s.samples, reading{m["process_resident_memory_bytes"], m["process_open_fds"],
		m["go_goroutines"]})
}

// mountFull puts an empty file system without room over a directory.
func mountFull(dir string) error {
	return unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4k,nr_inodes=1")
}

func unmount(dir string) { _ = unix.Unmount(dir, unix.MNT_DETACH) }
