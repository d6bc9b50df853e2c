package rig

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
)

// User and Password are known to every submission service of this package.
const (
	User     = "alice"
	Password = "correct horse"
)

// serveSASL plays Dovecot's authentication service on a unix socket: Postfix asks it about AUTH
// PLAIN.
func serveSASL(t testing.TB, path string) {
	t.Helper()
	address := &net.UnixAddr{Net: "unix", Name: shortPath(t, path)}
	l, err := net.ListenUnix("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	t.Cleanup(func() { l.Close() })
	if err := os.Chmod(address.Name, 0o666); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answerSASL(conn)
		}
	}()
}

// answerSASL speaks Dovecot's authentication protocol 1.1: tab-separated lines, AUTH with the
// initial response in resp=.
func answerSASL(conn net.Conn) {
	defer conn.Close()
	io.WriteString(conn, "VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\n"+
		"COOKIE\t00000000000000000000000000000000\nDONE\n")
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		words := strings.Split(lines.Text(), "\t")
		if words[0] != "AUTH" || len(words) < 3 {
			continue
		}
		id, answer := words[1], "FAIL\t%s\tuser=%s\n"
		user, password := plain(words)
		if user == User && password == Password {
			answer = "OK\t%s\tuser=%s\n"
		}
		fmt.Fprintf(conn, answer, id, user)
	}
}

// plain reads the user and the password of AUTH PLAIN's response.
func plain(words []string) (user, password string) {
	for _, w := range words {
		response, ok := strings.CutPrefix(w, "resp=")
		if !ok {
			continue
		}
		secret, _ := base64.StdEncoding.DecodeString(response)
		if parts := strings.Split(string(secret), "\x00"); len(parts) == 3 {
			return parts[1], parts[2]
		}
	}
	return "", ""
}
