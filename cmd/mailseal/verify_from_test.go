package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// judgeFrom runs "mailseal verify" with an option on a message of evil.example that has a From
// field.
func judgeFrom(t *testing.T, option, from string) string {
	t.Helper()
	zone := filepath.Join(t.TempDir(), "zone")
	text := "_dmarc.bank.example. 60 IN TXT \"v=DMARC1; p=reject\"\nevil.example. 60 IN TXT " +
		"\"v=spf1 ip4:198.51.100.1 -all\"\n"
	if err := os.WriteFile(zone, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, code := mailseal(t, "From: "+from+"\r\n\r\nhello\r\n",
		"verify", option, "--zone", zone, "--ip", "198.51.100.1", "--helo", "x.evil.example",
		"--from", "x@evil.example")
	if code != exitBad {
		t.Errorf("exit code %d", code)
	}
	return out
}

func TestVerifyFrom(t *testing.T) {
	for _, tc := range []struct {
		name, from      string
		author          string
		domains         []string
		byte            int // -1: the field is as RFC 5322 wants it
		char            string
		dmarc, of, note string // the result, its domain, and what --explain says
	}{
		{"nothing wrong", "CEO <ceo@bank.example>", "bank.example", []string{"bank.example"}, -1,
			"", "fail", "bank.example", "the author's domain is bank.example.\n"},
		{"comma", "Bank, Inc. <ceo@bank.example>", "bank.example", []string{"bank.example"}, 5, ",",
			"fail", "bank.example", `byte 5, ",": unexpected`},
		{"final dot", "ceo@bank.example.", "bank.example", []string{"bank.example"}, 17, ".",
			"fail", "bank.example", `byte 17, ".": the domain ends with a dot`},
		{"not closed", "<ceo@bank.example", "bank.example", []string{"bank.example"}, 18, "",
			"fail", "bank.example", "byte 18, at the end: nothing in place of"},
		{"not ASCII", "ceo\uff20bank.example", "bank.example", []string{"bank.example"}, 19, "",
			"fail", "bank.example", "byte 19, at the end"},
		{"hyphen", "ceo@-.bank.example", "-.bank.example", []string{"-.bank.example"}, 5, "-",
			"fail", "-.bank.example", "is not a domain name"},
		{"two fields", "x@evil.example\r\nFrom: ceo@bank.example", "", []string{"evil.example",
			"bank.example"}, -1, "", "fail", "bank.example", "2 From fields"},
		{"second field malformed", "ceo@bank.example\r\nFrom: ceo@bank.example;", "bank.example",
			[]string{"bank.example"}, 17, ";", "fail", "bank.example", "From field 2, byte 17"},
		{"several", "x@evil.example; ceo@bank.example", "",
			[]string{"evil.example", "bank.example"}, 15, ";", "fail", "bank.example",
			"several authors: more than one author: From shows 2 domains, evil.example and bank.example"},
		{"none", "CEO", "", []string{}, 4, "", "permerror", "", "no author: no author: From, byte 4"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got struct {
				From struct {
					Author, Reason string
					Domains        []string
					Fault          *struct {
						Byte      int
						Character string
					}
				}
				DMARC struct{ Result, Domain string }
			}
			if err := json.Unmarshal([]byte(judgeFrom(t, "--json", tc.from)), &got); err != nil {
				t.Fatal(err)
			}
			f := got.From
			if f.Author != tc.author || !slices.Equal(f.Domains, tc.domains) ||
				(f.Reason == "") != (tc.name == "nothing wrong") {
				t.Errorf("from is %+v", f)
			}
			if (f.Fault != nil) != (tc.byte >= 0) || f.Fault != nil &&
				(f.Fault.Byte != tc.byte || f.Fault.Character != tc.char) {
				t.Errorf("fault is %+v, want byte %d, %q", f.Fault, tc.byte, tc.char)
			}
			if got.DMARC.Result != tc.dmarc || got.DMARC.Domain != tc.of {
				t.Errorf("dmarc is %+v, want %s for %q", got.DMARC, tc.dmarc, tc.of)
			}
			if out := judgeFrom(t, "--explain", tc.from); !strings.Contains(out, tc.note) {
				t.Errorf("--explain says\n%s\nwithout %q", out, tc.note)
			}
			if out := judgeFrom(t, "--json=false", tc.from); !strings.Contains(out, f.Reason) {
				t.Errorf("verify says\n%s\nwithout %q", out, f.Reason)
			}
		})
	}
}
