package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"mailseal/contrib/bench/measure"
	"mailseal/milter/arc"
	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
)

// The names of the grammar.
const (
	// the author's domain, deep enough for every step of DMARC's walk
	author   = "a.b.c.d.e.f.g.h.example.com"
	fillName = "X-F"
	ownID    = "mx.example.net"
)

// sender has as many parts as macros can take apart.
var sender = strings.Repeat("l.", 31) + "l@sender.example.com"

// letter is a message and what the DNS says beside it.
type letter struct {
	raw  []byte
	zone *zone
}

// zone collects records, for the name server of the search and for that of the daemon.
type zone struct {
	lines []string
	texts [][2]string
}

func (z *zone) text(name, text string) { z.texts = append(z.texts, [2]string{name, text}) }

func (z *zone) line(format string, args ...any) {
	z.lines = append(z.lines, fmt.Sprintf(format, args...))
}

// publish returns it for a name server, with what every letter needs.
func (z *zone) publish() (*dnstest.Zone, error) {
	to := dnstest.Must(`
com.                     IN SOA ns.example.com. hostmaster.example.com. 1 7200 3600 1209600 3600 ; for how long it holds that a name is not there
192.in-addr.arpa.        IN SOA ns.example.com. hostmaster.example.com. 1 7200 3600 1209600 3600
25.2.0.192.in-addr.arpa. IN PTR mx.example.com.
mx.example.com.          IN A 192.0.2.25
example.com.             IN A 192.0.2.25
`)
	for _, t := range z.texts {
		to.AddTXT(t[0]+".", t[1])
	}
	return to, to.Add(strings.Join(z.lines, "\n") + "\n")
}

// writer makes a letter of a recipe.
type writer struct {
	recipe
	keys  ring
	zone  *zone
	named map[string]bool
}

// maxSize is what a message of the search may have at most.
const maxSize = 1_000_000

// write makes the letter; it is false when it is too large.
func (k ring) write(r recipe) (letter, bool, error) {
	w := &writer{recipe: r, keys: k, zone: &zone{}, named: map[string]bool{}}
	w.policies()
	body := w.bodyOctets()
	if r.value(fields)*(r.value(fieldSize)+50)+r.value(results)*(r.value(resultSize)+70)+
		len(body) > maxSize {
		return letter{}, false, nil
	}
	raw := append([]byte(w.header()+"\r\n"), body...)
	raw, err := w.seal(raw)
	if err == nil {
		raw, err = w.sign(raw)
	}
	return letter{raw, w.zone}, len(raw) <= maxSize && headerFits(raw), err
}

// headerFits leaves out what the MTA and the daemon refuse.
func headerFits(raw []byte) bool {
	_, err := message.Read(bytes.NewReader(raw), headerLimit,
		func(message.Header) []message.BodyHash { return nil })
	return err == nil
}

const headerLimit = 1 << 20

func repeat(unit string, size int) string {
	return strings.Repeat(unit, size/len(unit)+1)[:size]
}

func (w *writer) header() string {
	var b strings.Builder
	b.WriteString("Received: from client.example.com (client.example.com [192.0.2.25])\r\n\tby " +
		"mx.example.net; Sun, 22 Nov 2026 10:00:00 +0000\r\n")
	for range w.value(results) {
		fmt.Fprintf(&b, "Authentication-Results: %s\r\n", w.resultText())
	}
	b.WriteString(w.from())
	b.WriteString("To: r@example.net\r\nSubject: hi\r\nDate: Sun, 22 Nov 2026 10:00:00 " +
		"+0000\r\nMessage-ID: <1@example.com>\r\n")
	unit := []string{"some words", "          ", "a  b  c  d", "a\tb\tc\td\t", "aaa\r\n bbb\r\n ",
		"a\rb\rc\rd\re\r", "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"}[w.value(fieldText)]
	text := repeat(unit, w.value(fieldSize))
	text = strings.TrimRight(text, "\r\n ") + "."
	for range w.value(fields) {
		b.WriteString(fillName + ": " + text + "\r\n")
	}
	return b.String()
}

func (w *writer) resultText() string {
	n := w.value(resultSize)
	switch w.value(resultKind) {
	case 0:
		return ownID + "; " + repeat("spf=pass smtp.mailfrom=example.com; ", n)
	case 1:
		return "other.example; " + repeat("spf=pass smtp.mailfrom=example.com; ", n)
	case 2:
		return repeat("(c)", n) + " other.example; none"
	case 3:
		return repeat("(", n) + " other.example; none"
	case 4:
		return repeat(`""`, n) + " other.example; none"
	case 5:
		return repeat(" ", n) + "other.example; none"
	case 6:
		return repeat("\xc3\xa9", n&^1) + ".example; none"
	}
	return repeat(`(\\)`, n) + " other.example; none"
}

// from writes the author fields.
func (w *writer) from() string {
	address, n := "u@"+author, w.value(authors)
	n = min(n, maxSize/8)
	switch w.value(authorKind) {
	case 0:
		return "From: " + address + strings.Repeat(",\r\n x@"+author, min(n, 20_000)-1) + "\r\n"
	case 1:
		return "From: " + strings.Repeat("(c)", n) + address + "\r\n"
	case 2:
		return "From: " + strings.Repeat("(", n) + strings.Repeat(")", n) + address + "\r\n"
	case 3:
		return "From: " + strings.Repeat("<", n) + address + ">\r\n"
	case 4:
		return "From: " + strings.Repeat("@x ", n) + "<" + address + ">\r\n"
	case 5:
		return strings.Repeat("From: <x@a>,<"+address+"\r\n", min(n, 9000))
	case 6:
		return "From: " + strings.Repeat("=?utf-8?q?a=40b?= ", min(n, 40_000)) + "<" + address +
			">, b\r\n"
	case 7:
		return "From: " + strings.Repeat(`"a" `, n) + "<" + address + ">, b\r\n"
	}
	return "From: " + strings.Repeat("\xc3\xa9\xef\xbc\xa0b.c ", min(n, 80_000)) + "<" + address +
		">\r\n"
}

func (w *writer) bodyOctets() []byte {
	unit := []string{"No one reads  this line. \r\n", "        ", "\r\n", "\r", "\n", "x",
		"a\tb \tc", "    \r\n"}[w.value(bodyText)]
	return []byte(repeat(unit, w.value(body)-2) + "\r\n")
}

// key publishes the key of a signature and returns its name and its private key.
func (w *writer) key(selector string) dkim.Key {
	right, other := w.keys.get(w.value(keyBits), w.value(keyExponent))
	name := selector + "._domainkey.example.com"
	if !w.named[name] {
		w.named[name] = true
		padding := ""
		if n := w.value(keyPadding) / w.value(keyRecords); n > 0 {
			padding = "; n=" + repeat("x", n)
		}
		for i := range w.value(keyRecords) - 1 {
			w.zone.text(name, other.record()+fmt.Sprintf("; o=%d", i)+padding)
		}
		w.zone.text(name, right.record()+padding)
	}
	return dkim.Key{Domain: "example.com", Selector: selector, Signer: right}
}

// seal puts the ARC sets on top.
func (w *writer) seal(raw []byte) ([]byte, error) {
	o := arc.SealOptions{Fields: []string{"From"}}
	if w.value(sealedFields) == 1 && w.value(fields) <= 900 {
		o.Fields = append(o.Fields, fillName)
	}
	results := "x.example; " + repeat("spf=pass smtp.mailfrom=example.com; ", w.value(payload))
	for i := range w.value(sets) {
		m, err := read(raw, o.BodyHash())
		if err != nil {
			return nil, err
		}
		chain := arc.Result{Value: arc.Pass}
		if i == 0 {
			chain.Value = arc.None
		}
		set, err := arc.Seal(m.Header, m.Body, chain, results, w.key(fmt.Sprint("a", i)), o)
		if err != nil {
			return nil, err
		}
		if raw = onTop(raw, set...); len(raw) > maxSize {
			break
		}
	}
	return raw, nil
}

func read(raw []byte, wanted message.BodyHash) (*message.Message, error) {
	return message.Read(bytes.NewReader(raw), 8<<20,
		func(message.Header) []message.BodyHash { return []message.BodyHash{wanted} })
}

func onTop(raw []byte, fields ...message.Field) []byte {
	var b bytes.Buffer
	for _, f := range fields {
		b.Write(f.Raw())
		b.WriteString("\r\n")
	}
	b.Write(raw)
	return b.Bytes()
}

// sign puts the DKIM signatures on top.
func (w *writer) sign(raw []byte) ([]byte, error) {
	var all []message.Field
	for i := range w.value(signatures) {
		f, err := w.signature(raw, i)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return onTop(raw, all...), nil
}

func (w *writer) signature(raw []byte, i int) (message.Field, error) {
	k := w.key(fmt.Sprint("k", i))
	if w.value(valid) == 1 && w.value(fields) <= 900 && (w.value(authorKind) != 5 ||
		w.value(authors) <= 90) {
		o := dkim.SignOptions{SimpleHeader: w.value(headerForm) == 1, SimpleBody: w.isSimpleBody(i),
			Fields: []string{"From", fillName}}
		m, err := read(raw, o.BodyHash())
		if err != nil {
			return message.Field{}, err
		}
		f, err := dkim.Sign(m.Header, m.Body, k, o)
		if w.value(folded) == 0 {
			return f, err
		}
		return message.NewField(dkim.FieldName,
			bytes.Replace(f.Value(), []byte(" b="), []byte(" b= "), 1)), err
	}
	return w.broken(k, raw, i), nil
}

func (w *writer) isSimpleBody(i int) bool {
	return w.value(bodyForm) == 1 || w.value(bodyForm) == 2 && i%2 == 1
}

// broken is a signature of the right length that no key made, over a body as it is.
func (w *writer) broken(k dkim.Key, raw []byte, i int) message.Field {
	forms := [2]message.Canonicalization{message.Relaxed, message.Simple}
	bodyForm := forms[0]
	if w.isSimpleBody(i) {
		bodyForm = forms[1]
	}
	_, content, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	canonical := bodyForm.AppendBody(nil, content)
	limit := ""
	if w.value(lengths) == 1 && len(canonical) > 0 {
		n := len(canonical) - i%len(canonical)
		canonical, limit = canonical[:n], fmt.Sprintf(" l=%d;", n)
	}
	sum := sha256.Sum256(canonical)
	value := make([]byte, k.Signer.(*key).public.Size())
	value[len(value)-1] = byte(i + 1)
	space := ""
	if w.value(folded) == 1 {
		space = " "
	}
	list := "from" + strings.Repeat(":"+fillName, w.value(names))
	text := fmt.Sprintf(" v=1; a=rsa-sha256; c=%s/%s; d=%s; s=%s;%s h=%s; bh=%s; b=%s%s",
		forms[w.value(headerForm)], bodyForm, k.Domain,
		k.Selector, limit, list, base64.StdEncoding.EncodeToString(sum[:]), space,
		base64.StdEncoding.EncodeToString(value))
	return message.NewField(dkim.FieldName, []byte(text))
}

// policies publishes SPF and DMARC.
func (w *writer) policies() {
	record := "v=spf1 ip4:" + measure.Client + " -all"
	switch w.value(senderPolicy) {
	case 1:
		record = "v=spf1"
		for i := range 10 {
			record += fmt.Sprintf(" include:i%d.example.com", i)
			w.zone.text(fmt.Sprintf("i%d.example.com", i),
				"v=spf1"+strings.Repeat(" ip4:198.51.100.7/31", 3000)+" ?all")
		}
	case 2:
		record = "v=spf1"
		for i := range 10 {
			record += fmt.Sprintf(" exists:%s.m%d.example.com", strings.Repeat("%{L9r+-}", 120), i)
		}
	case 3:
		record = "v=spf1"
		for i := range 10 {
			record += fmt.Sprintf(" mx:m%d.example.com", i)
			for j := range 10 {
				w.zone.line("m%d.example.com. IN MX 1 h%d-%d.example.com.", i, i, j)
				for n := range 100 {
					w.zone.line("h%d-%d.example.com. IN A 198.51.100.%d", i, j, n)
				}
			}
		}
	case 4:
		record = ""
	}
	if record != "" {
		w.zone.text("sender.example.com", record)
	}
	switch w.value(authorPolicy) {
	case 0:
		w.zone.text("_dmarc.example.com", "v=DMARC1; p=reject")
	case 1:
		w.zone.text("_dmarc."+author, "v=DMARC1; p=reject; rua="+repeat("mailto:a@example.com,",
			60_000))
	case 2:
		for name := author; strings.Contains(name, "."); _, name, _ = strings.Cut(name, ".") {
			w.zone.text("_dmarc."+name, "v=DMARC1; x="+repeat("y", 60_000))
		}
	}
}
