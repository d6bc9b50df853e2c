package main

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mailseal/keys"
)

// printCrypto prints the processor time, in nanoseconds, of what no program with this build's
// libraries can leave out of a job: the signature or its verification, and the hash of the body. It
// runs in a process of its own, since which library that is, is decided when it is built.
func printCrypto(name, keyFile string) error {
	pem, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	key, err := keys.Parse(pem)
	if err != nil {
		return err
	}
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("%s has no RSA key", keyFile)
	}
	took, err := processorTime(cryptoOf(jobNamed(name), key, public))
	fmt.Println(took.Nanoseconds())
	return err
}

// cryptoOf returns what a job does without fail.
func cryptoOf(j job, key crypto.Signer, public *rsa.PublicKey) func() error {
	body, digest := make([]byte, j.size), sha256.Sum256(nil)
	ed := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	signature, failed := key.Sign(nil, digest[:], crypto.SHA256)
	return func() error {
		sha256.Sum256(body)
		switch j.role {
		case verifies, judges:
			return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature)
		case signsTwo:
			ed25519.Sign(ed, digest[:])
		}
		_, err := key.Sign(nil, digest[:], crypto.SHA256)
		if failed != nil {
			return failed
		}
		return err
	}
}

// processorTime is what one call of f costs, of as many as fit into a tenth of a second.
func processorTime(f func() error) (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const enough = 100 * time.Millisecond
	if err := f(); err != nil { // once to warm up
		return 0, err
	}
	began, calls := threadTime(), 0
	for threadTime()-began < enough {
		if err := f(); err != nil {
			return 0, err
		}
		calls++
	}
	return (threadTime() - began) / time.Duration(calls), nil
}

func threadTime() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now) // fails for clocks that do not exist
	return time.Duration(now.Nano())
}

// crypto asks a build of this program for what printCrypto prints.
func (b *bench) crypto(program string, j job) (time.Duration, error) {
	out, err := exec.Command(program, "-crypto", j.name, "-key", b.RSA).Output()
	if err != nil {
		return 0, fmt.Errorf("%s -crypto: %w", program, err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	return time.Duration(n), err
}

var rsaSpeed = regexp.MustCompile(`rsa\s+2048 bits\s+([0-9.]+)s\s+([0-9.]+)s`)

// openSSL says how fast OpenSSL, on which OpenDKIM stands, is on this machine; "" if there is none
// to ask.
func openSSL() string {
	out, _ := exec.Command("openssl", "speed", "-seconds", "1", "rsa2048").CombinedOutput()
	found := rsaSpeed.FindSubmatch(out)
	if found == nil {
		return ""
	}
	sign, _ := strconv.ParseFloat(string(found[1]), 64)
	verify, _ := strconv.ParseFloat(string(found[2]), 64)
	return fmt.Sprintf("%.2f ms for a signature by RSA-2048 and %.3f ms for its verification",
		sign*1000, verify*1000)
}
