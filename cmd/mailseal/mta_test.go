package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/play"
	"mailseal/milter/guard"
	"mailseal/milter/miltertest"
)

// playMTA runs the command with input, and returns what it wrote and its exit code.
func playMTA(t *testing.T, input string, args ...string) (out, errs string, code int) {
	t.Helper()
	return mailseal(t, input, append([]string{"mta"}, args...)...)
}

// scripted is a milter that says the same to every message.
func scripted(t *testing.T, atEnd ...guard.Packet) (address string) {
	t.Helper()
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go answerAll(nc, atEnd)
		}
	}()
	return "unix:" + ln.Addr().String()
}

func answerAll(nc net.Conn, atEnd []guard.Packet) {
	defer nc.Close()
	g, err := guard.Handshake(nc, guard.Options{Wishes: guard.DefaultWishes()})
	if err != nil {
		return
	}
	f := guard.NewFramer(g, guard.Limits{})
	for {
		p, err := f.ReadPacket()
		switch {
		case err != nil || p.Code == guard.Quit:
			return
		case p.Code == guard.EndOfBody:
			for _, a := range atEnd {
				f.WritePacket(a.Code, a.Data)
			}
		case p.Code != guard.Abort:
			f.WritePacket(guard.Continue)
		}
	}
}

func packet(code guard.Code, data string) guard.Packet {
	return guard.Packet{Code: code, Data: []byte(data)}
}

var (
	plainMail = "From: a@example.com\nSubject: s\n\nhello\n"
	signs     = []guard.Packet{
		packet(guard.ChangeHeader, "\x00\x00\x00\x01Subject\x00\x00"),
		packet(guard.InsertHeader, "\x00\x00\x00\x00X-Signed\x00 by\n\tus\x00"),
		packet(guard.Accept, ""),
	}
)

func TestMTAShowsEdits(t *testing.T) {
	out, errs, code := playMTA(t, plainMail, "--milter", scripted(t, signs...), "--to",
		"x@example.net", "--to", "<y@example.net>")
	want := "-: <user@example.com> to <x@example.net>, <y@example.net> from 127.0.0.1, as postfix\n" +
		"  delete Subject[1]\n  insert [0] X-Signed: by\n    \tus\n  end: 250 2.0.0 Ok: queued ("
	if code != exitGood || !strings.HasPrefix(out, want) || errs != "" {
		t.Errorf("exit code %d\n%s%s\nwant\n%s…", code, out, errs, want)
	}
}

func TestMTADelivers(t *testing.T) {
	out, errs, code := playMTA(t, plainMail, "--milter", scripted(t, signs...), "--as", "sendmail",
		"--deliver")
	if code != exitGood || !strings.HasPrefix(out, "X-Signed: by\r\n\tus\r\nReceived: from "+
		"client.example.com") || !strings.HasSuffix(out, "\r\n\r\nhello\r\n") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if !strings.Contains(errs, "insert [0] X-Signed") {
		t.Errorf("the edits are not shown beside the message: %q", errs)
	}
}

func TestMTAAsJSON(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.eml")
	if err := os.WriteFile(file, []byte(plainMail), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, code := playMTA(t, "", "--milter", scripted(t, signs...), "--json", file, file)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != exitGood || len(lines) != 2 {
		t.Fatalf("exit code %d, %q", code, out)
	}
	var r play.Report
	if err := json.Unmarshal([]byte(lines[1]), &r); err != nil {
		t.Fatal(err)
	}
	if r.File != file || !r.Accepted || r.Stage != "end" || len(r.Edits) != 2 ||
		r.Edits[0].Do != "delete" || r.Edits[1].Value != " by\n\tus" {
		t.Errorf("got %+v", r)
	}
}

func TestMTAExitCodes(t *testing.T) {
	accepts := scripted(t, packet(guard.Accept, ""))
	refuses := scripted(t, packet(guard.ReplyCode, "550 5.7.1 no\x00"))
	for _, c := range []struct {
		name string
		args []string
		code int
		says string // on either output
	}{
		{"accepted", []string{"--milter", accepts}, exitGood, "250 "},
		{"refused", []string{"--milter", refuses}, exitBad, "550 5.7.1 no"},
		{"refused, as JSON", []string{"--milter", refuses, "--json"}, exitBad, `"accepted":false`},
		{"refused while measuring", []string{"--milter", refuses, "--count", "3"}, exitBad, "3 refused"},
		{"no milter", []string{"--milter", "unix:/nonexistent/s"}, exitUnknown, "no such file"},
		{"no milter while measuring", []string{"--milter", "unix:/nonexistent/s", "--count", "3",
			"--concurrency", "2"}, exitUnknown, "2 connections failed"},
		{"no file", []string{"--milter", accepts, "/nonexistent/m"}, exitUnknown, "no such file"},
		{"not a milter's address", []string{"--milter", "here"}, exitUsage, "inet:port@host"},
		{"no address", nil, exitUsage, "milter"},
		{"not an MTA", []string{"--milter", accepts, "--as", "exim"}, exitUsage, "postfix and sendmail"},
		{"not a client", []string{"--milter", accepts, "--client", "host"}, exitUsage, "--client"},
		{"not a macro", []string{"--milter", accepts, "--macro", "i"}, exitUsage, "name=value"},
		{"no connections", []string{"--milter", accepts, "--concurrency", "0"}, exitUsage, "--concurrency"},
		{"a rate without an end", []string{"--milter", accepts, "--rate", "3"}, exitUsage, "--rate needs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errs, code := playMTA(t, plainMail, c.args...)
			if code != c.code || !strings.Contains(out+errs, c.says) {
				t.Errorf("exit code %d, want %d; %q, %q should say %q", code, c.code, out, errs,
					c.says)
			}
		})
	}
}

func TestMTAMeasures(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
	}{
		{"a count", []string{"--count", "50", "--concurrency", "3", "--per-connection", "7"}},
		{"a rate", []string{"--count", "50", "--rate", "5000"}},
	} {
		out, errs, code := playMTA(t, "", append(c.args, "--milter", scripted(t, signs...),
			"--size", "1000", "--json")...)
		var f miltertest.Figures
		if err := json.Unmarshal([]byte(out), &f); err != nil || code != exitGood {
			t.Fatalf("%s: %v, exit code %d, %s", c.name, err, code, errs)
		}
		if f.Messages != 50 || f.Edited != 50 || f.Failures != 0 || f.P50 <= 0 || f.P50 > f.P95 ||
			f.P95 > f.P99 || f.P99 > f.Max || f.Rate <= 0 {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
	out, _, code := playMTA(t, "", "--milter", scripted(t, signs...), "--size", "1000",
		"--duration", "20ms")
	if code != exitGood || !strings.Contains(out, " messages in ") {
		t.Errorf("exit code %d, %q", code, out)
	}
}
