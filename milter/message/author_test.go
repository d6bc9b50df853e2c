package message

import (
	"errors"
	"fmt"
	"net/mail"
	"slices"
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
		{"address in the display name", ` "joe@bank.example" <joe@example.com>`, "joe", "example.com", "joe@bank.example"},
		{"address as a display name, without quotes", " joe@example.com <joe@example.com>", "joe", "example.com", "joe@example.com"},
		{"another address of the domain as a display name", " a.b@Example.COM (x) <joe@example.com>", "joe", "example.com", "a.b@example.com"},
		{"U-label as a display name", " joe@bücher.example <joe@xn--bcher-kva.example>", "joe", "xn--bcher-kva.example", "joe@xn--bcher-kva.example"},
		{"angle brackets in the display name", ` "<joe@bank.example>" <joe@example.com>`, "joe", "example.com", "<joe@bank.example>"},
		{"encoded words", " =?utf-8?q?J=C3=B6e?= =?iso-8859-1?Q?_M=FCller?= =?utf-8?B?w58=?= x <joe@example.com>", "joe", "example.com", "Jöe Müllerß x"},
		{"encoded word with an address", " =?utf-8?q?a=40bank=2Eexample?= <joe@example.com>", "joe", "example.com", "a@bank.example"},
		{"encoded word in an unknown charset", " =?x-new?q?Joe?= <joe@example.com>", "joe", "example.com", "=?x-new?q?Joe?="},
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
		{"nested as deep as may be", strings.Repeat("(", maxComment) + strings.Repeat(")", maxComment) + "joe@example.com", "joe", "example.com", ""},

		{"quoted local part with an address", ` "Someone <a@junk.example>"@example.com`, "Someone <a@junk.example>", "example.com", ""},
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
		{"two of one domain in two spellings", " a@bücher.example,b@xn--bcher-kva.example", "a", "xn--bcher-kva.example", ""},
		{"empty places", " ,, a@example.com, (x) ,", "a", "example.com", ""},
		{"as many as may be", strings.Repeat("a@example.com,", MaxAuthors), "a", "example.com", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := Header{NewField("To", []byte(" ann@example.org")), NewField("fROM", []byte(tt.from))}
			got, err := h.Author()
			if want := (Address{tt.local, tt.domain, tt.display}); got != want || err != nil {
				t.Errorf("author of %q is %+v, %v, want %+v", tt.from, got, err, want)
			}
		})
	}
}

func TestNoAuthor(t *testing.T) {
	tests := []struct {
		name, from string
		want       error
		says       string // part of the error, which is for people
	}{
		{"empty", "", ErrNoAuthor, "From is empty"},
		{"white space", " \r\n ", ErrNoAuthor, "From is empty"},
		{"commas", " ,,", ErrNoAuthor, "From is empty"},
		{"comment alone", " (joe@example.com)", ErrNoAuthor, "From is empty"},
		{"empty brackets", " <>", ErrNoAuthor, "'>' in place of the @"},
		{"no domain", " joe", ErrNoAuthor, "nothing in place of an address"},
		{"no domain behind the at", " joe@", ErrNoAuthor, `"" is no domain name`},
		{"no local part", " @example.com", ErrNoAuthor, "no local part"},
		{"display name without an address", ` "joe@example.com"`, ErrNoAuthor, "nothing in place of an address"},

		{"two domains", " a@example.com, b@example.org", ErrManyAuthors, "in example.com and one in example.org"},
		{"domain and subdomain", " a@example.com, b@mail.example.com", ErrManyAuthors, "mail.example.com"},
		{"domain and literal", " a@example.com, b@[192.0.2.1]", ErrManyAuthors, "an address literal"},
		{"literal", " joe@[192.0.2.1]", ErrNoAuthor, "an address literal in place of a domain"},
		{"IPv6 literal", " <joe@[IPv6:2001:db8::1]>", ErrNoAuthor, "an address literal in place of a domain"},
		{"two literals", " a@[192.0.2.1], b@[192.0.2.2]", ErrNoAuthor, "an address literal"},
		{"one too many", strings.Repeat("a@example.com,", MaxAuthors+1), ErrManyAuthors, "more than 100"},
		{"ten thousand domains", many("a@%d.example,", 10000), ErrManyAuthors, "more than 100"},

		{"group", " Us: a@example.com, b@example.com;", ErrNoAuthor, "a group"},
		{"empty group", " undisclosed-recipients:;", ErrNoAuthor, "a group"},
		{"group behind an address", " a@example.com, Us: b@example.com;", ErrNoAuthor, "a group"},
		{"group before an address", " Us:; , a@example.com", ErrNoAuthor, "a group"},

		{"address in an unquoted display name", " joe@bank.example <joe@example.com>", ErrNoAuthor, "'<' after an address"},
		{"address of a subdomain in an unquoted display name", " joe@mail.example.com <joe@example.com>", ErrNoAuthor, "'<' after an address"},
		{"literal in an unquoted display name", " joe@[192.0.2.1] <joe@[192.0.2.1]>", ErrNoAuthor, "'<' after an address"},
		{"address as a display name, twice", " joe@example.com joe@example.com <joe@example.com>", ErrNoAuthor, "'j' after an address"},
		{"address as a display name, more behind", " joe@example.com <joe@example.com> <joe@example.com>", ErrNoAuthor, "'<' after an address"},
		{"address as a display name, brackets not closed", " joe@example.com <joe@example.com", ErrNoAuthor, "nothing in place of the closing bracket"},
		{"comma in an unquoted display name", " Public, Joe <joe@example.com>", ErrNoAuthor, "',' in place of an address"},
		{"bracket in an unquoted display name", " [x] <joe@example.com>", ErrNoAuthor, "'[' in place of an address"},
		{"two addresses in brackets", " <a@example.com> <b@example.com>", ErrNoAuthor, "'<' after an address"},
		{"two ats", " a@b@example.com", ErrNoAuthor, "'@' after an address"},
		{"two ats in brackets", " <a@b@example.com>", ErrNoAuthor, "'@' in place of the closing bracket"},
		{"brackets in brackets", " <<joe@example.com>>", ErrNoAuthor, "'<' in place of the @"},
		{"bracket not closed", " <joe@example.com", ErrNoAuthor, "nothing in place of the closing bracket"},
		{"bracket not opened", " joe@example.com>", ErrNoAuthor, "'>' after an address"},
		{"route", " <@bank.example,@x:joe@example.com>", ErrNoAuthor, "no local part"},
		{"semicolon between", " a@example.com; b@example.com", ErrNoAuthor, "';' after an address"},
		{"text behind", " joe@example.com bank.example", ErrNoAuthor, "'b' after an address"},
		{"display name without brackets", ` "Joe" joe@example.com`, ErrNoAuthor, "no local part"},
		{"white space in a local part", " jo e@example.com", ErrNoAuthor, "no local part"},
		{"comment in a local part", " jo(x).e@example.com", ErrNoAuthor, "no local part"},
		{"quote beside an atom", ` "a"b@example.com`, ErrNoAuthor, "no local part"},
		{"dot first", " .a@example.com", ErrNoAuthor, "no local part"},
		{"dot last", " a.@example.com", ErrNoAuthor, "no local part"},
		{"two dots", " a..b@example.com", ErrNoAuthor, "no local part"},
		{"Latin-1 local part", " j\xf6e@example.com", ErrNoAuthor, "no local part"},

		{"white space in a domain", " joe@example. com", ErrNoAuthor, `"example." is no domain name`},
		{"comment in a domain", " joe@example(x).com", ErrNoAuthor, "'.' after an address"},
		{"dot behind a domain", " joe@example.com.", ErrNoAuthor, `"example.com." is no domain name`},
		{"two dots in a domain", " joe@example..com", ErrNoAuthor, "is no domain name"},
		{"IP address", " joe@192.0.2.1", ErrNoAuthor, "is no domain name"},
		{"encoded word as domain", " joe@=?utf-8?q?example.com?=", ErrNoAuthor, "is no domain name"},
		{"full-width domain", " joe@ｅxample.com", ErrNoAuthor, "is no domain name"},
		{"Latin-1 domain", " joe@b\xfccher.example", ErrNoAuthor, "is no domain name"},
		{"no-break space behind a domain", " joe@example.com\u00a0", ErrNoAuthor, "is no domain name"},
		{"literal not closed", " joe@[192.0.2.1", ErrNoAuthor, "nothing in an address literal"},
		{"at in a literal", " joe@[x@example.com]", ErrNoAuthor, "'@' in an address literal"},

		{"quote not closed", ` "Joe <joe@example.com>`, ErrNoAuthor, "a quote is not closed"},
		{"comment not closed", " joe@example.com (", ErrNoAuthor, "a comment is not closed"},
		{"comment not opened", " joe@example.com )", ErrNoAuthor, "')' after an address"},
		{"comments too deep", strings.Repeat("(", maxComment+1) + strings.Repeat(")", maxComment+1) + "joe@example.com", ErrNoAuthor, "nested too deep"},
		{"backslash at the end", ` "Joe\`, ErrNoAuthor, "a backslash at the end"},
		{"backslash outside quotes", ` jo\e@example.com`, ErrNoAuthor, `'\\' in place of an address`},
		{"half a Shift JIS character", " \"\x83\\\" <a@bank.example>, \" <joe@example.com>", ErrNoAuthor, "not UTF-8"},
		{"NUL", " joe\x00@example.com", ErrNoAuthor, `'\x00' in place of an address`},
		{"NUL in quotes", " \"a\x00\" <joe@example.com>", ErrNoAuthor, "control character 0x00"},
		{"quoted NUL", " \"a\\\x00\" <joe@example.com>", ErrNoAuthor, "control character 0x00"},
		{"escape in a comment", " (\x1b$B) joe@example.com", ErrNoAuthor, "control character 0x1b"},
		{"bare CR", " Joe\r <joe@example.com>", ErrNoAuthor, `'\r' in place of an address`},
		{"bare CR in quotes", " \"Joe\r \" <joe@example.com>", ErrNoAuthor, "control character 0x0d"},
		{"line end that is no fold", " joe@example.com\nx", ErrNoAuthor, `'\r' after an address`},
		{"line end at the end", " joe@example.com\n", ErrNoAuthor, `'\r' after an address`},
		{"DEL", " joe@example.com\x7f", ErrNoAuthor, "after an address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Header{NewField("From", []byte(tt.from))}.Author()
			if !errors.Is(err, tt.want) || got != (Address{}) || !strings.Contains(fmt.Sprint(err), tt.says) {
				t.Errorf("author of %.80q is %+v, %v, want %v: …%s…", tt.from, got, err, tt.want, tt.says)
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
		{"two that say the same", Header{a, b}, ErrManyAuthors},
		{"three", Header{a, a, a}, ErrManyAuthors},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.h.Author(); !errors.Is(err, tt.want) {
				t.Errorf("Author() = %v, want %v", err, tt.want)
			}
			if all, err := tt.h.Authors(); !errors.Is(err, tt.want) || (len(all) > 0) != (tt.want == nil) {
				t.Errorf("Authors() = %v, %v, want %v", all, err, tt.want)
			}
		})
	}
}

func TestAuthors(t *testing.T) {
	h := Header{NewField("From", []byte(" A <a@example.com>, b@example.org, c@[192.0.2.1]"))}
	got, err := h.Authors()
	want := []Address{{"a", "example.com", "A"}, {"b", "example.org", ""}, {"c", "", ""}}
	if !slices.Equal(got, want) || err != nil {
		t.Errorf("Authors() = %+v, %v, want %+v", got, err, want)
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
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Repeat(piece, size/len(piece))
			start := time.Now()
			for _, from := range []string{text, text + "?= <a@example.com>", "a@" + text, `"` + text + `" <a@example.com>`, "(" + text + ")a@example.com"} {
				Header{NewField("From", []byte(from))}.Author()
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%d octets took %v", len(text), took)
			}
		})
	}
}

// FuzzFrom holds what keeps an author from being another than a reader sees: exactly one @ outside quotes and comments
// for each address, or one more for the same domain in place of its display name, the domain right behind it; and where net/mail reads the field, too, it reads the same domains.
func FuzzFrom(f *testing.F) {
	f.Fuzz(func(t *testing.T, from string) {
		field := NewField("From", []byte(from))
		all, err := Header{field}.Authors()
		if err != nil {
			if !errors.Is(err, ErrNoAuthor) && !errors.Is(err, ErrManyAuthors) {
				t.Fatalf("Authors of %q: %v", from, err)
			}
			return
		}
		behind := withoutNames(behindAts(string(field.Value())))
		if len(behind) != len(all) {
			t.Fatalf("%q has %d addresses, but %d ats outside quotes and comments", from, len(all), len(behind))
		}
		for i, a := range all {
			if n, err := domain.Parse(behind[i]); a.Domain != "" && (err != nil || n != a.Domain) {
				t.Fatalf("%q: address %d is in %s, but behind its at stands %q", from, i, a.Domain, behind[i])
			}
		}
		theirs, err := mail.ParseAddressList(strings.Trim(string(field.Value()), " \t\r\n,"))
		if err == nil && domains(theirs) != fmt.Sprint(places(all)) {
			t.Fatalf("%q is from %v, net/mail says %v", from, places(all), domains(theirs))
		}
	})
}

// withoutNames drops each text that a bracket ends, which makes it a display name, if it is the same domain as the next.
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

// behindAts returns the text behind each @ that stands in no quotes and no comment, up to white space or a special, and
// with a bracket that opens next.
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
			name = "an address literal"
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
