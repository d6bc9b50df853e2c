package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"mailseal/keys"
	"mailseal/milter/arc"
	"mailseal/milter/dkim"
	"mailseal/milter/message"
)

// The names of the attack. Records live for no second: no answer is remembered, and every honest
// message has lookups of its own to wait for.
const (
	honestDomain = "honest.example"
	victimDomain = "victim.example"
	attackZone   = `
$TTL 0
example.              IN SOA ns.example. hostmaster.example. 1 7200 3600 1209600 0
honest.example.        IN TXT "v=spf1 ip4:192.0.2.25 -all"
_dmarc.honest.example. IN TXT "v=DMARC1; p=reject"
victim.example.        IN TXT "v=spf1 -all"
_dmarc.victim.example. IN TXT "v=DMARC1; p=reject"
$TIMEOUT *.silent.test
`
)

// forger writes the messages of an attack on lookups, and the honest one beside them.
type forger struct {
	key keys.Key
}

// newForger reads the private key and returns, beside the forger, the lines of the zone in which
// both domains that it signs for publish it.
func newForger(pemFile string) (*forger, string, error) {
	pem, err := os.ReadFile(pemFile)
	if err != nil {
		return nil, "", err
	}
	signer, err := keys.Parse(pem)
	if err != nil {
		return nil, "", err
	}
	f := &forger{keys.Key{Domain: honestDomain, Selector: "k", Signer: signer}}
	record, err := f.key.Record(keys.RecordOptions{})
	if err != nil {
		return nil, "", err
	}
	var lines strings.Builder
	lines.WriteString(attackZone)
	fmt.Fprintf(&lines, "%s. IN TXT", strings.TrimSuffix(record.Name, "."))
	for piece := range slices.Chunk([]byte(record.Text), 255) {
		fmt.Fprintf(&lines, " %q", piece)
	}
	return f, lines.String() + "\n", nil
}

// honest returns a message that passes every method.
func (f *forger) honest(raw []byte) ([]byte, error) {
	raw = bytes.Replace(raw, []byte("example.com>"), []byte(honestDomain+">"), -1)
	o := dkim.SignOptions{}
	m, err := message.Read(bytes.NewReader(raw), 1<<20, func(message.Header) []message.BodyHash {
		return []message.BodyHash{o.BodyHash()}
	})
	if err != nil {
		return nil, err
	}
	key := dkim.Key{Domain: f.key.Domain, Selector: f.key.Selector, Signer: f.key.Signer}
	field, err := dkim.Sign(m.Header, m.Body, key, o)
	if err != nil {
		return nil, err
	}
	return slices.Concat(field.Raw(), []byte("\r\n"), raw), nil
}

// The size of the attack's messages.
const (
	hostileSets       = 50
	hostileSignatures = 10
)

// spoof returns a message in the name of a domain that wants forgeries rejected: its newest ARC set
// verifies, the keys of the older ones and of its DKIM signatures are below silent name servers. No
// two have such a name in common, since id is in all of them.
func (f *forger) spoof(id string) ([]byte, error) {
	const hash = "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	signature := strings.Repeat("A", 342) + "=="
	var b strings.Builder
	for i := hostileSets - 1; i > 0; i-- {
		cv := "pass"
		if i == 1 {
			cv = "none"
		}
		tags := fmt.Sprintf("i=%d; a=rsa-sha256; d=a%d.%s.silent.test; s=k; b=%s", i, i, id,
			signature)
		fmt.Fprintf(&b, "ARC-Seal: cv=%s; t=1; %s\r\n", cv, tags)
		fmt.Fprintf(&b, "ARC-Message-Signature: c=relaxed/relaxed; h=from; %s;\r\n %s\r\n", hash,
			tags)
		fmt.Fprintf(&b, "ARC-Authentication-Results: i=%d; x.test; none\r\n", i)
	}
	for i := range hostileSignatures {
		fmt.Fprintf(&b, "DKIM-Signature: v=1; a=rsa-sha256; d=k%d.%s.silent.test; s=k; h=from; %s;\r\n b=%s\r\n",
			i, id, hash, signature)
	}
	b.WriteString("From: ceo@" + victimDomain + "\r\nSubject: pay\r\n\r\nnow\r\n")
	o := arc.SealOptions{}
	m, err := message.Read(strings.NewReader(b.String()), 1<<20,
		func(message.Header) []message.BodyHash {
			return []message.BodyHash{o.BodyHash()}
		})
	if err != nil {
		return nil, err
	}
	key := dkim.Key{Domain: f.key.Domain, Selector: f.key.Selector, Signer: f.key.Signer}
	set, err := arc.Seal(m.Header, m.Body, arc.Result{Value: arc.Pass}, "x.test; none", key, o)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, field := range set {
		out.Write(field.Raw())
		out.WriteString("\r\n")
	}
	out.WriteString(b.String())
	return out.Bytes(), nil
}
