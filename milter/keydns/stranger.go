package keydns

import (
	"crypto/x509"
	"encoding/base64"
	"strings"

	"mailseal/milter/domain"
)

// Record finds what is wrong with a published record, of which nothing else is known: that of a
// domain whose signatures do not verify here.
func Record(text string) []Finding {
	v := View{Texts: []string{text}}
	v.judge()
	return v.Findings
}

// typed returns the name that a text is instead of a record, "" when it is none: forms of providers
// have CNAME and TXT in one menu.
func typed(text string) string {
	name := strings.TrimSpace(text)
	if rest, isMarked := strings.CutPrefix(strings.ToUpper(name), "CNAME"); isMarked {
		name = strings.TrimSpace(name[len(name)-len(rest):])
	}
	name = strings.TrimSuffix(name, ".")
	if strings.ContainsAny(name, "=; \t") || !strings.Contains(name, ".") {
		return ""
	}
	if n, err := domain.Parse(name); err == nil {
		return n.String()
	}
	return ""
}

// isPKCS1 reports whether a record that can be used has its key in the form of PKCS#1.
func isPKCS1(text string) bool {
	raw, err := base64.StdEncoding.DecodeString(publicKey(text))
	if err != nil {
		return false
	}
	_, err = x509.ParsePKCS1PublicKey(raw)
	return err == nil
}
