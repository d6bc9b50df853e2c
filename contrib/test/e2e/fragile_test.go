package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
)

// send hands a message of ours to the site, which delivers it.
func (s *site) send(t *testing.T, to, message string) rig.Delivery {
	t.Helper()
	c := s.Dial(t, local)
	c.Deliver(rig.Mail{From: "alice@home.example", To: []string{to}, Message: message})
	c.Quit()
	return s.Sink.To(t, to)
}

// logged returns the record of the message that went to a recipient: the last one.
func (s *site) logged(t *testing.T) rig.Record {
	t.Helper()
	all := s.daemon.Logs(t, "message")
	if len(all) == 0 {
		t.Fatal("no message is logged")
	}
	return all[len(all)-1]
}

// names returns the h= of the first signature of ours, in lower case.
func hOf(t *testing.T, d rig.Delivery) string {
	t.Helper()
	for _, v := range d.Header("DKIM-Signature") {
		for tag := range strings.SplitSeq(v, ";") {
			if name, list, _ := strings.Cut(strings.TrimSpace(tag), "="); name == "h" {
				return ":" + strings.ToLower(strings.Join(strings.Fields(list), "")) + ":"
			}
		}
	}
	t.Fatalf("no signature on:\n%s", d.Data)
	return ""
}

// TestLongFields sends fields with lines that the MTA breaks, and wants the signatures to be good
// on what was delivered.
func TestLongFields(t *testing.T) {
	id := " <0123456789abcdef0123456789abcdef@mail.example.com>"
	var addresses []string
	for i := range 40 {
		addresses = append(addresses, fmt.Sprintf(
			"\"Very Long Name %d\" <someone.%d@long-domain.example.net>", i, i))
	}
	const simple = "DKIM-Signature: v=1; a=rsa-sha256; c=simple/relaxed; d=list.example; s=s; " +
		"h=from:references;\n\tbh=AAAA; b=AAAA\n"
	cases := []struct {
		name, fields      string
		refolded, leftOut string
	}{
		{"References of 2,000 bytes", "References:" + strings.Repeat(id, 40) + "\n", "References", ""},
		{"References of 9,000 bytes", "References:" + strings.Repeat(id, 175) + "\n", "References", ""},
		{"In-Reply-To with tabs", "In-Reply-To:" + strings.Repeat("\t<0123456789@mail.example.com>",
			60) + "\n", "In-Reply-To", ""},
		{"Subject", "Subject: " + strings.Repeat("word ", 300) + "end\n", "Subject", ""},
		{"Subject of encoded words", "Subject:" + strings.Repeat(" =?utf-8?q?=C3=A4=C3=B6?=", 60) +
			"\n", "Subject", ""},
		{"To in one line", "To: " + strings.Join(addresses, ", ") + "\n", "To", ""},
		{"Cc, one line of several", "Cc: a@example.net,\n " + strings.Join(addresses, ", ") +
			",\n b@example.net\n", "Cc", ""},
		{"a word that fits below the name", "List-Unsubscribe: <https://example.com/" +
			strings.Repeat("x", 962) + ">\n", "List-Unsubscribe", ""},
		{"a word that does not", "References: <" + strings.Repeat("x", 1500) + "@example.com>\n", "", "References"},
		{"a simple signature covers it", simple + "References:" + strings.Repeat(id, 40) + "\n", "", "References"},
	}
	eachMTA(t, func(t *testing.T, s *site) {
		for i, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				to := fmt.Sprintf("long%d@elsewhere.example", i)
				message := "From: Alice <alice@home.example>\nDate: Sun, 22 Nov 2026 05:00:00 +0000\nMessage-ID: <" +
					to + ">\n" + tc.fields + "\nhello\n"
				d := s.send(t, to, message)
				for line := range strings.SplitSeq(string(d.Data), "\r\n") {
					if len(line) > 998 {
						t.Errorf("a line of %d bytes was delivered", len(line))
					}
				}
				verdicts := slices.DeleteFunc(rig.Dkimpy(t, s.txt, d.Data)[0],
					func(v rig.Verdict) bool { return v.Domain != "home.example" })
				if len(verdicts) != 2 || !verdicts[0].Pass || !verdicts[1].Pass {
					t.Errorf("dkimpy: %+v, on:\n%s", verdicts, d.Data)
				}
				if !strings.HasPrefix(tc.fields, "DKIM") {
					s.secondOpinion(t, d)
				}
				r := s.logged(t)
				if r.Text("refolded") != tc.refolded || r.Text("left_out") != tc.leftOut {
					t.Errorf("logged: %v", r)
				}
				name, _, _ := strings.Cut(tc.fields, ":")
				if inH := strings.Contains(hOf(t, d), ":"+strings.ToLower(name)+
					":"); tc.refolded != "" && !inH {
					t.Errorf("%s is not signed", name)
				}
				if tc.leftOut != "" && strings.Contains(hOf(t, d), ":"+strings.ToLower(tc.leftOut)+
					":") {
					t.Errorf("%s is signed", tc.leftOut)
				}
				words := strings.Fields(strings.SplitN(tc.fields, ":", 2)[1])
				if got := strings.Join(strings.Fields(strings.Join(d.Header(name), " ")),
					" "); tc.refolded != "" && got != strings.Join(words, " ") {
					t.Errorf("%s did not arrive whole:\n%s", name, got)
				}
			})
		}
	})
}

// TestFragileMail sends what cannot be mended, and wants it named: the signatures are indeed
// broken.
func TestFragileMail(t *testing.T) {
	const head = "From: Alice <alice@home.example>\nDate: Sun, 22 Nov 2026 05:00:00 " +
		"+0000\nMessage-ID: <%s>\nSubject: s\n"
	const mime = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
	for _, start := range []struct {
		name string
		mta  startMTA
	}{{"Postfix", rig.Postfix}, {"Sendmail", rig.Sendmail}} {
		t.Run(start.name, func(t *testing.T) {
			s := newSite(t, start.mta, rig.Options{Sink: rig.NewSevenBitSink(t)})
			for i, tc := range []struct {
				fields, body string
				causes       string
			}{
				{"To: a@example.net\n", strings.Repeat("x", 1200) + "\n", "long_line"},
				{"To: a@example.net\n" + mime, "h\xc3\xb6\n", "eight_bit"},
				{"To: a@example.net,b@example.net\n", "hello\n", "rewritten"},
				{"To: a@example.net, b@example.net\n", "hello\n", ""},
			} {
				if tc.causes == "rewritten" && s.Name == "Postfix" {
					tc.causes = ""
				}
				for range 2 {
					to := fmt.Sprintf("fragile%d@elsewhere.example", i)
					d := s.send(t, to, fmt.Sprintf(head, to)+tc.fields+"\n"+tc.body)
					isGood := true
					for _, v := range rig.Dkimpy(t, s.txt, d.Data)[0] {
						isGood = isGood && v.Pass
					}
					if got := s.logged(t).Text("fragile"); got != tc.causes ||
						isGood != (tc.causes == "") {
						t.Errorf("%s: logged %q; the signatures are good: %v", tc.causes, got,
							isGood)
					}
				}
			}
			warnings := 0
			for _, cause := range []string{"long_line", "eight_bit", "rewritten"} {
				warnings += strings.Count(s.daemon.Output(), `"why":"`+cause)
			}
			if want := map[string]int{"Postfix": 2, "Sendmail": 3}[s.Name]; warnings != want {
				t.Errorf("%d warnings, want %d", warnings, want)
			}
		})
	}
}

// TestPlainMail sends a message without MIME through every way of a Sendmail and a Postfix to treat
// 8 bits, on through a second server and a mailing list, and wants the signatures to live, though
// no one can add a field of MIME.
func TestPlainMail(t *testing.T) {
	const plain = "From: Alice <alice@home.example>\nTo: a@example.net, b@example.net\nSubject: s\n\nHello.\n"
	for _, tc := range []struct {
		name     string
		mta      startMTA
		settings string
		sevenBit bool
	}{
		{"Postfix", rig.Postfix, "", false},
		{"Postfix, to a 7-bit host", rig.Postfix, "", true},
		{"Sendmail, pass8", rig.Sendmail, "define(`confEIGHT_BIT_HANDLING', `pass8')dnl\n", false},
		{"Sendmail, mimify", rig.Sendmail, "define(`confEIGHT_BIT_HANDLING', `mimify')dnl\n", false},
		{"Sendmail, mimify, to a 7-bit host", rig.Sendmail, "define(`confEIGHT_BIT_HANDLING', `mimify')dnl\n", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sink := rig.NewSink(t)
			if tc.sevenBit {
				sink = rig.NewSevenBitSink(t)
			}
			s := newSite(t, tc.mta, rig.Options{Append: tc.settings, Sink: sink})
			once := s.send(t, "plain@elsewhere.example", plain)
			if h := hOf(t, once); !strings.Contains(h, ":mime-version:") ||
				!strings.Contains(h, ":content-transfer-encoding:") {
				t.Errorf("h=%s", h)
			}
			c := rig.Dial(t, s.Reinjected, local)
			c.Deliver(rig.Mail{From: once.From, To: []string{"relayed@elsewhere.example"},
				Message: string(once.Data)})
			list := "List-Id: <l.example.org>\r\nList-Unsubscribe: " +
				"<mailto:l@example.org>\r\nSender: l@example.org\r\nPrecedence: list\r\n"
			c.Deliver(rig.Mail{From: "l@example.org", To: []string{"listed@elsewhere.example"},
				Message: list + string(once.Data)})
			c.Quit()
			for _, d := range []rig.Delivery{once, s.Sink.To(t, "relayed@elsewhere.example"),
				s.Sink.To(t, "listed@elsewhere.example")} {
				s.signedByUs(t, d)
			}
			for _, field := range []string{"Content-Type: text/html",
				"Content-Transfer-Encoding: base64", "MIME-Version: 1.0"} {
				for _, v := range rig.Dkimpy(t, s.txt, []byte(field+"\r\n"+string(once.Data)))[0] {
					if v.Pass {
						t.Errorf("%s can be added", field)
					}
				}
			}
		})
	}
}

// TestRedirectedMail sends a forged message of a stranger's, and what was delivered on to another
// host as a user's rule does: it must not be signed as the domain that was forged.
func TestRedirectedMail(t *testing.T) {
	eachMTA(t, func(t *testing.T, s *site) {
		s.zone.AddTXT("_dmarc.home.example", "v=DMARC1; p=reject")
		s.zone.AddTXT("stranger.example", "v=spf1 ip4:"+stranger+" -all")
		c := s.Dial(t, stranger)
		forged := mail("ceo@home.example", "bob@home.example")
		forged.From = "x@stranger.example"
		c.Deliver(forged)
		c.Quit()
		stored := s.Sink.To(t, "bob@home.example")
		if !strings.Contains(strings.Join(stored.Header("Authentication-Results"), " "),
			"dmarc=fail") {
			t.Fatalf("not judged as forged:\n%s", stored.Data)
		}
		c = s.Dial(t, local)
		redirect := "X-Sieve-Redirected-From: bob@home.example\r\n" + string(stored.Data)
		c.Deliver(rig.Mail{From: "bob@home.example", To: []string{"bob@elsewhere.example"},
			Message: redirect})
		c.Quit()
		d := s.Sink.To(t, "bob@elsewhere.example")
		for _, v := range rig.Dkimpy(t, s.txt, d.Data)[0] {
			t.Errorf("signed: %+v", v)
		}
		r := s.logged(t)
		if r.Text("unsigned") != "redirected" || r.Text("level") != "WARN" {
			t.Errorf("logged: %v", r)
		}
		s.signedByUs(t, s.send(t, "honest@elsewhere.example",
			mail("alice@home.example", "honest@elsewhere.example").Message))
	})
}

// TestFragileRemedies does what the manual says against signatures that break, and wants them to
// live.
func TestFragileRemedies(t *testing.T) {
	const mime = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
	for _, tc := range []struct {
		name         string
		mta          startMTA
		settings     string
		fields, body string
	}{
		{"Sendmail, longer lines", rig.Sendmail, "define(`SMTP_MAILER_LL', `2040')dnl\n", "",
			strings.Repeat("x", 1500) + "\n"},
		{"Sendmail, 8 bits as they are", rig.Sendmail, "define(`SMTP_MAILER_FLAGS', `8')dnl\n", mime, "h\xc3\xb6\n"},
		{"Postfix, 8 bits as they are", rig.Postfix, "disable_mime_output_conversion = yes\n", mime, "h\xc3\xb6\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, tc.mta, rig.Options{Sink: rig.NewSevenBitSink(t), Append: tc.settings})
			d := s.send(t, "remedy@elsewhere.example",
				"From: Alice <alice@home.example>\nTo: a@example.net\nSubject: s\n"+tc.fields+"\n"+
					tc.body)
			s.signedByUs(t, d)
		})
	}
}
