package message

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"testing"
	"time"

	"mailseal/milter/domain"
)

func TestAuthor(t *testing.T) {
	tests := []struct {
		name, from string
		local      string
		domain     domain.Name
		display    string
	}{
		{"address", " joe@example.com", "joe", "example.com", ""},
		{"angle brackets", " <joe@example.com>", "joe", "example.com", ""},
		{"no space behind the colon", "joe@example.com", "joe", "example.com", ""},
		{"display name", " Joe Q. Public <joe@example.com>", "joe", "example.com", "Joe Q. Public"},
		{"quoted display name", ` "Public, Joe" <joe@example.com>`, "joe", "example.com", "Public, Joe"},
		{"quoted pairs", ` "Joe \"the\\mouth\"" <joe@example.com>`, "joe", "example.com", `Joe "the\mouth"`},
		{"address in the display name", ` "joe@bank.example" <joe@example.com>`, "joe",
			"example.com", "joe@bank.example"},
		{"address as a display name, without quotes", " joe@example.com <joe@example.com>", "joe",
			"example.com", "joe@example.com"},
		{"another address of the domain as a display name",
			" a.b@Example.COM (x) <joe@example.com>", "joe", "example.com", "a.b@example.com"},
		{"U-label as a display name", " joe@bücher.example <joe@xn--bcher-kva.example>", "joe",
			"xn--bcher-kva.example", "joe@xn--bcher-kva.example"},
		{"angle brackets in the display name", ` "<joe@bank.example>" <joe@example.com>`, "joe",
			"example.com", "<joe@bank.example>"},
		{"encoded words", " =?utf-8?q?J=C3=B6e?= =?iso-8859-1?Q?_M=FCller?= =?utf-8?B?w58=?= x <joe@example.com>",
			"joe", "example.com", "Jöe Müllerß x"},
		{"encoded word with an address", " =?utf-8?q?a=40bank=2Eexample?= <joe@example.com>", "joe",
			"example.com", "a@bank.example"},
		{"encoded word in an unknown charset", " =?x-new?q?Joe?= <joe@example.com>", "joe",
			"example.com", "=?x-new?q?Joe?="},
		{"encoded line end", " =?utf-8?q?Joe=0D=0ABcc=3A_x?= <joe@example.com>", "joe", "example.com", "Joe  Bcc: x"},
		{"UTF-8 display name", " Jöe <joe@example.com>", "joe", "example.com", "Jöe"},
		{"Latin-1 display name", " J\xf6e <joe@example.com>", "joe", "example.com", "J\uFFFDe"},
		{"Latin-1 in quotes", " \"J\xf6e\" <joe@example.com>", "joe", "example.com", "J\uFFFDe"},
		{"folds", "\r\n Joe\r\n\t<joe@example.com>\r\n ", "joe", "example.com", "Joe"},
		{"fold in quotes", " \"Joe\r\n Public\" <joe@example.com>", "joe", "example.com", "Joe Public"},
		{"fold inside the brackets", " Joe <\r\n joe@example.com\r\n >", "joe", "example.com", "Joe"},

		{"comments", " (a) Joe (b (c \\) d)) <joe (e) @ (f) example.com (g)> (h)", "joe", "example.com", "Joe"},
		{"comment behind an address", " joe@example.com (Joe <joe@bank.example>)", "joe", "example.com", ""},
		{"comment before an address", " (joe@bank.example,)joe@example.com", "joe", "example.com", ""},
		{"nested as deep as may be", strings.Repeat("(", maxComment) + strings.Repeat(")",
			maxComment) + "joe@example.com", "joe", "example.com", ""},

		{"quoted local part with an address", ` "Someone <a@junk.example>"@example.com`,
			"Someone <a@junk.example>", "example.com", ""},
		{"quoted local part", ` <"a b\"c"@example.com>`, `a b"c`, "example.com", ""},
		{"empty local part", ` ""@example.com`, "", "example.com", ""},
		{"dots", " a.b.c@example.com", "a.b.c", "example.com", ""},
		{"all of atext", " !#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~", "example.com", ""},
		{"words of both kinds", ` "a".b."c d"@example.com`, "a.b.c d", "example.com", ""},
		{"white space around the at", " joe @ example.com", "joe", "example.com", ""},
		{"UTF-8 local part", " jöe@example.com", "jöe", "example.com", ""},
		{"U-label", " joe@BÜCHER.example", "joe", "xn--bcher-kva.example", ""},
		{"A-label", " joe@XN--BCHER-KVA.example", "joe", "xn--bcher-kva.example", ""},
		{"Latin-1 comment and UTF-8 local part", " jöe@example.com (\xf6)", "jöe", "example.com", ""},

		{"two of one domain", " a@example.com, Joe <b@EXAMPLE.com>", "a", "example.com", ""},
		{"two of one domain in two spellings", " a@bücher.example,b@xn--bcher-kva.example", "a",
			"xn--bcher-kva.example", ""},
		{"empty places", " ,, a@example.com, (x) ,", "a", "example.com", ""},
		{"as many as may be", strings.Repeat("a@example.com,", MaxAuthors), "a", "example.com", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := Header{NewField("To", []byte(" ann@example.org")),
				NewField("fROM", []byte(tt.from))}
			got, err := h.Author()
			if want := (Address{tt.local, tt.domain, tt.display}); got != want || err != nil {
				t.Errorf("author of %q is %+v, %v, want %+v", tt.from, got, err, want)
			}
		})
	}
}

// TestFault holds what parseFrom refuses, and where.
func TestFault(t *testing.T) {
	tests := []struct{ name, from, want string }{
		{"empty", "", `0, at the end: there is not an address`},
		{"white space", " \r\n ", `4, at the end: there is not an address`},
		{"commas", " ,,", `3, at the end: there is not an address`},
		{"comment alone", " (joe@example.com)", `18, at the end: there is not an address`},
		{"empty brackets", " <>", `2, ">": unexpected in place of the @ of an address`},
		{"no domain", " joe", `4, at the end: nothing in place of an address`},
		{"no domain behind the at", " joe@", `5, at the end: "" is not a domain name`},
		{"no local part", " @example.com", `1, "@": the text before the @ is not a local part`},
		{"display name without an address", ` "joe@example.com"`, `18, at the end: nothing in place of an address`},
		{"group", " Us: a@example.com, b@example.com;", `3, ":": a group instead of an author`},
		{"empty group", " undisclosed-recipients:;", `23, ":": a group instead of an author`},
		{"group behind an address", " a@example.com, Us: b@example.com;", `18, ":": a group instead of an author`},
		{"group before an address", " Us:; , a@example.com", `3, ":": a group instead of an author`},
		{"address in an unquoted display name", " joe@bank.example <joe@example.com>",
			`18, "<": unexpected after an address`},
		{"address of a subdomain in an unquoted display name",
			" joe@mail.example.com <joe@example.com>", `22, "<": unexpected after an address`},
		{"literal in an unquoted display name", " joe@[192.0.2.1] <joe@[192.0.2.1]>",
			`17, "<": unexpected after an address`},
		{"address as a display name, twice", " joe@example.com joe@example.com <joe@example.com>",
			`17, "j": unexpected after an address`},
		{"address as a display name, more behind",
			" joe@example.com <joe@example.com> <joe@example.com>",
			`35, "<": unexpected after an address`},
		{"address as a display name, brackets not closed", " joe@example.com <joe@example.com",
			`33, at the end: nothing in place of the closing bracket`},
		{"comma in an unquoted display name", " Public, Joe <joe@example.com>",
			`7, ",": unexpected in place of an address`},
		{"bracket in an unquoted display name", " [x] <joe@example.com>", `1, "[": unexpected in place of an address`},
		{"two addresses in brackets", " <a@example.com> <b@example.com>", `17, "<": unexpected after an address`},
		{"two ats", " a@b@example.com", `4, "@": unexpected after an address`},
		{"two ats in brackets", " <a@b@example.com>", `5, "@": unexpected in place of the closing bracket`},
		{"brackets in brackets", " <<joe@example.com>>", `2, "<": unexpected in place of the @ of an address`},
		{"bracket not closed", " <joe@example.com", `17, at the end: nothing in place of the closing bracket`},
		{"bracket not opened", " joe@example.com>", `16, ">": unexpected after an address`},
		{"route", " <@bank.example,@x:joe@example.com>", `2, "@": the text before the @ is not a local part`},
		{"semicolon between", " a@example.com; b@example.com", `14, ";": unexpected after an address`},
		{"text behind", " joe@example.com bank.example", `17, "b": unexpected after an address`},
		{"display name without brackets", ` "Joe" joe@example.com`,
			`7, "j": the text before the @ is not a local part`},
		{"white space in a local part", " jo e@example.com", `4, "e": the text before the @ is not a local part`},
		{"comment in a local part", " jo(x).e@example.com", `6, ".": the text before the @ is not a local part`},
		{"quote beside an atom", ` "a"b@example.com`, `4, "b": the text before the @ is not a local part`},
		{"dot first", " .a@example.com", `1, ".": the text before the @ is not a local part`},
		{"dot last", " a.@example.com", `3, "@": the text before the @ is not a local part`},
		{"two dots", " a..b@example.com", `3, ".": the text before the @ is not a local part`},
		{"Latin-1 local part", " j\xf6e@example.com", `4, "@": the text before the @ is not a local part`},
		{"white space in a domain", " joe@example. com", `12, ".": the domain ends with a dot`},
		{"comment in a domain", " joe@example(x).com", `15, ".": unexpected after an address`},
		{"dot behind a domain", " joe@example.com.", `16, ".": the domain ends with a dot`},
		{"two dots in a domain", " joe@example..com", `5, "e": "example..com" is not a domain name`},
		{"IP address", " joe@192.0.2.1", `5, "1": "192.0.2.1" is not a domain name`},
		{"encoded word as domain", " joe@=?utf-8?q?example.com?=",
			`5, "=": "=?utf-8?q?example.com?=" is not a domain name`},
		{"full-width domain", " joe@ｅxample.com", `5, "\uff45": "\uff45xample.com" is not a domain name`},
		{"Latin-1 domain", " joe@b\xfccher.example", `6, "\xfc": "b\xfccher.example" is not a domain name`},
		{"no-break space behind a domain", " joe@example.com\u00a0",
			`16, "\u00a0": "example.com\u00a0" is not a domain name`},
		{"literal not closed", " joe@[192.0.2.1", `15, at the end: nothing in an address literal`},
		{"at in a literal", " joe@[x@example.com]", `7, "@": unexpected in an address literal`},
		{"quote not closed", ` "Joe <joe@example.com>`, `23, at the end: a quote is not closed`},
		{"comment not closed", " joe@example.com (", `18, at the end: a comment is not closed`},
		{"comment not opened", " joe@example.com )", `17, ")": unexpected after an address`},
		{"comments too deep", strings.Repeat("(", maxComment+1) + strings.Repeat(")",
			maxComment+1) + "joe@example.com", `17, ")": comments are nested too deep`},
		{"backslash at the end", ` "Joe\`, `5, "\\": a backslash at the end`},
		{"backslash outside quotes", ` jo\e@example.com`, `3, "\\": unexpected in place of an address`},
		{"half a Shift JIS character", " \"\x83\\\" <a@bank.example>, \" <joe@example.com>",
			`3, "\\": a backslash after 8-bit text that is not UTF-8`},
		{"NUL", " joe\x00@example.com", `4, "\x00": unexpected in place of an address`},
		{"NUL in quotes", " \"a\x00\" <joe@example.com>", `3, "\x00": a control character`},
		{"quoted NUL", " \"a\\\x00\" <joe@example.com>", `4, "\x00": a control character`},
		{"escape in a comment", " (\x1b$B) joe@example.com", `2, "\x1b": a control character`},
		{"bare CR", " Joe\r <joe@example.com>", `4, "\r": unexpected in place of an address`},
		{"bare CR in quotes", " \"Joe\r \" <joe@example.com>", `5, "\r": a control character`},
		{"line end that is no fold", " joe@example.com\nx", `16, "\r": unexpected after an address`},
		{"line end at the end", " joe@example.com\n", `16, "\r": unexpected after an address`},
		{"DEL", " joe@example.com\x7f", `16, "\x7f": unexpected after an address`},
		{"one too many", strings.Repeat("a@example.com,", MaxAuthors+1), `1413, ",": more than 100 addresses`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseFrom(NewField("From", []byte(tt.from)).Value())
			fault := (*Fault)(nil)
			if !errors.As(err, &fault) || !errors.Is(err, ErrNoAuthor) || got != nil {
				t.Fatalf("parseFrom(%.80q) = %+v, %v, want a fault", tt.from, got, err)
			}
			if got := fault.String(); got != "From, byte "+tt.want {
				t.Errorf("fault in %.80q: %s, want …%s", tt.from, got, tt.want)
			}
		})
	}
}

func many(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestFromFields(t *testing.T) {
	a, b := NewField("From", []byte(" a@example.com")), NewField("from ", []byte(" a@example.com"))
	tests := []struct {
		name string
		h    Header
		want error
	}{
		{"none", Header{NewField("Sender", []byte(" a@example.com"))}, ErrNoAuthor},
		{"one", Header{a}, nil},
		{"two that say the same", Header{a, b}, nil},
		{"two with different domains", Header{a, NewField("From", []byte(" a@example.org"))}, ErrManyAuthors},
		{"one of two without an address", Header{NewField("From", []byte(" Joe")), a}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.h.Author(); !errors.Is(err, tt.want) {
				t.Errorf("Author() = %v, want %v", err, tt.want)
			}
		})
	}
}

// TestAuthorLinear reads 256 KB of what a quadratic step would take minutes for.
func TestAuthorLinear(t *testing.T) {
	const size = 1 << 18
	for name, piece := range map[string]string{
		"addresses":            "a@example.com,",
		"commas":               ",",
		"open comments":        "(",
		"comments":             "(a)",
		"open quotes":          `"`,
		"quoted pairs":         `\`,
		"words":                "a ",
		"dots":                 ".",
		"folds":                "\r\n ",
		"broken encoded words": "=?a?q? ",
		"encoded words":        "=?utf-8?q?a?= ",
		"8-bit text":           "\xff",
		"U-labels":             "ü",
		"labels":               "ü.",
		"quoted UTF-8":         `ü\`,
		"brackets":             "<",
		"closed brackets":      "<x>",
		"ats":                  "@",
		"malformed addresses":  "<a@b.example;",
		"domains in pieces":    "a\x00.",
		"domains with spaces":  "a .",
		"comments in a domain": "a.(x)",
		"encoded addresses":    "=?utf-8?q?a@b.example?= ",
		"ends of quotes":       `\"(`,
		"dots and 8-bit text":  ".\xff",
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Repeat(piece, size/len(piece))
			start := time.Now()
			for _, from := range []string{text, "a@b.example;" + text, "[<a@" + text,
				`["` + text + `" <a@example.com>`, text + "?= <a@example.com>", "a@" + text,
				`"` + text + `" <a@example.com>`, "(" + text + ")a@example.com"} {
				Header{NewField("From", []byte(from))}.Author()
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%d octets took %v", len(text), took)
			}
		})
	}
}

// FuzzFrom holds what keeps an author from being another than a reader sees: exactly one @ outside
// quotes and comments for each address, or one more for the same domain in place of its display
// name, the domain right behind it; and where net/mail reads the field, too, it reads the same
// domains.
func FuzzFrom(f *testing.F) {
	f.Fuzz(func(t *testing.T, from string) {
		field := NewField("From", []byte(from))
		all, err := parseFrom(field.Value())
		if err != nil {
			return
		}
		behind := withoutNames(behindAts(string(field.Value())))
		if len(behind) != len(all) {
			t.Fatalf("%q has %d addresses, but %d ats outside quotes and comments", from, len(all),
				len(behind))
		}
		for i, a := range all {
			if n, err := domain.Parse(behind[i]); a.Domain != "" && (err != nil || n != a.Domain) {
				t.Fatalf("%q: address %d is in %s, but behind its at stands %q", from, i, a.Domain,
					behind[i])
			}
		}
		theirs, err := mail.ParseAddressList(strings.Trim(string(field.Value()), " \t\r\n,"))
		if err == nil && domains(theirs) != fmt.Sprint(places(all)) {
			t.Fatalf("%q is from %v, net/mail says %v", from, places(all), domains(theirs))
		}
	})
}

// withoutNames drops each text that a bracket ends, which makes it a display name, if it is the
// same domain as the next.
func withoutNames(behind []string) []string {
	var out []string
	for i, text := range behind {
		if isName := strings.HasSuffix(text, "<"); isName && i+1 < len(behind) {
			a, err1 := domain.Parse(strings.TrimSuffix(text, "<"))
			b, err2 := domain.Parse(strings.TrimSuffix(behind[i+1], "<"))
			if err1 == nil && err2 == nil && a == b {
				continue
			}
		}
		out = append(out, text)
	}
	return out
}

// behindAts returns the text behind each @ that stands in no quotes and no comment, up to white
// space or a special, and with a bracket that opens next.
func behindAts(s string) []string {
	plain, depth, quoted := "", 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case quoted:
			quoted = c != '"'
		case c == '(':
			depth++
		case c == ')':
			depth--
			plain += " "
		case depth > 0:
		case c == '"':
			quoted = true
		default:
			plain += string([]byte{c})
		}
	}
	var behind []string
	for _, part := range strings.Split(plain, "@")[1:] {
		part = strings.TrimLeft(part, " \t\r\n")
		end := strings.IndexAny(part+" ", " \t\r\n,<>")
		text := part[:end]
		if strings.HasPrefix(strings.TrimLeft(part[end:], " \t\r\n"), "<") {
			text += "<"
		}
		behind = append(behind, text)
	}
	return behind
}

func places(all []Address) []string {
	var out []string
	for _, a := range all {
		out = append(out, a.place())
	}
	return out
}

func domains(all []*mail.Address) string {
	var out []string
	for _, a := range all {
		text := a.Address[strings.LastIndexByte(a.Address, '@')+1:]
		name, err := domain.Parse(text)
		if err != nil {
			name = domain.Name(Address{}.place())
		}
		out = append(out, name.String())
	}
	return fmt.Sprint(out)
}

func BenchmarkAuthor(b *testing.B) {
	h := Header{NewField("From", []byte(` "Public, Joe" <joe@example.com>`))}
	b.ReportAllocs()
	for b.Loop() {
		h.Author()
	}
}
