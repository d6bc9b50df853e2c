package dkim_test

import (
	"fmt"
	"strings"
	"testing"

	"mailseal/milter/dkim"
)

// TestPlain holds when the fields of MIME are oversigned in a message that has none.
func TestPlain(t *testing.T) {
	const trio = "MIME-Version:Content-Type:Content-Transfer-Encoding"
	const plain = "From: a@example.com\r\nSubject: x\r\n"
	for _, tc := range []struct {
		name, header, body string
		options            dkim.SignOptions
		want               string // of the trio in h=
	}{
		{"plain", plain, "hello\r\n", dkim.SignOptions{}, trio},
		{"empty body", plain, "", dkim.SignOptions{}, trio},
		{"control characters", plain, "a\x1b\x7f\r\n", dkim.SignOptions{}, trio},
		{"by setting", plain, "hello\r\n", dkim.SignOptions{KeepPlain: true}, ""},
		{"8 bits in the body", plain, "hell\xf6\r\n", dkim.SignOptions{}, ""},
		{"8 bits at the end of the body", plain, strings.Repeat("x", 100000) + "\x80", dkim.SignOptions{}, ""},
		{"8 bits in a signed field", plain + "To: \xc3\xa4 <b@example.org>\r\n", "hello\r\n", dkim.SignOptions{}, ""},
		{"8 bits in another field", "X-Any: \xff\r\n" + plain, "hello\r\n", dkim.SignOptions{}, ""},
		{"MIME-Version", plain + "mime-version: 1.0\r\n", "hello\r\n", dkim.SignOptions{}, "MIME-Version:MIME-Version"},
		{"Content-Type", plain + "CONTENT-TYPE: text/plain\r\n", "hello\r\n", dkim.SignOptions{},
			"Content-Type:Content-Type"},
		{"Content-Transfer-Encoding", plain + "Content-Transfer-Encoding: 7bit\r\n", "hello\r\n",
			dkim.SignOptions{}, "Content-Transfer-Encoding:Content-Transfer-Encoding"},
		{"one of them is not signed", plain, "hello\r\n",
			dkim.SignOptions{Fields: []string{"From", "Content-Type"}}, "Content-Type"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			value := sign(t, tc.header, tc.body, rsaSigner(), tc.options)
			var got []string
			for name := range strings.SplitSeq(tag(t, value, "h"), ":") {
				if strings.Contains(":"+trio+":", ":"+name+":") {
					got = append(got, name)
				}
			}
			if h := strings.Join(got, ":"); h != tc.want {
				t.Errorf("got %s, want %s", h, tc.want)
			}
			checkVerifies(t, value, tc.header, tc.body)
		})
	}
}

// TestOmit holds that a field to be omitted is not in h= at all, and that From always is.
func TestOmit(t *testing.T) {
	header := "From: a@example.com\r\nTo: b@example.org\r\nReferences: <1>\r\nSubject: x\r\n"
	o := dkim.SignOptions{Omit: []string{"to", "References", "From"}, KeepPlain: true}
	value := sign(t, header, mailBody, rsaSigner(), o)
	if got, want := tag(t, value, "h"), "From:From:Reply-To:Subject:Subject:Cc"; got != want {
		t.Errorf("h=%s, want %s", got, want)
	}
	checkVerifies(t, value, "To: another@example.org\r\n"+header, mailBody)
}

// additions makes fields that someone puts on top of a message or below its header: every name of
// the list in several spellings, with a value that changes what a reader sees.
func additions(yield func(name, field string) bool) {
	values := map[string]string{
		"From": "B <b@evil.example>", "Sender": "b@evil.example", "Reply-To": "b@evil.example",
		"Subject": "pay", "To": "v@example.net",
		"Cc": "v@example.net", "Date": "Sun, 29 Nov 2026 11:00:00 +0000",
		"Message-ID": "<z@evil.example>", "MIME-Version": "1.0",
		"Content-Type": "multipart/mixed; boundary=x", "Content-Transfer-Encoding": "base64",
		"List-Unsubscribe": "<https://evil.example/>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
	}
	for name, value := range values {
		for _, spelling := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			for _, form := range []string{"%s: %s", "%s:%s", "%s:\r\n\t%s", "%s : %s"} {
				if !yield(name, fmt.Sprintf(form, spelling, value)+"\r\n") {
					return
				}
			}
		}
	}
}

// TestAdditions puts fields on top of signed messages and below their headers, and holds which of
// them break the signature: a message with MIME fields and one without, for each field whether the
// message has one.
func TestAdditions(t *testing.T) {
	base := "From: A <a@example.com>\r\nTo: r@example.net\r\nSubject: s\r\n"
	all := base + "Date: Sun, 29 Nov 2026 10:00:00 +0000\r\nMessage-ID: " +
		"<a@example.com>\r\nReply-To: a@example.com\r\nCc: c@example.net\r\n" +
		"MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n" +
		"List-Unsubscribe: <https://example.com/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
	never := map[string]bool{"Sender": true} // lists add it by right
	whenAbsent := map[string]bool{"Date": true, "Message-ID": true, "List-Unsubscribe": true,
		"List-Unsubscribe-Post": true}
	mime := map[string]bool{"MIME-Version": true, "Content-Type": true,
		"Content-Transfer-Encoding": true}
	for _, tc := range []struct {
		name, header, body string
		holds              func(name string) bool // the field may be added
	}{
		{"all fields", all, mailBody, func(n string) bool { return never[n] }},
		{"few fields", base, mailBody, func(n string) bool { return never[n] || whenAbsent[n] }},
		{"few fields, 8 bits", base, "hell\xf6\r\n", func(n string) bool {
			return never[n] || whenAbsent[n] || mime[n]
		}},
		{"one of MIME", base + "MIME-Version: 1.0\r\n", mailBody, func(n string) bool {
			return never[n] || whenAbsent[n] || mime[n] && n != "MIME-Version"
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			signed := dkim.FieldName + ":" + sign(t, tc.header, tc.body, rsaSigner(),
				dkim.SignOptions{}) + "\r\n" + tc.header
			v := &dkim.Verifier{Resolver: signers(t), Now: testClock}
			for name, field := range additions {
				for place, header := range map[string]string{"top": field + signed,
					"bottom": signed + field} {
					got := only(t, verify(t, v, []byte(header+"\r\n"+tc.body)))
					if holds := got.Value == dkim.Pass; holds != tc.holds(name) {
						t.Errorf("%q at the %s: %s %s", field, place, got.Value, got.Reason)
					}
				}
			}
		})
	}
}

// TestPlainBehindMTAs changes a plain message as mail servers and lists do, and holds that its
// signature lives.
func TestPlainBehindMTAs(t *testing.T) {
	header := "From: a@example.com\r\nTo: b@example.org, c@example.org\r\nSubject: hello\r\n"
	signed := dkim.FieldName + ":" + sign(t, header, mailBody, rsaSigner(), dkim.SignOptions{}) +
		"\r\n" + header
	for name, after := range map[string]string{
		"a relay": "Received: from a by b; Sun, 29 Nov 2026 10:00:00 " +
			"+0000\r\nReturn-Path: <a@example.com>\r\n" + signed,
		"Sendmail adds":  "Message-Id: <1@b>\r\nDate: Sun, 29 Nov 2026 10:00:00 +0000\r\n" + signed,
		"Sendmail folds": strings.Replace(signed, "b@example.org, ", "b@example.org,\r\n        ", 1),
		"a list": "List-Id: <l.example.org>\r\nList-Unsubscribe: " +
			"<mailto:l@example.org>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nSender: l@example.org\r\n" +
			signed,
		"a list below": signed +
			"List-Id: <l.example.org>\r\nList-Unsubscribe: <mailto:l@example.org>\r\nPrecedence: list\r\n",
		"a user who resends it": "Resent-From: c@example.org\r\nResent-To: d@example.org\r\n" + signed,
	} {
		v := &dkim.Verifier{Resolver: signers(t), Now: testClock}
		if got := only(t, verify(t, v, []byte(after+"\r\n"+mailBody))); got.Value != dkim.Pass {
			t.Errorf("%s: %s %s", name, got.Value, got.Reason)
		}
	}
}

// TestPrepareWithoutBody holds that a message whose body is not known is not taken for plain.
func TestPrepareWithoutBody(t *testing.T) {
	s, err := dkim.Prepare(parseHeader(t, "From: a@example.com\r\n"), nil, dkim.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.Names(), ":"); got != "From:From:Reply-To:Subject:To:Cc" {
		t.Errorf("h=%s", got)
	}
}
