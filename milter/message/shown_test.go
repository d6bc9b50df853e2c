package message

import (
	"errors"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mailseal/milter/domain"
)

// shownText writes what a reader could see: "joe@a.test", "(joe@a.test)" for one in a display name,
// "[@a.test]" for one in a route.
func shownText(f From) string {
	var all []string
	for _, s := range f.Shown {
		text := s.Local + "@" + string(s.Domain)
		if s.Aside {
			text = "(" + text + ")"
		}
		if s.Route {
			text = "[" + text + "]"
		}
		all = append(all, text)
	}
	if f.TooMany {
		all = append(all, "…")
	}
	return strings.Join(all, " ")
}

func TestShown(t *testing.T) {
	tests := []struct{ name, from, want string }{
		// One domain, whatever is wrong with the rest.
		{"comma in a display name", " Acme Widgets, Inc. <info@a.test>", "info@a.test"},
		{"commas in a display name", " Doe, Dr. Joe, MD, PhD <joe@a.test>", "joe@a.test"},
		{"square brackets", " [JIRA] Doe <joe@a.test>", "joe@a.test"},
		{"square brackets behind", " Doe [via list] <joe@a.test>", "joe@a.test"},
		{"unbalanced square bracket", " Shop] 17 <joe@a.test>", "joe@a.test"},
		{"at in a display name", " Joe @ Work <joe@a.test>", "joe@a.test"},
		{"handle in a display name", " Joe (@joe) @joe.doe <joe@a.test>", "joe@a.test"},
		{"handle first", " @joe.doe <joe@a.test>", "joe@a.test"},
		{"at and a comma", " Bob @ Work, [Inc.] <joe@a.test>", "joe@a.test"},
		{"at a place, comma", " Joe @Work, Inc. <joe@a.test>", "joe@a.test"},
		{"at a place, two commas", " Joe @ Acme, Sales, Ltd <joe@a.test>", "joe@a.test"},
		{"at a place behind", " Joe <joe@a.test>, Ann @ Work", "joe@a.test"},
		{"colon", " Re: Joe <joe@a.test>", "joe@a.test"},
		{"colon and time", " Alarm 12:30: door <joe@a.test>", "joe@a.test"},
		{"smiley", " Joe :) <joe@a.test>", "joe@a.test"},
		{"sad smiley", " Joe :( <joe@a.test>", "joe@a.test"},
		{"heart", " Joe <3 <joe@a.test>", "joe@a.test"},
		{"semicolon in a display name", " Joe; Doe <joe@a.test>", "joe@a.test"},
		{"control character in a display name", " Jo\x01e <joe@a.test>", "joe@a.test"},
		{"NUL behind", " Joe <joe@a.test>\x00", "joe@a.test"},
		{"escape sequence", " \x1b$BF|K\\8l\x1b(B <joe@a.test>", "joe@a.test"},
		{"backslash in a display name", ` ACME\joe <joe@a.test>`, "joe@a.test"},
		{"quote inside a word", ` Joe 5" <joe@a.test>`, "joe@a.test"},
		{"quotes in quotes", ` "Joe "the man" Doe" <joe@a.test>`, "joe@a.test"},
		{"quote that is not closed", ` "Joe <joe@a.test>`, "joe@a.test"},
		{"quote that is not opened", ` Joe" <joe@a.test>`, "joe@a.test"},
		{"comment that is not closed", " Joe (Work <joe@a.test>", "joe@a.test"},
		{"comments nested too deep", " " + strings.Repeat("(", 20) + strings.Repeat(")", 20) +
			" <joe@a.test>", "joe@a.test"},
		{"the same address in the name", " joe@a.test joe@a.test <joe@a.test>", "joe@a.test"},
		{"the same domain in the name", " Mail an joe@a.test, jetzt <info@a.test>", "joe@a.test"},
		{"encoded word with a comma", " =?utf-8?q?Acme,?= Inc. <joe@a.test>", "joe@a.test"},
		{"encoded word with the same address", " =?utf-8?q?joe@a.test?= <joe@a.test>", "joe@a.test"},
		{"address in quotes in a name", ` "x@b.test", Inc. <joe@a.test>`, "joe@a.test"},
		{"address in a comment", " Inc., (x@b.test) <joe@a.test>", "joe@a.test"},

		{"dots in a local part", " joe..x@a.test", "joe..x@a.test"},
		{"final dot of a local part", " Joe <joe.@a.test>", "joe.@a.test"},
		{"leading dots of a local part", " <...joe@a.test>", "...joe@a.test"},
		{"white space in a local part", " <jo e@a.test>", "e@a.test"},
		{"colon in a local part", " <joe:x@a.test>", "x@a.test"},
		{"quote beside an atom", ` <"a b"c@a.test>`, "a bc@a.test"},
		{"two ats in a row", " joe@@a.test", "joe@a.test"},
		{"ats in a row", " Joe <joe@@@a.test>", "joe@a.test"},
		{"no local part", " Joe <@a.test>", "@a.test"},
		{"no local part, no brackets", " @a.test", "@a.test"},
		{"8-bit local part", " j\xf6e@a.test", "j\xf6e@a.test"},
		{"backslash in a local part", ` jo\e@a.test`, "joe@a.test"},
		{"mailto", " Joe <mailto:joe@a.test>", "joe@a.test"},
		{"MAILTO without brackets", " MAILTO:joe@a.test", "joe@a.test"},
		{"smtp", " <SMTP:joe@a.test>", "joe@a.test"},

		{"final dot", " Joe <joe@a.test.>", "joe@a.test"},
		{"final dots", " joe@a.test..", "joe@a.test"},
		{"dot behind the brackets", " Joe <joe@a.test>.", "joe@a.test"},
		{"semicolon behind", " Joe <joe@a.test>;", "joe@a.test"},
		{"comma and semicolon", " joe@a.test,;", "joe@a.test"},
		{"brackets not closed", " Joe <joe@a.test", "joe@a.test"},
		{"brackets not closed, a list", " Joe <joe@a.test, Ann <ann@a.test", "joe@a.test"},
		{"brackets not opened", " joe@a.test>", "joe@a.test"},
		{"two brackets", " Joe <<joe@a.test>>", "joe@a.test"},
		{"two brackets, one closed", " Joe <<joe@a.test>", "joe@a.test"},
		{"brackets twice", " <joe@a.test> <joe@a.test>", "joe@a.test"},
		{"two in brackets", " <joe@a.test, ann@a.test>", "joe@a.test"},
		{"no brackets", " Joe Doe joe@a.test", "joe@a.test"},
		{"quotes and no brackets", ` "Joe" joe@a.test`, "joe@a.test"},
		{"quoted address", ` "joe@a.test"`, "joe@a.test"},
		{"quoted brackets", ` "Joe <joe@a.test>"`, "joe@a.test"},
		{"address in a comment alone", " Joe (joe@a.test)", "joe@a.test"},
		{"square brackets in place of angle brackets", " Joe [joe@a.test]", "joe@a.test"},
		{"semicolons between", " a@a.test; b@A.TEST", "a@a.test"},
		{"group", " Us: joe@a.test, ann@a.test;", "joe@a.test"},
		{"group of one in brackets", " Us:Joe <joe@a.test>;", "joe@a.test"},
		{"line end", " joe@a.test\nx", "joe@a.test"},
		{"no-break space behind", " joe@a.test\u00a0", "joe@a.test"},
		{"zero-width space behind", " <joe@a.test\u200b>", "joe@a.test"},
		{"full-width at", " joe\uff20a.test", "joe@a.test"},
		{"full-width domain", " joe@\uff41.test", "joe@a.test"},
		{"curly quotes", " \u201cjoe@a.test\u201d", "\u201cjoe@a.test"},
		{"quoted domain", ` joe@"a.test"`, "joe@a.test"},
		{"comment around the at", " joe(x)@(y)a.test x", "joe@a.test"},
		{"comment in a domain", " joe@mail(x).a.test", "joe@mail.a.test"},
		{"white space in a domain", " <joe@mail. a.test>", "joe@mail.a.test"},
		{"fold in a domain", " <joe@mail\r\n .a.test>", "joe@mail.a.test"},
		{"backslash in a domain", ` joe@mai\l.a.test`, "joe@mail.a.test"},
		{"encoded address", " =?utf-8?q?joe=40a=2Etest?=", "joe@a.test"},
		{"name as a literal", " joe@[a.test]", "joe@a.test"},
		{"name as a literal, in brackets", " Joe <joe@[ mail.a.test ]>", "joe@mail.a.test"},
		{"name as a literal, final dot", " joe@[a.test.]", "joe@a.test"},
		{"name as a literal that is not closed", " <joe@[a.test>", "joe@a.test"},
		{"name as a literal with white space before", " joe@ [(x)a.test]", "joe@a.test"},
		{"encoded address in two words", " =?utf-8?q?joe=40a=2E?=\r\n =?utf-8?q?test?=", "joe@a.test"},
		{"encoded brackets", " =?utf-8?b?PGpvZUBhLnRlc3Q+?=", "joe@a.test"},
		{"encoded in an unknown charset", " =?x-new?q?joe=40a=2Etest?=", "joe@a.test"},
		{"one label", " Joe, Doe <joe@localhost>", "joe@localhost"},
		{"one label without brackets", " joe@localhost;", "joe@localhost"},
		{"IDN", " Joe, Doe <joe@mail.b\u00fccher.test>", "joe@mail.xn--bcher-kva.test"},

		// Labels that host names do not have and the DNS does.
		{"hyphen at the end of a label", " <ceo@mail-.a.test>", "ceo@mail-.a.test"},
		{"hyphen at the start of a label", " ceo@-x.a.test", "ceo@-x.a.test"},
		{"hyphen alone", " CEO <ceo@-.a.test>", "ceo@-.a.test"},
		{"underscore and hyphen", " ceo@_x-.a.test", "ceo@_x-.a.test"},
		{"another character of an atom", " ceo@x!y.a.test", "ceo@x!y.a.test"},
		{"label too long", " ceo@" + strings.Repeat("x", 64) + ".a.test", "ceo@a.test"},
		{"empty label", " ceo@mail..a.test", "ceo@mail.a.test"},
		{"8-bit label", " ceo@m\xe4il.a.test", "ceo@a.test"},

		// Several.
		{"name and brackets", " ceo@a.test <x@b.test>", "(ceo@a.test) x@b.test"},
		{"name and brackets, more in the name", " The ceo@a.test himself <x@b.test>", "(ceo@a.test) x@b.test"},
		{"two in the name", " ceo@a.test boss@c.test <x@b.test>", "(ceo@a.test) (boss@c.test) x@b.test"},
		{"spaces around the at", " ceo @ a.test <x@b.test>", "(ceo@a.test) x@b.test"},
		{"full-width at in the name", " ceo\uff20a.test [x] <x@b.test>", "(ceo@a.test) x@b.test"},
		{"encoded in the name", " =?utf-8?q?ceo=40a=2Etest?= [x] <x@b.test>", "(ceo@a.test) x@b.test"},
		{"not well encoded in the name", " =?utf-8?q?ceo@a.test?= <x@b.test>", "(ceo@a.test) x@b.test"},
		{"name and an address without a domain", " ceo@a.test <x@>", "ceo@a.test x@"},
		{"name and an address literal", " ceo@a.test <x@[192.0.2.1]>", "ceo@a.test x@"},
		{"name and empty brackets", " ceo@a.test <>", "ceo@a.test"},
		{"name and brackets without a local part", " ceo@a.test <@b.test>", "ceo@a.test @b.test"},
		{"name and two brackets", " ceo@a.test <x@b.test> <y@b.test>", "ceo@a.test x@b.test"},
		{"list element and brackets", " ceo@a.test, [x] <x@b.test>", "ceo@a.test x@b.test"},
		{"brackets twice, two domains", " <ceo@a.test> <x@b.test>", "ceo@a.test x@b.test"},
		{"address behind brackets", " <x@b.test> ceo@a.test", "x@b.test ceo@a.test"},
		{"two in brackets, two domains", " <x@b.test,ceo@a.test>", "x@b.test ceo@a.test"},
		{"two ats", " <ceo@a.test@b.test>", "ceo@a.test a.test@b.test"},
		{"two ats without brackets", " ceo@a.test@b.test", "ceo@a.test a.test@b.test"},
		{"stray closing bracket", " ceo@a.test> <x@b.test>", "ceo@a.test x@b.test"},
		{"semicolon", " x@b.test; ceo@a.test", "x@b.test ceo@a.test"},
		{"colon", " ceo@a.test:x@b.test", "ceo@a.test x@b.test"},
		{"group of two domains", " Us: ceo@a.test, x@b.test;", "ceo@a.test x@b.test"},
		{"brackets not closed, two domains", " <ceo@a.test <x@b.test>", "ceo@a.test x@b.test"},
		{"quote not closed", ` "x <x@b.test> "<ceo@a.test> "`, "ceo@a.test x@b.test"},
		{"three quotes", ` "ceo@a.test" [x] " <x@b.test>`, "x@b.test (ceo@a.test)"},
		{"comment not closed", " x@b.test (ceo@a.test", "x@b.test ceo@a.test"},
		{"quote in a comment", ` (" <ceo@a.test>) [x] <x@b.test> (")`, "x@b.test ceo@a.test"},
		{"backslash before a quote", ` \"ceo@a.test\" <x@b.test>`, "(ceo@a.test) x@b.test"},
		{"NUL in quotes", " \"ceo@a.test\x00\" <x@b.test>", "x@b.test (ceo@a.test)"},
		{"half a Shift JIS character", " \"\x83\\\" <ceo@a.test>, \" <x@b.test>", "x@b.test ceo@a.test"},
		{"NUL in a domain", " <ceo@a.test\x00.b.test>", "ceo@a.test ceo@a.test.b.test"},
		{"white space before a dot", " <ceo@a.test .b.test>", "ceo@a.test ceo@a.test.b.test"},
		{"comment before a dot", " <ceo@a.test(x).b.test>", "ceo@a.test ceo@a.test.b.test"},
		{"fold behind a dot", " <ceo@a.test.\r\n b.test>", "ceo@a.test ceo@a.test.b.test"},
		{"no-break space before a dot", " <ceo@a.test\u00a0.b.test>", "ceo@a.test ceo@a.test.b.test"},
		{"exclamation mark in a domain", " <ceo@a.test!x.b.test>", "ceo@a.test!x.b.test ceo@a.test"},
		{"8-bit text in a domain", " <ceo@a.test\xa0.b.test>", "ceo@b.test ceo@a.test"},
		{"route", " <@x.test:ceo@a.test>", "[@x.test] ceo@a.test"},
		{"longer route", " Joe <@x.test,@a.test:ceo@a.test>", "[@x.test] ceo@a.test"},
		{"four domains", " a@a.test; b@b.test; c@c.test; d@d.test; x@a.test", "a@a.test b@b.test c@c.test d@d.test"},
		{"five domains", " a@a.test; b@b.test; c@c.test; d@d.test; e@e.test", "a@a.test b@b.test c@c.test d@d.test …"},
		{"a hundred ats", " " + strings.Repeat("a@ ", 101), "a@a …"},

		// Several that RFC 5322 allows.
		{"list", " x@b.test, CEO <ceo@a.test>", "x@b.test ceo@a.test"},
		{"list with a name as a literal", " x@b.test, ceo@[a.test]", "x@b.test ceo@a.test"},
		{"list with a literal", " ceo@a.test, x@[192.0.2.1]", "ceo@a.test x@"},
		{"ten thousand domains", many(" a@%d.test,", 10000), "a@0.test a@1.test a@2.test a@3.test …"},
		{"list of five", " a@a.test, b@b.test, c@c.test, d@d.test, e@e.test", "a@a.test b@b.test c@c.test d@d.test …"},

		// None.
		{"empty", "", ""},
		{"name", " Joe Doe", ""},
		{"name with an at", " Joe @ <>", ""},
		{"at Work", " Joe @ Work <>", ""},
		{"at alone", " @", "@"},
		{"empty group", " undisclosed-recipients:;", ""},
		{"local part alone", " <joe>", ""},
		{"no domain", " joe@", "joe@"},
		{"literal", " Joe, Doe <joe@[192.0.2.1]>", "joe@"},
		{"IPv6 literal", " Joe, Doe <joe@[IPv6:2001:db8::1]>", "joe@"},
		{"IP address", " joe@192.0.2.1", "joe@"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := Header{NewField("From", []byte(tt.from))}.From()
			if got := shownText(f); got != tt.want {
				t.Errorf("%.80q shows %s, want %s", tt.from, got, tt.want)
			}
		})
	}
}

func TestDoubt(t *testing.T) {
	tests := []struct {
		name   string
		from   []string
		author string
		want   error
		text   string // the error, or the doubt
	}{
		{"none", []string{" Joe <joe@a.test>"}, "joe@a.test", nil, ""},
		{"fault", []string{" Acme, Inc. <joe@a.test>"}, "joe@a.test", nil,
			`From, byte 5, ",": unexpected in place of an address`},
		{"fault in the second field", []string{" joe@a.test", " joe@a.test."}, "joe@a.test", nil,
			`2 From fields; From field 2, byte 11, ".": the domain ends with a dot`},
		{"two fields", []string{" joe@a.test", " Joe <joe@A.test>"}, "joe@a.test", nil, "2 From fields"},
		{"a route is no author", []string{" <@b.test:joe@a.test>"}, "joe@a.test", nil,
			`From, byte 2, "@": the text before the @ is not a local part`},
		{"two domains in two fields", []string{" joe@a.test", " joe@b.test"}, "", ErrManyAuthors,
			"more than one author: From shows 2 domains, a.test and b.test (2 From fields)"},
		{"two domains", []string{" joe@a.test, joe@b.test"}, "", ErrManyAuthors,
			"more than one author: From shows 2 domains, a.test and b.test"},
		{"domain and literal", []string{" joe@a.test, joe@[192.0.2.1]"}, "", ErrManyAuthors,
			"more than one author: From shows 2 domains, a.test and an address without a domain name"},
		{"five domains", []string{" a@a.test, b@b.test, c@c.test, d@d.test, e@e.test"}, "", ErrManyAuthors,
			"more than one author: From shows more than 4 domains, a.test and b.test and c.test and d.test"},
		{"name and brackets", []string{" ceo@a.test <x@b.test>"}, "", ErrManyAuthors,
			`more than one author: From shows 2 domains, a.test and b.test (From, byte 12, ` +
				`"<": unexpected after an address)`},
		{"no field", nil, "", ErrNoAuthor, "no author: no From field"},
		{"no address", []string{" Joe"}, "", ErrNoAuthor,
			"no author: From, byte 4, at the end: nothing in place of an address"},
		{"no address in two fields", []string{" Joe", " Ann"}, "", ErrNoAuthor,
			"no author: 2 From fields; From, byte 4, at the end: nothing in place of an address"},
		{"literal", []string{" <joe@[192.0.2.1]>"}, "", ErrNoAuthor,
			"no author: From has an address without a domain name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := Header{NewField("Sender", []byte(" x@x.test"))}
			for _, value := range tt.from {
				h = append(h, NewField("from", []byte(value)))
			}
			f := h.From()
			author, err := f.Author()
			text := f.Doubt()
			if err != nil {
				text = err.Error()
			}
			if author.String() != tt.author || !errors.Is(err, tt.want) || text != tt.text {
				t.Errorf("author %s, %v, %s\nwant   %s, %v, %s", author, err, text, tt.author,
					tt.want, tt.text)
			}
		})
	}
}

// FuzzShown holds that no address escapes: whatever a reader finds who knows nothing of RFC 5322
// but what quotes and comments are, or who is as net/mail, is among those shown. What parseFrom
// takes is shown as it is.
func FuzzShown(f *testing.F) {
	for _, seed := range []string{
		" Acme, Inc. <joe@a.test>", " ceo@a.test [x] <x@b.test>",
		` "a" b" <x@b.test>, "c <ceo@a.test>`,
		" <@x.test:ceo@a.test>", " =?utf-8?q?ceo=40a.test?= [x]", " ceo@-.a.test\x00.b.test",
		" <a@b.test", " (a@b.test",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, from string) {
		field := NewField("From", []byte(from))
		shown := Header{field}.From()
		if len(shown.Shown) > MaxDomains {
			t.Fatalf("%q shows %d domains", from, len(shown.Shown))
		}
		if shown.TooMany {
			return
		}
		value := string(field.Value())
		want := naive(value)
		if all, err := mail.ParseAddressList(value); err == nil && shown.Fault != nil {
			for _, a := range all {
				want = append(want, a.Address[strings.LastIndexByte(a.Address, '@')+1:])
			}
		}
		if all, err := parseFrom(field.Value()); err == nil {
			want = nil
			for _, a := range all {
				want = append(want, string(a.Domain))
			}
			if len(shown.Shown) > len(all) {
				t.Fatalf("%q shows %s, but has %d addresses", from, shownText(shown), len(all))
			}
		}
		isLong := func(d domain.Name) bool { return d.Labels() >= 2 }
		hasLong := shown.Fault != nil && slices.ContainsFunc(shown.Domains(), isLong)
		for _, text := range want {
			name, _ := domain.Guess(text)
			if hasLong && !isLong(name) {
				continue // "Joe @ Work, Inc. <joe@a.test>"
			}
			if name != "" && !slices.Contains(shown.Domains(), name) {
				t.Fatalf("%q shows %s, but some reader sees %q", from, shownText(shown), text)
			}
		}
	})
}

var (
	hidden  = regexp.MustCompile(`"(\\.|[^"\\])*"|\([^()"\\]*\)`)
	visible = regexp.MustCompile(`[a-z0-9.+]@((?:[a-z0-9_-]+\.)+[a-z0-9]*[a-z])(?:[\s<>,;:)\]]|$)`)
)

// naive returns the domains of all addresses outside of quotes and comments. It does not look
// further where a quote or comment is left open.
func naive(value string) []string {
	text := hidden.ReplaceAllStringFunc(value, func(s string) string {
		if s[0] == '(' {
			return " "
		}
		return `'`
	})
	if strings.ContainsAny(text, `"(\`) {
		return nil
	}
	var out []string
	for _, found := range visible.FindAllStringSubmatch(strings.ToLower(text), -1) {
		out = append(out, found[1])
	}
	return out
}
