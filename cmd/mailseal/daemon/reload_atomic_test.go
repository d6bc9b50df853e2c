package daemon

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/config"
	"mailseal/contrib/test/hosted"
	"mailseal/milter/miltertest"
)

// TestReloadsOneByOne holds that a reload waits for the one in progress, so that the configuration
// that was read last is the one that stays.
func TestReloadsOneByOne(t *testing.T) {
	s := newLossSite(t, 1, func(s *lossSite) {
		s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, s.dir)+s.rules(s.domains...))
	})
	load := s.daemon.load
	reading, goOn, loads := make(chan int, 2), make(chan struct{}), 0
	s.daemon.load = func() (*config.Config, error) {
		loads++
		reading <- loads
		<-goOn
		return load()
	}
	done := make(chan error, 2)
	reload := func() { done <- s.daemon.Reload(t.Context()) }
	go reload()
	if n := <-reading; n != 1 {
		t.Fatalf("the first reload reads as number %d", n)
	}
	if s.daemon.reloading.TryLock() {
		s.daemon.reloading.Unlock()
		t.Error("a second reload could begin while the first one reads")
	}
	go reload()
	for range 2 {
		goOn <- struct{}{}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if loads != 2 {
		t.Errorf("%d reads, want 2", loads)
	}
}

// TestRefusedReloadClosesSockets holds that a socket which a refused reload opened is closed: an
// MTA that connected to it would never get an answer.
func TestRefusedReloadClosesSockets(t *testing.T) {
	s := newLossSite(t, 3, func(s *lossSite) {
		s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, s.dir)+s.rules(s.domains...))
	})
	extra := filepath.Join(s.dir, "extra")
	more := fmt.Sprintf("[[listen]]\naddress = \"unix:%s\"\n", extra)
	s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, s.dir)+more+s.rules(s.domains[0]))
	if err := s.daemon.Reload(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "refused") {
		t.Fatalf("got %v, want a refusal", err)
	}
	if c, err := net.Dial("unix", extra); err == nil {
		c.Close()
		t.Error("the socket of the refused configuration still listens")
	}
}

// TestReloadDuringMessage holds that a message which began before a reload is signed with a key of
// a source that the new configuration does not have any more.
func TestReloadDuringMessage(t *testing.T) {
	h := startHosting(t, "sqlite", hosted.SQLite(t), "ttl = \"0s\"")
	c, err := miltertest.Dial(t.Context(), h.Address, hosted.Options)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const domain = "d5.example"
	out, err := c.Begin(miltertest.Message{From: "joe@" + domain, To: []string{"bob@other.example"},
		Raw: []byte("From: joe@" + domain + "\nSubject: hello\n\nbody\n")})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(h.path)
	if err != nil {
		t.Fatal(err)
	}
	renamed := strings.Replace(string(text), "[sources.hosting]", "[sources.renamed]", 1)
	if err := os.WriteFile(h.path, []byte(renamed), 0o600); err != nil {
		t.Fatal(err)
	}
	if !h.edit("source = \"hosting\"", "source = \"renamed\"") {
		t.Fatalf("the reload is refused:\n%s", h.log)
	}
	if h.source() != nil {
		t.Fatal("the old source is still in the configuration")
	}
	if out, err = c.Finish(out); err != nil || out.Refused() {
		t.Fatalf("%v, %v", out.Reply, err)
	}
	h.Judge(domain, out.Delivered())
	if h.Signed.Load() != 1 {
		t.Error("the message is not signed")
	}
}
