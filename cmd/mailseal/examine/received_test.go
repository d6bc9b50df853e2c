package examine

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
)

func TestOriginOf(t *testing.T) {
	for _, tc := range []struct {
		name, header string
		n            int
		client, helo string
		sender       string
		err          string
	}{
		{"Postfix", "Return-Path: <a@x.example>\nReceived: from helo.example (name.example " +
			"[192.0.2.1])\n\tby mx.example (Postfix) with ESMTP id 4; Mon\n", 1, "192.0.2.1",
			"helo.example", "a@x.example", ""},
		{"IPv6", "Received: from h (n [IPv6:2001:db8::1]) by mx; Mon\n", 1, "2001:db8::1", "h", "", ""},
		{"the second", "Received: by mx with LMTP; Mon\nReceived: from h.example (unknown [192.0.2.2]) by mx; Mon\n",
			2, "192.0.2.2", "h.example", "", ""},
		{"Exim", "Received: from [192.0.2.3] (helo=h.example) by mx with esmtp (Exim) " +
			"(envelope-from <b@y.example>) id 1; Mon\n", 1, "", "", "", "names no client address"},
		{"Exim with a name", "Received: from n.example ([192.0.2.3] helo=h.example) by mx with " +
			"esmtp (envelope-from <b@y.example>) id 1; Mon\n", 1, "192.0.2.3", "h.example",
			"b@y.example", ""},
		{"qmail", "Received: from unknown (HELO h.example) (192.0.2.4) by mx with SMTP; Mon\n", 1,
			"192.0.2.4", "h.example", "", ""},
		{"a bounce", "Return-Path: <>\nReceived: from h (n [192.0.2.1]) by mx (envelope-from <c@z.example>); Mon\n",
			1, "192.0.2.1", "h", "", ""},
		{"a name like an address", "Received: from [192.0.2.9] (name.example [192.0.2.1]) by mx; Mon\n",
			1, "192.0.2.1", "[192.0.2.9]", "", ""},
		{"an address behind by", "Received: from h (unknown) by mx ([192.0.2.5]); Mon\n", 1, "", "",
			"", "names no client address"},
		{"too few", "Received: by mx; Mon\n", 2, "", "", "", "the message has 1"},
		{"local", "Received: by mx (Postfix, from userid 0) id 4; Mon\n", 1, "", "", "", "names no client address"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			raw := strings.ReplaceAll(tc.header+"From: a@x.example\n\nbody\n", "\n", "\r\n")
			m, err := message.Read(bytes.NewReader([]byte(raw)), 1<<20,
				func(message.Header) []message.BodyHash { return nil })
			if err != nil {
				t.Fatal(err)
			}
			got, err := originOf(m.Header, tc.n)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("%v, %+v", err, got)
				}
				return
			}
			if want := (origin{netip.MustParseAddr(tc.client), tc.helo, tc.sender}); err != nil ||
				got != want {
				t.Errorf("%v, got %+v, want %+v", err, got, want)
			}
		})
	}
}

// TestWithoutClient judges DMARC by DKIM alone, and takes no failure for one that SPF might have
// turned.
func TestWithoutClient(t *testing.T) {
	zone := dnstest.Must("x.example. 60 IN TXT \"v=spf1 ip4:192.0.2.1 -all\"\n_dmarc.x.example. " +
		"60 IN TXT \"v=DMARC1; p=reject\"\n")
	raw := []byte("Return-Path: <a@x.example>\r\nReceived: from h (n [192.0.2.1]) by mx; " +
		"Mon\r\nFrom: a@x.example\r\n\r\nbody\r\n")
	for _, tc := range []struct {
		name     string
		received int
		from     string
		says     string
	}{
		{"unsigned", 0, "x.example", "dmarc  not decided  x.example: no aligned DKIM signature " +
			"passes, and SPF was not checked"},
		{"no policy", 0, "other.example", "dmarc  none  other.example"},
		{"by Received", 1, "x.example", "dmarc  pass  x.example"},
	} {
		e := Examiner{Resolver: zone, Now: time.Now, ServerName: "mx.example",
			Received: tc.received}
		text := bytes.Replace(raw, []byte("From: a@x.example"), []byte("From: a@"+tc.from), 1)
		m, err := e.Examine(t.Context(), "a message", text)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := m.Text(&out); err != nil || !strings.Contains(out.String(), tc.says) {
			t.Errorf("%s: %v, no %q in\n%s", tc.name, err, tc.says, out.String())
		}
		if isDecided := !strings.Contains(tc.says, "not decided"); strings.Contains(out.String(),
			"mx.example; ") && strings.Contains(out.String(), " dmarc=") != isDecided {
			t.Errorf("%s: the field\n%s", tc.name, out.String())
		}
	}
}
