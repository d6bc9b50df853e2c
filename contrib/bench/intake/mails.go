package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
)

// shape is what the mails hold.
type shape struct {
	records   int // rows of reports, about
	domains   int
	days      int // of history, up to yesterday
	receivers int // each reports on each domain, each day
}

// reports is how many there are.
func (s shape) reports() int { return s.domains * s.days * s.receivers }

// What mail comes from. Most rows of a report are of the domain's own hosts and of forwarders; the
// rest are of addresses that forge, of which there are many.
const (
	ownHosts   = 6
	forwarders = 400
	strangers  = 20_000
)

// big are the names of the first receivers; others are made up. weights say how many rows their
// reports have, as shares of the average.
var (
	big     = []string{"google.com", "microsoft.com", "yahooinc.com"}
	weights = []float64{4, 2.5, 1.5}
)

// write writes all mails as one mbox, the oldest first. Two shapes that are equal give the same
// bytes.
func (s shape) write(out io.Writer, firstDay int64) error {
	r := rand.New(rand.NewPCG(1, 2))
	rest := s.receivers - len(weights) // those whose reports are smaller, if there are enough
	for day := range s.days {
		for receiver := range s.receivers {
			weight := 1.0
			switch {
			case rest <= 8:
			case receiver < len(weights):
				weight = weights[receiver]
			default:
				weight = float64(s.receivers-8) / float64(rest)
			}
			for domain := range s.domains {
				rows := max(int(weight*float64(s.records)/float64(s.reports())), 1)
				mail := s.mail(r, firstDay+int64(day), receiver, domain, rows)
				if _, err := out.Write(mail); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// mail is one report as its reporter sends it.
func (s shape) mail(r *rand.Rand, day int64, receiver, domain, rows int) []byte {
	name := fmt.Sprintf("receiver%d.example", receiver)
	if receiver < len(big) {
		name = big[receiver]
	}
	owner := fmt.Sprintf("domain%d.example", domain)
	text := feedback(r, name, owner, day, rows)
	kind, file := "application/gzip", gzipped(text)
	if receiver%3 == 0 {
		kind, file = "application/zip", zipped(text)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "From reports@%s Thu Jan  1 00:00:00 1970\nFrom: reports@%[1]s\nTo: dmarc@%s\n",
		name, owner)
	fmt.Fprintf(&b, "Subject: Report Domain: %s Submitter: %s Report-ID: <%d.%d>\n", owner, name,
		day, domain)
	fmt.Fprintf(&b, "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n"+
		"This is a DMARC report.\n--b\nContent-Type: %s\nContent-Transfer-Encoding: base64\n\n",
		kind)
	encoded := base64.StdEncoding.EncodeToString(file)
	for ; len(encoded) > 76; encoded = encoded[76:] {
		b.WriteString(encoded[:76] + "\n")
	}
	b.WriteString(encoded + "\n--b--\n\n")
	return b.Bytes()
}

// feedback is the report.
func feedback(r *rand.Rand, receiver, owner string, day int64, rows int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?><feedback><version>1.0</version><report_metadata>`+
		`<org_name>%s</org_name><email>reports@%[1]s</email><report_id>%d.%s</report_id><date_range><begin>%d</begin>`+
		`<end>%d</end></date_range></report_metadata><policy_published><domain>%[3]s</domain><adkim>r</adkim>`+
		`<aspf>r</aspf><p>none</p><sp>none</sp></policy_published>`, receiver, day, owner,
		day*86400, day*86400+86399)
	for i := range rows {
		b.WriteString("\n" + record(r, owner, i, rows))
	}
	return []byte(b.String() + "\n</feedback>\n")
}

// record is a row of one of three kinds.
func record(r *rand.Rand, owner string, i, rows int) string {
	const form = `<record><row><source_ip>%s</source_ip><count>%d</count>` +
		`<policy_evaluated><disposition>none</disposition><dkim>%s</dkim><spf>%s</spf></policy_evaluated></row><identifiers><envelope_from>%s</envelope_from>` +
		`<header_from>%s</header_from></identifiers><auth_results><dkim><domain>%[6]s</domain><selector>s%d</selector>` +
		`<result>%[3]s</result></dkim><spf><domain>%[5]s</domain><result>%s</result></spf></auth_results></record>`
	switch share := float64(i) / float64(rows); {
	case share < 0.3:
		ip := fmt.Sprintf("198.51.100.%d", r.IntN(ownHosts)+1)
		return fmt.Sprintf(form, ip, r.IntN(500)+1, "pass", "pass", owner, owner, i%3, "pass")
	case share < 0.6:
		n := r.IntN(forwarders)
		ip := fmt.Sprintf("203.0.%d.%d", 113+n>>8, n&255)
		via := fmt.Sprintf("forwarder%d.example", n)
		return fmt.Sprintf(form, ip, r.IntN(9)+1, "pass", "fail", via, owner, i%3, "pass")
	}
	n := r.IntN(strangers)
	ip := fmt.Sprintf("192.%d.%d.%d", n>>16, n>>8&255, n&255)
	via := fmt.Sprintf("host%d.example", n%2000)
	return fmt.Sprintf(form, ip, r.IntN(5)+1, "fail", "fail", via, owner, i%3, "softfail")
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(data)
	z.Close()
	return b.Bytes()
}

func zipped(data []byte) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if f, err := z.Create("report.xml"); err == nil {
		f.Write(data)
	}
	z.Close()
	return b.Bytes()
}
