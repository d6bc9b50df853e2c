package sign

import (
	"fmt"
	"strings"
	"testing"

	"mailseal/milter/arc"
	"mailseal/milter/authres"
	"mailseal/milter/dkim"
	"mailseal/milter/message"
)

// TestLongFields holds the treatment of fields with lines that an MTA would break: folded again,
// left out of h=, or signed as they are; and that the signature verifies on the header as it will
// be.
func TestLongFields(t *testing.T) {
	ids := strings.Repeat(" <0123456789abcdef0123456789abcdef@mail.example.com>", 40)
	word := " <" + strings.Repeat("x", 1200) + "@example.com>"
	addresses := " a@example.org" + strings.Repeat(", \"A Name\" <someone@example.net>", 60)
	tight := " a@example.org" + strings.Repeat(",someone@example.net", 80)
	const simple, relaxed, other = "c=simple/relaxed; ", "c=relaxed/simple; ", "c=relaxed/relaxed; "
	signature := func(name, c, h string) string {
		return name + ": v=1; i=1; a=rsa-sha256; " + c + "d=x.example; s=s; h=" + h +
			"; bh=AAAA; b=AAAA\n"
	}
	for _, tc := range []struct {
		name    string
		header  string // after From
		rule    func(*Rule)
		limit   int // 0: Postfix's
		fixed   bool
		change  string // the fields that are folded again
		omit    string
		notInH  string
		longest bool // a line over the limit stays
	}{
		{name: "short", header: "References: <1@example.com>\n"},
		{name: "References", header: "References:" + ids + "\n", change: "References"},
		{name: "In-Reply-To, other case", header: "IN-REPLY-TO:" + ids + "\n", change: "IN-REPLY-TO"},
		{name: "Subject", header: "Subject: " + strings.Repeat("word ", 300) + "end\n", change: "Subject"},
		{name: "Subject of encoded words", header: "Subject:" +
			strings.Repeat(" =?utf-8?q?=C3=A4=C3=B6?=", 60) + "\n", change: "Subject"},
		{name: "To", header: "To:" + addresses + "\n", change: "To"},
		{name: "two To", header: "To: b@example.org\nTo:" + addresses + "\nTo:" + addresses + "\n", change: "To To"},
		{name: "tabs", header: "Cc:" + strings.ReplaceAll(addresses, ", ", ",\t") + "\n", change: "Cc"},
		{name: "UTF-8", header: "Subject: " + strings.Repeat("äöü ", 400) + "end\n", change: "Subject"},
		{name: "folded, with one long line", header: "References: <1@example.com>\n" + ids +
			"\n\t<2@example.com>\n", change: "References"},
		{name: "a token behind the colon", header: "Message-ID: <" + strings.Repeat("x", 984) +
			"@a>\n", change: "Message-ID"},
		{name: "From", header: "Sender: a@one.example\nFrom: " + strings.Repeat("Name ", 250) +
			"<a@one.example>\n", change: "From"},
		{name: "between the limits, Postfix", header: "References: <" + strings.Repeat("x", 980) + ">\n"},
		{name: "between the limits, Sendmail", header: "References: a <" + strings.Repeat("x",
			980) + ">\n", limit: 990, change: "References"},
		{name: "no MTA", header: "References:" + ids + "\n", limit: -1, longest: true},

		{name: "one word", header: "References:" + word + "\n", omit: "References",
			notInH: "references", longest: true},
		{name: "one word among others", header: "References:" + ids + word + ids + "\n",
			omit: "References", notInH: "references", longest: true},
		{name: "an oversigned field", header: "To:" + tight + "\n", omit: "To", notInH: "to", longest: true},
		{name: "one of two of a name", header: "To:" + addresses + "\nTo:" + tight + "\n",
			omit: "To", notInH: "to", longest: true},
		{name: "blanks alone", header: "Cc: a" + strings.Repeat(" ", 1500) + "\n", omit: "Cc",
			notInH: "cc", longest: true},
		{name: "Subject of one word", header: "Subject:" + word + "\n", longest: true},
		{name: "a field that is not signed", header: "X-Any:" + ids + "\n", longest: true},
		{name: "nothing may be changed", header: "References:" + ids + "\n", fixed: true,
			omit: "References", notInH: "references", longest: true},
		{name: "nothing may be changed, Subject", header: "Subject: " + strings.Repeat("word ",
			300) + "end\n", fixed: true, longest: true},

		{name: "a simple signature covers it", header: signature("DKIM-Signature", simple,
			"from:references") + "References:" + ids + "\n", omit: "References",
			notInH: "references", longest: true},
		{name: "a simple signature by default", header: signature("dkim-signature", "",
			"References") + "References:" + ids + "\n", omit: "References", notInH: "references",
			longest: true},
		{name: "a simple ARC signature", header: signature("ARC-Message-Signature", simple,
			"from : References") + "References:" + ids + "\n", omit: "References",
			notInH: "references", longest: true},
		{name: "a simple signature covers others", header: signature("DKIM-Signature", simple,
			"from:to") + "References:" + ids + "\n", change: "References"},
		{name: "a relaxed signature covers it", header: signature("DKIM-Signature", relaxed,
			"from:references") + signature("ARC-Message-Signature", other, "references") +
			"References:" + ids + "\n", change: "References"},
		{name: "a simple signature is removed", header: signature("DKIM-Signature", simple,
			"from:references") + "References:" + ids + "\n",
			rule: func(r *Rule) { r.RemoveOld = true }, change: "References"},
		{name: "our own is simple", header: "References:" + ids + "\n",
			rule: func(r *Rule) { r.Options.SimpleHeader = true }, omit: "References",
			notInH: "references", longest: true},
		{name: "our own is simple, Subject", header: "Subject: " + strings.Repeat("word ", 300) +
			"end\n", rule: func(r *Rule) { r.Options.SimpleHeader = true }, longest: true},
		{name: "only From is signed", header: "References:" + ids + "\n",
			rule: func(r *Rule) { r.Options.Fields = []string{"From"} }, longest: true},
		{name: "a rule's own field", header: "X-Any:" + ids + "\n",
			rule: func(r *Rule) { r.Options.Fields = []string{"From", "x-any"} }, change: "X-Any"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rule := Rule{From: patterns("*"), Keys: []string{"one", "two"}}
			if tc.rule != nil {
				tc.rule(&rule)
			}
			raw := tc.header + "\nbody\n"
			if !strings.Contains(tc.header, "From:") {
				raw = "From: a@one.example\n" + raw
			}
			m := parsed(t, raw)
			limit := tc.limit
			if limit == 0 {
				limit = 998
			}
			q := Query{Author: address(t, "a@one.example"),
				Lines: Lines{Limit: max(limit, 0), MayChange: !tc.fixed}}
			s := &Signer{Table: NewTable([]Rule{rule}), Keys: newRing(t)}
			out, err := s.Sign(t.Context(), s.Match(q), q, m)
			if err != nil || len(out.Fields) == 0 {
				t.Fatalf("%d signatures, %v", len(out.Fields), err)
			}
			var changed []string
			for _, c := range out.Fit.Change {
				changed = append(changed, c.Field.Name())
				if n := c.Field.LongestLine(); n >= 990 {
					t.Errorf("%s has a line of %d bytes", c.Field.Name(), n)
				}
			}
			if got := strings.Join(changed, " "); got != tc.change ||
				strings.Join(out.Fit.Omit, " ") != tc.omit {
				t.Errorf("folded again %q, left out %q; want %q, %q", got, out.Fit.Omit, tc.change,
					tc.omit)
			}
			h := m.Header.With(message.Edits{Change: out.Fit.Change, Remove: out.Remove,
				Insert: out.Fields})
			for _, f := range out.Fields {
				names := ":" + strings.ToLower(strings.Join(dkim.ReadTags(f).Names(), ":")) + ":"
				if tc.notInH != "" && strings.Contains(names, ":"+tc.notInH+":") ||
					!strings.Contains(names, ":from:") {
					t.Errorf("h=%s", names)
				}
			}
			if got, err := out.Check(t.Context(), h, []byte("body\r\n")); got != Agree {
				t.Errorf("the second implementation: %v", err)
			}
			isLong := false
			for _, f := range h {
				isLong = isLong || f.LongestLine() > 998
			}
			if isLong != tc.longest {
				t.Errorf("a line is too long: %v, want %v", isLong, tc.longest)
			}
			if containsName(out.Covers, tc.notInH) || !containsName(out.Covers, "From") {
				t.Errorf("covers %q", out.Covers)
			}
		})
	}
}

// TestLongFieldsAreIndexed holds that many long fields and many signatures do not multiply.
func TestLongFieldsAreIndexed(t *testing.T) {
	var text strings.Builder
	for range 300 {
		text.WriteString("DKIM-Signature: v=1; h=" + strings.Repeat("x:", 500) + "x\n")
		text.WriteString("References:" + strings.Repeat(" <1@example.com>", 70) + "\n")
	}
	m := parsed(t, "From: a@one.example\n"+text.String()+"\nbody\n")
	got := Lines{Limit: 998, MayChange: true}.fit(m.Header, nil, func(string) bool { return true },
		func(string) bool { return false })
	if len(got.Change) != 300 {
		t.Errorf("%d fields are folded again, want 300", len(got.Change))
	}
}

// TestSealFit holds that a seal treats long fields as a signature does.
func TestSealFit(t *testing.T) {
	ids := strings.Repeat(" <0123456789abcdef0123456789abcdef@mail.example.com>", 40)
	word := " <" + strings.Repeat("x", 1200) + "@example.com>"
	for _, tc := range []struct{ name, header, change, omit string }{
		{"References", "References:" + ids + "\n", "References", ""},
		{"one word", "References:" + word + "\n", "", "References"},
		{"Subject of one word", "Subject:" + word + "\n", "", ""},
		{"a signature with simple canonicalization", "DKIM-Signature: v=1; d=x.example; h=from;" +
			ids + "\n", "", "DKIM-Signature"},
		{"a signature with relaxed canonicalization", "DKIM-Signature: v=1; c=relaxed; h=from; z=" +
			strings.ReplaceAll(ids, "@", "=40") + "\n", "DKIM-Signature", ""},
	} {
		k, err := newRing(t).Key(t.Context(), "one")
		if err != nil {
			t.Fatal(err)
		}
		s := &Sealer{Keys: ring{"one": k}, Key: "one"}
		m := parsed(t, "From: a@one.example\n"+tc.header+"\nbody\n")
		fit := s.Fit(Lines{Limit: 998, MayChange: true}, nil, m.Header)
		var changed []string
		for _, c := range fit.Change {
			changed = append(changed, c.Field.Name())
		}
		if got := fmt.Sprint(changed, fit.Omit); got != fmt.Sprintf("[%s] [%s]", tc.change,
			tc.omit) {
			t.Errorf("%s: got %s, want [%s] [%s]", tc.name, got, tc.change, tc.omit)
		}
		set, err := s.Seal(t.Context(), arc.Result{Value: "none"},
			m.Header.With(message.Edits{Change: fit.Change}), m.Body,
			authres.Field{ID: "mx.example"}, fit.Omit)
		if err != nil {
			t.Fatal(err)
		}
		if names := strings.ToLower(strings.Join(Covered(set), ":")); tc.omit != "" &&
			strings.Contains(names, strings.ToLower(tc.omit)) {
			t.Errorf("%s: h=%s", tc.name, names)
		}
	}
}

// parsed reads a message with the digest that relaxed bodies need.
func parsed(t *testing.T, raw string) *message.Message {
	t.Helper()
	hash := message.BodyHash{Canonicalization: message.Relaxed, Limit: message.Whole}
	wanted := func(message.Header) []message.BodyHash { return []message.BodyHash{hash} }
	m, err := message.Read(strings.NewReader(strings.ReplaceAll(raw, "\n", "\r\n")), 1<<20, wanted)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRemovedFieldsAreNotFolded holds that nothing is done to a field that is removed.
func TestRemovedFieldsAreNotFolded(t *testing.T) {
	m := parsed(t, "From: a@one.example\nSubject: "+strings.Repeat("word ", 300)+"end\n\nbody\n")
	all := func(string) bool { return true }
	none := func(string) bool { return false }
	if got := (Lines{Limit: 998, MayChange: true}).fit(m.Header, []int{1}, all,
		none); len(got.Change)+len(got.Omit) > 0 {
		t.Errorf("got %+v", got)
	}
}
