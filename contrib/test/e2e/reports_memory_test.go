package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/milter/report"
	"mailseal/milter/report/spool"
)

// memoryMax is what the unit of the reports allows its process, in bytes.
const memoryMax = 256 << 20

// TestReportsMemoryLong has a process count hostile mail of a day, and sends it what strangers
// could send by LMTP, over both stores. Under the limit that its unit sets the process lives and
// takes each mail, and each of the two takes 128 MB above what it has at rest, at most.
func TestReportsMemoryLong(t *testing.T) {
	if os.Getenv("MAILSEAL_LONG") == "" {
		t.Skip("MAILSEAL_LONG is not set")
	}
	t.Run("SQLite", func(t *testing.T) { reportsMemory(t, "") })
	t.Run("PostgreSQL", func(t *testing.T) {
		d := rig.Postgres(t)
		reportsMemory(t, "postgres://mailseal@"+d.Address()+"/postgres?sslmode=disable")
	})
}

func reportsMemory(t *testing.T, database string) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mailseal.toml")
	config := fmt.Sprintf("authserv_id = \"mx.example.com\"\n[reports]\ndirectory = %q\ncollect = true\n", dir)
	if database != "" {
		config += fmt.Sprintf("store = %q\n", database)
	}
	config += "[reports.intake]\nreverse_names = false\n[dns]\nservers = [\"127.0.0.1:9\"]\n"
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	queue := filepath.Join(dir, "spool")
	hostileSegments(t, queue)
	cmd := exec.Command(rig.Build(t), "reports", "serve", "--config", file)
	p, err := rig.Start(cmd, rig.StartOptions{MemoryLimit: memoryMax})
	isLimited := err == nil
	if errors.Is(err, rig.ErrNoMemoryLimit) {
		p, err = rig.Start(exec.Command(cmd.Path, cmd.Args[1:]...), rig.StartOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	socket := filepath.Join(dir, "intake.sock")
	isThere := func() bool {
		_, err := os.Stat(socket)
		return err == nil
	}
	if !rig.Await(isThere) {
		t.Fatal("there is no socket: ", p.Output())
	}
	isCounted := func() bool { return len(listSegments(t, queue)) == 0 }
	step := func(what string, do func()) int64 {
		most := watchMemory(t, p.PID())
		do()
		peak := most()
		t.Logf("%s: at most %d MB", what, peak>>20)
		return peak
	}
	count := func() {
		if !rig.Await(isCounted) {
			t.Fatalf("%d segments are not counted: %s", len(listSegments(t, queue)), p.Output())
		}
	}
	mails := func() {
		for name, mail := range hostileMails() {
			if reply := deliverLMTP(t, socket, mail); !strings.HasPrefix(reply, "250") {
				t.Errorf("%s: got %q", name, reply)
			}
		}
	}
	atRest := anonymousMemory(t, p.PID())
	for what, most := range map[string]int64{"segments": step("segments", count),
		"mails": step("mails", mails)} {
		if most-atRest > 128<<20 {
			t.Errorf("%s: %d MB at rest, and %d MB at most", what, atRest>>20, most>>20)
		}
	}
	hostileSegments(t, queue)
	step("both at once", func() {
		mails()
		count()
	})
	if isLimited {
		all, err := p.MemoryPeak()
		t.Logf("with the limit of %d MB: at most %d MB, %v, with the cache of files, which the kernel gives back",
			memoryMax>>20, all>>20, err)
	}
	if err, ended := p.Wait(0); ended {
		t.Errorf("the process ended: %v", err)
	}
}

// watchMemory looks at the memory of a process until the function is called that it returns, which
// returns the most that there was.
func watchMemory(t *testing.T, pid int) func() int64 {
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
				most = max(most, anonymousMemory(t, pid))
			}
		}
	}()
	return func() int64 {
		close(done)
		return <-peak
	}
}

// hostileSegments writes what the daemon records of mail that was made to cost as much as it can:
// from many domains, with names and records as long as they can be, and many signatures.
func hostileSegments(t *testing.T, dir string) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().AddDate(0, 0, -1)
	w := spool.NewWriter(dir, 1<<30, slog.New(slog.DiscardHandler), func() time.Time { return now })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		w.Run(ctx)
		close(done)
	}()
	label := strings.Repeat("x", 55)
	for i := range 60_000 {
		name := fmt.Sprintf("d%d.%s.%[2]s.%[2]s.example", i%20_000, label)
		e := report.Evaluation{
			Time: now, Client: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Disposition: "none",
			HeaderFrom: fmt.Sprintf("h%d.%s", i, name), EnvelopeFrom: fmt.Sprintf("e%d.%s", i, name),
			Policy: report.Policy{Domain: name, P: "none", SP: "none", NP: "none", ADKIM: "r", ASPF: "r",
				Discovery: "treewalk", URIs: []string{"mailto:a@" + name},
				Text: "v=DMARC1; p=none; rua=mailto:a@" + name + "; x=" + strings.Repeat("y", i%1000)},
		}
		for k := range 1 + i%report.MaxSignatures {
			e.Signatures = append(e.Signatures, report.DKIMAuth{
				Domain: name, Selector: fmt.Sprintf("s%d-%d", i, k), Result: "pass", Aligned: true,
			})
		}
		if i%1000 == 999 && !rig.Await(func() bool { return w.Waiting() == 0 }) {
			t.Fatal("the segments are not written")
		}
		w.Record(e)
	}
	stop()
	<-done
	if n := w.Counts().Dropped; n > 0 {
		t.Fatalf("%d records were dropped", n)
	}
}

// listSegments returns the files of a spool that wait to be counted.
func listSegments(t *testing.T, dir string) []string {
	list, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	return list
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
	for _, command := range []string{"LHLO x", "MAIL FROM:<a@o.example>", "RCPT TO:<d@example.com>",
		"DATA"} {
		say(command + "\r\n")
	}
	say(string(mail) + "\r\n.\r\n")
	return reply
}
