package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
)

// TestReportsMemoryLong sends what strangers could send to a process by LMTP. It stays 128 MB above
// what it has at rest, and takes each mail.
func TestReportsMemoryLong(t *testing.T) {
	if os.Getenv("MAILSEAL_LONG") == "" {
		t.Skip("MAILSEAL_LONG is not set")
	}
	program, dir := rig.Build(t), t.TempDir()
	file := filepath.Join(dir, "mailseal.toml")
	config := fmt.Sprintf("authserv_id = \"mx.example.com\"\n[reports]\ndirectory = "+
		"%q\n[reports.intake]\nreverse_names = false\n"+
		"[dns]\nservers = [\"127.0.0.1:9\"]\n", dir)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "reports", "serve", "--config", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		cmd.Wait()
	}()
	socket := filepath.Join(dir, "intake.sock")
	isThere := func() bool {
		_, err := os.Stat(socket)
		return err == nil
	}
	if !rig.Await(isThere) {
		t.Fatal("there is no socket")
	}
	atRest := anonymousMemory(t, cmd.Process.Pid)
	peak := make(chan int64)
	done := make(chan struct{})
	go func() {
		var most int64
		for {
			select {
			case <-done:
				peak <- most
				return
			case <-time.After(5 * time.Millisecond):
				most = max(most, anonymousMemory(t, cmd.Process.Pid))
			}
		}
	}()
	for name, mail := range hostileMails() {
		if reply := deliverLMTP(t, socket, mail); !strings.HasPrefix(reply, "250") {
			t.Errorf("%s: got %q", name, reply)
		}
	}
	close(done)
	most := <-peak
	t.Logf("at rest %d MB, at most %d MB", atRest>>20, most>>20)
	if most-atRest > 128<<20 {
		t.Errorf("%d MB at rest, and %d MB at most", atRest>>20, most>>20)
	}
}

// anonymousMemory is the memory of a process that is not of files, in bytes.
func anonymousMemory(t *testing.T, pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Error(err)
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "RssAnon:")
	var kb int64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Error(err)
	}
	return kb << 10
}

func hostileMails() map[string][]byte {
	zip := func(begin, each string, n int) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write([]byte(begin))
		for range n {
			w.Write([]byte(each))
		}
		w.Close()
		return b.Bytes()
	}
	const top = "From: a@o.example\r\nSubject: Report Domain: example.com\r\nMIME-Version: 1.0\r\n"
	attached := func(data []byte) []byte {
		text := base64.StdEncoding.EncodeToString(data)
		var b strings.Builder
		b.WriteString(top + "Content-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n")
		for ; len(text) > 76; text = text[76:] {
			b.WriteString(text[:76] + "\r\n")
		}
		return []byte(b.String() + text + "\r\n")
	}
	junk := make([]byte, 18<<20)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range junk {
		junk[i] = byte(random.Uint32())
	}
	deep := top
	for i := range 5000 {
		deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%[1]d\r\n", i)
	}
	megabyte := strings.Repeat(" ", 1<<20)
	return map[string][]byte{
		"a bomb":                      attached(zip("<feedback>", megabyte, 300)),
		"an attribute of 1 GB":        attached(zip(`<feedback x="`, megabyte, 1000)),
		"10^6 tags within each other": attached(zip("<feedback>", "<x>", 1_000_000)),
		"10^6 records in each other":  attached(zip("<feedback>", "<record>", 1_000_000)),
		"18 MB of junk":               attached(junk),
		"5,000 multiparts":            []byte(deep),
		"100,000 parts": []byte(top + "Content-Type: multipart/mixed; " +
			"boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 100_000)),
		"3 million fields":            []byte(top + strings.Repeat("X: a\r\n", 3<<20)),
		"1.2 million policies of TLS": attached(zip(`{"policies":[`, "{},", 1_200_000)),
		"an archive within an archive": attached(zip("",
			string(zip("PK\x03\x04", strings.Repeat("\x00", 1<<20), 40)), 1)),
		"20,000 reports in one archive": attached(bytes.Repeat(zip("<feedback></feedback>", "", 0), 20_000)),
	}
}

// deliverLMTP sends a mail by LMTP, and returns the last reply.
func deliverLMTP(t *testing.T, socket string, mail []byte) string {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	reply := ""
	say := func(text string) {
		if _, err := c.Write([]byte(text)); err != nil {
			reply = err.Error()
			return
		}
		for {
			line, err := in.ReadString('\n')
			if reply = line; err != nil || len(line) < 4 || line[3] != '-' {
				return
			}
		}
	}
	say("")
	for _, command := range []string{"LHLO x", "MAIL FROM:<a@o.example>", "RCPT TO:<d@example.com>", "DATA"} {
		say(command + "\r\n")
	}
	say(string(mail) + "\r\n.\r\n")
	return reply
}
