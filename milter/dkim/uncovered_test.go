package dkim_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
)

// A header with one of each field that a reader sees or acts on.
const fullHeader = "From: Joe <joe@example.com>\r\nTo: a@example.net\r\nCc: b@example.net\r\nSubject: hello\r\n" +
	"Date: Fri, 30 Jan 2026 12:00:00 +0000\r\nReply-To: joe@example.com\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\nSender: " +
	"joe@example.com\r\nList-Id: <l.example.com>\r\n"

const fullTags = "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=sel; " +
	"h=from:to:cc:subject:date:reply-to:mime-version:" +
	"content-type:content-transfer-encoding:sender:list-id:received"

func TestUncoveredDuplicates(t *testing.T) {
	below := func(field string) func(string) string {
		return func(raw string) string {
			return strings.Replace(raw, "From: ", field+"\r\nFrom: ", 1)
		}
	}
	above := func(field string) func(string) string {
		return func(raw string) string { return field + "\r\n" + raw }
	}
	for _, c := range []struct {
		name   string
		tags   string
		header string
		change func(string) string
		note   bool
		want   dkim.Value
		reason string
	}{
		{"Subject above", fullTags, fullHeader, above("Subject: pay now"), false, dkim.Policy,
			"not all of the 2 Subject fields are signed"},
		{"Subject between", fullTags, fullHeader, below("SUBJECT: pay now"), false, dkim.Policy,
			"not all of the 2 Subject fields are signed"},
		{"Subject in small letters", fullTags, fullHeader, above("subject: pay now"), false,
			dkim.Policy, "not all of the 2 Subject fields are signed"},
		{"empty Subject", fullTags, fullHeader, above("Subject:"), false, dkim.Policy,
			"not all of the 2 Subject fields are signed"},
		{"To", fullTags, fullHeader, above("To: you@example.org"), false, dkim.Policy,
			"not all of the 2 To fields are signed"},
		{"Cc", fullTags, fullHeader, above("Cc: you@example.org"), false, dkim.Policy,
			"not all of the 2 Cc fields are signed"},
		{"Date", fullTags, fullHeader, above("Date: Sat, 31 Jan 2026 12:00:00 +0000"), false,
			dkim.Policy, "not all of the 2 Date fields are signed"},
		{"Reply-To", fullTags, fullHeader, above("Reply-To: eve@example.org"), false, dkim.Policy,
			"not all of the 2 Reply-To fields are signed"},
		{"Content-Type", fullTags, fullHeader, above("Content-Type: multipart/mixed; boundary=x"),
			false, dkim.Policy, "not all of the 2 Content-Type fields are signed"},
		{"Content-Transfer-Encoding", fullTags, fullHeader,
			above("Content-Transfer-Encoding: base64"), false, dkim.Policy,
			"not all of the 2 Content-Transfer-Encoding fields are signed"},
		{"two more", fullTags, fullHeader, above("To: x@example.org\r\nTo: y@example.org"), false,
			dkim.Policy, "not all of the 3 To fields are signed"},
		{"one of three covered twice", strings.Replace(fullTags, ":to:", ":to:to:", 1),
			fullHeader + "To: c@example.net\r\n",
			above("To: x@example.org"), false, dkim.Policy,
			"not all of the 3 To fields are signed"},
		{"simple canonicalization", strings.Replace(fullTags, "relaxed/relaxed", "simple/simple",
			1), fullHeader, above("Subject: x"), false, dkim.Policy,
			"not all of the 2 Subject fields are signed"},

		{"signed twice and there twice", strings.Replace(fullTags, ":to:", ":to:to:", 1),
			fullHeader + "To: c@example.net\r\n", nil, false, dkim.Pass, ""},
		{"oversigned", strings.Replace(fullTags, ":subject:", ":subject:subject:", 1), fullHeader,
			above("Subject: pay now"), false, dkim.Fail,
			"a signed header field was changed, added or removed after signing"},
		{"not named in h=", goodTags, "From: joe@example.com\r\nTo: a@example.net\r\nSubject: hello\r\n",
			above("Cc: a@example.org\r\nCc: b@example.org"), false, dkim.Pass, ""},
		{"one that h= does not name", goodTags,
			"From: joe@example.com\r\nTo: a@example.net\r\nSubject: hello\r\n",
			above("Reply-To: b@example.org"), false, dkim.Pass, ""},
		{"named and absent, one added", strings.Replace(goodTags, "to:", "to:cc:", 1),
			"From: joe@example.com\r\nTo: a@example.net\r\nSubject: hello\r\n",
			above("Cc: b@example.org"), false, dkim.Fail,
			"a signed header field was changed, added or removed after signing"},
		{"the same again", fullTags, fullHeader, above("Subject: hello"), false, dkim.Pass, ""},
		{"the same after relaxed canonicalization", fullTags, fullHeader,
			above("sUBJECT :  \t hello \t"), false, dkim.Pass, ""},
		{"the same, folded", fullTags, fullHeader,
			above("Date: Fri, 30\r\n\tJan 2026  12:00:00 +0000"), false, dkim.Pass, ""},
		{"the same but for a letter's case", fullTags, fullHeader, above("Subject: Hello"), false,
			dkim.Policy, "not all of the 2 Subject fields are signed"},
		{"two alike and one not", fullTags, fullHeader, above("Subject: hello\r\nSubject: pay"),
			false, dkim.Policy, "not all of the 3 Subject fields are signed"},

		{"another field: Sender", fullTags, fullHeader, above("Sender: x@example.org"), false,
			dkim.Pass, "not all of the 2 sender fields are signed"},
		{"another field: List-Id", fullTags, fullHeader, above("List-Id: <x.example.org>"), false,
			dkim.Pass, "not all of the 2 list-id fields are signed"},
		{"another field: MIME-Version", fullTags, fullHeader, above("MIME-Version: 2.0"), false,
			dkim.Pass, "not all of the 2 mime-version fields are signed"},
		{"Received grows", fullTags, fullHeader, above("Received: by x\r\nReceived: by y"), false, dkim.Pass, ""},
		{"From keeps its rule", fullTags, fullHeader, above("From: Joe <joe@example.com>"), false,
			dkim.Policy, "not all of the 2 From fields are signed"},

		{"a note by setting", fullTags, fullHeader, above("Subject: pay now"), true, dkim.Pass,
			"not all of the 2 Subject fields are signed"},
		{"a note by setting, but not of From", fullTags, fullHeader, above("From: eve@example.org"),
			true, dkim.Policy, "not all of the 2 From fields are signed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tags := c.tags
			if strings.Contains(tags, "received") && !strings.Contains(c.header, "Received") {
				c.header = "Received: by z\r\n" + c.header
			}
			raw := string(forge(t, rsaKey(), tags, c.header, mailBody))
			if c.change != nil {
				raw = c.change(raw)
			}
			got := verifyOne(t, &dkim.Verifier{NoteUncovered: c.note}, []byte(raw),
				record(t, rsaKey()))
			if got.Value != c.want || got.Reason != c.reason {
				t.Errorf("got %s: %s, want %s: %s", got.Value, got.Reason, c.want, c.reason)
			}
		})
	}
}

func TestAddedFieldsOfCases(t *testing.T) {
	const cases = "../../../shared/cases/added-fields/"
	zone, err := os.Open(cases + "zone.txt")
	if os.IsNotExist(err) {
		t.Skip("no cases: ../shared is absent")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = zone.Close() }()
	z, err := dnstest.Load(zone)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(cases + "*.eml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got := verify(t, &dkim.Verifier{Resolver: z, Now: testClock}, raw)
		if len(got) != 1 || got[0].Value != dkim.Policy {
			t.Errorf("%s: %v", file, summary(got))
		}
	}
}

// The honest mail of the vectors never has a guarded field above those that are signed; one has
// another field there.
func TestHonestMailIsCovered(t *testing.T) {
	var hits []string
	for _, c := range readVectors(t) {
		for _, r := range verifyVectorWith(t, c, &dkim.Verifier{NoteUncovered: true}) {
			if r.Value == dkim.Pass && len(r.Evidence.Uncovered) > 0 {
				hits = append(hits, c.File+" "+strings.Join(r.Evidence.Uncovered, " "))
			}
		}
	}
	if want := "185.eml x-foo"; strings.Join(hits, ", ") != want {
		t.Errorf("got %q, want %s", hits, want)
	}
}

// A header full of one field, under a signature full of its name.
func TestUncoveredOfHugeHeader(t *testing.T) {
	names := strings.Repeat(":x", 9000)
	raw := string(forge(t, rsaKey(), goodTags+names, mailHeader+strings.Repeat("X:a\r\n", 9000),
		mailBody))
	raw = strings.Repeat("X:b\r\n", 100_000) + raw
	r := verifyOne(t, &dkim.Verifier{}, []byte(raw), record(t, rsaKey()))
	if r.Value != dkim.Pass || r.Reason != "not all of the 109000 x fields are signed" {
		t.Errorf("got %s: %s", r.Value, r.Reason)
	}
}
