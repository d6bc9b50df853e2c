package e2e

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mailseal/contrib/test/rig"
	"mailseal/milter/miltertest"
)

// TestReleaseBuildUnderAttack plays the mail of the soak, honest and hostile, against the build
// with OpenSSL.
func TestReleaseBuildUnderAttack(t *testing.T) {
	if testing.Short() {
		t.Skip("the release build: not with -short")
	}
	if rig.Race {
		t.Skip("the release build has no race detector")
	}
	if err := exec.Command("cc", "--version").Run(); err != nil {
		t.Skipf("no C compiler for the release build: %v", err)
	}
	binary := filepath.Join(rig.Dir(t), "mailseal-release")
	top, err := rig.Repository()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("make", "-s", "release", "RELEASE="+binary)
	cmd.Dir = top
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make release: %v\n%s", err, out)
	}
	startSoakOf(t, rig.DaemonOptions{Binary: binary}).attack()
}

// TestShadowUnderAttack plays the same mail through a shadow, with this daemon as the milter before
// it. What the shadow hands on is the daemon's, no matter who attacks the one through the other, or
// the shadow itself.
func TestShadowUnderAttack(t *testing.T) {
	s := startSoak(t)
	front := "unix:" + s.dir + "/front"
	shadow := rig.Serve(t, rig.DaemonOptions{}, "shadow", "--config", s.daemon.Config, "--listen",
		front, "--upstream", s.address,
		"--log", filepath.Join(s.dir, "shadow.log"))
	s.address = front
	s.attack()
	if text := shadow.Output(); strings.Contains(text, "panic") {
		t.Errorf("the shadow panicked:\n%s", text)
	}
}

// attack has everybody write until enough of each kind has happened, and looks at what must not.
func (s *soak) attack() {
	s.t.Helper()
	stop := s.begin()
	var hostile sync.WaitGroup
	var done atomic.Bool
	hostile.Go(func() {
		for i := 0; !done.Load(); i++ {
			s.chains(i)
		}
	})
	c := &s.tally
	if !rig.Await(func() bool {
		return c.signed.Load() >= 200 && c.passed.Load() >= 100 && c.refused.Load() >= 100 &&
			c.noise.Load() >= 50
	}) {
		s.t.Error("too little happens")
	}
	done.Store(true)
	hostile.Wait()
	stop()
	s.t.Logf("%d signed, %d deferred, %d passed, %d forgeries refused, %d deferred, %d times "+
		"garbage; %d unsigned, %d wrong, %d lost, %d forged",
		c.signed.Load(), c.deferred.Load(), c.passed.Load(), c.refused.Load(),
		c.openForgeries.Load(), c.noise.Load(),
		c.unsigned.Load(), c.wrong.Load(), c.lost.Load(), c.forged.Load())
	if bad := c.unsigned.Load() + c.wrong.Load() + c.lost.Load() + c.forged.Load(); bad != 0 {
		s.t.Errorf("%d things happened that must not", bad)
	}
	for name, n := range s.daemon.Metrics(s.t) {
		if strings.Contains(name, "panic") && n != 0 {
			s.t.Errorf("%s is %v", name, n)
		}
	}
}

// chains sends a forgery with a chain of fifty sets whose keys are below silent servers, and with
// signatures there.
func (s *soak) chains(i int) {
	var b strings.Builder
	for n := 50; n > 0; n-- {
		cv := "pass"
		if n == 1 {
			cv = "none"
		}
		tags := fmt.Sprintf("a=rsa-sha256; d=a%d.m%d.silent.example; s=k; i=%d; b=AAAA", n, i, n)
		fmt.Fprintf(&b, "ARC-Seal: cv=%s; %s\nARC-Message-Signature: h=From; "+
			"bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\n %s\n", cv, tags, tags)
		fmt.Fprintf(&b, "ARC-Authentication-Results: i=%d; mx.example.com; dmarc=pass header.from=bank.example\n", n)
	}
	for n := range 10 {
		fmt.Fprintf(&b, "DKIM-Signature: v=1; a=rsa-sha256; d=d%d.m%d.silent.example; s=k; "+
			"h=From;\n bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\n", n, i)
	}
	b.WriteString("From: ceo@bank.example\nTo: joe@d1.example\nSubject: pay\nDate: Thu, 01 Jan " +
		"2026 00:00:00 +0000\n\nnow\n")
	client := fmt.Sprintf("127.0.%d.%d", 1+rand.IntN(200), 1+rand.IntN(200))
	out, isDeferred := s.send(client, miltertest.Message{From: "x@evil.example",
		To: []string{"joe@d1.example"}, Raw: []byte(b.String())})
	switch {
	case isDeferred:
		s.tally.openForgeries.Add(1)
	case out.Refused():
		s.tally.refused.Add(1)
	default:
		s.tally.forged.Add(1)
		s.t.Errorf("a forgery with a chain is delivered: %s", results(out.Delivered()))
	}
}
